//! What is found, in which order, and for which queries.

use greenroom_core::retriever::{Query, Retriever};
use greenroom_retrieval::{Corpus, CorpusOptions, SearchOptions};

use crate::tree::{Tree, find, names};

fn films() -> Tree {
    Tree::new(&[
        (
            "docs/night-train.md",
            "# Night Train\n\nNight Train is a film of 1994 directed by Ines Varga.\n",
        ),
        ("docs/ines-varga.md", "# Ines Varga\n\nA native of Pécs, she studied there and left.\n"),
        ("docs/other.md", "# Trains\n\nA train at night is a sleeper. Films show trains.\n"),
        ("docs/birth.md", "# Registry\n\nWhere a person was born is written in the registry.\n"),
        ("docs/noise.md", "# Cooking\n\nBoil the rice and stir it.\n"),
    ])
}

#[tokio::test]
async fn words_are_found_in_any_form() {
    let tree = Tree::new(&[
        ("docs/a.md", "# Policy\n\nThe client retries failed requests.\n"),
        ("docs/b.md", "# Other\n\nNothing of the kind.\n"),
        ("docs/c.rs", "fn maxRetryCount() -> u32 {\n    3\n}\n"),
    ]);
    let corpus = tree.open().await.unwrap();
    assert_eq!(names(&corpus, "retrying a REQUEST").await[0], "a.md");
    assert_eq!(names(&corpus, "retry count").await[0], "c.rs");
    assert_eq!(names(&corpus, "polici").await[0], "a.md");
}

#[tokio::test]
async fn a_name_is_found_by_itself_before_its_parts() {
    let tree = Tree::new(&[
        ("docs/a.rs", "// The queue has a depth, and the depth of the queue a max: max depth.\n"),
        (
            "docs/b.rs",
            "const QUEUE_DEPTH_MAX: usize = 64; // and so much more text about other things\n",
        ),
    ]);
    let corpus = tree.open().await.unwrap();
    assert_eq!(names(&corpus, "QUEUE_DEPTH_MAX").await[0], "b.rs");
    assert_eq!(names(&corpus, "what is the max queue depth").await.len(), 2);
}

#[tokio::test]
async fn a_heading_counts_more_than_a_mention() {
    let tree = Tree::new(&[
        ("docs/mention.md", "# Various\n\nThe overflow of words goes on, overflow.\n"),
        ("docs/about.md", "# Overflow\n\nWhat happens then is a matter of words.\n"),
    ]);
    assert_eq!(names(&tree.open().await.unwrap(), "overflow").await, ["about.md", "mention.md"]);
}

#[tokio::test]
async fn words_that_stand_together_count_more() {
    let tree = Tree::new(&[
        (
            "docs/apart.txt",
            "pressure in the tank rises and falls until at last the valve is shut off\n",
        ),
        (
            "docs/close.txt",
            "in the tank the pressure valve rises and falls until at last it is shut off\n",
        ),
    ]);
    assert_eq!(names(&tree.open().await.unwrap(), "pressure valve").await[0], "close.txt");
}

#[tokio::test]
async fn the_second_hop_is_found_with_the_first_and_by_a_follow_up() {
    let tree = films();
    let corpus = tree.open().await.unwrap();
    let question = "where was the director of the film Night Train born";
    let found = names(&corpus, question).await;
    let place = |name: &str| found.iter().position(|found| found == name).unwrap();
    assert!(place("night-train.md") < 2 && place("ines-varga.md") < 3, "{found:?}");

    // Plain BM25 does not see the connection: the second passage has no word of the question.
    let plain = CorpusOptions::new([tree.path("docs")]).search(SearchOptions::bm25());
    let plain = names(&Corpus::open(plain).await.unwrap(), question).await;
    assert!(!plain.contains(&"ines-varga.md".to_owned()), "{plain:?}");

    assert_eq!(names(&corpus, "Ines Varga born").await[0], "ines-varga.md");
}

#[tokio::test]
async fn every_text_is_a_query() {
    let corpus = films().open().await.unwrap();
    for text in ["", "   ", "?!\u{0}\u{202e}", "…", "zzzzqqq"] {
        assert_eq!(names(&corpus, text).await, [""; 0], "{text:?}");
    }
    for text in [
        "title:(night AND \"train 1994",
        "night* +train -film ~2 ^9 [a TO b]",
        "{night} \\ train varga",
    ] {
        assert_eq!(names(&corpus, text).await[0], "night-train.md", "{text}");
    }
    let long = format!("night train {}", "word ".repeat(210_000));
    assert_eq!(names(&corpus, &long).await[0], "night-train.md");
    let varied: String = (0..100_000).map(|i| format!("w{i} ")).collect();
    assert_eq!(names(&corpus, &format!("{varied} night train")).await, [""; 0]);
    assert_eq!(names(&corpus, &format!("night train {varied}")).await[0], "night-train.md");
}

#[tokio::test]
async fn stop_words_alone_are_searched_for() {
    let corpus = films().open().await.unwrap();
    assert_eq!(names(&corpus, "who is she").await[0], "ines-varga.md");
}

#[tokio::test]
async fn no_more_is_returned_than_asked_for() {
    let tree = Tree::new(&[]);
    for i in 0..300 {
        tree.write(
            &format!("docs/{i:03}.md"),
            format!("# Page {i}\n\ncommon word{i} other{}\n", i % 7),
        );
    }
    let corpus = tree.open().await.unwrap();
    for top_k in [0, 1, 5, 250] {
        let hits = corpus.search(Query { top_k, ..Query::new("common") }).await.unwrap();
        assert_eq!(hits.len(), top_k);
        assert!(hits.is_sorted_by(|left, right| left.score >= right.score));
    }
    let all = corpus.search(Query { top_k: usize::MAX, ..Query::new("common") }).await.unwrap();
    assert_eq!(all.len(), 300);
}

#[tokio::test]
async fn equals_stand_in_the_order_of_their_paths() {
    let tree = Tree::new(&[]);
    for name in ["d", "a", "c", "b"] {
        tree.write(&format!("docs/{name}/index.md"), format!("alpha {name}{name}{name}\n"));
    }
    let corpus = tree.open().await.unwrap();
    let first = find(&corpus, "alpha").await;
    let sources: Vec<_> = first.iter().map(|hit| tree.short(&hit.source)).collect();
    assert_eq!(
        sources,
        ["docs/a/index.md", "docs/b/index.md", "docs/c/index.md", "docs/d/index.md"]
    );
    for _ in 0..5 {
        assert_eq!(find(&corpus, "alpha").await, first);
        assert_eq!(find(&tree.open().await.unwrap(), "alpha").await, first);
    }
}

#[tokio::test]
async fn near_duplicates_are_one_passage_with_several_places() {
    let licence = "Permission is granted to use, copy, modify and sell this work with or without fee, \
                   provided that this notice is kept in every copy that is made of it by anyone.";
    let tree = Tree::new(&[
        ("docs/a.txt", licence),
        ("docs/b.txt", &format!("{licence} Copyright 2024.")),
        ("docs/sub/c.txt", &licence.to_uppercase()),
        (
            "docs/d.txt",
            "Permission to copy is a matter of courtesy; to sell a copy is another matter.",
        ),
    ]);
    let hits = find(&tree.open().await.unwrap(), "permission to copy and sell").await;
    assert_eq!(hits.len(), 2, "{hits:#?}");
    let merged = hits.iter().find(|hit| !hit.also_at.is_empty()).unwrap();
    let mut places: Vec<_> = merged.also_at.iter().map(|place| tree.short(&place.source)).collect();
    places.push(tree.short(&merged.source));
    places.sort();
    assert_eq!(places, ["docs/a.txt", "docs/b.txt", "docs/sub/c.txt"]);
    assert_eq!((merged.also_at[0].start_line, merged.also_at[0].end_line), (1, 1));
}

#[tokio::test]
async fn files_take_turns() {
    let section =
        |i: usize| format!("## Part {i}\n\nalpha beta number{i} is told of here, thing{i}\n\n");
    let tree = Tree::new(&[("docs/many.md", &(0..6).map(section).collect::<String>())]);
    tree.write(
        "docs/single.md",
        "## Part\n\nalpha beta, and a few words more than there, only few\n",
    );
    let place = |found: &[String]| found.iter().position(|name| name == "single.md").unwrap();
    let fair = names(&tree.open().await.unwrap(), "alpha beta").await;
    let mut options = SearchOptions::default();
    options.same_source_factor = 1.0;
    let options = CorpusOptions::new([tree.path("docs")]).search(options);
    let unfair = names(&Corpus::open(options).await.unwrap(), "alpha beta").await;
    assert!(place(&fair) < place(&unfair), "{fair:?} {unfair:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_run_side_by_side() {
    let tree = films();
    let corpus = tree.open().await.unwrap();
    let expected = find(&corpus, "night train").await;
    let searches: Vec<_> = (0..32).map(|_| corpus.search(Query::new("night train"))).collect();
    // A search that nobody waits for is dropped without harm.
    drop(corpus.search(Query::new("rice")));
    for search in searches {
        assert_eq!(search.await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_corpus_introduces_itself() {
    let tree = films();
    let options = CorpusOptions::new([tree.path("docs")]).name("films").description("About films.");
    let corpus = Corpus::open(options).await.unwrap();
    assert_eq!((corpus.name(), corpus.description()), ("films", "About films."));
    let corpus = tree.open().await.unwrap();
    assert_eq!(corpus.name(), "documents");
    assert!(corpus.description().starts_with("5 files under "));
}

//! Search by words and vectors: what is embedded when, what is found, and what happens without.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use greenroom_core::BoxFuture;
use greenroom_core::budget::Usage;
use greenroom_core::embedder::{Embedder, Embeddings};
use greenroom_core::model::{ModelError, ModelErrorKind};
use greenroom_core::retriever::{Passage, Query, Ranks, RetrieveErrorKind, Retriever as _};
use greenroom_retrieval::{Corpus, CorpusErrorKind, Embedding, IngestReport, NoticeCode, Progress};
use greenroom_testkit::HashedEmbedder;
use tokio::time::Instant;

use crate::tree::{Tree, find, names, notices};

const DOCS: [(&str, &str); 3] = [
    ("docs/mailbox.md", "# Mailboxes\n\nThe default capacity of a mailbox is 64 messages.\n"),
    ("docs/colour.md", "# Colours\n\nThe door of the theatre is painted green.\n"),
    ("docs/food.md", "# Food\n\nSoup is served at noon.\n"),
];

/// More passages than one request carries: 130, each a file.
fn many() -> Tree {
    let tree = Tree::new(&[]);
    for i in 0..130 {
        tree.write(&format!("docs/{i}.md"), format!("page number {i} of the book"));
    }
    tree
}

async fn open(tree: &Tree, embedder: &HashedEmbedder) -> Corpus {
    Corpus::open(tree.stored().embedding(one_by_one(embedder))).await.expect("it opens")
}

fn one_by_one(embedder: &HashedEmbedder) -> Embedding {
    Embedding::new(embedder.clone()).concurrency(1)
}

fn n_embedded(report: &IngestReport) -> u64 {
    assert_eq!(report.embedding_usage.model_calls > 0, report.n_embedded > 0);
    report.n_embedded
}

#[tokio::test]
async fn vectors_find_what_is_spelled_otherwise_and_ranks_say_why() {
    let tree = Tree::new(&DOCS);
    let plain = Corpus::open(tree.stored()).await.unwrap();
    assert!(find(&plain, "mailbxo capasity").await.is_empty(), "no word is right");

    let corpus = open(&tree, &HashedEmbedder::new("hashed")).await;
    let found = find(&corpus, "mailbxo capasity").await;
    assert!(found[0].source.ends_with("mailbox.md"), "{found:?}");
    assert_eq!(found[0].ranks, Some(Ranks { words: None, vectors: Some(1) }));
    assert!((found[0].score - 1.0 / 61.0).abs() < 1e-6);

    let found = find(&corpus, "what is the capacity of a mailbox?").await;
    assert_eq!(found[0].ranks, Some(Ranks { words: Some(1), vectors: Some(1) }));
    assert!((found[0].score - 2.0 / 61.0).abs() < 1e-6);
    let cost = corpus.find(Query::new("soup")).await.unwrap().cost.expect("it asked a model");
    assert_eq!((cost.model.as_str(), cost.usage.model_calls), ("hashed", 1));
}

#[tokio::test]
async fn without_an_embedder_nothing_is_otherwise() {
    let tree = Tree::new(&DOCS);
    let plain = Corpus::open(tree.stored()).await.unwrap();
    let before = find(&plain, "the capacity of the door").await;
    assert!(before.iter().all(|passage| passage.ranks.is_none()));
    drop(open(&tree, &HashedEmbedder::new("hashed")).await);
    let plain = Corpus::open(tree.stored()).await.unwrap();
    assert_eq!(find(&plain, "the capacity of the door").await, before);
    assert_eq!(plain.find(Query::new("door")).await.unwrap().cost, None);
    let report = plain.report();
    assert_eq!((report.n_embedded, report.embedding_usage.model_calls, report.n_read), (0, 0, 0));
}

#[tokio::test]
async fn only_what_is_new_or_changed_is_embedded() {
    let tree = Tree::new(&DOCS);
    let embedder = HashedEmbedder::new("hashed");
    assert_eq!(n_embedded(open(&tree, &embedder).await.report()), 3);
    let colours = "# Colours\n\nThe door of the theatre is painted green.".to_owned();
    assert!(embedder.asked().contains(&colours), "{embedder:?}");
    assert_eq!(n_embedded(open(&tree, &embedder).await.report()), 0);

    tree.write("docs/food.md", "# Food\n\nSoup is served at noon, and bread is served with it.\n");
    tree.write("docs/copy/colour.md", DOCS[1].1);
    tree.write("docs/new.md", "Something else\n");
    tree.write("docs/twice/a.md", "Twice the same\n");
    tree.write("docs/twice/b.md", "Twice the same\n");
    let corpus = open(&tree, &embedder).await;
    assert_eq!(n_embedded(corpus.report()), 3);
    let mut asked = embedder.asked().split_off(3);
    asked.sort();
    assert!(
        asked[0].starts_with("# Food\n\nSoup") && asked[1] == "Something else" && asked.len() == 3,
        "{asked:?}"
    );
    assert_eq!(names(&corpus, "breda servd").await[0], "food.md");

    // A file that is moved, and an index that is thrown away, take their vectors along.
    fs::rename(tree.path("docs/new.md"), tree.path("docs/newer.md")).unwrap();
    assert_eq!(n_embedded(open(&tree, &embedder).await.report()), 0);
    for entry in fs::read_dir(tree.path("store")).unwrap() {
        fs::remove_dir_all(entry.unwrap().path().join("index")).unwrap();
    }
    let corpus = open(&tree, &embedder).await;
    assert_eq!(notices(&corpus), [(NoticeCode::IndexRebuilt, 1)]);
    assert_eq!(n_embedded(corpus.report()), 0);
    assert_eq!(names(&corpus, "somethnig").await[0], "newer.md");
}

#[tokio::test]
async fn another_model_embeds_everything_anew_and_says_so() {
    let tree = Tree::new(&DOCS);
    drop(open(&tree, &HashedEmbedder::new("one")).await);
    let corpus = open(&tree, &HashedEmbedder::new("two")).await;
    assert_eq!(notices(&corpus), [(NoticeCode::EmbedderChanged, 1)]);
    assert_eq!(n_embedded(corpus.report()), 3);
    assert!(notices(&open(&tree, &HashedEmbedder::new("two")).await).is_empty());

    // The same name, but vectors that cannot be compared with those that are there.
    tree.write("docs/new.md", "Something else\n");
    let longer = HashedEmbedder::new("two").dimensions(80);
    let corpus = open(&tree, &longer).await;
    assert_eq!(notices(&corpus), [(NoticeCode::EmbedderChanged, 1)]);
    assert_eq!((n_embedded(corpus.report()), longer.asked().len()), (4, 5));
    assert_eq!(names(&corpus, "somethnig").await[0], "new.md");
}

#[tokio::test]
async fn what_was_interrupted_goes_on_where_it_was() {
    let tree = many();
    let embedder = HashedEmbedder::new("hashed").hanging_after(1);
    {
        let opening = open(&tree, &embedder);
        let reached = async {
            while embedder.n_requests() < 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            () = reached => {}
            _ = opening => panic!("it hangs"),
        }
    }
    let n_before = embedder.asked().len();
    let corpus = open(&tree, &embedder).await;
    assert_eq!((n_before, n_embedded(corpus.report())), (128, 66));
    assert_eq!(embedder.asked().len(), 128 + 66);

    // A process that dies while it writes leaves a torn record, which is embedded again.
    let file = tree.vectors();
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() - 7]).unwrap();
    let corpus = open(&tree, &embedder).await;
    assert_eq!((n_embedded(corpus.report()), notices(&corpus)), (1, vec![]));
    assert_eq!(fs::read(&file).unwrap().len(), bytes.len());
    assert_eq!(n_embedded(open(&tree, &embedder).await.report()), 0);
}

#[tokio::test]
async fn an_embedder_that_fails_leaves_the_words_and_a_notice() {
    let tree = many();
    let embedder = HashedEmbedder::new("hashed").failing_after(1, ModelErrorKind::Unavailable);
    let corpus = open(&tree, &embedder).await;
    let notice = &corpus.report().notices[0];
    assert_eq!((notice.code, notice.code.as_str()), (NoticeCode::NotEmbedded, "GR0221"));
    assert!(notice.to_string().contains("model hashed: as the test says"), "{notice}");
    // Some passages with vectors would push the others down, so no vector counts.
    let found = find(&corpus, "page 7").await;
    assert!(found.iter().all(|passage| passage.ranks.is_none()) && !found.is_empty());
    assert_eq!(corpus.without_vectors(), (0, None));

    let strict = tree.stored().embedding(
        Embedding::new(HashedEmbedder::new("other").failing_after(0, ModelErrorKind::Auth))
            .strict(),
    );
    let error = Corpus::open(strict).await.expect_err("it must not do without");
    assert_eq!((error.kind(), error.code()), (CorpusErrorKind::Embedding, "GR0205"));
    assert_eq!(n_embedded(open(&tree, &embedder).await.report()), 66, "the rest");
}

/// Gives the vectors that a function says, each answer for seven tokens.
struct Says(fn(&[String]) -> Vec<Vec<f32>>);

impl Embedder for Says {
    fn name(&self) -> &str {
        "says"
    }

    fn embed(&self, texts: Arc<[String]>) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
        let usage = Usage { model_calls: 1, input_tokens: 7, ..Usage::default() };
        Box::pin(std::future::ready(Ok(Embeddings { vectors: self.0(&texts), usage })))
    }
}

#[tokio::test]
async fn an_answer_that_is_of_no_use_was_paid_for() {
    let one = Says(|_| vec![vec![1.0]]);
    let uneven = Says(|texts| (1..=texts.len()).map(|len| vec![1.0; len]).collect());
    let no_number = Says(|texts| vec![vec![f32::NAN]; texts.len()]);
    for (embedder, says) in [
        (one, "1 vectors for 3 texts"),
        (uneven, "not every vector has 1 numbers"),
        (no_number, "not every vector has 1 numbers"),
    ] {
        let tree = Tree::new(&DOCS);
        let corpus = Corpus::open(tree.stored().embedding(Embedding::new(embedder))).await.unwrap();
        let report = corpus.report();
        assert!(report.notices[0].to_string().contains(says), "{report:?}");
        let usage = report.embedding_usage;
        assert_eq!((report.n_embedded, usage.model_calls, usage.input_tokens), (0, 1, 7));
    }
}

#[tokio::test]
async fn a_question_with_a_vector_of_another_length_is_searched_for_by_words() {
    let tree = Tree::new(&DOCS);
    let embedder = Says(|texts| vec![vec![1.0; texts.len()]; texts.len()]);
    let corpus = Corpus::open(tree.stored().embedding(Embedding::new(embedder))).await.unwrap();
    let found = corpus.find(Query::new("green door")).await.unwrap();
    assert!(found.passages[0].source.ends_with("colour.md"));
    let without = found.without.expect("it says so");
    assert!(without.message.contains("not every vector has 3 numbers"), "{without}");
    assert_eq!(found.cost.expect("it was paid for").usage.input_tokens, 7);
}

/// One ranking puts the first before the second, the other the second before the first. Which is shown first does
/// not depend on the rankings, nor on how the index is laid out.
#[tokio::test]
async fn equals_are_in_the_order_of_their_places() {
    for (first, second) in [("a.md", "b.md"), ("b.md", "a.md")] {
        let tree = Tree::new(&[]);
        tree.write(
            &format!("docs/{first}"),
            "The mailbox of the theatre holds a letter, a mailbox.",
        );
        tree.write(
            &format!("docs/{second}"),
            "A letter came by the boat, and another one by train.",
        );
        let embedder = Says(|texts| {
            let vector = |text: &String| {
                if text.contains("theatre") { vec![0.8, 0.6] } else { vec![1.0, 0.0] }
            };
            texts.iter().map(vector).collect()
        });
        let corpus = Corpus::open(tree.stored().embedding(Embedding::new(embedder))).await.unwrap();
        let found = find(&corpus, "mailbox letter").await;
        let ranks = |passage: &Passage| passage.ranks.map(|ranks| (ranks.words, ranks.vectors));
        let places: Vec<_> = found.iter().map(|p| (p.source.as_str(), ranks(p))).collect();
        assert_eq!(found[0].score, found[1].score, "{places:?}");
        assert!(found[0].source.ends_with("a.md"), "{places:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_that_is_not_embedded_is_searched_for_by_words() {
    let tree = Tree::new(&DOCS);
    let embedder = HashedEmbedder::new("hashed");
    let corpus = open(&tree, &embedder).await;
    embedder.fail(ModelErrorKind::RateLimited);
    let found = corpus.find(Query::new("green door")).await.unwrap();
    assert!(found.passages[0].source.ends_with("colour.md") && found.cost.is_none());
    let without = found.without.expect("it says so");
    assert_eq!(without.kind, RetrieveErrorKind::Unavailable);
    assert!(without.message.starts_with("[GR0223] the question was not embedded: model hashed"));

    embedder.hang();
    let begun = Instant::now();
    let found = corpus.find(Query::new("green door")).await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 10);
    let without = found.without.expect("it says so");
    assert_eq!(without.kind, RetrieveErrorKind::Timeout);
    assert_eq!(corpus.without_vectors(), (2, Some(without)));

    embedder.recover();
    assert_eq!(corpus.find(Query::new("green door")).await.unwrap().without, None);
    assert_eq!(corpus.without_vectors().0, 2);

    let strict = Embedding::new(embedder.clone()).strict().query_timeout(Duration::from_secs(1));
    let corpus = Corpus::open(tree.stored().embedding(strict)).await.unwrap();
    embedder.hang();
    let error = corpus.search(Query::new("green door")).await.expect_err("it must not do without");
    assert_eq!(error.kind, RetrieveErrorKind::Timeout);
}

#[tokio::test]
async fn damaged_vectors_are_made_again() {
    let tree = Tree::new(&DOCS);
    let embedder = HashedEmbedder::new("hashed");
    drop(open(&tree, &embedder).await);
    let file = tree.vectors();
    let sound = fs::read(&file).unwrap();
    for (at, n_again, wanted) in
        [(10, 3, vec![(NoticeCode::VectorsRebuilt, 1)]), (sound.len() / 2, 1, vec![])]
    {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        fs::write(&file, bytes).unwrap();
        let corpus = open(&tree, &embedder).await;
        assert_eq!((n_embedded(corpus.report()), notices(&corpus)), (n_again, wanted), "{at}");
        assert_eq!(names(&corpus, "mailbxo").await[0], "mailbox.md");
    }
    fs::write(&file, "").unwrap();
    assert_eq!(n_embedded(open(&tree, &embedder).await.report()), 3);
}

#[tokio::test]
async fn vectors_of_passages_that_are_gone_go_when_they_are_the_most() {
    let tree = Tree::new(&DOCS);
    let embedder = HashedEmbedder::new("hashed").dimensions(2);
    for i in 0..1_100 {
        tree.write(&format!("docs/more/{i}.md"), format!("page {i}"));
    }
    drop(open(&tree, &embedder).await);
    let len = || fs::metadata(tree.vectors()).unwrap().len();
    let all = len();
    fs::remove_dir_all(tree.path("docs/more")).unwrap();
    let corpus = open(&tree, &embedder).await;
    assert_eq!(n_embedded(corpus.report()), 0);
    assert_eq!((all - len()) % 28, 0);
    assert_eq!((all - len()) / 28, 1_100);
    assert_eq!(n_embedded(open(&tree, &embedder).await.report()), 0);
}

#[tokio::test]
async fn only_one_process_embeds_a_store_and_the_other_searches_by_words() {
    let tree = Tree::new(&DOCS);
    let (first, second) = (HashedEmbedder::new("hashed"), HashedEmbedder::new("hashed"));
    first.hang();
    let options = tree.stored().embedding(one_by_one(&first));
    let meanwhile = async {
        while first.n_requests() == 0 {
            tokio::task::yield_now().await;
        }
        let corpus = open(&tree, &second).await;
        let wanted = [(NoticeCode::IndexBusy, 1), (NoticeCode::NotEmbedded, 1)];
        assert_eq!((notices(&corpus).as_slice(), second.n_requests()), (&wanted[..], 0));
        assert_eq!(names(&corpus, "green door").await[0], "colour.md");
    };
    tokio::select! {
        biased;
        _ = Corpus::open(options) => panic!("it hangs"),
        () = meanwhile => {}
    }
}

/// Counts how many requests are under way at once.
struct Counted(HashedEmbedder, Arc<AtomicUsize>, Arc<AtomicUsize>);

impl Embedder for Counted {
    fn name(&self) -> &str {
        "counted"
    }

    fn embed(&self, texts: Arc<[String]>) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
        let (now, most) = (Arc::clone(&self.1), Arc::clone(&self.2));
        let found = self.0.embed(texts);
        Box::pin(async move {
            let n = now.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(n, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(1)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            found.await
        })
    }
}

#[tokio::test(start_paused = true)]
async fn requests_are_bounded_and_progress_is_told() {
    let tree = many();
    for i in 130..700 {
        tree.write(&format!("docs/{i}.md"), format!("page number {i} of the book"));
    }
    let most = Arc::new(AtomicUsize::new(0));
    let counted = Counted(HashedEmbedder::new("h"), Arc::default(), Arc::clone(&most));
    let progress = Progress::default();
    let options = tree.stored().embedding(Embedding::new(counted).concurrency(3));
    let corpus = Corpus::open(options.progress(progress.clone())).await.unwrap();
    assert_eq!((most.load(Ordering::SeqCst), n_embedded(corpus.report())), (3, 700));
    let now = progress.snapshot();
    assert_eq!((now.n_to_embed, now.n_embedded, now.done), (700, 700, true));
}

#[tokio::test]
async fn a_corpus_in_memory_has_vectors_as_well() {
    let tree = Tree::new(&DOCS);
    let embedder = HashedEmbedder::new("hashed");
    let options = greenroom_retrieval::CorpusOptions::new([tree.path("docs")]);
    let in_memory = Corpus::open(options.embedding(one_by_one(&embedder))).await.unwrap();
    let on_disk = open(&tree, &embedder).await;
    let found = |passages: Vec<Passage>| -> Vec<_> {
        passages.into_iter().map(|passage| (passage.source, passage.score, passage.ranks)).collect()
    };
    let text = "the mailbxo of the theatre";
    assert_eq!(found(find(&in_memory, text).await), found(find(&on_disk, text).await));
    assert_eq!(n_embedded(in_memory.report()), 3);
}

#[tokio::test]
async fn words_of_the_model_are_put_before_what_is_embedded() {
    let page = format!("# Mailboxes\n\nFirst.\n\n## Bounds\n\n{}\n", "Bounded words. ".repeat(200));
    let tree = Tree::new(&[("docs/page.md", &page)]);
    let embedder = HashedEmbedder::new("nomic");
    let embedding = one_by_one(&embedder).prefixes("search_document: ", "search_query: ");
    let corpus = Corpus::open(tree.stored().embedding(embedding)).await.unwrap();
    let long = "capacity ".repeat(10_000);
    find(&corpus, &long).await;
    let asked = embedder.asked();
    // Headings stand above what does not begin with them.
    let begin = |asked: &String| asked.chars().take(45).collect::<String>();
    let mut begins: Vec<_> = asked.iter().map(begin).collect();
    begins.sort();
    let wanted = [
        "search_document: # Mailboxes\n\nFirst.",
        "search_document: Mailboxes\n## Bounds\n\nBounded",
        "search_query: capacity capacity capacity capa",
    ];
    assert_eq!(begins, wanted);
    assert!(asked.iter().all(|text| text.len() <= 8_000));
}

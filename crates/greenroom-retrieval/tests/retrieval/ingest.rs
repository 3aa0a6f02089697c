//! What is read, what is skipped and why, and how it is cited.

use std::fs::{self, File};

use greenroom_core::retriever::Retriever;
use greenroom_retrieval::{Corpus, CorpusErrorKind, CorpusOptions, NoticeCode, Progress};

use crate::tree::{Tree, find, names, notices};

#[tokio::test]
async fn a_corpus_that_cannot_be_opened_says_why() {
    let tree = Tree::new(&[("file.md", "text"), ("binary/x.bin", "a\0b"), ("blank/x.md", " \n\n")]);
    fs::create_dir(tree.path("empty")).unwrap();
    for (root, kind, code) in [
        ("nowhere", CorpusErrorKind::Missing, "GR0201"),
        ("file.md/below", CorpusErrorKind::Unreadable, "GR0202"),
        ("empty", CorpusErrorKind::Empty, "GR0203"),
        ("binary", CorpusErrorKind::Empty, "GR0203"),
        ("blank", CorpusErrorKind::Empty, "GR0203"),
    ] {
        let root = tree.path(root);
        let error = Corpus::open(CorpusOptions::new([&root])).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (kind, code), "{}", root.display());
        assert_eq!(error.path(), Some(root.as_path()));
        assert!(error.to_string().starts_with("corpus "), "{error}");
    }
    let none: [&str; 0] = [];
    let error = Corpus::open(CorpusOptions::new(none)).await.unwrap_err();
    assert_eq!(error.kind(), CorpusErrorKind::Empty);
}

#[tokio::test]
async fn one_missing_root_of_several_is_an_error() {
    let tree = Tree::new(&[("docs/a.md", "alpha")]);
    let options = CorpusOptions::new([tree.path("docs"), tree.path("nowhere")]);
    let error = Corpus::open(options).await.unwrap_err();
    assert_eq!(error.path(), Some(tree.path("nowhere").as_path()));
}

#[tokio::test]
async fn what_is_not_text_is_skipped_and_counted() {
    let tree = Tree::new(&[("docs/good.md", "alpha\n"), ("docs/large.md", &"alpha ".repeat(500))]);
    tree.write("docs/image.png", b"\x89PNG\0\0alpha");
    tree.write("docs/latin1.txt", b"caf\xe9 alpha");
    for i in 0..7 {
        tree.write(&format!("docs/bin/{i}.dat"), b"\0");
    }
    let options = CorpusOptions::new([tree.path("docs")]).file_bytes_max(1_000);
    let corpus = Corpus::open(options).await.unwrap();
    assert_eq!(
        notices(&corpus),
        [(NoticeCode::Binary, 8), (NoticeCode::NotUtf8, 1), (NoticeCode::TooLarge, 1)]
    );
    let binary = &corpus.report().notices[0];
    assert_eq!(binary.paths.len(), 5);
    assert!(binary.to_string().contains("bin/0.dat") && binary.to_string().ends_with("and 3 more"));
    assert_eq!(corpus.report().n_files, 1);
    assert_eq!(names(&corpus, "alpha").await, ["good.md"]);
}

#[tokio::test]
async fn a_file_of_two_gigabytes_is_not_read() {
    let tree = Tree::new(&[("docs/good.md", "alpha\n")]);
    File::create(tree.path("docs/huge.txt")).unwrap().set_len(2 << 30).unwrap();
    let corpus = tree.open().await.unwrap();
    assert_eq!(notices(&corpus), [(NoticeCode::TooLarge, 1)]);
    assert_eq!(corpus.report().bytes_read, 6);
}

#[cfg(unix)]
#[tokio::test]
async fn links_are_not_followed_and_loops_are_harmless() {
    use std::os::unix::fs::symlink;
    let tree = Tree::new(&[("docs/sub/a.md", "alpha\n"), ("outside/b.md", "beta\n")]);
    symlink(tree.path("docs"), tree.path("docs/sub/loop")).unwrap();
    symlink(tree.path("outside/b.md"), tree.path("docs/b.md")).unwrap();
    symlink(tree.path("nowhere"), tree.path("docs/dangling")).unwrap();
    let corpus = tree.open().await.unwrap();
    assert_eq!(corpus.report().n_files, 1);
    assert_eq!(notices(&corpus), [(NoticeCode::Symlink, 3)]);

    // A root that is a link is what the caller asked for.
    symlink(tree.path("outside"), tree.path("linked")).unwrap();
    let corpus = Corpus::open(CorpusOptions::new([tree.path("linked")])).await.unwrap();
    assert_eq!(tree.short(&find(&corpus, "beta").await[0].source), "linked/b.md");
}

#[tokio::test]
async fn ignored_and_hidden_files_are_left_out() {
    let tree = Tree::new(&[
        ("docs/.gitignore", "drafts/\n*.tmp.md\n"),
        ("docs/drafts/a.md", "alpha\n"),
        ("docs/b.tmp.md", "alpha\n"),
        ("docs/.hidden/c.md", "alpha\n"),
        ("docs/sub/.ignore", "d.md\n"),
        ("docs/sub/d.md", "alpha\n"),
        ("docs/sub/kept.md", "alpha\n"),
    ]);
    let corpus = tree.open().await.unwrap();
    assert_eq!(names(&corpus, "alpha").await, ["kept.md"]);
}

#[tokio::test]
async fn a_passage_is_cited_below_the_root_as_it_was_given() {
    let tree = Tree::new(&[
        ("one/same.md", "# One\n\nshared words, first\n"),
        ("two/same.md", "# Two\n\nshared words, second and more\n"),
    ]);
    let options =
        CorpusOptions::new([tree.path("one/."), tree.path("two"), tree.path("two/same.md")]);
    let corpus = Corpus::open(options).await.unwrap();
    assert_eq!(corpus.report().n_files, 2);
    let mut sources: Vec<_> =
        find(&corpus, "shared words").await.iter().map(|hit| tree.short(&hit.source)).collect();
    sources.sort();
    assert_eq!(sources, ["one/same.md", "two/same.md"]);
}

#[tokio::test]
async fn a_relative_root_gives_relative_citations() {
    // The tests of a package run in its directory.
    let corpus = Corpus::open(CorpusOptions::new(["./src"])).await.unwrap();
    let hits = find(&corpus, "stop words sorted stemmer").await;
    assert_eq!(hits[0].source, "src/analyze.rs");
    for hit in &hits {
        let text = fs::read_to_string(&hit.source).unwrap();
        let lines: Vec<_> = text.lines().collect();
        let cited = &lines[hit.start_line as usize - 1..hit.end_line as usize];
        assert_eq!(hit.text, cited.join("\n"));
    }
    let corpus = Corpus::open(CorpusOptions::new(["src/lines.rs"])).await.unwrap();
    assert_eq!(find(&corpus, "line").await[0].source, "src/lines.rs");
    assert_eq!(corpus.description(), "1 file under src/lines.rs");
}

#[tokio::test]
async fn a_byte_order_mark_and_carriage_returns_are_not_text() {
    let tree = Tree::new(&[("docs/a.md", "\u{feff}# Title\r\n\r\nalpha\r\nbeta\r\n")]);
    let hits = find(&tree.open().await.unwrap(), "alpha").await;
    assert_eq!((hits[0].start_line, hits[0].end_line), (1, 4));
    assert_eq!(
        (hits[0].text.as_str(), &hits[0].heading[..]),
        ("# Title\n\nalpha\nbeta", &["Title".to_owned()][..])
    );
}

#[tokio::test]
async fn progress_can_be_watched() {
    let tree = Tree::new(&[("docs/a.md", "alpha"), ("docs/b.md", "beta!")]);
    let progress = Progress::default();
    assert!(!progress.snapshot().done);
    Corpus::open(tree.stored().progress(progress.clone())).await.unwrap();
    let end = progress.snapshot();
    assert_eq!(
        (end.n_seen, end.n_to_read, end.n_read, end.bytes_read, end.done),
        (2, 2, 2, 10, true)
    );

    let progress = Progress::default();
    Corpus::open(CorpusOptions::new(["nowhere"]).progress(progress.clone())).await.unwrap_err();
    assert!(progress.snapshot().done);
}

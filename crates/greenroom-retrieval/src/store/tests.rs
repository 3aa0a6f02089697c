//! Tests of `store`.

use std::fs;

use super::{Opened, Store};
use crate::report::NoticeCode;
use crate::walk::resolve;
use crate::{Corpus, CorpusOptions};

fn options(dir: &std::path::Path) -> CorpusOptions {
    CorpusOptions::new([dir.join("docs")]).store_dir(dir.join("store"))
}

fn tree() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("docs")).unwrap();
    fs::write(dir.path().join("docs/a.md"), "# A\n\nalpha\n").unwrap();
    dir
}

fn codes(corpus: &Corpus) -> Vec<NoticeCode> {
    corpus.report().notices.iter().map(|notice| notice.code).collect()
}

#[tokio::test]
async fn while_another_writes_its_last_commit_is_searched() {
    let dir = tree();
    Corpus::open(options(dir.path())).await.unwrap();
    let roots = resolve(&[dir.path().join("docs")]).unwrap();
    let held = Store::on_disk(&dir.path().join("store"), &roots).unwrap();
    assert!(matches!(held, Opened::Ready(_)));

    fs::write(dir.path().join("docs/b.md"), "# B\n\nbeta\n").unwrap();
    let corpus = Corpus::open(options(dir.path())).await.unwrap();
    assert_eq!(codes(&corpus), [NoticeCode::IndexBusy]);
    assert_eq!(corpus.report().n_files, 1);

    drop(held);
    let corpus = Corpus::open(options(dir.path())).await.unwrap();
    assert_eq!((codes(&corpus), corpus.report().n_files), (vec![], 2));
}

#[tokio::test]
async fn while_another_builds_the_first_index_a_corpus_is_built_in_memory() {
    let dir = tree();
    let roots = resolve(&[dir.path().join("docs")]).unwrap();
    let held = Store::on_disk(&dir.path().join("store"), &roots).unwrap();
    let corpus = Corpus::open(options(dir.path())).await.unwrap();
    assert_eq!(codes(&corpus), [NoticeCode::IndexBusy]);
    assert_eq!((corpus.report().n_files, corpus.report().n_read), (1, 1));
    drop(held);

    // What was begun and never finished is no damage worth a notice.
    let corpus = Corpus::open(options(dir.path())).await.unwrap();
    assert_eq!(codes(&corpus), []);
}

#[test]
fn roots_have_one_directory_in_any_order_and_spelling() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    let name = |roots: &[&str]| {
        let roots: Vec<_> = roots.iter().map(|root| dir.path().join(root)).collect();
        super::dir_name(&resolve(&roots).unwrap())
    };
    assert_eq!(name(&["a", "b"]), name(&["b", "./a", "a/../a"]));
    assert_ne!(name(&["a", "b"]), name(&["a", "c"]));
    assert_ne!(name(&["a", "b"]), name(&["a"]));
}

//! The index on disk: what is read again, and what becomes of damage.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use greenroom_retrieval::{Corpus, CorpusErrorKind, CorpusOptions, IngestReport, NoticeCode};

use crate::tree::{Tree, find, names, notices};

async fn refresh(tree: &Tree) -> (Corpus, IngestReport) {
    let corpus = Corpus::open(tree.stored()).await.unwrap();
    let report = corpus.report().clone();
    (corpus, report)
}

/// Rewrites a file and moves its modification time, which a fast test might not.
fn change(tree: &Tree, path: &str, text: &str, seconds: u64) {
    tree.write(path, text);
    let file = OpenOptions::new().write(true).open(tree.path(path)).unwrap();
    file.set_modified(UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)).unwrap();
}

#[tokio::test]
async fn only_what_has_changed_is_read_again() {
    let tree = Tree::new(&[("docs/a.md", "alpha"), ("docs/b.md", "beta"), ("docs/c.bin", "\0")]);
    let (_, report) = refresh(&tree).await;
    assert_eq!((report.n_files, report.n_read, report.n_unchanged), (2, 3, 0));

    let (corpus, report) = refresh(&tree).await;
    assert_eq!((report.n_files, report.n_chunks, report.n_read, report.n_unchanged), (2, 2, 0, 3));
    assert_eq!(report.bytes_read, 0);
    // Skipped files are reported again although they are not read again.
    assert_eq!(notices(&corpus), [(NoticeCode::Binary, 1)]);

    change(&tree, "docs/b.md", "gamma", 1);
    tree.write("docs/d.md", "delta");
    tree.remove("docs/a.md");
    let (corpus, report) = refresh(&tree).await;
    assert_eq!((report.n_read, report.n_unchanged, report.n_removed, report.n_files), (2, 1, 1, 2));
    for (word, expected) in
        [("alpha", None), ("beta", None), ("gamma", Some("b.md")), ("delta", Some("d.md"))]
    {
        assert_eq!(names(&corpus, word).await, Vec::from_iter(expected), "{word}");
    }

    // The same size, another time.
    change(&tree, "docs/b.md", "omega", 2);
    let (corpus, report) = refresh(&tree).await;
    assert_eq!(report.n_read, 1);
    assert_eq!(names(&corpus, "omega").await, ["b.md"]);
    assert_eq!(names(&corpus, "gamma").await, [""; 0]);
}

#[tokio::test]
async fn a_corpus_on_disk_answers_as_one_in_memory() {
    let tree = Tree::new(&[]);
    for i in 0..40 {
        tree.write(&format!("docs/{i}.md"), format!("# Page {i}\n\nshared words and word{i}\n"));
    }
    refresh(&tree).await;
    let stored = find(&refresh(&tree).await.0, "shared words word7").await;
    let in_memory = find(&tree.open().await.unwrap(), "shared words word7").await;
    assert_eq!(stored, in_memory);
    assert_eq!(tree.short(&stored[0].source), "docs/7.md");
}

#[tokio::test]
async fn the_index_is_never_indexed() {
    let tree = Tree::new(&[("docs/a.md", "alpha")]);
    for store in ["docs/cache", "docs"] {
        let options = CorpusOptions::new([tree.path("docs")]).store_dir(tree.path(store));
        for _ in 0..2 {
            let corpus = Corpus::open(options.clone()).await.unwrap();
            assert_eq!(corpus.report().n_files, 1, "{store}");
            assert_eq!(notices(&corpus), [], "{store}");
        }
    }
    // A store that holds the root does not hide it.
    let options = CorpusOptions::new([tree.path("docs")]).store_dir(tree.path(""));
    assert_eq!(Corpus::open(options).await.unwrap().report().n_files, 1);
}

#[tokio::test]
async fn corpora_share_a_store_without_mixing() {
    let tree = Tree::new(&[("one/a.md", "alpha"), ("two/b.md", "alpha")]);
    for _ in 0..2 {
        for (root, name) in [("one", "a.md"), ("two", "b.md")] {
            let options = CorpusOptions::new([tree.path(root)]).store_dir(tree.path("store"));
            assert_eq!(names(&Corpus::open(options).await.unwrap(), "alpha").await, [name]);
        }
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_written_leaves_the_index_in_memory() {
    let tree = Tree::new(&[("docs/a.md", "alpha"), ("file", "not a directory")]);
    let options = CorpusOptions::new([tree.path("docs")]).store_dir(tree.path("file/store"));
    let corpus = Corpus::open(options).await.unwrap();
    assert_eq!(notices(&corpus), [(NoticeCode::StoreNotWritable, 1)]);
    assert_eq!(names(&corpus, "alpha").await, ["a.md"]);
}

#[tokio::test]
async fn a_corpus_that_becomes_empty_is_an_error_and_recovers() {
    let tree = Tree::new(&[("docs/a.md", "alpha")]);
    refresh(&tree).await;
    tree.remove("docs/a.md");
    let error = Corpus::open(tree.stored()).await.unwrap_err();
    assert_eq!(error.kind(), CorpusErrorKind::Empty);
    tree.write("docs/b.md", "beta");
    let (corpus, _) = refresh(&tree).await;
    assert_eq!((names(&corpus, "beta").await, notices(&corpus)), (vec!["b.md".to_owned()], vec![]));
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// A way to damage a file, of which the content is given.
type Damage = fn(&Path, &[u8]);

const DAMAGES: [(&str, Damage); 6] = [
    ("emptied", |path, _| fs::write(path, "").unwrap()),
    ("cut in half", |path, bytes| fs::write(path, &bytes[..bytes.len() / 2]).unwrap()),
    ("cut by a byte", |path, bytes| fs::write(path, &bytes[..bytes.len() - 1]).unwrap()),
    ("overwritten", |path, bytes| fs::write(path, vec![0xa5; bytes.len()]).unwrap()),
    ("flipped in the middle", |path, bytes| {
        let mut bytes = bytes.to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x40;
        fs::write(path, bytes).unwrap();
    }),
    ("removed", |path, _| fs::remove_file(path).unwrap()),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_to_any_file_of_the_index_is_repaired() {
    let tree = Tree::new(&[]);
    for i in 0..12 {
        tree.write(&format!("docs/{i}.md"), format!("# Page {i}\n\nshared words and word{i}\n"));
    }
    refresh(&tree).await;
    // A deletion, so that there is a file of deletions to damage.
    tree.remove("docs/3.md");
    let (corpus, _) = refresh(&tree).await;
    let expected = find(&corpus, "shared words word7").await;
    drop(corpus);
    let mut n_rebuilt = 0;
    let mut n_damaged = 0;
    for (how, damage) in DAMAGES {
        for i in 0.. {
            let files: Vec<_> = files_below(&tree.path("store"))
                .into_iter()
                .filter(|path| fs::metadata(path).unwrap().len() > 0)
                .collect();
            let Some(path) = files.get(i) else { break };
            damage(path, &fs::read(path).unwrap());
            n_damaged += 1;
            let (corpus, report) = refresh(&tree).await;
            let found = find(&corpus, "shared words word7").await;
            let what = format!("{} {how}: {report:?}", path.display());
            assert_eq!(report.n_files, 11, "{what}");
            let places = |hits: &[greenroom_core::retriever::Passage]| {
                hits.iter().map(|hit| hit.location()).collect::<Vec<_>>()
            };
            assert_eq!(places(&found), places(&expected), "{what}");
            n_rebuilt += usize::from(notices(&corpus) == [(NoticeCode::IndexRebuilt, 1)]);
        }
    }
    // A damaged list of managed files (`.managed.json`) does not make the index wrong.
    assert!(n_damaged > 40 && n_rebuilt * 10 >= n_damaged * 8, "{n_rebuilt} of {n_damaged}");
}

#[tokio::test]
async fn a_foreign_directory_is_rebuilt() {
    let tree = Tree::new(&[("docs/a.md", "alpha")]);
    refresh(&tree).await;
    let dir = fs::read_dir(tree.path("store")).unwrap().next().unwrap().unwrap().path();
    fs::remove_dir_all(dir.join("index")).unwrap();
    fs::create_dir(dir.join("index")).unwrap();
    fs::write(dir.join("index/meta.json"), "{\"not\": \"ours\"}").unwrap();
    let (corpus, report) = refresh(&tree).await;
    assert_eq!(notices(&corpus), [(NoticeCode::IndexRebuilt, 1)]);
    assert_eq!(report.n_read, 1);
    assert_eq!(notices(&refresh(&tree).await.0), []);
}

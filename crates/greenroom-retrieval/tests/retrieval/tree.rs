//! A directory of files that lives as long as a test.

use std::fs;
use std::path::{Path, PathBuf};

use greenroom_core::retriever::{Passage, Query, Retriever};
use greenroom_retrieval::{Corpus, CorpusError, CorpusOptions, NoticeCode};

pub(crate) struct Tree(tempfile::TempDir);

impl Tree {
    /// A tree with these files.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for (path, text) in files {
            tree.write(path, text);
        }
        tree
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.path(path)).unwrap();
    }

    /// The options for `docs`, with the index on disk in `store`.
    pub(crate) fn stored(&self) -> CorpusOptions {
        CorpusOptions::new([self.path("docs")]).store_dir(self.path("store"))
    }

    /// The file of the vectors of `docs`.
    pub(crate) fn vectors(&self) -> PathBuf {
        let corpus = fs::read_dir(self.path("store")).unwrap().next().unwrap().unwrap();
        corpus.path().join("vectors")
    }

    /// Opens `docs` in memory.
    pub(crate) async fn open(&self) -> Result<Corpus, CorpusError> {
        Corpus::open(CorpusOptions::new([self.path("docs")])).await
    }

    /// A source as it is shown, without the directory of the test.
    pub(crate) fn short(&self, source: &str) -> String {
        let root = self.0.path().to_str().unwrap();
        source.strip_prefix(root).unwrap_or(source).trim_start_matches('/').to_owned()
    }
}

pub(crate) async fn find(corpus: &Corpus, text: &str) -> Vec<Passage> {
    corpus.search(Query::new(text)).await.unwrap()
}

/// The file names of what is found, best first.
pub(crate) async fn names(corpus: &Corpus, text: &str) -> Vec<String> {
    let name = |passage: Passage| {
        Path::new(&passage.source).file_name().unwrap().to_str().unwrap().to_owned()
    };
    find(corpus, text).await.into_iter().map(name).collect()
}

/// The notices as code and count.
pub(crate) fn notices(corpus: &Corpus) -> Vec<(NoticeCode, u64)> {
    corpus.report().notices.iter().map(|notice| (notice.code, notice.count)).collect()
}

//! What a caller chooses: where the files are, where the index is kept, how search is tuned.

use std::path::PathBuf;

use crate::embedding::Embedding;
use crate::report::Progress;

/// The default limit on the size of a file, in bytes.
const FILE_BYTES_MAX: u64 = 32 << 20;

/// How a corpus is opened.
#[derive(Debug, Clone)]
pub struct CorpusOptions {
    pub(crate) roots: Vec<PathBuf>,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) store_dir: Option<PathBuf>,
    pub(crate) file_bytes_max: u64,
    pub(crate) search: SearchOptions,
    pub(crate) progress: Progress,
    pub(crate) embedding: Option<Embedding>,
}

impl CorpusOptions {
    /// A corpus of the files under these directories (or of these files), named `documents`, with
    /// the index in memory.
    #[must_use]
    pub fn new<P: Into<PathBuf>>(roots: impl IntoIterator<Item = P>) -> Self {
        Self {
            roots: roots.into_iter().map(Into::into).collect(),
            name: "documents".into(),
            description: None,
            store_dir: None,
            file_bytes_max: FILE_BYTES_MAX,
            search: SearchOptions::default(),
            progress: Progress::default(),
            embedding: None,
        }
    }

    /// The name of the source, unique within a team.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// What the source holds, in one line; by default a count of files and the roots.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Keeps the index on disk, in a directory of its own below `dir`, so that the next opening
    /// reads only what has changed. One `dir` serves any number of corpora.
    #[must_use]
    pub fn store_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.store_dir = Some(dir.into());
        self
    }

    /// Files above so many bytes are not read. The default is 32 MiB.
    #[must_use]
    pub fn file_bytes_max(mut self, bytes: u64) -> Self {
        self.file_bytes_max = bytes;
        self
    }

    /// How search is tuned.
    #[must_use]
    pub fn search(mut self, options: SearchOptions) -> Self {
        self.search = options;
        self
    }

    /// A handle to watch ingest with.
    #[must_use]
    pub fn progress(mut self, progress: Progress) -> Self {
        self.progress = progress;
        self
    }

    /// Searches by vectors besides words. The vectors are kept beside the index; by default there are none.
    #[must_use]
    pub fn embedding(mut self, embedding: Embedding) -> Self {
        self.embedding = Some(embedding);
        self
    }
}

/// How search weighs what it finds. The defaults are meant to be left alone; [`bm25`](Self::bm25)
/// is what they are measured against.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct SearchOptions {
    /// BM25: how soon repetitions of a term stop counting. Default 1.2.
    pub k1: f32,
    /// BM25: how much long passages are discounted, 0 to 1. Default 0.75.
    pub b: f32,
    /// How much a term in a heading or file name counts, against 1 in the text (BM25F). Default 2.
    pub title_weight: f32,
    /// The weight of words that the best passages share but the query lacks (relevance feedback),
    /// 0 to 1. Default 0.4.
    pub feedback_weight: f32,
    /// How many passages feedback reads. Default 5.
    pub feedback_passages: usize,
    /// How many words feedback adds. Default 20.
    pub feedback_terms: usize,
    /// The weight of query words that stand next to each other or close. Default 0.2.
    pub proximity_weight: f32,
    /// The second hop: the share of its score that one of the best passages passes on to the
    /// passages whose title it names, 0 to 1; less for titles of common words. Default 0.4.
    pub bridge_weight: f32,
    /// How many of the best passages the second hop starts from. Default 5.
    pub bridge_passages: usize,
    /// How many passages are examined closely for one query. Default 60.
    pub depth: usize,
    /// The factor on the score of each further passage of the same file. Default 0.95.
    pub same_source_factor: f32,
    /// The share of common three-word shingles from which on passages are merged. Default 0.8.
    pub duplicate_similarity: f32,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self {
            k1: 1.2,
            b: 0.75,
            title_weight: 2.0,
            feedback_weight: 0.4,
            feedback_passages: 5,
            feedback_terms: 20,
            proximity_weight: 0.2,
            bridge_weight: 0.4,
            bridge_passages: 5,
            depth: 60,
            same_source_factor: 0.95,
            duplicate_similarity: 0.8,
        }
    }
}

impl SearchOptions {
    /// BM25 with the usual parameters and nothing else: the baseline of the benchmarks.
    #[must_use]
    pub fn bm25() -> Self {
        Self {
            k1: 1.2,
            b: 0.75,
            title_weight: 0.0,
            feedback_weight: 0.0,
            proximity_weight: 0.0,
            bridge_weight: 0.0,
            same_source_factor: 1.0,
            ..Self::default()
        }
    }
}

//! Measures retrieval: quality on two public data sets, speed on a synthetic corpus.
//!
//! Quality is always shown beside plain BM25 over the same index in the same run. Nothing here is
//! tuned to a data set: the rows run [`SearchOptions`] as users have them.
//!
//! Data sets: the Cranfield collection (Cleverdon 1967; 1,400 abstracts, 225 queries), and one
//! hundred questions of HotpotQA (Yang et al. 2018), each of which two documents answer together.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::analyze::Analyzer;
use crate::chunk::{Chunk, Format, chunks};
use crate::index::schema;
use crate::manifest::Manifest;
use crate::options::SearchOptions;
use crate::search::Engine;
use crate::store::Store;

mod cranfield;
mod hotpot;
mod speed;

pub use speed::{Speed, SpeedOptions, speed, write_corpus};

/// How well one data set is searched.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Quality {
    /// The data set.
    pub data: &'static str,
    /// What the figures are, for example `nDCG@10`.
    pub measure: &'static str,
    /// How many documents were searched.
    pub n_documents: usize,
    /// How many queries were asked.
    pub n_queries: usize,
    /// The figures by method.
    pub rows: Vec<QualityRow>,
}

/// How well one method searches.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct QualityRow {
    /// The method.
    pub method: &'static str,
    /// The mean over the queries, 0 to 1.
    pub value: f64,
}

/// Measures every data set that is found at `path`: the directory of one, or one that holds several.
///
/// # Errors
///
/// [`BenchError`] when there is no data set, or when one cannot be read.
pub fn quality(path: &Path) -> Result<Vec<Quality>, BenchError> {
    quality_of(
        path,
        &[("plain BM25", SearchOptions::bm25()), ("greenroom", SearchOptions::default())],
    )
}

/// As [`quality`], with methods of the caller's choice.
///
/// # Errors
///
/// [`BenchError`] when there is no data set, or when one cannot be read.
pub fn quality_of(
    path: &Path,
    methods: &[(&'static str, SearchOptions)],
) -> Result<Vec<Quality>, BenchError> {
    let mut dirs = vec![path.to_path_buf()];
    if let Ok(entries) = std::fs::read_dir(path) {
        let mut below: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        below.sort();
        dirs.extend(below);
    }
    let mut found = Vec::new();
    for dir in dirs {
        if cranfield::is_at(&dir) {
            found.push(cranfield::measure(&dir, methods)?);
        }
        if hotpot::is_at(&dir) {
            found.push(hotpot::measure(&dir, methods)?);
        }
    }
    if found.is_empty() {
        return Err(BenchError::new(BenchErrorKind::NoData, path));
    }
    Ok(found)
}

/// A document of a data set.
struct Document {
    id: String,
    title: String,
    text: String,
}

/// An index in memory of documents that are not files.
struct Collection {
    engine: Engine,
}

impl Collection {
    fn new(documents: &[Document]) -> io::Result<Self> {
        let fields = schema().1;
        let mut analyzer = Analyzer::default();
        let mut store = Store::in_memory();
        let writer = store.index.writer_with_num_threads(1, 64 << 20).map_err(io::Error::other)?;
        for document in documents {
            for (i, chunk) in chunks(Format::Text, &document.text).into_iter().enumerate() {
                let chunk = Chunk {
                    heading: vec![document.title.clone()],
                    begins_section: i == 0,
                    ..chunk
                };
                // A path that ends in a name without meaning: the title is in the heading.
                let path = format!("{}/index", document.id);
                let entry = fields.document(&path, false, chunk, &mut analyzer);
                writer.add_document(entry).map_err(io::Error::other)?;
            }
        }
        store.commit(writer, Manifest::default())?;
        Ok(Self { engine: Engine::open(&store.index).map_err(io::Error::other)? })
    }

    /// The ids of the best documents: each by its best passage.
    fn rank(&self, query: &str, n: usize, options: &SearchOptions) -> io::Result<Vec<String>> {
        let hits = self.engine.search(query, 2 * n, options, None).map_err(io::Error::other)?;
        let mut ids: Vec<String> = Vec::new();
        for hit in hits {
            let paths = std::iter::once(hit.path).chain(hit.also_at.into_iter().map(|at| at.0));
            for path in paths {
                let id = path.trim_end_matches("/index");
                if !ids.iter().any(|known| known == id) {
                    ids.push(id.to_owned());
                }
            }
        }
        ids.truncate(n);
        Ok(ids)
    }
}

/// Why a measurement could not be made.
#[derive(Debug, thiserror::Error)]
pub struct BenchError {
    kind: BenchErrorKind,
    path: PathBuf,
    #[source]
    source: Option<io::Error>,
}

impl BenchError {
    fn new(kind: BenchErrorKind, path: &Path) -> Self {
        Self { kind, path: path.to_path_buf(), source: None }
    }

    fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(io::Error::other(source));
        self
    }

    /// What policy reads.
    #[must_use]
    pub fn kind(&self) -> BenchErrorKind {
        self.kind
    }

    /// The file or directory that the error is about.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for BenchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            BenchErrorKind::NoData => "no data set that is known",
            BenchErrorKind::Unreadable => "a file of the data set cannot be read",
            BenchErrorKind::Malformed => "a file of the data set is not what it should be",
            BenchErrorKind::Unwritable => "the synthetic corpus cannot be written",
            BenchErrorKind::Index => "the index failed",
        };
        write!(f, "{}: {what}", self.path.display())
    }
}

/// The kinds of [`BenchError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BenchErrorKind {
    /// There is no data set at the path.
    NoData,
    /// A file of a data set cannot be read.
    Unreadable,
    /// A file of a data set does not have the form it should have.
    Malformed,
    /// The synthetic corpus cannot be written.
    Unwritable,
    /// The index failed.
    Index,
}

fn read(path: &Path) -> Result<String, BenchError> {
    std::fs::read_to_string(path)
        .map_err(|error| BenchError::new(BenchErrorKind::Unreadable, path).because(error))
}

fn index_failed(path: &Path) -> impl Fn(io::Error) -> BenchError {
    move |error| BenchError::new(BenchErrorKind::Index, path).because(error)
}

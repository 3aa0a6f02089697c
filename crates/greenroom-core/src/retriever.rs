//! The retrieval seam: passages, citations, and the fusion of several rankings.
//!
//! Fusion is here and not in `greenroom-retrieval` because a retrieval agent fuses sources of any
//! kind, and must not depend on one of them.

mod fusion;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::BoxFuture;
use crate::budget::{Estimate, Usage};

pub use fusion::{Fused, RRF_K, fuse, reciprocal_rank};

/// A source of passages: an index of files, a database, a search service.
pub trait Retriever: Send + Sync + 'static {
    /// The source's name, unique within a team.
    fn name(&self) -> &str;

    /// What the source holds, in one line, for the planner.
    fn description(&self) -> &str;

    /// The passages that fit the query, best first, at most `top_k` of them.
    ///
    /// # Errors
    ///
    /// [`RetrieveError`] when the source cannot be searched. No match is an empty list, not an error.
    fn search(&self, query: Query) -> BoxFuture<'static, Result<Vec<Passage>, RetrieveError>>;

    /// The same search, with what it cost and what it had to do without. A source that asks no model has
    /// nothing to add, which is what this says unless it is written anew.
    ///
    /// # Errors
    ///
    /// As [`search`](Self::search).
    fn find(&self, query: Query) -> BoxFuture<'static, Result<Found, RetrieveError>> {
        let search = self.search(query);
        Box::pin(async move { Ok(Found { passages: search.await?, ..Found::default() }) })
    }

    /// What a search will ask of a model, when it will ask one: whoever pays reserves it before.
    fn asks(&self, query: &Query) -> Option<ModelAsk> {
        let _ = query;
        None
    }
}

const _: fn(&dyn Retriever) = |_| {};

impl<R: Retriever + ?Sized> Retriever for Arc<R> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn description(&self) -> &str {
        (**self).description()
    }

    fn search(&self, query: Query) -> BoxFuture<'static, Result<Vec<Passage>, RetrieveError>> {
        (**self).search(query)
    }

    fn find(&self, query: Query) -> BoxFuture<'static, Result<Found, RetrieveError>> {
        (**self).find(query)
    }

    fn asks(&self, query: &Query) -> Option<ModelAsk> {
        (**self).asks(query)
    }
}

/// What a search will ask of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelAsk {
    /// The model, as it is named.
    pub model: String,
    /// What it will cost, as far as it is known.
    pub estimate: Estimate,
}

/// What a search found, and what it cost.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Found {
    /// The passages, best first.
    pub passages: Vec<Passage>,
    /// What was asked of a model on the way, when anything was.
    pub cost: Option<SearchCost>,
    /// What the search had to do without, although it answered.
    pub without: Option<RetrieveError>,
}

/// What a search asked of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchCost {
    /// The model, as it is named.
    pub model: String,
    /// What it used.
    pub usage: Usage,
}

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Query {
    /// Words or a question. Any text is valid; there is no query syntax to get wrong.
    pub text: String,
    /// The most passages to return.
    #[serde(default = "top_k_default")]
    pub top_k: usize,
    /// Whether no model may be asked: a source that has vectors is searched by words alone then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_words: bool,
}

fn top_k_default() -> usize {
    8
}

impl Query {
    /// A query for the default number of passages (8).
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), top_k: top_k_default(), by_words: false }
    }
}

/// A piece of a source, with where it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    /// The file or document, for example `docs/semantics.md`.
    pub source: String,
    /// The first line, counted from 1.
    pub start_line: u32,
    /// The last line, inclusive.
    pub end_line: u32,
    /// The headings above the passage, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heading: Vec<String>,
    /// How well the passage fits; comparable within one result list only.
    pub score: f32,
    /// The lines themselves, joined by `\n`, exactly as they stand in the source.
    pub text: String,
    /// Where the same text stands as well, when near-duplicates were merged into this passage.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_at: Vec<Location>,
    /// Where two rankings had the passage, when it was found by both words and vectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranks: Option<Ranks>,
}

/// The places of a passage in the rankings that were fused, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ranks {
    /// Its place by words; `None` when that ranking does not have it.
    pub words: Option<u32>,
    /// Its place by vectors; `None` when that ranking does not have it.
    pub vectors: Option<u32>,
}

impl Passage {
    /// Where the passage stands.
    #[must_use]
    pub fn location(&self) -> Location {
        Location {
            source: self.source.clone(),
            start_line: self.start_line,
            end_line: self.end_line,
        }
    }
}

/// A span of lines in a source.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Location {
    /// The file or document.
    pub source: String,
    /// The first line, counted from 1.
    pub start_line: u32,
    /// The last line, inclusive.
    pub end_line: u32,
}

/// A quotation with its place: what an answer rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Citation {
    /// The file or document.
    pub source: String,
    /// The first line of the quote, counted from 1.
    pub start_line: u32,
    /// The last line of the quote, inclusive.
    pub end_line: u32,
    /// The words themselves, exactly as they stand in those lines.
    pub quote: String,
}

/// Why a source could not be searched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("source {source_name}: {message}")]
pub struct RetrieveError {
    /// What policy reads.
    pub kind: RetrieveErrorKind,
    /// The source that failed.
    pub source_name: String,
    /// What people read.
    pub message: String,
}

/// The kinds of [`RetrieveError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RetrieveErrorKind {
    /// The source is unreachable or broken.
    Unavailable,
    /// The source did not answer in time.
    Timeout,
    /// The stored index is damaged.
    Corrupt,
}

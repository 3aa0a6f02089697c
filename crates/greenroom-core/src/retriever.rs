//! The retrieval seam: passages, citations, and the fusion of several rankings.
//!
//! Fusion is here and not in `greenroom-retrieval` because a retrieval agent fuses sources of any
//! kind, and must not depend on one of them.

use std::collections::HashMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::BoxFuture;

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
}

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Query {
    /// Words or a question. Any text is valid; there is no query syntax to get wrong.
    pub text: String,
    /// The most passages to return.
    #[serde(default = "top_k_default")]
    pub top_k: usize,
}

fn top_k_default() -> usize {
    8
}

impl Query {
    /// A query for the default number of passages (8).
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), top_k: top_k_default() }
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

/// The constant of reciprocal rank fusion.
///
/// Source: Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual
/// Rank Learning Methods", SIGIR 2009, where 60 was fixed in a pilot study.
pub const RRF_K: f32 = 60.0;

/// Fuses rankings by reciprocal rank: a passage scores the sum of `1 / (60 + rank)` over the rankings
/// that contain it, with ranks counted from 1. The scores of the inputs are not compared.
///
/// Two passages are the same when source and lines are. Ties keep the order of first appearance.
#[must_use]
pub fn fuse(rankings: Vec<Vec<Passage>>, top_k: usize) -> Vec<Passage> {
    let mut places: HashMap<Location, usize> = HashMap::new();
    let mut fused: Vec<Passage> = Vec::new();
    for ranking in rankings {
        for (i, mut passage) in ranking.into_iter().enumerate() {
            let share = 1.0 / (RRF_K + i as f32 + 1.0);
            match places.get(&passage.location()) {
                Some(&place) => fused[place].score += share,
                None => {
                    places.insert(passage.location(), fused.len());
                    passage.score = share;
                    fused.push(passage);
                }
            }
        }
    }
    fused.sort_by(|left, right| right.score.total_cmp(&left.score));
    fused.truncate(top_k);
    fused
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage(source: &str) -> Passage {
        Passage {
            source: source.into(),
            start_line: 1,
            end_line: 2,
            heading: Vec::new(),
            score: 99.0,
            text: String::new(),
            also_at: Vec::new(),
        }
    }

    #[test]
    fn a_passage_that_two_sources_rank_beats_one_that_a_single_source_ranks_first() {
        let fused = fuse(
            vec![
                vec![passage("first-of-one"), passage("in-both")],
                vec![passage("other"), passage("in-both")],
            ],
            2,
        );
        let order: Vec<_> = fused.iter().map(|p| p.source.as_str()).collect();
        assert_eq!(order, ["in-both", "first-of-one"]);
        assert!((fused[0].score - 2.0 / 62.0).abs() < 1e-6);
        assert!((fused[1].score - 1.0 / 61.0).abs() < 1e-6);
    }
}

//! Passages under examination, with their words.

use std::collections::HashMap;

use greenroom_core::retriever::Ranks;
use tantivy::{DocAddress, TantivyDocument, TantivyError};

use crate::analyze::Analyzer;
use crate::chunk::Chunk;
use crate::index::schema;

/// A term's number within one search.
pub(super) type TermId = u32;

/// Every term that one search has met.
#[derive(Debug)]
pub(super) struct Vocabulary {
    analyzer: Analyzer,
    ids: HashMap<Box<str>, TermId>,
    terms: Vec<Box<str>>,
}

/// A word of a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word {
    pub(super) id: TermId,
    pub(super) stop: bool,
    /// Whether it is a part of the word before it.
    pub(super) part: bool,
}

impl Vocabulary {
    pub(super) fn new(analyzer: Analyzer) -> Self {
        Self { analyzer, ids: HashMap::new(), terms: Vec::new() }
    }

    /// Gives the analyzer back, with what it has learnt.
    pub(super) fn into_analyzer(self) -> Analyzer {
        self.analyzer
    }

    /// The words of a text, in order.
    pub(super) fn words(&mut self, text: &str) -> Vec<Word> {
        let mut words = Vec::new();
        let Self { analyzer, ids, terms } = self;
        analyzer.terms(text, |term| {
            let id = match ids.get(term.stem) {
                Some(&id) => id,
                None => {
                    let id = terms.len() as TermId;
                    ids.insert(term.stem.into(), id);
                    terms.push(term.stem.into());
                    id
                }
            };
            words.push(Word { id, stop: term.stop, part: term.part });
        });
        words
    }

    pub(super) fn term(&self, id: TermId) -> &str {
        &self.terms[id as usize]
    }
}

/// A passage under examination.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) address: DocAddress,
    pub(super) score: f32,
    /// The file's key.
    pub(super) path: String,
    pub(super) chunk: Chunk,
    pub(super) words: Vec<Word>,
    /// Its places by words and by vectors, when both were asked.
    pub(super) ranks: Option<Ranks>,
}

impl Candidate {
    pub(super) fn read(
        address: DocAddress,
        document: &TantivyDocument,
        vocabulary: &mut Vocabulary,
    ) -> tantivy::Result<Self> {
        let (path, chunk) = read(document)?;
        let words = vocabulary.words(&chunk.text);
        Ok(Self { address, score: 0.0, path, chunk, words, ranks: None })
    }
}

/// The file and the passage of a document.
pub(super) fn read(document: &TantivyDocument) -> tantivy::Result<(String, Chunk)> {
    let found = schema().1.chunk(document);
    found.ok_or_else(|| TantivyError::InternalError("a stored passage lacks its fields".into()))
}

/// Best first; equals by path and line, so that the order never depends on how the index is laid out.
pub(super) fn sort(candidates: &mut [Candidate]) {
    candidates.sort_by(|left, right| {
        right.score.total_cmp(&left.score).then_with(|| {
            (&left.path, left.chunk.start_line).cmp(&(&right.path, right.chunk.start_line))
        })
    });
}

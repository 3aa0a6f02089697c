//! BM25F over the two fields of a chunk, one term at a time, into an array of scores.
//!
//! Term at a time, because feedback and the bridge add to the same scores afterwards, and because a
//! query then costs the length of its posting lists and nothing else.
//!
//! Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009,
//! section 3.6 (field weights applied before saturation).

use std::sync::Arc;

use tantivy::columnar::Column;
use tantivy::fastfield::AliveBitSet;
use tantivy::fieldnorm::FieldNormReader;
use tantivy::postings::{Postings, SegmentPostings};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocAddress, DocId, DocSet, InvertedIndexReader, Searcher, TERMINATED, Term};

use super::candidates::{TermId, Vocabulary};
use crate::index::{Fields, TIE, schema};
use crate::options::SearchOptions;

/// Reads posting lists and knows the statistics of the whole index.
pub(super) struct Scorer {
    segments: Vec<Segment>,
    body: FieldStats,
    title: FieldStats,
    n_chunks: u64,
}

struct Segment {
    body: Arc<InvertedIndexReader>,
    title: Arc<InvertedIndexReader>,
    body_norms: FieldNormReader,
    title_norms: FieldNormReader,
    ties: Column,
    alive: Option<AliveBitSet>,
}

#[derive(Clone, Copy)]
struct FieldStats {
    field: Field,
    mean_length: f32,
}

impl Scorer {
    pub(super) fn open(searcher: &Searcher) -> tantivy::Result<Self> {
        let fields: Fields = schema().1;
        let mut segments = Vec::new();
        let (mut n_chunks, mut body_words, mut title_words) = (0_u64, 0_u64, 0_u64);
        for reader in searcher.segment_readers() {
            let segment = Segment {
                body: reader.inverted_index(fields.body)?,
                title: reader.inverted_index(fields.title)?,
                body_norms: reader.get_fieldnorms_reader(fields.body)?,
                title_norms: reader.get_fieldnorms_reader(fields.title)?,
                ties: reader.fast_fields().u64(TIE)?,
                alive: reader.alive_bitset().cloned(),
            };
            n_chunks += u64::from(reader.max_doc());
            body_words += segment.body.total_num_tokens();
            title_words += segment.title.total_num_tokens();
            segments.push(segment);
        }
        let mean = |words: u64| (words as f32 / n_chunks.max(1) as f32).max(1.0);
        Ok(Self {
            segments,
            body: FieldStats { field: fields.body, mean_length: mean(body_words) },
            title: FieldStats { field: fields.title, mean_length: mean(title_words) },
            n_chunks,
        })
    }

    /// The number by which equals are told apart, however the index is laid out.
    pub(super) fn tie(&self, address: DocAddress) -> u64 {
        let segment = &self.segments[address.segment_ord as usize];
        segment.ties.first(address.doc_id).unwrap_or_default()
    }

    /// In how many chunks a term occurs; deleted ones count until their segment is merged.
    pub(super) fn n_chunks_with(&self, term: &str) -> tantivy::Result<u64> {
        let count = |field: Field, index: fn(&Segment) -> &InvertedIndexReader| {
            let term = Term::from_field_text(field, term);
            let counts = self.segments.iter().map(|segment| index(segment).doc_freq(&term));
            counts.sum::<Result<u32, _>>()
        };
        // Nearly every heading's word is in a text as well.
        let n_chunks = match count(self.body.field, |segment| &segment.body)? {
            0 => count(self.title.field, |segment| &segment.title)?,
            n => n,
        };
        Ok(u64::from(n_chunks))
    }

    /// The idf of a term that occurs in one chunk: the most that one word can say.
    pub(super) fn idf_max(&self) -> f32 {
        (1.0 + (self.n_chunks.max(1) as f32 - 0.5) / 1.5).ln()
    }

    /// How much an occurrence of a term says: the idf of BM25, which is never negative.
    pub(super) fn idf(&self, term: &str) -> tantivy::Result<f32> {
        let n_with = self.n_chunks_with(term)? as f32;
        let n_without = (self.n_chunks as f32 - n_with).max(0.0);
        Ok((1.0 + (n_without + 0.5) / (n_with + 0.5)).ln())
    }

    /// Adds the BM25F scores of weighted terms.
    pub(super) fn add(
        &self,
        terms: &[(TermId, f32)],
        vocabulary: &Vocabulary,
        options: &SearchOptions,
        scores: &mut Scores,
    ) -> tantivy::Result<()> {
        let body_norms = norms(options.b, self.body.mean_length, 1.0);
        let title_norms = norms(options.b, self.title.mean_length, options.title_weight);
        for &(id, weight) in terms {
            let term = vocabulary.term(id);
            let factor = weight * self.idf(term)? * (options.k1 + 1.0);
            for (segment, scores) in self.segments.iter().zip(&mut scores.segments) {
                let body = List::read(&segment.body, self.body.field, term)?;
                let title = List::read(&segment.title, self.title.field, term)?;
                merge(body, title, |doc, in_body, in_title| {
                    let mut frequency = 0.0;
                    if in_body > 0 {
                        let norm = body_norms[usize::from(segment.body_norms.fieldnorm_id(doc))];
                        frequency += in_body as f32 * norm;
                    }
                    if in_title > 0 {
                        let norm = title_norms[usize::from(segment.title_norms.fieldnorm_id(doc))];
                        frequency += in_title as f32 * norm;
                    }
                    scores[doc as usize] += factor * frequency / (options.k1 + frequency);
                });
            }
        }
        Ok(())
    }
}

/// What an occurrence counts in a field of each length that a field norm can stand for.
fn norms(b: f32, mean_length: f32, weight: f32) -> [f32; 256] {
    std::array::from_fn(|id| {
        let length = FieldNormReader::id_to_fieldnorm(id as u8) as f32;
        weight / (1.0 - b + b * length / mean_length)
    })
}

/// A posting list that may be empty.
struct List(Option<SegmentPostings>);

impl List {
    fn read(index: &InvertedIndexReader, field: Field, term: &str) -> tantivy::Result<Self> {
        let term = Term::from_field_text(field, term);
        Ok(Self(index.read_postings(&term, IndexRecordOption::WithFreqs)?))
    }

    fn doc(&self) -> DocId {
        self.0.as_ref().map_or(TERMINATED, DocSet::doc)
    }

    /// The frequency in the current document, and on to the next.
    fn take(&mut self) -> u32 {
        let Some(postings) = &mut self.0 else { return 0 };
        let frequency = postings.term_freq();
        postings.advance();
        frequency
    }
}

/// Walks two posting lists at once.
fn merge(mut body: List, mut title: List, mut each: impl FnMut(DocId, u32, u32)) {
    loop {
        let (in_body, in_title) = (body.doc(), title.doc());
        let doc = in_body.min(in_title);
        if doc == TERMINATED {
            return;
        }
        let body_frequency = if in_body == doc { body.take() } else { 0 };
        let title_frequency = if in_title == doc { title.take() } else { 0 };
        each(doc, body_frequency, title_frequency);
    }
}

/// A score for every chunk of the index.
#[derive(Debug)]
pub(super) struct Scores {
    segments: Vec<Vec<f32>>,
}

impl Scores {
    pub(super) fn new(searcher: &Searcher) -> Self {
        let zeros = |max_doc: DocId| vec![0.0; max_doc as usize];
        Self {
            segments: searcher
                .segment_readers()
                .iter()
                .map(|reader| zeros(reader.max_doc()))
                .collect(),
        }
    }

    /// The score of one chunk.
    pub(super) fn get(&self, address: DocAddress) -> f32 {
        self.segments[address.segment_ord as usize][address.doc_id as usize]
    }

    /// The `n` chunks with the highest scores above zero, best first. Equals are in an order that
    /// does not depend on how the index is laid out.
    pub(super) fn top(&self, scorer: &Scorer, n: usize) -> Vec<(DocAddress, f32)> {
        type Entry = (f32, u64, DocAddress);
        let order = |left: &Entry, right: &Entry| {
            right.0.total_cmp(&left.0).then_with(|| (left.1, left.2).cmp(&(right.1, right.2)))
        };
        let n = n.min(self.segments.iter().map(Vec::len).sum());
        let mut top: Vec<Entry> = Vec::with_capacity(2 * n + 1);
        let mut floor = f32::MIN_POSITIVE;
        for (ord, (scores, segment)) in self.segments.iter().zip(&scorer.segments).enumerate() {
            for (doc, &score) in scores.iter().enumerate() {
                let doc = doc as DocId;
                if score < floor
                    || segment.alive.as_ref().is_some_and(|alive| alive.is_deleted(doc))
                {
                    continue;
                }
                let tie = segment.ties.first(doc).unwrap_or_default();
                top.push((score, tie, DocAddress::new(ord as u32, doc)));
                if top.len() > 2 * n {
                    top.select_nth_unstable_by(n, order);
                    top.truncate(n);
                    floor = top.iter().map(|entry| entry.0).fold(f32::INFINITY, f32::min);
                }
            }
        }
        top.sort_by(order);
        top.truncate(n);
        top.into_iter().map(|(score, _, address)| (address, score)).collect()
    }
}

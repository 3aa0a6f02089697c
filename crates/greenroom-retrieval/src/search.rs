//! From a query to ranked passages. Synchronous and free of side effects: an [`Engine`] is a
//! snapshot of an index, and a search is a pure function of it.
//!
//! A search goes through stages, each of which adds to the scores of the one before:
//!
//! 1. BM25F over headings and text, for the words of the query ([`bm25`], [`query`]);
//! 2. feedback: words that the best passages share and the query lacks, at a low weight
//!    ([`feedback`]);
//! 3. proximity: query words that stand together ([`proximity`]);
//! 4. the bridge: passages whose title the question or one of the best passages names, which is
//!    the second hop of a question in two steps ([`bridge`]);
//! 5. fusion with the ranking by vectors, when there is one ([`hybrid`]);
//! 6. merging of near-duplicates, and a slight preference for files not shown yet ([`present`]).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tantivy::{DocAddress, Index, Searcher, TantivyDocument};

use crate::analyze::Analyzer;
use crate::chunk::Chunk;
use crate::options::SearchOptions;
use crate::vectors::Vectors;

mod bm25;
mod bridge;
mod candidates;
mod feedback;
mod hybrid;
mod present;
mod proximity;
mod query;

use bm25::{Scorer, Scores};
use bridge::Titles;
use candidates::{Candidate, Vocabulary};
use query::QueryTerms;

pub(crate) use present::Hit;

/// The analyzers that an engine keeps for the next search.
const ANALYZERS_MAX: usize = 8;

/// A searchable snapshot of an index.
pub(crate) struct Engine {
    searcher: Searcher,
    scorer: Scorer,
    titles: Titles,
    /// Analyzers that have seen many words, and are faster for it.
    analyzers: Mutex<Vec<Analyzer>>,
}

impl Engine {
    /// Opens what is committed in an index.
    pub(crate) fn open(index: &Index) -> tantivy::Result<Self> {
        let searcher = crate::index::reader(index)?.searcher();
        let scorer = Scorer::open(&searcher)?;
        let titles = Titles::open(&searcher)?;
        Ok(Self { searcher, scorer, titles, analyzers: Mutex::new(Vec::new()) })
    }

    /// The passages that fit, best first, at most `top_k`. `near` are those whose vectors are nearest, when
    /// vectors were asked.
    pub(crate) fn search(
        &self,
        text: &str,
        top_k: usize,
        options: &SearchOptions,
        near: Option<&[DocAddress]>,
    ) -> tantivy::Result<Vec<Hit>> {
        let kept =
            |lock: &Mutex<Vec<Analyzer>>| lock.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut vocabulary = Vocabulary::new(kept(&self.analyzers).unwrap_or_default());
        let hits = self.search_with((text, near), top_k, options, &mut vocabulary);
        let mut analyzers = self.analyzers.lock().unwrap_or_else(PoisonError::into_inner);
        if analyzers.len() < ANALYZERS_MAX {
            analyzers.push(vocabulary.into_analyzer());
        }
        hits
    }

    fn search_with(
        &self,
        (text, near): (&str, Option<&[DocAddress]>),
        top_k: usize,
        options: &SearchOptions,
        vocabulary: &mut Vocabulary,
    ) -> tantivy::Result<Vec<Hit>> {
        let query = QueryTerms::new(text, vocabulary, &self.scorer)?;
        let has_nothing = query.terms.is_empty() && near.is_none_or(<[_]>::is_empty);
        if has_nothing || top_k == 0 {
            return Ok(Vec::new());
        }
        let mut scores = Scores::new(&self.searcher);
        self.scorer.add(&query.terms, vocabulary, options, &mut scores)?;
        let mut candidates = Candidates::new(self, vocabulary);

        if options.feedback_weight > 0.0 {
            let best = candidates.top(&scores, options.feedback_passages)?;
            let extra =
                feedback::terms(&best, &query, candidates.vocabulary, &self.scorer, options)?;
            self.scorer.add(&extra, candidates.vocabulary, options, &mut scores)?;
        }
        let depth = depth(top_k, options);
        let mut ranked = candidates.top(&scores, depth)?;
        if options.proximity_weight > 0.0 {
            proximity::add(&mut ranked, &query, &self.scorer, candidates.vocabulary, options)?;
            candidates::sort(&mut ranked);
        }
        if options.bridge_weight > 0.0 {
            bridge::add(&mut ranked, &query, &scores, &mut candidates, options)?;
            candidates::sort(&mut ranked);
        }
        if let Some(near) = near {
            ranked = hybrid::fuse(ranked, near, &mut candidates)?;
        }
        Ok(present::hits(ranked, top_k, options))
    }

    /// The passages whose vectors are nearest to a vector of length 1, best first: as many as are examined
    /// for the words.
    pub(crate) fn nearest(
        &self,
        vectors: &Vectors,
        query: &[f32],
        top_k: usize,
        options: &SearchOptions,
    ) -> Vec<DocAddress> {
        vectors.nearest(query, depth(top_k, options), |address| self.scorer.tie(address))
    }

    /// Every passage with its headings, in the order of the index.
    pub(crate) fn each_passage(
        &self,
        mut each: impl FnMut(DocAddress, &Chunk),
    ) -> tantivy::Result<()> {
        for (ord, reader) in (0..).zip(self.searcher.segment_readers()) {
            for doc in reader.doc_ids_alive() {
                let address = DocAddress::new(ord, doc);
                each(address, &self.passage(address)?);
            }
        }
        Ok(())
    }

    /// One passage.
    pub(crate) fn passage(&self, address: DocAddress) -> tantivy::Result<Chunk> {
        let document: TantivyDocument = self.searcher.doc(address)?;
        candidates::read(&document).map(|(_, chunk)| chunk)
    }

    /// How many passages each segment has room for.
    pub(crate) fn segments(&self) -> Vec<usize> {
        let readers = self.searcher.segment_readers().iter();
        readers.map(|reader| reader.max_doc() as usize).collect()
    }
}

/// How many passages are examined: more than asked for, because merging and diversity take some away.
fn depth(top_k: usize, options: &SearchOptions) -> usize {
    options.depth.max(top_k.saturating_mul(2))
}

/// Loads candidates, and counts their words in the query's vocabulary.
struct Candidates<'a> {
    engine: &'a Engine,
    vocabulary: &'a mut Vocabulary,
    loaded: HashMap<DocAddress, Candidate>,
}

impl<'a> Candidates<'a> {
    fn new(engine: &'a Engine, vocabulary: &'a mut Vocabulary) -> Self {
        Self { engine, vocabulary, loaded: HashMap::new() }
    }

    /// The `n` passages with the highest scores, best first.
    fn top(&mut self, scores: &Scores, n: usize) -> tantivy::Result<Vec<Candidate>> {
        let mut top = Vec::new();
        for (address, score) in scores.top(&self.engine.scorer, n) {
            let mut candidate = self.load(address)?;
            candidate.score = score;
            top.push(candidate);
        }
        candidates::sort(&mut top);
        Ok(top)
    }

    fn load(&mut self, address: DocAddress) -> tantivy::Result<Candidate> {
        if let Some(candidate) = self.loaded.get(&address) {
            return Ok(candidate.clone());
        }
        let document = self.engine.searcher.doc(address)?;
        let candidate = Candidate::read(address, &document, self.vocabulary)?;
        self.loaded.insert(address, candidate.clone());
        Ok(candidate)
    }
}

//! Query words that stand together in a passage mean what they mean together in the query.
//!
//! Source: Metzler and Croft, "A Markov Random Field Model for Term Dependencies", SIGIR 2005
//! (sequential dependence), with BM25's saturation in the place of language models.

use super::bm25::Scorer;
use super::candidates::{Candidate, TermId, Vocabulary};
use super::query::QueryTerms;
use crate::options::SearchOptions;

/// Words further apart than this have nothing to do with each other.
const WINDOW: usize = 8;
/// A pair that is near but not adjacent counts so much of an adjacent one.
const NEAR: f32 = 0.4;
/// The most pairs of a query that are looked for.
const PAIRS_MAX: usize = 32;

/// Adds to the candidates' scores for pairs of neighbouring query words that are near each other.
pub(super) fn add(
    candidates: &mut [Candidate],
    query: &QueryTerms,
    scorer: &Scorer,
    vocabulary: &Vocabulary,
    options: &SearchOptions,
) -> tantivy::Result<()> {
    let content: Vec<TermId> =
        query.words.iter().filter(|word| !word.stop && !word.part).map(|word| word.id).collect();
    let mut pairs = Vec::new();
    for pair in content.windows(2).filter(|pair| pair[0] != pair[1]).take(PAIRS_MAX) {
        let idf = scorer.idf(vocabulary.term(pair[0]))?.min(scorer.idf(vocabulary.term(pair[1]))?);
        pairs.push((pair[0], pair[1], idf));
    }
    for candidate in candidates {
        let places: Vec<TermId> =
            candidate.words.iter().filter(|w| !w.stop && !w.part).map(|w| w.id).collect();
        let mut bonus = 0.0;
        for &(left, right, idf) in &pairs {
            let count = closeness(&places, left, right);
            if count > 0.0 {
                bonus += idf * (options.k1 + 1.0) * count / (options.k1 + count);
            }
        }
        candidate.score += options.proximity_weight * bonus;
    }
    Ok(())
}

/// How often two terms are near each other, adjacent in order counting full.
fn closeness(words: &[TermId], left: TermId, right: TermId) -> f32 {
    let mut count = 0.0;
    let mut last_left: Option<usize> = None;
    let mut last_right: Option<usize> = None;
    for (i, &word) in words.iter().enumerate() {
        if word == left {
            if last_right.is_some_and(|at| i - at <= WINDOW) {
                count += NEAR;
            }
            last_left = Some(i);
        } else if word == right {
            match last_left.map(|at| i - at) {
                Some(1) => count += 1.0,
                Some(2..=WINDOW) => count += NEAR,
                _ => {}
            }
            last_right = Some(i);
        }
    }
    count
}

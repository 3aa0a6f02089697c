//! Pseudo-relevance feedback: what the best passages have in common belongs to the question.
//!
//! Source: Abdul-Jaleel et al., "UMass at TREC 2004: Novelty and HARD" (RM3), with the passages'
//! scores for the query likelihood, and terms weighed by idf: a common word says as little here as it
//! does in a query.

use std::collections::HashMap;

use super::bm25::Scorer;
use super::candidates::{Candidate, TermId, Vocabulary};
use super::query::QueryTerms;
use crate::options::SearchOptions;

/// So many times the terms that are wanted are weighed by idf.
const PRESELECTION: usize = 5;

/// The terms to add, with their weights.
pub(super) fn terms(
    best: &[Candidate],
    query: &QueryTerms,
    vocabulary: &Vocabulary,
    scorer: &Scorer,
    options: &SearchOptions,
) -> tantivy::Result<Vec<(TermId, f32)>> {
    let total: f32 = best.iter().map(|candidate| candidate.score).sum();
    let mut model: HashMap<TermId, f32> = HashMap::new();
    for candidate in best {
        let share = candidate.score / total / candidate.words.len().max(1) as f32;
        for word in candidate.words.iter().filter(|word| !word.stop && !word.part) {
            *model.entry(word.id).or_insert(0.0) += share;
        }
    }
    let mut weighed: Vec<(TermId, f32)> =
        model.into_iter().filter(|&(id, _)| says_something(vocabulary.term(id))).collect();
    sort(&mut weighed);
    // Rarer words than these cannot make up for it by their idf, and each idf is a look-up.
    weighed.truncate(options.feedback_terms * PRESELECTION);
    for (id, weight) in &mut weighed {
        *weight *= scorer.idf(vocabulary.term(*id))?;
    }
    sort(&mut weighed);
    weighed.truncate(options.feedback_terms);
    let sum: f32 = weighed.iter().map(|(_, weight)| weight).sum();
    let query_sum: f32 = query.terms.iter().map(|(_, weight)| weight).sum();
    let scale =
        options.feedback_weight / (1.0 - options.feedback_weight).max(0.01) * query_sum / sum;
    for (_, weight) in &mut weighed {
        *weight *= scale;
    }
    Ok(weighed)
}

/// Heaviest first; equals in the order in which the search met them.
fn sort(terms: &mut [(TermId, f32)]) {
    terms.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
}

fn says_something(term: &str) -> bool {
    term.len() > 2 && !term.bytes().all(|byte| byte.is_ascii_digit())
}

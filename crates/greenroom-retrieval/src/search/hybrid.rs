//! Fusion of the ranking by words with the ranking by vectors. Their scores cannot be compared, so their ranks
//! are: see [`reciprocal_rank`].

use std::collections::HashMap;

use greenroom_core::retriever::{Ranks, reciprocal_rank};
use tantivy::DocAddress;

use super::Candidates;
use super::candidates::{Candidate, sort};

/// Every candidate of either ranking, best first, with its place in both.
pub(super) fn fuse(
    by_words: Vec<Candidate>,
    by_vectors: &[DocAddress],
    candidates: &mut Candidates<'_>,
) -> tantivy::Result<Vec<Candidate>> {
    let addresses = by_words.iter().map(|candidate| candidate.address).collect();
    let fused = reciprocal_rank(&[addresses, by_vectors.to_vec()]);
    let mut known: HashMap<DocAddress, Candidate> =
        by_words.into_iter().map(|candidate| (candidate.address, candidate)).collect();
    let mut ranked = Vec::with_capacity(fused.len());
    for one in fused {
        let mut candidate = match known.remove(&one.key) {
            Some(candidate) => candidate,
            None => candidates.load(one.key)?,
        };
        candidate.score = one.score as f32;
        candidate.ranks = Some(Ranks { words: one.ranks[0], vectors: one.ranks[1] });
        ranked.push(candidate);
    }
    // Addresses depend on how the index is laid out, and the order of equals must not.
    sort(&mut ranked);
    Ok(ranked)
}

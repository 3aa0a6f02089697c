//! Reciprocal rank fusion: one ranking out of several whose scores cannot be compared.

use std::collections::BTreeMap;

use super::{Location, Passage};

/// The constant of reciprocal rank fusion.
///
/// Source: Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual
/// Rank Learning Methods", SIGIR 2009, where 60 was fixed in a pilot study.
pub const RRF_K: f64 = 60.0;

/// Something that at least one ranking has.
#[derive(Debug, Clone, PartialEq)]
pub struct Fused<K> {
    /// What it is.
    pub key: K,
    /// The sum of `1 / (60 + rank)` over the rankings that have it.
    pub score: f64,
    /// Its rank in each ranking, counted from 1, in the order of the rankings.
    pub ranks: Vec<Option<u32>>,
}

/// Fuses rankings by reciprocal rank, best first.
///
/// ```text
/// score(d) = sum over the rankings r that have d of 1 / (60 + rank_r(d)), with ranks counted from 1
/// ```
///
/// The order of the rankings changes nothing. Equals are in the order of their keys. Of a key that one
/// ranking has twice, the better place counts.
///
/// # Examples
///
/// ```
/// use greenroom_core::retriever::reciprocal_rank;
///
/// let fused = reciprocal_rank(&[vec!["a", "b"], vec!["c", "b"]]);
/// let order: Vec<_> = fused.iter().map(|fused| fused.key).collect();
/// assert_eq!(order, ["b", "a", "c"]);
/// assert_eq!(fused[0].ranks, [Some(2), Some(2)]);
/// ```
#[must_use]
pub fn reciprocal_rank<K: Ord + Clone>(rankings: &[Vec<K>]) -> Vec<Fused<K>> {
    let mut ranks: BTreeMap<&K, Vec<Option<u32>>> = BTreeMap::new();
    for (i, ranking) in rankings.iter().enumerate() {
        for (rank, key) in (1..).zip(ranking) {
            let of_key = ranks.entry(key).or_insert_with(|| vec![None; rankings.len()]);
            of_key[i] = of_key[i].or(Some(rank));
        }
    }
    let fused = ranks.into_iter().map(|(key, ranks)| {
        // The sum of floats depends on their order, and so must not depend on that of the rankings.
        let mut found: Vec<u32> = ranks.iter().copied().flatten().collect();
        found.sort_unstable();
        let score = found.into_iter().map(|rank| 1.0 / (RRF_K + f64::from(rank))).sum();
        Fused { key: key.clone(), score, ranks }
    });
    let mut fused: Vec<_> = fused.collect();
    // Stable: equals stay in the order of the map.
    fused.sort_by(|left, right| right.score.total_cmp(&left.score));
    fused
}

/// Fuses rankings of passages by [`reciprocal_rank`]. The scores of the inputs are not compared.
///
/// Two passages are the same when source and lines are. Ties keep the order of first appearance.
#[must_use]
pub fn fuse(rankings: Vec<Vec<Passage>>, top_k: usize) -> Vec<Passage> {
    let mut numbers: BTreeMap<Location, usize> = BTreeMap::new();
    let mut passages: Vec<Option<Passage>> = Vec::new();
    let mut number = |passage: Passage| {
        *numbers.entry(passage.location()).or_insert_with(|| {
            passages.push(Some(passage));
            passages.len() - 1
        })
    };
    let rankings: Vec<Vec<usize>> = rankings
        .into_iter()
        .map(|ranking| ranking.into_iter().map(&mut number).collect())
        .collect();
    let fused = reciprocal_rank(&rankings).into_iter().take(top_k);
    let passage = |fused: Fused<usize>| {
        let passage = passages[fused.key].take()?;
        Some(Passage { score: fused.score as f32, ..passage })
    };
    fused.filter_map(passage).collect()
}

#[cfg(test)]
mod tests;

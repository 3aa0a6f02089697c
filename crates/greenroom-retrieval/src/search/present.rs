//! The last step: near-duplicates become one hit, and files take turns a little.

use std::collections::HashMap;

use greenroom_core::retriever::Ranks;

use super::candidates::{Candidate, TermId};
use crate::chunk::Chunk;
use crate::options::SearchOptions;

/// Words of a shingle. Three are enough to tell a copy from a text on the same matter.
const SHINGLE: usize = 3;

/// A passage is compared with so many that rank just above it: copies score alike.
const COMPARED_MAX: usize = 64;

/// A passage that was found.
#[derive(Debug)]
pub(crate) struct Hit {
    /// The file's key.
    pub(crate) path: String,
    pub(crate) chunk: Chunk,
    pub(crate) score: f32,
    /// Where near-duplicates stand: file, first and last line.
    pub(crate) also_at: Vec<(String, u32, u32)>,
    pub(crate) ranks: Option<Ranks>,
}

/// The best `top_k` of ranked candidates.
pub(super) fn hits(ranked: Vec<Candidate>, top_k: usize, options: &SearchOptions) -> Vec<Hit> {
    let mut hits: Vec<(Hit, Vec<u64>)> = Vec::new();
    let mut seen_in: HashMap<String, i32> = HashMap::new();
    for candidate in ranked {
        let shingles = shingles(&candidate);
        let copy = hits
            .iter_mut()
            .rev()
            .take(COMPARED_MAX)
            .find(|(_, known)| similarity(known, &shingles) >= options.duplicate_similarity);
        if let Some((original, _)) = copy {
            let span = (candidate.chunk.start_line, candidate.chunk.end_line);
            original.also_at.push((candidate.path, span.0, span.1));
            continue;
        }
        // Twice as many as asked for: the order may change, but not by that much.
        if hits.len() >= top_k.saturating_mul(2) {
            continue;
        }
        let n_before = seen_in.entry(candidate.path.clone()).or_insert(0);
        let score = candidate.score * options.same_source_factor.powi(*n_before);
        *n_before += 1;
        let Candidate { path, chunk, ranks, .. } = candidate;
        let hit = Hit { path, chunk, score, also_at: Vec::new(), ranks };
        hits.push((hit, shingles));
    }
    let mut hits: Vec<Hit> = hits.into_iter().map(|(hit, _)| hit).collect();
    hits.sort_by(|left, right| right.score.total_cmp(&left.score));
    hits.truncate(top_k);
    hits
}

/// The shingles of a passage, mixed to numbers, sorted and each once. A term's number is as good as
/// the term within one search.
fn shingles(candidate: &Candidate) -> Vec<u64> {
    let ids: Vec<TermId> =
        candidate.words.iter().filter(|word| !word.part).map(|word| word.id).collect();
    let mix = |window: &[TermId]| {
        window.iter().fold(0_u64, |mixed, id| {
            (mixed.rotate_left(21) ^ u64::from(*id)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        })
    };
    let mut shingles: Vec<u64> = match ids.len() {
        n if n < SHINGLE => vec![mix(&ids)],
        _ => ids.windows(SHINGLE).map(mix).collect(),
    };
    shingles.sort_unstable();
    shingles.dedup();
    shingles
}

/// Jaccard's coefficient of two sorted sets.
fn similarity(left: &[u64], right: &[u64]) -> f32 {
    let (small, large) = if left.len() < right.len() { (left, right) } else { (right, left) };
    if (small.len() as f32) < 0.5 * large.len() as f32 {
        return 0.0;
    }
    let (mut i, mut n_common) = (0, 0);
    for shingle in small {
        while i < large.len() && large[i] < *shingle {
            i += 1;
        }
        n_common += usize::from(large.get(i) == Some(shingle));
    }
    n_common as f32 / (small.len() + large.len() - n_common) as f32
}

//! The vectors of a corpus: which passage has which, and which are nearest to a question's.
//!
//! The search is exact: every vector is multiplied with the question's. That is milliseconds for the corpora
//! that one process holds, and it is right; an approximate index would be neither simple nor exact.

use tantivy::{DocAddress, DocId};

mod fill;
mod table;

pub(crate) use fill::{Fill, Filled};
pub(crate) use table::FILE;
use table::{Key, Table};

/// Stands for no row.
const NO_ROW: u32 = u32::MAX;

/// The passages of an index with their vectors.
pub(crate) struct Vectors {
    table: Table,
    /// The row of each passage, by segment.
    rows: Vec<Vec<u32>>,
}

/// The key of each passage, by segment; `None` where there is no passage.
type Keys = Vec<Vec<Option<Key>>>;

impl Vectors {
    /// `None` when a passage has no vector: a ranking that lacks some would put the others before them.
    fn new(table: Table, keys: &Keys) -> Option<Self> {
        let row = |key: &Option<Key>| match key {
            Some(key) => table.row(*key),
            None => Some(NO_ROW),
        };
        let rows: Option<Vec<Vec<u32>>> =
            keys.iter().map(|segment| segment.iter().map(row).collect()).collect();
        Some(Self { rows: rows?, table })
    }

    /// How many numbers a vector has.
    pub(crate) fn dimensions(&self) -> usize {
        self.table.dimensions()
    }

    /// The `n` passages whose vectors are nearest to `query`, which is of length 1, by their cosine; best first.
    /// What is not on its side of the origin at all is left out.
    pub(crate) fn nearest(
        &self,
        query: &[f32],
        n: usize,
        tie: impl Fn(DocAddress) -> u64,
    ) -> Vec<DocAddress> {
        type Entry = (f32, u64, DocAddress);
        let order = |left: &Entry, right: &Entry| {
            right.0.total_cmp(&left.0).then_with(|| (left.1, left.2).cmp(&(right.1, right.2)))
        };
        let n = n.min(self.rows.iter().map(Vec::len).sum());
        let mut best: Vec<Entry> = Vec::with_capacity(2 * n + 1);
        let mut floor = f32::MIN_POSITIVE;
        for (ord, segment) in (0..).zip(&self.rows) {
            for (doc, &row) in segment.iter().enumerate().filter(|(_, row)| **row != NO_ROW) {
                let cosine = dot(query, self.table.vector(row));
                if cosine.is_nan() || cosine < floor {
                    continue;
                }
                let address = DocAddress::new(ord, doc as DocId);
                best.push((cosine, tie(address), address));
                if best.len() > 2 * n {
                    best.select_nth_unstable_by(n, order);
                    best.truncate(n);
                    floor = best.iter().map(|entry| entry.0).fold(f32::INFINITY, f32::min);
                }
            }
        }
        best.sort_by(order);
        best.truncate(n);
        best.into_iter().map(|(_, _, address)| address).collect()
    }
}

/// The sum of products, in lanes so that the machine can do several at once.
fn dot(query: &[f32], vector: &[[u8; 4]]) -> f32 {
    const LANES: usize = 16;
    let (query_whole, query_rest) = query.as_chunks::<LANES>();
    let (whole, rest) = vector.as_chunks::<LANES>();
    let mut lanes = [0.0_f32; LANES];
    for (left, right) in query_whole.iter().zip(whole) {
        for i in 0..LANES {
            lanes[i] += left[i] * f32::from_le_bytes(right[i]);
        }
    }
    let rest = query_rest.iter().zip(rest).map(|(left, right)| left * f32::from_le_bytes(*right));
    lanes.iter().sum::<f32>() + rest.sum::<f32>()
}

/// A vector of length 1 in the same direction; `None` when a number of it is none. One without a direction stays
/// as it is, and is near to nothing.
pub(crate) fn normal(mut vector: Vec<f32>) -> Option<Vec<f32>> {
    let square = vector.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>();
    let length = square.sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|number| *number = (f64::from(*number) / length) as f32);
    }
    length.is_finite().then_some(vector)
}

#[cfg(test)]
mod tests;

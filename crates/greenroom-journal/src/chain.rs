//! The checksums of a stream: each is made of the one before and of everything that is stored of its event,
//! so that an event which was changed, moved, left out or put in is noticed.
//!
//! It is SHA-256, which also names the bodies that are kept apart. A sum of 32 bits would be cheaper by less
//! than a microsecond, and miss one damage in four billion. It guards against accidents and not against
//! people: whoever can write the file can write new sums.

use greenroom_core::ids::StreamId;
use greenroom_core::time::Timestamp;
use sha2::{Digest as _, Sha256};

/// A SHA-256.
pub(crate) type Sum = [u8; 32];

/// What is stored of an event, as it is stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) seq: u64,
    pub(crate) at: Timestamp,
    pub(crate) kind: &'a str,
    pub(crate) version: u32,
    pub(crate) body: &'a str,
}

/// What the first event of a stream follows, and every snapshot.
pub(crate) fn origin(stream: &StreamId) -> Sum {
    Sha256::new()
        .chain_update("greenroom journal\0")
        .chain_update(stream.to_string())
        .finalize()
        .into()
}

/// The sum of an event that follows another one.
pub(crate) fn next(before: &Sum, entry: &Entry<'_>) -> Sum {
    let Entry { seq, at, kind, version, body } = entry;
    // Lengths come first, so that no two entries are the same bytes.
    Sha256::new()
        .chain_update(before)
        .chain_update(seq.to_le_bytes())
        .chain_update(at.as_millis().to_le_bytes())
        .chain_update(version.to_le_bytes())
        .chain_update((kind.len() as u64).to_le_bytes())
        .chain_update(kind)
        .chain_update(body)
        .finalize()
        .into()
}

/// The name of a body that is kept apart.
pub(crate) fn name(body: &str) -> Sum {
    Sha256::digest(body).into()
}

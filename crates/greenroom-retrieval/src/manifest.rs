//! What the index knows about each file: enough to tell whether it must be read again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::index::FORMAT;
use crate::report::NoticeCode;
use crate::walk::Stamp;

const MAGIC: &[u8; 8] = b"GRMANIF\n";
/// The most bytes of a manifest that are decoded; 200 bytes a file make it a million files.
const BYTES_MAX: usize = 256 << 20;

/// The files of an index, by key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) files: BTreeMap<String, Record>,
}

/// What became of one file.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) stamp: Stamp,
    pub(crate) outcome: Outcome,
}

/// How reading a file ended.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// It is in the index, in so many chunks.
    Indexed(u32),
    /// It is not text, for this reason.
    Skipped(NoticeCode),
}

impl Manifest {
    /// The bytes of the manifest: magic, format, checksum of the rest, and the rest.
    pub(crate) fn encode(&self) -> io::Result<Vec<u8>> {
        let config = bincode::config::standard().with_limit::<BYTES_MAX>();
        let body = bincode::serde::encode_to_vec(self, config).map_err(io::Error::other)?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(FORMAT.to_le_bytes());
        bytes.extend(crc32fast::hash(&body).to_le_bytes());
        bytes.extend(body);
        Ok(bytes)
    }

    /// Reads bytes back; `None` when they are damaged, foreign or of another format.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (format, rest) = rest.split_first_chunk::<4>()?;
        let (checksum, body) = rest.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*format) != FORMAT
            || u32::from_le_bytes(*checksum) != crc32fast::hash(body)
        {
            return None;
        }
        let config = bincode::config::standard().with_limit::<BYTES_MAX>();
        let (manifest, n_read) = bincode::serde::decode_from_slice(body, config).ok()?;
        (n_read == body.len()).then_some(manifest)
    }

    /// Writes the manifest to a new file and makes it durable.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(&self.encode()?)?;
        file.sync_all()
    }

    /// The files and the chunks that are in the index.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let mut counts = (0, 0);
        for record in self.files.values() {
            if let Outcome::Indexed(n_chunks) = record.outcome {
                counts.0 += 1;
                counts.1 += u64::from(n_chunks);
            }
        }
        counts
    }
}

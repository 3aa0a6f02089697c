//! Vectors on disk, by the key of what they are of.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `GRVECTR\n` |
//! | 4 | the version of this format |
//! | 4 | how many numbers a vector has |
//! | 4 | how many bytes the model's name has |
//! | … | the model's name |
//! | 4 | CRC-32 of all of the above |
//!
//! and then any number of records of one length: the key (16 bytes), the numbers (4 bytes each, of length 1
//! together), CRC-32 of both. Integers and numbers are little-endian.
//!
//! Records are only added. One that was torn or damaged is left out by whoever reads, and is gone when the file
//! is written anew, which is done to a new file that takes the place of the old one. The key is a hash of the
//! text that was embedded, so a vector outlives the index, and a passage that moves takes its own along.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tantivy::Directory;
use tantivy::directory::{MmapDirectory, OwnedBytes};

/// How the file is called, in the directory of the corpus.
pub(crate) const FILE: &str = "vectors";
/// How it is called until it is whole.
const NEW: &str = "vectors.new";

const MAGIC: &[u8; 8] = b"GRVECTR\n";
const VERSION: u32 = 1;
const KEY_LEN: usize = 16;
const CRC_LEN: usize = 4;
/// The longest vector that is believed.
const DIMENSIONS_MAX: usize = 1 << 16;

/// What a text is known by.
pub(super) type Key = u128;

/// The key of a text: FNV-1a with 128 bits, which is the same in every version and on every machine.
///
/// Source: Fowler, Noll, Vo, Eastlake and Hansen, RFC 9923.
pub(super) fn key(text: &str) -> Key {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    text.bytes().fold(BASIS, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME))
}

/// The vectors that are there.
pub(super) struct Table {
    bytes: OwnedBytes,
    dimensions: usize,
    /// Where the first record begins.
    start: usize,
    rows: HashMap<Key, u32>,
    n_records: usize,
    is_sound: bool,
}

/// Why stored vectors cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unusable {
    Damaged,
    OtherModel,
}

impl Table {
    /// The vectors of a model in a directory; `None` when there are none. The file is mapped and not read.
    pub(super) fn open(dir: &Path, model: &str) -> Option<Result<Self, Unusable>> {
        let bytes = MmapDirectory::open(dir).ok()?.open_read(Path::new(FILE)).ok()?.read_bytes();
        Some(bytes.map_err(|_| Unusable::Damaged).and_then(|bytes| Self::read(bytes, model)))
    }

    pub(super) fn read(bytes: OwnedBytes, model: &str) -> Result<Self, Unusable> {
        let (dimensions, name, start) = header(&bytes).ok_or(Unusable::Damaged)?;
        if name != model.as_bytes() {
            return Err(Unusable::OtherModel);
        }
        let len = record_len(dimensions);
        let (mut rows, mut n_sound) = (HashMap::new(), 0);
        let records = bytes[start..].chunks_exact(len);
        let (n_records, is_whole) = (records.len(), records.remainder().is_empty());
        for (row, record) in (0..).zip(records) {
            let (content, crc) = record.split_at(len - CRC_LEN);
            if crc == crc32fast::hash(content).to_le_bytes() {
                n_sound += 1;
                let (key, _) = content.split_first_chunk().expect("a record begins with its key");
                rows.insert(Key::from_le_bytes(*key), row);
            }
        }
        let is_sound = is_whole && n_sound == n_records;
        Ok(Self { bytes, dimensions, start, rows, n_records, is_sound })
    }

    pub(super) fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Whether every byte belongs to a sound record.
    pub(super) fn is_sound(&self) -> bool {
        self.is_sound
    }

    /// How many records there are, those that nobody needs included.
    pub(super) fn n_records(&self) -> usize {
        self.n_records
    }

    pub(super) fn row(&self, key: Key) -> Option<u32> {
        self.rows.get(&key).copied()
    }

    /// The numbers of a row, little-endian.
    pub(super) fn vector(&self, row: u32) -> &[[u8; 4]] {
        let record = self.record(row);
        record[KEY_LEN..record.len() - CRC_LEN].as_chunks().0
    }

    fn record(&self, row: u32) -> &[u8] {
        let len = record_len(self.dimensions);
        &self.bytes[self.start + row as usize * len..][..len]
    }
}

/// The dimensions, the model's name, and where the records begin.
fn header(bytes: &[u8]) -> Option<(usize, &[u8], usize)> {
    let (magic, rest) = bytes.split_first_chunk::<8>()?;
    let (version, rest) = rest.split_first_chunk()?;
    let (dimensions, rest) = rest.split_first_chunk()?;
    let (name_len, rest) = rest.split_first_chunk()?;
    let (name, rest) = rest.split_at_checked(u32::from_le_bytes(*name_len) as usize)?;
    let (crc, records) = rest.split_first_chunk::<CRC_LEN>()?;
    let (dimensions, start) =
        (u32::from_le_bytes(*dimensions) as usize, bytes.len() - records.len());
    let is_ours = magic == MAGIC
        && u32::from_le_bytes(*version) == VERSION
        && *crc == crc32fast::hash(&bytes[..start - CRC_LEN]).to_le_bytes()
        && (1..=DIMENSIONS_MAX).contains(&dimensions);
    is_ours.then_some((dimensions, name, start))
}

fn record_len(dimensions: usize) -> usize {
    KEY_LEN + 4 * dimensions + CRC_LEN
}

/// Adds vectors to those that are there.
pub(super) enum Writer {
    File(File),
    Memory(Vec<u8>),
}

impl Writer {
    /// Goes on behind the last record.
    pub(super) fn behind(dir: &Path) -> io::Result<Self> {
        Ok(Self::File(OpenOptions::new().append(true).open(dir.join(FILE))?))
    }

    /// Begins anew, with the records of `keys` out of an older table. `None` for memory.
    pub(super) fn anew(
        dir: Option<&Path>,
        (model, dimensions): (&str, usize),
        old: Option<(&Table, &mut dyn Iterator<Item = Key>)>,
    ) -> io::Result<Self> {
        let mut head = MAGIC.to_vec();
        for number in [VERSION as usize, dimensions, model.len()] {
            let number = u32::try_from(number).map_err(io::Error::other)?;
            head.extend(number.to_le_bytes());
        }
        head.extend(model.as_bytes());
        head.extend(crc32fast::hash(&head).to_le_bytes());
        let Some(dir) = dir else { return Ok(Self::Memory(head)) };
        let mut file = BufWriter::new(File::create(dir.join(NEW))?);
        file.write_all(&head)?;
        if let Some((table, keys)) = old {
            for row in keys.filter_map(|key| table.row(key)) {
                file.write_all(table.record(row))?;
            }
        }
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(dir.join(NEW), dir.join(FILE))?;
        Self::behind(dir)
    }

    /// Adds vectors of length 1 in one piece.
    pub(super) fn add(&mut self, vectors: &[(Key, Vec<f32>)]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for (key, vector) in vectors {
            let start = bytes.len();
            bytes.extend(key.to_le_bytes());
            bytes.extend(vector.iter().flat_map(|number| number.to_le_bytes()));
            bytes.extend(crc32fast::hash(&bytes[start..]).to_le_bytes());
        }
        match self {
            Self::File(file) => file.write_all(&bytes),
            Self::Memory(all) => {
                all.extend(bytes);
                Ok(())
            }
        }
    }

    /// What there is now: the bytes, when they are in memory.
    pub(super) fn finish(self) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::File(file) => file.sync_all().map(|()| None),
            Self::Memory(all) => Ok(Some(all)),
        }
    }
}

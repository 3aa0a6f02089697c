//! Damage in SQLite's log that no crash explains.
//!
//! After a crash SQLite takes the first frame of its log that is not as it was written for the end. That is right
//! for the transaction that was being written. It is wrong for any before it: those had been synced before the
//! next began, somebody was told so, and SQLite drops them without a word. So the log is read before SQLite sees
//! it. Frames count as ours by their salt; where two transactions end at or after a damaged frame, the first of
//! them was on the disk. It is lost unless the tables have it, too: SQLite moves the log into the tables and
//! then writes it from its beginning again, and a new header that was cut off is no damage to what was moved.
//!
//! The layout is that of <https://www.sqlite.org/fileformat2.html#walformat>.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
const PAGE_BYTES: usize = super::schema::PAGE_BYTES as usize;

/// The lowest bit says in which order the bytes of the sums are.
const MAGIC: u32 = 0x377f_0682;

/// What is wrong with a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damage {
    /// The frame that is damaged, counted from 0; the header counts as the first.
    pub(super) frame: usize,
    /// The ends of transactions that SQLite would drop.
    pub(super) n_dropped: usize,
}

/// Looks for damage in the log of a database. No log is a whole one.
pub(super) fn damage(log: &Path, database: &Path) -> io::Result<Option<Damage>> {
    let mut log = match File::open(log) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut header = [0; HEADER_BYTES];
    if !read(&mut log, &mut header)? {
        return Ok(None);
    }
    let word = |bytes: &[u8], i: usize| {
        u32::from_be_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]])
    };
    let is_big = word(&header, 0) & 1 == 1;
    let mut sum = summed((0, 0), &header[..24], is_big);
    let is_whole = word(&header, 0) & !1 == MAGIC && sum == (word(&header, 24), word(&header, 28));
    // A header that is damaged has no salt to compare with: that of the first frame takes its place.
    let mut salt = is_whole.then(|| (word(&header, 16), word(&header, 20)));
    let mut damage = (!is_whole).then_some(Damage { frame: 0, n_dropped: 0 });
    let mut frame = [0; FRAME_HEADER_BYTES + PAGE_BYTES];
    let mut n_read = 0;
    let (mut pages, mut written) = (BTreeMap::new(), BTreeMap::new());
    while read(&mut log, &mut frame)? {
        let is_ours = *salt.get_or_insert((word(&frame, 8), word(&frame, 12)))
            == (word(&frame, 8), word(&frame, 12));
        sum = summed(summed(sum, &frame[..8], is_big), &frame[FRAME_HEADER_BYTES..], is_big);
        if !is_ours || sum != (word(&frame, 16), word(&frame, 20)) {
            damage.get_or_insert(Damage { frame: n_read, n_dropped: 0 });
        }
        let is_end = is_ours && word(&frame, 4) != 0;
        if is_ours {
            written.insert(word(&frame, 0), n_read);
        }
        if is_end {
            pages.append(&mut written);
        }
        if let Some(damage) = &mut damage {
            damage.n_dropped += usize::from(is_end);
        }
        n_read += 1;
    }
    match damage.filter(|damage| damage.n_dropped >= 2) {
        Some(_) if is_in_tables(&pages, log.into_inner(), database)? => Ok(None),
        damage => Ok(damage),
    }
}

/// Whether the tables have the pages that are in these frames.
fn is_in_tables(pages: &BTreeMap<u32, usize>, mut log: File, database: &Path) -> io::Result<bool> {
    let mut database = File::open(database)?;
    let (mut moved, mut logged) = ([0; PAGE_BYTES], [0; PAGE_BYTES]);
    for (page, frame) in pages {
        let begin = HEADER_BYTES + frame * (FRAME_HEADER_BYTES + PAGE_BYTES) + FRAME_HEADER_BYTES;
        log.seek(SeekFrom::Start(begin as u64))?;
        database.seek(SeekFrom::Start(u64::from(page.saturating_sub(1)) * PAGE_BYTES as u64))?;
        let is_there = read(&mut log, &mut logged)? && read(&mut database, &mut moved)?;
        if !is_there || moved != logged {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Fills a buffer; false when there is not that much left.
fn read(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn summed(sum: (u32, u32), bytes: &[u8], is_big: bool) -> (u32, u32) {
    let words = bytes.chunks_exact(8).map(|pair| {
        let word = |i: usize| {
            let bytes = [pair[i], pair[i + 1], pair[i + 2], pair[i + 3]];
            if is_big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
        };
        (word(0), word(4))
    });
    words.fold(sum, |(left, right), (first, second)| {
        let left = left.wrapping_add(first).wrapping_add(right);
        (left, right.wrapping_add(second).wrapping_add(left))
    })
}

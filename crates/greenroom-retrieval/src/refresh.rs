//! Brings an index up to date with the files: reads what is new or changed, and nothing else.

use std::fs::File;
use std::io::{self, Read};
use std::num::NonZero;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tantivy::{IndexWriter, Term};

use crate::analyze::Analyzer;
use crate::chunk::{Format, chunks};
use crate::index::{Fields, schema};
use crate::manifest::{Manifest, Outcome, Record};
use crate::report::{IngestReport, NoticeCode, Notices, Progress};
use crate::store::Store;
use crate::walk::{Found, Root, Stamp, shown};

/// A file with a NUL byte in so many first bytes is binary.
const SNIFF_BYTES: usize = 8 << 10;
/// The most threads that read, and the most that index.
const THREADS_MAX: usize = 4;
/// What each indexing thread may hold before it writes a segment.
const BYTES_PER_THREAD: usize = 48 << 20;

/// What a refresh works on.
pub(crate) struct Refresh<'a> {
    pub(crate) roots: &'a [Root],
    pub(crate) found: &'a Found,
    pub(crate) file_bytes_max: u64,
    pub(crate) progress: &'a Progress,
    /// Set when nobody waits for the outcome any more.
    pub(crate) cancelled: &'a AtomicBool,
}

impl Refresh<'_> {
    /// Brings the store up to date. An error leaves the store as it was.
    pub(crate) fn run(&self, store: &mut Store, notices: &mut Notices) -> io::Result<IngestReport> {
        let mut manifest = Manifest::default();
        let mut stale: Vec<(&str, Stamp)> = Vec::new();
        let mut n_unchanged = 0;
        for (key, &stamp) in self.found {
            if stamp.size > self.file_bytes_max {
                notices.add(NoticeCode::TooLarge, Some(&self.shown(key)));
                continue;
            }
            match store.manifest.files.get(key) {
                Some(record) if record.stamp == stamp => {
                    n_unchanged += 1;
                    self.note(notices, key, record.outcome);
                    manifest.files.insert(key.clone(), *record);
                }
                _ => stale.push((key, stamp)),
            }
        }
        self.progress.will_read(stale.len() as u64);
        let before = store.manifest.files.keys();
        let gone: Vec<&String> = before.filter(|key| !manifest.files.contains_key(*key)).collect();
        let n_removed = gone.iter().filter(|key| !self.found.contains_key(**key)).count() as u64;
        let mut report = IngestReport { n_unchanged, n_removed, ..IngestReport::default() };
        if !(stale.is_empty() && gone.is_empty()) {
            let writer = self.writer(store)?;
            let fields = schema().1;
            for key in gone {
                writer.delete_term(Term::from_field_text(fields.path, key));
            }
            let read = self.read_all(&stale, &writer, &fields)?;
            for ((key, _), file) in stale.iter().zip(read) {
                let Some(file) = file else { continue };
                report.n_read += 1;
                report.bytes_read += file.bytes;
                match file.end {
                    End::Known(record) => {
                        self.note(notices, key, record.outcome);
                        manifest.files.insert((*key).to_owned(), record);
                    }
                    End::Failed(code) => notices.add(code, Some(&self.shown(key))),
                }
            }
            store.commit(writer, manifest)?;
        }
        (report.n_files, report.n_chunks) = store.manifest.counts();
        Ok(report)
    }

    fn writer(&self, store: &Store) -> io::Result<IndexWriter> {
        let n_threads = n_threads();
        let writer = store.index.writer_with_num_threads(n_threads, n_threads * BYTES_PER_THREAD);
        writer.map_err(io::Error::other)
    }

    /// Reads, cuts and indexes files on a few threads. The answers are in the order of the files.
    fn read_all(
        &self,
        files: &[(&str, Stamp)],
        writer: &IndexWriter,
        fields: &Fields,
    ) -> io::Result<Vec<Option<ReadFile>>> {
        let next = AtomicUsize::new(0);
        let failed: Mutex<Option<io::Error>> = Mutex::new(None);
        let stop = AtomicBool::new(false);
        let work = || {
            let mut analyzer = Analyzer::default();
            let mut done = Vec::new();
            while !stop.load(Ordering::Relaxed) && !self.cancelled.load(Ordering::Relaxed) {
                let i = next.fetch_add(1, Ordering::Relaxed);
                let Some((key, stamp)) = files.get(i) else { break };
                match self.read_one(key, *stamp, writer, fields, &mut analyzer) {
                    Ok(file) => {
                        self.progress.read_file(file.bytes);
                        done.push((i, file));
                    }
                    Err(error) => {
                        stop.store(true, Ordering::Relaxed);
                        *failed.lock().unwrap_or_else(|poison| poison.into_inner()) = Some(error);
                    }
                }
            }
            done
        };
        let mut read: Vec<Option<ReadFile>> = files.iter().map(|_| None).collect();
        let done = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..n_threads().min(files.len())).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
        });
        for part in done {
            let part = part.map_err(|_| io::Error::other("an ingest thread panicked"))?;
            for (i, file) in part {
                read[i] = Some(file);
            }
        }
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match failed.into_inner().unwrap_or_else(|poison| poison.into_inner()) {
            Some(error) => Err(error),
            None => Ok(read),
        }
    }

    /// Reads, cuts and indexes one file. Only a failure of the index is an error.
    fn read_one(
        &self,
        key: &str,
        stamp: Stamp,
        writer: &IndexWriter,
        fields: &Fields,
        analyzer: &mut Analyzer,
    ) -> io::Result<ReadFile> {
        let path = Path::new(key);
        let (bytes, outcome) = match read_text(path, self.file_bytes_max) {
            Ok(text) => {
                let mut n_chunks = 0;
                for chunk in chunks(Format::of(path), text.trim_start_matches('\u{feff}')) {
                    let document = fields.document(key, n_chunks == 0, chunk, analyzer);
                    writer.add_document(document).map_err(io::Error::other)?;
                    n_chunks += 1;
                }
                (text.len() as u64, Outcome::Indexed(n_chunks))
            }
            Err(Unread { code, bytes }) => (bytes, Outcome::Skipped(code)),
        };
        let end = match outcome {
            Outcome::Skipped(code) if !matches!(code, NoticeCode::Binary | NoticeCode::NotUtf8) => {
                End::Failed(code)
            }
            outcome => End::Known(Record { stamp, outcome }),
        };
        Ok(ReadFile { bytes, end })
    }

    fn note(&self, notices: &mut Notices, key: &str, outcome: Outcome) {
        if let Outcome::Skipped(code) = outcome {
            notices.add(code, Some(&self.shown(key)));
        }
    }

    fn shown(&self, key: &str) -> String {
        shown(self.roots, Path::new(key))
    }
}

/// How one file ended.
struct ReadFile {
    bytes: u64,
    end: End,
}

enum End {
    /// Not to be read again until it changes.
    Known(Record),
    /// To be tried again the next time.
    Failed(NoticeCode),
}

/// Why a file gave no text, and how many bytes were read to find out.
struct Unread {
    code: NoticeCode,
    bytes: u64,
}

fn read_text(path: &Path, bytes_max: u64) -> Result<String, Unread> {
    let unread = |code, bytes: usize| Unread { code, bytes: bytes as u64 };
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => unread(NoticeCode::Vanished, 0),
        _ => unread(NoticeCode::UnreadableFile, 0),
    };
    // One byte more than allowed: a file may have grown since it was found.
    let mut file = File::open(path).map_err(failed)?.take(bytes_max.saturating_add(1));
    let mut bytes = Vec::new();
    file.by_ref().take(SNIFF_BYTES as u64).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.contains(&0) {
        return Err(unread(NoticeCode::Binary, bytes.len()));
    }
    file.read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > bytes_max {
        return Err(unread(NoticeCode::TooLarge, bytes.len()));
    }
    String::from_utf8(bytes).map_err(|error| unread(NoticeCode::NotUtf8, error.as_bytes().len()))
}

fn n_threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get).min(THREADS_MAX)
}

#[cfg(test)]
mod tests;

//! What ingest tells its caller: progress while it works, and a report with notices afterwards.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use greenroom_core::budget::Usage;
use serde::{Deserialize, Serialize};

/// What opening a corpus found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IngestReport {
    /// The files in the index.
    pub n_files: u64,
    /// The passages in the index.
    pub n_chunks: u64,
    /// The files that were read, because they are new or have changed.
    pub n_read: u64,
    /// The files that were not read, because neither size nor modification time has changed.
    pub n_unchanged: u64,
    /// The files that were in the index and are no longer there.
    pub n_removed: u64,
    /// The bytes that were read.
    pub bytes_read: u64,
    /// The passages that were embedded, because they are new or have changed. Copies count once.
    pub n_embedded: u64,
    /// What embedding them cost.
    pub embedding_usage: Usage,
    /// What was skipped or worked around, by code; at most one notice a code.
    pub notices: Vec<Notice>,
}

/// Something that was skipped or worked around; the corpus is usable all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What happened.
    pub code: NoticeCode,
    /// How many times it happened.
    pub count: u64,
    /// The first paths it happened to, at most [`Notice::PATHS_MAX`], in the order of the walk; or what caused
    /// it, when it did not happen to a path.
    pub paths: Vec<String>,
}

impl Notice {
    /// The most paths that a notice lists.
    pub const PATHS_MAX: usize = 5;
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code.message())?;
        if !self.paths.is_empty() {
            write!(f, ": {}", self.paths.join(", "))?;
            let more = self.count.saturating_sub(self.paths.len() as u64);
            if more > 0 {
                write!(f, " and {more} more")?;
            }
        }
        Ok(())
    }
}

/// What a [`Notice`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum NoticeCode {
    /// A file with a NUL byte in its first 8 KiB was skipped.
    Binary,
    /// A file that is not UTF-8 was skipped.
    NotUtf8,
    /// A file above the size limit was not read.
    TooLarge,
    /// A file was deleted between the walk and the read.
    Vanished,
    /// The stored index was damaged, foreign or of another version, and was built anew.
    IndexRebuilt,
    /// The store directory cannot be written; the index is in memory and will be built again.
    StoreNotWritable,
    /// A file or directory inside a root could not be read.
    UnreadableFile,
    /// Another process is updating the index; what it had built before is searched.
    IndexBusy,
    /// A file whose path is not UTF-8 was skipped, because it could not be cited.
    PathNotUtf8,
    /// A symbolic link inside a root was not followed.
    Symlink,
    /// Passages could not be embedded; the corpus is searched by words alone.
    NotEmbedded,
    /// The stored vectors are another model's; all passages were embedded anew.
    EmbedderChanged,
    /// A question could not be embedded; it was searched for by words alone.
    QueryNotEmbedded,
    /// Stored vectors were damaged; their passages were embedded anew.
    VectorsRebuilt,
}

impl NoticeCode {
    /// The stable code that `docs/errors.md` explains.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Binary => "GR0211",
            Self::NotUtf8 => "GR0212",
            Self::TooLarge => "GR0213",
            Self::Vanished => "GR0214",
            Self::IndexRebuilt => "GR0215",
            Self::StoreNotWritable => "GR0216",
            Self::UnreadableFile => "GR0217",
            Self::IndexBusy => "GR0218",
            Self::PathNotUtf8 => "GR0219",
            Self::Symlink => "GR0220",
            Self::NotEmbedded => "GR0221",
            Self::EmbedderChanged => "GR0222",
            Self::QueryNotEmbedded => "GR0223",
            Self::VectorsRebuilt => "GR0224",
        }
    }

    /// One line that people read.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::Binary => "binary files were skipped",
            Self::NotUtf8 => "files that are not UTF-8 were skipped",
            Self::TooLarge => "files above the size limit were not read",
            Self::Vanished => "files disappeared while they were being indexed",
            Self::IndexRebuilt => "the stored index was damaged or outdated and was rebuilt",
            Self::StoreNotWritable => {
                "the store directory cannot be written; the index is kept in memory"
            }
            Self::UnreadableFile => "files or directories could not be read",
            Self::IndexBusy => "another process is updating the index; its last state is searched",
            Self::PathNotUtf8 => "files whose path is not UTF-8 were skipped",
            Self::Symlink => "symbolic links were not followed",
            Self::NotEmbedded => "not all passages are embedded; search is by words alone",
            Self::EmbedderChanged => "another embedding model; all passages are embedded anew",
            Self::QueryNotEmbedded => "questions were not embedded; search was by words alone",
            Self::VectorsRebuilt => "stored vectors were damaged; their passages are embedded anew",
        }
    }
}

/// Counts notices by code.
#[derive(Debug, Default)]
pub(crate) struct Notices(BTreeMap<NoticeCode, Notice>);

impl Notices {
    /// Records one occurrence.
    pub(crate) fn add(&mut self, code: NoticeCode, path: Option<&str>) {
        let notice =
            self.0.entry(code).or_insert_with(|| Notice { code, count: 0, paths: Vec::new() });
        notice.count += 1;
        if let Some(path) = path
            && notice.paths.len() < Notice::PATHS_MAX
        {
            notice.paths.push(path.to_owned());
        }
    }

    /// Adds notices of codes that have none yet.
    pub(crate) fn extend(&mut self, other: Self) {
        for (code, notice) in other.0 {
            self.0.entry(code).or_insert(notice);
        }
    }

    pub(crate) fn into_vec(self) -> Vec<Notice> {
        self.0.into_values().collect()
    }
}

/// A handle on how far ingest is; clones share the counters. Reading it costs nothing to ingest.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    n_seen: AtomicU64,
    n_to_read: AtomicU64,
    n_read: AtomicU64,
    bytes_read: AtomicU64,
    n_to_embed: AtomicU64,
    n_embedded: AtomicU64,
    done: AtomicBool,
}

/// The counters of a [`Progress`] at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ProgressSnapshot {
    /// Files that the walk has found.
    pub n_seen: u64,
    /// Files that are new or changed; known once the walk is over, zero before.
    pub n_to_read: u64,
    /// Files of those that have been read.
    pub n_read: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// Passages that are to be embedded; known once the index is up to date, zero before.
    pub n_to_embed: u64,
    /// Passages of those that have been embedded.
    pub n_embedded: u64,
    /// Whether ingest is over, well or badly.
    pub done: bool,
}

impl Progress {
    /// The counters now.
    #[must_use]
    pub fn snapshot(&self) -> ProgressSnapshot {
        let counters = &self.counters;
        ProgressSnapshot {
            n_seen: counters.n_seen.load(Ordering::Relaxed),
            n_to_read: counters.n_to_read.load(Ordering::Relaxed),
            n_read: counters.n_read.load(Ordering::Relaxed),
            bytes_read: counters.bytes_read.load(Ordering::Relaxed),
            n_to_embed: counters.n_to_embed.load(Ordering::Relaxed),
            n_embedded: counters.n_embedded.load(Ordering::Relaxed),
            done: counters.done.load(Ordering::Acquire),
        }
    }

    pub(crate) fn saw_file(&self) {
        self.counters.n_seen.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn will_read(&self, n_files: u64) {
        // From the start, when an index that could not be stored is built again in memory.
        self.counters.n_read.store(0, Ordering::Relaxed);
        self.counters.bytes_read.store(0, Ordering::Relaxed);
        self.counters.n_to_read.store(n_files, Ordering::Relaxed);
    }

    pub(crate) fn read_file(&self, bytes: u64) {
        self.counters.n_read.fetch_add(1, Ordering::Relaxed);
        self.counters.bytes_read.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn will_embed(&self, n_passages: u64) {
        self.counters.n_embedded.store(0, Ordering::Relaxed);
        self.counters.n_to_embed.store(n_passages, Ordering::Relaxed);
    }

    pub(crate) fn embedded(&self, n_passages: u64) {
        self.counters.n_embedded.fetch_add(n_passages, Ordering::Relaxed);
    }

    pub(crate) fn finish(&self) {
        self.counters.done.store(true, Ordering::Release);
    }
}

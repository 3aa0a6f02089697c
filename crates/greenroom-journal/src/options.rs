//! How a journal is opened, and what it survives.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use greenroom_core::journal::{JournalError, MemoryJournal};

use crate::SqliteJournal;
use crate::files::Files;
use crate::readers::Readers;
use crate::store::Store;
use crate::writer::Writer;

/// When an event counts as stored, and so what an answered append survives.
///
/// | | a crashed agent | `kill -9` of the process | power loss |
/// |---|---|---|---|
/// | `Durable` | yes | yes | yes |
/// | `Relaxed` | yes | yes | the file stays whole; the last seconds may be missing |
/// | `Ephemeral` | yes | no | no |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Durability {
    /// Once the disk has said so.
    #[default]
    Durable,
    /// Once the operating system has it.
    Relaxed,
    /// Once it is in memory. Nothing is written to the disk, and of finished runs the last 100 are kept.
    Ephemeral,
}

/// Opens a [`SqliteJournal`].
///
/// ```no_run
/// use greenroom_journal::{Durability, SqliteOptions};
///
/// # fn main() -> Result<(), greenroom_core::journal::JournalError> {
/// let journal = SqliteOptions::new("/var/lib/app").durability(Durability::Relaxed).open()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct SqliteOptions {
    dir: PathBuf,
    durability: Durability,
    bytes_max: Option<u64>,
    accepts_loss: bool,
}

impl SqliteOptions {
    /// The journal of a directory: durable, and as large as the disk allows.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        let durability = Durability::default();
        Self { dir: dir.into(), durability, bytes_max: None, accepts_loss: false }
    }

    /// What an answered append survives.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The largest size of the file, in bytes, rounded down to pages of 4,096. What does not fit is refused
    /// as [`Full`](greenroom_core::journal::JournalErrorKind::Full). The log beside it, of some 4 MB, does
    /// not count.
    pub fn bytes_max(mut self, bytes_max: u64) -> Self {
        self.bytes_max = Some(bytes_max);
        self
    }

    /// Opens a journal also when its log is damaged, with what comes before the damage. What came after is
    /// gone, and nobody knows which runs it was of: calls that were made may be made again.
    pub fn accept_loss(mut self) -> Self {
        self.accepts_loss = true;
        self
    }

    /// Opens the journal, and makes it when it is not there: the directory for its user alone, and in it
    /// `journal.db`. It blocks for some milliseconds.
    ///
    /// # Errors
    ///
    /// `Locked` when another process owns the journal, `TooNew` when a newer version wrote it, `Corrupt`
    /// when the file is no journal or its log is damaged, `ReadOnly`, `Full` or `Unavailable` when the system refuses.
    pub fn open(self) -> Result<SqliteJournal, JournalError> {
        if self.durability == Durability::Ephemeral {
            return Ok(SqliteJournal::in_memory(MemoryJournal::new()));
        }
        let files = Files::own(&self.dir, self.durability)?;
        let readers = Arc::new(Readers::new(files.database().to_owned()));
        let store = Store::open(files, self.durability, self.bytes_max, self.accepts_loss)?;
        let writer = Writer::start(store)?;
        Ok(SqliteJournal::owned(Arc::new(writer), readers))
    }
}

/// The journal of a directory, for reading.
pub(crate) fn open_for_reading(dir: &Path) -> Result<SqliteJournal, JournalError> {
    let readers = Readers::new(Files::existing(dir)?);
    readers.check()?;
    Ok(SqliteJournal::read_only(Arc::new(readers)))
}

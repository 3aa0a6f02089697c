//! The journal as the runtime sees it.

use std::path::Path;
use std::sync::Arc;

use greenroom_core::BoxFuture;
use greenroom_core::ids::{RunId, StreamId};
use greenroom_core::journal::{
    Journal, JournalError, JournalErrorKind, MemoryJournal, Recorded, RunHead, Runs,
};
use greenroom_core::time::Timestamp;
use rusqlite::Connection;

use crate::options::{SqliteOptions, open_for_reading};
use crate::readers::Readers;
use crate::store::load;
use crate::writer::Writer;

/// Runs that one purge deletes in one transaction; the writer has other work, too.
const PURGED_AT_ONCE: usize = 100;

/// A journal in a SQLite file. Clones are handles of the same one.
///
/// An append answers once its events are as durable as [`Durability`](crate::Durability) says. It never
/// answers at once, except from memory.
#[derive(Debug, Clone)]
pub struct SqliteJournal {
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    Memory(MemoryJournal),
    /// The writer comes first, so that its last events are stored before the readers go.
    Owned(Arc<Writer>, Arc<Readers>),
    ReadOnly(Arc<Readers>),
}

impl SqliteJournal {
    /// Opens the durable journal of a directory, and makes it when it is not there. It blocks for some
    /// milliseconds. [`SqliteOptions`] has other modes.
    ///
    /// # Errors
    ///
    /// Those of [`SqliteOptions::open`].
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, JournalError> {
        SqliteOptions::new(dir.as_ref()).open()
    }

    /// Opens the journal of a directory to look into it, also while another process owns it. Appends are
    /// refused.
    ///
    /// # Errors
    ///
    /// `Unavailable` when there is none, `TooNew` when a newer version wrote it, `Corrupt` when the file is
    /// no journal.
    pub fn open_for_reading(dir: impl AsRef<Path>) -> Result<Self, JournalError> {
        open_for_reading(dir.as_ref())
    }

    pub(crate) fn in_memory(journal: MemoryJournal) -> Self {
        Self { place: Place::Memory(journal) }
    }

    pub(crate) fn owned(writer: Arc<Writer>, readers: Arc<Readers>) -> Self {
        Self { place: Place::Owned(writer, readers) }
    }

    pub(crate) fn read_only(readers: Arc<Readers>) -> Self {
        Self { place: Place::ReadOnly(readers) }
    }

    /// Deletes the runs that are finished and were last written before an instant, and gives their number.
    /// What they took up is used again and not given back to the system. A journal in memory limits itself
    /// and deletes none.
    ///
    /// # Errors
    ///
    /// `ReadOnly`, or those of an append. What was deleted until then stays so.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the remaining runs for the next time.
    pub async fn purge(&self, before: Timestamp) -> Result<usize, JournalError> {
        let writer = match &self.place {
            Place::Memory(_) => return Ok(0),
            Place::Owned(writer, _) => writer,
            Place::ReadOnly(_) => return Err(refused()),
        };
        let mut n_purged = 0;
        // There are only so many runs, and nobody finishes one before an instant that is past.
        loop {
            match writer.purge(before, PURGED_AT_ONCE).await? {
                0 => return Ok(n_purged),
                n => n_purged += n,
            }
        }
    }

    /// Reads once every append is decided that was called before.
    fn read<T: Send + 'static>(
        &self,
        from_memory: impl FnOnce(&MemoryJournal) -> BoxFuture<'static, Result<T, JournalError>>,
        from_file: impl FnOnce(&Connection) -> Result<T, JournalError> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, JournalError>> {
        let (settled, readers) = match &self.place {
            Place::Memory(journal) => return from_memory(journal),
            Place::Owned(writer, readers) => (Some(writer.settle()), Arc::clone(readers)),
            Place::ReadOnly(readers) => (None, Arc::clone(readers)),
        };
        Box::pin(async move {
            if let Some(settled) = settled {
                settled.await?;
            }
            readers.read(from_file).await
        })
    }
}

impl Journal for SqliteJournal {
    fn append(
        &self,
        stream: &StreamId,
        events: Arc<[Recorded]>,
    ) -> BoxFuture<'static, Result<(), JournalError>> {
        match &self.place {
            Place::Memory(journal) => journal.append(stream, events),
            Place::Owned(writer, _) => Box::pin(writer.append(stream, events)),
            Place::ReadOnly(_) => Box::pin(std::future::ready(Err(refused()))),
        }
    }

    fn load(&self, stream: &StreamId) -> BoxFuture<'static, Result<Vec<Recorded>, JournalError>> {
        let wanted = stream.clone();
        self.read(|journal| journal.load(stream), move |file| load::load(file, &wanted))
    }

    fn streams(&self, run: RunId) -> BoxFuture<'static, Result<Vec<StreamId>, JournalError>> {
        self.read(|journal| journal.streams(run), move |file| load::streams(file, run))
    }

    fn runs(&self, which: Runs) -> BoxFuture<'static, Result<Vec<RunHead>, JournalError>> {
        self.read(|journal| journal.runs(which), move |file| load::runs(file, which))
    }

    fn flush(&self) -> BoxFuture<'static, Result<(), JournalError>> {
        match &self.place {
            Place::Owned(writer, _) => writer.flush(),
            Place::Memory(_) | Place::ReadOnly(_) => Box::pin(std::future::ready(Ok(()))),
        }
    }
}

fn refused() -> JournalError {
    JournalError::new(JournalErrorKind::ReadOnly, "it was opened for reading")
}

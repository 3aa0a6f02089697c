//! Connections that read, each on a blocking thread. They never wait for the writer, nor it for them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use greenroom_core::journal::{JournalError, JournalErrorKind};
use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::store::open_readable;

/// How many read at once; others wait for their turn.
const READERS_MAX: usize = 8;

/// Connections to one database.
#[derive(Debug)]
pub(crate) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    turns: Arc<Semaphore>,
}

impl Readers {
    /// No connection is opened yet.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::default(), turns: Arc::new(Semaphore::new(READERS_MAX)) }
    }

    /// Opens a connection, to see whether that works.
    pub(crate) fn check(&self) -> Result<(), JournalError> {
        let connection = self.take()?;
        self.put_back(connection);
        Ok(())
    }

    /// Reads on a blocking thread.
    pub(crate) async fn read<T: Send + 'static>(
        self: Arc<Self>,
        work: impl FnOnce(&Connection) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let readers = Arc::clone(&self);
        let turn = Arc::clone(&self.turns).acquire_owned().await.expect("it is never closed");
        let read = tokio::task::spawn_blocking(move || {
            // Whoever asked may be gone: the turn lasts as long as the reading.
            let _turn = turn;
            let connection = readers.take()?;
            let done = work(&connection);
            // Another one may do better after an error.
            if done.is_ok() {
                readers.put_back(connection);
            }
            done
        });
        read.await.unwrap_or_else(|_| {
            let message = "the reader was stopped, or panicked";
            Err(JournalError::new(JournalErrorKind::Unavailable, message))
        })
    }

    fn take(&self) -> Result<Connection, JournalError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| open_readable(&self.path), Ok)
    }

    fn put_back(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

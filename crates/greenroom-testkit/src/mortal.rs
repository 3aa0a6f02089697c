//! A journal whose process dies at a chosen append: what was stored stays, and nothing happens any more.

use std::fmt;
use std::future::{self, Future};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use greenroom_core::BoxFuture;
use greenroom_core::ids::{RunId, StreamId};
use greenroom_core::journal::{Journal, JournalError, Recorded, RunHead, Runs};
use tokio::sync::watch;

/// At which append a process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Death {
    /// The append, counted from 1 in the life of one process.
    pub at: u64,
    /// Whether its events are stored. Nobody is told either way.
    pub is_stored: bool,
}

/// A journal that survives its process. After the death nothing is stored or read: every call is left
/// without an answer, as calls of a dead process are.
///
/// What is left of the process must be dropped once [`MortalJournal::died`] completes: its runtime of tokio
/// with every task in it. Clones are handles of one process's journal; the next process wraps the same inner
/// journal in another one.
#[derive(Clone)]
pub struct MortalJournal {
    inner: Arc<dyn Journal>,
    death: Option<Death>,
    n_appends: Arc<AtomicU64>,
    died: watch::Sender<bool>,
}

impl MortalJournal {
    /// The journal of one process, which dies so, or does not.
    #[must_use]
    pub fn new(inner: impl Journal, death: Option<Death>) -> Self {
        Self {
            inner: Arc::new(inner),
            death,
            n_appends: Arc::default(),
            died: watch::Sender::new(false),
        }
    }

    /// Appends that were called, the last one included.
    #[must_use]
    pub fn n_appends(&self) -> u64 {
        self.n_appends.load(Ordering::SeqCst)
    }

    /// Ends the process now.
    pub fn kill(&self) {
        self.died.send_replace(true);
    }

    /// Completes once the process is dead.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn died(&self) {
        let mut died = self.died.subscribe();
        let seen = died.wait_for(|is_dead| *is_dead).await;
        seen.expect("the sender lives as long as this handle");
    }

    /// Lives until the process dies, which gives `None`, or until it comes to its end.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the life.
    pub async fn outlive<T>(&self, life: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.died() => None,
            ended = life => Some(ended),
        }
    }

    fn is_over(&self) -> bool {
        *self.died.borrow()
    }
}

impl Journal for MortalJournal {
    fn append(
        &self,
        stream: &StreamId,
        events: Arc<[Recorded]>,
    ) -> BoxFuture<'static, Result<(), JournalError>> {
        if self.is_over() {
            return Box::pin(future::pending());
        }
        let n_appends = self.n_appends.fetch_add(1, Ordering::SeqCst) + 1;
        match self.death.filter(|death| death.at == n_appends) {
            None => self.inner.append(stream, events),
            Some(death) => {
                let stored = death.is_stored.then(|| self.inner.append(stream, events));
                let this = self.clone();
                Box::pin(async move {
                    if let Some(stored) = stored {
                        // It is stored, or it conflicts; nobody learns which.
                        let _ = stored.await;
                    }
                    this.kill();
                    future::pending().await
                })
            }
        }
    }

    fn load(&self, stream: &StreamId) -> BoxFuture<'static, Result<Vec<Recorded>, JournalError>> {
        if self.is_over() { Box::pin(future::pending()) } else { self.inner.load(stream) }
    }

    fn streams(&self, run: RunId) -> BoxFuture<'static, Result<Vec<StreamId>, JournalError>> {
        if self.is_over() { Box::pin(future::pending()) } else { self.inner.streams(run) }
    }

    fn runs(&self, which: Runs) -> BoxFuture<'static, Result<Vec<RunHead>, JournalError>> {
        if self.is_over() { Box::pin(future::pending()) } else { self.inner.runs(which) }
    }

    fn flush(&self) -> BoxFuture<'static, Result<(), JournalError>> {
        if self.is_over() { Box::pin(future::pending()) } else { self.inner.flush() }
    }
}

impl fmt::Debug for MortalJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MortalJournal")
            .field("death", &self.death)
            .field("n_appends", &self.n_appends())
            .finish_non_exhaustive()
    }
}

//! A journal that evicts whoever writes: each event is stored, and its writer has to begin anew.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use greenroom_core::BoxFuture;
use greenroom_core::ids::{RunId, StreamId};
use greenroom_core::journal::{Journal, JournalError, JournalErrorKind, Recorded, RunHead, Runs};

/// A journal that stores what it is given, and then says that it cannot be reached. An agent or a router that is
/// told so fails, with everything that it knows and has under way, and its next incarnation has nothing but the
/// stream. So each of them is evicted after every append of a run but the one that begins it, which is the
/// runtime's.
///
/// It takes its time to say so, in tokio's time: a child of a run that fails more than three times in a minute is
/// given up. Clones count together.
#[derive(Clone)]
pub struct EvictingJournal {
    inner: Arc<dyn Journal>,
    n_evicted: Arc<AtomicU64>,
}

impl EvictingJournal {
    /// How long it takes to evict somebody.
    pub const PAUSE: Duration = Duration::from_secs(21);

    /// Evicts whoever writes to this journal.
    #[must_use]
    pub fn new(inner: impl Journal) -> Self {
        Self { inner: Arc::new(inner), n_evicted: Arc::default() }
    }

    /// How often somebody was evicted.
    #[must_use]
    pub fn n_evicted(&self) -> u64 {
        self.n_evicted.load(Ordering::SeqCst)
    }
}

impl Journal for EvictingJournal {
    fn append(
        &self,
        stream: &StreamId,
        events: Arc<[Recorded]>,
    ) -> BoxFuture<'static, Result<(), JournalError>> {
        let begins = stream.path().is_empty() && events.first().is_some_and(|first| first.seq == 0);
        let stored = self.inner.append(stream, events);
        if begins || stream.run().is_none() {
            return stored;
        }
        let error = JournalError::of(stream, JournalErrorKind::Unavailable, "stored, and evicted");
        let n_evicted = Arc::clone(&self.n_evicted);
        Box::pin(async move {
            stored.await?;
            tokio::time::sleep(Self::PAUSE).await;
            n_evicted.fetch_add(1, Ordering::SeqCst);
            Err(error)
        })
    }

    fn load(&self, stream: &StreamId) -> BoxFuture<'static, Result<Vec<Recorded>, JournalError>> {
        self.inner.load(stream)
    }

    fn streams(&self, run: RunId) -> BoxFuture<'static, Result<Vec<StreamId>, JournalError>> {
        self.inner.streams(run)
    }

    fn runs(&self, which: Runs) -> BoxFuture<'static, Result<Vec<RunHead>, JournalError>> {
        self.inner.runs(which)
    }

    fn flush(&self) -> BoxFuture<'static, Result<(), JournalError>> {
        self.inner.flush()
    }
}

impl fmt::Debug for EvictingJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvictingJournal")
            .field("n_evicted", &self.n_evicted())
            .finish_non_exhaustive()
    }
}

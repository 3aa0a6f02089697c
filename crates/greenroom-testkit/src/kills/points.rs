//! Named points of a process, and the one at which it ends itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use greenroom_core::BoxFuture;
use greenroom_core::ids::{RunId, StreamId};
use greenroom_core::journal::{Journal, JournalError, Recorded, RunHead, Runs};

/// Where a process ends itself, when it does. Clones count together.
///
/// | point | when it is passed |
/// |---|---|
/// | `before-store`, `after-store` | an append is called; it is stored, and nobody knows yet |
/// | `before-load` | a stream is to be read, by a recovery for example |
/// | `before-effect`, `after-effect` | of a call of a [`WitnessedTool`](super::WitnessedTool) |
/// | `before-ask`, `after-ask` | of a call of a [`WitnessedModel`](super::WitnessedModel) |
///
/// An application adds points of its own by passing them.
#[derive(Debug, Clone, Default)]
pub struct Points {
    doom: Option<Arc<Doom>>,
}

#[derive(Debug)]
struct Doom {
    point: String,
    at: u64,
    n_passed: AtomicU64,
}

impl Points {
    /// All points, in an order in which a run passes most of them.
    pub const ALL: [&str; 7] = [
        "before-store",
        "after-store",
        "before-load",
        "before-ask",
        "after-ask",
        "before-effect",
        "after-effect",
    ];

    /// A process that ends itself when it passes a point for the n-th time, counted from 1.
    #[must_use]
    pub fn ending_at(point: impl Into<String>, n: u64) -> Self {
        let doom = Doom { point: point.into(), at: n, n_passed: AtomicU64::new(0) };
        Self { doom: Some(Arc::new(doom)) }
    }

    /// The process is at a point; it may be the last one. Then it ends at once: no destructor runs, and
    /// nothing that was buffered is written.
    pub fn pass(&self, point: &str) {
        let Some(doom) = self.doom.as_deref().filter(|doom| doom.point == point) else { return };
        if doom.n_passed.fetch_add(1, Ordering::SeqCst) + 1 == doom.at {
            std::process::abort();
        }
    }
}

/// A journal that passes points.
#[derive(Debug, Clone)]
pub struct PointedJournal<J> {
    inner: J,
    points: Points,
}

impl<J: Journal> PointedJournal<J> {
    /// Wraps a journal.
    pub fn new(inner: J, points: Points) -> Self {
        Self { inner, points }
    }
}

impl<J: Journal> Journal for PointedJournal<J> {
    fn append(
        &self,
        stream: &StreamId,
        events: Arc<[Recorded]>,
    ) -> BoxFuture<'static, Result<(), JournalError>> {
        self.points.pass("before-store");
        let (stored, points) = (self.inner.append(stream, events), self.points.clone());
        Box::pin(async move {
            let stored = stored.await;
            points.pass("after-store");
            stored
        })
    }

    fn load(&self, stream: &StreamId) -> BoxFuture<'static, Result<Vec<Recorded>, JournalError>> {
        self.points.pass("before-load");
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

//! What a runtime needs to continue runs: those at work, whose they are, and what recovery knows.

use std::sync::Arc;

use greenroom_core::ids::{RunId, StreamId};
use greenroom_core::journal::Recorded;
use greenroom_core::random::SplitMix64;
use greenroom_core::recovery::Owner;

use super::Runtime;
use super::starts::Starts;
use crate::recovery::{Bindings, RecoveryState, Resumable};
use crate::run::live::{LiveRuns, Place};
use crate::run::sleep::Dormitory;
use crate::runtime::error::RunError;

/// The runs of a runtime.
pub(super) struct Durable {
    runs: Arc<LiveRuns>,
    bindings: Bindings,
    recovery: RecoveryState,
    dormitory: Dormitory,
    pub(super) starts: Starts,
    boot: String,
}

impl Durable {
    pub(super) fn new(runs_max: usize, seed: u64) -> Self {
        Self {
            runs: LiveRuns::new(runs_max),
            bindings: Bindings::default(),
            recovery: RecoveryState::default(),
            dormitory: Dormitory::default(),
            starts: Starts::new(),
            // Not of the numbers that ids are made of, which the same seed makes the same.
            boot: format!("{:016x}", SplitMix64::new(!seed).bits()),
        }
    }
}

impl Runtime {
    /// The runs at work.
    pub(crate) fn runs(&self) -> &Arc<LiveRuns> {
        &self.inner.durable.runs
    }

    /// A place for a run that is to be at work here from now on.
    pub(crate) fn admit(&self, run: RunId) -> Result<Place, RunError> {
        self.unless_draining(self.runs().admit(run))
    }

    /// A place for a run that is to sleep here.
    pub(crate) fn lodge(&self, run: RunId) -> Result<Place, RunError> {
        self.unless_draining(self.runs().lodge(run))
    }

    fn unless_draining(&self, place: Option<Place>) -> Result<Place, RunError> {
        let place = place.ok_or(RunError::TooManyRuns);
        // Looked at once the place is taken: whoever begins to drain sees the place, or is seen.
        if self.runs().draining.is_cancelled() { Err(RunError::Draining) } else { place }
    }

    /// Stores the first events of a run.
    pub(crate) async fn accept(&self, run: RunId, events: Arc<[Recorded]>) -> Result<(), RunError> {
        let stored = self.journal().append(&StreamId::root(run), events).await;
        self.runs().pace.refuse(stored.is_err());
        stored.map_err(RunError::Journal)
    }

    /// The teams and agents that can continue runs.
    pub(crate) fn bindings(&self) -> &Bindings {
        &self.inner.durable.bindings
    }

    /// Makes a team or agent known to those who recover runs, for as long as somebody has it.
    pub(crate) fn bind<R: Resumable>(&self, owner: Owner, resumable: &Arc<R>) {
        let resumable = Arc::downgrade(resumable);
        self.bindings().bind(owner, resumable);
    }

    pub(crate) fn recovery(&self) -> &RecoveryState {
        &self.inner.durable.recovery
    }

    /// The runs that sleep.
    pub(crate) fn dormitory(&self) -> &Dormitory {
        &self.inner.durable.dormitory
    }

    /// What this runtime calls itself when it takes a run over.
    pub(crate) fn boot(&self) -> &str {
        &self.inner.durable.boot
    }
}

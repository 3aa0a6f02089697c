//! Recovery: finding unfinished runs that nobody works on, and continuing them with the team or agent that
//! they belong to.

mod actor;
mod api;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use futures_util::future::try_join_all;
use greenroom_core::BoxFuture;
use greenroom_core::ids::{RunId, StreamId};
use greenroom_core::journal::{Event, Journal, JournalError, Recorded};
use greenroom_core::recovery::{
    Change, Claim, Config, Footprint, Owner, Parked, ParkedRun, RecoverySpec,
};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::actor::address::AgentRef;
use crate::journalled::Known;
use crate::run::live::Place;
use crate::runtime::Runtime;
use crate::runtime::error::RunError;

pub use api::{Recovered, ResumeError};

/// The start of a run that is continued. Its token is cancelled once the run has got further or has ended.
pub(crate) type Resuming = BoxFuture<'static, Result<CancellationToken, RunError>>;

/// What can continue runs.
pub(crate) trait Resumable: Send + Sync + 'static {
    fn config(&self) -> &Config;

    /// Continues a run that is claimed.
    fn resume(self: Arc<Self>, runtime: &Runtime, place: Place, seen: &Seen) -> Resuming;
}

/// What the streams of a run say, and the root stream itself, so that whoever continues the run need not read
/// it again.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) footprint: Footprint,
    pub(crate) root: Known,
}

/// The teams and agents of a runtime, by name. It keeps none of them.
#[derive(Default)]
pub(crate) struct Bindings {
    inner: Mutex<Bound>,
}

#[derive(Default)]
struct Bound {
    by_owner: BTreeMap<Owner, Weak<dyn Resumable>>,
    n_changes: u64,
}

impl Bindings {
    /// Makes a team or agent known; one of the same name is replaced.
    pub(crate) fn bind(&self, owner: Owner, resumable: Weak<dyn Resumable>) {
        let mut bound = self.lock();
        bound.by_owner.insert(owner, resumable);
        bound.n_changes += 1;
    }

    pub(crate) fn find(&self, owner: &Owner) -> Option<Arc<dyn Resumable>> {
        self.lock().by_owner.get(owner)?.upgrade()
    }

    /// It grows when a team or agent is made known: what was judged before may be judged otherwise.
    fn n_changes(&self) -> u64 {
        self.lock().n_changes
    }

    fn lock(&self) -> MutexGuard<'_, Bound> {
        // Nothing panics while the lock is held.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a runtime knows of its recovery.
#[derive(Default)]
pub(crate) struct RecoveryState {
    actor: OnceCell<AgentRef<actor::RecoveryMessage>>,
    /// The spec that recovery was started with.
    spec: OnceLock<RecoverySpec>,
    parked: Mutex<BTreeMap<RunId, Aside>>,
}

/// A run that is left alone, and how many teams and agents had been made known when it was judged.
struct Aside {
    parked: ParkedRun,
    n_changes: u64,
}

impl RecoveryState {
    fn park(&self, parked: ParkedRun, n_changes: u64) {
        self.lock().insert(parked.run, Aside { parked, n_changes });
    }

    pub(crate) fn unpark(&self, run: RunId) {
        self.lock().remove(&run);
    }

    /// Whether looking at the run again would come to the same.
    fn is_aside(&self, run: RunId, n_changes: u64) -> bool {
        self.lock().get(&run).is_some_and(|aside| match aside.parked.why {
            Parked::Unknown | Parked::Changed(_) => aside.n_changes == n_changes,
            _ => true,
        })
    }

    fn parked(&self) -> Vec<ParkedRun> {
        self.lock().values().map(|aside| aside.parked.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<RunId, Aside>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a run's streams. `alone` is how many events its root stream had when there was no other: with as many it is
/// the only one still, because whoever writes another claims the run in the root first.
pub(crate) async fn look(
    journal: &dyn Journal,
    run: RunId,
    alone: Option<u64>,
) -> Result<Seen, JournalError> {
    let root = StreamId::root(run);
    let events = journal.load(&root).await?;
    let mut footprint = Footprint::of_root(&events);
    if alone != Some(footprint.next_seq()) {
        let streams = journal.streams(run).await?;
        let others = streams.iter().filter(|stream| **stream != root);
        for other in try_join_all(others.map(|stream| journal.load(stream))).await? {
            footprint.add_stream(&other);
        }
    }
    Ok(Seen { footprint, root: Known::of(events) })
}

/// Takes an unfinished run over: it is claimed in the journal, then continued. Somebody who was quicker is
/// noticed by either.
async fn take_over(
    runtime: &Runtime,
    run: RunId,
    seen: &Seen,
    boot: u32,
    changes: Vec<Change>,
) -> Result<CancellationToken, RunError> {
    let place = match seen.footprint.nap() {
        Some(_) => runtime.lodge(run)?,
        None => runtime.admit(run)?,
    };
    let found = seen.footprint.owner().and_then(|owner| runtime.bindings().find(owner));
    let resumable = found.ok_or(RunError::NoOwner)?;
    let claim = Claim { by: runtime.boot().to_owned(), at: runtime.clock().now(), boot, changes };
    append(runtime, run, seen, seen.footprint.claim(claim)).await?;
    resumable.resume(runtime, place, seen).await
}

/// Appends to the root stream of a run that nobody works on.
async fn append(runtime: &Runtime, run: RunId, seen: &Seen, event: Event) -> Result<(), RunError> {
    let next_seq = seen.footprint.next_seq();
    let recorded = Recorded::sequence(next_seq, runtime.clock().now(), [event]);
    let stored = runtime.journal().append(&StreamId::root(run), Arc::clone(&recorded));
    stored.await.map_err(RunError::Journal)?;
    seen.root.extend(&recorded);
    Ok(())
}

impl fmt::Debug for RecoveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecoveryState").field("n_parked", &self.lock().len()).finish()
    }
}

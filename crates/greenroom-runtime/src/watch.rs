//! Watching: who wants to be told of an end for good, and how they are told.
//!
//! It knows nothing of mailboxes: a notice is a function that is called once, by whoever ends the agent.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Weak};

use greenroom_core::ids::AgentId;
use greenroom_core::supervision::ExitReason;
use tokio::sync::oneshot;

/// The end for good of an agent or a supervisor: it will not be started again, unless by hand.
///
/// | it ended because | reason |
/// |---|---|
/// | it crashed, and is not restarted | its own panic or failure |
/// | it had nothing left to do | [`ExitReason::Normal`] |
/// | somebody terminated it, also while it waited for a restart | [`ExitReason::Shutdown`], or [`ExitReason::Killed`] when it had to be killed |
/// | its supervisor failed and is not restarted | how its own last incarnation ended |
/// | it never came up | why its start failed |
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Down {
    /// Who ended.
    pub id: AgentId,
    /// Why.
    pub reason: ExitReason,
}

/// One watch of an actor, to take it off again. It means nothing to another actor, or to the next
/// incarnation of the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WatchId(NonZeroU64);

impl WatchId {
    pub(crate) const FIRST: Self = Self(NonZeroU64::MIN);

    pub(crate) fn next(self) -> Self {
        // At a billion watches in a second the last one is centuries away.
        Self(self.0.saturating_add(1))
    }
}

/// How somebody is told of an end. It runs in the supervisor of whoever ended, so it only passes on.
pub(crate) type Notify = Box<dyn FnOnce(Down) + Send>;

/// The place of a notice among those that wait for the same end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Ticket(u64);

/// Whether somebody has ended, how, and who waits for it.
#[derive(Default)]
pub(crate) struct Ending {
    /// How the last incarnation ended.
    last_exit: Option<ExitReason>,
    /// Why there will be no other.
    reason: Option<ExitReason>,
    waiting: BTreeMap<Ticket, Notify>,
    ticket_next: Ticket,
}

impl Ending {
    /// Takes a notice, or gives it back with the reason when the end is past.
    pub(crate) fn enlist(&mut self, notify: Notify) -> Result<Ticket, (Notify, ExitReason)> {
        if let Some(reason) = &self.reason {
            return Err((notify, reason.clone()));
        }
        let ticket = self.ticket_next;
        self.ticket_next.0 += 1;
        self.waiting.insert(ticket, notify);
        Ok(ticket)
    }

    /// Takes a notice off. What it gives back is dropped outside of any lock.
    pub(crate) fn dismiss(&mut self, ticket: Ticket) -> Option<Notify> {
        self.waiting.remove(&ticket)
    }

    pub(crate) fn exited(&mut self, reason: &ExitReason) {
        self.last_exit = Some(reason.clone());
    }

    /// How the last incarnation that has ended did so.
    pub(crate) fn last_exit(&self) -> Option<&ExitReason> {
        self.last_exit.as_ref()
    }

    /// Ends, and gives those that are to be told, with the reason. Nothing when the end is past.
    ///
    /// A reason that is the supervisor's own says nothing of its children; theirs is how they ended.
    pub(crate) fn end(&mut self, reason: &ExitReason) -> Option<(ExitReason, Vec<Notify>)> {
        if self.reason.is_some() {
            return None;
        }
        let own = match reason {
            ExitReason::IntensityExceeded { .. } | ExitReason::StartFailed { .. } => {
                self.last_exit.as_ref().unwrap_or(reason)
            }
            reason => reason,
        };
        let own = own.clone();
        self.reason = Some(own.clone());
        Some((own, std::mem::take(&mut self.waiting).into_values().collect()))
    }

    /// It was started again by hand.
    pub(crate) fn begin(&mut self) {
        self.reason = None;
    }

    pub(crate) fn n_waiting(&self) -> usize {
        self.waiting.len()
    }
}

/// Tells those who waited for an end. It calls functions of others, so no lock is held.
pub(crate) fn tell(id: &AgentId, ended: Option<(ExitReason, Vec<Notify>)>) {
    let Some((reason, waiting)) = ended else { return };
    for notify in waiting {
        notify(Down { id: id.clone(), reason: reason.clone() });
    }
}

/// Somebody whose end can be waited for.
pub(crate) trait Mortal: Send + Sync {
    fn id(&self) -> &AgentId;

    /// Runs something on its ending, under its lock.
    fn with_ending(&self, change: &mut dyn FnMut(&mut Ending));
}

/// A watch that is on; dropping it takes it off. It locks whom it watches, so it is dropped outside of
/// every lock.
pub(crate) struct Watch {
    target: Weak<dyn Mortal>,
    ticket: Option<Ticket>,
}

impl Watch {
    /// Watches; an end that is past is told at once.
    pub(crate) fn new(target: &Arc<dyn Mortal>, notify: Notify) -> Self {
        let mut notify = Some(notify);
        let mut outcome = None;
        target.with_ending(&mut |ending| outcome = notify.take().map(|n| ending.enlist(n)));
        let ticket = match outcome {
            Some(Ok(ticket)) => Some(ticket),
            Some(Err((notify, reason))) => {
                notify(Down { id: target.id().clone(), reason });
                None
            }
            None => None,
        };
        Self { target: Arc::downgrade(target), ticket }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let (Some(ticket), Some(target)) = (self.ticket, self.target.upgrade()) else { return };
        let mut unheard = None;
        target.with_ending(&mut |ending| unheard = ending.dismiss(ticket));
        drop(unheard);
    }
}

/// Waits for the end of somebody whom the caller keeps.
pub(crate) async fn down(target: Arc<dyn Mortal>) -> Down {
    let (sender, end) = oneshot::channel();
    // With nobody waiting any more there is nobody to tell.
    let watch = Watch::new(&target, Box::new(|down| drop(sender.send(down))));
    let down = end.await.expect("a notice is dropped with whom it is about, who is kept here");
    drop(watch);
    down
}

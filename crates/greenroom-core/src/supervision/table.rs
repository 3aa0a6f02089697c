//! The children of a supervisor: their specs, their states, and counts that cost nothing to read.
//!
//! Decides nothing. Every change goes through [`Table::edit`], which keeps the counts true.

use std::collections::BTreeMap;
use std::ops::{AddAssign, SubAssign};
use std::time::Duration;

use crate::ids::AgentId;
use crate::supervision::intensity::Window;
use crate::supervision::{
    ChildKey, ChildKind, ChildSpec, ExitReason, Generation, RequestId, Restart, TimerId,
};

/// The state of a child, as shown to others.
///
/// | state | has an incarnation | OTP's `which_children` |
/// |---|---|---|
/// | `Waiting` for its turn in an ordered start | no | `restarting` |
/// | `Backoff` | no | `restarting` |
/// | `Starting` | being made | `restarting` |
/// | `Running`, `Stopping` | yes | the pid |
/// | `Stopped` | no | `undefined` |
/// | `Abandoned`: killed, and still not gone | perhaps | - |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the table above says what they are")]
pub enum ChildState {
    Waiting,
    Backoff,
    Starting,
    Running,
    Stopping,
    Stopped,
    Abandoned,
}

/// A child, as shown to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildInfo {
    /// Its name.
    pub id: AgentId,
    /// The insertion of its spec.
    pub key: ChildKey,
    /// What it is.
    pub kind: ChildKind,
    /// What it does.
    pub state: ChildState,
    /// Its latest incarnation; 0 before the first.
    pub generation: Generation,
    /// How often it was started again by its supervisor.
    pub n_restarts: u64,
}

/// How many children there are, as OTP's `count_children` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChildCounts {
    /// All children, whatever their state.
    pub specs: usize,
    /// Those that are up.
    pub active: usize,
    /// Those that are supervisors, whatever their state.
    pub supervisors: usize,
    /// Those that are workers, whatever their state.
    pub workers: usize,
}

#[derive(Debug)]
pub(super) struct Child {
    pub(super) key: ChildKey,
    pub(super) spec: ChildSpec,
    pub(super) state: State,
    pub(super) generation: Generation,
    pub(super) n_restarts: u64,
    /// Failures in a row, for the backoff.
    pub(super) n_failures: u32,
    /// The child's own intensity.
    pub(super) window: Option<Window>,
    /// The request that waits for the child to be up.
    pub(super) request: Option<StartRequest>,
    /// The requests that wait for the child to be gone.
    pub(super) waiters: Vec<RequestId>,
    pub(super) is_forgotten: bool,
    /// How the last incarnation that has ended did so.
    pub(super) last_exit: Option<Box<ExitReason>>,
}

impl Child {
    pub(super) fn is_temporary(&self) -> bool {
        self.spec.restart == Restart::Temporary
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StartRequest {
    pub(super) id: RequestId,
    /// Whether the spec came with the request, and goes when the request fails.
    pub(super) is_new: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Stopped,
    Waiting,
    Backoff(TimerId),
    Starting,
    Running { since: Duration },
    Stopping(Stopping),
    Abandoned(Then),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stopping {
    pub(super) step: Step,
    pub(super) then: Then,
    pub(super) timer: Option<TimerId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A start is being cut off.
    Aborting,
    /// It was asked to end.
    Asked,
    Killed,
}

/// What becomes of a child once it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// It is started again in its turn.
    Start,
    Stop,
    Drop,
}

impl State {
    pub(super) fn has_incarnation(&self) -> bool {
        matches!(self, Self::Starting | Self::Running { .. } | Self::Stopping(_))
    }

    fn shown(self) -> ChildState {
        match self {
            Self::Stopped => ChildState::Stopped,
            Self::Waiting => ChildState::Waiting,
            Self::Backoff(_) => ChildState::Backoff,
            Self::Starting => ChildState::Starting,
            Self::Running { .. } => ChildState::Running,
            Self::Stopping(_) => ChildState::Stopping,
            Self::Abandoned(_) => ChildState::Abandoned,
        }
    }
}

/// Sums over all children.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Up.
    active: usize,
    supervisors: usize,
    /// With an incarnation that has to be gone before the supervisor is.
    pub(super) live: usize,
    pub(super) significant: usize,
    /// Significant, and not ended for good.
    pub(super) significant_up: usize,
}

impl Tally {
    fn of(child: &Child) -> Self {
        let state = child.state;
        let aborting = matches!(state, State::Stopping(Stopping { step: Step::Aborting, .. }));
        let active = matches!(state, State::Running { .. } | State::Stopping(_)) && !aborting;
        let is_up = match state {
            State::Running { .. } | State::Backoff(_) => true,
            State::Waiting | State::Starting => child.request.is_none(),
            State::Stopping(stopping) => stopping.then == Then::Start,
            State::Stopped | State::Abandoned(_) => false,
        };
        let significant = child.spec.significant;
        Self {
            active: active.into(),
            supervisors: (child.spec.kind == ChildKind::Supervisor).into(),
            live: state.has_incarnation().into(),
            significant: significant.into(),
            significant_up: (significant && is_up).into(),
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.active += other.active;
        self.supervisors += other.supervisors;
        self.live += other.live;
        self.significant += other.significant;
        self.significant_up += other.significant_up;
    }
}

impl SubAssign for Tally {
    fn sub_assign(&mut self, other: Self) {
        self.active -= other.active;
        self.supervisors -= other.supervisors;
        self.live -= other.live;
        self.significant -= other.significant;
        self.significant_up -= other.significant_up;
    }
}

#[derive(Debug, Default)]
pub(super) struct Table {
    /// In start order, because keys rise.
    children: BTreeMap<ChildKey, Child>,
    keys: BTreeMap<AgentId, ChildKey>,
    key_next: u64,
    tally: Tally,
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.children.len()
    }

    pub(super) fn tally(&self) -> Tally {
        self.tally
    }

    pub(super) fn counts(&self) -> ChildCounts {
        let specs = self.children.len();
        let Tally { active, supervisors, .. } = self.tally;
        ChildCounts { specs, active, supervisors, workers: specs - supervisors }
    }

    pub(super) fn key(&self, id: &AgentId) -> Option<ChildKey> {
        self.keys.get(id).copied()
    }

    /// Whether the key was ever given out.
    pub(super) fn has_issued(&self, key: ChildKey) -> bool {
        key.0 < self.key_next
    }

    pub(super) fn get(&self, key: ChildKey) -> Option<&Child> {
        self.children.get(&key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Child> {
        self.children.values()
    }

    pub(super) fn keys_from(&self, first: ChildKey) -> Vec<ChildKey> {
        self.children.range(first..).map(|(key, _)| *key).collect()
    }

    pub(super) fn first_from(&self, first: ChildKey) -> Option<&Child> {
        self.children.range(first..).next().map(|(_, child)| child)
    }

    pub(super) fn last_between(&self, first: ChildKey, last: ChildKey) -> Option<&Child> {
        if first > last {
            return None;
        }
        self.children.range(first..=last).next_back().map(|(_, child)| child)
    }

    /// Adds a child that waits for its start, after all others.
    pub(super) fn insert(&mut self, spec: ChildSpec, request: Option<StartRequest>) -> ChildKey {
        let key = ChildKey(self.key_next);
        self.key_next += 1;
        self.keys.insert(spec.id.clone(), key);
        let child = Child {
            key,
            state: State::Waiting,
            generation: Generation(0),
            n_restarts: 0,
            n_failures: 0,
            window: spec.intensity.map(Window::new),
            request,
            waiters: Vec::new(),
            is_forgotten: false,
            last_exit: None,
            spec,
        };
        self.tally += Tally::of(&child);
        self.children.insert(key, child);
        key
    }

    pub(super) fn remove(&mut self, key: ChildKey) -> Option<Child> {
        let child = self.children.remove(&key)?;
        self.keys.remove(&child.spec.id);
        self.tally -= Tally::of(&child);
        Some(child)
    }

    /// Changes a child.
    pub(super) fn edit<R>(
        &mut self,
        key: ChildKey,
        change: impl FnOnce(&mut Child) -> R,
    ) -> Option<R> {
        let child = self.children.get_mut(&key)?;
        self.tally -= Tally::of(child);
        let result = change(child);
        self.tally += Tally::of(child);
        Some(result)
    }

    pub(super) fn set_state(&mut self, key: ChildKey, state: State) {
        self.edit(key, |child| child.state = state);
    }
}

impl From<&Child> for ChildInfo {
    fn from(child: &Child) -> Self {
        Self {
            id: child.spec.id.clone(),
            key: child.key,
            kind: child.spec.kind,
            state: child.state.shown(),
            generation: child.generation,
            n_restarts: child.n_restarts,
        }
    }
}

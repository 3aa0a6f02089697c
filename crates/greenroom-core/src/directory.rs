//! The directory of a family of virtual actors: which keys are live, which of those are idle, and which of
//! them has to make room.
//!
//! A key that is not live is not in the directory; that is what makes a million known keys cost nothing. A
//! live one is an *activation*, numbered so that news of an old one is recognised and ignored.
//!
//! | state | may be asked to leave | becomes |
//! |---|---|---|
//! | busy | no | idle, when its actor says that nothing waits and nothing is under way |
//! | idle | yes: the one that is idle longest, first | busy, when its actor says so |
//! | leaving | was asked | gone; or busy, when it has something to do after all |
//!
//! Somebody is asked to leave when it was idle for long enough, and whenever more senders wait for room than
//! actors are leaving. The decision to leave is the actor's own, because only it can know that nothing is
//! under way. The directory holds no lock and tells nobody; that is the runtime's part.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::ids::AgentId;

/// Numbers the activations of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Activation(pub u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Busy,
    /// Since when, and its place in the order of those who became idle.
    Idle(Duration, u64),
    Leaving,
}

#[derive(Debug)]
struct Entry<T> {
    activation: Activation,
    state: State,
    resident: T,
}

/// How many actors a family has, and had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Census {
    /// Actors that are live.
    pub n_live: usize,
    /// Of these, actors that have nothing to do.
    pub n_idle: usize,
    /// Senders that wait for room.
    pub n_waiting: usize,
    /// Activations since the beginning.
    pub n_activations: u64,
    /// Activations that ended because there was nothing to do.
    pub n_passivations: u64,
}

/// The live actors of one family. `T` is what the runtime keeps of each.
#[derive(Debug)]
pub struct Directory<T> {
    entries: HashMap<AgentId, Entry<T>>,
    /// Idle keys, in the order in which they became idle.
    idle: BTreeMap<u64, AgentId>,
    n_rests: u64,
    n_leaving: usize,
    n_waiting: usize,
    n_activations: u64,
    n_passivations: u64,
    idle_after: Duration,
}

impl<T: Clone> Directory<T> {
    /// An empty directory of actors that leave once they were idle for so long.
    #[must_use]
    pub fn new(idle_after: Duration) -> Self {
        Self {
            entries: HashMap::new(),
            idle: BTreeMap::new(),
            n_rests: 0,
            n_leaving: 0,
            n_waiting: 0,
            n_activations: 0,
            n_passivations: 0,
            idle_after,
        }
    }

    /// What is kept of a live actor. Looking changes nothing: an actor is busy when it says so.
    #[must_use]
    pub fn find(&self, key: &AgentId) -> Option<&T> {
        self.entries.get(key).map(|entry| &entry.resident)
    }

    /// Adds a live actor, which is busy until it says otherwise. A key that is live already stays as it is.
    pub fn activate(&mut self, key: AgentId, make: impl FnOnce(Activation) -> T) -> &T {
        let entry = self.entries.entry(key).or_insert_with(|| {
            self.n_activations += 1;
            let activation = Activation(self.n_activations);
            Entry { activation, state: State::Busy, resident: make(activation) }
        });
        &entry.resident
    }

    /// An actor has nothing to do from now on. Gives those that are to be asked to leave.
    ///
    /// One that was asked and says this has not heard it: the incarnation that was asked has crashed.
    #[must_use]
    pub fn rested(&mut self, key: &AgentId, activation: Activation, now: Duration) -> Vec<T> {
        self.n_rests += 1;
        let n_rests = self.n_rests;
        if self.set(key, activation, State::Idle(now, n_rests)) {
            self.idle.insert(n_rests, key.clone());
        }
        self.make_room()
    }

    /// An actor has something to do; one that was asked to leave stays. Gives those that are to be asked
    /// instead.
    #[must_use]
    pub fn busy(&mut self, key: &AgentId, activation: Activation) -> Vec<T> {
        self.set(key, activation, State::Busy);
        self.make_room()
    }

    /// A sender waits for room. Gives those that are to be asked to leave.
    #[must_use]
    pub fn wait(&mut self) -> Vec<T> {
        self.n_waiting += 1;
        self.make_room()
    }

    /// A sender does not wait any more.
    pub fn waited(&mut self) {
        self.n_waiting = self.n_waiting.saturating_sub(1);
    }

    /// Whether somebody leaves for everybody who waits.
    #[must_use]
    pub fn has_prospect(&self) -> bool {
        self.n_leaving >= self.n_waiting
    }

    /// Those that were idle for long enough, and are to be asked to leave.
    #[must_use]
    pub fn due(&mut self, now: Duration) -> Vec<T> {
        let mut asked = Vec::new();
        while self.next_due().is_some_and(|due| due <= now) {
            asked.extend(self.ask_first());
        }
        asked
    }

    /// When the next actor will have been idle for long enough.
    #[must_use]
    pub fn next_due(&self) -> Option<Duration> {
        let (_, key) = self.idle.first_key_value()?;
        match self.entries.get(key)?.state {
            State::Idle(since, _) => Some(since.saturating_add(self.idle_after)),
            State::Busy | State::Leaving => None,
        }
    }

    /// An actor has ended, and its next message activates it anew.
    pub fn gone(
        &mut self,
        key: &AgentId,
        activation: Activation,
        is_passivated: bool,
    ) -> Option<T> {
        // Nothing else takes it out of the order of the idle and out of those who leave.
        if !self.set(key, activation, State::Busy) {
            return None;
        }
        self.n_passivations += u64::from(is_passivated);
        self.entries.remove(key).map(|entry| entry.resident)
    }

    /// What is kept of all live actors, in no order.
    pub fn residents(&self) -> impl Iterator<Item = &T> {
        self.entries.values().map(|entry| &entry.resident)
    }

    /// How many there are.
    #[must_use]
    pub fn census(&self) -> Census {
        Census {
            n_live: self.entries.len(),
            n_idle: self.idle.len(),
            n_waiting: self.n_waiting,
            n_activations: self.n_activations,
            n_passivations: self.n_passivations,
        }
    }

    /// Asks as many idle actors to leave as there are senders that nobody leaves for.
    fn make_room(&mut self) -> Vec<T> {
        let mut asked = Vec::new();
        while self.n_leaving < self.n_waiting && !self.idle.is_empty() {
            asked.extend(self.ask_first());
        }
        asked
    }

    /// Takes the one that is idle longest.
    fn ask_first(&mut self) -> Option<T> {
        let (_, key) = self.idle.pop_first()?;
        let entry = self.entries.get_mut(&key)?;
        entry.state = State::Leaving;
        self.n_leaving += 1;
        Some(entry.resident.clone())
    }

    /// Puts an activation into a state; false when it is not the current one.
    fn set(&mut self, key: &AgentId, activation: Activation, state: State) -> bool {
        let Some(entry) = self.entries.get_mut(key).filter(|e| e.activation == activation) else {
            return false;
        };
        match std::mem::replace(&mut entry.state, state) {
            State::Busy => {}
            State::Idle(_, rest) => drop(self.idle.remove(&rest)),
            State::Leaving => self.n_leaving -= 1,
        }
        true
    }
}

#[cfg(test)]
mod tests;

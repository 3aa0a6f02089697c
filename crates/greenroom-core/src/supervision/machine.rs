//! The machine: what it knows, how it takes events, and what its parts share.
//!
//! An event changes the states of single children. The two procedures that have an order, a round
//! of starts and stops (`round`) and the closing of the supervisor (`closing`), take their next step
//! after every event and otherwise keep no state but a cursor. So nothing is ever waited for here,
//! and a child that hangs delays no answer.

mod admin;
mod children;
mod closing;
mod memory;
mod overview;
mod round;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::AgentId;
use crate::supervision::backoff::Chance;
use crate::supervision::intensity::Window;
use crate::supervision::table::{State, Step, Stopping, Table, Then};
use crate::supervision::{
    AdminError, ChildCounts, ChildInfo, ChildKey, ChildSpec, Command, Done, Event, Fact,
    Generation, RequestId, Shutdown, SpecError, SupervisionEvent, SupervisorSpec, TimerId,
};
use closing::Closing;
use round::Round;

pub use overview::{ChildOverview, Overview};

/// A supervisor, without everything that would make it act. See [`crate::supervision`].
#[derive(Debug)]
pub struct Machine {
    spec: SupervisorSpec,
    table: Table,
    phase: Phase,
    /// The ordered start or restart that is under way.
    round: Option<Round>,
    window: Window,
    /// How long before time began children of these names were restarted, against limits of their own.
    past_of_children: BTreeMap<AgentId, Vec<Duration>>,
    chance: Chance,
    timers: BTreeMap<TimerId, Armed>,
    timer_next: u64,
    now: Duration,
    out: Vec<Command>,
}

#[derive(Debug)]
enum Phase {
    Open,
    Closing(Closing),
    Closed,
}

/// A timer that is armed.
#[derive(Debug, Clone, Copy)]
struct Armed {
    timed: Timed,
    /// When it runs out.
    due: Duration,
}

/// What a timer is for.
#[derive(Debug, Clone, Copy)]
enum Timed {
    Child(ChildKey),
    Round,
}

impl Machine {
    /// A supervisor that has not begun. `seed` makes its jitter reproducible. The children's keys are
    /// 0, 1, 2, … in the order given, which is the order of their starts.
    ///
    /// # Errors
    ///
    /// The first mistake in the specs.
    pub fn new(
        spec: SupervisorSpec,
        children: Vec<ChildSpec>,
        seed: u64,
    ) -> Result<Self, SpecError> {
        spec.check(&children)?;
        let mut table = Table::default();
        for child in children {
            table.insert(child, None);
        }
        Ok(Self {
            window: Window::new(spec.intensity),
            past_of_children: BTreeMap::new(),
            chance: Chance::new(seed),
            spec,
            table,
            phase: Phase::Open,
            round: Some(Round::boot()),
            timers: BTreeMap::new(),
            timer_next: 0,
            now: Duration::ZERO,
            out: Vec::new(),
        })
    }

    /// Takes an event and answers with what is to be done, in order.
    ///
    /// `now` is monotonic time since any fixed origin; an earlier one than before is taken for the
    /// same. The cost does not depend on the number of children, but for a group restart, which
    /// touches its group, and for the beginning of a shutdown.
    pub fn on(&mut self, now: Duration, event: Event) -> Vec<Command> {
        self.now = self.now.max(now);
        match (event, &self.phase) {
            (Event::Admin { request, .. }, Phase::Closing(_) | Phase::Closed) => {
                self.reply(request, Err(AdminError::ShuttingDown));
            }
            (_, Phase::Closed) => {}
            (Event::Recalled { past, returned }, _) => self.recall(past, returned),
            (Event::Start, _) => self.begin(),
            (Event::Started { key, generation }, _) => self.child_started(key, generation),
            (Event::Ignored { key, generation }, _) => {
                self.child_ended(key, generation, children::End::Ignored);
            }
            (Event::StartFailed { key, generation, cause }, _) => {
                self.child_ended(key, generation, children::End::StartFailed(cause));
            }
            (Event::Exited { key, generation, reason }, _) => {
                self.child_ended(key, generation, children::End::Exited(reason));
            }
            (Event::TimerFired(timer), _) => self.timer_fired(timer),
            (Event::Shutdown { reason }, _) => self.close(reason),
            (Event::Admin { request, admin }, Phase::Open) => self.administer(request, admin),
        }
        match self.phase {
            Phase::Open => self.advance_round(),
            Phase::Closing(_) => self.advance_closing(),
            Phase::Closed => {}
        }
        std::mem::take(&mut self.out)
    }

    /// The supervisor's spec, as it is now.
    pub fn spec(&self) -> &SupervisorSpec {
        &self.spec
    }

    /// The children in start order, whatever they are doing.
    pub fn which_children(&self) -> Vec<ChildInfo> {
        self.table.iter().map(|child| self.info(child.into())).collect()
    }

    /// One child.
    #[must_use]
    pub fn child(&self, id: &AgentId) -> Option<ChildInfo> {
        let child = self.table.get(self.table.key(id)?)?;
        Some(self.info(child.into()))
    }

    /// How many children there are.
    #[must_use]
    pub fn count_children(&self) -> ChildCounts {
        self.table.counts()
    }

    /// Whether [`Command::Exit`] was given.
    #[must_use]
    pub fn has_exited(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// How many timers are armed: at most one for each child, and one.
    #[must_use]
    pub fn n_timers(&self) -> usize {
        self.timers.len()
    }

    /// Starts the next incarnation of a child.
    fn spawn(&mut self, key: ChildKey) {
        let generation = self.table.edit(key, |child| {
            if child.generation > Generation(0) && child.request.is_none() {
                child.n_restarts += 1;
            }
            child.generation.0 += 1;
            child.state = State::Starting;
            child.generation
        });
        if let Some(generation) = generation {
            self.out.push(Command::Spawn { key, generation });
        }
    }

    /// Begins to stop a child that is up or starting.
    fn stop(&mut self, key: ChildKey, then: Then) {
        let Some(child) = self.table.get(key) else { return };
        let generation = child.generation;
        let then = if child.is_temporary() || self.spec.dynamic { Then::Drop } else { then };
        let brutal = matches!(&self.phase, Phase::Closing(closing) if closing.is_brutal());
        let grace = self.spec.kill_grace;
        let (step, after, command) = match (child.state, child.spec.shutdown) {
            (State::Starting, _) => {
                (Step::Aborting, Some(grace), Command::AbortSpawn { key, generation })
            }
            (_, Shutdown::Timeout(after)) if !brutal => {
                (Step::Asked, Some(after), Command::Stop { key, generation })
            }
            (_, Shutdown::Infinity) if !brutal => {
                (Step::Asked, None, Command::Stop { key, generation })
            }
            _ => (Step::Killed, Some(grace), Command::Kill { key, generation }),
        };
        if then != Then::Start {
            self.fail_request(key, AdminError::Interrupted);
        }
        self.out.push(command);
        let timer = after.map(|after| self.arm(after, Timed::Child(key)));
        self.table.set_state(key, State::Stopping(Stopping { step, then, timer }));
    }

    /// Kills a child that is being stopped.
    fn kill(&mut self, key: ChildKey, stopping: Stopping) {
        self.disarm(stopping.timer);
        let Some(child) = self.table.get(key) else { return };
        self.out.push(Command::Kill { key, generation: child.generation });
        let timer = Some(self.arm(self.spec.kill_grace, Timed::Child(key)));
        let stopping = Stopping { step: Step::Killed, timer, ..stopping };
        self.table.set_state(key, State::Stopping(stopping));
    }

    /// Leaves a child without an incarnation: stopped, or dropped if nothing could start it again.
    fn settle(&mut self, key: ChildKey) {
        let Some(child) = self.table.get(key) else { return };
        if child.is_temporary() || self.spec.dynamic {
            self.drop_child(key);
        } else {
            self.table.set_state(key, State::Stopped);
        }
    }

    fn drop_child(&mut self, key: ChildKey) {
        self.forget(key);
        self.table.remove(key);
    }

    fn forget(&mut self, key: ChildKey) {
        let was_forgotten =
            self.table.edit(key, |child| std::mem::replace(&mut child.is_forgotten, true));
        if was_forgotten == Some(false) {
            self.out.push(Command::Forget { key });
        }
    }

    /// Fails the request that waits for the child to be up.
    fn fail_request(&mut self, key: ChildKey, error: AdminError) {
        if let Some(request) = self.table.edit(key, |child| child.request.take()).flatten() {
            self.reply(request.id, Err(error));
        }
    }

    fn reply(&mut self, request: RequestId, reply: Result<Done, AdminError>) {
        self.out.push(Command::Reply { request, reply });
    }

    fn report(&mut self, key: ChildKey, fact: Fact) {
        if let Fact::Exited { reason, .. } | Fact::StartFailed { cause: reason } = &fact {
            self.table.edit(key, |child| child.last_exit = Some(Box::new(reason.clone())));
        }
        let Some(child) = self.table.get(key) else { return };
        self.out.push(Command::Report(SupervisionEvent {
            id: child.spec.id.clone(),
            key,
            generation: child.generation,
            n_restarts: child.n_restarts,
            last_exit: child.last_exit.as_deref().cloned(),
            fact,
        }));
    }

    fn arm(&mut self, after: Duration, timed: Timed) -> TimerId {
        let timer = TimerId(self.timer_next);
        self.timer_next += 1;
        let due = self.now.saturating_add(after);
        self.timers.insert(timer, Armed { timed, due });
        self.out.push(Command::Arm { timer, after });
        timer
    }

    fn disarm(&mut self, timer: Option<TimerId>) {
        if let Some(timer) = timer
            && self.timers.remove(&timer).is_some()
        {
            self.out.push(Command::Disarm(timer));
        }
    }

    fn timer_fired(&mut self, timer: TimerId) {
        match self.timers.remove(&timer).map(|armed| armed.timed) {
            None => {}
            Some(Timed::Round) => self.end_pause(),
            Some(Timed::Child(key)) => self.child_timer_fired(key),
        }
    }
}

//! The end of the supervisor: children are stopped in reverse order, one after the other.
//!
//! Dynamic children, which have no order, are stopped together; so are those of a supervisor that is
//! killed.

use super::{Machine, Phase};
use crate::ids::AgentId;
use crate::supervision::table::{State, Step, Then};
use crate::supervision::{AdminError, ChildKey, Command, ExitReason, Fact};

#[derive(Debug)]
pub(super) struct Closing {
    reason: ExitReason,
    /// Children up to this one are still to be stopped.
    cursor: ChildKey,
    order: Order,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Reverse,
    Together,
    /// Together, and without being asked.
    Brutal,
}

impl Closing {
    pub(super) fn is_brutal(&self) -> bool {
        self.order == Order::Brutal
    }
}

impl Machine {
    /// Ends the supervisor because of a child.
    pub(super) fn escalate(&mut self, key: ChildKey, why: impl FnOnce(AgentId) -> ExitReason) {
        let Some(child) = self.table.get(key) else { return };
        let (id, state) = (child.spec.id.clone(), child.state);
        self.report(key, Fact::Escalated);
        if !matches!(state, State::Abandoned(_)) {
            self.settle(key);
        }
        self.close(why(id));
    }

    /// Begins the end. Once begun, only a kill changes its course.
    pub(super) fn close(&mut self, reason: ExitReason) {
        let is_killed = reason == ExitReason::Killed;
        match &mut self.phase {
            Phase::Closed => return,
            Phase::Closing(closing) if is_killed && !closing.is_brutal() => {
                closing.order = Order::Brutal;
                closing.reason = reason;
            }
            Phase::Closing(_) => return,
            Phase::Open => {
                let order = match (is_killed, self.spec.dynamic) {
                    (true, _) => Order::Brutal,
                    (false, true) => Order::Together,
                    (false, false) => Order::Reverse,
                };
                let cursor = ChildKey(u64::MAX);
                self.phase = Phase::Closing(Closing { reason, cursor, order });
                self.cancel_starts();
            }
        }
        let Phase::Closing(Closing { order: Order::Together | Order::Brutal, .. }) = self.phase
        else {
            return;
        };
        for key in self.table.keys_from(ChildKey(0)) {
            self.stop_now(key, is_killed);
        }
    }

    /// Gives up everything that would have started later.
    fn cancel_starts(&mut self) {
        self.cancel_round();
        for key in self.table.keys_from(ChildKey(0)) {
            self.fail_request(key, AdminError::ShuttingDown);
            match self.table.get(key).map(|child| child.state) {
                Some(State::Waiting) => self.settle(key),
                Some(State::Backoff(timer)) => {
                    self.disarm(Some(timer));
                    self.settle(key);
                }
                _ => {}
            }
        }
    }

    fn stop_now(&mut self, key: ChildKey, is_killed: bool) {
        match self.table.get(key).map(|child| child.state) {
            Some(State::Starting | State::Running { .. }) => self.stop(key, Then::Stop),
            Some(State::Stopping(stopping)) if is_killed && stopping.step == Step::Asked => {
                self.kill(key, stopping);
            }
            _ => {}
        }
    }

    /// Stops the next child once the one before is gone, and ends after the last.
    pub(super) fn advance_closing(&mut self) {
        let Phase::Closing(Closing { mut cursor, order, .. }) = self.phase else { return };
        if order != Order::Reverse {
            if self.table.tally().live == 0 {
                self.exit();
            }
            return;
        }
        while let Some(child) = self.table.last_between(ChildKey(0), cursor) {
            let (key, state) = (child.key, child.state);
            if let State::Starting | State::Running { .. } = state {
                self.stop(key, Then::Stop);
            }
            if state.has_incarnation() {
                if let Phase::Closing(closing) = &mut self.phase {
                    closing.cursor = key;
                }
                return;
            }
            let Some(before) = key.0.checked_sub(1) else { break };
            cursor = ChildKey(before);
        }
        self.exit();
    }

    fn exit(&mut self) {
        debug_assert!(self.timers.is_empty(), "a timer outlives the supervisor");
        if let Phase::Closing(closing) = std::mem::replace(&mut self.phase, Phase::Closed) {
            self.out.push(Command::Exit(closing.reason));
        }
    }
}

//! A round: children are stopped in reverse order, perhaps a wait, and started in order.
//!
//! The start of the supervisor is a round without the stops. A failure inside a round begins another
//! one; there is never more than one.

use std::time::Duration;

use super::{Machine, Timed};
use crate::supervision::table::{State, Then};
use crate::supervision::{ChildKey, Command, TimerId};

#[derive(Debug)]
pub(super) struct Round {
    /// The round is about this child and all after it.
    first: ChildKey,
    /// The child whose failure made the round; none at boot.
    culprit: Option<ChildKey>,
    /// The wait between the stops and the starts.
    delay: Duration,
    step: RoundStep,
    /// The supervisor has not told that it is ready.
    is_boot: bool,
}

#[derive(Debug, Clone, Copy)]
enum RoundStep {
    /// The supervisor was not told to begin.
    Unstarted,
    /// Children up to this one are still to be stopped.
    Stopping(ChildKey),
    Pausing(TimerId),
    /// Children from this one on are still to be started.
    Starting(ChildKey),
}

impl Round {
    pub(super) fn boot() -> Self {
        Self {
            first: ChildKey(0),
            culprit: None,
            delay: Duration::ZERO,
            step: RoundStep::Unstarted,
            is_boot: true,
        }
    }

    /// Whether the round will still start this child, if it waits.
    fn will_start(&self, key: ChildKey) -> bool {
        match self.step {
            RoundStep::Starting(cursor) => key >= cursor,
            _ => key >= self.first,
        }
    }
}

impl Machine {
    pub(super) fn begin(&mut self) {
        if let Some(round) = &mut self.round
            && let RoundStep::Unstarted = round.step
        {
            round.step = RoundStep::Starting(round.first);
        }
    }

    /// Begins a round from `first` on. A round under way is replaced: what it still had to start
    /// comes after `first` too, because a round starts nothing before all earlier children are up.
    pub(super) fn begin_round(&mut self, first: ChildKey, culprit: ChildKey, delay: Duration) {
        let before = self.round.take();
        let is_boot = before.as_ref().is_some_and(|round| round.is_boot);
        let mut delay_left = Duration::ZERO;
        match before.as_ref().map(|round| (round.step, round.delay)) {
            Some((RoundStep::Pausing(timer), delay)) => {
                self.disarm(Some(timer));
                delay_left = delay;
            }
            Some((RoundStep::Stopping(_), delay)) => delay_left = delay,
            _ => {}
        }
        for key in self.table.keys_from(first) {
            self.table.edit(key, |child| {
                if child.state == State::Stopped || key == culprit {
                    child.state = State::Waiting;
                }
            });
        }
        self.round = Some(Round {
            first,
            culprit: Some(culprit),
            delay: delay.max(delay_left),
            step: RoundStep::Stopping(ChildKey(u64::MAX)),
            is_boot,
        });
    }

    /// Takes the next step of the round, if nothing has to be waited for.
    pub(super) fn advance_round(&mut self) {
        if let Some(Round { step: RoundStep::Stopping(cursor), .. }) = self.round {
            self.advance_stops(cursor);
        }
        if let Some(Round { step: RoundStep::Starting(cursor), .. }) = self.round {
            self.advance_starts(cursor);
        }
    }

    fn advance_stops(&mut self, mut cursor: ChildKey) {
        let Some(first) = self.round.as_ref().map(|round| round.first) else { return };
        while let Some(child) = self.table.last_between(first, cursor) {
            let (key, state) = (child.key, child.state);
            if let State::Starting | State::Running { .. } = state {
                self.stop(key, Then::Start);
            }
            if state.has_incarnation() {
                return self.set_step(RoundStep::Stopping(key));
            }
            let Some(before) = key.0.checked_sub(1) else { break };
            cursor = ChildKey(before);
        }
        self.begin_pause(first);
    }

    fn begin_pause(&mut self, first: ChildKey) {
        let Some(round) = &self.round else { return };
        let delay = round.delay;
        if delay.is_zero() || !round.culprit.is_some_and(|culprit| self.is_waiting(culprit)) {
            return self.set_step(RoundStep::Starting(first));
        }
        let timer = self.arm(delay, Timed::Round);
        self.set_step(RoundStep::Pausing(timer));
    }

    fn advance_starts(&mut self, mut cursor: ChildKey) {
        while let Some(child) = self.table.first_from(cursor) {
            let (key, state) = (child.key, child.state);
            if state == State::Waiting {
                self.spawn(key);
            }
            if let State::Waiting | State::Starting | State::Stopping(_) = state {
                return self.set_step(RoundStep::Starting(key));
            }
            cursor = ChildKey(key.0 + 1);
        }
        if self.round.take().is_some_and(|round| round.is_boot) {
            self.out.push(Command::Ready);
        }
    }

    pub(super) fn end_pause(&mut self) {
        if let Some(first) = self.round.as_ref().map(|round| round.first) {
            self.set_step(RoundStep::Starting(first));
        }
    }

    /// Ends the wait for a child's sake when that child is no longer to be started.
    pub(super) fn skip_pause(&mut self, key: ChildKey) {
        if let Some(Round { culprit, step: RoundStep::Pausing(timer), .. }) = self.round
            && culprit == Some(key)
        {
            self.disarm(Some(timer));
            self.end_pause();
        }
    }

    pub(super) fn cancel_round(&mut self) {
        if let Some(Round { step: RoundStep::Pausing(timer), .. }) = self.round.take() {
            self.disarm(Some(timer));
        }
    }

    /// Starts a child in its turn, or at once if no round will come to it.
    pub(super) fn start_in_turn(&mut self, key: ChildKey) {
        if self.round.as_ref().is_some_and(|round| round.will_start(key)) {
            self.table.set_state(key, State::Waiting);
        } else {
            self.spawn(key);
        }
    }

    /// Whether the child belongs to a group that is being stopped, and is still up.
    pub(super) fn is_stopping_for_round(&self, key: ChildKey) -> bool {
        let Some(round) = &self.round else { return false };
        matches!(round.step, RoundStep::Stopping(_)) && key >= round.first
    }

    /// Whether the child is being started for the first time, with the supervisor.
    pub(super) fn is_booting(&self, key: ChildKey) -> bool {
        let Some(round) = &self.round else { return false };
        round.is_boot && matches!(round.step, RoundStep::Starting(cursor) if cursor == key)
    }

    /// Whether the pause of a round is what the child waits for.
    pub(super) fn is_pausing_for(&self, key: ChildKey) -> bool {
        self.pause_of(key).is_some()
    }

    /// The timer of the pause that the child waits for.
    pub(super) fn pause_of(&self, key: ChildKey) -> Option<TimerId> {
        match self.round.as_ref()? {
            Round { step: RoundStep::Pausing(timer), culprit, .. } if *culprit == Some(key) => {
                Some(*timer)
            }
            _ => None,
        }
    }

    fn is_waiting(&self, key: ChildKey) -> bool {
        self.table.get(key).is_some_and(|child| child.state == State::Waiting)
    }

    fn set_step(&mut self, step: RoundStep) {
        if let Some(round) = &mut self.round {
            round.step = step;
        }
    }
}

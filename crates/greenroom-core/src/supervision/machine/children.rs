//! What single children report, and what follows for them.

use std::time::Duration;

use super::{Machine, Phase, Timed};
use crate::supervision::table::{State, Step, Stopping, Then};
use crate::supervision::{
    AdminError, AutoShutdown, ChildKey, Command, Done, ExitReason, Fact, Generation, Info, Restart,
    Strategy,
};

/// How an incarnation ended, or did not begin.
pub(super) enum End {
    Ignored,
    StartFailed(ExitReason),
    Exited(ExitReason),
}

impl End {
    fn into_reason(self) -> ExitReason {
        match self {
            Self::Ignored => ExitReason::Normal,
            Self::StartFailed(reason) | Self::Exited(reason) => reason,
        }
    }
}

impl Machine {
    /// The state of a child, if the generation is its latest.
    fn current(&self, key: ChildKey, generation: Generation) -> Option<State> {
        let child = self.table.get(key)?;
        (child.generation == generation).then_some(child.state)
    }

    pub(super) fn child_started(&mut self, key: ChildKey, generation: Generation) {
        match self.current(key, generation) {
            Some(State::Starting) => self.child_up(key, generation),
            // The start was quicker than its abortion: what came up has to be stopped.
            Some(State::Stopping(Stopping { step: Step::Aborting, then, timer })) => {
                self.disarm(timer);
                self.table.set_state(key, State::Running { since: self.now });
                self.report(key, Fact::Started);
                self.stop(key, then);
            }
            Some(State::Abandoned(_)) => self.out.push(Command::Kill { key, generation }),
            _ => {}
        }
    }

    fn child_up(&mut self, key: ChildKey, generation: Generation) {
        let since = self.now;
        let request = self.table.edit(key, |child| {
            child.state = State::Running { since };
            child.request.take()
        });
        self.report(key, Fact::Started);
        if self.table.get(key).is_some_and(|child| child.is_temporary()) {
            self.forget(key);
        }
        if let Some(request) = request.flatten() {
            self.reply(request.id, Ok(Done::Started { key, generation, info: Info::default() }));
        }
    }

    pub(super) fn child_ended(&mut self, key: ChildKey, generation: Generation, end: End) {
        match self.current(key, generation) {
            Some(State::Starting) => match end {
                End::Ignored => self.child_ignored(key),
                End::StartFailed(cause) | End::Exited(cause) => self.start_failed(key, cause),
            },
            Some(State::Running { .. }) => self.exited(key, end.into_reason()),
            Some(State::Stopping(stopping)) => self.gone(key, stopping, end.into_reason()),
            Some(State::Abandoned(then)) => {
                self.report(key, Fact::Exited { reason: end.into_reason(), asked: true });
                self.finish(key, then);
            }
            _ => {}
        }
    }

    fn child_ignored(&mut self, key: ChildKey) {
        self.report(key, Fact::Ignored);
        if let Some(request) = self.table.edit(key, |child| child.request.take()).flatten() {
            self.reply(request.id, Ok(Done::Ignored));
        }
        self.settle(key);
    }

    fn start_failed(&mut self, key: ChildKey, cause: ExitReason) {
        self.report(key, Fact::StartFailed { cause: cause.clone() });
        let request = self.table.edit(key, |child| child.request.take()).flatten();
        if let Some(request) = request {
            self.reply(request.id, Err(AdminError::StartFailed { cause }));
            if request.is_new { self.drop_child(key) } else { self.settle(key) }
        } else if !matches!(self.phase, Phase::Open) {
            self.settle(key);
        } else if self.is_booting(key) {
            let Some(child) = self.table.get(key).map(|child| child.spec.id.clone()) else {
                return;
            };
            self.settle(key);
            self.close(ExitReason::StartFailed { child, cause: cause.into() });
        } else {
            self.failed(key);
        }
    }

    /// A child that nobody asked to end has ended.
    fn exited(&mut self, key: ChildKey, reason: ExitReason) {
        let Some(child) = self.table.get(key) else { return };
        let restart = match child.spec.restart {
            Restart::Permanent => true,
            Restart::Transient => reason.is_abnormal(),
            Restart::Temporary => false,
        };
        self.report(key, Fact::Exited { reason, asked: false });
        if !matches!(self.phase, Phase::Open) {
            self.settle(key);
        } else if self.is_stopping_for_round(key) {
            // It died while its group was being stopped: the failure that stops the group was
            // counted already, and the end of a sibling for the group's sake stops no supervisor.
            self.finish(key, Then::Start);
        } else if restart {
            self.failed(key);
        } else {
            self.end_for_good(key);
        }
    }

    /// A child that was asked to end has ended.
    fn gone(&mut self, key: ChildKey, stopping: Stopping, reason: ExitReason) {
        self.disarm(stopping.timer);
        let fact = match stopping.step {
            Step::Aborting => Fact::StartFailed { cause: reason },
            Step::Asked | Step::Killed => Fact::Exited { reason, asked: true },
        };
        self.report(key, fact);
        self.answer_waiters(key, &Ok(Done::Done));
        if matches!(self.phase, Phase::Open) {
            self.finish(key, stopping.then);
        } else {
            self.settle(key);
        }
    }

    /// Leaves a child without an incarnation, in the state that was planned for it.
    fn finish(&mut self, key: ChildKey, then: Then) {
        let is_temporary = self.table.get(key).is_some_and(|child| child.is_temporary());
        match then {
            Then::Start if !is_temporary => self.table.set_state(key, State::Waiting),
            Then::Start | Then::Drop => self.drop_child(key),
            Then::Stop => self.settle(key),
        }
    }

    fn answer_waiters(&mut self, key: ChildKey, reply: &Result<Done, AdminError>) {
        let waiters = self.table.edit(key, |child| std::mem::take(&mut child.waiters));
        for request in waiters.into_iter().flatten() {
            self.reply(request, reply.clone());
        }
    }

    /// Counts a failure, and restarts whom the strategy says or gives up.
    fn failed(&mut self, key: ChildKey) {
        let now = self.now;
        let own = self.table.edit(key, |child| child.window.as_mut().map(|own| own.admit(now)));
        let own = own.flatten();
        let is_allowed = own.unwrap_or_else(|| self.window.admit(now));
        self.count(key, own.is_some());
        if is_allowed {
            let delay = self.delay(key);
            self.report(key, Fact::Restarting { after: delay });
            match self.spec.strategy {
                Strategy::OneForOne if delay.is_zero() => self.spawn(key),
                Strategy::OneForOne => {
                    let timer = self.arm(delay, Timed::Child(key));
                    self.table.set_state(key, State::Backoff(timer));
                }
                Strategy::OneForAll => self.begin_round(ChildKey(0), key, delay),
                Strategy::RestForOne => self.begin_round(key, key, delay),
            }
        } else if own.is_some() && self.spec.dynamic {
            self.report(key, Fact::GivenUp);
            self.end_for_good(key);
        } else {
            self.escalate(key, |child| ExitReason::IntensityExceeded { child });
        }
    }

    /// How long the next restart of a child waits.
    fn delay(&mut self, key: ChildKey) -> Duration {
        let (now, chance) = (self.now, &mut self.chance);
        let delay = self.table.edit(key, |child| {
            let backoff = child.spec.backoff?;
            if let State::Running { since } = child.state
                && now.saturating_sub(since) >= backoff.quiet()
            {
                child.n_failures = 0;
            }
            let delay = backoff.delay_jittered(child.n_failures, chance);
            child.n_failures = child.n_failures.saturating_add(1);
            Some(delay)
        });
        delay.flatten().unwrap_or(Duration::ZERO)
    }

    /// A child has ended that is not restarted: its significance is looked at.
    fn end_for_good(&mut self, key: ChildKey) {
        let Some(child) = self.table.get(key) else { return };
        let is_significant = child.spec.significant;
        let ends = |n_others: usize| match self.spec.auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => true,
            AutoShutdown::AllSignificant => n_others == 0,
        };
        // The child itself still counts: it was up until now.
        let ends = is_significant && ends(self.table.tally().significant_up.saturating_sub(1));
        if ends {
            self.report(key, Fact::AutoShutdown);
        }
        self.settle(key);
        if ends {
            self.close(ExitReason::Shutdown);
        }
    }

    pub(super) fn child_timer_fired(&mut self, key: ChildKey) {
        match self.table.get(key).map(|child| child.state) {
            Some(State::Backoff(_)) => self.spawn(key),
            Some(State::Stopping(stopping)) => match stopping.step {
                Step::Asked => {
                    self.report(key, Fact::Overran);
                    self.kill(key, stopping);
                }
                Step::Aborting | Step::Killed => self.abandon(key, stopping.then),
            },
            _ => {}
        }
    }

    /// Stops waiting for a child that does not end. It is not started again before it has: two
    /// incarnations at once are worse than none.
    fn abandon(&mut self, key: ChildKey, then: Then) {
        self.report(key, Fact::Abandoned);
        self.fail_request(key, AdminError::Stuck);
        self.answer_waiters(key, &Err(AdminError::Stuck));
        self.table.set_state(key, State::Abandoned(then));
        if then == Then::Start && matches!(self.phase, Phase::Open) {
            self.table.set_state(key, State::Abandoned(Then::Stop));
            self.escalate(key, |_| ExitReason::Stuck);
        }
    }
}

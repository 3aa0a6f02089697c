//! The part of a slot that says what the incarnation is doing now, and how long it took before.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use greenroom_core::timing::Timing;
use tokio::time::Instant;

use super::{Inner, Slot};
use crate::inspect::pulses::Pulse;
use crate::inspect::{AgentInfo, AgentState, InFlight};

/// What an agent is doing, and did.
#[derive(Default)]
pub(super) struct Vitals {
    pub(super) in_flight: Option<InFlight>,
    /// When the last message was begun whose time has not been taken.
    begun_at: Option<Instant>,
    /// How long handlers took; nothing before the first.
    timing: Option<Box<Timing>>,
    /// Odd while a hook runs.
    beat: u64,
    /// Rises with whatever is progress and not a message handled.
    n_ticks: u64,
    /// Until when standing still is fine.
    protected_until: Option<Instant>,
    under_way: Option<UnderWay>,
}

/// The counters of an incarnation's work under way.
struct UnderWay {
    n_effects: Arc<AtomicUsize>,
    n_timers: Arc<AtomicUsize>,
}

/// Work that an agent has, for the watchdog.
pub(crate) struct Work {
    pub(crate) generation: u64,
    /// Changes with every progress.
    pub(crate) mark: u64,
    pub(crate) n_effects: usize,
    pub(crate) n_queued: usize,
    pub(crate) protected_until: Option<Instant>,
}

impl Vitals {
    /// A message is begun. The time of the last one is taken with the same look at the clock.
    pub(super) fn begin_message(
        &mut self,
        now: Instant,
        pulse: &Pulse,
        message: &'static str,
        delivery: u32,
    ) {
        self.take_time(now);
        self.begun_at = Some(now);
        self.in_flight = Some(InFlight { delivery, since: now, message });
        // The last message of a batch was not followed by a rest.
        self.beat += 1 + (self.beat & 1);
        pulse.set(self.beat);
    }

    /// No message follows at once.
    pub(super) fn rest(&mut self, pulse: &Pulse) {
        if self.begun_at.is_some() {
            self.take_time(Instant::now());
        }
        if self.beat & 1 == 1 {
            self.beat += 1;
            pulse.set(self.beat);
        }
    }

    fn take_time(&mut self, now: Instant) {
        if let Some(begun_at) = self.begun_at.take() {
            self.timing.get_or_insert_default().record(now.saturating_duration_since(begun_at));
        }
    }

    /// An incarnation begins.
    pub(super) fn begin(&mut self) {
        self.n_ticks += 1;
        self.protected_until = None;
        self.under_way = None;
    }

    pub(super) fn tick(&mut self) {
        self.n_ticks += 1;
    }

    pub(super) fn timing(&self) -> Timing {
        self.timing.as_deref().cloned().unwrap_or_default()
    }

    /// Effects and timers under way.
    pub(super) fn n_under_way(&self) -> (usize, usize) {
        let count = |counter: &Arc<AtomicUsize>| counter.load(Ordering::Relaxed);
        self.under_way.as_ref().map_or((0, 0), |n| (count(&n.n_effects), count(&n.n_timers)))
    }
}

impl<M> Inner<M> {
    pub(super) fn work(&self) -> Option<Work> {
        let (n_effects, _) = self.vitals.n_under_way();
        let n_queued = self.mailbox.depth();
        let has_work = n_effects > 0 || n_queued > 0 || self.vitals.in_flight.is_some();
        let (_, n_handled) = self.mailbox.counts();
        (self.state == AgentState::Running && has_work).then(|| Work {
            generation: self.generation,
            mark: n_handled.wrapping_add(self.vitals.n_ticks),
            n_effects,
            n_queued,
            protected_until: self.vitals.protected_until,
        })
    }
}

impl<M: Send + 'static> Slot<M> {
    pub(crate) fn set_step(&self, step: Option<Arc<str>>) {
        let mut inner = self.lock();
        inner.vitals.tick();
        inner.step = step;
    }

    pub(crate) fn info(&self) -> AgentInfo {
        let inner = self.lock();
        let (n_admitted, n_handled) = inner.mailbox.counts();
        let (n_effects, n_timers) = inner.vitals.n_under_way();
        AgentInfo {
            id: self.id.clone(),
            role: Arc::clone(&self.role),
            state: inner.state,
            generation: inner.generation,
            n_queued: inner.mailbox.depth(),
            n_queued_max: inner.mailbox.depth_max(),
            n_admitted,
            n_handled,
            head_age: inner.mailbox.head().map(|head| head.enqueued_at.elapsed()),
            in_flight: inner.vitals.in_flight,
            timing: inner.vitals.timing(),
            n_effects,
            n_timers,
            step: inner.step.clone(),
            n_watchers: inner.watching.as_ref().map_or(0, |w| w.ending.n_waiting()),
            last_exit: inner.watching.as_ref().and_then(|w| w.ending.last_exit().cloned()),
        }
    }

    /// Makes the counters of the incarnation's work known.
    pub(crate) fn count(&self, n_effects: &Arc<AtomicUsize>, n_timers: &Arc<AtomicUsize>) {
        let (n_effects, n_timers) = (Arc::clone(n_effects), Arc::clone(n_timers));
        self.lock().vitals.under_way = Some(UnderWay { n_effects, n_timers });
    }

    /// Names the message that is being handled better than by its type.
    pub(crate) fn name_in_flight(&self, message: &'static str) {
        if let Some(in_flight) = &mut self.lock().vitals.in_flight {
            in_flight.message = message;
        }
    }

    /// A hook begins that handles no message.
    pub(crate) fn begin_hook(&self, name: &'static str) {
        let now = Instant::now();
        self.lock().vitals.begin_message(now, &self.pulse, name, 0);
    }

    /// A hook that handles no message has returned; it is no message to be timed.
    pub(crate) fn end_hook(&self) {
        let mut inner = self.lock();
        inner.vitals.begun_at = None;
        inner.vitals.in_flight = None;
        inner.vitals.rest(&self.pulse);
    }

    pub(crate) fn protect(&self, span: Duration) {
        let mut inner = self.lock();
        inner.vitals.tick();
        inner.vitals.protected_until = Instant::now().checked_add(span);
    }
}

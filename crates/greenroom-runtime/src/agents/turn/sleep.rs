//! What an agent does while it waits for nothing but people: it says so, and when it is all that there is of
//! its run, it puts the run to sleep.

use std::sync::Arc;
use std::time::Duration;

use greenroom_core::journal::Event;
use greenroom_core::recovery::Nap;
use greenroom_core::time::Timestamp;

use super::people::{Told, Word};
use super::{TurnAgent, TurnMessage, Waits};
use crate::actor::Context;
use crate::actor::address::Reply;
use crate::run::door::Passage;
use crate::run::live::LiveRun;
use crate::run::sleep::{DOZE, Sleeper, Wakes};
use crate::runtime::WeakRuntime;

/// How a run sleeps that is a single agent.
pub(crate) struct Sleeps {
    pub(crate) runtime: WeakRuntime,
    pub(crate) live: Arc<dyn LiveRun>,
    /// Whether the run may be stopped now: nobody else ends it.
    pub(crate) begins: Box<dyn Fn() -> bool + Send + Sync>,
    pub(crate) wakes: Wakes,
}

/// How far an agent is with falling asleep, and what it was told before it had read its stream.
#[derive(Default)]
pub(super) struct Bed {
    /// What others know of it: until when it waits for people.
    told: Option<Timestamp>,
    is_dozing: bool,
    /// Whether the end of the task is on its way into the journal, because somebody cancelled it.
    pub(super) is_cancelled: bool,
    /// The run's door, while it is being put to sleep.
    passage: Option<Passage>,
    pub(super) early: Vec<(Word, Reply<Told>)>,
}

impl TurnAgent {
    /// Does what was asked for before the stream was read, or before the agent was there.
    pub(super) fn heed_early(&mut self) {
        for (word, reply) in std::mem::take(&mut self.bed.early) {
            self.hear(&word, &reply);
        }
        if matches!(self.setup.waits, Waits::Sleeps(_)) && self.setup.door.is_cancelled() {
            self.cancel();
        }
    }

    /// Until when nothing happens but that people answer; `None` when something may.
    fn sleeps_until(&self) -> Option<Timestamp> {
        let is_waiting = self.journalled.is_quiet() && self.journalled.machine.may_sleep();
        is_waiting.then(|| self.first_expiry()).flatten()
    }

    /// Tells the run's door whether the agent waits, before anybody is told that an answer is stored.
    pub(super) fn tell_door(&mut self) {
        let machine = &self.journalled.machine;
        let until = machine.may_sleep().then(|| self.first_expiry()).flatten();
        if until != self.bed.told {
            self.bed.told = until;
            self.setup.door.waits(&self.setup.stream, until);
            if let (Some(_), Waits::Router(tell)) = (until, &self.setup.waits) {
                tell();
            }
        }
    }

    /// Looks in a while whether the run may sleep.
    pub(super) fn settle(&mut self, context: &Context<'_, Self>) {
        if matches!(self.setup.waits, Waits::Sleeps(_))
            && !self.bed.is_dozing
            && self.bed.passage.is_none()
            && self.sleeps_until().is_some()
        {
            self.bed.is_dozing = true;
            context.after(DOZE, TurnMessage::Doze);
        }
    }

    /// Stores that the run sleeps, if it still waits and nobody is telling it something.
    pub(super) fn doze(&mut self) {
        self.bed.is_dozing = false;
        if let Some(until) = self.sleeps_until()
            && let Some(passage) = self.setup.door.try_pass()
        {
            self.bed.passage = Some(passage);
            self.journalled.record(Event::RunAsleep { until });
        }
    }

    /// Stops the run, unless something has happened while its sleep was being stored.
    pub(super) fn sleep(&mut self, context: &mut Context<'_, Self>) {
        let Some(passage) = self.bed.passage.take() else { return };
        let until = self.sleeps_until();
        if let (Some(until), Waits::Sleeps(sleeps)) = (until, &self.setup.waits)
            && let Some(runtime) = sleeps.runtime.upgrade()
            && (sleeps.begins)()
        {
            let (live, wakes) = (Arc::clone(&sleeps.live), Arc::clone(&sleeps.wakes));
            let nap = Nap::new(self.setup.clock.now(), until);
            runtime.put_to_sleep(nap, Sleeper { live, wakes }, passage);
            context.stop();
        } else {
            self.journalled.record(Event::RunAwake { slept: Duration::ZERO });
        }
    }
}

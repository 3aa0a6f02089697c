//! What an agent does while it waits for nothing but people: it says so, and when it is all that there is of
//! its run, it puts the run to sleep.

use std::sync::Arc;

use greenroom_core::time::Timestamp;

use super::people::{Told, Word};
use super::{TurnAgent, TurnMessage, Waits};
use crate::actor::Context;
use crate::actor::address::Reply;
use crate::run::dozing::{DOZE, Dozing};
use crate::run::live::LiveRun;
use crate::run::sleep::{Sleeper, Wakes};
use crate::runtime::WeakRuntime;

/// How a run sleeps that is a single agent.
pub(crate) struct Sleeps {
    pub(crate) runtime: WeakRuntime,
    pub(crate) live: Arc<dyn LiveRun>,
    pub(crate) wakes: Wakes,
}

/// How far an agent is with falling asleep, and what it was told before it had read its stream.
#[derive(Default)]
pub(super) struct Bed {
    /// What others know of it: until when it waits for people.
    told: Option<Timestamp>,
    dozing: Dozing,
    /// Whether the end of the task is on its way into the journal, because somebody cancelled it.
    pub(super) is_cancelled: bool,
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

    /// Until when nothing happens but that people do something; `None` when something may.
    fn sleeps_until(&self) -> Option<Timestamp> {
        self.bed.told.filter(|_| self.journalled.is_quiet())
    }

    /// Tells the run's door whether the agent waits, before anybody is told that an answer is stored.
    pub(super) fn tell_door(&mut self) {
        let is_waiting = self.journalled.machine.is_waiting_for_people();
        let until = is_waiting.then(|| self.first_expiry());
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
            && self.bed.dozing.is_awake()
            && self.sleeps_until().is_some()
        {
            self.bed.dozing.begin();
            context.after(DOZE, TurnMessage::Doze);
        }
    }

    /// Stores that the run sleeps, if it still waits.
    pub(super) fn doze(&mut self) {
        let (until, now) = (self.sleeps_until(), self.setup.clock.now());
        if let Some(event) = self.bed.dozing.doze(until, now, &self.setup.door) {
            self.journalled.record(event);
        }
    }

    /// Stops the run, unless something has happened while its sleep was being stored.
    pub(super) fn sleep(&mut self, context: &mut Context<'_, Self>) {
        let may_sleep = self.sleeps_until().is_some();
        let Waits::Sleeps(Sleeps { runtime, live, wakes }) = &self.setup.waits else { return };
        let sleeper = Sleeper { live: Arc::clone(live), wakes: Arc::clone(wakes) };
        if let Some(event) = self.bed.dozing.sleep(may_sleep, runtime.upgrade().as_ref(), sleeper) {
            self.journalled.record(event);
            return;
        }
        context.stop();
    }
}

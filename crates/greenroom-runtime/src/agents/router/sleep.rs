//! How a router puts its run to sleep: everybody who has a task waits for people.

use std::sync::Arc;

use greenroom_core::time::Timestamp;

use super::{Router, RouterMessage};
use crate::actor::Context;
use crate::run::dozing::DOZE;
use crate::run::live::LiveRun;
use crate::run::sleep::Sleeper;
use crate::team::Team;

impl Router {
    /// Until when nothing happens but that people do something; `None` when something may.
    fn sleeps_until(&self) -> Option<Timestamp> {
        let (door, machine) = (&self.setup.shared.door, &self.journalled.machine);
        let may_wait = door.has_waiting() || machine.is_paused();
        if !may_wait || !self.journalled.is_quiet() {
            return None;
        }
        machine.may_sleep(|task| {
            let (_, stream) = self.given.get(task)?.seated.as_ref()?;
            door.waits_until(stream)
        })
    }

    /// Looks again in a while, once everybody waits.
    pub(super) fn doze_soon(&mut self, context: &Context<'_, Self>) {
        if self.dozing.is_awake() && self.sleeps_until().is_some() {
            self.dozing.begin();
            context.after(DOZE, RouterMessage::Doze);
        }
    }

    /// Stores that the run sleeps, if everybody still waits.
    pub(super) fn doze(&mut self) {
        let (until, now) = (self.sleeps_until(), self.setup.crew.clock.now());
        if let Some(event) = self.dozing.doze(until, now, &self.setup.shared.door) {
            self.record(event);
        }
    }

    /// Stops the run, unless something has happened while its sleep was being stored.
    pub(super) fn sleep(&mut self, context: &mut Context<'_, Self>) {
        let (crew, shared) = (&self.setup.crew, &self.setup.shared);
        let live = Arc::clone(shared) as Arc<dyn LiveRun>;
        let sleeper = Sleeper { live, wakes: Team::of(crew).wakes(shared) };
        let may_sleep = self.sleeps_until().is_some();
        match self.dozing.sleep(may_sleep, Some(&crew.runtime), sleeper) {
            None => context.stop(),
            Some(event) => self.record(event),
        }
    }
}

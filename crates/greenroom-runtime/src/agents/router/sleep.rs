//! How a router puts its run to sleep: everybody who has a task waits for people.

use std::sync::Arc;
use std::time::Duration;

use greenroom_core::journal::Event;
use greenroom_core::recovery::Nap;
use greenroom_core::time::Timestamp;

use super::{Router, RouterMessage};
use crate::actor::Context;
use crate::run::live::LiveRun;
use crate::run::sleep::{DOZE, Sleeper};
use crate::team::Team;

impl Router {
    /// Until when nothing happens but that people answer; `None` when something may.
    fn sleeps_until(&self) -> Option<Timestamp> {
        let door = &self.setup.shared.door;
        if !door.has_waiting() || !self.journalled.is_quiet() {
            return None;
        }
        self.journalled.machine.may_sleep(|task| {
            let stream = self.given.get(task)?.stream.as_ref()?;
            door.waits_until(stream)
        })
    }

    /// Looks again in a while, once everybody waits.
    pub(super) fn doze_soon(&mut self, context: &Context<'_, Self>) {
        if !self.is_dozing && self.passage.is_none() && self.sleeps_until().is_some() {
            self.is_dozing = true;
            context.after(DOZE, RouterMessage::Doze);
        }
    }

    /// Stores that the run sleeps, if everybody still waits and nobody is telling the run something.
    pub(super) fn doze(&mut self) {
        self.is_dozing = false;
        if let Some(until) = self.sleeps_until()
            && let Some(passage) = self.setup.shared.door.try_pass()
        {
            self.passage = Some(passage);
            self.journalled.record(Event::RunAsleep { until });
        }
    }

    /// Stops the run, unless something has happened while its sleep was being stored.
    pub(super) fn sleep(&mut self, context: &mut Context<'_, Self>) {
        let until = self.sleeps_until();
        let (Some(passage), shared) = (self.passage.take(), &self.setup.shared) else { return };
        let Some(until) = until.filter(|_| shared.begins_to_close()) else {
            return self.record(Event::RunAwake { slept: Duration::ZERO });
        };
        let crew = &self.setup.crew;
        let wakes = Team::of(crew).wakes(shared);
        let sleeper = Sleeper { live: Arc::clone(shared) as Arc<dyn LiveRun>, wakes };
        let nap = Nap::new(crew.clock.now(), until);
        crew.runtime.put_to_sleep(nap, sleeper, passage);
        context.stop();
    }
}

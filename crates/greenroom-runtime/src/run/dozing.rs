//! Falling asleep: what the actor does that knows of all others of its run, once none of them can go on before
//! a person does something.

use std::time::Duration;

use greenroom_core::journal::Event;
use greenroom_core::time::Timestamp;

use crate::run::door::{Door, Passage};
use crate::run::sleep::Sleeper;
use crate::runtime::Runtime;

/// How long a run that waits for people keeps its actors: answers that come at once find them.
pub(crate) const DOZE: Duration = Duration::from_secs(1);

/// After how long a run is looked at again that is paused and asks nobody anything.
const PAUSED_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How far an actor is with putting its run to sleep.
#[derive(Default)]
pub(crate) struct Dozing {
    has_begun: bool,
    /// The run's door, while it is being stored that the run sleeps, and until when it does.
    lying_down: Option<(Passage, Timestamp)>,
}

impl Dozing {
    /// Whether nothing of it has begun.
    pub(crate) fn is_awake(&self) -> bool {
        !self.has_begun && self.lying_down.is_none()
    }

    /// It is looked after a while ([`DOZE`]) whether the run still may sleep.
    pub(crate) fn begin(&mut self) {
        self.has_begun = true;
    }

    /// What is to be stored when that time is over: that the run sleeps, if it may, and nobody is telling it
    /// something.
    pub(crate) fn doze(
        &mut self,
        until: Option<Timestamp>,
        now: Timestamp,
        door: &Door,
    ) -> Option<Event> {
        self.has_begun = false;
        let until = match until? {
            Timestamp::MAX => now.after(PAUSED_MAX),
            until => until,
        };
        self.lying_down = Some((door.try_pass()?, until));
        Some(Event::RunAsleep { until })
    }

    /// Stops the run, whose sleep is stored. The answer is what is to be stored instead when it may not sleep
    /// any more, because something has happened meanwhile.
    pub(crate) fn sleep(
        &mut self,
        may_sleep: bool,
        runtime: Option<&Runtime>,
        sleeper: Sleeper,
    ) -> Option<Event> {
        let lying_down = self.lying_down.take().filter(|_| may_sleep);
        match (lying_down, runtime) {
            (Some((passage, until)), Some(runtime)) if sleeper.live.begins_to_close() => {
                runtime.put_to_sleep(until, sleeper, passage);
                None
            }
            _ => Some(Event::RunAwake { slept: Duration::ZERO }),
        }
    }
}

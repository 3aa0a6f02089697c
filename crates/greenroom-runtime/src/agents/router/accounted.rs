//! A router's machine with the account of its run.

use std::ops::Deref;
use std::sync::Arc;

use greenroom_core::journal::Event;
use greenroom_core::router::{Command, Machine};

use crate::journalled::Fold;
use crate::run::account::Account;

/// The machine adds up what tasks report. Those that were given up when the time to gather ended report
/// nothing, and what they had spent by then is known to the account alone.
#[derive(Clone)]
pub(crate) struct Accounted {
    pub(super) machine: Machine,
    pub(super) account: Arc<Account>,
}

impl Deref for Accounted {
    type Target = Machine;

    fn deref(&self) -> &Machine {
        &self.machine
    }
}

impl Fold for Accounted {
    type Command = Command;

    fn apply(&mut self, event: &Event) {
        self.machine.apply(event);
    }

    fn decide(&self) -> Vec<Event> {
        let mut decided = self.machine.decide();
        for event in &mut decided {
            if let Event::RunFinished { outcome } = event
                && self.machine.is_gathering_over()
            {
                outcome.usage = self.account.spent();
            }
        }
        decided
    }

    fn command(&self, event: &Event) -> Option<Command> {
        self.machine.command(event)
    }
}

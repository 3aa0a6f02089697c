//! What can be seen of a supervisor from outside: a copy of what it knows at one moment.

use std::time::Duration;

use super::Machine;
use crate::supervision::table::State;
use crate::supervision::{ChildInfo, ExitReason, Intensity, Restart, Strategy};

/// A supervisor at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Overview {
    /// Which children a failure touches.
    pub strategy: Strategy,
    /// How often its children may fail.
    pub intensity: Intensity,
    /// How often they still may before it gives up.
    pub restarts_left: u32,
    /// Whether it is stopping its children to end.
    pub is_closing: bool,
    /// The children in start order, whatever they are doing.
    pub children: Vec<ChildOverview>,
}

/// A child at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildOverview {
    /// What [`Machine::which_children`] tells of it.
    pub info: ChildInfo,
    /// When it is restarted.
    pub restart: Restart,
    /// How long its backoff still lasts, while it is in one.
    pub backoff_left: Option<Duration>,
    /// How often it still may fail, when it has a limit of its own.
    pub restarts_left: Option<u32>,
    /// How its last incarnation that has ended did so.
    pub last_exit: Option<ExitReason>,
}

impl Machine {
    /// What can be seen at `now`, which is time since the same origin as in [`Machine::on`].
    #[must_use]
    pub fn overview(&self, now: Duration) -> Overview {
        let children = self.table.iter().map(|child| {
            let timer = match child.state {
                State::Backoff(timer) => Some(timer),
                State::Waiting => self.pause_of(child.key),
                _ => None,
            };
            let due = timer.and_then(|timer| self.timers.get(&timer)).map(|armed| armed.due);
            ChildOverview {
                info: self.info(child.into()),
                restart: child.spec.restart,
                backoff_left: due.map(|due| due.saturating_sub(now)),
                restarts_left: child.window.as_ref().map(|window| window.n_left(now)),
                last_exit: child.last_exit.as_deref().cloned(),
            }
        });
        Overview {
            strategy: self.spec.strategy,
            intensity: self.spec.intensity,
            restarts_left: self.window.n_left(now),
            is_closing: !matches!(self.phase, super::Phase::Open),
            children: children.collect(),
        }
    }
}

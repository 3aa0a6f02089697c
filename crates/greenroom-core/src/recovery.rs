//! Recovery: what is to become of a run whose process died.
//!
//! A run is found in the journal, unfinished, and nobody works on it. Its [`Footprint`] is a fold of its
//! streams: what it was bound to, what it has spent, how often a process took it over without getting any
//! further. [`Footprint::judge`] says whether it is continued, and the [`Line`] says when: a run that may
//! have killed the last process goes alone, so that the next death has one suspect.

mod config;
mod cut_off;
mod footprint;
mod line;

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use config::{Change, ChangeKind, Config};
pub use footprint::{Claim, Footprint, Nap, is_asleep};
pub use line::{Line, Next};

use crate::ids::RunId;

/// The team or agent that a run belongs to, by the name that the application gave it. A run is code and
/// state; the state is in the journal, and this is how the code is found again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Owner {
    /// A team.
    Team(String),
    /// A single agent.
    Agent(String),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Team(name) => write!(f, "team {name}"),
            Self::Agent(name) => write!(f, "agent {name}"),
        }
    }
}

/// What happens to a run whose team or agent is not configured as it was.
///
/// | policy | the run |
/// |---|---|
/// | `Continue` | goes on; what changed is journalled with the claim |
/// | `Ask` (the default) | is parked and listed with what changed; a person continues it |
/// | `Refuse` | is parked and listed; only the old configuration continues it |
///
/// The default is neither of the others: a deployment that changes a prompt must not lose what is under way,
/// and must not mix two configurations in one conversation unseen either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum OnChange {
    /// It goes on.
    Continue,
    /// A person decides.
    #[default]
    Ask,
    /// It does not go on.
    Refuse,
}

/// How unfinished runs are recovered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct RecoverySpec {
    /// How many processes in a row may die over a run without a result of its coming in, the one that
    /// accepted it counted. Then the run is quarantined. At least 1. Default 3.
    pub boots_max: u32,
    /// What happens to runs whose configuration has changed. Default [`OnChange::Ask`].
    pub on_change: OnChange,
    /// How long a run on its last boot is watched alone before the next of its kind is started. Default
    /// 30 s.
    pub probation: Duration,
    /// How many runs are looked at and started at the same time. At least 1. Default 256: a
    /// disk syncs the claims of so many together.
    pub width: usize,
    /// How often the journal is searched for runs that nobody works on. Default 10 s.
    pub interval: Duration,
}

impl Default for RecoverySpec {
    fn default() -> Self {
        Self {
            boots_max: 3,
            on_change: OnChange::default(),
            probation: Duration::from_secs(30),
            width: 256,
            interval: Duration::from_secs(10),
        }
    }
}

impl RecoverySpec {
    /// Sets what happens to runs whose configuration has changed.
    pub fn on_change(mut self, on_change: OnChange) -> Self {
        self.on_change = on_change;
        self
    }

    /// Sets how many processes in a row may die over a run.
    pub fn boots_max(mut self, boots_max: u32) -> Self {
        self.boots_max = boots_max;
        self
    }
}

/// What is to be done with an unfinished run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is finished after all.
    Over,
    /// It is continued.
    Claim {
        /// Boots in a row without a result, this one counted.
        boot: u32,
        /// What is configured otherwise than when it was accepted.
        changes: Vec<Change>,
    },
    /// It has killed too many processes, which is journalled.
    Quarantine {
        /// How many.
        n_boots: u32,
    },
    /// It is left alone.
    Park(Parked),
}

/// Why an unfinished run is left alone. It stays in the journal and loses nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Parked {
    /// There is no team or agent of that name here.
    Unknown,
    /// The team or agent is configured otherwise, and the policy is to ask or to refuse.
    Changed(Vec<Change>),
    /// It was there when so many processes in a row died, and got no further in any of them.
    Quarantined {
        /// How many.
        n_boots: u32,
    },
    /// Its streams say nothing that a run could be continued from, or cannot be read.
    Unreadable(String),
}

impl fmt::Display for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("nobody of that name is here"),
            Self::Changed(changes) => {
                f.write_str("its configuration has changed: ")?;
                for (i, change) in changes.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{change}")?;
                }
                Ok(())
            }
            Self::Quarantined { n_boots } => {
                write!(f, "quarantined: {n_boots} processes in a row died over it")
            }
            Self::Unreadable(why) => write!(f, "unreadable: {why}"),
        }
    }
}

/// A run that is left alone, with what it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParkedRun {
    /// The run.
    pub run: RunId,
    /// Its team or agent; `None` when the journal does not say.
    pub owner: Option<Owner>,
    /// Why it is left alone.
    pub why: Parked,
}

impl ParkedRun {
    /// A run that is left alone for this reason.
    #[must_use]
    pub fn new(run: RunId, owner: Option<Owner>, why: Parked) -> Self {
        Self { run, owner, why }
    }
}

//! What a plan has injected: a bounded record, and a count that is not.

use std::fmt;

use super::FaultSite;

/// Faults that are kept; later ones only count.
const KEPT_MAX: usize = 1024;

/// One fault that was injected.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Injected {
    /// Where.
    pub site: FaultSite,
    /// The agent's id, or the name of the tool or model.
    pub target: String,
    /// Which time the target had come there, counted from 1.
    pub occurrence: u64,
    /// What went wrong, for example `panic`.
    pub fault: String,
}

impl fmt::Display for Injected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { site, target, occurrence, fault } = self;
        write!(f, "{fault} at {site} {occurrence} of {target}")
    }
}

#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) kept: Vec<Injected>,
    pub(super) n_injected: u64,
}

impl Record {
    pub(super) fn push(&mut self, injected: Injected) {
        self.n_injected += 1;
        if self.kept.len() < KEPT_MAX {
            self.kept.push(injected);
        }
    }
}

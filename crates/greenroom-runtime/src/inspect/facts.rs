//! What a runtime tells those who look at it as a whole: its supervision, and what its watchdog found.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use greenroom_core::ids::AgentId;
use greenroom_core::supervision::SupervisionEvent;
use greenroom_core::watchdog::Finding;

use crate::feed::Source;

/// Findings that are kept; older ones are forgotten.
const KEPT_MAX: usize = 256;

/// A fact about a child, and whose child it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Supervised {
    /// The supervisor.
    pub supervisor: AgentId,
    /// What happened.
    pub event: SupervisionEvent,
}

/// The facts of one runtime.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) supervision: Source<Supervised>,
    pub(crate) findings: Source<Finding>,
    kept: Mutex<VecDeque<Finding>>,
}

impl Facts {
    pub(crate) fn supervised(&self, supervisor: &AgentId, event: &SupervisionEvent) {
        self.supervision
            .tell(|| Supervised { supervisor: supervisor.clone(), event: event.clone() });
    }

    pub(crate) fn found(&self, finding: Finding) {
        let (agent, generation, is_over) = (&finding.agent, finding.generation, finding.is_over);
        tracing::warn!(%agent, generation, is_over, lasted = ?finding.lasted, what = ?finding.what,
            "watchdog: {finding}");
        let mut kept = self.kept();
        if kept.len() == KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back(finding.clone());
        drop(kept);
        self.findings.tell(|| finding);
    }

    pub(crate) fn recent_findings(&self) -> Vec<Finding> {
        self.kept().iter().cloned().collect()
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Finding>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

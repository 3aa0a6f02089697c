//! Calls that were cut off when their process died, and that the next one makes again. Each time counts: a run
//! whose processes die over its calls must not make more of them than its budget allows.

use crate::budget::{Budget, Usage};
use crate::ids::CallId;
use crate::journal::{Event, Recorded};
use crate::time::Timestamp;

/// The calls of a run that have begun and have no result.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct CutOff {
    /// When each call of a model was due to be made; those that were to be made at once always were, also when the
    /// clock was set back since.
    models: Vec<Timestamp>,
    n_tools: u64,
}

impl CutOff {
    /// Adds those of another stream.
    pub(super) fn add_stream(&mut self, events: &[Recorded]) {
        let mut model = None;
        let mut tools: Vec<&CallId> = Vec::new();
        for Recorded { at, event, .. } in events {
            match event {
                Event::ModelCalled { delay, .. } if !delay.is_zero() => {
                    model = Some(at.after(*delay));
                }
                Event::ModelCalled { .. } | Event::CompactionStarted { .. } => {
                    model = Some(Timestamp::default());
                }
                Event::ModelReplied { .. }
                | Event::ModelFailed { .. }
                | Event::CompactionFinished { .. } => model = None,
                Event::ToolStarted { call, effect, .. } if effect.may_recover() => tools.push(call),
                Event::ToolFinished { call, .. } => tools.retain(|begun| *begun != call),
                Event::LimitReached { .. } | Event::TaskFinished { .. } => {
                    model = None;
                    tools.clear();
                }
                _ => {}
            }
        }
        self.models.extend(model);
        self.n_tools += tools.len() as u64;
    }

    /// What making them again counts for. A call that was still waiting was not made, and one that the budget
    /// does not allow will not be.
    pub(super) fn again(&self, at: Timestamp, budget: &Budget, spent: &Usage) -> Usage {
        let n_models = self.models.iter().filter(|due| **due <= at).count() as u64;
        let models_left = budget.model_calls_max.saturating_sub(spent.model_calls);
        let tools_left = budget.tool_calls_max.saturating_sub(spent.tool_calls);
        Usage {
            model_calls: n_models.min(models_left),
            tool_calls: self.n_tools.min(tools_left),
            ..Usage::default()
        }
    }
}

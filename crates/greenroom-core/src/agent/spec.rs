//! What an agent is: instructions, tools, the shape of its output, and limits on its turns.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::approval::InDoubt;
use crate::ids::AgentId;
use crate::output::{OutputCheck, OutputSchema};
use crate::recovery::Config;
use crate::tool::{Approval, ToolSpec};

/// What an agent is.
#[derive(Clone)]
pub struct AgentSpec {
    /// Its name.
    pub id: AgentId,
    /// The system prompt; empty for none.
    pub instructions: Arc<str>,
    /// The tools that it may call. Only the runtime enforces this list; no prompt can widen it.
    pub tools: Arc<[ToolSpec]>,
    /// The shape of its final text, when it must have one.
    pub output: Option<(Arc<OutputSchema>, OutputCheck)>,
    /// Limits on its turns.
    pub limits: TurnLimits,
    /// Which calls of its tools need a person's approval.
    pub approvals: Arc<BTreeMap<String, Approval>>,
    /// What becomes of an at-most-once call that was cut off.
    pub in_doubt: InDoubt,
}

impl AgentSpec {
    /// An agent without instructions, tools or a shape of output.
    #[must_use]
    pub fn new(id: impl Into<AgentId>) -> Self {
        Self {
            id: id.into(),
            instructions: Arc::from(""),
            tools: Arc::from([]),
            output: None,
            limits: TurnLimits::default(),
            approvals: Arc::default(),
            in_doubt: InDoubt::default(),
        }
    }

    /// What it is made of: what the model is told, and the limits by which its conversation is folded.
    #[must_use]
    pub fn config(&self) -> Config {
        let mut config = Config::new();
        config.text("instructions", &self.instructions);
        config.text("limits", format!("{:?}", self.limits));
        for tool in self.tools.iter() {
            config.text(format!("tool {}", tool.name), format!("{tool:?}"));
        }
        for (tool, approval) in self.approvals.iter() {
            config.text(format!("approval of {tool}"), format!("{approval:?}"));
        }
        if let Some((schema, _)) = &self.output {
            config.text("output", format!("{} {}", schema.name, schema.schema));
        }
        config
    }
}

impl fmt::Debug for AgentSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentSpec")
            .field("id", &self.id)
            .field("n_tools", &self.tools.len())
            .field("output", &self.output.as_ref().map(|(schema, _)| &schema.name))
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Limits on the turns of an agent. Each is exact: a limit of `n` allows `n` and refuses the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnLimits {
    /// Model calls of one task, retries not counted. On the last one no tools are offered, so that the
    /// model must answer. Default 8.
    pub turns_max: u32,
    /// Tries of one model call; none at all with 0. Default 4.
    pub attempts_max: u32,
    /// Replies of one task that are sent back: because they miss the shape of the output, or because
    /// they are no replies at all. Each takes a turn. Default 2.
    pub repairs_max: u32,
    /// Tool calls of one turn; the rest are answered with an error. Default 16.
    pub calls_per_turn_max: usize,
    /// How often the same call (tool and arguments) may be made in one task; refused calls do not
    /// count. Default 3.
    pub same_call_max: u32,
    /// The longest wait before the second try of a model call; it doubles from there, and chance decides
    /// between none and all of it ([`RetrySpec`](crate::resilience::RetrySpec)). Default 500 ms.
    pub retry_delay_min: Duration,
    /// The longest wait before a try, unless the provider asks for up to two minutes. Default 8 s.
    pub retry_delay_max: Duration,
}

impl Default for TurnLimits {
    fn default() -> Self {
        Self {
            turns_max: 8,
            attempts_max: 4,
            repairs_max: 2,
            calls_per_turn_max: 16,
            same_call_max: 3,
            retry_delay_min: Duration::from_millis(500),
            retry_delay_max: Duration::from_secs(8),
        }
    }
}

//! One rule of a plan: what goes wrong, to whom, and when.

use std::fmt;
use std::time::Duration;

use greenroom_core::fault::Fault;
use greenroom_core::model::ModelErrorKind;
use greenroom_core::tool::ToolErrorKind;

use super::pattern::Pattern;
use crate::provider::WireFault;

/// Where a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FaultSite {
    /// The start of an agent's incarnation.
    Start,
    /// The delivery of a message to an agent; a message that is delivered again counts again.
    Message,
    /// An answer of an agent.
    Reply,
    /// A call of a tool.
    Tool,
    /// A call of a model.
    Model,
    /// A call that has come to a provider on this machine.
    Provider,
}

impl fmt::Display for FaultSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Message => "message",
            Self::Reply => "reply",
            Self::Tool => "tool call",
            Self::Model => "model call",
            Self::Provider => "provider call",
        })
    }
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Harm {
    Plain(Fault),
    ToolError(ToolErrorKind),
    ModelError(ModelErrorKind),
    Wire(Box<WireFault>),
}

impl Harm {
    /// What it is for an agent. The rules have the others for tools, models and providers only.
    pub(super) fn of_agent(self) -> Fault {
        match self {
            Self::Plain(fault) => fault,
            Self::ToolError(_) | Self::ModelError(_) | Self::Wire(_) => Fault::Fail,
        }
    }
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(fault) => fault.fmt(f),
            Self::ToolError(kind) => write!(f, "error ({kind})"),
            Self::ModelError(kind) => write!(f, "error ({kind})"),
            Self::Wire(fault) => fault.fmt(f),
        }
    }
}

/// One rule of a [`FaultPlan`](super::FaultPlan). It names its targets with `*` for any text: `research-*`.
///
/// | | default | says |
/// |---|---|---|
/// | [`at`](Self::at) | 1 | the first occurrence that can be struck, counted from 1 |
/// | [`chance`](Self::chance) | 1.0 | how likely each occurrence from there on is |
/// | [`times`](Self::times) | 1 | how often at most |
///
/// All three are counted for each target by itself: two agents that a pattern matches are struck once each.
/// Agents of the same id in different runs are one target.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct FaultRule {
    site: FaultSite,
    target: Pattern,
    pub(super) harm: Harm,
    pub(super) first: u64,
    pub(super) chance: f64,
    pub(super) times: u32,
}

/// Agents. What each fault means is in the table at [`Fault`].
impl FaultRule {
    /// The start takes so much longer.
    pub fn slow_start(agent: impl Into<String>, span: Duration) -> Self {
        Self::plain(FaultSite::Start, agent, Fault::Delay(span))
    }

    /// The start fails.
    pub fn failing_start(agent: impl Into<String>) -> Self {
        Self::plain(FaultSite::Start, agent, Fault::Fail)
    }

    /// The start panics.
    pub fn panicking_start(agent: impl Into<String>) -> Self {
        Self::plain(FaultSite::Start, agent, Fault::Panic)
    }

    /// The start never completes.
    pub fn hanging_start(agent: impl Into<String>) -> Self {
        Self::plain(FaultSite::Start, agent, Fault::Hang)
    }

    /// The handler panics.
    pub fn crash(agent: impl Into<String>) -> Self {
        Self::plain(FaultSite::Message, agent, Fault::Panic)
    }

    /// The handler fails.
    pub fn failing_handler(agent: impl Into<String>) -> Self {
        Self::plain(FaultSite::Message, agent, Fault::Fail)
    }

    /// The handler takes so much longer, and the agent does nothing meanwhile.
    pub fn slow_handler(agent: impl Into<String>, span: Duration) -> Self {
        Self::plain(FaultSite::Message, agent, Fault::Delay(span))
    }

    /// The handler hangs: the incarnation does nothing more until it is killed.
    pub fn hanging_handler(agent: impl Into<String>) -> Self {
        Self::plain(FaultSite::Message, agent, Fault::Hang)
    }

    /// The agent's answer is lost: whoever asked waits until the deadline.
    pub fn lost_reply(agent: impl Into<String>) -> Self {
        Self::plain(FaultSite::Reply, agent, Fault::Hang)
    }

    /// The agent's answer is dropped: whoever asked is told at once that there is none.
    pub fn dropped_reply(agent: impl Into<String>) -> Self {
        Self::plain(FaultSite::Reply, agent, Fault::Fail)
    }

    /// The agent's answer is late.
    pub fn late_reply(agent: impl Into<String>, span: Duration) -> Self {
        Self::plain(FaultSite::Reply, agent, Fault::Delay(span))
    }
}

/// Tools and models, by name; and providers on this machine, by the name of the model that they are asked for.
impl FaultRule {
    /// The tool panics.
    pub fn tool_panic(tool: impl Into<String>) -> Self {
        Self::plain(FaultSite::Tool, tool, Fault::Panic)
    }

    /// The tool fails with an error of this kind.
    pub fn tool_error(tool: impl Into<String>, kind: ToolErrorKind) -> Self {
        Self::new(FaultSite::Tool, tool, Harm::ToolError(kind))
    }

    /// The tool takes so much longer.
    pub fn slow_tool(tool: impl Into<String>, span: Duration) -> Self {
        Self::plain(FaultSite::Tool, tool, Fault::Delay(span))
    }

    /// The tool never answers.
    pub fn hanging_tool(tool: impl Into<String>) -> Self {
        Self::plain(FaultSite::Tool, tool, Fault::Hang)
    }

    /// The model's stream panics.
    pub fn model_panic(model: impl Into<String>) -> Self {
        Self::plain(FaultSite::Model, model, Fault::Panic)
    }

    /// The model fails with an error of this kind, before it says anything.
    pub fn model_error(model: impl Into<String>, kind: ModelErrorKind) -> Self {
        Self::new(FaultSite::Model, model, Harm::ModelError(kind))
    }

    /// The model begins to answer so much later.
    pub fn slow_model(model: impl Into<String>, span: Duration) -> Self {
        Self::plain(FaultSite::Model, model, Fault::Delay(span))
    }

    /// The model never answers.
    pub fn hanging_model(model: impl Into<String>) -> Self {
        Self::plain(FaultSite::Model, model, Fault::Hang)
    }

    /// The provider answers so, or its answer goes wrong in this way.
    pub fn provider(model: impl Into<String>, fault: impl Into<WireFault>) -> Self {
        Self::new(FaultSite::Provider, model, Harm::Wire(Box::new(fault.into())))
    }
}

/// When.
impl FaultRule {
    /// Strikes the n-th occurrence, and with [`times`](Self::times) those after it. 0 is 1.
    pub fn at(mut self, n: u64) -> Self {
        self.first = n;
        self
    }

    /// Strikes each occurrence with this probability, from 0 to 1.
    pub fn chance(mut self, chance: f64) -> Self {
        self.chance = chance;
        self
    }

    /// Strikes each target so often at most.
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    fn plain(site: FaultSite, target: impl Into<String>, fault: Fault) -> Self {
        Self::new(site, target, Harm::Plain(fault))
    }

    fn new(site: FaultSite, target: impl Into<String>, harm: Harm) -> Self {
        Self { site, target: Pattern::new(target), harm, first: 1, chance: 1.0, times: 1 }
    }

    pub(super) fn is_about(&self, site: FaultSite, target: &str) -> bool {
        self.site == site && self.target.matches(target)
    }
}

impl fmt::Display for FaultRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { site, target, harm, first, chance, times } = self;
        write!(f, "{harm} at {site} {first} of {target}")?;
        if *chance < 1.0 {
            write!(f, " and later, with a chance of {chance}")?;
        }
        if *times == 1 { Ok(()) } else { write!(f, ", at most {times} times") }
    }
}

//! A team in the making: what has been put together so far, and how its parts are told of.

use std::collections::BTreeMap;
use std::sync::Arc;

use greenroom_core::brief::{AgentCard, ToolCard};
use greenroom_core::recovery::Config;
use greenroom_core::tool::{Approval, EffectClass, ToolSpec, schema_of};

use super::{Member, prompts};
use crate::actor::slot::AnySlot;
use crate::agents::turn::{SearchArguments, ToolRoute};
use crate::runtime::error::StartError;

/// The tool by which research agents reach the retrieval agent.
pub(super) const SEARCH: &str = "search";

/// A team in the making.
#[derive(Default)]
pub(super) struct Assembly {
    pub(super) cards: Vec<AgentCard>,
    pub(super) members: BTreeMap<String, Member>,
    pub(super) residents: Vec<Arc<dyn AnySlot>>,
    pub(super) routes: BTreeMap<String, ToolRoute>,
    /// What research agents are told of their tools.
    pub(super) specs: Vec<ToolSpec>,
    pub(super) approvals: BTreeMap<String, Approval>,
}

impl Assembly {
    /// Makes calls of these tools wait for a person, whatever the tools say. All of them must be there.
    pub(super) fn require(
        &mut self,
        approvals: &BTreeMap<String, Approval>,
    ) -> Result<(), StartError> {
        if let Some(tool) = approvals.keys().find(|tool| !self.routes.contains_key(*tool)) {
            return Err(StartError::new("approvals", Missing::Tool(tool.clone())));
        }
        self.approvals.extend(approvals.clone());
        Ok(())
    }
}

/// What a team cannot do without.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Missing {
    #[error("the team has no model; give it one with `.model(…)`")]
    Model,
    #[error("there is no role {0:?} with a model; there are plan, research and answer")]
    Role(String),
    #[error("the role {0:?} is taken")]
    Taken(String),
    #[error("there is no tool {0:?} whose calls could need approval")]
    Tool(String),
}

pub(super) fn card(role: &str, description: String) -> AgentCard {
    AgentCard { role: role.to_owned(), description, tools: Vec::new() }
}

pub(super) fn tool_card(spec: &ToolSpec) -> ToolCard {
    let ToolSpec { name, description, parameters, .. } = spec.clone();
    ToolCard { name, description, parameters }
}

pub(super) fn search_spec() -> ToolSpec {
    ToolSpec {
        name: SEARCH.to_owned(),
        description: prompts::SEARCH.to_owned(),
        parameters: schema_of::<SearchArguments>(),
        effect: EffectClass::ReadOnly,
    }
}

/// Adds what the members that have a model are made of.
pub(super) fn describe(config: &mut Config, members: &BTreeMap<String, Member>) {
    for member in members.values() {
        if let Member::Seat(seat) = member {
            config.part_of(seat.role, &seat.config());
        }
    }
}

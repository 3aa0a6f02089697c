//! The team: which agent a sub-question is for, and which of its tools.

use std::collections::BTreeSet;

use greenroom_core::brief::{AgentCard, ToolCard};
use greenroom_core::router::{PlannedCall, PlannedTask};
use serde_json::{Value, json};

use super::{arithmetic, dates};
use crate::extractive::plain::arguments;
use crate::extractive::text::{Lexicon, TermId, words};

/// How many words a question must share with an agent's description to be for it.
const SHARED_MIN: usize = 2;

/// The agents that tasks can be given to.
pub(super) struct Team<'a> {
    agents: &'a [AgentCard],
    /// The role that takes what no other agent fits.
    research: Option<&'a str>,
}

impl<'a> Team<'a> {
    pub(super) fn new(agents: &'a [AgentCard]) -> Self {
        let named = |role: &str| agents.iter().find(|agent| agent.role == role);
        let takes_questions = || agents.iter().find(|agent| agent.tools.is_empty());
        let research = named("research").or_else(|| named("retrieval")).or_else(takes_questions);
        Self { agents, research: research.or(agents.first()).map(|agent| agent.role.as_str()) }
    }

    /// The tasks of one sub-question, at most `room` of them, numbered from `n_first`.
    ///
    /// The calendar comes first, because dates look like subtractions; then arithmetic; then an agent
    /// or a tool that the words name; then research.
    pub(super) fn tasks(&self, part: &str, n_first: usize, room: usize) -> Vec<PlannedTask> {
        let Some(research) = self.research else { return Vec::new() };
        if let Some(task) = self.calendar(part, n_first) {
            return vec![task];
        }
        if let Some(tasks) = self.arithmetic(part, n_first, room, research) {
            return tasks;
        }
        let mut task = PlannedTask::new(&id(n_first), research, part);
        if let Some(agent) = self.specialist(part) {
            task.to = agent.to_owned();
            task.fallback = (agent != research).then(|| research.to_owned());
        } else if let Some((role, call)) = self.named_tool(part) {
            task.to = role.to_owned();
            task.call = Some(call);
        }
        vec![task]
    }

    fn calendar(&self, part: &str, n: usize) -> Option<PlannedTask> {
        let (role, tool) = self.tool(|tool| tool.name == "date")?;
        Some(PlannedTask::new(&id(n), role, part).calling(&tool.name, dates::spot(part)?))
    }

    fn arithmetic(
        &self,
        part: &str,
        n_first: usize,
        room: usize,
        research: &str,
    ) -> Option<Vec<PlannedTask>> {
        let (role, tool) = self.tool(|tool| tool.name == "calculate")?;
        let sum = arithmetic::spot(part)?;
        if sum.lookups.len() + 1 > room || !sum.lookups.is_empty() && research == role {
            return None;
        }
        let mut expression = sum.expression;
        let mut tasks = Vec::new();
        for (i, noun) in sum.lookups.iter().enumerate() {
            expression =
                expression.replace(&format!("{{{i}}}"), &format!("{{{}}}", id(n_first + i)));
            // "How much", because nothing but a number can be calculated with.
            let question = format!("How much is {noun}?");
            tasks.push(PlannedTask::new(&id(n_first + i), research, question));
        }
        let needs = tasks.iter().map(|task| task.id.clone()).collect();
        let task = PlannedTask::new(&id(n_first + sum.lookups.len()), role, part)
            .calling(&tool.name, json!({ "expression": expression }));
        tasks.push(PlannedTask { needs, ..task });
        Some(tasks)
    }

    fn tool(&self, fits: impl Fn(&ToolCard) -> bool) -> Option<(&'a str, &'a ToolCard)> {
        self.agents.iter().find_map(|agent| {
            agent.tools.iter().find(|tool| fits(tool)).map(|tool| (agent.role.as_str(), tool))
        })
    }

    /// The agent of the application's own that the words name or describe best.
    fn specialist(&self, part: &str) -> Option<&'a str> {
        let mut lexicon = Lexicon::new();
        let asked: BTreeSet<TermId> = lexicon.terms(part).into_iter().collect();
        let own = self.agents.iter().filter(|agent| {
            agent.tools.is_empty()
                && !matches!(agent.role.as_str(), "research" | "retrieval" | "tools")
        });
        let mut best: Option<(usize, &str)> = None;
        for agent in own {
            let role = lexicon.terms(&agent.role);
            let described: BTreeSet<TermId> =
                lexicon.terms(&agent.description).into_iter().collect();
            let is_named = !role.is_empty() && role.iter().all(|term| asked.contains(term));
            let n_shared = asked.intersection(&described).count();
            let fit = n_shared + if is_named { 10 } else { 0 };
            if fit >= SHARED_MIN && best.is_none_or(|(best, _)| fit > best) {
                best = Some((fit, agent.role.as_str()));
            }
        }
        best.map(|(_, role)| role)
    }

    /// A tool of the application's own whose name the words contain and whose arguments they fill.
    fn named_tool(&self, part: &str) -> Option<(&'a str, PlannedCall)> {
        let mut lexicon = Lexicon::new();
        let asked: BTreeSet<TermId> = lexicon.terms(part).into_iter().collect();
        let mut is_named = |tool: &ToolCard| {
            let name = lexicon.terms(&tool.name);
            !name.is_empty() && name.iter().all(|term| asked.contains(term))
        };
        for agent in self.agents {
            for tool in agent
                .tools
                .iter()
                .filter(|tool| !matches!(tool.name.as_str(), "calculate" | "date"))
            {
                if is_named(tool)
                    && words(part).len() > 1
                    && let Some(arguments) = arguments::filled(&tool.name, &tool.parameters, part)
                {
                    let arguments = Value::Object(arguments);
                    return Some((&agent.role, PlannedCall { tool: tool.name.clone(), arguments }));
                }
            }
        }
        None
    }
}

fn id(n: usize) -> String {
    format!("t{n}")
}

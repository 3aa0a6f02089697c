//! The planner: a question becomes tasks. Splits by the words alone; knows no documents.

use greenroom_core::brief::PlanBrief;
use greenroom_core::router::Plan;

use super::text::capped;

pub(super) mod arithmetic;
mod conversation;
pub(super) mod dates;
mod split;
mod subject;
mod team;

/// A question is read up to this many bytes.
const QUESTION_LEN_MAX: usize = 4_000;

/// Plans a question: resolves what it leaves to the conversation, splits it into sub-questions, and
/// gives each to the agent that fits. The plan is empty when there is no agent.
pub(super) fn plan(brief: &PlanBrief) -> Plan {
    let question = capped(brief.question.trim(), QUESTION_LEN_MAX);
    let question = conversation::resolved(question, &brief.conversation);
    let tasks_max = brief.tasks_max.max(1) as usize;
    let parts = split::parts(&question, tasks_max);
    let team = team::Team::new(&brief.agents);
    let mut tasks = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        let n_after = parts.len() - i - 1;
        let room = tasks_max.saturating_sub(tasks.len() + n_after);
        tasks.extend(team.tasks(part, tasks.len() + 1, room));
    }
    Plan { tasks }
}

#[cfg(test)]
mod tests;

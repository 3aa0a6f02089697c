//! The agents of a team and of one of its runs, as a tree of text.

use greenroom_runtime::AgentInfo;

use super::line::{clipped, count};
use crate::console::{Ink, Palette};
use crate::watch::Answered;

/// The tree as it stands once the run is over.
pub(crate) fn agents(answered: &Answered, palette: Palette) -> String {
    let title = format!("run {}", answered.run.short());
    let mut text = branch("team", &answered.team_agents, palette);
    text.push_str(&branch(&title, &answered.run_agents, palette));
    text
}

fn branch(title: &str, agents: &[AgentInfo], palette: Palette) -> String {
    let mut text = format!("{}\n", palette.paint(Ink::Bold, title));
    for (i, agent) in agents.iter().enumerate() {
        let arm = if i + 1 == agents.len() { "└─" } else { "├─" };
        let name = clipped(agent.id.as_str(), 16);
        let messages = count(agent.n_handled, "message");
        let restarts = match agent.n_restarts() {
            0 => String::new(),
            n => format!("   {}", palette.paint(Ink::Yellow, count(n, "restart"))),
        };
        let arm = palette.paint(Ink::Dim, arm);
        text.push_str(&format!("{arm} {name:<16} {messages:>12}{restarts}\n"));
    }
    text
}

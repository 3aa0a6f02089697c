//! The tree as text: a line for each node, with what is worth knowing and nothing that is as usual.

use std::fmt;
use std::time::Duration;

use super::tree::{Node, NodeState, SupervisorInfo};
use crate::inspect::AgentInfo;

/// Supervisors of the house that have nothing below them are not drawn one by one.
const PARTITION: &str = "runs-";

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Vec::new();
        collect(self, "", "", &mut lines);
        let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, facts) in lines {
            writeln!(f, "{name:<width$}  {facts}")?;
        }
        Ok(())
    }
}

fn collect(node: &Node, arm: &str, indent: &str, lines: &mut Vec<(String, String)>) {
    lines.push((format!("{arm}{}", node.id), facts(node)));
    let is_shown = |child: &&Node| !is_idle_partition(child);
    let shown: Vec<_> = node.children.iter().filter(is_shown).collect();
    for (i, child) in shown.iter().enumerate() {
        let is_last = i + 1 == shown.len();
        let (arm, rail) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        collect(child, &format!("{indent}{arm}"), &format!("{indent}{rail}"), lines);
    }
}

fn is_idle_partition(node: &Node) -> bool {
    node.id.as_str().starts_with(PARTITION)
        && node.children.is_empty()
        && node.state == NodeState::Running
        && matches!(node.supervisor, Some(SupervisorInfo::Answered { .. }))
}

fn facts(node: &Node) -> String {
    let mut facts = vec![node.state.to_string()];
    if node.n_restarts > 0 {
        facts.push(count(node.n_restarts, "restart"));
    }
    if let Some(left) = node.restarts_left.filter(|_| node.last_exit.is_some()) {
        facts.push(format!("{left} left"));
    }
    match &node.supervisor {
        Some(SupervisorInfo::Answered { restarts_left, intensity, .. })
            if *restarts_left < intensity.restarts_max =>
        {
            let max = intensity.restarts_max;
            facts.push(format!("its children may fail {restarts_left} more of {max} times"));
        }
        Some(SupervisorInfo::Silent) => facts.push("does not answer".to_owned()),
        _ => {}
    }
    if let Some(agent) = &node.agent {
        agent_facts(agent, &mut facts);
    }
    if let Some(reason) = &node.last_exit {
        facts.push(format!("last ended: {}", one_line(&reason.to_string())));
    }
    facts.join(", ")
}

fn agent_facts(agent: &AgentInfo, facts: &mut Vec<String>) {
    if let Some(step) = &agent.step {
        facts.push(one_line(step));
    }
    if agent.n_queued > 0 {
        let age = agent.head_age.map(|age| format!(", the first for {}", span(age)));
        let age = age.unwrap_or_default();
        facts.push(format!("{} queued (at most {}{age})", agent.n_queued, agent.n_queued_max));
    }
    if let Some(message) = &agent.in_flight {
        let again = if message.delivery > 1 { " again" } else { "" };
        facts.push(format!("handles {}{again} for {}", message.message, span(message.age())));
    }
    if agent.n_effects > 0 {
        facts.push(count(agent.n_effects as u64, "effect"));
    }
    if agent.n_timers > 0 {
        facts.push(count(agent.n_timers as u64, "timer"));
    }
    if agent.timing.n() > 0 {
        let (p50, p99) = (agent.timing.quantile(500), agent.timing.quantile(990));
        let (n, max) = (agent.timing.n(), agent.timing.max());
        let times = format!("p50 {}, p99 {}, max {}", span(p50), span(p99), span(max));
        facts.push(format!("handled {n} ({times})"));
    }
}

/// A span with three digits, which is as much as anybody reads.
fn span(span: Duration) -> String {
    let micros = span.as_micros();
    match micros {
        0..10_000 => format!("{micros} µs"),
        10_000..10_000_000 => format!("{} ms", micros / 1000),
        _ => format!("{} s", span.as_secs()),
    }
}

fn count(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// Text of others, which must not draw lines of its own.
fn one_line(text: &str) -> String {
    const CHARS_MAX: usize = 100;
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(CHARS_MAX).collect()
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Running => f.write_str("running"),
            Self::Restarting => f.write_str("restarting"),
            Self::Backoff { left } => write!(f, "backoff for {}", span(*left)),
            Self::Stopping => f.write_str("stopping"),
            Self::Stopped => f.write_str("stopped"),
            Self::Abandoned => f.write_str("abandoned"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

//! A line of standard error for each event, for files and pipes.

use std::sync::Arc;

use greenroom_core::redact::redact;
use greenroom_runtime::RunEvent;
use tokio::time::Instant;

use super::line::{clipped, count};
use crate::args::Verbosity;
use crate::console::{Console, printable};

/// The longest line, in characters.
const LINE_CHARS_MAX: usize = 160;

/// Writes events as lines.
#[derive(Debug)]
pub(crate) struct Plain {
    console: Console,
    begun_at: Instant,
    /// The roles of the agents that live as long as the team.
    residents: Vec<Arc<str>>,
}

impl Plain {
    pub(super) fn new(console: &Console, residents: Vec<Arc<str>>) -> Self {
        Self { console: console.clone(), begun_at: Instant::now(), residents }
    }

    pub(super) fn event(&mut self, event: &RunEvent) {
        let is_verbose = self.console.verbosity == Verbosity::Verbose;
        if let Some(line) = line(event, &self.residents, is_verbose) {
            let at = self.begun_at.elapsed().as_secs_f64();
            self.console.say(&format!("{at:8.3}s  {}", printable(&clipped(&line, LINE_CHARS_MAX))));
        }
    }
}

/// The event in words; `None` when it is not worth a line.
fn line(event: &RunEvent, residents: &[Arc<str>], is_verbose: bool) -> Option<String> {
    let is_resident = |role: &str| residents.iter().any(|resident| **resident == *role);
    let line = match event {
        RunEvent::Accepted { run } => format!("run {} accepted", run.short()),
        RunEvent::AgentStarted { agent, generation: 1, .. } => format!("{agent} started"),
        RunEvent::AgentStarted { agent, generation, .. } => {
            format!("{agent} restarted ({})", count(generation.saturating_sub(1), "restart"))
        }
        RunEvent::AgentFailed { agent, reason } => format!("{agent} failed: {reason}"),
        RunEvent::AgentResumed { agent, n_calls_kept, n_calls_open } => {
            let (kept, open) = (count(*n_calls_kept, "call"), count(*n_calls_open, "call"));
            format!("{agent} resumed: {kept} kept, {open} begun again")
        }
        RunEvent::AgentFinished { agent } if is_verbose => format!("{agent} finished"),
        RunEvent::Step { agent, step } => format!("{agent}: {step}"),
        RunEvent::TaskAssigned { task, to, attempt, question } if is_verbose || *attempt > 1 => {
            format!("task {task} to {to}, attempt {attempt}: {question}")
        }
        RunEvent::TaskAssigned { to, question, .. } if is_resident(to) => {
            format!("{to}: {question}")
        }
        RunEvent::TaskReported { task } if is_verbose => format!("task {task} reported"),
        RunEvent::TaskFailed { task, why } => format!("task {task} failed: {why}"),
        RunEvent::PersonAsked { pending } => {
            format!("waits for a person: {}", redact(&pending.shown()))
        }
        RunEvent::Finished { status } => format!("run {status}"),
        RunEvent::Missed { n_events } => format!("{} not shown", count(*n_events, "event")),
        _ => return None,
    };
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_restart_keeps_is_told() {
        let event = RunEvent::AgentResumed {
            agent: "research-t1".into(),
            n_calls_kept: 2,
            n_calls_open: 1,
        };
        let wanted = "research-t1 resumed: 2 calls kept, 1 call begun again";
        assert_eq!(line(&event, &[], false).as_deref(), Some(wanted));
    }

    #[test]
    fn text_as_it_is_written_is_no_line() {
        let (agent, text) = ("writer".into(), "64".to_owned());
        let event = RunEvent::TextDelta { agent, is_answer: true, text };
        assert_eq!(line(&event, &[], true), None);
    }
}

//! Crashes a research agent once, after its first search, and remembers what came of it.

use std::time::Duration;

use greenroom_core::ids::AgentId;
use greenroom_core::report::Outcome;
use greenroom_runtime::{Run, RunEvent};
use tokio::time::Instant;

use crate::render::{count, seconds};
use crate::watch::Onlooker;

/// The crash of one agent and its consequences, as the run's events tell them.
#[derive(Debug, Default)]
pub(super) struct Crash {
    /// The first research agent.
    target: Option<AgentId>,
    crashed_at: Option<Instant>,
    cause: Option<String>,
    restart: Option<(u64, Duration)>,
    resume: Option<(u64, u64)>,
}

/// What is to be done about an event.
#[derive(Debug, PartialEq, Eq)]
enum Advice {
    Watch,
    /// The agent has searched and asks its model what to make of it.
    Strike(AgentId),
}

impl Crash {
    fn look(&mut self, event: &RunEvent) -> Advice {
        match event {
            RunEvent::AgentStarted { agent, role: "research", .. } if self.target.is_none() => {
                self.target = Some(agent.clone());
            }
            // The second turn begins when every search of the first one has its result.
            RunEvent::Step { agent, step }
                if self.is_target(agent)
                    && self.crashed_at.is_none()
                    && step.starts_with("turn 2") =>
            {
                return Advice::Strike(agent.clone());
            }
            RunEvent::AgentFailed { agent, reason } if self.is_target(agent) => {
                self.cause.get_or_insert_with(|| reason.to_string());
            }
            RunEvent::AgentStarted { agent, generation, .. } if self.is_target(agent) => {
                let waited = self.crashed_at.map_or(Duration::ZERO, |at| at.elapsed());
                self.restart.get_or_insert((*generation, waited));
            }
            RunEvent::AgentResumed { agent, n_calls_kept, n_calls_open }
                if self.is_target(agent) =>
            {
                self.resume.get_or_insert((*n_calls_kept, *n_calls_open));
            }
            _ => {}
        }
        Advice::Watch
    }

    fn is_target(&self, agent: &AgentId) -> bool {
        self.target.as_ref() == Some(agent)
    }

    /// What happened, a line each.
    pub(super) fn story(&self) -> String {
        let (Some(agent), Some(_)) = (&self.target, self.crashed_at) else {
            return "  no agent got far enough to be crashed\n".to_owned();
        };
        let mut story = format!("  crashed     {agent}, on purpose, after its first search\n");
        if let Some(cause) = &self.cause {
            story.push_str(&format!("  cause       {cause}\n"));
        }
        if let Some((generation, waited)) = self.restart {
            let restarts = count(generation.saturating_sub(1), "restart");
            story.push_str(&format!("  restarted   {} later, {restarts}\n", seconds(waited)));
        }
        if let Some((kept, open)) = self.resume {
            let (kept, open) = (count(kept, "call"), count(open, "call"));
            story.push_str(&format!("  kept        {kept} with their results: not repeated\n"));
            story.push_str(&format!("  begun again {open} that had no result yet\n"));
        }
        story
    }
}

impl Onlooker for Crash {
    fn event(&mut self, event: &RunEvent, run: &Run<Outcome>) {
        if let Advice::Strike(agent) = self.look(event)
            && run.crash_on_purpose(&agent)
        {
            self.crashed_at = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(agent: &str, role: &'static str, generation: u64) -> RunEvent {
        RunEvent::AgentStarted { agent: agent.into(), role, generation }
    }

    fn step(agent: &str, step: &str) -> RunEvent {
        RunEvent::Step { agent: agent.into(), step: step.to_owned() }
    }

    #[test]
    fn the_first_research_agent_is_struck_once_it_has_searched() {
        let mut crash = Crash::default();
        for event in [
            started("planner", "planner", 1),
            step("planner", "turn 2: asking extractive"),
            started("research-t1", "research", 1),
            started("research-t2", "research", 1),
            step("research-t1", "turn 1: asking extractive"),
            step("research-t1", "search \"mailbox\""),
            step("research-t2", "turn 2: asking extractive"),
        ] {
            assert_eq!(crash.look(&event), Advice::Watch, "{event:?}");
        }
        let second = step("research-t1", "turn 2: asking extractive");
        assert_eq!(crash.look(&second), Advice::Strike("research-t1".into()));
    }

    #[test]
    fn the_story_tells_what_was_kept() {
        let mut crash = Crash {
            target: Some("research-t1".into()),
            crashed_at: Some(Instant::now()),
            ..Crash::default()
        };
        crash.look(&started("research-t1", "research", 2));
        let (agent, n_calls_kept, n_calls_open) = ("research-t1".into(), 2, 1);
        crash.look(&RunEvent::AgentResumed { agent, n_calls_kept, n_calls_open });
        let story = crash.story();
        assert!(story.contains("1 restart"), "{story}");
        assert!(story.contains("2 calls with their results: not repeated"), "{story}");
        assert!(story.contains("1 call that had no result yet"), "{story}");
    }
}

//! How things look: a live tree or plain lines while agents work, text or JSON at the end.

mod agents;
mod answer;
mod json;
mod line;
mod plain;
mod tree;

pub(crate) use agents::agents;
pub(crate) use answer::{answer, problem_of, sources, summary, without_marks};
pub(crate) use json::{Used, answered_json, failed_json, json_line, waiting_json};
pub(crate) use line::{clipped, count, grouped, seconds};

use std::sync::Arc;

use greenroom_runtime::{AgentInfo, RunEvent};

use crate::args::Verbosity;
use crate::console::Console;
use plain::Plain;
use tree::Tree;

/// Where the events of one run are shown.
#[derive(Debug)]
pub(crate) enum Screen {
    /// A tree that is drawn again and again.
    Tree(Tree),
    /// A line for each event.
    Plain(Plain),
    /// Nothing.
    Off,
}

impl Screen {
    /// A screen for a run of a team with these agents of its own. They start and stop with the team, so
    /// that the run tells only of the tasks that they are given.
    pub(crate) fn new(console: &Console, residents: &[AgentInfo]) -> Self {
        let roles = residents.iter().map(|agent| Arc::clone(&agent.role)).collect();
        match console.verbosity {
            Verbosity::Quiet => Self::Off,
            _ if console.is_live() => Self::Tree(Tree::new(console, roles)),
            _ => Self::Plain(Plain::new(console, roles)),
        }
    }

    pub(crate) fn event(&mut self, event: &RunEvent) {
        match self {
            Self::Tree(tree) => tree.event(event),
            Self::Plain(plain) => plain.event(event),
            Self::Off => {}
        }
    }

    /// Lets time be seen to pass.
    pub(crate) fn tick(&self) {
        if let Self::Tree(tree) = self {
            tree.tick();
        }
    }

    /// Leaves standard error as text, so that other text can follow.
    pub(crate) fn end(&mut self) {
        if let Self::Tree(tree) = self {
            tree.end();
        }
    }
}

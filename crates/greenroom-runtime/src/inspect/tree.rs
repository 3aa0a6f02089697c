//! The tree of a running system at one moment: every supervisor with what is below it.
//!
//! Supervisors are asked side by side, and nobody is waited for beyond a bound; one that does not answer is
//! shown as what is known of it without asking. Agents are never asked: what they do is in their slots.

use std::time::Duration;

use futures_util::future::join_all;
use greenroom_core::BoxFuture;
use greenroom_core::ids::AgentId;
use greenroom_core::supervision::{
    ChildKind, ChildOverview, ChildState, ExitReason, Intensity, Overview, Strategy,
};
use tokio::time::Instant;

use crate::inspect::{AgentInfo, AgentState};
use crate::supervisor::{Inside, Subject, SupervisorRef};

/// How long supervisors are waited for, all together.
const ANSWER_MAX: Duration = Duration::from_millis(40);

/// A supervisor, an agent or an actor of another kind, with what is below it.
///
/// Its `Display` draws the tree as text, a line for each node.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Node {
    /// Its name.
    pub id: AgentId,
    /// What it is.
    pub kind: ChildKind,
    /// What it is doing, as its supervisor sees it.
    pub state: NodeState,
    /// Which life this is, counted from 1; 0 before the first.
    pub generation: u64,
    /// How often its supervisor started it again.
    pub n_restarts: u64,
    /// How often it still may fail, when it has a limit of its own.
    pub restarts_left: Option<u32>,
    /// How its last incarnation that has ended did so.
    pub last_exit: Option<ExitReason>,
    /// What is known of an agent besides.
    pub agent: Option<AgentInfo>,
    /// What is known of a supervisor besides.
    pub supervisor: Option<SupervisorInfo>,
    /// What is below it, in start order.
    pub children: Vec<Node>,
}

/// What is known of a supervisor besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SupervisorInfo {
    /// It answered.
    Answered {
        /// Which children a failure touches.
        strategy: Strategy,
        /// How often its children may fail.
        intensity: Intensity,
        /// How often they still may before it gives up.
        restarts_left: u32,
    },
    /// It did not answer in time, or has ended. The children are those that it starts with, as their slots
    /// show them.
    Silent,
}

/// What somebody in the tree is doing.
///
/// | state | has an incarnation |
/// |---|---|
/// | `Starting` | being made |
/// | `Running`, `Stopping` | yes |
/// | `Restarting` in its turn, `Backoff` | no |
/// | `Stopped` | no |
/// | `Abandoned`: killed, and still not gone | perhaps |
/// | `Unknown`: its supervisor does not answer, and it has no slot | perhaps |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the table above says what they are")]
pub enum NodeState {
    Starting,
    Running,
    Restarting,
    Backoff {
        /// How long it still lasts.
        left: Duration,
    },
    Stopping,
    Stopped,
    Abandoned,
    Unknown,
}

impl Node {
    /// This node and all below it, each before what is below it.
    pub fn iter(&self) -> impl Iterator<Item = &Node> {
        let mut waiting = vec![self];
        std::iter::from_fn(move || {
            let node = waiting.pop()?;
            waiting.extend(node.children.iter().rev());
            Some(node)
        })
    }

    /// The first node of this name.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Node> {
        self.iter().find(|node| node.id.as_str() == id)
    }
}

/// The tree below a supervisor.
pub(crate) async fn tree(root: &SupervisorRef) -> Node {
    let until = Instant::now() + ANSWER_MAX;
    let mut node = Node {
        id: root.id().clone(),
        kind: ChildKind::Supervisor,
        state: NodeState::Running,
        generation: 1,
        n_restarts: 0,
        restarts_left: None,
        last_exit: None,
        agent: None,
        supervisor: None,
        children: Vec::new(),
    };
    let inside = Inside::Supervisor { handle: root.clone(), children: Vec::new() };
    let (info, children) = below(inside, until).await;
    if info == SupervisorInfo::Silent {
        node.state = NodeState::Unknown;
    }
    (node.supervisor, node.children) = (Some(info), children);
    node
}

/// What is below a supervisor.
fn below(supervisor: Inside, until: Instant) -> BoxFuture<'static, (SupervisorInfo, Vec<Node>)> {
    Box::pin(async move {
        let Inside::Supervisor { handle, children } = supervisor else {
            return (SupervisorInfo::Silent, Vec::new());
        };
        let (info, seen) = match handle.look(until).await {
            Some(look) => {
                let Overview { strategy, intensity, restarts_left, .. } = look.overview;
                let info = SupervisorInfo::Answered { strategy, intensity, restarts_left };
                let seen = look.overview.children.iter().zip(look.subjects);
                (info, seen.map(|(child, subject)| (node(child, &subject), subject)).collect())
            }
            None => {
                let seen = children.iter().map(|(id, kind, start)| {
                    let subject = start.subject();
                    (unseen(id, *kind, &subject), subject)
                });
                (SupervisorInfo::Silent, seen.collect::<Vec<_>>())
            }
        };
        let mut nodes = Vec::with_capacity(seen.len());
        let mut supervisors = Vec::new();
        for (i, (node, Subject(inside))) in seen.into_iter().enumerate() {
            nodes.push(node);
            if let inside @ Inside::Supervisor { .. } = inside {
                supervisors.push(async move { (i, below(inside, until).await) });
            }
        }
        for (i, (info, children)) in join_all(supervisors).await {
            (nodes[i].supervisor, nodes[i].children) = (Some(info), children);
        }
        (info, nodes)
    })
}

fn node(child: &ChildOverview, subject: &Subject) -> Node {
    let ChildOverview { info, backoff_left, restarts_left, last_exit, .. } = child;
    let state = match (info.state, backoff_left) {
        (ChildState::Backoff, left) => NodeState::Backoff { left: left.unwrap_or_default() },
        (ChildState::Waiting, _) => NodeState::Restarting,
        (ChildState::Starting, _) => NodeState::Starting,
        (ChildState::Running, _) => NodeState::Running,
        (ChildState::Stopping, _) => NodeState::Stopping,
        (ChildState::Stopped, _) => NodeState::Stopped,
        (ChildState::Abandoned, _) => NodeState::Abandoned,
        (_, _) => NodeState::Unknown,
    };
    Node {
        id: info.id.clone(),
        kind: info.kind,
        state,
        generation: info.generation.0,
        n_restarts: info.n_restarts,
        restarts_left: *restarts_left,
        last_exit: last_exit.clone(),
        agent: subject.agent(),
        supervisor: None,
        children: Vec::new(),
    }
}

/// A child whose supervisor does not answer.
fn unseen(id: &AgentId, kind: ChildKind, subject: &Subject) -> Node {
    let agent = subject.agent();
    let state = agent.as_ref().map_or(NodeState::Unknown, |agent| match agent.state {
        AgentState::Starting => NodeState::Starting,
        AgentState::Running => NodeState::Running,
        AgentState::Restarting => NodeState::Restarting,
        AgentState::Stopped | AgentState::Passive => NodeState::Stopped,
    });
    Node {
        id: id.clone(),
        kind,
        state,
        generation: agent.as_ref().map_or(0, |agent| agent.generation),
        n_restarts: agent.as_ref().map_or(0, AgentInfo::n_restarts),
        restarts_left: None,
        last_exit: agent.as_ref().and_then(|agent| agent.last_exit.clone()),
        agent,
        supervisor: None,
        children: Vec::new(),
    }
}

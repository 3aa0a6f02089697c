//! What a run tells those who watch it: progress and text, as it happens.
//!
//! Events are for people and screens. They may be missed by a slow reader, who is told how many; the
//! journal is where nothing is missed.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::StreamExt as _;
use greenroom_core::approval::PendingCall;
use greenroom_core::ids::{AgentId, RunId, TaskId};
use greenroom_core::report::Status;
use greenroom_core::supervision::ExitReason;
use greenroom_core::time::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::feed::{Feed, Source, Told};

/// Something that happened in a run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum RunEvent {
    /// The run is journalled.
    Accepted {
        /// The run.
        run: RunId,
    },
    /// An agent handles messages.
    AgentStarted {
        /// The agent.
        agent: AgentId,
        /// What it is for.
        role: &'static str,
        /// Which life this is, counted from 1.
        generation: u64,
    },
    /// An agent ended abnormally; its supervisor decides what follows.
    AgentFailed {
        /// The agent.
        agent: AgentId,
        /// Why it ended.
        reason: ExitReason,
    },
    /// A restarted agent goes on where its journal ends.
    AgentResumed {
        /// The agent.
        agent: AgentId,
        /// Model and tool calls whose results it has and does not repeat.
        n_calls_kept: u64,
        /// Calls that had begun and have no result.
        n_calls_open: u64,
    },
    /// An agent has done its part.
    AgentFinished {
        /// The agent.
        agent: AgentId,
    },
    /// An agent takes a step.
    Step {
        /// The agent.
        agent: AgentId,
        /// Which, for example `turn 2: search "mailbox"`.
        step: String,
    },
    /// The router gave out a task.
    TaskAssigned {
        /// The task.
        task: TaskId,
        /// The role that has it.
        to: String,
        /// The attempt, counted from 1.
        attempt: u32,
        /// What is to be done.
        question: String,
    },
    /// A task was reported.
    TaskReported {
        /// The task.
        task: TaskId,
    },
    /// An attempt at a task failed.
    TaskFailed {
        /// The task.
        task: TaskId,
        /// Why.
        why: String,
    },
    /// More of the text that an agent's model writes.
    TextDelta {
        /// The agent.
        agent: AgentId,
        /// Whether it is the answer's draft.
        is_answer: bool,
        /// The text.
        text: String,
    },
    /// The text of an agent so far does not count: its model is asked again.
    TextReset {
        /// The agent.
        agent: AgentId,
    },
    /// A call waits for a person.
    PersonAsked {
        /// The call, with what an answer is bound to.
        pending: PendingCall,
    },
    /// Nobody can go on before a person does something: the run's actors are stopped until then.
    Asleep {
        /// When it wakes although nobody has.
        until: Timestamp,
    },
    /// The run has its outcome.
    Finished {
        /// How it ended.
        status: Status,
    },
    /// The reader was too slow and missed events.
    Missed {
        /// How many.
        n_events: u64,
    },
}

/// Where the agents of a run put its events. Nothing is made or kept when nobody watches.
///
/// An event is kept behind a pointer: room for all that may wait is taken at once when somebody watches.
#[derive(Debug, Clone, Default)]
pub(crate) struct Emitter {
    source: Option<Arc<Source<Arc<RunEvent>>>>,
}

impl Emitter {
    /// An emitter that can be watched.
    pub(crate) fn watched() -> Self {
        Self { source: Some(Arc::default()) }
    }

    /// Emits an event if somebody watches.
    pub(crate) fn emit(&self, event: impl FnOnce() -> RunEvent) {
        if let Some(source) = &self.source {
            source.tell(|| Arc::new(event()));
        }
    }

    /// Whether an event would be seen.
    pub(crate) fn is_watched(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.is_read())
    }

    pub(crate) fn subscribe(&self, over: &CancellationToken) -> Option<RunEvents> {
        Some(RunEvents { feed: self.source.as_ref()?.read(over) })
    }
}

/// The events of a run, as a stream that ends with the run.
pub struct RunEvents {
    feed: Feed<Arc<RunEvent>>,
}

impl RunEvents {
    /// The next event; `None` once the run is over and everything was read.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<RunEvent> {
        self.feed.next().await.map(RunEvent::from)
    }
}

impl Stream for RunEvents {
    type Item = RunEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<RunEvent>> {
        self.feed.poll_next_unpin(cx).map(|told| told.map(RunEvent::from))
    }
}

impl From<Told<Arc<RunEvent>>> for RunEvent {
    fn from(told: Told<Arc<RunEvent>>) -> Self {
        match told {
            Told::Fact(event) => Arc::unwrap_or_clone(event),
            Told::Missed { n_facts } => Self::Missed { n_events: n_facts },
        }
    }
}

impl std::fmt::Debug for RunEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RunEvents")
    }
}

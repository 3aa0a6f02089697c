//! The agent that works in turns: the shell of the agent machine of core.

mod calls;
pub(crate) mod people;
mod sleep;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use greenroom_core::agent::{AgentSpec, Command, Machine};
use greenroom_core::budget::Limit;
use greenroom_core::ids::{AgentId, CallId, StreamId};
use greenroom_core::journal::{Event, Journal, Recorded};
use greenroom_core::message::{Message, ToolOutcome};
use greenroom_core::model::{ChatModel, ChatReply, ChatRequest};
use greenroom_core::recovery::is_asleep;
use greenroom_core::report::{Report, TaskFailure, TaskFailureKind};
use greenroom_core::retriever::SearchCost;
use greenroom_core::time::{Clock, Timestamp};
use greenroom_core::tool::DynTool;

use super::retrieval::RetrievalMessage;
use super::tools::ToolMessage;
use crate::actor::address::{AgentRef, Reply};
use crate::actor::effect::EffectError;
use crate::actor::{Actor, Context, Failure};
use crate::journalled::{Journalled, JournalledActor, Known, Stored};
use crate::run::account::{Account, Unanswered};
use crate::run::door::Door;
use crate::run::events::{Emitter, RunEvent};
use crate::run::live::Pace;

use people::{Desk, Told, Word};
use sleep::Bed;

pub(crate) use calls::SearchArguments;
pub(crate) use sleep::Sleeps;

/// Where an agent's tool calls go.
#[derive(Clone)]
pub(crate) enum ToolRoute {
    /// The tool runs in an effect of the agent's own.
    Local(Arc<dyn DynTool>),
    /// A tool agent runs it.
    ToolAgent(AgentRef<ToolMessage>),
    /// `search`: retrieval agents are asked, all of them at once.
    Retrieval(Arc<[AgentRef<RetrievalMessage>]>),
}

/// Told what came of the task, once, after it is journalled.
pub(crate) type ReportTo = Arc<dyn Fn(&Result<Report, TaskFailure>) + Send + Sync>;

/// Everything that an incarnation is built from.
pub(crate) struct TurnSetup {
    pub(crate) spec: Arc<AgentSpec>,
    pub(crate) role: &'static str,
    pub(crate) stream: StreamId,
    /// What is in the stream, when whoever starts the agent has read or written it.
    pub(crate) known: Known,
    pub(crate) input: Vec<Message>,
    pub(crate) model: Arc<dyn ChatModel>,
    pub(crate) tools: Arc<BTreeMap<String, ToolRoute>>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) account: Arc<Account>,
    pub(crate) events: Emitter,
    pub(crate) report_to: ReportTo,
    pub(crate) timeouts: Timeouts,
    /// Passages of one search, unless the model asks for fewer.
    pub(crate) top_k: usize,
    /// Whether the text is the draft of the run's answer.
    pub(crate) is_answer: bool,
    /// The agents that wait for each other, of which this is the last.
    pub(crate) waiting: Arc<[AgentId]>,
    /// When the whole task is over, when nobody else keeps that.
    pub(crate) deadline: Option<Timestamp>,
    pub(crate) pace: Pace,
    /// The door of the run.
    pub(crate) door: Arc<Door>,
    /// What follows when the agent waits for nothing but people.
    pub(crate) waits: Waits,
}

/// What follows when an agent waits for nothing but people.
pub(crate) enum Waits {
    /// Its router is told, which knows of the others.
    Router(Arc<dyn Fn() + Send + Sync>),
    /// It is all that there is of its run, which goes to sleep.
    Sleeps(Sleeps),
}

/// How often an agent that waits for people looks whether its deadline counts again.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How long one call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timeouts {
    pub(crate) model: Duration,
    pub(crate) tool: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { model: Duration::from_secs(300), tool: Duration::from_secs(60) }
    }
}

pub(crate) enum TurnMessage {
    Stored(Stored),
    /// A model call has waited for as long as it was to.
    Due {
        turn: u32,
        attempt: u32,
        request: ChatRequest,
    },
    Replied {
        turn: u32,
        attempt: u32,
        result: ModelResult,
    },
    Noted {
        turn: u32,
        attempt: u32,
        result: ModelResult,
    },
    ToolDone {
        call: CallId,
        outcome: ToolOutcome,
        /// What a search asked of models.
        costs: Vec<SearchCost>,
    },
    DeadlineOver,
    Cancel,
    /// The agent may have waited for people for a while.
    Doze,
    /// A person says something.
    Told {
        word: Word,
        reply: Reply<Told>,
    },
    /// A question has been open for as long as an answer counts.
    Expired {
        call: CallId,
        seq: u64,
    },
}

type ModelResult = Result<Result<ChatReply, Unanswered>, EffectError>;

/// One task's agent. What it knows is in its stream; a restart reads it back.
pub(crate) struct TurnAgent {
    setup: Arc<TurnSetup>,
    journalled: Journalled<Machine>,
    desk: Desk,
    bed: Bed,
    /// Whether the call of a model that is under way may have been made before, by an earlier incarnation.
    is_again: bool,
}

impl TurnAgent {
    pub(crate) fn new(setup: Arc<TurnSetup>) -> Self {
        let machine = Machine::new(Arc::clone(&setup.spec), setup.stream.seed());
        let (journal, clock) = (Arc::clone(&setup.journal), Arc::clone(&setup.clock));
        let (stream, pace) = (setup.stream.clone(), setup.pace.clone());
        let journalled = Journalled::new(machine, journal, clock, stream, pace);
        let journalled = journalled.knowing(&setup.known);
        Self { setup, journalled, desk: Desk::default(), bed: Bed::default(), is_again: false }
    }

    fn id(&self) -> AgentId {
        self.setup.spec.id.clone()
    }

    fn step(&self, step: impl FnOnce() -> String, context: &Context<'_, Self>) {
        if self.setup.events.is_watched() {
            let step = step();
            context.set_step(&step);
            self.setup.events.emit(|| RunEvent::Step { agent: self.id(), step });
        }
    }

    /// How long ago the last model call was due to begin its wait: what a crash must not make it wait again.
    fn waited(&self, events: &[Recorded]) -> Duration {
        let mut last_first = events.iter().rev();
        let last = last_first.find(|e| matches!(e.event, Event::ModelCalled { .. }));
        last.map_or(Duration::ZERO, |called| self.setup.clock.now().since(called.at))
    }

    /// Waits for the deadline of the task. While it waits for people, a look now and then is enough.
    fn arm(&self, context: &Context<'_, Self>) {
        if self.setup.deadline.is_some() {
            let left = self.time_left().unwrap_or(LOOK_EVERY);
            context.after(left, TurnMessage::DeadlineOver);
        }
    }

    fn cancel(&mut self) {
        let is_first = !std::mem::replace(&mut self.bed.is_cancelled, true);
        if is_first && !self.journalled.machine.is_done() {
            let usage = self.journalled.machine.usage();
            let failure = TaskFailure::new(TaskFailureKind::Cancelled, "the run was cancelled");
            let result = Err(TaskFailure { usage, ..failure });
            self.journalled.record(Event::TaskFinished { result });
        }
    }
}

impl JournalledActor for TurnAgent {
    type Machine = Machine;

    fn journalled(&mut self) -> &mut Journalled<Machine> {
        &mut self.journalled
    }

    fn hydrated(
        &mut self,
        events: &[Recorded],
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        let machine = Machine::new(Arc::clone(&self.setup.spec), self.setup.stream.seed());
        self.desk.read(&self.setup.stream, events, machine);
        self.arm(context);
        if is_asleep(events) {
            // It was not stopped after all: this incarnation is another one of the same process.
            self.journalled.record(Event::RunAwake { slept: Duration::ZERO });
        }
        if self.journalled.machine.is_new() {
            let agent = self.id();
            let input = self.setup.input.clone();
            self.journalled.record(Event::TaskStarted { agent, input });
        } else {
            let resume = self.journalled.machine.resume();
            let n_calls_kept = events.iter().filter(|recorded| is_result(&recorded.event)).count();
            let n_calls_open = resume.commands.len() as u64;
            let is_fresh =
                matches!(events.last(), Some(last) if matches!(last.event, Event::RunBound { .. }));
            if !is_fresh || context.generation() > 1 {
                self.setup.events.emit(|| RunEvent::AgentResumed {
                    agent: self.id(),
                    n_calls_kept: n_calls_kept as u64,
                    n_calls_open,
                });
            }
            for event in resume.events {
                self.journalled.record(event);
            }
            let waited = self.waited(events);
            for mut command in resume.commands {
                if let Command::CallModel { delay, .. } = &mut command {
                    *delay = delay.saturating_sub(waited);
                    self.is_again = delay.is_zero();
                }
                self.is_again |= matches!(command, Command::Compact { .. });
                self.perform(command, context);
            }
        }
        let machine = &self.journalled.machine;
        if let Some(event) = self.setup.door.pace_of(machine.is_paused())
            && !machine.is_done()
        {
            self.journalled.record(event);
        }
        self.tell_door();
        self.heed_early();
        Ok(())
    }

    fn folded(&mut self, batch: &[Recorded]) {
        self.note(batch);
    }

    fn perform(&mut self, command: Command, context: &mut Context<'_, Self>) {
        match command {
            Command::CallModel { turn, attempt, delay, request } => {
                if delay.is_zero() {
                    return self.call_model(turn, attempt, request, context);
                }
                // A wait is no work: nothing is under way meanwhile.
                self.step(|| format!("turn {turn}: waiting for try {attempt}"), context);
                context.after(delay, TurnMessage::Due { turn, attempt, request });
            }
            Command::Compact { turn, attempt, request } => {
                self.compact(turn, attempt, request, context);
            }
            Command::Refuse(calls) => self.tell_of_refusals(&calls, context),
            Command::CallTool { call, tool, arguments, looks_first } => {
                self.call_tool(call, &tool, arguments, looks_first, context);
            }
            Command::AwaitPerson { call, .. } => self.await_person(&call, context),
            Command::Sleep => self.sleep(context),
            Command::Report(result) => {
                (self.setup.report_to)(&result);
                self.setup.events.emit(|| RunEvent::AgentFinished { agent: self.id() });
                context.stop();
            }
        }
    }
}

impl Actor for TurnAgent {
    type Message = TurnMessage;

    fn started(&mut self, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        let (agent, role) = (self.id(), self.setup.role);
        let generation = context.generation();
        self.setup.events.emit(|| RunEvent::AgentStarted { agent, role, generation });
        self.hydrate(context)?;
        self.settle(context);
        Ok(())
    }

    fn handle(
        &mut self,
        message: &TurnMessage,
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        match message {
            TurnMessage::Stored(stored) => {
                self.stored(stored, context)?;
                self.settle(context);
                return Ok(());
            }
            // The next process waits for the rest of the time, and calls.
            TurnMessage::Due { .. } if self.setup.pace.parking.is_cancelled() => {}
            TurnMessage::Due { turn, attempt, request } => {
                self.call_model(*turn, *attempt, request.clone(), context);
            }
            TurnMessage::Replied { turn, attempt, result } => {
                self.replied(*turn, *attempt, result);
            }
            TurnMessage::Noted { turn, attempt, result } => {
                self.noted(*turn, *attempt, result);
            }
            TurnMessage::ToolDone { call, outcome, costs } => {
                self.journalled.record_costs(call, costs);
                let (call, outcome) = (call.clone(), outcome.clone());
                self.journalled.record(Event::ToolFinished { call, outcome });
            }
            TurnMessage::DeadlineOver => match self.time_left() {
                Some(Duration::ZERO) => {
                    self.journalled
                        .record(Event::LimitReached { limit: Limit::Deadline, is_refusal: false });
                }
                // It has waited for people meanwhile.
                _ => self.arm(context),
            },
            // Once the stream is read, the door is looked at.
            TurnMessage::Cancel if !self.journalled.is_loaded() => {}
            TurnMessage::Cancel => self.cancel(),
            TurnMessage::Doze => self.doze(),
            TurnMessage::Told { word, reply } if !self.journalled.is_loaded() => {
                self.bed.early.push((word.clone(), reply.take()));
            }
            TurnMessage::Told { word, reply } => self.hear(word, reply),
            TurnMessage::Expired { call, seq } => self.expired(call, *seq),
        }
        self.advance(context)?;
        self.settle(context);
        Ok(())
    }
}

fn is_result(event: &Event) -> bool {
    matches!(event, Event::ModelReplied { .. } | Event::ToolFinished { .. })
}

impl From<Stored> for TurnMessage {
    fn from(stored: Stored) -> Self {
        Self::Stored(stored)
    }
}

impl fmt::Debug for TurnMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stored(_) => "Stored",
            Self::Due { .. } => "Due",
            Self::Noted { .. } => "Noted",
            Self::Replied { .. } => "Replied",
            Self::ToolDone { .. } => "ToolDone",
            Self::DeadlineOver => "DeadlineOver",
            Self::Cancel => "Cancel",
            Self::Doze => "Doze",
            Self::Told { .. } => "Told",
            Self::Expired { .. } => "Expired",
        })
    }
}

//! A driver without a runtime: it records, performs and, when told, crashes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::agent::{AgentSpec, Command, Machine};
use crate::approval::Decision;
use crate::ids::CallId;
use crate::journal::Event;
use crate::message::{Message, ToolCall, ToolOutcome};
use crate::model::{ChatReply, ChatRequest, ModelError};
use crate::report::{Report, TaskFailure};
use crate::tool::{EffectClass, ToolError, ToolErrorKind, ToolSpec};

pub(super) type Result = std::result::Result<Report, TaskFailure>;
pub(super) type Reply = std::result::Result<ChatReply, ModelError>;

/// A model: what it says on a turn and an attempt.
pub(super) type Model<'a> = dyn Fn(u32, u32) -> Reply + 'a;

/// A model that reads what it is asked: a request, and the turn, or the attempt when it is asked for notes.
pub(super) type Reader<'a> = dyn Fn(&ChatRequest, u32) -> Reply + 'a;

pub(super) fn tool_spec(name: &str, effect: EffectClass) -> ToolSpec {
    let (description, parameters) = (String::new(), json!({}));
    ToolSpec { name: name.into(), description, parameters, effect }
}

/// An agent with the tools `look` (read-only), `put` (idempotent), `pay` (at most once), `book`
/// (reconcilable), and `break`, `panic` (read-only, never succeed).
pub(super) fn spec() -> AgentSpec {
    let tools = [
        ("look", EffectClass::ReadOnly),
        ("put", EffectClass::Idempotent),
        ("pay", EffectClass::AtMostOnce),
        ("book", EffectClass::Reconcilable),
        ("break", EffectClass::ReadOnly),
        ("panic", EffectClass::ReadOnly),
    ];
    let tools = tools.map(|(name, effect)| tool_spec(name, effect));
    AgentSpec { tools: Arc::from(tools), ..AgentSpec::new("a") }
}

pub(super) fn call(name: &str, arguments: Value) -> ToolCall {
    // What providers send as ids is not to be relied on.
    ToolCall { id: CallId::from("same"), name: name.into(), arguments }
}

pub(super) fn passage(source: &str) -> Value {
    json!({ "source": source, "start_line": 1, "end_line": 1, "score": 1.0, "text": source })
}

/// What the tools answer.
fn outcome(tool: &str, arguments: &Value) -> ToolOutcome {
    let error = |kind| ToolOutcome::Error(ToolError::new(kind, "no"));
    match tool {
        "break" => error(ToolErrorKind::Failed),
        "panic" => error(ToolErrorKind::Panicked),
        "look" => ToolOutcome::Ok(json!({ "passages": [passage(&arguments.to_string())] })),
        _ => ToolOutcome::Ok(json!({ "done": arguments })),
    }
}

/// Where a crash strikes: after the event that makes the journal this long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Crash {
    pub(super) n_events: usize,
    /// Whether effects in flight have taken effect before, unnoticed.
    pub(super) is_after_effects: bool,
}

pub(super) struct Simulation<'a> {
    spec: Arc<AgentSpec>,
    model: Option<&'a Model<'a>>,
    /// What reads its requests instead, and what writes notes.
    readers: Option<(&'a Reader<'a>, &'a Reader<'a>)>,
    machine: Machine,
    pub(super) journal: Vec<Event>,
    in_flight: Vec<Command>,
    /// Which of the effects in flight is finished next; used up from the front, then the first is.
    pub(super) order: Vec<usize>,
    pub(super) crashes: BTreeSet<Crash>,
    /// Every tool call that took effect, in order.
    pub(super) effects: Vec<CallId>,
    pub(super) requests: Vec<ChatRequest>,
    pub(super) notes_requests: Vec<ChatRequest>,
    pub(super) delays: Vec<Duration>,
    pub(super) reported: Vec<Result>,
    /// What a person says to each question.
    pub(super) person: fn(&CallId) -> Decision,
    /// Questions that were put to a person, repetitions after a crash included.
    pub(super) asked: Vec<CallId>,
}

impl<'a> Simulation<'a> {
    pub(super) fn new(spec: AgentSpec, model: &'a Model<'a>) -> Self {
        Self::with(spec, Some(model), None)
    }

    /// A model that reads what it is asked, and writes notes in another way.
    pub(super) fn reading(spec: AgentSpec, model: &'a Reader<'a>, notes: &'a Reader<'a>) -> Self {
        Self::with(spec, None, Some((model, notes)))
    }

    fn with(
        spec: AgentSpec,
        model: Option<&'a Model<'a>>,
        readers: Option<(&'a Reader<'a>, &'a Reader<'a>)>,
    ) -> Self {
        let spec = Arc::new(spec);
        Self {
            readers,
            machine: Machine::new(Arc::clone(&spec), 7),
            spec,
            model,
            journal: Vec::new(),
            in_flight: Vec::new(),
            order: Vec::new(),
            crashes: BTreeSet::new(),
            effects: Vec::new(),
            requests: Vec::new(),
            notes_requests: Vec::new(),
            delays: Vec::new(),
            reported: Vec::new(),
            person: |_| Decision::Approved,
            asked: Vec::new(),
        }
    }

    /// Runs the task to its end.
    pub(super) fn run(mut self) -> Self {
        let input = vec![Message::user("go")];
        self.record(vec![Event::TaskStarted { agent: "a".into(), input }]);
        for _ in 0..10_000 {
            if !self.step() {
                assert!(self.machine.is_done(), "stuck after {:?}", self.journal.last());
                return self;
            }
        }
        panic!("the agent never ends");
    }

    /// Decides, or finishes one effect; `false` when there is nothing to do.
    pub(super) fn step(&mut self) -> bool {
        let decided = self.machine.decide();
        if !decided.is_empty() {
            self.record(decided);
            return true;
        }
        if self.in_flight.is_empty() {
            return false;
        }
        let next = if self.order.is_empty() { 0 } else { self.order.remove(0) };
        let command = self.in_flight.remove(next % self.in_flight.len());
        let event = self.finish(command);
        self.record(vec![event]);
        true
    }

    /// Records events and performs what they ask for; `false` when a crash cut that short.
    pub(super) fn record(&mut self, events: Vec<Event>) -> bool {
        for event in events {
            self.machine.apply(&event);
            self.journal.push(event);
            let n_events = self.journal.len();
            let strikes = |crash: &Crash| crash.n_events == n_events;
            if let Some(crash) = self.crashes.iter().copied().find(strikes) {
                self.crashes.remove(&crash);
                self.crash(crash);
                return false;
            }
            let command = self.machine.command(&self.journal[n_events - 1]);
            command.into_iter().for_each(|command| self.perform(command));
        }
        true
    }

    fn perform(&mut self, command: Command) {
        match command {
            Command::Report(result) => self.reported.push(result),
            Command::CallModel { ref request, delay, .. } => {
                check_history(&request.messages);
                self.requests.push(request.clone());
                self.delays.push(delay);
                self.in_flight.push(command);
            }
            Command::Compact { ref request, .. } => {
                self.notes_requests.push(request.clone());
                self.in_flight.push(command);
            }
            Command::CallTool { .. } => self.in_flight.push(command),
            Command::AwaitPerson { ref call, .. } => {
                self.asked.push(call.clone());
                self.in_flight.push(command);
            }
            Command::Refuse(_) | Command::Sleep => {}
        }
    }

    fn reply(&self, request: &ChatRequest, turn: u32, attempt: u32) -> Reply {
        match (self.model, self.readers) {
            (Some(model), _) => model(turn, attempt),
            (None, Some((model, _))) => model(request, turn),
            (None, None) => unreachable!("there is a model"),
        }
    }

    fn finish(&mut self, command: Command) -> Event {
        match command {
            Command::CallModel { turn, attempt, request, .. } => {
                match self.reply(&request, turn, attempt) {
                    Ok(reply) => Event::ModelReplied { turn, reply },
                    Err(error) => Event::ModelFailed { turn, attempt, error },
                }
            }
            Command::Compact { turn, attempt, request } => {
                let (_, notes) = self.readers.expect("somebody writes notes");
                Event::CompactionFinished { turn, attempt, result: notes(&request, attempt) }
            }
            Command::AwaitPerson { call, .. } => {
                let decision = (self.person)(&call);
                Event::PersonAnswered { call, decision, by: "p".into() }
            }
            Command::CallTool { call, tool, arguments, looks_first } => {
                if !looks_first || !self.effects.contains(&call) {
                    self.effects.push(call.clone());
                }
                Event::ToolFinished { call, outcome: outcome(&tool, &arguments) }
            }
            Command::Report(_) | Command::Refuse(_) | Command::Sleep => {
                unreachable!("it is not in flight")
            }
        }
    }

    /// Everything but the journal and the world is lost.
    fn crash(&mut self, crash: Crash) {
        for command in std::mem::take(&mut self.in_flight) {
            // What a person says to a process that is not there is not heard.
            if crash.is_after_effects && !matches!(command, Command::AwaitPerson { .. }) {
                let _ = self.finish(command);
            }
        }
        self.machine = self.fresh();
        self.journal.iter().for_each(|event| self.machine.apply(event));
        let resume = self.machine.resume();
        // A crash during the recovery starts another one.
        if self.record(resume.events) {
            resume.commands.into_iter().for_each(|command| self.perform(command));
        }
    }

    pub(super) fn result(&self) -> &Result {
        self.reported.last().expect("the task is done")
    }

    pub(super) fn machine(&self) -> &Machine {
        &self.machine
    }

    /// A machine that has seen nothing of it.
    pub(super) fn fresh(&self) -> Machine {
        Machine::new(Arc::clone(&self.spec), 7)
    }

    /// The outcomes of tool calls in the order of the conversation.
    pub(super) fn outcomes(&self) -> Vec<(&str, Option<ToolErrorKind>)> {
        let outcomes = self.machine.messages().iter().filter_map(|message| match message {
            Message::Tool { call, outcome: ToolOutcome::Ok(_), .. } => Some((call.as_str(), None)),
            Message::Tool { call, outcome: ToolOutcome::Error(error), .. } => {
                Some((call.as_str(), Some(error.kind)))
            }
            _ => None,
        });
        outcomes.collect()
    }
}

/// Every call has exactly one outcome, right behind the message that asks for it and in its order; no
/// outcome has no call; no id is used twice.
#[track_caller]
pub(super) fn check_history(messages: &[Message]) {
    let mut ids = BTreeSet::new();
    let mut waiting: Vec<&CallId> = Vec::new();
    for message in messages {
        match message {
            Message::Tool { call, .. } => {
                assert!(!waiting.is_empty(), "orphan outcome {call}");
                assert_eq!(waiting.remove(0), call);
            }
            _ => assert!(waiting.is_empty(), "no outcome for {waiting:?}"),
        }
        if let Message::Assistant { tool_calls, .. } = message {
            waiting = tool_calls.iter().map(|call| &call.id).collect();
            assert!(waiting.iter().all(|id| ids.insert(*id)), "an id is used twice");
        }
    }
    assert!(waiting.is_empty(), "no outcome for {waiting:?}");
}

//! The calls of a turn: models, tools and searches as effects, each within its budget and its deadline.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use greenroom_core::ids::CallId;
use greenroom_core::journal::Event;
use greenroom_core::message::ToolOutcome;
use greenroom_core::model::{Caller, ChatReply, ChatRequest, ModelError, ModelErrorKind};
use greenroom_core::retriever::{Query, SearchCost, fuse};
use greenroom_core::tool::{ToolContext, ToolError, ToolErrorKind, idempotency_key};
use serde_json::Value;

use super::{ModelResult, ToolRoute, TurnAgent, TurnMessage};
use crate::actor::Context;
use crate::actor::address::{AgentRef, AskError};
use crate::actor::effect::EffectError;
use crate::agents::retrieval::{Found, Payer, RetrievalMessage, Search};
use crate::agents::tools::{Call, ToolMessage, make, outcome};
use crate::run::account::Unanswered;
use crate::run::events::RunEvent;

/// How long the key of a call is as a rule: a run, a task and a number.
const KEY_LEN: usize = 64;

/// How much longer an asker waits than whoever it asks, so that it gets their answer and not its own
/// timeout.
const SLACK: Duration = Duration::from_secs(1);

impl TurnAgent {
    pub(super) fn call_model(
        &mut self,
        turn: u32,
        attempt: u32,
        mut request: ChatRequest,
        context: &Context<'_, Self>,
    ) {
        self.step(|| format!("turn {turn}: asking {}", self.setup.model.name()), context);
        let (model, events) = (Arc::clone(&self.setup.model), self.setup.events.clone());
        let (agent, is_answer) = (self.id(), self.setup.is_answer);
        let deadline = self.setup.timeouts.model;
        request.caller = self.caller(attempt, format_args!("{turn}"), deadline);
        let (progress, account) = (context.progress(), Arc::clone(&self.setup.account));
        let call = async move {
            if attempt > 1 || turn > 1 {
                events.emit(|| RunEvent::TextReset { agent: agent.clone() });
            }
            let told = |text: String| {
                progress.made();
                events.emit(|| RunEvent::TextDelta { agent: agent.clone(), is_answer, text });
            };
            account.ask(&agent, &*model, request, told).await
        };
        let message = move |result| TurnMessage::Replied { turn, attempt, result };
        context.shielded("model", deadline, call, message);
    }

    /// Asks for notes. They are no answer, so nobody who watches is shown their text.
    pub(super) fn compact(
        &mut self,
        turn: u32,
        attempt: u32,
        mut request: ChatRequest,
        context: &Context<'_, Self>,
    ) {
        self.step(|| format!("turn {turn}: shortening the conversation, try {attempt}"), context);
        let deadline = self.setup.timeouts.model;
        // Each attempt is another request, so none of them is a retry.
        request.caller = self.caller(1, format_args!("{turn}/notes-{attempt}"), deadline);
        let (model, progress) = (Arc::clone(&self.setup.model), context.progress());
        let (account, agent) = (Arc::clone(&self.setup.account), self.id());
        let call = async move {
            let told = |_: String| progress.made();
            account.ask(&agent, &*model, request, told).await
        };
        let message = move |result| TurnMessage::Noted { turn, attempt, result };
        context.shielded("notes", deadline, call, message);
    }

    /// What the model, and the limits around it, are told of this agent. A call keeps its key in every
    /// try and across crashes.
    fn caller(&self, attempt: u32, call: fmt::Arguments<'_>, deadline: Duration) -> Caller {
        let stream = &self.setup.stream;
        let mut key = String::with_capacity(KEY_LEN);
        write!(key, "{stream}/{call}").expect("a text takes everything");
        let tasks = stream.path().split('/').filter(|task| !task.is_empty());
        Caller {
            run: stream.run(),
            depth: u32::try_from(tasks.count()).unwrap_or(u32::MAX),
            attempt,
            idempotency_key: Some(key.into()),
            deadline: Some(self.setup.clock.now().after(deadline)),
        }
    }

    pub(super) fn replied(&mut self, turn: u32, attempt: u32, result: &ModelResult) {
        let is_again = std::mem::take(&mut self.is_again);
        self.journalled.record(match self.result_of(result) {
            Ok(reply) => Event::ModelReplied { turn, reply },
            Err(Unanswered::Model(error)) => Event::ModelFailed { turn, attempt, error },
            Err(Unanswered::Limit(limit)) => Event::LimitReached { limit, is_refusal: !is_again },
        });
    }

    pub(super) fn noted(&mut self, turn: u32, attempt: u32, result: &ModelResult) {
        let is_again = std::mem::take(&mut self.is_again);
        let result = match self.result_of(result) {
            Ok(reply) => Ok(reply),
            Err(Unanswered::Model(error)) => Err(error),
            Err(Unanswered::Limit(limit)) => {
                self.journalled.record(Event::LimitReached { limit, is_refusal: !is_again });
                return;
            }
        };
        self.journalled.record(Event::CompactionFinished { turn, attempt, result });
    }

    /// What came of a model call.
    fn result_of(&self, result: &ModelResult) -> Result<ChatReply, Unanswered> {
        match result {
            Ok(result) => result.clone(),
            Err(error) => {
                let kind = match error {
                    EffectError::TimedOut(_) => ModelErrorKind::Timeout,
                    _ => ModelErrorKind::Unavailable,
                };
                let model = self.setup.model.name();
                Err(Unanswered::Model(ModelError::new(kind, model, error.to_string())))
            }
        }
    }

    /// A model that asks for what its agent may not have is wrong, or is being misled.
    pub(super) fn tell_of_refusals(
        &self,
        calls: &[(String, ToolError)],
        context: &Context<'_, Self>,
    ) {
        for (tool, error) in calls {
            // The name is the model's: of any length, and with any signs.
            let tool: String = tool.chars().take(64).collect();
            tracing::warn!(target: "greenroom::security", agent = %self.setup.spec.id, ?tool,
                kind = %error.kind, "a call was refused");
            self.step(|| format!("{tool:?} was refused: {}", error.kind), context);
        }
    }

    pub(super) fn call_tool(
        &mut self,
        call: CallId,
        tool: &str,
        arguments: Value,
        looks_first: bool,
        context: &Context<'_, Self>,
    ) {
        if let Err(limit) = self.setup.account.spend_tool_call() {
            self.journalled.record(Event::LimitReached { limit, is_refusal: false });
            return;
        }
        // What a person answers to is awaited elsewhere; from here on it is work again.
        context.protect(Duration::ZERO);
        self.step(|| format!("{tool} {}", brief(&arguments)), context);
        let deadline = self.setup.timeouts.tool;
        let key = idempotency_key(&self.setup.stream, &call, tool, &arguments);
        match self.setup.tools.get(tool) {
            Some(ToolRoute::Local(local)) => {
                let (local, name) = (Arc::clone(local), tool.to_owned());
                let tool_context = ToolContext::new(call.clone(), key)
                    .waited_for_by(Arc::clone(&self.setup.waiting));
                let work = async move { make(&*local, arguments, tool_context, looks_first).await };
                context.shielded("tool", deadline, work, move |result| TurnMessage::ToolDone {
                    call,
                    outcome: outcome(&name, result),
                    costs: Vec::new(),
                });
            }
            Some(ToolRoute::ToolAgent(agent)) => {
                let (name, id) = (tool.to_owned(), call.clone());
                let waiting = Arc::clone(&self.setup.waiting);
                let build = move |reply| {
                    let idempotency_key = key;
                    ToolMessage::Call(Call {
                        call: id,
                        tool: name,
                        arguments,
                        idempotency_key,
                        waiting,
                        looks_first,
                        reply,
                    })
                };
                // The tool agent's own deadline is the one that is to fire, with a better message.
                let bound = deadline.saturating_add(SLACK);
                context.ask(agent, bound, build, move |answer| TurnMessage::ToolDone {
                    call,
                    outcome: answer.unwrap_or_else(|error| unanswered(&error)),
                    costs: Vec::new(),
                });
            }
            Some(ToolRoute::Retrieval(agents)) => self.search(call, arguments, agents, context),
            None => {
                let message = format!("no agent serves the tool {tool:?}");
                let outcome = ToolError::new(ToolErrorKind::NotFound, message).into();
                self.journalled.record(Event::ToolFinished { call, outcome });
            }
        }
    }

    fn search(
        &self,
        call: CallId,
        arguments: Value,
        agents: &[AgentRef<RetrievalMessage>],
        context: &Context<'_, Self>,
    ) {
        // The retrieval agent gives each source the tool timeout, and answers with those that made it;
        // so it must be given a little longer than they are.
        let deadline = self.setup.timeouts.tool.saturating_add(SLACK);
        let top_k = self.setup.top_k;
        let agents = agents.to_vec();
        let payer = Payer { account: Arc::clone(&self.setup.account), agent: self.id() };
        let work = async move {
            let mut query: Query = match parse_query(arguments) {
                Ok(query) => query,
                Err(error) => return (Vec::new(), Err(error)),
            };
            query.top_k = query.top_k.clamp(1, top_k);
            let asks = agents.iter().map(|agent| {
                let (query, payer) = (query.clone(), payer.clone());
                let build = |reply| RetrievalMessage::Search(Search { query, payer, reply });
                agent.ask(deadline, build)
            });
            found(futures_util::future::join_all(asks).await, top_k)
        };
        context.shielded("search", deadline.saturating_add(SLACK), work, move |done| {
            let (costs, result) = match done {
                Ok((costs, result)) => (costs, Ok(result)),
                Err(error) => (Vec::new(), Err(error)),
            };
            TurnMessage::ToolDone { call, outcome: outcome("search", result), costs }
        });
    }
}

/// The outcome of a search over several retrieval agents: what was found, and an error only when no
/// source could be asked. What it cost goes before.
fn found(
    answers: Vec<Result<Found, AskError>>,
    top_k: usize,
) -> (Vec<SearchCost>, Result<Value, ToolError>) {
    let (mut rankings, mut errors, mut costs) = (Vec::new(), Vec::new(), Vec::new());
    for answer in answers {
        match answer {
            Ok(found) => {
                errors.extend(found.errors.iter().map(ToString::to_string));
                rankings.push(found.passages);
                costs.extend(found.costs);
            }
            Err(error) => errors.push(error.to_string()),
        }
    }
    let passages = match rankings.len() {
        1 => rankings.pop().unwrap_or_default(),
        _ => fuse(rankings, top_k),
    };
    if passages.is_empty() && !errors.is_empty() {
        return (costs, Err(ToolError::failed(errors.join("; "))));
    }
    let mut value = serde_json::json!({ "passages": passages });
    if !errors.is_empty() {
        value["errors"] = serde_json::json!(errors);
    }
    (costs, Ok(value))
}

/// The arguments of `search`: `query`, and `top_k` when the model wants fewer passages.
fn parse_query(arguments: Value) -> Result<Query, ToolError> {
    let SearchArguments { query, top_k } = serde_json::from_value(arguments)
        .map_err(|error| ToolError::new(ToolErrorKind::InvalidArguments, error.to_string()))?;
    Ok(Query { top_k: top_k.unwrap_or(usize::MAX), ..Query::new(query) })
}

/// The arguments of the `search` tool.
#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
pub(crate) struct SearchArguments {
    /// What to look for: words or a question.
    query: String,
    /// The most passages to return.
    top_k: Option<usize>,
}

fn unanswered(error: &AskError) -> ToolOutcome {
    let kind = match error {
        AskError::TimedOut(_) => ToolErrorKind::TimedOut,
        AskError::Cancelled => ToolErrorKind::Cancelled,
        _ => ToolErrorKind::Failed,
    };
    ToolError::new(kind, error.to_string()).into()
}

/// The arguments of a call, short enough for a screen.
fn brief(arguments: &Value) -> String {
    let text = match arguments {
        Value::Object(fields) if fields.len() == 1 => {
            fields.values().next().map(ToString::to_string).unwrap_or_default()
        }
        other => other.to_string(),
    };
    let end = text.floor_char_boundary(60);
    if end < text.len() { format!("{}…", &text[..end]) } else { text }
}

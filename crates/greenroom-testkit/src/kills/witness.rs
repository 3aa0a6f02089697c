//! What the outside world sees of processes, written down so that it outlives them.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt;
use greenroom_core::BoxFuture;
use greenroom_core::budget::Price;
use greenroom_core::ids::RunId;
use greenroom_core::journal::{Journal, JournalError};
use greenroom_core::message::Message;
use greenroom_core::model::{ChatEvent, ChatModel, ChatRequest, ChatStream};
use greenroom_core::tool::{Approval, DynTool, EffectClass, ToolContext, ToolError, ToolSpec};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::points::Points;
use super::stored::Stored;

/// Something that was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Note {
    /// A process has opened the journal, which held the results of these calls.
    Born {
        /// The places of the calls.
        completed: BTreeSet<String>,
    },
    /// Somebody was told that a run is accepted.
    Accepted {
        /// The run.
        run: RunId,
    },
    /// Somebody was told how a run ended.
    Answered {
        /// The run.
        run: RunId,
        /// What was said.
        says: String,
    },
    /// A tool acts.
    Called {
        /// The tool.
        tool: String,
        /// The key that it was handed.
        key: String,
        /// What repeating it would do.
        effect: EffectClass,
    },
    /// A model is asked.
    Asked {
        /// The key of the call, which names the stream and the turn; empty when nobody gave one.
        key: String,
        /// The conversation.
        messages: Vec<Message>,
    },
    /// A person was told that an answer counts.
    Decided {
        /// The key of the call that it was about.
        key: String,
        /// Whether the call may be made.
        is_approved: bool,
    },
}

/// What was seen of which process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Noted {
    /// Which life, counted from 1; 0 before the first one.
    pub life: u64,
    /// The process of the operating system.
    pub process: u32,
    /// What was seen.
    #[serde(flatten)]
    pub note: Note,
}

#[derive(Clone)]
enum Log {
    Memory(Arc<Mutex<Vec<Noted>>>),
    File(PathBuf),
}

/// Writes down what the outside world sees. Clones write into the same log.
///
/// In memory it serves processes that are simulated in one; in a file, real ones. A line of the file is
/// written before its effect counts as having happened.
#[derive(Clone)]
pub struct Witness {
    log: Log,
    life: u64,
    points: Points,
}

impl Witness {
    fn new(log: Log) -> Self {
        Self { log, life: 0, points: Points::default() }
    }

    /// A witness who remembers.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::new(Log::Memory(Arc::default()))
    }

    /// A witness who writes a file, and goes on with one that is there.
    #[must_use]
    pub fn in_file(path: impl Into<PathBuf>) -> Self {
        Self::new(Log::File(path.into()))
    }

    /// Lets the process end itself at a point.
    #[must_use]
    pub fn ending(self, points: Points) -> Self {
        Self { points, ..self }
    }

    /// A process begins: it has the journal, and nothing has been done with it yet. The witness of its life.
    ///
    /// # Errors
    ///
    /// Those of reading the journal. A stream that cannot be read counts as one without results.
    pub async fn born(&self, journal: &dyn Journal) -> Result<Self, JournalError> {
        let completed = Stored::read(journal).await?.completed();
        let before = self.notes().into_iter().map(|noted| noted.life).max();
        let witness = Self { life: before.unwrap_or(0) + 1, ..self.clone() };
        witness.note(Note::Born { completed });
        Ok(witness)
    }

    /// Writes something down.
    ///
    /// # Panics
    ///
    /// When the file cannot be written: what nobody saw would be taken for what did not happen.
    pub fn note(&self, note: Note) {
        let noted = Noted { life: self.life, process: std::process::id(), note };
        match &self.log {
            Log::Memory(notes) => {
                notes.lock().unwrap_or_else(PoisonError::into_inner).push(noted);
            }
            Log::File(path) => {
                let line = serde_json::to_string(&noted).expect("a note is JSON");
                let file = OpenOptions::new().create(true).append(true).open(path);
                // A long line may be torn by a death, and must not spoil the one after it.
                let written =
                    file.and_then(|mut file| file.write_all(format!("\n{line}\n").as_bytes()));
                written.expect("the witness can write");
            }
        }
    }

    /// Somebody was told that a run is accepted.
    pub fn accepted(&self, run: RunId) {
        self.note(Note::Accepted { run });
    }

    /// Somebody was told how a run ended.
    pub fn answered(&self, run: RunId, says: impl Into<String>) {
        self.note(Note::Answered { run, says: says.into() });
    }

    /// Everything that was seen, in order.
    #[must_use]
    pub fn notes(&self) -> Vec<Noted> {
        match &self.log {
            Log::Memory(notes) => notes.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            Log::File(path) => {
                let text = fs::read_to_string(path).unwrap_or_default();
                text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
            }
        }
    }

    /// How many runs somebody was told to be accepted.
    #[must_use]
    pub fn n_accepted(&self) -> usize {
        let is_accepted = |noted: &&Noted| matches!(noted.note, Note::Accepted { .. });
        self.notes().iter().filter(is_accepted).count()
    }

    /// How many processes began.
    #[must_use]
    pub fn n_lives(&self) -> usize {
        self.notes().iter().filter(|noted| matches!(noted.note, Note::Born { .. })).count()
    }

    /// The points that the process passes.
    #[must_use]
    pub fn points(&self) -> Points {
        self.points.clone()
    }

    /// A tool whose calls are written down before they act.
    #[must_use]
    pub fn tool(&self, tool: impl DynTool) -> WitnessedTool {
        WitnessedTool { witness: self.clone(), tool: Arc::new(tool) }
    }

    /// A model whose calls are written down before they are made.
    #[must_use]
    pub fn model<M: ChatModel>(&self, model: M) -> WitnessedModel<M> {
        WitnessedModel { witness: self.clone(), model: Arc::new(model) }
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Witness").field("life", &self.life).finish_non_exhaustive()
    }
}

/// A tool with a [`Witness`].
#[derive(Clone)]
pub struct WitnessedTool {
    witness: Witness,
    tool: Arc<dyn DynTool>,
}

impl fmt::Debug for WitnessedTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WitnessedTool")
            .field("tool", &self.tool.spec().name)
            .finish_non_exhaustive()
    }
}

impl DynTool for WitnessedTool {
    fn spec(&self) -> ToolSpec {
        self.tool.spec()
    }

    fn approval(&self) -> Approval {
        self.tool.approval()
    }

    fn lookup(&self, context: ToolContext) -> BoxFuture<'_, Result<Option<Value>, ToolError>> {
        self.tool.lookup(context)
    }

    fn call_json(
        &self,
        arguments: Value,
        context: ToolContext,
    ) -> BoxFuture<'_, Result<Value, ToolError>> {
        Box::pin(async move {
            let ToolSpec { name: tool, effect, .. } = self.tool.spec();
            self.witness.points.pass("before-effect");
            let key = context.idempotency_key.to_string();
            self.witness.note(Note::Called { tool, key, effect });
            let output = self.tool.call_json(arguments, context).await;
            self.witness.points.pass("after-effect");
            output
        })
    }
}

/// A model with a [`Witness`].
#[derive(Debug, Clone)]
pub struct WitnessedModel<M> {
    witness: Witness,
    model: Arc<M>,
}

impl<M: ChatModel> ChatModel for WitnessedModel<M> {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn price(&self) -> Option<Price> {
        self.model.price()
    }

    fn stream(&self, request: ChatRequest) -> ChatStream {
        let points = self.witness.points();
        points.pass("before-ask");
        let key = request.caller.idempotency_key.as_deref().unwrap_or_default().to_owned();
        let messages = request.messages.to_vec();
        self.witness.note(Note::Asked { key, messages });
        let events = self.model.stream(request);
        Box::pin(events.inspect(move |event| {
            if matches!(event, Ok(ChatEvent::Finished(_))) {
                points.pass("after-ask");
            }
        }))
    }
}

//! What a durable supervisor keeps in the journal: the restarts that count beyond its process.

use std::sync::Arc;
use std::time::Duration;

use greenroom_core::BoxFuture;
use greenroom_core::ids::{AgentId, StreamId};
use greenroom_core::journal::{Event, Journal, JournalError, Recorded};
use greenroom_core::supervision::{self, Command, Counted, ExitReason, History, Machine};
use greenroom_core::time::Clock;
use tokio::time::timeout;

use crate::actor::shell::Ended;

/// How long the journal may take at the start of a supervisor.
const READ_MAX: Duration = Duration::from_secs(30);

/// How long a restart waits for the journal. After that the child is restarted all the same: a supervisor
/// that cannot count is better than one that does not act.
const STORE_MAX: Duration = Duration::from_secs(5);

/// Where durable supervisors keep what they have counted.
#[derive(Clone)]
pub(crate) struct Archive {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What is stored of one supervisor.
pub(super) struct Memory {
    archive: Archive,
    stream: StreamId,
    history: History,
    /// The length of the stream; `None` when an append was not answered.
    n_stored: Option<u64>,
}

/// The length of the stream after an append; `None` when nobody knows.
pub(crate) type Kept = Option<u64>;

impl Memory {
    /// Reads what was counted before, tells the machine, and stores that the supervisor lives.
    ///
    /// An error is why it does not: its process has died too often, or the journal cannot be used.
    pub(super) async fn recall(
        archive: Archive,
        id: &AgentId,
        machine: &mut Machine,
    ) -> Result<Self, Ended> {
        let unusable = |why: String| Ended(ExitReason::failed(&format!("its restarts: {why}")));
        let silent = |_| unusable("the journal is silent".to_owned());
        let stream = StreamId::of_agent(id.clone()).child(&"restarts".into());
        let loaded = timeout(READ_MAX, archive.journal.load(&stream)).await.map_err(silent)?;
        let events = loaded.map_err(|error| unusable(error.to_string()))?;
        let mut history = History::of(&events).map_err(|error| unusable(error.to_string()))?;

        let now = archive.clock.now();
        history.settle(now);
        let returned = history.is_open().then(|| id.clone());
        if let Some(child) = returned.clone() {
            let period = machine.spec().intensity.period;
            history.returned(now, Counted { child, is_own: false, period });
        }
        let past = history.past(now);
        let commands = machine.on(Duration::ZERO, supervision::Event::Recalled { past, returned });
        let refusal = commands.into_iter().find_map(|command| match command {
            Command::Exit(reason) => Some(Ended(reason)),
            _ => None,
        });
        if refusal.is_none() {
            history.begin();
        }
        let n_stored = Some(events.last().map_or(0, |last| last.seq + 1));
        let mut memory = Self { archive, stream, history, n_stored };
        let snapshot = memory.history.snapshot();
        let stored = timeout(READ_MAX, memory.append(snapshot)).await.map_err(silent)?;
        memory.n_stored = Some(stored.map_err(|error| unusable(error.to_string()))?);
        refusal.map_or(Ok(memory), Err)
    }

    /// Stores a restart.
    pub(super) fn count(&mut self, counted: Counted) -> BoxFuture<'static, Kept> {
        let event = self.history.count(self.archive.clock.now(), counted);
        self.store(event)
    }

    /// Stores that the supervisor has ended.
    pub(super) fn end(&mut self) -> BoxFuture<'static, Kept> {
        let event = self.history.end();
        self.store(event)
    }

    /// What became of the last append.
    pub(super) fn kept(&mut self, kept: Kept) {
        self.n_stored = kept;
        if kept.is_none() {
            self.history.is_behind();
        }
    }

    fn store(&self, event: Event) -> BoxFuture<'static, Kept> {
        let (appended, stream) = (self.append(event), self.stream.clone());
        Box::pin(async move {
            let why = match timeout(STORE_MAX, appended).await {
                Ok(Ok(n_stored)) => return Some(n_stored),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "the journal is silent".to_owned(),
            };
            tracing::warn!(%stream, why, "a restart is not counted beyond this process");
            None
        })
    }

    /// Appends an event; the answer is the length of the stream.
    fn append(&self, event: Event) -> BoxFuture<'static, Result<u64, JournalError>> {
        let Archive { journal, clock } = &self.archive;
        let (journal, now) = (Arc::clone(journal), clock.now());
        let (stream, n_stored) = (self.stream.clone(), self.n_stored);
        Box::pin(async move {
            let seq = match n_stored {
                Some(n_stored) => n_stored,
                None => journal.load(&stream).await?.last().map_or(0, |last| last.seq + 1),
            };
            journal.append(&stream, Recorded::sequence(seq, now, [event])).await?;
            Ok(seq + 1)
        })
    }
}

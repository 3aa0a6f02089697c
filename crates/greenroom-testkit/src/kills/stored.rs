//! What a journal holds of its runs, and which calls it knows of.

use std::collections::{BTreeMap, BTreeSet};

use greenroom_core::ids::StreamId;
use greenroom_core::journal::{Event, Journal, JournalError, Recorded, RunHead, Runs};
use greenroom_core::message::ToolOutcome;
use greenroom_core::tool::{EffectClass, ToolErrorKind, idempotency_key};

/// The runs of a journal with everything in their streams.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) heads: Vec<RunHead>,
    pub(super) streams: BTreeMap<StreamId, Vec<Recorded>>,
    /// Streams that could not be read.
    pub(super) unreadable: Vec<JournalError>,
}

/// The intent of a call of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Intent {
    /// By an agent: the key is fixed, and so is the class.
    Agent { key: String, effect: EffectClass },
    /// By a plan. Its arguments are made of what other tasks found, so the key is not in one event.
    Plan,
}

/// Where a call of a tool stands: its key without what it does.
pub(super) fn place(key: &str) -> &str {
    key.rsplit_once('-').map_or(key, |(place, _)| place)
}

impl Stored {
    pub(super) async fn read(journal: &dyn Journal) -> Result<Self, JournalError> {
        let heads = journal.runs(Runs::Newest(usize::MAX)).await?;
        let (mut streams, mut unreadable) = (BTreeMap::new(), Vec::new());
        for head in &heads {
            for stream in journal.streams(head.run).await? {
                match journal.load(&stream).await {
                    Ok(events) => drop(streams.insert(stream, events)),
                    Err(error) => unreadable.push(error),
                }
            }
        }
        Ok(Self { heads, streams, unreadable })
    }

    /// All events with their streams.
    pub(super) fn events(&self) -> impl Iterator<Item = (&StreamId, &Event)> {
        self.streams.iter().flat_map(|(stream, events)| {
            events.iter().map(move |recorded| (stream, &recorded.event))
        })
    }

    /// The places of the calls whose results are stored: `tool STREAM/CALL`, and `model STREAM/TURN`.
    pub(super) fn completed(&self) -> BTreeSet<String> {
        let place = |(stream, event): (&StreamId, &Event)| match event {
            Event::ToolFinished { outcome: ToolOutcome::Error(error), .. }
                if error.kind == ToolErrorKind::InDoubt =>
            {
                None
            }
            Event::ToolFinished { call, .. } => Some(format!("tool {stream}/{call}")),
            Event::TaskReported { task, .. } => Some(format!("tool {stream}/{task}")),
            Event::ModelReplied { turn, .. } => Some(format!("model {stream}/{turn}")),
            Event::CompactionFinished { turn, attempt, result: Ok(_) } => {
                Some(format!("model {stream}/{turn}/notes-{attempt}"))
            }
            _ => None,
        };
        self.events().filter_map(place).collect()
    }

    /// The intents of calls of tools, by their places.
    pub(super) fn intents(&self) -> BTreeMap<String, Intent> {
        let intent = |(stream, event): (&StreamId, &Event)| match event {
            Event::ToolStarted { call, tool, arguments, effect } => {
                let key = idempotency_key(stream, call, tool, arguments).to_string();
                Some((format!("{stream}/{call}"), Intent::Agent { key, effect: *effect }))
            }
            Event::TaskAssigned { task, .. } if task.call.is_some() => {
                Some((format!("{stream}/{}", task.id), Intent::Plan))
            }
            _ => None,
        };
        self.events().filter_map(intent).collect()
    }
}

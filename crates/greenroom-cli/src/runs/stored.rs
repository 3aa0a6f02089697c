//! A run as it is stored: all its streams, and the order in which their events happened.

use std::path::Path;

use greenroom_core::approval::{PendingCall, pending};
use greenroom_core::budget::Usage;
use greenroom_core::ids::StreamId;
use greenroom_core::journal::{Event, Journal as _, JournalError, Recorded, RunHead};
use greenroom_core::message::Message;
use greenroom_journal::SqliteJournal;

use crate::exit::Failure;

/// A run with its events.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(super) head: RunHead,
    /// The root comes first.
    pub(super) streams: Vec<(StreamId, Vec<Recorded>)>,
}

/// One event and where it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) stream: &'a StreamId,
    pub(super) recorded: &'a Recorded,
}

impl Stored {
    /// Reads a run.
    pub(super) async fn read(journal: &SqliteJournal, head: RunHead) -> Result<Self, JournalError> {
        let mut streams = Vec::new();
        for stream in journal.streams(head.run).await? {
            let events = journal.load(&stream).await?;
            streams.push((stream, events));
        }
        Ok(Self { head, streams })
    }

    /// Finds a run by the beginning of its id, and reads it.
    pub(super) async fn find(dir: &Path, id: &str) -> Result<Self, Failure> {
        let journal = super::readable(dir)?;
        let head = super::find(dir, &journal, id).await?;
        Ok(Self::read(&journal, head).await?)
    }

    /// The events of all streams by the time of their recording. Streams keep their own order, also when the
    /// clock went back; of what was recorded in the same millisecond, the root's comes first.
    pub(super) fn timeline(&self) -> Vec<Entry<'_>> {
        let mut rest: Vec<_> =
            self.streams.iter().map(|(stream, events)| (stream, events.as_slice())).collect();
        let mut timeline = Vec::new();
        loop {
            let heads = rest.iter().enumerate();
            let heads = heads.filter_map(|(i, (_, events))| Some((events.first()?.at, i)));
            let Some((_, next)) = heads.min() else { return timeline };
            let (stream, events) = rest[next];
            let (first, others) = events.split_first().expect("it has a first");
            timeline.push(Entry { stream, recorded: first });
            rest[next].1 = others;
        }
    }

    /// What was asked.
    pub(super) fn question(&self) -> &str {
        let mut questions = self.events().filter_map(|event| match event {
            Event::RunAccepted { goal, .. } => Some(goal.question.as_str()),
            Event::TaskStarted { input, .. } => {
                input.iter().rev().find_map(|message| match message {
                    Message::User { text, .. } => Some(text.as_str()),
                    _ => None,
                })
            }
            _ => None,
        });
        questions.next().unwrap_or_default()
    }

    /// The events of the root stream.
    pub(super) fn root(&self) -> &[Recorded] {
        let root = StreamId::root(self.head.run);
        let found = self.streams.iter().find(|(stream, _)| *stream == root);
        found.map_or(&[], |(_, events)| events.as_slice())
    }

    /// The calls that wait for a person, unless the run is over.
    pub(super) fn pending(&self) -> Vec<PendingCall> {
        if self.head.status.is_some() {
            return Vec::new();
        }
        self.streams.iter().flat_map(|(stream, events)| pending(stream, events)).collect()
    }

    /// How far the run is, in a word.
    pub(super) fn state(&self) -> String {
        match self.head.status {
            None if !self.pending().is_empty() => "waiting".to_owned(),
            status => super::state(status),
        }
    }

    /// Whether the prices of all models are known that did something, the embedder included.
    pub(super) fn is_priced(&self) -> bool {
        self.events().all(|event| match event {
            Event::ModelReplied { reply, .. }
            | Event::CompactionFinished { result: Ok(reply), .. } => reply.usage.cost.is_some(),
            Event::SearchSpent { usage, .. } => usage.cost.is_some(),
            _ => true,
        })
    }

    /// What it has cost.
    pub(super) fn usage(&self) -> Usage {
        let mut usage = Usage::default();
        self.events().for_each(|event| event.spend(&mut usage));
        usage
    }

    /// The events of all streams, one stream after the other.
    fn events(&self) -> impl Iterator<Item = &Event> {
        let recorded = self.streams.iter().flat_map(|(_, events)| events);
        recorded.map(|recorded| &recorded.event)
    }
}

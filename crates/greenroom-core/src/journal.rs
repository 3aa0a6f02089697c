//! The journal seam: streams of events, appended by one writer each and read back in order.
//!
//! State is a fold of events. An event is stored before anything acts on it; a journal says when that
//! is true by completing [`Journal::append`].

mod error;
mod event;
mod format;
mod memory;

pub use error::{JournalError, JournalErrorKind};
pub use event::Event;
pub use format::{EventText, FormatError, FormatErrorKind};
pub use memory::MemoryJournal;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::BoxFuture;
use crate::ids::{RunId, StreamId};
use crate::report::Status;
use crate::time::Timestamp;

/// A stored event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// The event's place in its stream, counted from 0 without gaps.
    pub seq: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

impl Recorded {
    /// Events that follow each other from a place in a stream, recorded at the same time.
    pub fn sequence(
        first: u64,
        at: Timestamp,
        events: impl IntoIterator<Item = Event>,
    ) -> Arc<[Self]> {
        (first..).zip(events).map(|(seq, event)| Self { seq, at, event }).collect()
    }
}

/// What a journal knows of a run without reading its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunHead {
    /// The run.
    pub run: RunId,
    /// How it ended; `None` for a run that is to be continued.
    pub status: Option<Status>,
    /// When the first event of its root stream was recorded.
    pub started_at: Timestamp,
    /// When the last event of any of its streams was recorded.
    pub updated_at: Timestamp,
    /// The events of all its streams.
    pub n_events: u64,
    /// Those of its root stream among them.
    pub n_root_events: u64,
}

/// Which runs are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    /// All that are to be continued, however many.
    Unfinished,
    /// The so many that began last, whether they are finished or not.
    Newest(usize),
}

/// Where events are kept.
///
/// # Contract
///
/// A stream has one writer. `append` takes its place in the stream when it is *called*, not when its
/// future is polled, so that a writer may have several appends under way and know their order. An append
/// either stores all of its events or none. Once its future completes, the events are as durable as the
/// journal makes anything.
///
/// `load` answers with what is in the stream once every append that was called before it is decided. A
/// writer that takes over from one that died mid-append therefore knows what became of it.
pub trait Journal: Send + Sync + 'static {
    /// Appends events at `events[0].seq`, which must be the stream's length.
    ///
    /// # Errors
    ///
    /// [`JournalErrorKind::Conflict`] when the stream has another length, which means another writer;
    /// [`JournalErrorKind::Unavailable`] when the events cannot be stored.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses the answer, not the events.
    fn append(
        &self,
        stream: &StreamId,
        events: Arc<[Recorded]>,
    ) -> BoxFuture<'static, Result<(), JournalError>>;

    /// The events of a stream, oldest first, from its last snapshot on. A stream without a snapshot is
    /// given from its beginning; one that was never written is empty. A journal need not keep what a
    /// snapshot stands for.
    ///
    /// # Errors
    ///
    /// [`JournalErrorKind::Corrupt`] or [`JournalErrorKind::Unavailable`].
    fn load(&self, stream: &StreamId) -> BoxFuture<'static, Result<Vec<Recorded>, JournalError>>;

    /// The streams of a run that have events, in the order of their ids.
    ///
    /// # Errors
    ///
    /// [`JournalErrorKind::Unavailable`].
    fn streams(&self, run: RunId) -> BoxFuture<'static, Result<Vec<StreamId>, JournalError>>;

    /// The runs whose root streams have events, oldest first, as every append leaves them that was called
    /// before. Finding the unfinished takes no longer when there are many finished ones.
    ///
    /// # Errors
    ///
    /// [`JournalErrorKind::Unavailable`].
    fn runs(&self, which: Runs) -> BoxFuture<'static, Result<Vec<RunHead>, JournalError>>;

    /// Makes what was appended as durable as the journal can make anything. One that has nothing to add to
    /// what a completed append promises does nothing.
    ///
    /// # Errors
    ///
    /// [`JournalErrorKind::Unavailable`].
    fn flush(&self) -> BoxFuture<'static, Result<(), JournalError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

const _: fn(&dyn Journal) = |_| {};

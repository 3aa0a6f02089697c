//! A journal in memory: it survives the restart of an agent, not the end of the process.

use std::collections::{BTreeMap, VecDeque};
use std::future::ready;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Journal, JournalError, JournalErrorKind, Recorded, RunHead, Runs};
use crate::BoxFuture;
use crate::ids::{RunId, StreamId};

/// A journal in memory. Clones share their contents.
///
/// It keeps every unfinished run and the last finished ones; older finished runs are dropped, and so is what
/// a snapshot stands for, so that a process that runs for months does not grow.
#[derive(Debug, Clone)]
pub struct MemoryJournal {
    inner: Arc<Mutex<Inner>>,
}

/// The events of a stream, as they were appended: what is shared is not copied. None of them is empty.
type Batches = Vec<Arc<[Recorded]>>;

#[derive(Debug)]
struct Inner {
    streams: BTreeMap<StreamId, Batches>,
    finished: VecDeque<RunId>,
    finished_max: usize,
}

impl MemoryJournal {
    /// An empty journal that keeps the last 100 finished runs.
    #[must_use]
    pub fn new() -> Self {
        Self::keeping(100)
    }

    /// An empty journal that keeps this many finished runs.
    #[must_use]
    pub fn keeping(finished_max: usize) -> Self {
        let (streams, finished) = (BTreeMap::new(), VecDeque::new());
        Self { inner: Arc::new(Mutex::new(Inner { streams, finished, finished_max })) }
    }

    /// Events stored, of all runs.
    #[must_use]
    pub fn n_events(&self) -> usize {
        self.lock().streams.values().flatten().map(|batch| batch.len()).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while the lock is held, and a half-written stream cannot be seen: every
        // change is a single push.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryJournal {
    fn default() -> Self {
        Self::new()
    }
}

impl Inner {
    /// Stores events, and gives what is dropped for that.
    fn append(
        &mut self,
        stream: &StreamId,
        events: Arc<[Recorded]>,
    ) -> Result<Vec<Batches>, JournalError> {
        let n_stored = self.streams.get(stream).map_or(0, |batches| n_events(batches));
        let is_gapless = (n_stored..).zip(&*events).all(|(seq, event)| event.seq == seq);
        if !is_gapless {
            let message = format!("the stream has {n_stored} events");
            return Err(JournalError::of(stream, JournalErrorKind::Conflict, message));
        }
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let is_root = stream.path().is_empty();
        let is_over = is_root && events.iter().any(|recorded| recorded.event.is_terminal());
        let snapshot = events.iter().rposition(|recorded| recorded.event.is_snapshot());
        let kept = self.streams.entry(stream.clone()).or_default();
        let mut dropped = Vec::new();
        if snapshot.is_some() {
            dropped.push(mem::take(kept));
        }
        kept.push(match snapshot {
            None | Some(0) => events,
            Some(at) => Arc::from(&events[at..]),
        });
        if let Some(run) = stream.run().filter(|_| is_over) {
            dropped.extend(self.finish(run));
        }
        Ok(dropped)
    }

    /// Counts a run as finished, once, and takes out the one that finished longest ago.
    fn finish(&mut self, run: RunId) -> Vec<Batches> {
        if self.finished.contains(&run) {
            return Vec::new();
        }
        self.finished.push_back(run);
        if self.finished.len() <= self.finished_max {
            return Vec::new();
        }
        let oldest = self.finished.pop_front();
        let streams = oldest.map(|oldest| self.of_run(oldest)).unwrap_or_default();
        streams.iter().filter_map(|stream| self.streams.remove(stream)).collect()
    }

    fn of_run(&self, run: RunId) -> Vec<StreamId> {
        let from_root = self.streams.range(StreamId::root(run)..);
        from_root.map(|(id, _)| id).take_while(|id| id.run() == Some(run)).cloned().collect()
    }

    fn heads(&self, which: Runs) -> Vec<RunHead> {
        let mut heads: Vec<RunHead> = Vec::new();
        // The root is the first stream of a run.
        for (stream, batches) in &self.streams {
            let events = || batches.iter().flat_map(|batch| &**batch);
            let (Some(run), Some(first)) = (stream.run(), events().next()) else { continue };
            let last_at =
                batches.last().and_then(|batch| batch.last()).map_or(first.at, |last| last.at);
            let n_here = n_events(batches);
            if stream.path().is_empty() {
                let newest_first = batches.iter().rev().flat_map(|batch| batch.iter().rev());
                let status = newest_first.filter_map(|recorded| recorded.event.status()).next();
                let (started_at, updated_at) = (first.at, last_at);
                let (n_events, n_root_events) = (0, n_here);
                heads.push(RunHead {
                    run,
                    status,
                    started_at,
                    updated_at,
                    n_events,
                    n_root_events,
                });
            }
            let Some(head) = heads.last_mut().filter(|head| head.run == run) else { continue };
            head.updated_at = head.updated_at.max(last_at);
            head.n_events += n_here;
        }
        heads.retain(|head| which != Runs::Unfinished || head.status.is_none());
        heads.sort_by_key(|head| (head.started_at, head.run));
        if let Runs::Newest(n) = which {
            heads.drain(..heads.len().saturating_sub(n));
        }
        heads
    }
}

/// How many events a stream has had.
fn n_events(batches: &[Arc<[Recorded]>]) -> u64 {
    batches.last().and_then(|batch| batch.last()).map_or(0, |last| last.seq + 1)
}

impl Journal for MemoryJournal {
    fn append(
        &self,
        stream: &StreamId,
        events: Arc<[Recorded]>,
    ) -> BoxFuture<'static, Result<(), JournalError>> {
        // What is dropped is dropped after the lock: it is a whole run, and every other one waits at the lock.
        let dropped = self.lock().append(stream, events);
        Box::pin(ready(dropped.map(drop)))
    }

    fn load(&self, stream: &StreamId) -> BoxFuture<'static, Result<Vec<Recorded>, JournalError>> {
        let inner = self.lock();
        let batches = inner.streams.get(stream).into_iter().flatten();
        Box::pin(ready(Ok(batches.flat_map(|batch| batch.iter().cloned()).collect())))
    }

    fn streams(&self, run: RunId) -> BoxFuture<'static, Result<Vec<StreamId>, JournalError>> {
        Box::pin(ready(Ok(self.lock().of_run(run))))
    }

    fn runs(&self, which: Runs) -> BoxFuture<'static, Result<Vec<RunHead>, JournalError>> {
        Box::pin(ready(Ok(self.lock().heads(which))))
    }
}

#[cfg(test)]
mod tests;

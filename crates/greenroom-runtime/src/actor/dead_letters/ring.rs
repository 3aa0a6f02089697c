//! The dead letters of one runtime: a bounded ring, counters that are not bounded, and a feed.

use std::any::{Any, type_name};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use greenroom_core::ids::AgentId;
use greenroom_core::time::Clock;
use tokio_util::sync::CancellationToken;

use crate::actor::dead_letters::{DeadLetter, DeadReason};
use crate::feed::{Feed, Source};

/// Letters that are kept; older ones only count.
pub(crate) const KEPT_MAX: usize = 256;

/// What is known of a message that is given up, besides its type.
pub(crate) struct Notice {
    pub(crate) to: AgentId,
    pub(crate) reason: DeadReason,
    pub(crate) n_deliveries: u32,
    pub(crate) is_ask: bool,
}

/// The dead letters of one runtime.
pub(crate) struct DeadLetters {
    clock: Arc<dyn Clock>,
    feed: Source<DeadLetter>,
    inner: Mutex<Inner>,
}

struct Inner {
    kept: VecDeque<Entry>,
    counts: BTreeMap<&'static str, u64>,
    n_letters: u64,
    n_payloads: usize,
    payloads_max: usize,
}

struct Entry {
    letter: DeadLetter,
    payload: Option<Payload>,
}

/// The message itself, of a type that only its agent knows.
type Payload = Box<dyn Any + Send>;

impl DeadLetters {
    /// No letters yet. Of the newest `payloads_max` the messages themselves are kept.
    pub(crate) fn new(clock: Arc<dyn Clock>, payloads_max: usize) -> Self {
        let inner = Inner {
            kept: VecDeque::new(),
            counts: BTreeMap::new(),
            n_letters: 0,
            n_payloads: 0,
            payloads_max: payloads_max.min(KEPT_MAX),
        };
        Self { clock, feed: Source::default(), inner: Mutex::new(inner) }
    }

    /// Adds a letter, with its message when that is to be kept.
    pub(crate) fn push<M: Send + 'static>(&self, notice: Notice, message: Option<M>) {
        let Notice { to, reason, n_deliveries, is_ask } = notice;
        let at = self.clock.now();
        let mut inner = self.lock();
        let (payload, unkept) = match message {
            Some(message) if inner.payloads_max > 0 => (Some(Box::new(message) as Payload), None),
            message => (None, message),
        };
        *inner.counts.entry(reason.name()).or_default() += 1;
        inner.n_letters += 1;
        let letter = DeadLetter {
            number: inner.n_letters,
            to,
            message_type: type_name::<M>(),
            reason,
            at,
            n_deliveries,
            is_ask,
            is_kept: payload.is_some(),
        };
        // In the order of the ring, so that a reader sees the numbers rise.
        self.feed.tell(|| letter.clone());
        inner.n_payloads += usize::from(payload.is_some());
        let dropped = inner.make_room();
        inner.kept.push_back(Entry { letter: letter.clone(), payload });
        drop(inner);
        // Messages are dropped outside the lock: what they do then is up to their authors.
        drop((unkept, dropped));
        tracing::warn!(to = %letter.to, message = letter.message_type, reason = %letter.reason,
            number = letter.number, "dead letter");
    }

    pub(crate) fn recent(&self) -> Vec<DeadLetter> {
        self.lock().kept.iter().map(|entry| entry.letter.clone()).collect()
    }

    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.lock().counts.clone()
    }

    /// The letters to come, until the runtime has ended.
    pub(crate) fn read(&self, over: &CancellationToken) -> Feed<DeadLetter> {
        self.feed.read(over)
    }

    /// The letters with messages of this type that are kept, oldest first.
    pub(crate) fn kept<M: Send + 'static>(&self) -> Vec<DeadLetter> {
        let inner = self.lock();
        let kept = inner.kept.iter().filter(|entry| entry.holds::<M>());
        kept.map(|entry| entry.letter.clone()).collect()
    }

    /// Takes a letter out of the ring, with its message; `None` when it is not there any more.
    pub(crate) fn take<M: Send + 'static>(&self, number: u64) -> Option<(DeadLetter, M)> {
        let mut inner = self.lock();
        let i = inner.kept.binary_search_by_key(&number, |entry| entry.letter.number).ok()?;
        if !inner.kept[i].holds::<M>() {
            return None;
        }
        let Entry { letter, payload } = inner.kept.remove(i)?;
        inner.n_payloads -= 1;
        drop(inner);
        let message = payload?.downcast::<M>().ok()?;
        Some((letter, *message))
    }

    /// Puts a letter back where it was taken out.
    pub(crate) fn put_back<M: Send + 'static>(&self, letter: DeadLetter, message: M) {
        let mut inner = self.lock();
        let number = letter.number;
        let dropped = if inner.payloads_max == 0 {
            vec![Box::new(message) as Payload]
        } else {
            inner.n_payloads += 1;
            let dropped = inner.make_room();
            let i = inner.kept.partition_point(|entry| entry.letter.number < number);
            inner.kept.insert(i, Entry { letter, payload: Some(Box::new(message)) });
            dropped
        };
        drop(inner);
        drop(dropped);
    }

    /// Keeps no messages from now on, and gives those up that it has: they may hold what would keep their
    /// runtime alive.
    pub(crate) fn release(&self) {
        let mut inner = self.lock();
        inner.payloads_max = 0;
        let dropped = inner.forget_payloads();
        drop(inner);
        drop(dropped);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Makes room for one more letter, whose message is counted already. Gives what had to go.
    fn make_room(&mut self) -> Vec<Payload> {
        let oldest = if self.kept.len() >= KEPT_MAX { self.kept.pop_front() } else { None };
        let oldest = oldest.and_then(|entry| entry.payload);
        self.n_payloads -= usize::from(oldest.is_some());
        let mut dropped = self.forget_payloads();
        dropped.extend(oldest);
        dropped
    }

    /// Gives up the oldest messages until there are no more than may be kept.
    fn forget_payloads(&mut self) -> Vec<Payload> {
        let mut dropped = Vec::new();
        for entry in &mut self.kept {
            if self.n_payloads <= self.payloads_max {
                break;
            }
            if let Some(payload) = entry.payload.take() {
                entry.letter.is_kept = false;
                self.n_payloads -= 1;
                dropped.push(payload);
            }
        }
        dropped
    }
}

impl Entry {
    fn holds<M: Send + 'static>(&self) -> bool {
        self.payload.as_ref().is_some_and(|payload| payload.is::<M>())
    }
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetters").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

//! Feeds: facts for those who look, as they happen. A reader that is too slow misses the oldest, and is told
//! how many; nobody waits for it.

use std::fmt;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};

use futures_core::Stream;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

/// Facts that wait for the slowest reader before it misses the oldest.
const BUFFERED_MAX: usize = 1024;

/// What a feed gives.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Told<T> {
    /// Something happened.
    Fact(T),
    /// The reader was too slow and missed facts.
    Missed {
        /// How many.
        n_facts: u64,
    },
}

/// Facts of one runtime from now on, as a stream that ends with the runtime. At most 1,024 wait for the
/// reader; older ones are missed.
pub struct Feed<T> {
    inner: Pin<Box<dyn Stream<Item = Told<T>> + Send>>,
}

impl<T: Clone + Send + 'static> Feed<T> {
    /// The next fact; `None` once the runtime has ended and everything was read.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no fact.
    pub async fn next(&mut self) -> Option<Told<T>> {
        futures_util::StreamExt::next(&mut self.inner).await
    }
}

impl<T> Stream for Feed<T> {
    type Item = Told<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Told<T>>> {
        self.inner.as_mut().poll_next(cx)
    }
}

impl<T> fmt::Debug for Feed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Feed")
    }
}

/// Where the facts of a feed come from. Nothing is made or kept while nobody reads.
#[derive(Debug)]
pub(crate) struct Source<T> {
    sender: OnceLock<broadcast::Sender<T>>,
}

impl<T> Default for Source<T> {
    fn default() -> Self {
        Self { sender: OnceLock::new() }
    }
}

impl<T: Clone + Send + 'static> Source<T> {
    pub(crate) fn tell(&self, fact: impl FnOnce() -> T) {
        if let Some(sender) = self.sender.get().filter(|sender| sender.receiver_count() > 0) {
            // With no reader left there is nobody to tell.
            let _ = sender.send(fact());
        }
    }

    pub(crate) fn read(&self, over: &CancellationToken) -> Feed<T> {
        let sender = self.sender.get_or_init(|| broadcast::Sender::new(BUFFERED_MAX));
        let state = (sender.subscribe(), over.clone());
        let facts = futures_util::stream::unfold(state, |(mut receiver, over)| async move {
            let received = tokio::select! {
                biased;
                received = receiver.recv() => received,
                // What was told before the end has been read by now.
                () = over.cancelled() => return None,
            };
            let told = match received {
                Ok(fact) => Told::Fact(fact),
                Err(RecvError::Lagged(n_facts)) => Told::Missed { n_facts },
                Err(RecvError::Closed) => return None,
            };
            Some((told, (receiver, over)))
        });
        Feed { inner: Box::pin(facts) }
    }

    /// Whether somebody reads.
    pub(crate) fn is_read(&self) -> bool {
        self.sender.get().is_some_and(|sender| sender.receiver_count() > 0)
    }
}

//! Envelopes: messages on their way, with what travels along.

use std::sync::{Arc, OnceLock};

use greenroom_core::supervision::ExitReason;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::actor::dead_letters::DeadReason;
use crate::actor::effect::Open;

/// What a slot's incarnation is told through ractor.
#[derive(Debug)]
pub(crate) enum Signal {
    /// There are messages.
    Wake,
    /// Panic in the next handler, as a fault on purpose.
    Crash,
    /// End for this reason.
    Fail(ExitReason),
}

/// A message on its way, with what travels along.
#[derive(Debug)]
pub(crate) struct Envelope<M> {
    pub(crate) message: M,
    pub(crate) enqueued_at: Instant,
    pub(crate) deadline: Option<Instant>,
    pub(crate) asker: Option<Asker>,
    pub(crate) span: tracing::Span,
    /// The envelope's room in the user lane, given back when it leaves the queue.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
    /// The effect that the message is the outcome of, under way until the message is handled.
    pub(crate) effect: Option<Open>,
}

/// Somebody who waits for the answer to a message.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    /// Cancelled when nobody waits any more.
    pub(crate) gone: CancellationToken,
    /// Why there will be no answer; set before the message is dropped.
    pub(crate) verdict: Arc<OnceLock<DeadReason>>,
}

/// A message that could not be put into the mailbox, with the reason.
#[derive(Debug)]
pub(crate) enum Refused<M> {
    Full(M),
    Stopped(M),
}

impl<M> Envelope<M> {
    /// A message without a sender's wishes.
    pub(crate) fn bare(message: M) -> Self {
        Self {
            message,
            enqueued_at: Instant::now(),
            deadline: None,
            asker: None,
            span: tracing::Span::current(),
            permit: None,
            effect: None,
        }
    }

    /// Why the message need not be handled any more.
    pub(crate) fn unwanted(&self) -> Option<DeadReason> {
        if self.asker.as_ref().is_some_and(|asker| asker.gone.is_cancelled()) {
            return Some(DeadReason::Cancelled);
        }
        self.deadline.filter(|deadline| *deadline <= Instant::now()).map(|_| DeadReason::Expired)
    }
}

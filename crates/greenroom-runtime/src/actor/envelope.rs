//! Envelopes: messages on their way, with what travels along.

use std::sync::Arc;

use greenroom_core::supervision::ExitReason;
use tokio::time::Instant;

use crate::actor::address::SendErrorKind;
use crate::actor::dead_letters::DeadReason;
use crate::actor::effect::Open;
use crate::actor::question::Question;
use crate::persist::ledger::Answer;
use crate::watch::WatchId;

/// What a slot's incarnation is told through ractor.
#[derive(Debug)]
pub(crate) enum Signal {
    /// There are messages.
    Wake,
    /// End for this reason.
    Fail(ExitReason),
    /// Be unloaded, if there is nothing to do.
    Rest,
    /// The journal has answered to the append that is under way.
    Stored(Answer),
}

/// A message on its way, with what travels along.
#[derive(Debug)]
pub(crate) struct Envelope<M> {
    pub(crate) message: M,
    pub(crate) enqueued_at: Instant,
    /// The question that the message asks, or the one that the work behind an outcome was done for.
    pub(crate) question: Option<Arc<Question>>,
    pub(crate) kind: Kind,
    /// How often it was delivered.
    pub(crate) n_deliveries: u32,
    pub(crate) span: tracing::Span,
    /// Room in the user lane was taken for it, to be given back when it leaves the queue.
    pub(crate) has_room: bool,
    /// The effect that the message is the outcome of, under way until the message is handled.
    pub(crate) effect: Option<Open>,
    /// The watch that the message is the notice of, which is delivered only while that is on.
    pub(crate) watch: Option<WatchId>,
}

/// What a message is to its agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Somebody's message.
    Plain,
    /// A question: somebody waits for the answer to this message.
    Ask,
    /// The outcome of the incarnation's own work.
    Outcome,
}

/// A message that could not be put into the mailbox, with the reason.
#[derive(Debug)]
pub(crate) enum Refused<M> {
    Full(M),
    Stopped(M),
    Crowded(M),
}

impl<M> Refused<M> {
    pub(crate) fn kind(&self) -> SendErrorKind {
        match self {
            Self::Full(_) => SendErrorKind::Full,
            Self::Stopped(_) => SendErrorKind::Stopped,
            Self::Crowded(_) => SendErrorKind::Crowded,
        }
    }

    pub(crate) fn into_inner(self) -> M {
        match self {
            Self::Full(message) | Self::Stopped(message) | Self::Crowded(message) => message,
        }
    }
}

impl<M> Envelope<M> {
    /// A message without a sender's wishes.
    pub(crate) fn bare(message: M) -> Self {
        Self::at(message, Instant::now())
    }

    fn at(message: M, now: Instant) -> Self {
        Self {
            message,
            enqueued_at: now,
            question: None,
            kind: Kind::Plain,
            n_deliveries: 0,
            span: tracing::Span::current(),
            has_room: false,
            effect: None,
            watch: None,
        }
    }

    /// A message that carries the way back to its asker.
    pub(crate) fn ask(message: M, question: Arc<Question>, now: Instant) -> Self {
        Self { question: Some(question), kind: Kind::Ask, ..Self::at(message, now) }
    }

    /// The outcome of an effect.
    pub(crate) fn outcome(message: M, effect: Open, question: Option<Arc<Question>>) -> Self {
        Self { effect: Some(effect), question, kind: Kind::Outcome, ..Self::bare(message) }
    }

    /// The question that this message asks.
    pub(crate) fn asked(&self) -> Option<&Arc<Question>> {
        self.question.as_ref().filter(|_| self.kind == Kind::Ask)
    }

    /// Why the message need not be handled any more.
    pub(crate) fn unwanted(&self, now: Instant) -> Option<DeadReason> {
        let question = self.asked()?;
        let gone_at = question.withdrawn_at();
        // An asker that waits until its deadline goes away then, and that is no change of mind.
        if question.has_expired(gone_at.unwrap_or(now)) {
            return Some(DeadReason::Expired);
        }
        gone_at.map(|_| DeadReason::Cancelled)
    }
}

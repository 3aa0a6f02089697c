//! Questions: one ask, as both of its sides see it, and what work inherits from it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::sync::SetOnce;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::actor::dead_letters::DeadReason;
use crate::actor::effect::EffectError;
use crate::actor::trail::{Here, Trail};

/// Somebody waits for an answer. Most need not know what answers it.
pub(crate) struct Question<A: ?Sized = dyn Send + Sync> {
    /// When the asker stops waiting; `None` is later than the clock can tell.
    deadline: Option<Instant>,
    /// Set when nobody waits any more.
    gone: SetOnce<Instant>,
    /// Why there will be no answer. It is set before the message is dropped, or kept as a dead letter.
    verdict: OnceLock<DeadReason>,
    /// It was answered or refused.
    is_over: AtomicBool,
    asker: AtomicWaker,
    pub(crate) trail: Trail,
    pub(crate) answer: A,
}

impl<A> Question<A> {
    pub(crate) fn new(deadline: Option<Instant>, trail: Trail, answer: A) -> Arc<Self> {
        Arc::new(Self {
            deadline,
            gone: SetOnce::new(),
            verdict: OnceLock::new(),
            is_over: AtomicBool::new(false),
            asker: AtomicWaker::new(),
            trail,
            answer,
        })
    }
}

impl<A: ?Sized> Question<A> {
    /// There is an answer, or there will be none: the question limits nothing any more.
    pub(crate) fn settle(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Nobody waits for the answer any more.
    pub(crate) fn withdraw(&self) {
        // It may have been withdrawn before.
        let _ = self.gone.set(Instant::now());
    }

    pub(crate) fn is_withdrawn(&self) -> bool {
        self.gone.initialized()
    }

    /// When the asker went away.
    pub(crate) fn withdrawn_at(&self) -> Option<Instant> {
        self.gone.get().copied()
    }

    /// There will be no answer, for this reason. The first one counts.
    pub(crate) fn refuse(&self, reason: DeadReason) {
        let _ = self.verdict.set(reason);
        self.wake_asker();
    }

    pub(crate) fn verdict(&self) -> Option<&DeadReason> {
        self.verdict.get()
    }

    /// Who waits is woken this way from now on.
    pub(crate) fn await_by(&self, asker: &Waker) {
        self.asker.register(asker);
    }

    pub(crate) fn wake_asker(&self) {
        self.asker.wake();
    }

    pub(crate) fn has_expired(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Whether somebody still waits for the answer.
    pub(crate) fn is_open(&self) -> bool {
        !self.is_over() && !self.is_withdrawn() && !self.has_expired(Instant::now())
    }
}

impl<A: ?Sized> fmt::Debug for Question<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

/// Where work comes from: what it inherits from the question that the actor was handling when it started
/// the work. [`Context::origin`](crate::Context::origin) gives it, and
/// [`AgentRef::ask_from`](crate::AgentRef::ask_from) takes it, also inside an effect.
///
/// An outcome of work inherits the origin of the work, so the deadline of a question holds for all steps
/// that its answer takes. An origin counts while the question is open: once it is answered, nothing is
/// inherited from it.
///
/// | started by | inherits |
/// |---|---|
/// | `effect`, `blocking`, `ask`, `fan_out`, `follow` | the deadline, the cancellation, and who waits |
/// | `ask_from` with this origin | the deadline, and who waits |
/// | `shielded`, `cancellable`, `after`, a shielded branch | nothing |
/// | `send`, `try_send`, `control` | nothing: nobody waits for them |
#[derive(Clone, Default)]
pub struct Origin {
    question: Option<Arc<Question>>,
    here: Here,
}

impl Origin {
    pub(crate) fn new(question: Option<Arc<Question>>, here: Here) -> Self {
        Self { question: question.filter(|question| !question.is_over()), here }
    }

    /// The origin of an application's own questions: no actor, and nothing to inherit.
    #[must_use]
    pub fn outside() -> Self {
        Self::default()
    }

    /// When the question that is being handled has to be answered; `None` when nobody waits, or waits for
    /// longer than the clock can tell.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.open_question().and_then(|question| question.deadline)
    }

    /// The smaller of `own` and what is left until [`Origin::deadline`].
    #[must_use]
    pub fn within(&self, own: Duration) -> Duration {
        match self.deadline() {
            Some(deadline) => own.min(deadline.saturating_duration_since(Instant::now())),
            None => own,
        }
    }

    /// The origin of work that outlives the question: who asks, and nothing to inherit.
    pub(crate) fn shielded(&self) -> Self {
        Self { question: None, here: self.here.clone() }
    }

    pub(crate) fn question(&self) -> Option<&Arc<Question>> {
        self.question.as_ref()
    }

    pub(crate) fn here(&self) -> &Here {
        &self.here
    }

    /// The question, unless it was answered since.
    fn open_question(&self) -> Option<&Arc<Question>> {
        self.question.as_ref().filter(|question| !question.is_over())
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin").field("deadline", &self.deadline()).finish_non_exhaustive()
    }
}

/// What ends work before its own deadline does.
#[derive(Debug)]
pub(crate) enum Tie {
    /// Nothing but the end of the incarnation.
    Free,
    /// A token of the actor's own.
    Token(CancellationToken),
    /// The end of the question that it serves.
    Origin(Origin),
}

impl Tie {
    /// How long the work may take.
    pub(crate) fn within(&self, own: Duration) -> Duration {
        match self {
            Self::Free | Self::Token(_) => own,
            Self::Origin(origin) => origin.within(own),
        }
    }

    /// Completes when the work is not wanted any more.
    pub(crate) async fn cut(&self) {
        match self {
            Self::Free => std::future::pending().await,
            Self::Token(token) => token.cancelled().await,
            Self::Origin(origin) => match origin.question() {
                Some(question) => drop(question.gone.wait().await),
                None => std::future::pending().await,
            },
        }
    }

    /// What the work has come to that [`Tie::cut`] cut off, when it had so much time.
    pub(crate) fn cause(&self, deadline: Duration) -> EffectError {
        if self.has_expired() { EffectError::TimedOut(deadline) } else { EffectError::Cancelled }
    }

    /// Whether the deadline of the question has passed. Its asker goes away at the same moment, and
    /// which of the two the work notices first must make no difference.
    fn has_expired(&self) -> bool {
        matches!(self, Self::Origin(origin) if origin.question().is_some_and(|q| q.has_expired(Instant::now())))
    }

    /// What the outcome inherits. The outcome that reports the end of the question inherits nothing, so
    /// that an actor which tries again at once does not do so as fast as it can.
    pub(crate) fn inherited(self, is_done: bool) -> Option<Arc<Question>> {
        match self {
            Self::Free | Self::Token(_) => None,
            Self::Origin(origin) => {
                origin.question.filter(|question| is_done || question.is_open())
            }
        }
    }
}

//! Replies: the way back of one answer, from whoever handles a question to whoever waits for it.
//!
//! One allocation carries the question, its answer, and the wait.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use crate::actor::dead_letters::DeadReason;
use crate::actor::question::Question;

/// An answer on its way.
#[derive(Debug)]
pub(crate) struct Answer<R>(Mutex<State<R>>);

#[derive(Debug)]
struct State<R> {
    answer: Option<R>,
    /// There was an answer, or nobody waits for one.
    is_closed: bool,
    /// Replies of the newest edition: those that can answer.
    n_replies: usize,
    /// Rises when a reply is taken out of its message: those left behind answer nobody.
    edition: u32,
}

impl<R> Answer<R> {
    /// No answer yet, and nobody who could give it.
    pub(crate) fn new() -> Self {
        let state = State { answer: None, is_closed: false, n_replies: 0, edition: 0 };
        Self(Mutex::new(state))
    }

    fn lock(&self) -> MutexGuard<'_, State<R>> {
        // No user code runs under the lock, so a poisoned one is as consistent as any other.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the answer to a message goes. It can be used once; the first answer counts.
///
/// Clones answer the same asker, who is told that there will be no answer once all of them are gone.
pub struct Reply<R> {
    question: Arc<Question<Answer<R>>>,
    edition: u32,
}

impl<R> Reply<R> {
    pub(crate) fn new(question: &Arc<Question<Answer<R>>>) -> Self {
        let mut state = question.answer.lock();
        state.n_replies += 1;
        Self { question: Arc::clone(question), edition: state.edition }
    }

    /// Answers. Returns the answer when nobody waits for it: the asker has gone, or was answered before.
    ///
    /// # Errors
    ///
    /// The undelivered answer.
    pub fn send(&self, answer: R) -> Result<(), R> {
        let mut state = self.question.answer.lock();
        if state.is_closed || state.edition != self.edition {
            return Err(answer);
        }
        state.is_closed = true;
        state.answer = Some(answer);
        drop(state);
        self.question.settle();
        self.question.wake_asker();
        Ok(())
    }

    /// Takes the reply out of its message, to answer after the handler has returned. What is left behind
    /// answers nobody, nor do clones.
    #[must_use]
    pub fn take(&self) -> Self {
        let mut state = self.question.answer.lock();
        let mut edition = self.edition;
        if state.edition == edition {
            edition = edition.wrapping_add(1);
            (state.edition, state.n_replies) = (edition, 1);
        }
        drop(state);
        Self { question: Arc::clone(&self.question), edition }
    }
}

impl<R> Clone for Reply<R> {
    fn clone(&self) -> Self {
        let mut state = self.question.answer.lock();
        if state.edition == self.edition {
            state.n_replies += 1;
        }
        drop(state);
        Self { question: Arc::clone(&self.question), edition: self.edition }
    }
}

impl<R> Drop for Reply<R> {
    fn drop(&mut self) {
        let mut state = self.question.answer.lock();
        if state.edition != self.edition {
            return;
        }
        state.n_replies -= 1;
        let is_mute = state.n_replies == 0 && !state.is_closed;
        drop(state);
        if is_mute {
            self.question.wake_asker();
        }
    }
}

impl<R> fmt::Debug for Reply<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply")
    }
}

/// The asker's side. Dropping it unanswered withdraws the question.
pub(crate) struct Asking<R> {
    question: Arc<Question<Answer<R>>>,
    is_settled: bool,
}

impl<R> Asking<R> {
    pub(crate) fn new(question: Arc<Question<Answer<R>>>) -> Self {
        Self { question, is_settled: false }
    }

    /// Answered or refused, nobody is left to be told that the asker has gone.
    pub(crate) fn settle(mut self) {
        self.question.settle();
        self.is_settled = true;
    }
}

impl<R> Future for &mut Asking<R> {
    /// The answer, or why there will be none, as far as anybody said.
    type Output = Result<R, Option<DeadReason>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let question = &self.question;
        question.await_by(context.waker());
        let mut state = question.answer.lock();
        // An answer that was given before the message was given up counts.
        if let Some(answer) = state.answer.take() {
            return Poll::Ready(Ok(answer));
        }
        let is_mute = state.n_replies == 0;
        drop(state);
        match question.verdict() {
            Some(reason) => Poll::Ready(Err(Some(reason.clone()))),
            None if is_mute => Poll::Ready(Err(None)),
            None => Poll::Pending,
        }
    }
}

impl<R> Drop for Asking<R> {
    fn drop(&mut self) {
        let unclaimed = {
            let mut state = self.question.answer.lock();
            state.is_closed = true;
            state.answer.take()
        };
        if !self.is_settled {
            self.question.withdraw();
        }
        drop(unclaimed);
    }
}

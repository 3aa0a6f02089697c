//! What a worker is given, and how far it has come with it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use greenroom_core::pool::Part;

use tokio_util::sync::CancellationToken;

use crate::actor::address::Reply;

/// A job, inside a worker's message. It is lent, like every message: what the worker wants to keep it clones
/// or takes.
///
/// A job whose payload or reply was looked at counts as begun; that matters when the worker dies, see
/// [`greenroom_core::pool`].
pub struct Job<J, R> {
    payload: Arc<J>,
    reply: JobReply<R>,
    key: Option<Arc<str>>,
    delivery: u32,
}

/// Where the answer to a job goes. It can be used once.
pub struct JobReply<R> {
    reply: Reply<R>,
    mark: Arc<Mark>,
    /// Its owner is the job's message, and nobody took it.
    is_lent: AtomicBool,
}

/// How far a job has come: the furthest that was noted.
#[derive(Debug, Default)]
pub(super) struct Mark {
    how_far: AtomicU8,
    /// Cancelled with the first note.
    heard: CancellationToken,
}

impl Mark {
    const BEGUN: u8 = 1;
    /// Its message was dropped with the reply in it: by a handler that is done with it, or that crashed.
    const DROPPED: u8 = 2;
    const ANSWERED: u8 = 3;

    fn note(&self, how_far: u8) {
        self.how_far.fetch_max(how_far, Ordering::AcqRel);
        self.heard.cancel();
    }

    /// Completes once the worker has looked at the job, or is done with its message.
    pub(super) async fn heard(&self) {
        self.heard.cancelled().await;
    }

    pub(super) fn part(&self) -> Part {
        match self.how_far.load(Ordering::Acquire) {
            0 => Part::Untouched,
            Self::BEGUN => Part::Begun,
            Self::DROPPED => Part::Crashed,
            _ => Part::Answered,
        }
    }
}

impl<J, R> Job<J, R> {
    pub(super) fn new(
        payload: Arc<J>,
        reply: Reply<R>,
        key: Option<Arc<str>>,
        delivery: u32,
        mark: Arc<Mark>,
    ) -> Self {
        let reply = JobReply { reply, mark, is_lent: AtomicBool::new(true) };
        Self { payload, reply, key, delivery }
    }

    /// What is to be done. Cloning the `Arc` keeps it.
    #[must_use]
    pub fn payload(&self) -> &Arc<J> {
        self.reply.mark.note(Mark::BEGUN);
        &self.payload
    }

    /// Where the answer goes: answer at once, or [`JobReply::take`] it to answer later. Dropping it is an
    /// answer too: the caller gets [`PoolError::NoReply`](crate::PoolError::NoReply).
    #[must_use]
    pub fn reply(&self) -> &JobReply<R> {
        self.reply.mark.note(Mark::BEGUN);
        &self.reply
    }

    /// What the job belongs to.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Which delivery of the job this is, counted from 1: more than 1 when a worker died with it, or the
    /// pool's own actor crashed.
    #[must_use]
    pub fn delivery(&self) -> u32 {
        self.delivery
    }
}

impl<R> JobReply<R> {
    /// Answers. The first answer counts.
    ///
    /// # Errors
    ///
    /// The undelivered answer, when nobody waits for it any more.
    pub fn send(&self, answer: R) -> Result<(), R> {
        // Noted first: from here on nobody needs to do the job again.
        self.mark.note(Mark::ANSWERED);
        self.reply.send(answer)
    }

    /// Takes the reply out of its message, to answer after the handler has returned. What is left behind
    /// answers nobody.
    #[must_use]
    pub fn take(&self) -> Self {
        self.is_lent.store(false, Ordering::Release);
        let (reply, mark) = (self.reply.take(), Arc::clone(&self.mark));
        Self { reply, mark, is_lent: AtomicBool::new(false) }
    }
}

impl<R> Drop for JobReply<R> {
    fn drop(&mut self) {
        if self.is_lent.load(Ordering::Acquire) {
            self.mark.note(Mark::DROPPED);
        }
    }
}

impl<R> fmt::Debug for JobReply<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JobReply")
    }
}

impl<J, R> fmt::Debug for Job<J, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("delivery", &self.delivery).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;
    use crate::{Actor, Context, Failure, Runtime};

    /// Hands replies out, which only an ask can make.
    struct Desk(Arc<Mutex<Vec<Reply<u32>>>>);

    impl Actor for Desk {
        type Message = Reply<u32>;

        fn handle(&mut self, reply: &Reply<u32>, _: &mut Context<'_, Self>) -> Result<(), Failure> {
            self.0.lock().expect("no test panics here").push(reply.take());
            Ok(())
        }
    }

    /// What is noted when this is done with a job, and when the job is dropped then.
    async fn check(act: impl FnOnce(&Job<&'static str, u32>), expect: [Part; 2]) {
        let (runtime, replies) = (Runtime::start().await.expect("it starts"), Arc::default());
        let held = Arc::clone(&replies);
        let desk = move || Desk(Arc::clone(&held));
        let desk = runtime.spawn("desk", desk).await.expect("it starts");
        let asked = desk.ask(Duration::from_secs(1), |reply| reply);
        let handled = async {
            tokio::task::yield_now().await;
            let reply = loop {
                if let Some(reply) = replies.lock().expect("no test panics here").pop() {
                    break reply;
                }
                tokio::task::yield_now().await;
            };
            let mark = Arc::new(Mark::default());
            let job = Job::new(Arc::new("work"), reply, None, 1, Arc::clone(&mark));
            act(&job);
            let before = mark.part();
            drop(job);
            assert_eq!([before, mark.part()], expect);
        };
        let _ = tokio::join!(asked, handled);
        runtime.shutdown().await;
    }

    #[tokio::test(start_paused = true)]
    async fn how_far_a_job_has_come_is_noted() {
        check(|_| {}, [Part::Untouched, Part::Crashed]).await;
        check(|job| assert_eq!(**job.payload(), "work"), [Part::Begun, Part::Crashed]).await;
        check(|job| drop(job.reply().take()), [Part::Begun, Part::Begun]).await;
        check(|job| assert!(job.reply().take().send(1).is_ok()), [Part::Answered, Part::Answered])
            .await;
        check(|job| assert!(job.reply().send(1).is_ok()), [Part::Answered, Part::Answered]).await;
    }
}

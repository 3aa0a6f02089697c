//! The thread that writes. What is appended while it waits for the disk goes to the disk together.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use greenroom_core::BoxFuture;
use greenroom_core::ids::StreamId;
use greenroom_core::journal::{JournalError, JournalErrorKind, Recorded};
use greenroom_core::time::Timestamp;
use tokio::sync::{mpsc, oneshot};

use crate::error::{of, system};

/// What may wait for the disk. Whoever appends when that much waits is refused.
const JOBS_MAX: usize = 65_536;

/// The events of one transaction, unless a single append has more.
const GROUP_EVENTS_MAX: usize = 256;

pub(crate) type Answer = Result<(), JournalError>;

/// Where groups are written to.
pub(crate) trait Backend: Send + 'static {
    /// Whether it is still there.
    fn check(&mut self) -> Result<(), JournalError>;

    /// Appends a group in one transaction, and says what became of each. An error says that none is stored,
    /// or, when it is fatal, that nobody knows.
    fn append(
        &mut self,
        group: &[(StreamId, Arc<[Recorded]>)],
    ) -> Result<Vec<Answer>, JournalError>;

    /// Makes the disk have what was appended.
    fn flush(&mut self) -> Result<(), JournalError>;

    /// Deletes at most so many runs that were finished before an instant, and gives their number.
    fn purge(&mut self, before: Timestamp, n_max: usize) -> Result<usize, JournalError>;
}

enum Job {
    Append(StreamId, Arc<[Recorded]>, oneshot::Sender<Answer>),
    /// Answered once everything before it is.
    Settle(oneshot::Sender<Answer>),
    Flush(oneshot::Sender<Answer>),
    Purge(Timestamp, usize, oneshot::Sender<Result<usize, JournalError>>),
}

/// A handle of the thread. Dropping it waits until what was appended is stored.
#[derive(Debug)]
pub(crate) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(backend: impl Backend) -> Result<Self, JournalError> {
        let (jobs, queue) = mpsc::channel(JOBS_MAX);
        let work = move || Loop { backend, queue, fatal: None }.run();
        let thread = Builder::new().name("greenroom-journal".to_owned()).spawn(work);
        let thread = thread.map_err(|error| system("no thread to write", &error))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Puts an append in line.
    pub(crate) fn append(
        &self,
        stream: &StreamId,
        events: Arc<[Recorded]>,
    ) -> BoxFuture<'static, Answer> {
        self.send(|answer| Job::Append(stream.clone(), events, answer))
    }

    /// Completes once everything that was called before is decided.
    pub(crate) fn settle(&self) -> BoxFuture<'static, Answer> {
        self.send(Job::Settle)
    }

    /// Completes once the disk has everything that was appended before.
    pub(crate) fn flush(&self) -> BoxFuture<'static, Answer> {
        self.send(Job::Flush)
    }

    pub(crate) fn purge(
        &self,
        before: Timestamp,
        n_max: usize,
    ) -> BoxFuture<'static, Result<usize, JournalError>> {
        self.send(move |answer| Job::Purge(before, n_max, answer))
    }

    /// Puts a job in line, before its future is polled.
    fn send<T: Send + 'static>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, JournalError>>) -> Job,
    ) -> BoxFuture<'static, Result<T, JournalError>> {
        let (answer, answered) = oneshot::channel();
        let jobs = self.jobs.as_ref().expect("the queue is there until the writer is dropped");
        let sent = jobs.try_send(job(answer)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                let message = format!("{JOBS_MAX} appends wait for the disk");
                JournalError::new(JournalErrorKind::Unavailable, message)
            }
            mpsc::error::TrySendError::Closed(_) => gone(),
        });
        Box::pin(async move {
            sent?;
            answered.await.unwrap_or_else(|_| Err(gone()))
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been told to everybody who waited for it.
            let _ = thread.join();
        }
    }
}

fn gone() -> JournalError {
    JournalError::new(JournalErrorKind::Fatal, "the thread that writes has ended")
}

struct Loop<B> {
    backend: B,
    queue: mpsc::Receiver<Job>,
    /// What made the file something that nobody can believe.
    fatal: Option<JournalError>,
}

/// What is written together, with whom to tell.
#[derive(Default)]
struct Group {
    appends: Vec<(StreamId, Arc<[Recorded]>)>,
    answers: Vec<oneshot::Sender<Answer>>,
    settled: Vec<oneshot::Sender<Answer>>,
    n_events: usize,
}

impl<B: Backend> Loop<B> {
    fn run(mut self) {
        while let Some(job) = self.queue.blocking_recv() {
            let mut group = Group::default();
            let mut next = Some(job);
            while let Some(job) = next.take() {
                match job {
                    Job::Append(stream, events, answer) => {
                        group.n_events += events.len().max(1);
                        group.appends.push((stream, events));
                        group.answers.push(answer);
                    }
                    Job::Settle(answer) => group.settled.push(answer),
                    Job::Flush(answer) => {
                        self.write(std::mem::take(&mut group));
                        let _ = answer.send(self.guarded(B::flush));
                    }
                    Job::Purge(before, n_max, answer) => {
                        self.write(std::mem::take(&mut group));
                        let purged = self.guarded(|backend| backend.purge(before, n_max));
                        let _ = answer.send(purged);
                    }
                }
                if group.n_events < GROUP_EVENTS_MAX {
                    next = self.queue.try_recv().ok();
                }
            }
            self.write(group);
        }
    }

    /// Writes a group and tells everybody what became of it. Whoever does not listen any more is not told.
    fn write(&mut self, group: Group) {
        let Group { appends, answers, settled, .. } = group;
        let checked = self.guarded(B::check);
        for (decided, answer) in self.append(&appends).into_iter().zip(answers) {
            let _ = answer.send(decided);
        }
        for answer in settled {
            let _ = answer.send(self.fatal.clone().map_or(checked.clone(), Err));
        }
    }

    fn append(&mut self, group: &[(StreamId, Arc<[Recorded]>)]) -> Vec<Answer> {
        if group.is_empty() {
            return Vec::new();
        }
        match self.guarded(|backend| backend.append(group)) {
            Ok(decided) => decided,
            // One damaged stream must not refuse the others that happened to be written with it.
            Err(error) if error.kind == JournalErrorKind::Corrupt && group.len() > 1 => {
                group.chunks(1).flat_map(|alone| self.append(alone)).collect()
            }
            Err(error) => group.iter().map(|(stream, _)| Err(of(stream, error.clone()))).collect(),
        }
    }

    /// Does something unless the file cannot be believed, and remembers when that is so.
    fn guarded<T>(
        &mut self,
        work: impl FnOnce(&mut B) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        if let Some(fatal) = &self.fatal {
            return Err(fatal.clone());
        }
        let done = work(&mut self.backend);
        if let Err(error) = &done
            && error.kind == JournalErrorKind::Fatal
        {
            self.fatal = Some(error.clone());
        }
        done
    }
}

#[cfg(test)]
mod tests;

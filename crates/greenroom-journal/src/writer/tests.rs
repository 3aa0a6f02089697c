//! Groups, refusals and the end of the thread, with a backend that does what it is told.

use std::sync::mpsc;

use greenroom_core::ids::RunId;
use greenroom_core::journal::Event;

use super::*;

/// What the backend does with the next group: this, or what it does of itself.
type Script = mpsc::Receiver<Result<(), JournalError>>;

/// Each group waits for a word of its script, and is noted.
struct Scripted {
    script: Script,
    groups: mpsc::Sender<usize>,
    /// A group with this stream fails.
    damaged: Option<StreamId>,
}

impl Backend for Scripted {
    fn check(&mut self) -> Result<(), JournalError> {
        Ok(())
    }

    fn append(
        &mut self,
        group: &[(StreamId, Arc<[Recorded]>)],
    ) -> Result<Vec<Answer>, JournalError> {
        let _ = self.groups.send(group.len());
        self.script.recv().unwrap_or(Ok(()))?;
        if group.iter().any(|(stream, _)| Some(stream) == self.damaged.as_ref()) {
            return Err(error(JournalErrorKind::Corrupt));
        }
        Ok(group.iter().map(|_| Ok(())).collect())
    }

    fn flush(&mut self) -> Result<(), JournalError> {
        let _ = self.groups.send(0);
        Ok(())
    }

    fn purge(&mut self, _: Timestamp, _: usize) -> Result<usize, JournalError> {
        Ok(0)
    }
}

fn error(kind: JournalErrorKind) -> JournalError {
    JournalError::new(kind, "on purpose")
}

struct World {
    writer: Writer,
    script: mpsc::Sender<Result<(), JournalError>>,
    groups: mpsc::Receiver<usize>,
}

fn world(damaged: Option<StreamId>) -> World {
    let (script, words) = mpsc::channel();
    let (noted, groups) = mpsc::channel();
    let backend = Scripted { script: words, groups: noted, damaged };
    World { writer: Writer::start(backend).expect("there is a thread"), script, groups }
}

fn stream(n: u128) -> StreamId {
    StreamId::root(RunId::from_bits(n))
}

fn one() -> Arc<[Recorded]> {
    let at = Timestamp::from_millis(7);
    [Recorded { seq: 0, at, event: Event::GatheringEnded }].into()
}

impl World {
    fn append(&self, n: u128) -> BoxFuture<'static, Answer> {
        self.writer.append(&stream(n), one())
    }
}

#[tokio::test]
async fn what_waits_for_the_disk_goes_to_it_together_and_not_all_at_once() {
    let world = world(None);
    let first = world.append(0);
    assert_eq!(world.groups.recv(), Ok(1), "nobody waits for company");
    let others: Vec<_> = (1..=600).map(|n| world.append(n)).collect();
    let settled = world.writer.settle();
    for _ in 0..4 {
        world.script.send(Ok(())).expect("the backend listens");
    }
    assert_eq!(first.await, Ok(()));
    for other in others {
        assert_eq!(other.await, Ok(()));
    }
    assert_eq!(settled.await, Ok(()));
    assert_eq!(world.groups.try_iter().collect::<Vec<_>>(), [256, 256, 88]);
}

#[tokio::test]
async fn after_an_error_of_the_disk_nothing_is_believed_and_nothing_tried() {
    let world = world(None);
    let first = world.append(0);
    assert_eq!(world.groups.recv(), Ok(1));
    let second = world.append(1);
    let settled = world.writer.settle();
    world.script.send(Err(error(JournalErrorKind::Fatal))).expect("the backend listens");
    let of = |n| Err(of(&stream(n), error(JournalErrorKind::Fatal)));
    assert_eq!(first.await, of(0));
    assert_eq!(second.await, of(1), "it was called before anybody knew");
    assert_eq!(settled.await, Err(error(JournalErrorKind::Fatal)), "reading is refused, too");
    assert_eq!(world.append(2).await, of(2));
    let purged = world.writer.purge(Timestamp::from_millis(1), 1).await;
    assert_eq!(purged, Err(error(JournalErrorKind::Fatal)));
    assert_eq!(world.groups.try_iter().count(), 0, "an fsync is not tried again");
}

#[tokio::test]
async fn a_disk_that_is_full_is_tried_again() {
    let world = world(None);
    world.script.send(Err(error(JournalErrorKind::Full))).expect("the backend listens");
    world.script.send(Ok(())).expect("the backend listens");
    assert_eq!(world.append(0).await.map_err(|error| error.kind), Err(JournalErrorKind::Full));
    assert_eq!(world.append(0).await, Ok(()));
}

#[tokio::test]
async fn a_damaged_stream_refuses_nobody_that_was_written_with_it() {
    let world = world(Some(stream(2)));
    let first = world.append(0);
    assert_eq!(world.groups.recv(), Ok(1));
    let others: Vec<_> = (1..=3).map(|n| world.append(n)).collect();
    for _ in 0..5 {
        world.script.send(Ok(())).expect("the backend listens");
    }
    assert_eq!(first.await, Ok(()));
    let mut kinds = Vec::new();
    for other in others {
        kinds.push(other.await.map_err(|error| (error.kind, error.stream)));
    }
    assert_eq!(kinds, [Ok(()), Err((JournalErrorKind::Corrupt, Some(stream(2)))), Ok(())]);
}

#[tokio::test]
async fn what_waits_has_a_bound() {
    let world = world(None);
    let first = world.append(0);
    assert_eq!(world.groups.recv(), Ok(1));
    let waiting: Vec<_> = (0..JOBS_MAX as u128).map(|n| world.append(n)).collect();
    let refused = world.append(0).await.map_err(|error| error.kind);
    assert_eq!(refused, Err(JournalErrorKind::Unavailable));
    drop(world.script);
    assert_eq!(first.await, Ok(()));
    for append in waiting {
        assert_eq!(append.await, Ok(()));
    }
}

#[tokio::test]
async fn dropping_the_writer_waits_for_what_was_appended() {
    let world = world(None);
    drop(world.append(0));
    drop(world.append(1));
    world.script.send(Ok(())).expect("the backend listens");
    world.script.send(Ok(())).expect("the backend listens");
    drop(world.writer);
    assert_eq!(world.groups.iter().sum::<usize>(), 2);
}

#[tokio::test]
async fn a_flush_comes_after_everything_that_was_appended_before_it() {
    let world = world(None);
    let appended = [1, 2].map(|n| world.writer.append(&stream(n), Arc::from([])));
    let flushed = world.writer.flush();
    drop(world.script);
    assert_eq!(flushed.await, Ok(()));
    for append in appended {
        assert_eq!(append.await, Ok(()));
    }
    let groups: Vec<_> = world.groups.try_iter().collect();
    assert_eq!((groups.iter().sum::<usize>(), groups.last()), (2, Some(&0)), "{groups:?}");
}

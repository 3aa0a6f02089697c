//! Restarts that count beyond the process. A process is a runtime of tokio, which dies by being dropped.

use greenroom_core::ids::StreamId;
use greenroom_core::journal::{Event, Journal, MemoryJournal, Recorded};
use greenroom_core::supervision::{AdminError, ExitReason, Strategy, SupervisorSpec};
use greenroom_core::time::Timestamp;
use greenroom_journal::SqliteJournal;
use tokio::time::{Instant, sleep};

use super::{Do, HOUR, SECOND, SOON, Script, Stage, Trace, Tree, end, settle, worker};
use crate::persistence::{Mood, MoodyJournal};
use crate::recovery::{process, real, runtime};

/// Three restarts in an hour, in whichever process.
fn durable() -> SupervisorSpec {
    SupervisorSpec::new(Strategy::OneForOne).intensity(3, HOUR).durable()
}

/// A process with this journal, whose clock shows so many seconds at first.
async fn stage(journal: impl Journal, seconds: u64) -> Stage {
    Stage { runtime: runtime(journal, seconds, seconds).await, trace: Trace::default() }
}

impl Stage {
    async fn durable(&self) -> Tree {
        self.tree(durable(), ["a", "b"], worker).await
    }

    /// Starts the tree of a process that is one too many.
    async fn refused(&self) {
        let (agent, start) = self.child("a", &Script::default());
        let started = self.runtime.supervise("tree", durable(), vec![(worker("a"), start)]).await;
        let cause = ExitReason::IntensityExceeded { child: "tree".into() };
        assert_eq!(started.map(drop), Err(AdminError::StartFailed { cause }));
        assert_eq!(self.trace.take(), "", "nothing was started");
        assert!(agent.send(Do::Crash).await.is_err(), "nobody waits for it");
    }

    /// How often the tree itself was restarted in this process, because it gave up.
    async fn n_given_up(&self) -> u64 {
        settle().await;
        self.seen("tree").await.expect("it is there").n_restarts
    }
}

impl Tree {
    async fn crash(&self, n: usize) {
        self.agents[n].send(Do::Crash).await.expect("it lives");
        settle().await;
    }
}

#[test]
fn sup_e07_restarts_count_beyond_the_process() {
    let journal = MemoryJournal::new();
    process(async {
        let stage = stage(journal.clone(), 0).await;
        let tree = stage.durable().await;
        tree.crash(0).await;
        tree.crash(1).await;
        assert_eq!(stage.n_given_up().await, 0);
        end(stage.runtime).await;
    });
    process(async {
        let stage = stage(journal.clone(), 3_000).await;
        let tree = stage.durable().await;
        tree.crash(0).await;
        assert_eq!((stage.n_given_up().await, stage.trace.take().as_str()), (0, "+a"));
        tree.crash(0).await;
        assert_eq!(stage.n_given_up().await, 1, "two of the process before, and two");
        // It is back, and has none left.
        tree.crash(1).await;
        assert_eq!(stage.n_given_up().await, 2);
        end(stage.runtime).await;
    });
    // The first two are an hour old.
    process(async {
        let stage = stage(journal.clone(), 3_700).await;
        let tree = stage.durable().await;
        tree.crash(0).await;
        assert_eq!(stage.n_given_up().await, 1, "three of the process before, and one");
        end(stage.runtime).await;
    });
    process(async {
        let stage = stage(journal.clone(), 3_000 + 3_600 + 60).await;
        let tree = stage.durable().await;
        tree.crash(0).await;
        tree.crash(0).await;
        assert_eq!(stage.n_given_up().await, 0, "one of the process before, and two");
        end(stage.runtime).await;
    });
}

/// A supervisor that does not ask for it begins anew, and writes nothing.
#[test]
fn sup_e07_other_supervisors_count_for_their_process() {
    let journal = MemoryJournal::new();
    for seconds in [0, 10, 20] {
        process(async {
            let stage = stage(journal.clone(), seconds).await;
            let spec = SupervisorSpec { durable: false, ..durable() };
            let tree = stage.tree(spec, ["a"], worker).await;
            for _ in 0..3 {
                tree.crash(0).await;
            }
            assert_eq!(stage.n_given_up().await, 0);
        });
    }
    assert_eq!(journal.n_events(), 0);
}

#[test]
fn sup_e07_a_loop_of_deaths_and_boots_comes_to_an_end() {
    let journal = MemoryJournal::new();
    let lives = |seconds| {
        process(async {
            let stage = stage(journal.clone(), seconds).await;
            stage.durable().await;
            sleep(SECOND).await;
        });
    };
    let is_refused = |seconds| {
        process(async {
            let stage = stage(journal.clone(), seconds).await;
            stage.refused().await;
            end(stage.runtime).await;
        });
    };
    [100, 200, 300, 400].into_iter().for_each(lives);
    // Four deaths. That nothing is started makes no more of them, however often it is tried.
    [500, 600, 3_800].into_iter().for_each(is_refused);
    // The first one is too old.
    lives(3_801);
    is_refused(3_802);
}

/// Over a file, and in real time: the disk does not wait in virtual time.
#[test]
fn sup_e07_restarts_and_deaths_count_in_the_durable_journal() {
    let dir = tempfile::tempdir().expect("there is a directory for it");
    let life = |seconds, n_crashes| {
        real(async {
            let journal = SqliteJournal::open(dir.path()).expect("nobody owns it any more");
            let stage = stage(journal, seconds).await;
            if n_crashes == 9 {
                return stage.refused().await;
            }
            let tree = stage.durable().await;
            for n in 0..n_crashes {
                tree.agents[0].send(Do::Crash).await.expect("it lives");
                let generation = tree.agents[0].ask(SOON, Do::Generation).await;
                assert_eq!(generation, Ok(n + 2));
            }
        });
    };
    life(100, 1);
    life(200, 1);
    life(300, 9);
    life(3_600 + 101, 0);
}

#[tokio::test(start_paused = true)]
async fn sup_e07_a_restart_is_stored_before_it_is_made_and_the_supervisor_answers_meanwhile() {
    let journal = MoodyJournal::default();
    let stage = stage(journal.clone(), 0).await;
    let tree = stage.durable().await;
    journal.set(Mood::Slow(SECOND));
    tree.crash(0).await;
    let (_, start) = stage.child("c", &Script::default());
    let look = async {
        sleep(SECOND / 2).await;
        assert_eq!(stage.trace.take(), "", "it is not stored");
        assert_eq!(tree.supervisor.which_children().await.len(), 3, "it answers");
        sleep(SECOND).await;
        assert_eq!(stage.trace.take(), "+a +c", "and what was asked for meanwhile is done");
    };
    let (added, ()) = tokio::join!(tree.supervisor.start_child(worker("c"), start), look);
    assert!(added.is_ok());
    assert_eq!(tree.generations().await, [2, 1]);

    // One that is away holds nothing up for longer than five seconds.
    journal.set(Mood::Away);
    tree.crash(1).await;
    sleep(4 * SECOND).await;
    assert_eq!(stage.trace.take(), "");
    sleep(2 * SECOND).await;
    assert_eq!(stage.trace.take(), "+b");
    let begun = Instant::now();
    end(stage.runtime).await;
    assert!(begun.elapsed() <= 6 * SECOND, "{:?}", begun.elapsed());
}

#[test]
fn sup_e07_what_the_journal_missed_is_made_up_for() {
    let journal = MoodyJournal::default();
    process(async {
        let stage = stage(journal.clone(), 0).await;
        let tree = stage.durable().await;
        for mood in [Mood::Away, Mood::Prompt] {
            journal.set(mood);
            tree.crash(0).await;
            sleep(6 * SECOND).await;
        }
        assert_eq!(stage.trace.take(), "+a +a");
    });
    process(async {
        let stage = stage(journal.clone(), 100).await;
        let tree = stage.durable().await;
        tree.crash(0).await;
        assert_eq!(stage.n_given_up().await, 1, "two restarts, a death, and one more");
    });
}

#[test]
fn sup_e07_a_stream_that_is_something_else_is_a_failed_start() {
    let journal = MemoryJournal::new();
    let stream = StreamId::of_agent("tree".into()).child(&"restarts".into());
    let event = Event::ActorEvent { payload: serde_json::json!({ "deposited": 5 }) };
    let stored = journal.append(&stream, Recorded::sequence(0, Timestamp::from_millis(0), [event]));
    process(stored).expect("the stream is empty");
    process(async {
        let stage = stage(journal.clone(), 0).await;
        let started = stage.runtime.supervise("tree", durable(), vec![]).await;
        let Err(AdminError::StartFailed { cause: ExitReason::Failed(why) }) = started else {
            panic!("{started:?}");
        };
        assert!(why.as_str().contains("its restarts"), "{why}");
        end(stage.runtime).await;
    });
}

//! Runs that are paused: they fall asleep, in whichever process, lose no time, and go on when they are resumed.

use std::time::Duration;

use greenroom_core::budget::Budget;
use greenroom_core::ids::{RunId, StreamId};
use greenroom_core::journal::{Event, Journal};
use greenroom_core::report::{Goal, TaskFailureKind};
use greenroom_runtime::{ControlError, Run, Runtime};
use tokio::time::sleep;

use super::asleep::{answered, asleep, n_of_runs, team};
use super::{World, n_said, pending, text};
use crate::recovery::{process, recover, runtime, unfinished};

const HOUR: Duration = Duration::from_secs(3_600);

/// A process that finds the run asleep and starts nothing for it.
fn next<O: Clone + Send + Sync + 'static>(
    world: &World,
    n_life: u64,
    attach: impl AsyncFnOnce(&Runtime) -> Run<O>,
    life: impl AsyncFnOnce(&Runtime, Run<O>),
) {
    process(async {
        let runtime = runtime(world.journal.clone(), n_life, 20_000 * n_life).await;
        let run = attach(&runtime).await;
        assert!(run.asleep_until().is_some());
        life(&runtime, run).await;
    });
}

#[test]
fn a_run_that_is_paused_has_no_actors_and_goes_on_when_it_is_resumed() {
    for n_processes in [1, 3] {
        let world = World::new(&[("look", 1)]);
        let id = process(async {
            let runtime = runtime(world.journal.clone(), 1, 0).await;
            let agent = world.agent(&runtime);
            let before = n_of_runs(&runtime);
            let run = agent.start("go").await.expect("accepted");
            sleep(Duration::from_millis(500)).await;
            assert_eq!(runtime.pause(run.id()).await, Ok(()));
            asleep(&run).await;
            assert_eq!(n_of_runs(&runtime), before);
            for _ in 0..2 {
                assert_eq!(runtime.steer(run.id(), "m1", "be quick").await, Ok(()));
            }
            sleep(5 * HOUR).await;
            assert_eq!((n_of_runs(&runtime), world.looked.calls().n_begun()), (before, 0));
            if n_processes == 1 {
                assert_eq!(runtime.resume(run.id()).await, Ok(()));
                assert_eq!(text(&run).await, "1");
            }
            run.id()
        });
        for n_life in 2..=n_processes {
            let attach = async |runtime: &Runtime| {
                let agent = world.agent(runtime);
                recover(runtime).await;
                agent.attach(id).await.expect("memory answers").expect("it is known")
            };
            next(&world, n_life, attach, async |runtime, run| {
                assert_eq!(n_of_runs(runtime), 0);
                if n_life == n_processes {
                    assert_eq!(runtime.resume(id).await, Ok(()));
                    assert_eq!(text(&run).await, "1");
                }
            });
        }
        let calls = (world.model.calls().n_begun(), world.looked.calls().n_begun());
        assert_eq!((calls, n_said(&world.model.calls(), "be quick")), ((2, 1), 1));
        assert_eq!(unfinished(&world.journal), []);
    }
}

/// The process died before the run fell asleep, so the next one starts it, and it is paused there.
#[test]
fn a_run_that_is_started_by_the_next_process_is_still_paused() {
    let world = World::new(&[("look", 1)]);
    process(async {
        let runtime = runtime(world.journal.clone(), 1, 0).await;
        let run = world.agent(&runtime).start("go").await.expect("accepted");
        assert_eq!(runtime.pause(run.id()).await, Ok(()));
        sleep(Duration::from_millis(1_500)).await;
        assert_eq!(run.asleep_until(), None);
    });
    world.next(2, async |runtime, run| {
        assert_eq!(run.asleep_until(), None);
        sleep(HOUR).await;
        assert!(run.asleep_until().is_some());
        assert_eq!((world.model.calls().n_begun(), world.looked.calls().n_begun()), (1, 0));
        assert_eq!(runtime.resume(run.id()).await, Ok(()));
        assert_eq!(text(&run).await, "1");
        runtime.shutdown().await;
    });
}

/// A process that has not taken the run over, as a command line's, resumes it with one word.
#[test]
fn a_paused_run_of_another_process_is_resumed_without_being_recovered_first() {
    for is_asleep in [false, true] {
        let world = World::new(&[("look", 1)]);
        let id = process(async {
            let runtime = runtime(world.journal.clone(), 1, 0).await;
            let run = world.agent(&runtime).start("go").await.expect("accepted");
            assert_eq!(runtime.pause(run.id()).await, Ok(()));
            if is_asleep {
                asleep(&run).await;
            }
            run.id()
        });
        process(async {
            let runtime = runtime(world.journal.clone(), 2, 100).await;
            let agent = world.agent(&runtime);
            assert_eq!(runtime.resume(id).await, Ok(()));
            let run = agent.attach(id).await.expect("memory answers").expect("it is known");
            assert_eq!(text(&run).await, "1", "{is_asleep}");
            runtime.shutdown().await;
        });
        assert_eq!(unfinished(&world.journal), []);
    }
}

fn goal() -> Goal {
    let budget = Budget { wall_max: Duration::from_secs(60), ..Budget::default() };
    Goal { budget, ..Goal::new("Pay and look.") }
}

/// Wherever it is, and however long that takes: no call is made twice, and none is missing.
#[test]
fn a_team_is_paused_and_resumed_at_any_moment_and_loses_no_time() {
    for millis in (0..6_500).step_by(500) {
        let world = World::new(&[]);
        process(async {
            let runtime = runtime(world.journal.clone(), 1, 0).await;
            let team = team(&world, &runtime).await;
            let before = n_of_runs(&runtime);
            let run = team.submit(goal()).await.expect("accepted");
            sleep(Duration::from_millis(millis)).await;
            assert_eq!(runtime.pause(run.id()).await, Ok(()), "{millis}");
            asleep(&run).await;
            assert_eq!(n_of_runs(&runtime), before, "{millis}");
            sleep(5 * HOUR).await;
            assert_eq!(runtime.resume(run.id()).await, Ok(()), "{millis}");
            let asked = pending(&runtime, run.id()).await.remove(0);
            answered(&runtime, &run, &asked).await;
        });
        assert_eq!((world.n_paid(), unfinished(&world.journal)), (1, vec![]), "{millis}");
    }
}

#[test]
fn a_team_that_is_paused_sleeps_on_in_the_next_process() {
    let world = World::new(&[]);
    let id: RunId = process(async {
        let runtime = runtime(world.journal.clone(), 1, 0).await;
        let run = team(&world, &runtime).await.submit(goal()).await.expect("accepted");
        sleep(Duration::from_millis(1_500)).await;
        assert_eq!(runtime.pause(run.id()).await, Ok(()));
        asleep(&run).await;
        run.id()
    });
    for n_life in 2..=3 {
        let attach = async |runtime: &Runtime| {
            let team = team(&world, runtime).await;
            recover(runtime).await;
            team.attach(id).await.expect("memory answers").expect("it is known")
        };
        next(&world, n_life, attach, async |runtime, run| {
            if n_life == 3 {
                assert_eq!(runtime.steer(id, "m1", "be quick").await, Ok(()));
                assert_eq!(runtime.resume(id).await, Ok(()));
                let asked = pending(runtime, id).await.remove(0);
                answered(runtime, &run, &asked).await;
            }
        });
    }
    assert_eq!((world.n_paid(), unfinished(&world.journal)), (1, vec![]));
    let mut told = Vec::new();
    for stream in process(world.journal.streams(id)).expect("memory answers") {
        let events = process(world.journal.load(&stream)).expect("memory answers");
        let is_told = |event: &Event| matches!(event, Event::MessageDelivered { .. });
        if events.iter().any(|recorded| is_told(&recorded.event)) {
            told.push(stream.path().to_owned());
        }
    }
    assert_eq!(told, ["t1", "t2"], "those who are at work, and not their router");
}

/// Only the root stream says that it is paused: its agents learn it when they begin again, in any process.
#[test]
fn a_team_that_is_paused_while_it_sleeps_begins_nothing_when_it_wakes() {
    for n_processes in [1, 2] {
        let world = World::new(&[]);
        let (id, asked) = process(async {
            let runtime = runtime(world.journal.clone(), 1, 0).await;
            let run = team(&world, &runtime).await.submit(goal()).await.expect("accepted");
            let asked = pending(&runtime, run.id()).await.remove(0);
            asleep(&run).await;
            assert_eq!(runtime.pause(run.id()).await, Ok(()));
            if n_processes == 1 {
                assert_eq!(runtime.approve(&asked, "ann").await, Ok(()));
                sleep(HOUR).await;
                assert_eq!((world.n_paid(), run.asleep_until().is_some()), (0, true));
            }
            (run.id(), asked)
        });
        process(async {
            let runtime = runtime(world.journal.clone(), 2, 40_000).await;
            let team = team(&world, &runtime).await;
            if n_processes == 2 {
                assert_eq!(runtime.approve(&asked, "ann").await, Ok(()));
            }
            recover(&runtime).await;
            sleep(HOUR).await;
            let run = team.attach(id).await.expect("memory answers").expect("it is known");
            assert_eq!((world.n_paid(), run.asleep_until().is_some()), (0, true));
            assert_eq!(runtime.resume(id).await, Ok(()));
            let outcome = run.outcome().await;
            assert!(outcome.answer.contains("done 1, 1"), "{}", outcome.answer);
            runtime.shutdown().await;
        });
        assert_eq!((world.n_paid(), unfinished(&world.journal)), (1, vec![]));
    }
}

/// Nobody sleeps without an alarm, and nothing comes of it but another look.
#[test]
fn a_paused_run_is_looked_at_once_a_day() {
    let world = World::new(&[("look", 1)]);
    process(async {
        let runtime = runtime(world.journal.clone(), 1, 0).await;
        let run = world.agent(&runtime).start("go").await.expect("accepted");
        assert_eq!(runtime.pause(run.id()).await, Ok(()));
        sleep(10 * 24 * HOUR + HOUR).await;
        let stored = world.journal.load(&StreamId::root(run.id())).await.expect("memory answers");
        let is_asleep = |event: &Event| matches!(event, Event::RunAsleep { .. });
        assert_eq!(stored.iter().filter(|recorded| is_asleep(&recorded.event)).count(), 11);
        assert!(run.asleep_until().is_some());
        runtime.resume(run.id()).await.expect("it goes on");
        assert_eq!(text(&run).await, "1");
        runtime.shutdown().await;
    });
}

#[test]
fn a_paused_run_is_answered_and_cancelled_like_any_other() {
    let world = World::new(&[("pay", 1)]);
    process(async {
        let runtime = runtime(world.journal.clone(), 1, 0).await;
        for is_cancelled in [false, true] {
            let run = world.agent(&runtime).start("go").await.expect("accepted");
            let asked = pending(&runtime, run.id()).await.remove(0);
            assert_eq!(runtime.pause(run.id()).await, Ok(()));
            asleep(&run).await;
            if is_cancelled {
                assert_eq!(runtime.cancel(run.id()).await, Ok(()));
                let failure = run.outcome().await.expect_err("cancelled");
                assert_eq!(failure.kind, TaskFailureKind::Cancelled);
                assert_eq!(runtime.approve(&asked, "ann").await, Err(ControlError::Over));
                continue;
            }
            assert_eq!(runtime.approve(&asked, "ann").await, Ok(()));
            sleep(HOUR).await;
            assert_eq!((world.n_paid(), run.asleep_until().is_some()), (0, true), "it is paused");
            runtime.resume(run.id()).await.expect("it goes on");
            assert_eq!(text(&run).await, "1");
        }
        runtime.shutdown().await;
    });
    assert_eq!(world.n_paid(), 1);
}

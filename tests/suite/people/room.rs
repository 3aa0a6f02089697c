//! Runs that sleep take no room among those that a runtime may have at work.

use futures_util::future::join_all;
use greenroom_core::ids::RunId;
use greenroom_core::journal::MemoryJournal;
use greenroom_runtime::{HealthState, RunError, Runtime, SystemClock};
use greenroom_testkit::{ScriptedModel, ScriptedReply};

use super::asleep::asleep;
use super::{World, pending, text};
use crate::recovery::{process, recover, unfinished};

/// A runtime with room for two runs, and for twenty that sleep.
async fn runtime(journal: &MemoryJournal, seed: u64) -> Runtime {
    let builder = Runtime::builder().journal(journal.clone()).runs_max(2).seed(seed);
    builder.clock(SystemClock::new()).start().await.expect("a runtime starts")
}

/// Has two runs at work that never end.
async fn fill(runtime: &Runtime) {
    let hanging = ScriptedModel::answering(|_| ScriptedReply::hang(""));
    let hanging = runtime.agent("hanging").model(hanging).build().expect("complete");
    for _ in 0..2 {
        hanging.start("go").await.expect("there is room");
    }
    assert_eq!(runtime.health().state, HealthState::Full);
    assert_eq!(hanging.start("go").await.err(), Some(RunError::TooManyRuns));
}

#[test]
fn runs_that_sleep_take_no_room_and_wake_whether_there_is_some_or_not() {
    let world = World::new(&[("pay", 1)]);
    process(async {
        let runtime = runtime(&world.journal, 1).await;
        let agent = world.agent(&runtime);
        let mut runs = Vec::new();
        for _ in 0..20 {
            runs.push(agent.start("go").await.expect("there is room"));
            asleep(runs.last().expect("just begun")).await;
            assert_eq!(runtime.health().state, HealthState::Ready);
        }
        fill(&runtime).await;
        let asked = join_all(runs.iter().map(|run| pending(&runtime, run.id()))).await;
        let answers = asked.iter().map(|asked| runtime.approve(&asked[0], "ann"));
        assert!(join_all(answers).await.iter().all(Result::is_ok));
        for run in &runs {
            assert_eq!(text(run).await, "1");
        }
        assert_eq!(runtime.health().state, HealthState::Full, "no room came of it");
        assert_eq!(runtime.health().n_runs, 2);
        runtime.shutdown().await;
    });
    assert_eq!(world.n_paid(), 20);
}

#[test]
fn a_run_that_wakes_takes_room_again() {
    let world = World::new(&[("pay", 1)]);
    process(async {
        let runtime = runtime(&world.journal, 1).await;
        let agent = world.agent(&runtime);
        let run = agent.start("go").await.expect("there is room");
        asleep(&run).await;
        let asked = pending(&runtime, run.id()).await.remove(0);
        let other = agent.start("go").await.expect("there is room");
        assert_eq!(runtime.health().state, HealthState::Ready);
        assert_eq!(runtime.approve(&asked, "ann").await, Ok(()));
        assert_eq!(runtime.health().state, HealthState::Full);
        assert_eq!(text(&run).await, "1");
        other.cancel();
        assert!(other.outcome().await.is_err());
        assert_eq!((runtime.health().state, runtime.health().n_runs), (HealthState::Ready, 0));
        runtime.shutdown().await;
    });
}

/// What a runtime has in memory is bounded: the twenty-first keeps its place.
#[test]
fn a_runtime_has_ten_times_as_many_runs_asleep_as_it_may_have_at_work() {
    let world = World::new(&[("pay", 1)]);
    process(async {
        let runtime = runtime(&world.journal, 1).await;
        let agent = world.agent(&runtime);
        let mut runs = Vec::new();
        for _ in 0..22 {
            runs.push(agent.start("go").await.expect("there is room"));
            asleep(runs.last().expect("just begun")).await;
        }
        assert_eq!(runtime.health().state, HealthState::Full);
        assert_eq!(agent.start("go").await.err(), Some(RunError::TooManyRuns));
        let asked = pending(&runtime, runs[21].id()).await.remove(0);
        assert_eq!(runtime.approve(&asked, "ann").await, Ok(()));
        assert_eq!(text(&runs[21]).await, "1");
        assert_eq!(runtime.health().state, HealthState::Ready);
        agent.start("go").await.expect("there is room again");
        runtime.shutdown().await;
    });
}

#[test]
fn a_full_runtime_takes_over_runs_that_sleep_and_answers_them() {
    let world = World::new(&[("pay", 1)]);
    process(async {
        let runtime = runtime(&world.journal, 1).await;
        let agent = world.agent(&runtime);
        for _ in 0..3 {
            asleep(&agent.start("go").await.expect("there is room")).await;
        }
    });
    let runs: Vec<RunId> = unfinished(&world.journal);
    process(async {
        let runtime = runtime(&world.journal, 2).await;
        let agent = world.agent(&runtime);
        fill(&runtime).await;
        // Nobody has them at work here.
        let asked = pending(&runtime, runs[0]).await.remove(0);
        assert_eq!(runtime.approve(&asked, "ann").await, Ok(()));
        assert_eq!(runtime.cancel(runs[1]).await, Ok(()));
        assert_eq!(recover(&runtime).await, [runs[2]], "the first one is awake, and needs room");
        let asked = pending(&runtime, runs[2]).await.remove(0);
        assert_eq!(runtime.approve(&asked, "ann").await, Ok(()));
        let run = agent.attach(runs[2]).await.expect("memory answers").expect("it is known");
        assert_eq!(text(&run).await, "1");
        runtime.shutdown().await;
    });
}

//! Restart types, intensity, escalation and backoff.

use std::sync::atomic::Ordering;
use std::time::Duration;

use greenroom_core::supervision::{
    AdminError, Backoff, ChildState, ExitReason, Intensity, Restart, Strategy, SupervisorSpec,
};
use greenroom_runtime::{AgentState, AskError, DeadReason};
use tokio::time::Instant;

use super::{Do, HOUR, SECOND, SOON, Stage, seen, settle, worker};

const MS: Duration = Duration::from_millis(1);

fn one_for_one(restarts_max: u32) -> SupervisorSpec {
    SupervisorSpec::new(Strategy::OneForOne).intensity(restarts_max, HOUR)
}

async fn check_restarts(restart: Restart, how: fn() -> Do, expect: bool) {
    let stage = Stage::new().await;
    let tree = stage.tree(one_for_one(5), ["a"], |name| worker(name).restart(restart)).await;
    tree.agents[0].send(how()).await.expect("it lives");
    settle().await;
    let is_up = tree.state("a").await == Some(ChildState::Running);
    assert_eq!(is_up, expect, "{restart:?}");
    if !expect {
        let answer = tree.agents[0].ask(SOON, Do::Generation).await;
        assert_eq!(answer, Err(AskError::Dead(DeadReason::Stopped)), "{restart:?}");
        assert_eq!(tree.agents[0].info().state, AgentState::Stopped);
    }
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_c01_c02_c04_restart_types_decide_by_the_kind_of_ending() {
    for how in [|| Do::Crash, || Do::Fail] {
        check_restarts(Restart::Permanent, how, true).await;
        check_restarts(Restart::Transient, how, true).await;
        check_restarts(Restart::Temporary, how, false).await;
    }
    check_restarts(Restart::Permanent, || Do::Stop, true).await;
    check_restarts(Restart::Transient, || Do::Stop, false).await;
    check_restarts(Restart::Temporary, || Do::Stop, false).await;
}

#[tokio::test(start_paused = true)]
async fn sup_c03_b03_b04_a_stopped_child_is_started_again_by_hand() {
    let stage = Stage::new().await;
    let tree =
        stage.tree(one_for_one(0), ["a"], |name| worker(name).restart(Restart::Transient)).await;
    let supervisor = &tree.supervisor;
    assert_eq!(supervisor.restart_child("a").await, Err(AdminError::Running));
    assert_eq!(supervisor.delete_child("a").await, Err(AdminError::Running));
    tree.agents[0].send(Do::Stop).await.expect("it lives");
    settle().await;
    assert_eq!(tree.state("a").await, Some(ChildState::Stopped));
    assert!(tree.agents[0].send(Do::Note("lost")).await.is_err(), "handed back, not queued");
    supervisor.restart_child("a").await.expect("it starts");
    assert_eq!(tree.generations().await, [2], "the mailbox is open again");
    supervisor.terminate_child("a").await.expect("it stops");
    supervisor.terminate_child("a").await.expect("it is stopped already");
    assert_eq!(
        tree.agents[0].ask(HOUR, Do::Generation).await,
        Err(AskError::Dead(DeadReason::Stopped))
    );
    supervisor.restart_child("a").await.expect("it starts");
    for _ in 0..200 {
        tree.agents[0].send(Do::Note("more than fits at once")).await.expect("there is room again");
    }
    assert_eq!(tree.generations().await, [3]);
    supervisor.terminate_child("a").await.expect("it stops");
    supervisor.delete_child("a").await.expect("it is stopped");
    assert_eq!(supervisor.restart_child("a").await, Err(AdminError::NotFound));
    assert_eq!(supervisor.terminate_child("a").await, Err(AdminError::NotFound));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_e01_e06_the_parent_sees_the_escalation_and_restarts_the_supervisor() {
    let stage = Stage::new().await;
    let tree = stage.tree(one_for_one(2), ["a", "b", "c"], worker).await;
    for _ in 0..2 {
        tree.agents[1].send(Do::Crash).await.expect("it lives");
        settle().await;
    }
    assert_eq!(stage.trace.take(), "+b +b");
    assert_eq!(stage.seen("tree").await.map(|child| child.n_restarts), Some(0));
    tree.agents[1].send(Do::Crash).await.expect("it lives");
    settle().await;
    assert_eq!(stage.trace.take(), "-c -a +a +b +c", "stopped in reverse, then made anew");
    assert_eq!(stage.seen("tree").await.map(|child| child.n_restarts), Some(1));
    assert_eq!(tree.generations().await, [2, 4, 2], "the addresses go on");
    assert_eq!(tree.state("b").await, Some(ChildState::Running), "and the supervisor's does");
    for script in &tree.scripts {
        assert_eq!(script.n_alive.load(Ordering::Relaxed), 1, "no child is orphaned or doubled");
    }
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_e02_failures_further_apart_than_the_period_are_survived() {
    let stage = Stage::new().await;
    let spec = SupervisorSpec::new(Strategy::OneForOne).intensity(1, SECOND);
    let tree = stage.tree(spec, ["a"], worker).await;
    for _ in 0..4 {
        tree.agents[0].send(Do::Crash).await.expect("it lives");
        tokio::time::sleep(Duration::from_millis(2100)).await;
    }
    assert_eq!(tree.generations().await, [5]);
    assert_eq!(stage.seen("tree").await.map(|child| child.n_restarts), Some(0));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_e03_with_no_restart_allowed_the_first_failure_escalates() {
    let stage = Stage::new().await;
    let tree = stage.tree(one_for_one(0), ["a"], worker).await;
    tree.agents[0].send(Do::Fail).await.expect("it lives");
    settle().await;
    assert_eq!(stage.seen("tree").await.map(|child| child.n_restarts), Some(1));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_d07_a_start_that_keeps_failing_uses_up_the_intensity_and_the_siblings_are_stopped() {
    let stage = Stage::new().await;
    let tree = stage.tree(one_for_one(4), ["a", "b"], worker).await;
    tree.scripts[1].n_bad_starts.store(4, Ordering::Relaxed);
    tree.agents[1].send(Do::Crash).await.expect("it lives");
    settle().await;
    assert_eq!(stage.trace.take(), "!b !b !b !b -a +a +b");
    assert_eq!(stage.seen("tree").await.map(|child| child.n_restarts), Some(1));
    stage.end().await;
}

/// The limit of one child is nobody else's: what the team's supervisor does with a crash loop.
#[tokio::test(start_paused = true)]
async fn a_crash_loop_of_one_actor_does_not_take_the_others_along() {
    let stage = Stage::new().await;
    let (bystander, _) = stage.spawn(worker("bystander"), "bystander").await;
    let (looping, _) = stage.spawn(worker("looping"), "looping").await;
    for _ in 0..30 {
        let _ = looping.try_send(Do::Crash);
        settle().await;
    }
    assert_eq!(bystander.ask(SOON, Do::Generation).await, Ok(1));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_dynamic_child_that_exceeds_its_own_intensity_is_given_up_alone() {
    let stage = Stage::new().await;
    let (other, _) = stage.spawn(worker("other"), "other").await;
    let spec = worker("a").intensity(Intensity::new(2, HOUR));
    let (agent, _) = stage.spawn(spec, "a").await;
    for _ in 0..3 {
        agent.send(Do::Crash).await.expect("it lives");
        settle().await;
    }
    assert_eq!(stage.trace.take(), "+a +a");
    assert_eq!(agent.ask(SOON, Do::Generation).await, Err(AskError::Dead(DeadReason::Stopped)));
    assert_eq!(other.ask(SOON, Do::Generation).await, Ok(1));
    stage.end().await;
}

fn doubling() -> Backoff {
    Backoff::new(200 * MS, HOUR).jitter(0.0).reset_after(10 * HOUR)
}

#[tokio::test(start_paused = true)]
async fn sup_h02_delays_double_exactly() {
    let stage = Stage::new().await;
    let tree = stage.tree(one_for_one(100), ["a"], |name| worker(name).backoff(doubling())).await;
    for expect in [200, 400, 800, 1600, 3200] {
        tree.agents[0].send(Do::Crash).await.expect("it lives");
        let since = Instant::now();
        tree.agents[0].ask(HOUR, Do::Generation).await.expect("answered by the next one");
        // Tokio's timers have a resolution of a millisecond.
        let waited = since.elapsed();
        let expect = expect * MS;
        assert!(waited >= expect && waited <= expect + MS, "{waited:?} instead of {expect:?}");
    }
    assert_eq!(tree.scripts[0].n_alive.load(Ordering::Relaxed), 1);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_h04_failures_are_forgotten_after_a_quiet_time() {
    let stage = Stage::new().await;
    let backoff = doubling().reset_after(5 * SECOND);
    let tree = stage.tree(one_for_one(100), ["a"], |name| worker(name).backoff(backoff)).await;
    let mut waits = Vec::new();
    for quiet in [SECOND, SECOND, 6 * SECOND, SECOND] {
        tokio::time::sleep(quiet).await;
        tree.agents[0].send(Do::Crash).await.expect("it lives");
        let since = Instant::now();
        tree.agents[0].ask(HOUR, Do::Generation).await.expect("answered by the next one");
        waits.push(since.elapsed().as_millis() / 100);
    }
    assert_eq!(waits, [2, 4, 2, 4]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_h06_h07_messages_during_backoff_wait_in_order_and_meet_fresh_state() {
    let stage = Stage::new().await;
    let tree = stage.tree(one_for_one(9), ["a"], |name| worker(name).backoff(doubling())).await;
    let agent = &tree.agents[0];
    agent.send(Do::Crash).await.expect("it lives");
    settle().await;
    assert_eq!(tree.state("a").await, Some(ChildState::Backoff));
    assert_eq!(agent.info().state, AgentState::Restarting);
    for what in ["1", "2", "3"] {
        agent.send(Do::Note(what)).await.expect("queued");
    }
    let asked = agent.ask(HOUR, Do::Generation);
    assert_eq!(asked.await, Ok(2));
    assert_eq!(stage.trace.take(), "+a 1 2 3");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_f09_terminate_in_backoff_wins_and_its_messages_are_dead() {
    let stage = Stage::new().await;
    let tree = stage.tree(one_for_one(9), ["a"], |name| worker(name).backoff(doubling())).await;
    let agent = &tree.agents[0];
    agent.send(Do::Crash).await.expect("it lives");
    settle().await;
    let waiting = async { agent.ask(HOUR, Do::Generation).await };
    let terminating = async {
        settle().await;
        tree.supervisor.terminate_child("a").await
    };
    let since = Instant::now();
    let (answer, terminated) = tokio::join!(waiting, terminating);
    terminated.expect("it waits in backoff");
    assert_eq!(answer, Err(AskError::Dead(DeadReason::Stopped)));
    assert!(since.elapsed() < SECOND, "told at once, not at the deadline");
    assert!(agent.send(Do::Note("late")).await.is_err());
    tokio::time::sleep(2 * HOUR).await;
    assert_eq!(stage.trace.take(), "", "it does not rise again");
    assert_eq!(agent.info().state, AgentState::Stopped);
    tree.supervisor.restart_child("a").await.expect("it starts by hand");
    assert_eq!(tree.generations().await, [2]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_f09_terminate_in_backoff_of_a_dynamic_child_drops_it() {
    let stage = Stage::new().await;
    let (agent, _) = stage.spawn(worker("a").backoff(doubling()), "a").await;
    agent.send(Do::Crash).await.expect("it lives");
    settle().await;
    stage.runtime.supervisor().terminate_child("a").await.expect("it waits in backoff");
    assert_eq!(stage.seen("a").await, None);
    let since = Instant::now();
    assert_eq!(agent.ask(HOUR, Do::Generation).await, Err(AskError::Dead(DeadReason::Stopped)));
    assert!(since.elapsed() < SECOND, "told at once, not at the deadline");
    let (again, _) = stage.spawn(worker("a"), "a").await;
    assert_eq!(again.ask(SOON, Do::Generation).await, Ok(1), "the name is free");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_f08_shutdown_in_backoff_does_not_wait_for_the_timer() {
    let stage = Stage::new().await;
    let (agent, _) = stage.spawn(worker("a").backoff(Backoff::new(HOUR, HOUR)), "a").await;
    agent.send(Do::Crash).await.expect("it lives");
    settle().await;
    let since = Instant::now();
    stage.end().await;
    assert!(since.elapsed() < SECOND);
    assert_eq!(agent.ask(HOUR, Do::Generation).await, Err(AskError::Dead(DeadReason::Stopped)));
}

#[tokio::test(start_paused = true)]
async fn sup_f10_a_child_replaced_during_its_backoff_stays() {
    let stage = Stage::new().await;
    let (old, _) = stage.spawn(worker("a").backoff(doubling()), "a").await;
    old.send(Do::Crash).await.expect("it lives");
    settle().await;
    stage.runtime.supervisor().terminate_child("a").await.expect("it waits in backoff");
    let (new, script) = stage.spawn(worker("a"), "a").await;
    tokio::time::sleep(HOUR).await;
    assert_eq!(new.ask(SOON, Do::Generation).await, Ok(1));
    assert_eq!(script.n_alive.load(Ordering::Relaxed), 1);
    assert_eq!(stage.trace.take(), "", "nothing was started but the new one");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_cause_of_a_poisoned_message_is_kept() {
    let stage = Stage::new().await;
    let tree = stage.tree(one_for_one(9), ["a"], worker).await;
    tree.agents[0].send(Do::Crash).await.expect("it lives");
    tree.agents[0].send(Do::Fail).await.expect("it lives");
    settle().await;
    let causes: Vec<_> =
        stage.runtime.dead_letters().into_iter().map(|letter| letter.reason).collect();
    assert_eq!(
        causes,
        [
            DeadReason::Poison { cause: ExitReason::panic("told to") },
            DeadReason::Poison { cause: ExitReason::failed("told to") },
        ]
    );
    assert_eq!(seen(&tree.supervisor, "a").await.map(|child| child.n_restarts), Some(2));
    stage.end().await;
}

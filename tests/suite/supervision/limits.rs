//! Rows of the conformance list about time and limits: windows, waits, significance, and what is kept of a
//! huge reason.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use greenroom_core::BoxFuture;
use greenroom_core::mailbox::{MailboxSpec, Overflow};
use greenroom_core::supervision::{
    AdminError, AutoShutdown, Backoff, ChildSpec, ChildState, Detail, Done, ExitReason, Intensity,
    Restart, Shutdown, SpecError, Strategy, SupervisorSpec,
};
use greenroom_core::time::{Clock, Timestamp};
use greenroom_runtime::{Actor, AskError, Context, DeadReason, Failure, Runtime};
use greenroom_testkit::{FaultPlan, FaultRule};
use tokio::time::Instant;

use super::{Do, HOUR, SECOND, SOON, Script, Stage, Trace, settle, worker};
use crate::support::end;

const DAY: Duration = Duration::from_secs(86_400);

fn patient(strategy: Strategy) -> SupervisorSpec {
    SupervisorSpec::new(strategy).intensity(9, HOUR)
}

fn steady(min: Duration) -> Backoff {
    Backoff::new(min, min).jitter(0.0)
}

/// A clock of the machine that somebody sets an hour forward and back again, at every look.
#[derive(Default)]
struct Jumping(AtomicU64);

impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        let n_looks = self.0.fetch_add(1, Ordering::Relaxed);
        Timestamp::from_millis(7_200_000 + 3_600_000 * (n_looks % 2))
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.now().as_millis())
    }

    fn sleep(&self, span: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(span))
    }
}

/// Whether a supervisor that allows a failure a minute goes on when there are two, so far apart. One that gives
/// up is restarted by its own.
async fn goes_on(clock: impl Clock, apart: Duration) -> bool {
    let runtime = Runtime::builder().seed(7).clock(clock).start().await.expect("it starts");
    let stage = Stage { runtime, trace: Trace::default() };
    let spec = SupervisorSpec::new(Strategy::OneForOne).intensity(1, Duration::from_secs(60));
    let tree = stage.tree(spec, ["a"], worker).await;
    for _ in 0..2 {
        tree.agents[0].send(Do::Crash).await.expect("it lives");
        tokio::time::sleep(apart).await;
    }
    let goes_on = stage.seen("tree").await.expect("it is there").n_restarts == 0;
    stage.end().await;
    goes_on
}

#[tokio::test(start_paused = true)]
async fn sup_e04_a_clock_that_jumps_changes_no_window() {
    assert!(!goes_on(Jumping::default(), SECOND).await, "no hour has passed");
    assert!(goes_on(Jumping::default(), Duration::from_secs(61)).await, "nor has one been lost");
}

#[tokio::test(start_paused = true)]
async fn sup_e05_a_window_of_thirty_days_is_thirty_days() {
    for (apart, n_escalations) in [(29 * DAY, 1), (31 * DAY, 0)] {
        let stage = Stage::new().await;
        let spec = SupervisorSpec::new(Strategy::OneForOne).intensity(1, 30 * DAY);
        let tree = stage.tree(spec, ["a"], worker).await;
        for _ in 0..2 {
            tree.agents[0].send(Do::Crash).await.expect("it lives");
            tokio::time::sleep(apart).await;
        }
        let seen = stage.seen("tree").await.expect("it is there");
        assert_eq!(seen.n_restarts, n_escalations, "{apart:?}");
        stage.end().await;
    }
}

/// A stage on which the first message of `slow` takes so long.
async fn stage_with_a_slow(name: &str, span: Duration) -> Stage {
    let plan = FaultPlan::new(7).rule(FaultRule::slow_handler(name, span));
    let runtime = Runtime::builder().seed(7).faults(plan).start().await.expect("it starts");
    Stage { runtime, trace: Trace::default() }
}

#[tokio::test(start_paused = true)]
async fn sup_f04_without_a_shutdown_time_a_worker_is_waited_for() {
    let stage = stage_with_a_slow("a", 200 * SECOND).await;
    let spec = worker("a").shutdown(Shutdown::Infinity);
    let (agent, _) = stage.spawn(spec, "a").await;
    agent.send(Do::Note("done")).await.expect("it lives");
    settle().await;
    let since = Instant::now();
    stage.runtime.supervisor().terminate_child("a").await.expect("it stops");
    assert_eq!(since.elapsed().as_secs(), 199, "it had 200 seconds, less the one to settle");
    assert_eq!(stage.trace.take(), "done -a", "it was not killed");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_g04_g06_other_ends_and_deaths_for_the_group_stop_no_supervisor() {
    for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
        for policy in [AutoShutdown::AnySignificant, AutoShutdown::AllSignificant] {
            let stage = Stage::new().await;
            let child = |name| match name {
                "significant" => worker(name).restart(Restart::Transient).significant(),
                "plain" => worker(name).restart(Restart::Transient),
                _ => worker(name),
            };
            let spec = patient(strategy).auto_shutdown(policy);
            let tree = stage.tree(spec, ["crashes", "significant", "plain"], child).await;
            tree.agents[2].send(Do::Stop).await.expect("it lives");
            settle().await;
            assert_eq!(tree.state("plain").await, Some(ChildState::Stopped), "{strategy:?}");
            tree.agents[0].send(Do::Crash).await.expect("it lives");
            settle().await;
            let generation = if strategy == Strategy::OneForOne { 1 } else { 2 };
            let alive = tree.agents[1].ask(SOON, Do::Generation).await;
            assert_eq!(alive, Ok(generation), "{strategy:?} {policy:?}");
            stage.end().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn sup_g08_policy_and_significance_change_without_restarts() {
    let stage = Stage::new().await;
    let transient = |name| worker(name).restart(Restart::Transient);
    let tree = stage.tree(patient(Strategy::OneForOne), ["a", "b", "c"], transient).await;
    let supervisor = &tree.supervisor;
    let refused = supervisor.set_significant("a", true).await;
    let never = SpecError::SignificantUnderNever { id: "a".into() };
    assert_eq!(refused, Err(AdminError::Invalid(never.clone())));
    let all = supervisor.set_auto_shutdown(AutoShutdown::AllSignificant).await;
    assert_eq!(all, Ok(Done::Done));
    for name in ["a", "b"] {
        assert_eq!(supervisor.set_significant(name, true).await, Ok(Done::Done));
    }
    let refused = supervisor.set_auto_shutdown(AutoShutdown::Never).await;
    assert_eq!(refused, Err(AdminError::Invalid(never)));
    assert_eq!(supervisor.set_significant("nobody", true).await, Err(AdminError::NotFound));
    assert_eq!(supervisor.set_significant("b", false).await, Ok(Done::Done));
    assert_eq!(tree.generations().await, [1, 1, 1]);
    assert_eq!(stage.trace.take(), "", "nobody was restarted");
    tree.agents[1].send(Do::Stop).await.expect("it lives");
    settle().await;
    assert_eq!(tree.state("a").await, Some(ChildState::Running), "b is no longer significant");
    tree.agents[0].send(Do::Stop).await.expect("it lives");
    settle().await;
    assert_eq!(stage.trace.take(), "-b -a -c", "a was the last that is");
    assert_eq!(stage.seen("tree").await, None);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_h03_the_sixth_failure_ends_a_child_that_may_fail_five_times() {
    let stage = Stage::new().await;
    let spec = worker("a").intensity(Intensity::new(5, HOUR)).backoff(steady(SECOND));
    let (agent, _) = stage.spawn(spec, "a").await;
    for generation in 2..=6 {
        agent.send(Do::Crash).await.expect("it lives");
        assert_eq!(agent.ask(HOUR, Do::Generation).await, Ok(generation));
    }
    agent.send(Do::Crash).await.expect("it lives");
    let ended = agent.ask(HOUR, Do::Generation).await;
    assert_eq!(ended, Err(AskError::Dead(DeadReason::Stopped)));
    assert_eq!(stage.seen("a").await, None, "it is given up alone");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_h06_a_full_mailbox_in_backoff_names_what_it_drops() {
    let stage = Stage::new().await;
    let mailbox = MailboxSpec {
        capacity: 2,
        overflow: Overflow::DropOldest,
        deliveries_max: 1,
        ..MailboxSpec::default()
    };
    let factory = stage.factory("a", &Script::default());
    let spec = worker("a").backoff(steady(SECOND));
    let agent = stage.runtime.spawn_with(spec, mailbox, factory).await.expect("it starts");
    agent.send(Do::Crash).await.expect("it lives");
    settle().await;
    for what in ["1", "2", "3", "4"] {
        agent.send(Do::Note(what)).await.expect("the oldest makes room");
    }
    let reasons: Vec<_> = stage.runtime.dead_letters().into_iter().map(|l| l.reason).collect();
    let cause = ExitReason::panic("told to");
    let displaced = DeadReason::Displaced;
    assert_eq!(reasons, [DeadReason::Poison { cause }, displaced.clone(), displaced]);
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(stage.trace.take(), "+a +a 3 4", "two wait, two are reported");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_h09_a_final_message_ends_the_restarts() {
    let stage = Stage::new().await;
    let spec = worker("a").restart(Restart::Transient).backoff(steady(SECOND));
    let (agent, _) = stage.spawn(spec, "a").await;
    agent.send(Do::Crash).await.expect("it lives");
    settle().await;
    // It waits for the next life, and ends it, and with it the restarts.
    agent.send(Do::Stop).await.expect("it waits");
    agent.send(Do::Note("late")).await.expect("it waits");
    tokio::time::sleep(HOUR).await;
    assert_eq!(stage.trace.take(), "+a -a", "one more life, and no other");
    assert_eq!(stage.runtime.dead_letter_counts()["stopped"], 1, "what came after it is reported");
    let refused = agent.ask(SOON, Do::Generation).await;
    assert_eq!(refused, Err(AskError::Dead(DeadReason::Stopped)));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_h10_questions_are_answered_while_a_child_is_slow_to_stop() {
    let stage = stage_with_a_slow("b", 10 * SECOND).await;
    let patient_child = |name| worker(name).shutdown(Shutdown::Infinity);
    let tree = stage.tree(patient(Strategy::OneForAll), ["a", "b"], patient_child).await;
    tree.agents[1].send(Do::Note("slow")).await.expect("it lives");
    settle().await;
    tree.agents[0].send(Do::Crash).await.expect("it lives");
    settle().await;
    let since = Instant::now();
    let children = tree.supervisor.which_children().await;
    assert_eq!(since.elapsed(), Duration::ZERO);
    let (a, b) = (&children[0], &children[1]);
    assert_eq!((b.state, b.generation.0, b.n_restarts), (ChildState::Stopping, 1, 0));
    assert_eq!((a.state, a.n_restarts), (ChildState::Waiting, 0), "not counted yet");
    tokio::time::sleep(11 * SECOND).await;
    assert_eq!(tree.generations().await, [2, 2]);
    let n_restarts: Vec<_> =
        tree.supervisor.which_children().await.iter().map(|child| child.n_restarts).collect();
    assert_eq!(n_restarts, [1, 1]);
    stage.end().await;
}

/// Panics with as many bytes as it is told.
struct Verbose;

impl Actor for Verbose {
    type Message = usize;

    fn handle(&mut self, n_bytes: &usize, _: &mut Context<'_, Self>) -> Result<(), Failure> {
        panic!("{}", "ä".repeat(*n_bytes / 2))
    }
}

#[tokio::test(start_paused = true)]
async fn sup_j03_a_huge_reason_is_cut_wherever_it_is_kept() {
    let stage = Stage::new().await;
    let mailbox = super::once();
    let verbose = stage.runtime.spawn_with(ChildSpec::worker("v"), mailbox, || Verbose).await;
    verbose.expect("it starts").send(1_000_000).await.expect("it lives");
    settle().await;
    let letters = stage.runtime.dead_letters();
    let DeadReason::Poison { cause: ExitReason::Panic(text) } = &letters[0].reason else {
        panic!("{letters:?}")
    };
    assert!(text.as_str().len() <= Detail::BYTES_MAX && text.as_str().ends_with("ä…"));
    end(stage.runtime).await;
}

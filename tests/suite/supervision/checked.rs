//! Rows of the conformance list about specs and administration: what is refused, and before what.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use greenroom_core::alive::Alive;
use greenroom_core::supervision::{
    AdminError, AutoShutdown, Backoff, ChildKey, ChildSpec, ChildState, Done, ExitReason, Info,
    Intensity, Restart, SpecError, Strategy, SupervisorSpec,
};
use greenroom_runtime::{Ignored, Start, StartFuture};
use ractor::ActorCell;

use super::{Do, HOUR, SECOND, SOON, Script, Stage, settle, worker};

fn one_for_one() -> SupervisorSpec {
    SupervisorSpec::new(Strategy::OneForOne).intensity(9, HOUR)
}

/// Declines to start, or panics.
struct NoStart {
    panics: bool,
}

impl Start for NoStart {
    fn start(&self, _: ActorCell) -> StartFuture {
        let panics = self.panics;
        Box::pin(async move { if panics { panic!("no start") } else { Ok(Err(Ignored)) } })
    }
}

#[tokio::test(start_paused = true)]
async fn sup_a01_a_supervisor_without_children_lives_and_ends() {
    let stage = Stage::new().await;
    let before = stage.runtime.alive();
    let empty = stage.runtime.supervise("empty", one_for_one(), vec![]).await.expect("it starts");
    assert_eq!(empty.which_children().await, []);
    stage.runtime.supervisor().terminate_child("empty").await.expect("it stops");
    settle().await;
    assert_eq!(stage.runtime.alive(), before);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_a02_a06_a_supervisor_that_declines_its_start_is_ignored_and_leaves_no_process() {
    let stage = Stage::new().await;
    let before = stage.runtime.alive();
    let team = stage.runtime.supervisor();
    let spec = ChildSpec::supervisor("sub");
    let declined = team.start_child(spec.clone(), Arc::new(NoStart { panics: false })).await;
    assert_eq!(declined, Ok(Done::Ignored));
    assert_eq!(team.which_children().await, [], "a dynamic supervisor keeps no spec of it");
    settle().await;
    assert_eq!(stage.runtime.alive(), before);

    let children: Vec<(_, Arc<dyn Start>)> = vec![(spec, Arc::new(NoStart { panics: false }))];
    let tree = stage.runtime.supervise("tree", one_for_one(), children).await.expect("it starts");
    let states: Vec<_> = tree.which_children().await.iter().map(|child| child.state).collect();
    assert_eq!(states, [ChildState::Stopped], "a static one keeps it");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_a03_a_supervisor_whose_start_panics_is_an_error_and_leaves_nothing() {
    let stage = Stage::new().await;
    let before = stage.runtime.alive();
    let team = stage.runtime.supervisor();
    let spec = ChildSpec::supervisor("sub");
    let failed = team.start_child(spec.clone(), Arc::new(NoStart { panics: true })).await;
    assert_eq!(failed, Err(AdminError::StartFailed { cause: ExitReason::panic("no start") }));

    // Below a supervisor of ours it takes down what was started before it.
    let first = stage.child("first", &Script::default()).1;
    let children: Vec<(_, Arc<dyn Start>)> =
        vec![(worker("first"), first), (spec, Arc::new(NoStart { panics: true }))];
    let failed = stage.runtime.supervise("tree", one_for_one(), children).await;
    let cause = Box::new(ExitReason::panic("no start"));
    let cause = ExitReason::StartFailed { child: "sub".into(), cause };
    assert_eq!(failed.map(|_| ()), Err(AdminError::StartFailed { cause }));
    assert_eq!(stage.trace.take(), "+first -first");
    settle().await;
    assert_eq!((stage.runtime.alive(), team.which_children().await), (before, vec![]));
    stage.end().await;
}

/// Every mistake that can be written down, with its error. The children come after one that is fine.
fn mistakes() -> Vec<(SupervisorSpec, Vec<ChildSpec>, SpecError)> {
    let fine = one_for_one;
    let bad = || worker("bad");
    let backoff = |min, max| Backoff::new(Duration::from_secs(min), Duration::from_secs(max));
    let never = SpecError::SignificantUnderNever { id: "bad".into() };
    let permanent = SpecError::SignificantPermanent { id: "bad".into() };
    let any = || fine().auto_shutdown(AutoShutdown::AnySignificant);
    let transient = || bad().restart(Restart::Transient);
    let dynamic = |strategy| SupervisorSpec { dynamic: true, ..SupervisorSpec::new(strategy) };
    let zero = Duration::ZERO;
    vec![
        (fine(), vec![worker("")], SpecError::IdEmpty),
        (fine(), vec![worker("first")], SpecError::IdDuplicate { id: "first".into() }),
        (fine(), vec![transient().significant()], never),
        (any(), vec![bad().significant()], permanent),
        (fine().intensity(u32::MAX, SECOND), vec![], SpecError::IntensityInfinite),
        (fine().intensity(1, zero), vec![], SpecError::PeriodZero),
        (fine().intensity(1, Duration::MAX), vec![], SpecError::PeriodInfinite),
        (fine(), vec![bad().backoff(backoff(2, 1))], SpecError::BackoffMinAboveMax),
        (fine(), vec![bad().backoff(backoff(1, 2).jitter(1.5))], SpecError::BackoffJitter),
        (fine().kill_grace(zero), vec![], SpecError::KillGraceZero),
        (fine().kill_grace(Duration::MAX), vec![], SpecError::KillGraceInfinite),
        (fine().children_max(0), vec![], SpecError::ChildrenMaxZero),
        (fine().children_max(1), vec![bad()], SpecError::TooManyChildren { children_max: 1 }),
        (dynamic(Strategy::OneForAll), vec![], SpecError::DynamicStrategy),
        (dynamic(Strategy::OneForOne), vec![], SpecError::DynamicChildren),
    ]
}

#[tokio::test(start_paused = true)]
async fn sup_a11_a13_g01_each_mistake_has_its_own_error_before_anything_starts() {
    let stage = Stage::new().await;
    let before = stage.runtime.alive();
    let mut errors = BTreeSet::new();
    for (spec, bad, error) in mistakes() {
        let mut children = Vec::new();
        for child in [worker("first")].into_iter().chain(bad) {
            children.push((child, stage.child("probe", &Script::default()).1));
        }
        let refused = stage.runtime.supervise("tree", spec, children).await.map(|_| ());
        assert_eq!(refused, Err(AdminError::Invalid(error.clone())));
        assert!(errors.insert(error.to_string()), "{error} is not its own");
    }
    assert_eq!(errors.len(), 15);
    settle().await;
    assert_eq!(stage.trace.take(), "", "no child was started");
    assert_eq!(stage.runtime.alive(), before);
    assert_eq!(stage.runtime.supervisor().which_children().await, []);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_a11_a_child_that_makes_no_sense_is_refused_before_it_starts() {
    let stage = Stage::new().await;
    let endless = worker("a").intensity(Intensity::new(u32::MAX, SECOND));
    let jittery = worker("a").backoff(Backoff::new(SECOND, SECOND).jitter(-0.1));
    let significant = worker("a").restart(Restart::Transient).significant();
    for (spec, error) in [
        (worker(""), SpecError::IdEmpty),
        (endless, SpecError::IntensityInfinite),
        (jittery, SpecError::BackoffJitter),
        (significant, SpecError::SignificantUnderNever { id: "a".into() }),
    ] {
        let factory = stage.factory("a", &Script::default());
        let refused = stage.runtime.spawn_with(spec, super::once(), factory).await.map(|_| ());
        assert_eq!(refused, Err(AdminError::Invalid(error)));
    }
    settle().await;
    assert_eq!(stage.trace.take(), "");
    assert_eq!(stage.runtime.agents().len(), 0);
    stage.end().await;
}

/// Starts a child of the stage's, and tells how often it has.
struct Telling {
    child: Arc<dyn Start>,
    n_started: AtomicU32,
}

impl Start for Telling {
    fn start(&self, supervisor: ActorCell) -> StartFuture {
        self.n_started.fetch_add(1, Ordering::Relaxed);
        self.child.start(supervisor)
    }

    fn info(&self) -> Info {
        Info::new(self.n_started.load(Ordering::Relaxed))
    }

    fn closed(&self, reason: &ExitReason) {
        self.child.closed(reason);
    }
}

fn told(done: &Result<Done, AdminError>) -> Option<u32> {
    let Ok(Done::Started { info, .. }) = done else { panic!("not started: {done:?}") };
    info.get::<u32>().copied()
}

#[tokio::test(start_paused = true)]
async fn sup_a14_what_a_start_tells_is_passed_on_and_the_child_is_still_restarted() {
    let stage = Stage::new().await;
    let tree = stage.runtime.supervise("tree", one_for_one(), vec![]).await.expect("it starts");
    let (agent, child) = stage.child("a", &Script::default());
    let telling = Telling { child, n_started: AtomicU32::new(0) };
    let started = tree.start_child(worker("a"), Arc::new(telling)).await;
    assert_eq!(told(&started), Some(1));
    agent.send(Do::Crash).await.expect("it lives");
    settle().await;
    assert_eq!(agent.ask(SOON, Do::Generation).await, Ok(2), "it was restarted");
    tree.terminate_child("a").await.expect("it stops");
    assert_eq!(told(&tree.restart_child("a").await), Some(3), "it is asked after every start");

    let silent = stage.child("b", &Script::default()).1;
    let started = tree.start_child(worker("b"), silent).await;
    assert_eq!(told(&started), None, "most starts have nothing to tell");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_b02_b03_b04_a_stopped_child_is_present_and_a_running_one_is_running() {
    let stage = Stage::new().await;
    let tree = stage.tree(one_for_one(), ["a", "b"], worker).await;
    let supervisor = &tree.supervisor;
    let again = || stage.child("a", &Script::default()).1;
    assert_eq!(supervisor.terminate_child("nobody").await, Err(AdminError::NotFound));
    assert_eq!(supervisor.restart_child("a").await, Err(AdminError::Running));
    assert_eq!(supervisor.delete_child("a").await, Err(AdminError::Running));
    assert_eq!(supervisor.terminate_child("a").await, Ok(Done::Done));
    assert_eq!(supervisor.terminate_child("a").await, Ok(Done::Done), "it is stopped");
    let present = supervisor.start_child(worker("a"), again()).await;
    assert_eq!(present, Err(AdminError::AlreadyPresent));
    assert_eq!(supervisor.delete_child("a").await, Ok(Done::Done));
    assert_eq!(supervisor.restart_child("a").await, Err(AdminError::NotFound));
    assert_eq!(supervisor.delete_child("a").await, Err(AdminError::NotFound));
    let anew = supervisor.start_child(worker("a"), again()).await;
    assert!(matches!(anew, Ok(Done::Started { .. })), "{anew:?}");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_b06_a_dynamic_child_is_named_by_its_key_and_is_neither_restarted_nor_deleted() {
    let stage = Stage::new().await;
    let team = stage.runtime.supervisor();
    let start = |name| team.start_child(worker(name), stage.child(name, &Script::default()).1);
    let Ok(Done::Started { key, .. }) = start("a").await else { panic!("it starts") };
    start("b").await.expect("it starts");
    assert_eq!(team.restart_child("a").await, Err(AdminError::Dynamic));
    assert_eq!(team.delete_child("a").await, Err(AdminError::Dynamic));
    assert_eq!(team.terminate_child(ChildKey(999)).await, Err(AdminError::NotFound));
    assert_eq!(team.terminate_child(key).await, Ok(Done::Done));
    assert_eq!(team.terminate_child(key).await, Ok(Done::Done), "it is as gone as was asked for");
    let left: Vec<_> = team.which_children().await.into_iter().map(|child| child.id).collect();
    assert_eq!(left, ["b".into()], "nobody else was touched");
    assert_eq!(stage.trace.take(), "+a +b -a");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_b07_children_are_counted_by_thousands_and_while_some_restart() {
    let stage = Stage::new().await;
    let team = stage.runtime.supervisor();
    for total in [1000, 2000] {
        for i in total - 1000..total {
            let child = stage.child("many", &Script::default()).1;
            team.start_child(worker_named(i), child).await.expect("it starts");
        }
        let children = team.which_children().await;
        assert_eq!(children.len(), total);
        assert!(children.iter().all(|child| child.state == ChildState::Running));
    }

    let waits = |name| worker(name).backoff(Backoff::new(HOUR, HOUR).jitter(0.0));
    let tree = stage.tree(one_for_one(), ["a", "b", "c"], waits).await;
    for agent in &tree.agents[1..] {
        agent.send(Do::Crash).await.expect("it lives");
    }
    settle().await;
    let states: Vec<_> = tree.supervisor.which_children().await.iter().map(|c| c.state).collect();
    assert_eq!(states, [ChildState::Running, ChildState::Backoff, ChildState::Backoff]);
    stage.end().await;
}

fn worker_named(i: usize) -> ChildSpec {
    ChildSpec::worker(format!("many-{i}"))
}

#[tokio::test(start_paused = true)]
async fn sup_b08_a_full_supervisor_refuses_and_keeps_what_it_has() {
    let stage = Stage::new().await;
    let waits = |name| worker(name).backoff(Backoff::new(SECOND, SECOND).jitter(0.0));
    let tree = stage.tree(one_for_one().children_max(2), ["a", "b"], waits).await;
    tree.agents[1].send(Do::Crash).await.expect("it lives");
    settle().await;
    let refused =
        tree.supervisor.start_child(worker("c"), stage.child("c", &Script::default()).1).await;
    assert_eq!(refused, Err(AdminError::MaxChildren { children_max: 2 }));
    assert_eq!(tree.state("b").await, Some(ChildState::Backoff), "its restart is still due");
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(tree.generations().await, [1, 2]);
    assert_eq!(stage.trace.take(), "+b");
    stage.end().await;
}

//! Ends: of supervisors, of significant children, of the runtime, in order and not.

use std::sync::atomic::Ordering;
use std::time::Duration;

use greenroom_core::supervision::{
    AdminError, AutoShutdown, ChildSpec, ChildState, Restart, Shutdown, Strategy, SupervisorSpec,
};
use greenroom_runtime::{AgentState, AskError, DeadReason};
use tokio::time::Instant;

use super::{Do, HOUR, SECOND, SOON, Stage, n_alive_tasks, settle, worker};
use crate::support::{end, end_beside, runtime};

fn one_for_one() -> SupervisorSpec {
    SupervisorSpec::new(Strategy::OneForOne).intensity(9, HOUR)
}

#[tokio::test(start_paused = true)]
async fn sup_f01_f11_shutdown_stops_in_reverse_and_leaves_nothing() {
    let stage = Stage::new().await;
    let tree = stage.tree(one_for_one(), ["a", "b", "c", "d", "e"], worker).await;
    let trace = stage.trace.clone();
    let since = Instant::now();
    stage.end().await;
    assert_eq!(trace.take(), "-e -d -c -b -a");
    assert_eq!(since.elapsed(), Duration::ZERO, "nobody had to be waited for");
    for (agent, script) in tree.agents.iter().zip(&tree.scripts) {
        assert_eq!(script.n_alive.load(Ordering::Relaxed), 0);
        assert_eq!(agent.ask(HOUR, Do::Generation).await, Err(AskError::Dead(DeadReason::Stopped)));
    }
}

#[tokio::test(start_paused = true)]
async fn sup_b05_requests_to_an_ended_supervisor_are_refused_at_once() {
    let stage = Stage::new().await;
    let tree = stage.tree(one_for_one(), ["a"], worker).await;
    stage.runtime.supervisor().terminate_child("tree").await.expect("it stops");
    assert_eq!(tree.supervisor.terminate_child("a").await, Err(AdminError::ShuttingDown));
    assert_eq!(tree.supervisor.restart_child("a").await, Err(AdminError::ShuttingDown));
    assert_eq!(tree.supervisor.which_children().await, []);
    assert_eq!(tree.agents[0].info().state, AgentState::Stopped);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn shutdown_can_be_called_again_and_by_several() {
    let stage = Stage::new().await;
    stage.tree(one_for_one(), ["a", "b"], worker).await;
    let (first, second) = (stage.runtime.clone(), stage.runtime.clone());
    tokio::join!(first.shutdown(), second.shutdown());
    assert_eq!(n_alive_tasks(), 0);
    first.shutdown().await;
    assert_eq!(first.spawn("late", || Waits).await.map(|_| ()), Err(AdminError::ShuttingDown));
    drop((first, second));
    stage.end().await;
}

/// An actor without messages, for what only has to be there.
struct Waits;

impl greenroom_runtime::Actor for Waits {
    type Message = ();

    fn handle(
        &mut self,
        (): &(),
        _context: &mut greenroom_runtime::Context<'_, Self>,
    ) -> Result<(), greenroom_runtime::Failure> {
        Ok(())
    }
}

/// A ractor actor that takes ten seconds to stop.
#[derive(Clone)]
struct SlowToStop;

impl ractor::Actor for SlowToStop {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(
        &self,
        _me: ractor::ActorRef<()>,
        (): (),
    ) -> Result<(), ractor::ActorProcessingErr> {
        Ok(())
    }

    async fn post_stop(
        &self,
        _me: ractor::ActorRef<()>,
        (): &mut (),
    ) -> Result<(), ractor::ActorProcessingErr> {
        tokio::time::sleep(10 * SECOND).await;
        Ok(())
    }
}

async fn slow_to_stop(runtime: &greenroom_runtime::Runtime) {
    let start = greenroom_runtime::RactorChild::new(|supervisor| async move {
        let (actor, _) = ractor::Actor::spawn_linked(None, SlowToStop, (), supervisor).await?;
        Ok(actor.get_cell())
    });
    let spec = ChildSpec::worker("slow").shutdown(Shutdown::Infinity);
    let started = runtime.supervisor().start_child(spec, std::sync::Arc::new(start)).await;
    started.expect("it starts");
}

#[tokio::test(start_paused = true)]
async fn shutdown_waits_for_actors_also_when_called_a_second_time() {
    let runtime = runtime().await;
    slow_to_stop(&runtime).await;
    let given_up = tokio::time::timeout(SECOND, runtime.shutdown()).await;
    assert!(given_up.is_err(), "the actor takes longer");
    runtime.shutdown().await;
    assert_eq!(n_alive_tasks(), 0, "the second call waits as well");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn shutdown_waits_for_actors_for_every_caller() {
    let runtime = runtime().await;
    slow_to_stop(&runtime).await;
    let other = runtime.clone();
    let second = async {
        settle().await;
        other.shutdown().await;
        n_alive_tasks()
    };
    let ((), n_left) = tokio::join!(runtime.shutdown(), second);
    assert_eq!(n_left, 0, "the second caller was told too early");
}

#[tokio::test(start_paused = true)]
async fn dropping_the_runtime_ends_its_actors_and_answers_whoever_waits() {
    let stage = Stage::new().await;
    let tree = stage.tree(one_for_one(), ["a", "b"], worker).await;
    let (agent, script) = stage.spawn(worker("c"), "c").await;
    drop(stage);
    settle().await;
    assert_eq!(script.n_alive.load(Ordering::Relaxed), 0);
    assert_eq!(tree.scripts[0].n_alive.load(Ordering::Relaxed), 0);
    assert_eq!(n_alive_tasks(), 0, "nothing runs on");
    let since = Instant::now();
    for agent in tree.agents.iter().chain([&agent]) {
        assert_eq!(agent.ask(HOUR, Do::Generation).await, Err(AskError::Dead(DeadReason::Stopped)));
        assert_eq!(agent.info().state, AgentState::Stopped);
    }
    assert!(since.elapsed() < SECOND, "told at once, not at the deadline");
}

#[tokio::test(start_paused = true)]
async fn dropping_the_runtime_frees_a_sender_that_waits_for_room() {
    let stage = Stage::new().await;
    let (agent, _) = stage.spawn(worker("a"), "a").await;
    let waiting = async {
        // More than fits; nobody yields to the actor before the mailbox is full.
        for _ in 0..64 {
            agent.try_send(Do::Note("x")).expect("room");
        }
        drop(stage);
        agent.send(Do::Note("one more")).await
    };
    let sent = tokio::time::timeout(HOUR, async {
        let first = waiting.await;
        for _ in 0..200 {
            if agent.send(Do::Note("x")).await.is_err() {
                return true;
            }
        }
        first.is_err()
    })
    .await;
    assert_eq!(sent, Ok(true), "a sender to a dead runtime must not wait for ever");
}

#[tokio::test(start_paused = true)]
async fn dropping_the_runtime_cuts_off_starts_and_timers() {
    use greenroom_core::supervision::Backoff;
    let stage = Stage::new().await;
    let (agent, _) = stage.spawn(worker("a").backoff(Backoff::new(HOUR, HOUR)), "a").await;
    agent.send(Do::Crash).await.expect("it lives");
    settle().await;
    let runtime = stage.runtime.clone();
    let supervisor = runtime.supervisor();
    let hangs = greenroom_runtime::RactorChild::new(|_supervisor| std::future::pending());
    let mut starting =
        Box::pin(supervisor.start_child(worker("hangs"), std::sync::Arc::new(hangs)));
    assert!(tokio::time::timeout(SECOND, &mut starting).await.is_err());
    drop((stage, runtime));
    settle().await;
    assert_eq!(starting.await, Err(AdminError::ShuttingDown));
    settle().await;
    assert_eq!(n_alive_tasks(), 0, "a start or a timer runs on");
}

#[tokio::test(start_paused = true)]
async fn two_runtimes_with_the_same_names_know_nothing_of_each_other() {
    let (one, two) = (Stage::new().await, Stage::new().await);
    let (in_one, _) = one.spawn(worker("a"), "a").await;
    let (in_two, _) = two.spawn(worker("a"), "a").await;
    in_one.send(Do::Crash).await.expect("it lives");
    settle().await;
    assert_eq!(in_one.ask(SOON, Do::Generation).await, Ok(2));
    assert_eq!(in_two.ask(SOON, Do::Generation).await, Ok(1));
    assert_eq!(two.runtime.dead_letters(), []);
    end_beside(one.runtime).await;
    assert_eq!(in_one.ask(SOON, Do::Generation).await, Err(AskError::Dead(DeadReason::Stopped)));
    assert_eq!(in_two.ask(SOON, Do::Generation).await, Ok(1));
    two.end().await;
}

#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_ever_for_a_thread_that_never_comes_back() {
    let runtime = runtime().await;
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Arc::new(std::sync::Mutex::new(gate));
    let agent = runtime.spawn("blocks", Blocks::default).await.expect("it starts");
    agent.send(gate).await.expect("it lives");
    while runtime.n_tasks() < 2 {
        tokio::task::yield_now().await;
    }
    let passing = async {
        // Virtual time does not move by itself while a thread is at work.
        for _ in 0..100 {
            tokio::time::advance(SECOND).await;
            tokio::task::yield_now().await;
        }
    };
    let since = Instant::now();
    tokio::join!(runtime.shutdown(), passing);
    assert!(since.elapsed() <= 101 * SECOND);
    assert_eq!(runtime.n_tasks(), 1, "the thread is still there, and told so");
    drop(open);
    end(runtime).await;
}

/// Blocks a thread, in an effect, until the gate opens.
#[derive(Default)]
struct Blocks;

impl greenroom_runtime::Actor for Blocks {
    type Message = std::sync::Arc<std::sync::Mutex<std::sync::mpsc::Receiver<()>>>;

    fn handle(
        &mut self,
        gate: &Self::Message,
        context: &mut greenroom_runtime::Context<'_, Self>,
    ) -> Result<(), greenroom_runtime::Failure> {
        let (blocked, again) = (std::sync::Arc::clone(gate), std::sync::Arc::clone(gate));
        let work = move || {
            let _ = blocked.lock().expect("no test panics here").recv();
        };
        context.blocking("blocks", HOUR, work, |_| again);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_is_given_up_closes_its_children_and_nobody_elses() {
    let stage = Stage::new().await;
    let (bystander, _) = stage.spawn(worker("bystander"), "bystander").await;
    let spec = SupervisorSpec::new(Strategy::OneForOne).intensity(0, HOUR);
    let tree = stage.tree(spec, ["a", "b"], worker).await;
    let since = Instant::now();
    let mut n_crashes = 0;
    while tree.agents[0].send(Do::Crash).await.is_ok() {
        n_crashes += 1;
        settle().await;
        assert!(n_crashes < 1000, "it is never given up");
    }
    for agent in &tree.agents {
        assert_eq!(agent.ask(HOUR, Do::Generation).await, Err(AskError::Dead(DeadReason::Stopped)));
    }
    assert!(since.elapsed() < 10 * SECOND);
    assert_eq!(stage.seen("tree").await, None);
    assert_eq!(bystander.ask(SOON, Do::Generation).await, Ok(1));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn agents_that_are_gone_are_forgotten() {
    let stage = Stage::new().await;
    let (kept, _) = stage.spawn(worker("kept"), "kept").await;
    for _ in 0..1000 {
        let (agent, _) = stage.spawn(worker("passing"), "passing").await;
        stage.runtime.supervisor().terminate_child("passing").await.expect("it stops");
        drop(agent);
    }
    let known = stage.runtime.agents();
    let ids: Vec<_> = known.iter().map(|agent| agent.id.as_str()).collect();
    assert_eq!(ids, ["kept"]);
    assert_eq!(kept.ask(SOON, Do::Generation).await, Ok(1));
    assert_eq!(stage.runtime.supervisor().which_children().await.len(), 1);
    stage.end().await;
}

/// Everybody asks, agents crash, and the runtime is shut down in the midst of it: on several threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_shutdown_in_a_storm_answers_everybody_and_leaves_nothing() {
    const AGENTS: usize = 40;
    for round in 0..5_u32 {
        let stage = Stage::new().await;
        let mut askers = tokio::task::JoinSet::new();
        let mut scripts = Vec::new();
        for i in 0..AGENTS {
            let script = super::Script::default();
            let factory = stage.factory("x", &script);
            let spec = ChildSpec::worker(format!("agent-{i}"))
                .intensity(greenroom_core::supervision::Intensity::new(1_000_000, SECOND));
            let agent =
                stage.runtime.spawn_with(spec, super::once(), factory).await.expect("it starts");
            scripts.push(script);
            askers.spawn(async move {
                for n_asked in 0_u32.. {
                    if (n_asked + round) % 3 == 0 {
                        let _ = agent.crash_on_purpose();
                    }
                    match agent.ask(HOUR, Do::Generation).await {
                        Ok(_)
                        | Err(AskError::NoReply | AskError::Dead(DeadReason::Poison { .. })) => {}
                        Err(AskError::Dead(DeadReason::Stopped)) => return n_asked,
                        other => panic!("{other:?}"),
                    }
                }
                0
            });
        }
        for _ in 0..200 * round {
            tokio::task::yield_now().await;
        }
        stage.runtime.shutdown().await;
        assert_eq!(stage.runtime.n_tasks(), 0, "round {round}");
        let answered = tokio::time::timeout(60 * SECOND, askers.join_all()).await;
        let n_asked: u32 = answered.expect("everybody is answered").into_iter().sum();
        let n_alive: usize =
            scripts.iter().map(|script| script.n_alive.load(Ordering::Relaxed)).sum();
        assert_eq!(n_alive, 0, "round {round}, {n_asked} questions");
    }
}

fn significant(policy: AutoShutdown) -> SupervisorSpec {
    one_for_one().auto_shutdown(policy)
}

fn transient(name: &'static str) -> ChildSpec {
    let spec = worker(name).restart(Restart::Transient);
    if name.starts_with('s') { spec.significant() } else { spec }
}

#[tokio::test(start_paused = true)]
async fn sup_g02_the_end_of_a_significant_child_ends_its_supervisor_for_good() {
    let stage = Stage::new().await;
    let names = ["a", "s", "b"];
    let tree = stage.tree(significant(AutoShutdown::AnySignificant), names, transient).await;
    tree.agents[1].send(Do::Crash).await.expect("it lives");
    settle().await;
    assert_eq!(stage.trace.take(), "+s", "a failure is a restart, not an end");
    tree.agents[0].send(Do::Stop).await.expect("it lives");
    settle().await;
    assert_eq!(stage.trace.take(), "-a", "it is not significant");
    tree.agents[1].send(Do::Stop).await.expect("it lives");
    settle().await;
    assert_eq!(stage.trace.take(), "-s -b");
    for agent in &tree.agents {
        assert_eq!(agent.info().state, AgentState::Stopped);
    }
    assert_ne!(stage.seen("tree").await.map(|child| child.state), Some(ChildState::Running));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_g03_g05_with_all_significant_only_the_last_end_by_itself_counts() {
    let stage = Stage::new().await;
    let names = ["s1", "s2", "s3"];
    let tree = stage.tree(significant(AutoShutdown::AllSignificant), names, transient).await;
    tree.agents[0].send(Do::Stop).await.expect("it lives");
    settle().await;
    tree.supervisor.terminate_child("s2").await.expect("it stops");
    settle().await;
    assert_eq!(stage.trace.take(), "-s1 -s2", "the supervisor goes on");
    assert_eq!(tree.state("s3").await, Some(ChildState::Running));
    tree.agents[2].send(Do::Stop).await.expect("it lives");
    settle().await;
    assert_eq!(stage.trace.take(), "-s3");
    assert_eq!(tree.supervisor.terminate_child("s1").await, Err(AdminError::ShuttingDown));
    stage.end().await;
}

/// A supervisor stops with its own significant child. The team is the parent; this is what a sibling answers.
async fn beside_one_that_stops_by_itself(is_significant: bool) -> Result<u64, AskError> {
    let stage = Stage::new().await;
    let (sibling, _) = stage.spawn(worker("sibling"), "sibling").await;
    let team = stage.runtime.supervisor();
    let any = AutoShutdown::AnySignificant;
    let tree = stage.tree(significant(any), ["a", "s"], transient).await;
    team.set_auto_shutdown(any).await.expect("it is a policy like any other");
    team.set_significant("tree", is_significant).await.expect("it is transient");
    tree.agents[1].send(Do::Stop).await.expect("it lives");
    settle().await;
    let expect = if is_significant { "-s -a -sibling" } else { "-s -a" };
    assert_eq!(stage.trace.take(), expect);
    assert_eq!(stage.seen("tree").await, None, "its end was a normal one");
    let answer = sibling.ask(SOON, Do::Generation).await;
    stage.end().await;
    answer
}

#[tokio::test(start_paused = true)]
async fn sup_g07_a_supervisor_that_stops_by_itself_stops_its_parent_only_when_it_is_significant() {
    let stopped = Err(AskError::Dead(DeadReason::Stopped));
    assert_eq!(beside_one_that_stops_by_itself(true).await, stopped);
    assert_eq!(beside_one_that_stops_by_itself(false).await, Ok(1));
}

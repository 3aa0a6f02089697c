//! Rows of the conformance list about many: children, failures and runs.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::stream;
use greenroom_core::alive::{Alive, Living, LivingKind};
use greenroom_core::journal::MemoryJournal;
use greenroom_core::model::{ChatEvent, ChatModel, ChatReply, ChatRequest, ChatStream};
use greenroom_core::random::SplitMix64;
use greenroom_core::supervision::{ChildSpec, ChildState, Strategy, SupervisorSpec};
use greenroom_runtime::Runtime;
use greenroom_testkit::{FaultPlan, FaultRule};

use super::{Do, HOUR, SECOND, SOON, Script, Stage, Trace, Tree, settle, worker};
use crate::support::end;

const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// A supervisor under which nothing is ever too much.
fn tireless(strategy: Strategy) -> SupervisorSpec {
    SupervisorSpec::new(strategy).intensity(1_000_000, HOUR)
}

/// One thing that happens to a child: mostly failures, sometimes a request.
async fn something(tree: &Tree, random: &mut SplitMix64) {
    let i = (random.bits() % NAMES.len() as u64) as usize;
    let agent = &tree.agents[i];
    match random.bits() % 10 {
        0..=2 => drop(agent.try_send(Do::Crash)),
        3 => drop(agent.try_send(Do::Fail)),
        4 => drop(agent.try_send(Do::Stop)),
        5 => drop(agent.crash_on_purpose()),
        6 => tree.scripts[i].n_bad_starts.store(2, Ordering::Relaxed),
        7 => {
            // Whatever it does, it is answered, and a stopped child is started again below.
            let stopped = tree.supervisor.terminate_child(NAMES[i]);
            drop(tokio::time::timeout(HOUR, stopped).await.expect("it is answered"));
        }
        8 => drop(tree.supervisor.restart_child(NAMES[i]).await),
        _ => tokio::time::sleep(Duration::from_millis(random.bits() % 20)).await,
    }
}

#[tokio::test(start_paused = true)]
async fn sup_j04_stress_in_three_seeds_leaves_every_child_up_once() {
    for seed in 1..=3 {
        for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
            let plan = FaultPlan::new(seed)
                .rule(FaultRule::crash("*").chance(0.05).times(100))
                .rule(FaultRule::failing_start("*").at(2).chance(0.1).times(100))
                .rule(FaultRule::slow_start("*", SECOND / 100).at(2).chance(0.1).times(100))
                .rule(FaultRule::slow_handler("*", SECOND / 50).chance(0.1).times(100));
            let runtime = Runtime::builder().seed(seed).faults(plan.clone()).start().await;
            let stage = Stage { runtime: runtime.expect("it starts"), trace: Trace::default() };
            let tree = stage.tree(tireless(strategy), NAMES, worker).await;
            let mut random = SplitMix64::new(seed);
            for _ in 0..500 {
                something(&tree, &mut random).await;
            }
            tokio::time::sleep(HOUR).await;
            for name in [NAMES; 20].as_flattened() {
                // One that is up refuses; one whose start is struck is tried again.
                drop(tree.supervisor.restart_child(*name).await);
            }
            tokio::time::sleep(HOUR).await;
            let children = tree.supervisor.which_children().await;
            for child in &children {
                assert_eq!(child.state, ChildState::Running, "{strategy:?} {child:?} {plan}");
            }
            assert_eq!(children.len(), NAMES.len(), "{strategy:?} {plan}");
            let alive = stage.runtime.alive();
            let actors = alive.iter().filter(|living| living.kind == LivingKind::Actor);
            let actors: Vec<_> = actors.map(|living| (living.name.as_str(), living.n)).collect();
            assert_eq!(actors, NAMES.map(|name| (name, 1)), "{strategy:?} {plan}");
            assert!(tree.agents.iter().all(|agent| agent.info().generation > 1), "{plan}");
            plan.assert_every_rule_struck();
            stage.end().await;
        }
    }
}

/// The time that it takes to start so many children, and to stop them with their supervisor.
#[expect(clippy::disallowed_methods, reason = "the time that the actors take is what is tested")]
async fn start_and_stop(n_children: usize) -> Duration {
    let stage = Stage::new().await;
    let started_at = std::time::Instant::now();
    let team = stage.runtime.supervisor();
    for i in 0..n_children {
        let child = stage.child("many", &Script::default()).1;
        team.start_child(ChildSpec::worker(format!("many-{i}")), child).await.expect("it starts");
    }
    assert_eq!(team.which_children().await.len(), n_children);
    stage.runtime.shutdown().await;
    let took = started_at.elapsed();
    stage.end().await;
    took
}

/// A busy machine may spoil an attempt, but not five; a supervisor that looks at every child for every event
/// has a ratio of about 100 in all of them.
#[tokio::test(start_paused = true)]
async fn sup_j05_ten_times_the_children_cost_at_most_twenty_times_the_time() {
    for _ in 0..5 {
        let few = start_and_stop(1000).await;
        if start_and_stop(10_000).await <= 20 * few {
            return;
        }
    }
    panic!("no attempt was in time");
}

/// Says hello at once, and remembers nothing.
struct Hello;

impl ChatModel for Hello {
    fn name(&self) -> &str {
        "hello"
    }

    fn stream(&self, _: ChatRequest) -> ChatStream {
        Box::pin(stream::iter([Ok(ChatEvent::Finished(ChatReply::text("hello")))]))
    }
}

/// What a run may leave: whoever holds its model holds its setup, its slot, its spec or its journal entry.
#[derive(Debug, PartialEq)]
struct Kept {
    n_models: usize,
    n_events: usize,
    n_agents: usize,
    n_dead_letters: usize,
    alive: Vec<Living>,
}

async fn after_runs(n: usize, runtime: &Runtime, journal: &MemoryJournal) -> Kept {
    let model = Arc::new(Hello);
    for _ in 0..n {
        let agent = runtime.agent("greeter").model(Arc::clone(&model)).build().expect("complete");
        assert_eq!(agent.run("hi").await.as_deref(), Ok("hello"));
    }
    settle().await;
    Kept {
        n_models: Arc::strong_count(&model),
        n_events: journal.n_events(),
        n_agents: runtime.agents().len(),
        n_dead_letters: runtime.dead_letters().len(),
        alive: runtime.alive(),
    }
}

/// The journal keeps the last hundred finished runs, so a hundred are the baseline.
#[tokio::test(start_paused = true)]
async fn sup_k06_ten_thousand_finished_runs_leave_what_a_hundred_leave() {
    let journal = MemoryJournal::keeping(100);
    let runtime = Runtime::builder().seed(7).journal(journal.clone()).start().await;
    let runtime = runtime.expect("it starts");
    let baseline = after_runs(100, &runtime, &journal).await;
    assert_eq!((baseline.n_models, baseline.n_agents, baseline.n_dead_letters), (1, 0, 0));
    assert!(baseline.alive.iter().all(|living| living.kind == LivingKind::Supervisor));
    assert_eq!(after_runs(10_000, &runtime, &journal).await, baseline);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn sup_h12_j04_a_restarted_supervisor_has_each_child_once() {
    let stage = Stage::new().await;
    let spec = SupervisorSpec::new(Strategy::OneForOne).intensity(0, HOUR);
    let tree = stage.tree(spec, ["a", "b"], worker).await;
    for generation in 2..=5 {
        tree.agents[0].send(Do::Crash).await.expect("it lives");
        settle().await;
        for agent in &tree.agents {
            assert_eq!(agent.ask(SOON, Do::Generation).await, Ok(generation));
        }
        let actors = stage.runtime.alive().into_iter();
        let actors: Vec<_> = actors.filter(|living| living.kind == LivingKind::Actor).collect();
        assert!(actors.iter().all(|living| living.n == 1) && actors.len() == 2, "{actors:?}");
    }
    stage.end().await;
}

//! Runs that sleep: they have no actors, lose no time, and wake when somebody answers.

use std::time::Duration;

use greenroom_core::alive::{Alive, LivingKind};
use greenroom_core::approval::{Decision, PendingCall};
use greenroom_core::budget::Budget;
use greenroom_core::ids::StreamId;
use greenroom_core::journal::{Event, Journal, MemoryJournal, Recorded};
use greenroom_core::model::{ChatReply, ChatRequest};
use greenroom_core::report::{Goal, Outcome, Status, TaskFailureKind};
use greenroom_core::tool::{Approval, DynTool};
use greenroom_runtime::{ControlError, Run, RunEvent, Runtime, Team};
use greenroom_testkit::{EvictingJournal, ScriptedModel, ScriptedTool};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{World, n_said, outcomes, pending, text};
use crate::recovery::{call, n_replies, process, recover, runtime, stored, unfinished};

/// Long enough for a run to fall asleep.
const A_WHILE: Duration = Duration::from_secs(3);

/// The actors and supervisors that live for runs.
pub(super) fn n_of_runs(runtime: &Runtime) -> usize {
    const RESIDENTS: [&str; 5] = ["runtime", "team", "recovery", "asleep", "tools"];
    let alive = runtime.alive().into_iter();
    let of_runs = alive.filter(|living| {
        let is_actor = matches!(living.kind, LivingKind::Actor | LivingKind::Supervisor);
        let name = living.name.as_str();
        let is_partition = name.len() == 6 && name.starts_with("runs-");
        is_actor && !is_partition && !RESIDENTS.contains(&name)
    });
    of_runs.map(|living| living.n).sum()
}

/// Waits until the run sleeps.
pub(super) async fn asleep<O: Clone + Send + Sync + 'static>(run: &Run<O>) {
    for _ in 0..100 {
        if run.asleep_until().is_some() {
            return sleep(Duration::from_millis(10)).await;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("the run does not sleep");
}

#[test]
fn runs_that_wait_have_no_actors_and_one_timer() {
    let world = World::new(&[("pay", 1)]);
    process(async {
        let runtime = runtime(world.journal.clone(), 1, 0).await;
        let agent = world.agent(&runtime);
        let before = n_of_runs(&runtime);
        let mut runs = Vec::new();
        for _ in 0..300 {
            runs.push(agent.start("go").await.expect("accepted"));
        }
        sleep(Duration::from_millis(500)).await;
        assert_eq!(n_of_runs(&runtime), before + 300, "they are at work");
        sleep(A_WHILE).await;
        assert_eq!(n_of_runs(&runtime), before, "they sleep");
        let timers: usize = runtime
            .alive()
            .iter()
            .filter(|living| living.kind == LivingKind::Timer)
            .map(|living| living.n)
            .sum();
        assert!(timers <= 1, "{timers} timers");
        assert!(runs.iter().all(|run| run.asleep_until().is_some()));
        // An hour later, one of them is answered.
        sleep(Duration::from_secs(3_600)).await;
        let asked = pending(&runtime, runs[7].id()).await.remove(0);
        assert_eq!(runtime.approve(&asked, "ann").await, Ok(()));
        assert_eq!(text(&runs[7]).await, "1");
        assert_eq!((world.n_paid(), world.model.calls().n_begun()), (1, 301));
        assert_eq!(n_of_runs(&runtime), before, "and the others sleep on");
        runtime.shutdown().await;
        let left = runs[0].outcome().await.expect_err("nobody answered");
        assert_eq!(left.kind, TaskFailureKind::Parked);
        assert_eq!(runtime.n_tasks(), 0);
    });
    assert_eq!(unfinished(&world.journal).len(), 299, "they are left to the next process");
}

/// Answers a run whose agents sleep, one call after the other, as a script does.
#[test]
fn several_answers_reach_a_run_that_wakes() {
    let world = World::new(&[("pay", 1), ("pay", 2), ("pay", 3)]);
    process(async {
        let runtime = runtime(world.journal.clone(), 1, 0).await;
        let run = world.agent(&runtime).start("go").await.expect("accepted");
        let asked = pending(&runtime, run.id()).await;
        asleep(&run).await;
        for call in &asked {
            assert_eq!(runtime.approve(call, "ann").await, Ok(()));
        }
        assert_eq!(text(&run).await, "1, 2, 3");
        runtime.shutdown().await;
    });
    assert_eq!((world.n_paid(), world.model.calls().n_begun()), (3, 2));
}

/// Whenever the answer comes, before, while and after the run falls asleep, it counts once.
#[test]
fn an_answer_that_comes_while_a_run_falls_asleep_counts_once() {
    for millis in (1_500..2_600).step_by(50).chain([1_999, 2_000, 2_001, 2_002]) {
        let world = World::new(&[("pay", 1), ("look", 2)]);
        process(async {
            let runtime = runtime(world.journal.clone(), 1, 0).await;
            let run = world.agent(&runtime).start("go").await.expect("accepted");
            sleep(Duration::from_millis(millis)).await;
            let asked = pending(&runtime, run.id()).await.remove(0);
            let (one, two) =
                tokio::join!(runtime.approve(&asked, "ann"), runtime.deny(&asked, "no", "bob"));
            assert!(one.is_ok() && two.is_err(), "{millis}: {one:?} {two:?}");
            assert_eq!(text(&run).await, "1, 2", "{millis}");
            runtime.shutdown().await;
        });
        assert_eq!((world.n_paid(), world.model.calls().n_begun()), (1, 2), "{millis}");
    }
}

#[test]
fn questions_expire_while_their_runs_sleep_each_in_its_time() {
    let world = World::new(&[("pay", 1)]);
    process(async {
        let runtime = runtime(world.journal.clone(), 1, 0).await;
        let mut runs = Vec::new();
        for minutes in [30, 10, 20] {
            let patience = Approval::always().expires_in(Duration::from_secs(60 * minutes));
            runs.push(world.agent_with(&runtime, patience).start("go").await.expect("accepted"));
        }
        let begun = Instant::now();
        for (n, minutes) in [(1, 10), (2, 20), (0, 30)] {
            assert_eq!(text(&runs[n]).await, "denied");
            let late = begun.elapsed().as_secs() - 60 * minutes;
            assert!(late < 5, "{late} seconds late");
        }
        runtime.shutdown().await;
    });
    assert_eq!((world.n_paid(), world.model.calls().n_begun()), (0, 6));
}

#[test]
fn a_run_that_sleeps_is_told_things_that_it_knows_when_it_wakes() {
    let world = World::new(&[("pay", 1)]);
    process(async {
        let runtime = runtime(world.journal.clone(), 1, 0).await;
        let run = world.agent(&runtime).start("go").await.expect("accepted");
        let asked = pending(&runtime, run.id()).await.remove(0);
        asleep(&run).await;
        let before = n_of_runs(&runtime);
        for _ in 0..2 {
            assert_eq!(runtime.steer(run.id(), "m1", "be quick").await, Ok(()));
        }
        assert_eq!(runtime.pause(run.id()).await, Ok(()));
        sleep(A_WHILE).await;
        assert_eq!(n_of_runs(&runtime), before, "it is not woken for that");
        assert_eq!(runtime.approve(&asked, "ann").await, Ok(()));
        sleep(Duration::from_secs(600)).await;
        assert_eq!(world.n_paid(), 0, "it is paused");
        runtime.resume(run.id()).await.expect("it goes on");
        assert_eq!(text(&run).await, "1");
        runtime.shutdown().await;
    });
    assert_eq!(n_said(&world.model.calls(), "be quick"), 1);
}

#[test]
fn a_run_that_sleeps_is_cancelled_by_its_runtime_and_by_its_handle() {
    let world = World::new(&[("pay", 1)]);
    process(async {
        let runtime = runtime(world.journal.clone(), 1, 0).await;
        for is_by_handle in [false, true] {
            let run = world.agent(&runtime).start("go").await.expect("accepted");
            let asked = pending(&runtime, run.id()).await.remove(0);
            asleep(&run).await;
            if is_by_handle {
                run.cancel();
            } else {
                assert_eq!(runtime.cancel(run.id()).await, Ok(()));
            }
            let failure = run.outcome().await.expect_err("cancelled");
            assert_eq!((failure.kind, failure.usage.model_calls), (TaskFailureKind::Cancelled, 1));
            assert_eq!(runtime.approve(&asked, "ann").await, Err(ControlError::Over));
            assert_eq!(runtime.cancel(run.id()).await, Err(ControlError::Over));
        }
        runtime.shutdown().await;
    });
    assert_eq!(world.n_paid(), 0);
    assert_eq!(unfinished(&world.journal), []);
}

/// What a run waits for that has fallen asleep, in a process that is over.
fn slept_over(world: &World) -> PendingCall {
    process(async {
        let runtime = runtime(world.journal.clone(), 1, 0).await;
        let run = world.agent(&runtime).start("go").await.expect("accepted");
        let asked = pending(&runtime, run.id()).await.remove(0);
        asleep(&run).await;
        asked
    })
}

/// A process that finds a run asleep starts nothing for it.
#[test]
fn a_run_sleeps_on_in_the_next_process_and_is_answered_there_or_without_any() {
    for is_answered_at_work in [true, false] {
        let world = World::new(&[("pay", 1)]);
        let asked = slept_over(&world);
        for n_life in 2..8 {
            world.next(n_life, async |runtime, run| {
                assert!(run.asleep_until().is_some());
                assert_eq!(n_of_runs(runtime), 0);
                sleep(Duration::from_secs(60)).await;
            });
        }
        if !is_answered_at_work {
            process(async {
                let runtime = runtime(world.journal.clone(), 8, 1_000).await;
                assert_eq!(runtime.approve(&asked, "ann").await, Ok(()));
                runtime.shutdown().await;
            });
        }
        world.next(11, async |runtime, run| {
            if is_answered_at_work {
                assert_eq!(runtime.approve(&asked, "ann").await, Ok(()));
            }
            assert_eq!(text(&run).await, "1");
            runtime.shutdown().await;
        });
        assert_eq!((world.n_paid(), world.model.calls().n_begun()), (1, 2));
    }
}

/// A team whose researcher pays after it has looked, with ten minutes for a question.
pub(super) async fn team(world: &World, runtime: &Runtime) -> Team {
    let tools: Vec<std::sync::Arc<dyn DynTool>> =
        vec![std::sync::Arc::new(world.pay()), std::sync::Arc::new(ScriptedTool::echo("look"))];
    let team = runtime.team().model(team_model()).tools(tools);
    team.approval("pay", Approval::always()).start().await.expect("the team starts")
}

/// Plans two tasks: `t1` pays, `t2` looks. The writer says what they said.
fn team_model() -> ScriptedModel {
    ScriptedModel::answering(|request: &ChatRequest| {
        let said = format!("{:?}", request.messages);
        let is_role = |words: &str| said.contains(words);
        if is_role("You plan") {
            let task =
                |id: &str| json!({ "id": id, "to": "research", "question": format!("do {id}") });
            return ChatReply::text(json!({ "tasks": [task("t1"), task("t2")] }).to_string());
        }
        if is_role("You write") {
            return ChatReply::text("It is paid. [1]");
        }
        let n: u64 = if said.contains("do t1") { 1 } else { 2 };
        match n_replies(&request.messages) {
            0 => ChatReply::calls([call("look", n)]),
            1 if n == 1 => ChatReply::calls([call("pay", n)]),
            _ => ChatReply::text(format!("done {}", outcomes(&request.messages))),
        }
    })
    .latency(Duration::from_secs(1))
}

/// U03 and U04: what was done before a branch waited is not done again, and the run's time stands still.
#[test]
fn u03_a_team_sleeps_while_a_branch_waits_and_repeats_nothing() {
    for n_processes in [1, 3] {
        let world = World::new(&[]);
        let goal = Goal {
            budget: Budget { wall_max: Duration::from_secs(60), ..Budget::default() },
            ..Goal::new("Pay and look.")
        };
        let (id, asked) = process(async {
            let runtime = runtime(world.journal.clone(), 1, 0).await;
            let team = team(&world, &runtime).await;
            let before = n_of_runs(&runtime);
            let mut run = team.submit(goal).await.expect("accepted");
            let asked = pending(&runtime, run.id()).await.remove(0);
            assert_eq!(asked.stream.path(), "t1");
            asleep(&run).await;
            assert_eq!(n_of_runs(&runtime), before);
            let mut events = Vec::new();
            while let Some(event) = run.next_event().await {
                let is_last = matches!(event, RunEvent::Asleep { .. });
                events.push(event);
                if is_last {
                    break;
                }
            }
            assert!(events.iter().any(|event| matches!(event, RunEvent::PersonAsked { .. })));
            sleep(Duration::from_secs(5 * 3_600)).await;
            if n_processes == 1 {
                answered(&runtime, &run, &asked).await;
            }
            (run.id(), asked)
        });
        for n_life in 2..=n_processes {
            process(async {
                let runtime = runtime(world.journal.clone(), n_life, 20_000 * n_life).await;
                let team = team(&world, &runtime).await;
                recover(&runtime).await;
                let run = team.attach(id).await.expect("memory answers").expect("it is known");
                assert!(run.asleep_until().is_some());
                if n_life == n_processes {
                    answered(&runtime, &run, &asked).await;
                }
            });
        }
        assert_eq!(world.n_paid(), 1);
        let streams = process(world.journal.streams(id)).expect("memory answers");
        let mut n_calls = 0;
        for stream in streams {
            let events = process(world.journal.load(&stream)).expect("memory answers");
            let is_call = |event: &Event| matches!(event, Event::ModelCalled { .. });
            n_calls += events.iter().filter(|recorded| is_call(&recorded.event)).count();
        }
        // The plan, three turns that pay, two that look, and two drafts of an answer.
        assert_eq!(n_calls, 8);
        let slept: Vec<_> = stored(&world.journal, id)
            .into_iter()
            .filter_map(|event| match event {
                Event::RunAwake { slept } => Some(slept.as_secs()),
                _ => None,
            })
            .collect();
        assert!(matches!(slept[..], [slept] if slept >= 5 * 3_600), "{slept:?}");
    }
}

pub(super) async fn answered(runtime: &Runtime, run: &Run<Outcome>, asked: &PendingCall) {
    assert_eq!(runtime.approve(asked, "ann").await, Ok(()));
    let outcome = run.outcome().await;
    // The writer gives no evidence, so the reports are the answer.
    assert_eq!((outcome.status, outcome.usage.model_calls), (Status::Partial, 8));
    assert!(outcome.answer.contains("done 1, 1"), "{}", outcome.answer);
    assert_eq!(run.asleep_until(), None);
    runtime.shutdown().await;
}

#[test]
fn a_team_that_sleeps_is_denied_cancelled_and_asked_again() {
    let world = World::new(&[]);
    process(async {
        let runtime = runtime(world.journal.clone(), 1, 0).await;
        let team = team(&world, &runtime).await;
        let before = n_of_runs(&runtime);
        let [denied, cancelled] = [team.ask("One.").await, team.ask("Two.").await];
        let (denied, cancelled) = (denied.expect("accepted"), cancelled.expect("accepted"));
        let asked = pending(&runtime, denied.id()).await.remove(0);
        asleep(&denied).await;
        asleep(&cancelled).await;
        assert_eq!(n_of_runs(&runtime), before);
        let why = Decision::Denied { why: "too much".into() };
        assert_eq!(runtime.answer(&asked, why, "ann").await, Ok(()));
        assert!(denied.outcome().await.answer.contains("done 1, denied"));
        cancelled.cancel();
        let outcome = cancelled.outcome().await;
        assert_eq!((outcome.status, outcome.usage.model_calls), (Status::Cancelled, 5));
        sleep(A_WHILE).await;
        assert_eq!(n_of_runs(&runtime), before);
        runtime.shutdown().await;
    });
    assert_eq!(world.n_paid(), 0);
}

#[test]
fn an_approval_of_a_tool_that_is_not_there_is_refused() {
    process(async {
        let runtime = runtime(MemoryJournal::new(), 1, 0).await;
        let team = runtime.team().model(ScriptedModel::answering(|_| ChatReply::text("")));
        let team = team.approval("pya", Approval::always()).start().await;
        let error = team.expect_err("a name that is misspelt protects nothing");
        assert!(error.cause.to_string().contains("no tool \"pya\""), "{error:?}");
        runtime.shutdown().await;
    });
}

/// At work or asleep, of an agent or a team: whoever waits for a run that goes on elsewhere is told the same.
#[test]
fn whoever_waits_for_a_run_that_is_left_to_the_next_process_is_told_so() {
    let world = World::new(&[("pay", 1)]);
    process(async {
        let runtime = runtime(world.journal.clone(), 1, 0).await;
        let (clerk, team) = (world.agent(&runtime), team(&world, &runtime).await);
        let (mut of_clerk, mut of_team) = (Vec::new(), Vec::new());
        for is_asleep in [true, false] {
            of_clerk.push(clerk.start("go").await.expect("accepted"));
            of_team.push(team.ask("Pay and look.").await.expect("accepted"));
            if is_asleep {
                asleep(&of_clerk[0]).await;
                asleep(&of_team[0]).await;
            }
        }
        sleep(Duration::from_millis(100)).await;
        runtime.shutdown().await;
        for run in of_clerk {
            assert_eq!(run.outcome().await.expect_err("left").kind, TaskFailureKind::Parked);
        }
        for run in of_team {
            let outcome = run.outcome().await;
            let kind = outcome.failure.map(|failure| failure.kind);
            assert_eq!((outcome.status, kind), (Status::Cancelled, Some(TaskFailureKind::Parked)));
        }
    });
    assert_eq!(unfinished(&world.journal).len(), 4);
}

/// However far the next process is with a run that sleeps, an answer wakes it and a cancellation ends it.
#[test]
fn a_run_is_told_things_while_the_next_process_puts_it_to_sleep() {
    for (n_yields, is_cancelled) in (0..60).flat_map(|n| [(n, false), (n, true)]) {
        let world = World::new(&[("pay", 1)]);
        let asked = slept_over(&world);
        let run = unfinished(&world.journal)[0];
        process(async {
            let runtime = runtime(world.journal.clone(), 2, 100).await;
            let agent = world.agent(&runtime);
            let told = async {
                while agent.attach(run).await.expect("memory answers").is_none() {
                    tokio::task::yield_now().await;
                }
                let run = agent.attach(run).await.expect("memory answers").expect("it is known");
                for _ in 0..n_yields {
                    tokio::task::yield_now().await;
                }
                if is_cancelled {
                    assert_eq!(runtime.cancel(run.id()).await, Ok(()), "{n_yields}");
                } else {
                    assert_eq!(runtime.approve(&asked, "ann").await, Ok(()), "{n_yields}");
                }
                run
            };
            let (_, run) = tokio::join!(recover(&runtime), told);
            let begun = Instant::now();
            let outcome = run.outcome().await;
            let took = begun.elapsed();
            assert!(took < Duration::from_secs(10), "{n_yields}: {took:?}");
            assert_eq!(outcome.is_err(), is_cancelled, "{n_yields}: {outcome:?}");
            runtime.shutdown().await;
        });
        assert_eq!(world.n_paid(), usize::from(!is_cancelled), "{n_yields}");
    }
}

/// An agent that fails once it is stored that its run sleeps was not stopped for it. It is awake, and says so: the next
/// process starts the run.
#[test]
fn a_run_that_was_not_stopped_after_all_is_awake_in_the_next_process() {
    let world = World::new(&[("pay", 1)]);
    let is_sleep = |recorded: &Recorded| matches!(recorded.event, Event::RunAsleep { .. });
    let id = process(async {
        let journal = EvictingJournal::new(world.journal.clone());
        let runtime = runtime(journal, 1, 0).await;
        let run = world.agent(&runtime).start("go").await.expect("accepted");
        let root = StreamId::root(run.id());
        for _ in 0..600 {
            sleep(Duration::from_secs(1)).await;
            let stored = world.journal.load(&root).await.expect("memory answers");
            if stored.iter().any(is_sleep) && !stored.last().is_some_and(is_sleep) {
                return run.id();
            }
        }
        panic!("it does not wake");
    });
    world.next(2, async |runtime, run| {
        assert_eq!((run.id(), run.asleep_until()), (id, None));
        let asked = pending(runtime, id).await.remove(0);
        assert_eq!(runtime.approve(&asked, "ann").await, Ok(()));
        assert_eq!(text(&run).await, "1");
        runtime.shutdown().await;
    });
}

/// However far a run is with waking, it is cancelled.
#[test]
fn a_team_is_cancelled_while_it_wakes() {
    for n_yields in 0..120 {
        let world = World::new(&[]);
        process(async {
            let runtime = runtime(world.journal.clone(), 1, 0).await;
            let team = team(&world, &runtime).await;
            let run = team.ask("Pay and look.").await.expect("accepted");
            let asked = pending(&runtime, run.id()).await.remove(0);
            asleep(&run).await;
            let cancelled = async {
                for _ in 0..n_yields {
                    tokio::task::yield_now().await;
                }
                run.cancel();
            };
            let (answered, ()) = tokio::join!(runtime.approve(&asked, "ann"), cancelled);
            assert!(matches!(answered, Ok(()) | Err(ControlError::Over)), "{n_yields}");
            assert_eq!(run.outcome().await.status, Status::Cancelled, "{n_yields}");
            runtime.shutdown().await;
        });
        assert_eq!(unfinished(&world.journal), []);
    }
}

//! The orderly end of a process: what finishes, what is left at which point, and what the next process makes
//! of it. Rows DR01 to DR03.

use std::time::Duration;

use greenroom_core::budget::Budget;
use greenroom_core::ids::RunId;
use greenroom_core::journal::{Event, Journal, MemoryJournal, Runs};
use greenroom_core::model::{ChatReply, ChatRequest};
use greenroom_core::recovery::RecoverySpec;
use greenroom_core::report::Status;
use greenroom_core::tool::{Approval, EffectClass, ToolErrorKind};
use greenroom_runtime::{
    Agent, AgentOutcome, DrainReport, HealthState, Run, RunError, Runtime, SystemClock,
};
use greenroom_testkit::{ScriptedModel, ScriptedReply, ScriptedTool};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::persistence::{Mood, MoodyJournal};
use crate::recovery::{call, n_replies, process, recover, runtime, stored, unfinished};
use crate::support::{Asked, NotedJournal, busy};
use crate::teams::{ANSWER, QUESTION, calculator, docs, extract};

const SECOND: Duration = Duration::from_secs(1);

/// How late a drain may notice that it is done.
const LATE: Duration = Duration::from_millis(100);

/// A model that looks so often before it answers, and a tool to look with. Each takes four seconds.
struct World {
    journal: MemoryJournal,
    model: ScriptedModel,
    look: ScriptedTool,
}

impl World {
    fn new(n_looks: usize) -> Self {
        let model = ScriptedModel::answering(move |request: &ChatRequest| {
            match n_replies(&request.messages) {
                n if n < n_looks => ChatReply::calls([call("look", n as u64)]),
                _ => ChatReply::text("done"),
            }
        });
        let (journal, four) = (MemoryJournal::new(), 4 * SECOND);
        Self { journal, model: model.latency(four), look: ScriptedTool::echo("look").delay(four) }
    }

    fn agent(&self, runtime: &Runtime) -> Agent {
        let budget = Budget { wall_max: Duration::from_secs(3_600), ..Budget::default() };
        let agent = runtime.agent("clerk").model(self.model.clone()).tool(self.look.clone());
        agent.budget(budget).tool_timeout(1_000 * SECOND).build().expect("complete")
    }

    /// How often the model was asked, and the tool called.
    fn n_calls(&self) -> (usize, usize) {
        (self.model.calls().n_begun(), self.look.calls().n_begun())
    }

    /// A process with one run, which is drained after a second.
    fn drained(&self, grace: Duration) -> (RunId, DrainReport, Duration) {
        process(async {
            let runtime = runtime(self.journal.clone(), 1, 0).await;
            let run = self.agent(&runtime).start("go").await.expect("accepted");
            tokio::time::sleep(SECOND).await;
            let (report, took) = drained(&runtime, grace).await;
            (run.id(), report, took)
        })
    }

    /// The next process, in which the run comes to its end.
    fn finished(&self, run: RunId) -> AgentOutcome {
        process(async {
            let runtime = runtime(self.journal.clone(), 2, 100).await;
            let agent = self.agent(&runtime);
            assert_eq!(recover(&runtime).await, [run]);
            let run = agent.attach(run).await.expect("memory answers").expect("it is known");
            let outcome = run.outcome().await;
            runtime.shutdown().await;
            outcome
        })
    }
}

async fn drained(runtime: &Runtime, grace: Duration) -> (DrainReport, Duration) {
    let begun_at = Instant::now();
    let report = runtime.drain(grace).await;
    assert_eq!((runtime.health().state, runtime.n_tasks()), (HealthState::Stopped, 0));
    (report, begun_at.elapsed())
}

#[track_caller]
fn took(took: Duration, seconds: u64) {
    let wanted = Duration::from_secs(seconds);
    assert!(took >= wanted && took < wanted + LATE, "{took:?} and not {wanted:?}");
}

#[test]
fn dr01_a_run_that_can_finish_in_time_does() {
    let world = World::new(1);
    let outcome = process(async {
        let runtime = runtime(world.journal.clone(), 1, 0).await;
        let run = world.agent(&runtime).start("go").await.expect("accepted");
        let (report, span) = drained(&runtime, 30 * SECOND).await;
        assert_eq!((report.n_finished, report.parked, report.cut_off), (1, vec![], vec![]));
        took(span, 12);
        run.outcome().await
    });
    assert_eq!(outcome.expect("an answer").text, "done");
    assert_eq!((world.n_calls(), unfinished(&world.journal)), ((2, 1), vec![]));
}

/// What is under way when half of the grace is over ends, and nothing follows it before the next process.
#[test]
fn dr01_a_long_run_is_left_at_its_next_journal_point_and_repeats_nothing() {
    let world = World::new(6);
    let (run, report, span) = world.drained(28 * SECOND);
    // The second look has begun at 12 s and ends at 16 s; the drain began at 1 s, and half of it is 15 s.
    took(span, 15);
    assert_eq!((report.n_finished, report.parked, report.cut_off), (0, vec![run], vec![]));
    assert_eq!(world.n_calls(), (2, 2));
    let events = stored(&world.journal, run);
    let [.., before, last] = &events[..] else { panic!("{events:?}") };
    assert!(matches!(before, Event::ToolFinished { .. }), "{before:?}");
    assert!(matches!(last, Event::RunReleased), "{last:?}");
    assert_eq!(world.finished(run).expect("an answer").text, "done");
    assert_eq!(world.n_calls(), (7, 6), "each once");
}

#[test]
fn dr01_a_team_that_is_drained_at_any_time_repeats_nothing() {
    let asked = |n_half_seconds: u32| {
        let model = ScriptedModel::answering(extract).latency(SECOND);
        let journal = MemoryJournal::new();
        let report = process(async {
            let runtime = runtime(journal.clone(), 1, 0).await;
            let team = runtime.team().model(model.clone()).source(docs()).tools(calculator());
            let team = team.start().await.expect("the team starts");
            let run = team.ask(QUESTION).await.expect("accepted");
            tokio::time::sleep(n_half_seconds * SECOND / 2).await;
            // A call takes a second, so none is cut off.
            let (report, _) = drained(&runtime, 3 * SECOND).await;
            assert_eq!(report.cut_off, []);
            drop(run);
            report
        });
        for run in &report.parked {
            process(async {
                let runtime = runtime(journal.clone(), 2, 100).await;
                let team = runtime.team().model(model.clone()).source(docs()).tools(calculator());
                let team = team.start().await.expect("the team starts");
                assert_eq!(recover(&runtime).await, [*run]);
                let run = team.attach(*run).await.expect("memory answers").expect("it is known");
                let outcome = run.outcome().await;
                assert_eq!((outcome.status, outcome.answer.as_str()), (Status::Completed, ANSWER));
                runtime.shutdown().await;
            });
        }
        assert_eq!(unfinished(&journal), []);
        (report.parked.len(), model.calls().n_begun())
    };
    let (n_parked, n_undisturbed) = asked(20);
    assert_eq!(n_parked, 0, "it was over");
    let mut n_parked = 0;
    for n_half_seconds in 0..8 {
        let (parked, n_calls) = asked(n_half_seconds);
        assert_eq!(n_calls, n_undisturbed, "after {n_half_seconds} half seconds");
        n_parked += parked;
    }
    assert!(n_parked >= 2, "{n_parked}");
}

/// Ten minutes are longer than any grace. What becomes of the call is a matter of its class.
#[test]
fn dr02_a_tool_of_ten_minutes_is_cut_off_and_resumed_per_class() {
    for (effect, n_made) in
        [(EffectClass::ReadOnly, 2), (EffectClass::Idempotent, 2), (EffectClass::AtMostOnce, 1)]
    {
        let mut world = World::new(1);
        world.look = ScriptedTool::echo("look").effect(effect).delay(600 * SECOND);
        let (run, report, span) = world.drained(30 * SECOND);
        took(span, 30);
        assert_eq!((report.n_finished, report.parked, report.cut_off), (0, vec![], vec![run]));
        assert_eq!(world.n_calls(), (1, 1), "{effect:?}");
        assert!(world.finished(run).is_ok(), "{effect:?}");
        assert_eq!(world.n_calls(), (2, n_made), "{effect:?}");
        let keys: Vec<_> = world
            .look
            .calls()
            .requests()
            .into_iter()
            .map(|(made, _)| made.idempotency_key)
            .collect();
        assert!(keys.iter().all(|key| *key == keys[0]), "{effect:?}: {keys:?}");
        let in_doubt = stored(&world.journal, run).into_iter().any(|event| {
            matches!(event, Event::ToolFinished { outcome: greenroom_core::message::ToolOutcome::Error(error), .. }
                if error.kind == ToolErrorKind::InDoubt)
        });
        assert_eq!(in_doubt, effect == EffectClass::AtMostOnce, "{effect:?}");
    }
}

#[test]
fn dr03_health_says_draining_before_anything_is_refused() {
    let world = World::new(3);
    process(async {
        let builder = Runtime::builder().journal(world.journal.clone()).runs_max(2).seed(1);
        let runtime = builder.clock(SystemClock::new()).start().await.expect("a runtime starts");
        let agent = world.agent(&runtime);
        let state = || runtime.health().state;
        assert_eq!((state(), runtime.health().n_runs), (HealthState::Ready, 0));
        let _first = agent.start("go").await.expect("accepted");
        assert_eq!((state(), runtime.health().n_runs), (HealthState::Ready, 1));
        let _second = agent.start("go").await.expect("accepted");
        assert_eq!((state(), runtime.health().n_runs), (HealthState::Full, 2));
        tokio::time::sleep(30 * SECOND).await;
        assert_eq!(state(), HealthState::Ready);

        let _third = agent.start("go").await.expect("accepted");
        let mut draining = JoinSet::new();
        draining.spawn({
            let runtime = runtime.clone();
            async move { runtime.drain(60 * SECOND).await }
        });
        let mut n_refused = 0;
        for _ in 0..10 {
            let seen = state();
            match agent.start("go").await {
                Ok(_) => assert_eq!(seen, HealthState::Ready),
                Err(error) => {
                    assert_eq!((seen, &error), (HealthState::Draining, &RunError::Draining));
                    assert_eq!(error.code(), "GR0112");
                    n_refused += 1;
                }
            }
            tokio::task::yield_now().await;
        }
        assert!(n_refused >= 8, "{n_refused}");
        assert_eq!(agent.run("go").await, Err(RunError::Draining));
        let team = runtime.team().model(world.model.clone()).start().await.expect("it starts");
        assert_eq!(team.ask("Why?").await.err(), Some(RunError::Draining));
        let report = draining.join_next().await.expect("it was begun").expect("no panic");
        assert_eq!(report.n_finished, 1 + 10 - n_refused);
        assert_eq!((state(), runtime.health().n_runs), (HealthState::Stopped, 0));
    });
}

/// RT11: what a provider asked to wait is waited out, in whichever process.
#[test]
fn dr01_a_wait_for_a_provider_holds_nothing_up_and_is_continued() {
    let journal = MemoryJournal::new();
    let busy = ScriptedReply::from(busy(90 * SECOND));
    let model = ScriptedModel::new([busy, ScriptedReply::text("at last")]);
    let clerk = |runtime: &Runtime| runtime.agent("clerk").model(model.clone()).build();
    let run = process(async {
        let runtime = runtime(journal.clone(), 1, 0).await;
        let run = clerk(&runtime).expect("complete").start("hello?").await.expect("accepted");
        tokio::time::sleep(SECOND).await;
        let (report, span) = drained(&runtime, 20 * SECOND).await;
        took(span, 10);
        assert_eq!(report.parked, [run.id()]);
        run.id()
    });
    process(async {
        let runtime = runtime(journal.clone(), 2, 50).await;
        let clerk = clerk(&runtime).expect("complete");
        let begun_at = Instant::now();
        recover(&runtime).await;
        let run = clerk.attach(run).await.expect("memory answers").expect("it is known");
        assert_eq!(run.outcome().await.expect("an answer").text, "at last");
        took(begun_at.elapsed(), 40);
        runtime.shutdown().await;
    });
}

#[test]
fn dr01_a_wait_that_ends_while_runs_are_parked_begins_no_call() {
    let journal = MemoryJournal::new();
    let busy = ScriptedReply::from(busy(14 * SECOND));
    let model = ScriptedModel::new([busy, ScriptedReply::text("at last")]);
    // Another run holds the drain up beyond the end of the wait.
    let world = World { journal: journal.clone(), ..World::new(1) };
    process(async {
        let runtime = runtime(journal.clone(), 1, 0).await;
        let waiting = runtime.agent("patient").model(model.clone()).build().expect("complete");
        let waiting = waiting.start("hello?").await.expect("accepted");
        let slow = ScriptedModel::answering(|_| ScriptedReply::text("done")).latency(19 * SECOND);
        let world = World { model: slow, ..world };
        let slow = world.agent(&runtime).start("go").await.expect("accepted");
        let (report, span) = drained(&runtime, 20 * SECOND).await;
        took(span, 19);
        assert_eq!((report.n_finished, report.parked), (1, vec![waiting.id()]));
        assert_eq!(slow.outcome().await.expect("an answer").text, "done");
    });
    assert_eq!(model.calls().n_begun(), 1);
}

/// What a provider asks to wait while runs are parked is kept too: the wait is journalled, and not begun.
#[test]
fn dr01_a_wait_that_is_asked_for_while_runs_are_parked_is_kept() {
    let journal = MemoryJournal::new();
    let busy = ScriptedReply::from(busy(90 * SECOND));
    let replies = [busy, ScriptedReply::text("at last")];
    let model = ScriptedModel::new(replies).latency(4 * SECOND);
    let clerk = |runtime: &Runtime| runtime.agent("clerk").model(model.clone()).build();
    process(async {
        let runtime = runtime(journal.clone(), 1, 0).await;
        let _run = clerk(&runtime).expect("complete").start("hello?").await.expect("accepted");
        let (report, span) = drained(&runtime, 6 * SECOND).await;
        took(span, 4);
        assert_eq!((report.parked.len(), model.calls().n_begun()), (1, 1));
    });
    process(async {
        let runtime = runtime(journal.clone(), 2, 54).await;
        let clerk = clerk(&runtime).expect("complete");
        let begun_at = Instant::now();
        let run = recover(&runtime).await[0];
        let run = clerk.attach(run).await.expect("memory answers").expect("it is known");
        assert_eq!(run.outcome().await.expect("an answer").text, "at last");
        took(begun_at.elapsed(), 40 + 4);
        runtime.shutdown().await;
    });
}

#[test]
fn dr01_a_run_that_waits_for_a_person_holds_nothing_up() {
    let journal = MemoryJournal::new();
    let model = ScriptedModel::answering(|_| ChatReply::calls([call("pay", 1)]));
    process(async {
        let runtime = runtime(journal.clone(), 1, 0).await;
        let pay = ScriptedTool::echo("pay").approval(Approval::always());
        let clerk = runtime.agent("clerk").model(model.clone()).tool(pay);
        let run: Run<AgentOutcome> =
            clerk.build().expect("complete").start("go").await.expect("accepted");
        tokio::time::sleep(SECOND).await;
        let (report, span) = drained(&runtime, 20 * SECOND).await;
        took(span, 0);
        assert_eq!(report.parked, [run.id()]);
    });
}

/// A process that ends takes nothing over from one that has ended.
#[test]
fn dr01_whoever_drains_recovers_nothing() {
    let world = World::new(1);
    let (run, ..) = world.drained(Duration::ZERO);
    let before = stored(&world.journal, run);
    process(async {
        let runtime = runtime(world.journal.clone(), 2, 100).await;
        let agent = world.agent(&runtime);
        let other = runtime.agent("other").model(world.model.clone()).tool(world.look.clone());
        let _other = other.build().expect("complete").start("go").await.expect("accepted");
        let mut draining = JoinSet::new();
        draining.spawn({
            let runtime = runtime.clone();
            async move { runtime.drain(60 * SECOND).await }
        });
        tokio::task::yield_now().await;
        let round = runtime.recover(RecoverySpec::default()).await.expect("a round ends");
        assert_eq!(round.resumed, []);
        draining.join_next().await.expect("it was begun").expect("no panic");
        drop(agent);
    });
    assert_eq!(stored(&world.journal, run), before);
    assert!(world.finished(run).is_ok());
}

#[test]
fn dr01_the_journal_is_flushed_last() {
    let world = World::new(10);
    let journal = NotedJournal::default();
    process(async {
        let runtime = runtime(journal.clone(), 1, 0).await;
        let _run = world.agent(&runtime).start("go").await.expect("accepted");
        drained(&runtime, 10 * SECOND).await;
    });
    let asked = journal.take();
    let n_appends = asked.iter().filter(|asked| **asked == Asked::Append).count();
    assert!(n_appends > 3, "{asked:?}");
    assert_eq!(asked.last(), Some(&Asked::Flush));
}

/// FI38: nothing is accepted, nothing is begun that was not stored first, and the health is red.
#[test]
fn fi38_a_full_disk_stops_what_is_to_begin_and_is_seen() {
    for mood in [Mood::Refusing, Mood::Reluctant(SECOND / 10)] {
        check_full(mood);
    }
}

fn check_full(full: Mood) {
    let world = World::new(3);
    let journal = MoodyJournal::default();
    process(async {
        let runtime = runtime(journal.clone(), 1, 0).await;
        let agent = world.agent(&runtime);
        let run = agent.start("go").await.expect("accepted");
        tokio::time::sleep(SECOND).await;
        assert_eq!(runtime.health().state, HealthState::Ready);
        journal.set(full);
        // The call that is under way ends at 4 s. Its outcome cannot be stored, so the tool is not called.
        tokio::time::sleep(5 * SECOND).await;
        assert_eq!((world.n_calls().1, runtime.health().state), (0, HealthState::Failing));
        let refused = agent.start("go").await.expect_err("it cannot be stored");
        assert_eq!(refused.code(), "GR0505");
        let unfinished = journal.runs(Runs::Unfinished).await.expect("memory answers");
        assert_eq!((runtime.health().n_runs, unfinished.len()), (1, 1));
        journal.set(Mood::Prompt);
        let _next = agent.start("go").await.expect("there is room again");
        assert_eq!(runtime.health().state, HealthState::Ready);
        drop(run);
        runtime.shutdown().await;
    });
}

/// A grace without an end is one, and whoever gives it waits for every run.
#[test]
fn a_drain_may_have_all_the_time_there_is() {
    let world = World::new(1);
    process(async {
        let runtime = runtime(world.journal.clone(), 1, 0).await;
        let run = world.agent(&runtime).start("go").await.expect("accepted");
        let (report, span) = drained(&runtime, Duration::MAX).await;
        assert_eq!((report.n_finished, report.parked, report.cut_off), (1, vec![], vec![]));
        took(span, 12);
        assert_eq!(run.outcome().await.expect("an answer").text, "done");
    });
}

/// FI38: also when nobody is at work; and it is well again when anybody's event is stored.
#[test]
fn fi38_the_health_follows_what_the_journal_takes() {
    let world = World::new(1);
    let journal = MoodyJournal::default();
    process(async {
        let runtime = runtime(journal.clone(), 1, 0).await;
        let agent = world.agent(&runtime);
        let state = || runtime.health().state;
        journal.set(Mood::Refusing);
        agent.start("go").await.expect_err("it cannot be stored");
        assert_eq!(state(), HealthState::Failing);
        journal.set(Mood::Prompt);
        let _first = agent.start("go").await.expect("accepted");
        assert_eq!(state(), HealthState::Ready);
        tokio::time::sleep(SECOND).await;
        let _second = agent.start("go").await.expect("accepted");
        // Their calls end at 4 s and at 5 s.
        tokio::time::sleep(2 * SECOND).await;
        journal.set(Mood::Refusing);
        tokio::time::sleep(SECOND + SECOND / 2).await;
        assert_eq!(state(), HealthState::Failing);
        journal.set(Mood::Prompt);
        tokio::time::sleep(SECOND).await;
        assert_eq!(state(), HealthState::Ready);
        runtime.shutdown().await;
    });
}

//! Faults on purpose: what each of them does to a start, a message and a reply.

use std::sync::Mutex;
use std::time::Duration;

use greenroom_core::fault::{Fault, Faults, INJECTED, Point};
use greenroom_core::message::ToolCall;
use greenroom_core::model::ModelErrorKind;
use greenroom_core::supervision::{AdminError, ChildSpec, ExitReason, Intensity, Shutdown};
use greenroom_runtime::{Actor, AskError, Context, DeadReason, Failure, Reply, Runtime};
use greenroom_testkit::{FaultPlan, FaultRule, ScriptedModel, ScriptedReply, ScriptedTool};
use tokio::time::Instant;

use crate::support::end;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Which of an agent's points a test strikes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum At {
    Start,
    Message,
    Reply,
}

/// Strikes the first so many times that any agent comes to a point.
struct First {
    at: At,
    fault: Fault,
    n_left: Mutex<u32>,
}

impl Faults for First {
    fn strike(&self, point: &Point<'_>) -> Option<Fault> {
        let at = match point {
            Point::Start { .. } => At::Start,
            Point::Message { .. } => At::Message,
            Point::Reply { .. } => At::Reply,
            other => panic!("a new point: {other:?}"),
        };
        let mut n_left = self.n_left.lock().expect("no test panics here");
        let strikes = at == self.at && *n_left > 0;
        *n_left -= u32::from(strikes);
        strikes.then_some(self.fault)
    }
}

/// A runtime in which the first so many points of this kind are struck.
async fn struck(at: At, fault: Fault, n: u32) -> Runtime {
    let faults = First { at, fault, n_left: Mutex::new(n) };
    Runtime::builder().seed(7).faults(faults).start().await.expect("a runtime starts")
}

/// Counts what it handles, and says in which life.
#[derive(Default)]
struct Counter(u32);

struct Count(Reply<(u32, u64)>);

impl Actor for Counter {
    type Message = Count;

    fn handle(&mut self, message: &Count, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        self.0 += 1;
        let _ = message.0.send((self.0, context.generation()));
        Ok(())
    }
}

/// What two questions in a row are answered, and how long both took.
async fn asked_twice(runtime: &Runtime) -> ([Result<(u32, u64), AskError>; 2], Duration) {
    let spec = ChildSpec::worker("counter").shutdown(Shutdown::Timeout(SECOND));
    let counter = runtime.spawn_with(spec, Default::default(), Counter::default).await;
    let counter = counter.expect("it starts");
    let asked_at = Instant::now();
    let answers = [counter.ask(MINUTE, Count).await, counter.ask(MINUTE, Count).await];
    (answers, asked_at.elapsed())
}

#[tokio::test(start_paused = true)]
async fn without_a_plan_nothing_goes_wrong() {
    let runtime = crate::support::runtime().await;
    assert_eq!(asked_twice(&runtime).await, ([Ok((1, 1)), Ok((2, 1))], Duration::ZERO));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_struck_crashes_or_fails_and_the_message_is_delivered_again() {
    for (fault, cause) in
        [(Fault::Panic, ExitReason::panic(INJECTED)), (Fault::Fail, ExitReason::failed(INJECTED))]
    {
        let runtime = struck(At::Message, fault, 1).await;
        let (answers, _) = asked_twice(&runtime).await;
        assert_eq!(answers, [Ok((1, 2)), Ok((2, 2))], "{fault}: the second life answers both");
        end(runtime).await;

        let runtime = struck(At::Message, fault, 2).await;
        let (answers, _) = asked_twice(&runtime).await;
        let poison = DeadReason::Poison { cause };
        assert_eq!(answers, [Err(AskError::Dead(poison)), Ok((1, 3))], "{fault}: twice is poison");
        end(runtime).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_handler_is_waited_for_and_handles_the_message_once() {
    let runtime = struck(At::Message, Fault::Delay(3 * SECOND), 1).await;
    assert_eq!(asked_twice(&runtime).await, ([Ok((1, 1)), Ok((2, 1))], 3 * SECOND));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_handles_nothing_until_it_is_killed() {
    let runtime = struck(At::Message, Fault::Hang, 1).await;
    let (answers, took) = asked_twice(&runtime).await;
    let late = AskError::TimedOut(MINUTE);
    assert_eq!((answers, took), ([Err(late.clone()), Err(late)], 2 * MINUTE));

    let asked_at = Instant::now();
    let supervisor = runtime.supervisor();
    supervisor.terminate_child("counter").await.expect("it is killed");
    assert_eq!(asked_at.elapsed(), SECOND, "it was given its time to stop");
    assert_eq!(runtime.dead_letter_counts()["stopped"], 2, "the one that hung, and the next");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_hung_is_delivered_again_after_the_kill() {
    let runtime = struck(At::Message, Fault::Hang, 1).await;
    let spec = ChildSpec::worker("counter").shutdown(Shutdown::Brutal);
    let tree = runtime.child("counter", Default::default(), Counter::default);
    let other = runtime.child("other", Default::default(), Counter::default);
    let all = greenroom_core::supervision::Strategy::OneForAll;
    let children = vec![(spec, tree.1), (ChildSpec::worker("other"), other.1)];
    let supervisor = greenroom_core::supervision::SupervisorSpec::new(all);
    runtime.supervise("tree", supervisor, children).await.expect("it starts");
    let crash = async {
        tokio::time::sleep(SECOND).await;
        assert!(tree.0.info().in_flight.is_some(), "it hangs");
        // A crash of the sibling kills the one that hangs, and starts both again.
        assert!(other.0.crash_on_purpose());
    };
    let (answer, ()) = tokio::join!(tree.0.ask(MINUTE, Count), crash);
    assert_eq!(answer, Ok((1, 2)), "by the second life");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_struck_is_slow_or_fails_with_its_cause() {
    for (fault, cause) in
        [(Fault::Panic, ExitReason::panic(INJECTED)), (Fault::Fail, ExitReason::failed(INJECTED))]
    {
        let runtime = struck(At::Start, fault, 1).await;
        let refused = runtime.spawn("counter", Counter::default).await.map(|_| ());
        assert_eq!(refused, Err(AdminError::StartFailed { cause }), "{fault}");
        assert_eq!(asked_twice(&runtime).await.0[0], Ok((1, 1)), "{fault}: the next start is not");
        end(runtime).await;
    }
    let runtime = struck(At::Start, Fault::Delay(3 * SECOND), 1).await;
    let started_at = Instant::now();
    runtime.spawn("counter", Counter::default).await.expect("it starts after all");
    assert_eq!(started_at.elapsed(), 3 * SECOND);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_hangs_can_be_cut_off() {
    let runtime = struck(At::Start, Fault::Hang, 1).await;
    let starting = runtime.spawn("counter", Counter::default);
    assert!(tokio::time::timeout(MINUTE, starting).await.is_err(), "it hangs");
    runtime.supervisor().terminate_child("counter").await.expect("it is cut off");
    assert_eq!(runtime.supervisor().which_children().await, []);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_is_struck_is_late_or_dropped_or_lost() {
    let late = AskError::TimedOut(MINUTE);
    for (fault, first, took) in [
        (Fault::Delay(3 * SECOND), Ok((1, 1)), 3 * SECOND),
        (Fault::Delay(2 * MINUTE), Err(late.clone()), MINUTE),
        (Fault::Hang, Err(late), MINUTE),
        (Fault::Fail, Err(AskError::NoReply), Duration::ZERO),
        (Fault::Panic, Err(AskError::NoReply), Duration::ZERO),
    ] {
        let runtime = struck(At::Reply, fault, 1).await;
        assert_eq!(asked_twice(&runtime).await, ([first, Ok((2, 1))], took), "{fault}");
        end(runtime).await;
    }
}

/// A plan strikes real agents, and says whom it struck.
#[tokio::test(start_paused = true)]
async fn a_plan_strikes_agents_by_name_and_number() {
    let plan = FaultPlan::new(7)
        .rule(FaultRule::crash("count*").at(2))
        .rule(FaultRule::slow_start("counter", 3 * SECOND))
        .rule(FaultRule::late_reply("counter", SECOND).at(2));
    let runtime = Runtime::builder().seed(7).faults(plan.clone()).start().await.expect("it starts");
    let started_at = Instant::now();
    let (answers, took) = asked_twice(&runtime).await;
    assert_eq!(answers, [Ok((1, 1)), Ok((1, 2))], "{plan}");
    assert_eq!((took, started_at.elapsed()), (SECOND, 4 * SECOND), "{plan}");
    let injected: Vec<_> = plan.injected().iter().map(ToString::to_string).collect();
    let expect = [
        "delay of 3s at start 1 of counter",
        "panic at message 2 of counter",
        "delay of 1s at reply 2 of counter",
    ];
    assert_eq!(injected, expect);
    plan.assert_every_rule_struck();
    end(runtime).await;
}

/// An agent that is asked by a model may be slow, broken or gone, and its tool may panic; the run tells.
#[tokio::test(start_paused = true)]
async fn a_plan_strikes_the_model_and_the_tools_of_an_agent() {
    let call = ToolCall {
        id: "c1".into(),
        name: "add".to_owned(),
        arguments: serde_json::json!({ "a": 1 }),
    };
    let model = ScriptedModel::new([ScriptedReply::calls([call]), ScriptedReply::text("done")]);
    let plan = FaultPlan::new(7)
        .rule(FaultRule::model_error("scripted", ModelErrorKind::RateLimited))
        .rule(FaultRule::tool_panic("add"));
    let runtime = Runtime::builder().seed(7).faults(plan.clone()).start().await.expect("it starts");
    let agent = runtime.agent("adder").model(plan.model(model.clone()));
    let agent = agent.tool(plan.tool(ScriptedTool::echo("add"))).build().expect("it is complete");
    assert_eq!(agent.run("1 + 1?").await.as_deref(), Ok("done"), "{plan}");
    let last = model.calls().last().expect("it was asked");
    let told = format!("{:?}", last.messages.last());
    assert!(told.contains("a fault was injected (seed 7)"), "the model reads it: {told}");
    plan.assert_every_rule_struck();
    end(runtime).await;
}

/// The same seed gives the same faults to the same run, and another one does not.
#[tokio::test(start_paused = true)]
async fn the_same_seed_injects_the_same_faults() {
    let mut records = Vec::new();
    for seed in [1, 1, 2] {
        let plan = FaultPlan::new(seed).rule(FaultRule::crash("counter").chance(0.2).times(100));
        let runtime = Runtime::builder().seed(7).faults(plan.clone()).start().await;
        let runtime = runtime.expect("it starts");
        let spec = ChildSpec::worker("counter").intensity(Intensity::new(1000, SECOND));
        let counter = runtime.spawn_with(spec, Default::default(), Counter::default).await;
        let counter = counter.expect("it starts");
        for _ in 0..100 {
            let _ = counter.ask(MINUTE, Count).await;
        }
        assert!((10..40).contains(&plan.n_injected()), "{plan}");
        records.push(plan.injected());
        end(runtime).await;
    }
    assert_eq!(records[0], records[1]);
    assert_ne!(records[0], records[2]);
}

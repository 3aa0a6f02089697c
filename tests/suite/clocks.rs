//! A clock of the machine that is set back moves nothing that is measured. Row FI39.

use std::sync::Arc;
use std::time::Duration;

use greenroom_core::BoxFuture;
use greenroom_core::budget::{Budget, Limit};
use greenroom_core::ids::AgentId;
use greenroom_core::model::{Caller, ChatRequest, ModelErrorKind};
use greenroom_core::time::{Clock, Timestamp};
use greenroom_models::resilience::{Governor, GovernorSpec, ResilienceSpec, resilient};
use greenroom_runtime::{Runtime, SystemClock};
use greenroom_testkit::{ScriptedModel, ScriptedReply};
use tokio::time::Instant;

use crate::support::{ask, busy, end, request};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

/// The machine's clock, which somebody sets back by an hour after ten seconds.
struct SetBack(SystemClock);

impl SetBack {
    fn new() -> Self {
        Self(SystemClock::starting_at(Timestamp::from_millis(1_700_000_000_000)))
    }
}

impl Clock for SetBack {
    fn now(&self) -> Timestamp {
        let is_set_back = self.0.elapsed() >= 10 * SECOND;
        let by = if is_set_back { HOUR } else { Duration::ZERO };
        Timestamp::from_millis(self.0.now().as_millis() - by.as_millis() as u64)
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, span: Duration) -> BoxFuture<'static, ()> {
        self.0.sleep(span)
    }
}

#[track_caller]
fn took(begun: Instant, wanted: Duration) {
    let took = begun.elapsed();
    assert!(took >= wanted && took < wanted + SECOND, "{took:?} and not {wanted:?}");
}

#[tokio::test(start_paused = true)]
async fn fi39_a_run_ends_at_its_deadline_whatever_the_clock_shows() {
    let runtime = Runtime::builder().seed(7).clock(SetBack::new()).start().await;
    let runtime = runtime.expect("a runtime starts");
    let model = ScriptedModel::new([ScriptedReply::text("late")]).latency(HOUR);
    let agent = runtime.agent("clerk").model(model).model_timeout(2 * HOUR);
    let budget = Budget { wall_max: 60 * SECOND, ..Budget::default() };
    let agent = agent.budget(budget).build().expect("complete");
    let begun = Instant::now();
    let run = agent.start("go").await.expect("it starts");
    let failure = run.outcome().await.expect_err("it has no answer");
    assert_eq!(failure.limit, Some(Limit::Deadline), "{failure:?}");
    took(begun, 60 * SECOND);
    end(runtime).await;
}

/// Also when the agent crashes while it waits for its next try.
#[tokio::test(start_paused = true)]
async fn fi39_a_wait_for_the_next_try_is_as_long_as_it_was_to_be() {
    let runtime = Runtime::builder().seed(7).clock(SetBack::new()).start().await;
    let runtime = runtime.expect("a runtime starts");
    let model = ScriptedModel::new([busy(30 * SECOND).into(), ScriptedReply::text("done")]);
    let agent = runtime.agent("clerk").model(model).build().expect("complete");
    let begun = Instant::now();
    let run = agent.start("go").await.expect("it starts");
    tokio::time::sleep(20 * SECOND).await;
    assert!(run.crash_on_purpose(&AgentId::new("clerk")));
    assert_eq!(run.outcome().await.expect("an answer").text, "done");
    took(begun, 30 * SECOND);
    end(runtime).await;
}

/// What a model behind everything that stands around it does until a call is over: how it ended, when, and how often it
/// was asked.
async fn asked(
    clock: impl Clock,
    model: ScriptedModel,
    caller: Caller,
) -> (Option<ModelErrorKind>, Duration, usize) {
    let calls = model.calls();
    let governor = Governor::new(GovernorSpec::default(), Arc::new(clock));
    let model = resilient(model, &governor, ResilienceSpec::default());
    let begun = Instant::now();
    let reply = ask(&*model, ChatRequest { caller, ..request() }).await;
    (reply.err().map(|error| error.kind), begun.elapsed(), calls.n_begun())
}

/// Silence is given up, a wait that was asked for is kept, and a caller's deadline ends the tries: all when they would have.
#[tokio::test(start_paused = true)]
async fn fi39_no_call_is_given_up_or_made_again_at_another_time() {
    let straight = || SystemClock::starting_at(Timestamp::from_millis(1_700_000_000_000));
    let stalled = || ScriptedModel::answering(|_| ScriptedReply::text("late")).latency(HOUR);
    let waits = || {
        ScriptedModel::new([
            busy(20 * SECOND).into(),
            busy(20 * SECOND).into(),
            ScriptedReply::text("done"),
        ])
    };
    let busy_for_ever = || ScriptedModel::answering(|_| busy(20 * SECOND));
    let until = |seconds: u64| {
        let deadline = Some(straight().now().after(Duration::from_secs(seconds)));
        Caller { deadline, ..Caller::default() }
    };
    for (what, model, caller) in [
        ("stalled", &stalled as &dyn Fn() -> ScriptedModel, Caller::default()),
        ("waits", &waits, Caller::default()),
        ("busy", &busy_for_ever, until(50)),
    ] {
        let expect = asked(straight(), model(), caller.clone()).await;
        assert!(expect.1 > 10 * SECOND, "the clock is set back before: {expect:?}");
        assert_eq!(asked(SetBack::new(), model(), caller).await, expect, "{what}");
    }
}

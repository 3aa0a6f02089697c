//! Each decorator by itself, and all of them together.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use greenroom_core::budget::{Price, Usage};
use greenroom_core::model::{
    Caller, ChatEvent, ChatModel, ChatReply, ChatRequest, ChatStream, ModelError, ModelErrorKind,
    ResponseMeta,
};
use greenroom_core::time::Timestamp;
use greenroom_models::resilience::{
    Bounded, CacheSpec, Cached, Fallback, GovernorSpec, HedgeSpec, Hedged, Jitter, ResilienceSpec,
    Retried, RetryBudgetSpec, RetrySpec, StallSpec, Timed, resilient,
};
use greenroom_testkit::{ScriptedModel, ScriptedReply, conformance};
use tokio::time::{Instant, sleep};

use super::world::{SECOND, ask, clock, error, governor, ms, of_run, plain, request};

fn fine() -> ScriptedModel {
    ScriptedModel::answering(|_| ScriptedReply::text("well then"))
}

fn failing(kind: ModelErrorKind) -> ScriptedModel {
    ScriptedModel::answering(move |_| ScriptedReply::error(kind))
}

/// Every decorator around a model, and the usual stack.
fn decorated(model: &ScriptedModel) -> Vec<(&'static str, Arc<dyn ChatModel>)> {
    let (hedge, retry) = (HedgeSpec::default(), RetrySpec::default());
    let account = governor(GovernorSpec::default());
    let first: Arc<dyn ChatModel> = Arc::new(model.clone());
    vec![
        ("timed", Arc::new(Timed::new(model.clone(), StallSpec::default(), clock()))),
        ("bounded", Arc::new(Bounded::new(model.clone(), 60 * SECOND, clock()))),
        ("retried", Arc::new(Retried::new(model.clone(), retry, clock()))),
        ("hedged", Arc::new(Hedged::new(model.clone(), hedge, clock()))),
        ("fallback", Arc::new(Fallback::new(first, [], clock()))),
        ("governed", Arc::new(account.govern(model.clone()))),
        ("stack", resilient(model.clone(), &account, ResilienceSpec::default())),
    ]
}

#[tokio::test(start_paused = true)]
async fn every_decorator_is_a_model_like_any_other() {
    let model = fine();
    let calls = model.calls();
    for (label, decorated) in decorated(&model) {
        conformance::chat_model(label, &*decorated, request()).await;
        let n_begun = || calls.n_begun();
        conformance::chat_model_is_lazy(label, &*decorated, request(), n_begun).await;
        assert_eq!(calls.n_in_flight(), 0, "{label}: a dropped stream goes on");
        assert_eq!(decorated.name(), "scripted");
    }
    let cached = Cached::new(fine(), CacheSpec::default(), clock());
    conformance::chat_model("cached", &cached, request()).await;
}

#[tokio::test(start_paused = true)]
async fn every_decorator_fails_as_a_model_does() {
    let failing = failing(ModelErrorKind::Auth);
    for (label, decorated) in decorated(&failing) {
        let error = conformance::chat_model_failure(label, &*decorated, request()).await;
        assert_eq!(error.kind, ModelErrorKind::Auth, "{label}");
    }
    let cached = Cached::new(failing, CacheSpec::default(), clock());
    conformance::chat_model_failure("cached", &cached, request()).await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_breaks_off_is_incomplete_whoever_reads_it() {
    let model = ScriptedModel::answering(|_| ScriptedReply::broken_off("half of "));
    for (label, decorated) in decorated(&model) {
        let error = conformance::chat_model_failure(label, &*decorated, request()).await;
        assert_eq!(error.kind, ModelErrorKind::Incomplete, "{label}");
    }
    let cached = Cached::new(model, CacheSpec::default(), clock());
    conformance::chat_model_failure("cached", &cached, request()).await;
}

/// A model that shows these events at these times and then hangs.
struct Timeline(Vec<(Duration, ChatEvent)>);

impl ChatModel for Timeline {
    fn name(&self) -> &str {
        "timeline"
    }

    fn stream(&self, _: ChatRequest) -> ChatStream {
        let begun = Instant::now();
        let events =
            futures_util::stream::iter(self.0.clone()).then(move |(at, event)| async move {
                tokio::time::sleep_until(begun + at).await;
                Ok(event)
            });
        Box::pin(events.chain(futures_util::stream::pending()))
    }
}

fn ping() -> ChatEvent {
    ChatEvent::Meta(ResponseMeta::default())
}

fn word() -> ChatEvent {
    ChatEvent::TextDelta("word ".into())
}

const STALL: StallSpec = StallSpec {
    first_sign: Duration::from_secs(10),
    content: Duration::from_secs(20),
    silence: None,
    total: Duration::from_secs(100),
};

/// When a model that shows these events at these seconds is given up, why, and whether it had shown
/// something.
async fn stalls(events: impl IntoIterator<Item = (u32, ChatEvent)>) -> (u64, String, bool) {
    let events = events.into_iter().map(|(at, event)| (SECOND * at, event)).collect();
    let model = Timed::new(Timeline(events), STALL, clock());
    let begun = Instant::now();
    let error = ask(&model, request()).await.expect_err("it hangs");
    assert_eq!(error.kind, ModelErrorKind::Timeout);
    (begun.elapsed().as_secs(), error.message, error.is_partial)
}

#[tokio::test(start_paused = true)]
async fn to01_each_stall_has_a_timer_of_its_own() {
    assert_eq!(stalls([]).await, (10, "no answer".into(), false));
    assert_eq!(stalls([(9, ping())]).await, (29, "the reply stalled".into(), false));
    assert_eq!(stalls([(1, word()), (20, word())]).await, (40, "the reply stalled".into(), true));
    let steady: Vec<_> = (0..20).map(|i| (9 + i * 10, word())).collect();
    assert_eq!(stalls(steady).await, (100, "the reply took too long".into(), true));
}

#[tokio::test(start_paused = true)]
async fn to03_pings_do_not_keep_a_silent_model_alive() {
    let pings: Vec<_> = (0..60).map(|i| (i, ping())).collect();
    assert_eq!(stalls(pings).await, (20, "the reply stalled".into(), false));
}

#[tokio::test(start_paused = true)]
async fn a_stalled_call_closes_its_connection() {
    let hanging = ScriptedModel::new([ScriptedReply::hang("half ")]);
    let calls = hanging.calls();
    let model = Timed::new(hanging, STALL, clock());
    let mut stream = model.stream(request());
    while stream.next().await.is_some_and(|event| event.is_ok()) {}
    assert_eq!(calls.n_in_flight(), 0);
    assert!(stream.next().await.is_none());
}

fn no_jitter(attempts_max: u32) -> RetrySpec {
    RetrySpec { attempts_max, jitter: Jitter::None, ..RetrySpec::default() }
}

#[tokio::test(start_paused = true)]
async fn rt01_a_failed_call_is_made_again_after_each_wait() {
    let busy = ModelError { retry_after: Some(7 * SECOND), ..error(ModelErrorKind::RateLimited) };
    let script =
        [error(ModelErrorKind::Unavailable).into(), busy.into(), ScriptedReply::text("ok")];
    let scripted = ScriptedModel::new(script);
    let calls = scripted.calls();
    let model = Retried::new(scripted, no_jitter(4), clock());
    let begun = Instant::now();
    assert_eq!(ask(&model, request()).await.expect("an answer").text, "ok");
    assert_eq!(begun.elapsed(), ms(7500));
    let attempts: Vec<_> = calls.requests().iter().map(|request| request.caller.attempt).collect();
    assert_eq!((attempts, model.stats().n_retries), (vec![1, 2, 3], 2));
}

#[tokio::test(start_paused = true)]
async fn rt02_what_cannot_succeed_is_asked_once() {
    use ModelErrorKind::{Auth, ContextLength, InvalidRequest, Quota};
    for kind in [Auth, ContextLength, InvalidRequest, Quota] {
        let scripted = failing(kind);
        let calls = scripted.calls();
        ask(&Retried::new(scripted, no_jitter(4), clock()), request()).await.expect_err("it fails");
        assert_eq!(calls.n_begun(), 1, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn rt08_what_was_shown_is_never_shown_again() {
    let broken = ScriptedReply::partial("half of ", error(ModelErrorKind::Unavailable));
    let scripted = ScriptedModel::new([broken, ScriptedReply::text("ok")]);
    let calls = scripted.calls();
    let first: Arc<dyn ChatModel> = Arc::new(Retried::new(scripted, no_jitter(4), clock()));
    let model = Fallback::new(first, [Arc::new(fine()) as Arc<dyn ChatModel>], clock());
    let failed = ask(&model, request()).await.expect_err("half of it was shown");
    assert_eq!((failed.kind, failed.is_partial), (ModelErrorKind::Unavailable, true));
    assert_eq!((calls.n_begun(), model.stats().n_switches), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn rt09_the_decorator_keeps_the_key_of_a_call() {
    let script = [ScriptedReply::error(ModelErrorKind::Unavailable), ScriptedReply::text("ok")];
    let scripted = ScriptedModel::new(script);
    let calls = scripted.calls();
    let model = Retried::new(scripted, no_jitter(4), clock());
    let caller = Caller { idempotency_key: Some("key".into()), ..Caller::default() };
    ask(&model, ChatRequest { caller, ..request() }).await.expect("an answer");
    let keys = calls.requests().into_iter().map(|request| request.caller.idempotency_key);
    assert!(keys.eq([Some("key".into()), Some("key".into())]));
}

#[tokio::test(start_paused = true)]
async fn rt10_only_the_outermost_layer_tries_again() {
    for (attempt, expect) in [(0, 3), (1, 1), (2, 1)] {
        let scripted = failing(ModelErrorKind::Unavailable);
        let calls = scripted.calls();
        let inner = Retried::new(scripted, no_jitter(5), clock());
        let outer = Retried::new(Retried::new(inner, no_jitter(4), clock()), no_jitter(3), clock());
        let caller = Caller { attempt, ..Caller::default() };
        ask(&outer, ChatRequest { caller, ..request() }).await.expect_err("it is down");
        assert_eq!(calls.n_begun(), expect, "not 3 x 4 x 5");
    }
}

#[tokio::test(start_paused = true)]
async fn rt11_a_wait_for_the_next_try_ends_with_its_caller() {
    let busy = ModelError { retry_after: Some(90 * SECOND), ..error(ModelErrorKind::RateLimited) };
    let scripted = ScriptedModel::new([ScriptedReply::from(busy)]);
    let calls = scripted.calls();
    let model = Retried::new(scripted, no_jitter(4), clock());
    let begun = Instant::now();
    let asked = tokio::time::timeout(ms(1), ask(&model, request())).await;
    assert!(asked.is_err() && begun.elapsed() <= ms(50));
    sleep(100 * SECOND).await;
    assert_eq!(calls.n_begun(), 1);
}

fn until(seconds: u64) -> ChatRequest {
    let deadline = Some(Timestamp::from_millis(1_700_000_000_000 + seconds * 1000));
    ChatRequest { caller: Caller { deadline, ..Caller::default() }, ..request() }
}

#[tokio::test(start_paused = true)]
async fn a_try_that_would_be_too_late_is_not_waited_for() {
    let scripted = failing(ModelErrorKind::Unavailable);
    let calls = scripted.calls();
    let model = Retried::new(scripted, no_jitter(10), clock());
    let begun = Instant::now();
    ask(&model, until(2)).await.expect_err("it is down");
    assert_eq!((begun.elapsed(), calls.n_begun()), (ms(1500), 3), "the next would be at 3.5 s");
}

#[tokio::test(start_paused = true)]
async fn to02_a_deadline_is_the_earlier_of_the_callers_and_our_own() {
    for (seconds, expect) in [(5, 5), (60, 30)] {
        let hanging = ScriptedModel::answering(|_| ScriptedReply::hang("half "));
        let calls = hanging.calls();
        let model = Bounded::new(hanging, 30 * SECOND, clock());
        let begun = Instant::now();
        let failed = ask(&model, until(seconds)).await.expect_err("it hangs");
        assert_eq!((failed.kind, begun.elapsed()), (ModelErrorKind::Timeout, expect * SECOND));
        let told = calls.last().and_then(|request| request.caller.deadline);
        let deadline = Timestamp::from_millis(1_700_000_000_000 + u64::from(expect) * 1000);
        assert_eq!(told, Some(deadline), "everything inside knows it");
    }
    let scripted = fine();
    let calls = scripted.calls();
    let model = Bounded::new(scripted, 30 * SECOND, clock());
    let late = ask(&model, until(0)).await.expect_err("too late");
    assert_eq!((late.kind, calls.n_begun()), (ModelErrorKind::Timeout, 0));
}

#[tokio::test(start_paused = true)]
async fn rt12_another_model_gets_no_more_time() {
    let stuck = ScriptedModel::answering(|_| ScriptedReply::hang(""));
    let slow = fine().latency(6 * SECOND);
    let calls = slow.calls();
    let stall = StallSpec { first_sign: 6 * SECOND, ..StallSpec::default() };
    let (one, other) = (governor(GovernorSpec::default()), governor(GovernorSpec::default()));
    let spec =
        ResilienceSpec { stall, total: 10 * SECOND, retry: no_jitter(1), ..Default::default() };
    let model = resilient(stuck, &one, spec.fallback(slow, &other));
    let begun = Instant::now();
    let failed = ask(&model, request()).await.expect_err("there were 4 s left");
    assert_eq!((failed.kind, begun.elapsed()), (ModelErrorKind::Timeout, 10 * SECOND));
    assert_eq!((calls.n_begun(), calls.n_in_flight()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn rt12_another_model_is_asked_when_that_may_help_and_only_then() {
    use ModelErrorKind::*;
    for (kind, is_asked) in [
        (Unavailable, true),
        (RateLimited, true),
        (Timeout, true),
        (Incomplete, true),
        (Quota, true),
        (Auth, false),
        (InvalidRequest, false),
        (ContextLength, false),
        (InvalidReply, false),
    ] {
        let (first, other): (Arc<dyn ChatModel>, Arc<dyn ChatModel>) =
            (Arc::new(failing(kind)), Arc::new(fine()));
        let model = Fallback::new(first, [other], clock());
        assert_eq!(ask(&model, request()).await.is_ok(), is_asked, "{kind}");
        assert_eq!(model.stats().n_switches, u64::from(is_asked));
    }
}

fn hedge() -> HedgeSpec {
    HedgeSpec { calls_max: 4, delay: ms(500) }
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_is_made_again_and_the_first_to_begin_wins() {
    let script = [ScriptedReply::hang(""), ScriptedReply::hang(""), ScriptedReply::text("third")];
    let scripted = ScriptedModel::new(script).latency(ms(100));
    let calls = scripted.calls();
    let model = Hedged::new(scripted, hedge(), clock());
    let begun = Instant::now();
    let reply = ask(&model, request()).await.expect("an answer");
    assert_eq!((reply.text.as_str(), reply.usage.model_calls), ("third", 3));
    assert_eq!(begun.elapsed(), ms(1100));
    assert_eq!((calls.n_begun(), calls.n_in_flight()), (3, 0), "the losers are cancelled");
    let stats = model.stats();
    assert_eq!((stats.n_hedges, stats.n_won), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn hedges_are_bounded_made_at_once_after_a_failure_and_ended_by_what_is_fatal() {
    let scripted = ScriptedModel::answering(|_| ScriptedReply::hang(""));
    let calls = scripted.calls();
    let model = Hedged::new(scripted, hedge(), clock());
    assert!(tokio::time::timeout(10 * SECOND, ask(&model, request())).await.is_err());
    assert_eq!((calls.n_begun(), calls.n_in_flight()), (4, 0));

    let script = [ScriptedReply::error(ModelErrorKind::Unavailable), ScriptedReply::text("ok")];
    let model = Hedged::new(ScriptedModel::new(script), hedge(), clock());
    let begun = Instant::now();
    assert_eq!(ask(&model, request()).await.expect("an answer").text, "ok");
    assert_eq!(begun.elapsed(), Duration::ZERO);

    let script = [ScriptedReply::hang(""), ScriptedReply::error(ModelErrorKind::Auth)];
    let scripted = ScriptedModel::new(script);
    let calls = scripted.calls();
    let failed = ask(&Hedged::new(scripted, hedge(), clock()), request()).await;
    assert_eq!(failed.expect_err("it would fail again").kind, ModelErrorKind::Auth);
    assert_eq!((calls.n_begun(), calls.n_in_flight()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn hedges_are_paid_for_like_retries() {
    let budget = RetryBudgetSpec { capacity: 5, ..RetryBudgetSpec::default() };
    let account = governor(GovernorSpec { retry_budget: Some(budget), ..plain(100) });
    let scripted = ScriptedModel::answering(|_| ScriptedReply::hang(""));
    let calls = scripted.calls();
    let model = Hedged::new(account.govern(scripted), hedge(), clock());
    assert!(tokio::time::timeout(10 * SECOND, ask(&model, of_run(1, 0))).await.is_err());
    assert_eq!(calls.n_begun(), 2, "one hedge could be paid for");
}

#[tokio::test(start_paused = true)]
async fn the_same_question_is_asked_once_within_the_age() {
    let scripted = fine();
    let calls = scripted.calls();
    let spec = CacheSpec { age_max: 60 * SECOND, ..CacheSpec::default() };
    let model = Cached::new(scripted, spec, clock());
    for run in 0..3 {
        let reply = ask(&model, of_run(run, 0)).await.expect("an answer");
        // What the first one cost is not known; what is kept is known to cost nothing.
        let price = (run > 0).then_some(Price::FREE);
        let usage = Usage::default().priced(price);
        assert_eq!(reply, ChatReply { usage, ..ChatReply::text("well then") });
    }
    assert_eq!(calls.n_begun(), 1, "who asks makes no difference");
    ask(&model, ChatRequest { output_tokens_max: Some(9), ..request() }).await.expect("an answer");
    assert_eq!(calls.n_begun(), 2, "what is asked does");
    sleep(60 * SECOND).await;
    ask(&model, request()).await.expect("an answer");
    assert_eq!((calls.n_begun(), model.stats().n_hits), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn what_failed_or_was_cut_off_is_not_kept() {
    let cut = ChatReply {
        finish: greenroom_core::model::FinishReason::Length,
        ..ChatReply::text("half of")
    };
    let script = [
        ScriptedReply::error(ModelErrorKind::Unavailable),
        cut.into(),
        ScriptedReply::text("whole"),
    ];
    let model = Cached::new(ScriptedModel::new(script), CacheSpec::default(), clock());
    ask(&model, request()).await.expect_err("it is down");
    assert_eq!(ask(&model, request()).await.expect("an answer").text, "half of");
    for _ in 0..2 {
        assert_eq!(ask(&model, request()).await.expect("an answer").text, "whole");
    }
}

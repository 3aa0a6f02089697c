//! One account under many callers: fair, bounded, held back together, and nothing lost.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt, stream};
use greenroom_core::model::{
    Caller, ChatEvent, ChatModel, ChatReply, ChatRequest, ChatStream, LimitHint, ModelError,
    ModelErrorKind, RateLimitHints, ResponseMeta,
};
use greenroom_core::random::SplitMix64;
use greenroom_core::resilience::breaker::State;
use greenroom_core::time::Timestamp;
use greenroom_models::resilience::{
    BreakerSpec, ConcurrencyRule, ConcurrencySpec, GovernorSpec, RateSpec,
};
use greenroom_testkit::{ScriptedModel, ScriptedReply};
use tokio::time::{Instant, sleep, timeout};

use super::world::{SECOND, ask, error, governor, ms, of_run, plain, request};

fn model(latency: Duration) -> ScriptedModel {
    ScriptedModel::answering(|_| ScriptedReply::text("well then")).latency(latency)
}

#[tokio::test(start_paused = true)]
async fn rl04_no_run_waits_much_longer_than_the_others_whatever_one_of_them_does() {
    let governor = governor(GovernorSpec { wait_max: 1000 * SECOND, ..plain(4) });
    let model = governor.govern(model(ms(100)));
    let waits = Mutex::new(Vec::new());
    let hog = join_all((0..500).map(|_| ask(&model, of_run(0, 0))));
    let others = join_all((1..=100).map(|run| {
        let (model, waits) = (&model, &waits);
        async move {
            let mut waited = Duration::ZERO;
            for _ in 0..10 {
                let asked = Instant::now();
                ask(model, of_run(run, 0)).await.expect("an answer");
                waited += asked.elapsed();
            }
            waits.lock().expect("no test panics here").push(waited);
        }
    }));
    let (of_hog, _) = futures_util::join!(hog, others);
    assert!(of_hog.iter().all(Result::is_ok));
    let mut waits = waits.into_inner().expect("no test panics here");
    waits.sort_unstable();
    assert_eq!(waits.len(), 100);
    assert!(waits[99] <= 3 * waits[50], "{:?}, and the median is {:?}", waits[99], waits[50]);
    // With four places, ten calls of each of 101 runs take 25.25 s. The hog's others come after that.
    assert!(waits[99] <= 26 * SECOND, "{:?}: the hog is served first", waits[99]);
}

#[tokio::test(start_paused = true)]
async fn rl06_a_parent_passes_the_children_that_wait() {
    let governor = governor(plain(1));
    let model = governor.govern(model(SECOND));
    let order = Mutex::new(Vec::new());
    let asked = |depth| {
        let (model, order) = (&model, &order);
        async move {
            ask(model, of_run(1, depth)).await.expect("an answer");
            order.lock().expect("no test panics here").push(depth);
        }
    };
    let children = join_all((0..20).map(|_| asked(2)));
    let parent = async {
        sleep(ms(1500)).await;
        asked(1).await;
    };
    futures_util::join!(children, parent);
    let order = order.into_inner().expect("no test panics here");
    assert_eq!(order.iter().position(|depth| *depth == 1), Some(2), "the next that is made");
}

#[tokio::test(start_paused = true)]
async fn rl05_one_refusal_holds_everybody_back_and_nobody_comes_back_at_once() {
    let governor = governor(plain(1000));
    let begun = Instant::now();
    let (sent, n_sent) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
    let log = Arc::clone(&sent);
    let scripted = ScriptedModel::answering(move |_| {
        log.lock().expect("no test panics here").push(begun.elapsed());
        let mut n = n_sent.lock().expect("no test panics here");
        *n += 1;
        if *n == 1 {
            let retry_after = Some(5 * SECOND);
            ModelError { retry_after, ..error(ModelErrorKind::RateLimited) }.into()
        } else {
            ScriptedReply::text("well then")
        }
    });
    let model = governor.govern(scripted);
    ask(&model, of_run(0, 0)).await.expect_err("it is refused");
    let later = join_all((1..=200).map(|run| {
        let model = &model;
        async move {
            // All of them are there before the five seconds are over.
            sleep(ms(run as u64 * 20)).await;
            ask(model, of_run(run, 0)).await
        }
    }));
    assert!(later.await.iter().all(Result::is_ok));
    let sent = sent.lock().expect("no test panics here").clone();
    assert_eq!(sent.len(), 201);
    assert!(sent[1] >= 5 * SECOND, "{:?}", sent[1]);
    assert!(sent[200] - sent[1] >= SECOND, "all within {:?}", sent[200] - sent[1]);
}

#[tokio::test(start_paused = true)]
async fn fi02_a_wait_of_a_day_is_told_at_once_and_holds_no_place() {
    let governor = governor(plain(1));
    let retry_after = Some(86_400 * SECOND);
    let refused = ModelError { retry_after, ..error(ModelErrorKind::RateLimited) };
    let scripted = ScriptedModel::new([ScriptedReply::from(refused).after(SECOND)]);
    let calls = scripted.calls();
    let model = governor.govern(scripted);
    let begun = Instant::now();
    let (first, second) = futures_util::join!(ask(&model, of_run(1, 0)), ask(&model, of_run(2, 0)));
    let second = second.expect_err("it cannot wait for a day");
    assert_eq!((second.kind, second.retry_after), (ModelErrorKind::RateLimited, retry_after));
    assert!(first.is_err());
    assert_eq!((begun.elapsed(), calls.n_begun()), (SECOND, 1));
    assert_eq!(governor.status().n_in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn rl01_requests_and_tokens_are_kept_before_anything_is_sent() {
    let requests = Some(RateSpec { limit: 2, per: 10 * SECOND });
    let governor = governor(GovernorSpec { requests, ..plain(100) });
    let scripted = model(Duration::ZERO);
    let calls = scripted.calls();
    let model = governor.govern(scripted);
    let begun = Instant::now();
    let done = join_all((0..6).map(|run| {
        let model = &model;
        async move {
            ask(model, of_run(run, 0)).await.expect("an answer");
            begun.elapsed().as_secs()
        }
    }));
    assert_eq!(done.await, [0, 0, 5, 10, 15, 20]);
    assert_eq!(calls.n_begun(), 6);
}

#[tokio::test(start_paused = true)]
async fn rl01_an_estimate_is_settled_by_what_was_used() {
    let tokens = Some(RateSpec { limit: 1200, per: 60 * SECOND });
    let governor = governor(GovernorSpec { tokens, ..plain(100) });
    let scripted = ScriptedModel::answering(|_| {
        let usage = greenroom_core::budget::Usage { output_tokens: 10, ..Default::default() };
        ChatReply { usage, ..ChatReply::text("well then") }
    });
    let model = governor.govern(scripted);
    let begun = Instant::now();
    for run in 0..17 {
        // A reply without a limit is taken for 1,024 tokens.
        ask(&model, of_run(run, 0)).await.expect("an answer");
    }
    assert_eq!(begun.elapsed(), Duration::ZERO, "170 tokens of 1,200 are used");
    ask(&model, of_run(18, 0)).await.expect("an answer");
    assert!(begun.elapsed() < SECOND);
    let small = ChatRequest { output_tokens_max: Some(1190), ..of_run(19, 0) };
    ask(&model, small).await.expect("an answer");
    assert!(begun.elapsed() > 5 * SECOND, "what is not there is waited for");
}

/// A model that tells its limits.
struct Telling;

impl ChatModel for Telling {
    fn name(&self) -> &str {
        "telling"
    }

    fn stream(&self, _: ChatRequest) -> ChatStream {
        let requests = LimitHint { limit: Some(60), remaining: Some(0), reset: Some(60 * SECOND) };
        let limits = RateLimitHints { requests, ..RateLimitHints::default() };
        let meta = ResponseMeta { limits, ..ResponseMeta::default() };
        let events = [ChatEvent::Meta(meta), ChatEvent::Finished(ChatReply::default())];
        Box::pin(stream::iter(events.map(Ok)))
    }
}

#[tokio::test(start_paused = true)]
async fn rl02_what_a_provider_tells_limits_all_who_share_its_account() {
    let governor = governor(plain(100));
    let (one, other) = (governor.govern(Telling), governor.govern(model(Duration::ZERO)));
    let begun = Instant::now();
    ask(&one, of_run(1, 0)).await.expect("an answer");
    assert_eq!(begun.elapsed(), Duration::ZERO);
    ask(&other, of_run(2, 0)).await.expect("an answer");
    assert!((ms(990)..ms(1100)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

/// A model that begins after 50 ms and then says a word a second: one word to an even run, thirty to an odd
/// one.
struct SlowWords;

impl ChatModel for SlowWords {
    fn name(&self) -> &str {
        "slow"
    }

    fn stream(&self, request: ChatRequest) -> ChatStream {
        let is_long = request.caller.run.is_some_and(|run| run.bits() % 2 == 1);
        let words = stream::iter(0..if is_long { 30 } else { 1 }).then(|i| async move {
            sleep(if i == 0 { ms(50) } else { SECOND }).await;
            Ok(ChatEvent::TextDelta("word ".into()))
        });
        Box::pin(words.chain(stream::iter([Ok(ChatEvent::Finished(ChatReply::default()))])))
    }
}

#[tokio::test(start_paused = true)]
async fn ac04_long_replies_are_no_sign_of_a_busy_provider() {
    let concurrency = ConcurrencySpec {
        rule: ConcurrencyRule::Vegas { alpha: 3, beta: 6 },
        start: 10,
        ..ConcurrencySpec::default()
    };
    let governor = governor(GovernorSpec { concurrency, ..plain(1) });
    let model = governor.govern(SlowWords);
    for _ in 0..5 {
        let calls = (0..20).map(|run| ask(&model, of_run(run, 0)));
        assert!(join_all(calls).await.iter().all(Result::is_ok));
    }
    let limit = governor.status().concurrency_max;
    assert!(limit > 15, "replies of 50 ms beside ones of 30 s: {limit}");
}

#[tokio::test(start_paused = true)]
async fn bh01_a_provider_that_hangs_takes_its_own_places_only() {
    let (stuck, fine) = (governor(plain(3)), governor(plain(3)));
    let hanging = ScriptedModel::answering(|_| ScriptedReply::hang(""));
    let calls = hanging.calls();
    let (hanging, fine) = (stuck.govern(hanging), fine.govern(model(ms(10))));
    let hung = join_all((0..50).map(|run| timeout(10 * SECOND, ask(&hanging, of_run(run, 0)))));
    let answered = async {
        for run in 0..100 {
            ask(&fine, of_run(run, 0)).await.expect("an answer");
        }
        (calls.n_in_flight(), stuck.status().n_waiting)
    };
    let (hung, there) = futures_util::join!(hung, answered);
    assert_eq!(there, (3, 47));
    assert!(hung.iter().all(Result::is_err));
    assert_eq!((calls.n_in_flight_max(), stuck.status().n_in_flight), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn bh02_every_place_comes_back_however_a_call_ends() {
    let governor =
        governor(GovernorSpec { queue_max: 5000, wait_max: 10_000 * SECOND, ..plain(10) });
    let scripted = ScriptedModel::answering(|request| {
        match request.caller.run.map_or(0, |run| run.bits()) % 5 {
            0 => ScriptedReply::text("well then"),
            1 => ScriptedReply::error(ModelErrorKind::Auth),
            2 => ScriptedReply::panic("half", "on purpose"),
            3 => ScriptedReply::hang("half "),
            _ => ScriptedReply::hang(""),
        }
    })
    .latency(ms(1));
    let calls = scripted.calls();
    let model = governor.govern(scripted);
    let ends = join_all((0..5000).map(|run| {
        let model = &model;
        async move {
            let asked = AssertUnwindSafe(ask(model, of_run(run, 0))).catch_unwind();
            // The third kind is cancelled in the middle, the fourth before anything came; both also
            // while they wait.
            let patience = if run % 5 >= 3 { ms(100 + run as u64 % 900) } else { 9000 * SECOND };
            match timeout(patience, asked).await {
                Ok(Ok(Ok(_))) => 0,
                Ok(Ok(Err(_))) => 1,
                Ok(Err(_)) => 2,
                Err(_) => 3,
            }
        }
    }));
    let ends = ends.await;
    let n_of = [0, 1, 2, 3].map(|end| ends.iter().filter(|other| **other == end).count());
    assert_eq!(n_of, [1000, 1000, 1000, 2000]);
    let status = governor.status();
    assert_eq!((status.n_waiting, status.n_in_flight, calls.n_in_flight()), (0, 0, 0));
    assert!(calls.n_in_flight_max() <= 10);
    let begun = Instant::now();
    let again = join_all((0..50).map(|run| ask(&model, of_run(run * 5, 0)))).await;
    assert!(again.iter().all(Result::is_ok));
    assert_eq!(begun.elapsed(), ms(5), "all ten places are there");
}

#[tokio::test(start_paused = true)]
async fn ls01_beyond_the_queue_a_call_is_refused_at_once_with_a_wait() {
    let governor = governor(GovernorSpec { queue_max: 5, ..plain(2) });
    let scripted = model(SECOND);
    let calls = scripted.calls();
    let model = governor.govern(scripted);
    let begun = Instant::now();
    let ends = join_all((0..10).map(|run| {
        let model = &model;
        async move { (ask(model, of_run(run, 0)).await, begun.elapsed()) }
    }));
    let ends = ends.await;
    let refused: Vec<_> =
        ends.iter().filter_map(|(end, at)| Some((end.as_ref().err()?, at))).collect();
    assert_eq!(refused.len(), 3);
    for (error, at) in refused {
        assert_eq!((error.kind, error.retry_after), (ModelErrorKind::RateLimited, Some(SECOND)));
        assert!(*at <= ms(10));
    }
    assert_eq!(calls.n_begun(), 7);
}

/// The 99th percentile of the time to an answer, of those that were let in, at so many calls per second
/// for a provider that bears ten.
async fn p99_at(per_s: u64, queue_max: usize) -> Duration {
    let governor = governor(GovernorSpec { queue_max, ..plain(10) });
    let model = governor.govern(model(SECOND));
    let mut chance = SplitMix64::new(7);
    let mut at = 0.0;
    let arrivals: Vec<_> = (0..per_s * 100)
        .map(|_| {
            at -= (1.0 - chance.unit()).ln() / per_s as f64;
            at
        })
        .collect();
    let begun = Instant::now();
    let times = join_all((0..).zip(arrivals).map(|(run, at)| {
        let model = &model;
        async move {
            tokio::time::sleep_until(begun + Duration::from_secs_f64(at)).await;
            let asked = Instant::now();
            ask(model, of_run(run, 0)).await.ok().map(|_| asked.elapsed())
        }
    }));
    let mut times: Vec<_> = times.await.into_iter().flatten().collect();
    times.sort_unstable();
    assert!(times.len() > 900, "{} of {per_s} per second were let in", times.len());
    times[times.len() * 99 / 100]
}

#[tokio::test(start_paused = true)]
async fn ls02_those_who_are_let_in_wait_no_longer_under_twice_the_load() {
    let (once, twice) = (p99_at(10, 10).await, p99_at(20, 10).await);
    assert!(twice <= once.mul_f64(1.5), "{once:?} and {twice:?}");
    let unbounded = p99_at(20, 100_000).await;
    assert!(unbounded > once.mul_f64(1.5), "without a bound on the queue it is {unbounded:?}");
}

#[tokio::test(start_paused = true)]
async fn to02_a_call_that_is_too_late_is_never_sent() {
    let governor = governor(plain(1));
    let scripted = model(10 * SECOND);
    let calls = scripted.calls();
    let model = governor.govern(scripted);
    let at = |seconds: u64| Caller {
        deadline: Some(Timestamp::from_millis(1_700_000_000_000 + seconds * 1000)),
        ..of_run(2, 0).caller
    };
    let begun = Instant::now();
    let late = ask(&model, ChatRequest { caller: at(0), ..request() }).await;
    assert_eq!(late.expect_err("too late").kind, ModelErrorKind::Timeout);
    let waits = async {
        let waited = ask(&model, ChatRequest { caller: at(4), ..request() }).await;
        (waited.expect_err("too late").kind, begun.elapsed())
    };
    let (busy, waited) = futures_util::join!(ask(&model, of_run(1, 0)), waits);
    assert!(busy.is_ok());
    assert_eq!(waited, (ModelErrorKind::Timeout, 4 * SECOND));
    assert_eq!(calls.n_begun(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_call_waits_longer_than_the_account_lets_it() {
    let governor = governor(GovernorSpec { wait_max: 7 * SECOND, ..plain(1) });
    let model = governor.govern(model(1000 * SECOND));
    let begun = Instant::now();
    let waits = async {
        let waited = ask(&model, of_run(2, 0)).await;
        (waited.expect_err("it waited too long").kind, begun.elapsed())
    };
    let (_, waited) = futures_util::join!(timeout(10 * SECOND, ask(&model, of_run(1, 0))), waits);
    assert_eq!(waited, (ModelErrorKind::Timeout, 7 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn cb11_a_breaker_finds_out_with_a_few_calls_when_its_provider_is_back() {
    let breaker = Some(BreakerSpec { calls_min: 4, n_probes: 2, ..BreakerSpec::default() });
    let governor = governor(GovernorSpec { breaker, ..plain(10) });
    let begun = Instant::now();
    let scripted = ScriptedModel::answering(move |_| match begun.elapsed() < 15 * SECOND {
        true => ScriptedReply::error(ModelErrorKind::Unavailable),
        false => ScriptedReply::text("well then"),
    });
    let calls = scripted.calls();
    let model = governor.govern(scripted);
    for run in 0..20 {
        ask(&model, of_run(run, 0)).await.expect_err("the provider is down");
    }
    assert_eq!((calls.n_begun(), governor.breaker_state("scripted")), (4, Some(State::Open)));
    let refused = ask(&model, of_run(1, 0)).await.expect_err("not asked");
    assert_eq!(
        (refused.kind, refused.retry_after),
        (ModelErrorKind::Unavailable, Some(10 * SECOND))
    );
    sleep(10 * SECOND).await;
    for run in 0..20 {
        ask(&model, of_run(run, 0)).await.expect_err("the provider is still down");
    }
    assert_eq!(calls.n_begun(), 6, "two probes");
    sleep(10 * SECOND).await;
    // Probes that are cancelled wedge nothing.
    for run in 0..10 {
        drop(model.stream(of_run(run, 0)).next().now_or_never());
    }
    for run in 0..20 {
        ask(&model, of_run(run, 0)).await.expect("the provider is back");
    }
    assert_eq!(governor.breaker_state("scripted"), Some(State::Closed));
}

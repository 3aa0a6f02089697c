//! More calls than a provider can take.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream;
use greenroom_core::ids::RunId;
use greenroom_core::model::{
    Caller, ChatEvent, ChatModel, ChatReply, ChatRequest, ChatStream, ModelError, ModelErrorKind,
};
use greenroom_core::time::Timestamp;
use greenroom_models::resilience::{
    ConcurrencySpec, Governor, GovernorSpec, ResilienceSpec, resilient,
};
use greenroom_runtime::SystemClock;
use tokio::time::Instant;

use super::world::{SECOND, ask, request};

/// A model that answers so many calls at once, each in a second, and refuses more.
struct Full {
    capacity: usize,
    refusal: ModelErrorKind,
    n_now: Arc<AtomicUsize>,
    n_answered: Arc<AtomicUsize>,
}

const CAPACITY: usize = 50;

struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl ChatModel for Full {
    fn name(&self) -> &str {
        "full"
    }

    fn stream(&self, _: ChatRequest) -> ChatStream {
        let (capacity, refusal) = (self.capacity, self.refusal);
        let (n_now, n_answered) = (Arc::clone(&self.n_now), Arc::clone(&self.n_answered));
        Box::pin(stream::once(async move {
            let is_full = n_now.fetch_add(1, Ordering::SeqCst) >= capacity;
            let _place = Place(n_now);
            if is_full {
                tokio::time::sleep(Duration::from_millis(10)).await;
                return Err(ModelError::new(refusal, "full", "too many"));
            }
            tokio::time::sleep(SECOND).await;
            n_answered.fetch_add(1, Ordering::SeqCst);
            Ok(ChatEvent::Finished(ChatReply::text("done")))
        }))
    }
}

/// The share of a provider's capacity that so many calls at once make use of, of which none is lost.
async fn goodput_of(
    capacity: usize,
    n_calls: usize,
    refusal: ModelErrorKind,
    spec: GovernorSpec,
) -> f64 {
    let governor = Governor::new(spec, Arc::new(SystemClock::starting_at(Timestamp::default())));
    let full = Full { capacity, refusal, n_now: Arc::default(), n_answered: Arc::default() };
    let n_answered = Arc::clone(&full.n_answered);
    let model = resilient(full, &governor, ResilienceSpec::default());
    let begun = Instant::now();
    let asked = (0..n_calls).map(|run| {
        let caller = Caller { run: Some(RunId::from_bits(run as u128)), ..Caller::default() };
        ask(&*model, ChatRequest { caller, ..request() })
    });
    let answers = join_all(asked).await;
    let n_ok = answers.iter().filter(|answer| answer.is_ok()).count();
    let n_answered = n_answered.load(Ordering::SeqCst);
    assert_eq!((n_ok, n_answered), (n_calls, n_calls), "nobody is lost");
    SECOND.as_secs_f64() * (n_calls / capacity) as f64 / begun.elapsed().as_secs_f64()
}

/// The same of a thousand calls.
async fn goodput(refusal: ModelErrorKind, spec: GovernorSpec) -> f64 {
    goodput_of(CAPACITY, 1000, refusal, spec).await
}

/// In virtual time, and so without a socket: what is measured is who is let through when.
#[tokio::test(start_paused = true)]
async fn fi34_a_thousand_calls_do_not_bring_down_a_provider_of_fifty() {
    let told = ConcurrencySpec::fixed(CAPACITY as u32);
    let told = GovernorSpec { concurrency: told, ..GovernorSpec::default() };
    let told = goodput(ModelErrorKind::RateLimited, told).await;
    assert!(told >= 0.95, "{told:.2} of a capacity that is known");
    // Each refusal holds the account back, and its callers come back one by one: that is the price of finding out.
    let found = goodput(ModelErrorKind::RateLimited, GovernorSpec::default()).await;
    assert!(found >= 0.8, "{found:.2} of a capacity that is found out");
}

/// A provider that says 503 when it has too much to do is no provider that is down.
#[tokio::test(start_paused = true)]
async fn fi34_a_storm_of_503_loses_nobody() {
    let found = goodput(ModelErrorKind::Unavailable, GovernorSpec::default()).await;
    assert!(found >= 0.8, "{found:.2} of a capacity that is found out");
}

/// The fewer it takes, the more of what is sent at first is refused.
#[tokio::test(start_paused = true)]
async fn fi34_a_storm_of_503_at_a_small_provider_loses_nobody() {
    for capacity in [5, 10, 20] {
        let spec = GovernorSpec::default();
        let found = goodput_of(capacity, 200, ModelErrorKind::Unavailable, spec).await;
        assert!(found >= 0.75, "{found:.2} of a capacity of {capacity} that is found out");
    }
}

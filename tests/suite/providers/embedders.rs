//! Embedders under the governor of their account, over both wires.

use std::sync::Arc;
use std::time::Duration;

use greenroom_core::embedder::{Embedder as _, Embeddings};
use greenroom_core::model::{ModelError, ModelErrorKind};
use greenroom_core::time::Clock as _;
use greenroom_models::http::{Accounts, Providers, Settings};
use greenroom_models::resilience::{ConcurrencySpec, EmbedderSpec, GovernorSpec, ResilienceSpec};
use greenroom_testkit::provider::{Answer, ProviderServer, WireFault};
use greenroom_testkit::{FaultRule, ManualClock, conformance};
use serde_json::json;

use super::world::{KEY, SECOND, World, providers, request};
use crate::support::ask;

const EMBEDDERS: [&str; 2] = ["openai:m", "ollama:m"];

async fn embed(world: &World, name: &str, texts: &[&str]) -> Result<Embeddings, ModelError> {
    let texts = texts.iter().map(|text| (*text).to_owned()).collect();
    world.embedder(name).embed(texts).await
}

#[tokio::test]
async fn texts_become_vectors_over_both_wires() {
    for name in EMBEDDERS {
        let world = World::new(ProviderServer::builder());
        let embedder = world.embedder(name);
        let found = conformance::embedder(name, &embedder, ["green door", "a mailbox"]).await;
        assert_ne!(found.vectors[0], found.vectors[1]);
        assert!(found.usage.input_tokens > 0 && found.usage.estimated_calls == 0);
        assert_eq!((world.n_requests(), world.governor.status().n_in_flight), (1, 0));
    }
}

#[tokio::test]
async fn what_may_succeed_later_is_asked_again_and_waits_as_it_is_told() {
    let limited = Answer::refusal(429, "rate_limit_exceeded", "slow").header("retry-after", "2");
    for (fault, wait) in [
        (WireFault::from(limited), 2 * SECOND),
        (WireFault::from(Answer::refusal(503, "", "busy")), Duration::ZERO),
        (WireFault::ResetBeforeHead, Duration::ZERO),
        (WireFault::ClosesMidText, Duration::ZERO),
    ] {
        for name in EMBEDDERS {
            let world = World::ruled(FaultRule::provider("m", fault.clone()));
            let found = embed(&world, name, &["a"]).await;
            let found = found.unwrap_or_else(|error| panic!("{name}: {fault}: {error}"));
            assert_eq!((found.vectors.len(), world.n_requests()), (1, 2), "{name}: {fault}");
            assert!(world.clock.elapsed() >= wait, "{name}: {fault}");
            assert_eq!(world.governor.status().n_in_flight, 0);
        }
    }
}

#[tokio::test]
async fn what_cannot_succeed_is_told_at_once_without_the_key() {
    let echo = format!("Incorrect API key provided: {KEY}");
    let vectors = |vectors: &[&[f32]]| Answer::vectors(vectors.iter().map(|v| v.to_vec()));
    for (answer, kind) in [
        (Answer::refusal(401, "invalid_api_key", echo), ModelErrorKind::Auth),
        (Answer::raw(200, "text/html", format!("<html>{KEY}</html>")), ModelErrorKind::Endpoint),
        (Answer::raw(200, "application/json", format!("{{\"{KEY}")), ModelErrorKind::InvalidReply),
        (Answer::raw(200, "application/json", "{}"), ModelErrorKind::InvalidReply),
        (vectors(&[&[1.0]]), ModelErrorKind::InvalidReply),
        (vectors(&[&[1.0], &[1.0], &[1.0]]), ModelErrorKind::InvalidReply),
        (vectors(&[&[1.0], &[1.0, 2.0]]), ModelErrorKind::InvalidReply),
        (vectors(&[&[], &[]]), ModelErrorKind::InvalidReply),
    ] {
        for name in EMBEDDERS {
            let world = World::ruled(FaultRule::provider("m", answer.clone()).times(u32::MAX));
            let error = embed(&world, name, &["a", "b"]).await.expect_err(name);
            assert_eq!((error.kind, world.n_requests()), (kind, 1), "{name}: {error}");
            assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        }
    }
}

#[tokio::test]
async fn vectors_count_by_their_index_and_not_by_their_order() {
    let item = |index: usize| json!({ "object": "embedding", "index": index, "embedding": [index as f32, 1.0] });
    let body = json!({ "object": "list", "data": [item(2), item(0), item(1)] }).to_string();
    let world = World::ruled(FaultRule::provider("m", Answer::raw(200, "application/json", body)));
    let found = embed(&world, "openai:m", &["a", "b", "c"]).await.expect("vectors");
    assert_eq!(found.vectors, [[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]]);
}

#[tokio::test]
async fn silence_is_given_up_and_what_hangs_leaves_no_place_taken() {
    for name in EMBEDDERS {
        let fault = WireFault::SilentBeforeHead;
        let world = World::ruled(FaultRule::provider("m", fault).times(u32::MAX));
        let error = tokio::select! {
            outcome = embed(&world, name, &["a"]) => outcome.expect_err("it is silent"),
            () = async {
                for n_requests in 1.. {
                    while world.n_requests() < n_requests {
                        tokio::task::yield_now().await;
                    }
                    world.clock.advance(60 * SECOND);
                }
            } => unreachable!("it never ends"),
        };
        // Two tries of a minute each, and a wait below a second, are all the time there is.
        assert_eq!((error.kind, world.n_requests()), (ModelErrorKind::Timeout, 2), "{name}");
        assert!(world.clock.elapsed() < 121 * SECOND, "{name}");
        assert_eq!(world.governor.status().n_in_flight, 0);
    }
}

#[tokio::test]
async fn a_request_that_is_dropped_gives_its_place_back() {
    let fault = WireFault::SilentBeforeHead;
    let world = World::ruled(FaultRule::provider("m", fault).times(u32::MAX));
    tokio::select! {
        _ = embed(&world, "openai:m", &["a"]) => panic!("it is silent"),
        () = async {
            while world.governor.status().n_in_flight == 0 {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    assert_eq!(world.governor.status().n_in_flight, 0);
}

#[tokio::test]
async fn models_and_embedders_of_one_account_are_held_back_together() {
    let limited = Answer::refusal(429, "rate_limit_exceeded", "slow").header("retry-after", "20");
    let server = ProviderServer::builder().answers([limited]).start();
    let clock = Arc::new(ManualClock::new());
    let mut accounts = Accounts::new(providers(&server), clock.clone());
    let mut spec = ResilienceSpec::default();
    spec.retry.attempts_max = 1;
    let model = accounts.model("openai:m", spec).expect("a model");
    let embedder =
        accounts.embedder("openai:e", None, EmbedderSpec::default()).expect("an embedder");
    assert_eq!((accounts.status().len(), embedder.name()), (1, "openai:e"));
    ask(&*model, request()).await.expect_err("it is refused");
    let asked = embedder.embed(Arc::from(["a".to_owned()]));
    // A request that is on its way is seen by no server yet.
    let is_held_back = || {
        let [(_, status)] = &accounts.status()[..] else { panic!("there is one account") };
        (status.n_waiting, status.n_in_flight) == (1, 0)
    };
    let wait = async {
        clock.until_asleep(1).await;
        assert!(is_held_back());
        clock.advance(19 * SECOND);
        tokio::task::yield_now().await;
        assert!(is_held_back(), "the account is still held back");
        assert_eq!(server.requests().len(), 1);
        clock.advance(3 * SECOND);
        std::future::pending::<()>().await;
    };
    let found = tokio::select! {
        found = asked => found.expect("it is answered later"),
        () = wait => unreachable!("it never ends"),
    };
    assert_eq!((found.vectors.len(), server.requests().len()), (1, 2));
}

#[tokio::test]
async fn limits_that_are_told_with_vectors_or_their_refusal_are_kept() {
    let vectors = Answer::vectors([vec![1.0]]);
    for (answer, n_requests) in [(vectors, 1), (Answer::refusal(503, "", "busy"), 2)] {
        let limits = [("limit", "1"), ("remaining", "0"), ("reset", "20s")];
        let answer = limits.into_iter().fold(answer, |answer, (what, value)| {
            answer.header(format!("x-ratelimit-{what}-requests"), value)
        });
        for name in EMBEDDERS {
            let world = World::ruled(FaultRule::provider("m", answer.clone()));
            embed(&world, name, &["a"]).await.expect("vectors");
            assert_eq!(world.n_requests(), n_requests, "{name}");
            embed(&world, name, &["a"]).await.expect("vectors");
            assert_eq!(world.n_requests(), n_requests + 1, "{name}");
            let waited = world.clock.elapsed();
            let wanted = 20 * SECOND * u32::try_from(n_requests).expect("a few");
            assert!((wanted..wanted + SECOND).contains(&waited), "{name}: {waited:?}");
        }
    }
}

#[tokio::test]
async fn shorter_vectors_are_asked_for_by_name_and_anything_else_is_refused() {
    for name in EMBEDDERS {
        let world = World::new(ProviderServer::builder());
        let short = providers(&world.server).embedder(name).expect(name).with_dimensions(16);
        assert_eq!(short.name(), format!("{name}@16"));
        assert_eq!(short.clone().with_dimensions(8).name(), format!("{name}@8"));
        let found = short.embed(Arc::from(["a".to_owned()])).await.expect("vectors");
        assert_eq!(found.vectors[0].len(), 16);
        assert_eq!(world.server.requests()[0].body["dimensions"], 16);
        let deaf = ProviderServer::always(Answer::vectors([vec![1.0, 2.0]]));
        let short = providers(&deaf).embedder(name).expect(name).with_dimensions(16);
        let error = short.embed(Arc::from(["a".to_owned()])).await.expect_err("it is longer");
        assert_eq!(error.kind, ModelErrorKind::InvalidReply);
        assert!(error.message.contains("vectors of 2 numbers where 16 were asked for"));
    }
}

#[tokio::test]
async fn no_request_carries_more_than_its_bytes() {
    let server = ProviderServer::builder().start();
    let embedder = providers(&server).embedder("openai:m").expect("an embedder");
    let texts: Arc<[String]> =
        [100, 100, 100, 300, 1].map(|kib: usize| "ab ".repeat(kib * 1024 / 3)).into();
    let found = embedder.embed(texts).await.expect("vectors");
    let n_texts = |request: &greenroom_testkit::provider::Received| {
        request.body["input"].as_array().map(Vec::len)
    };
    let sent: Vec<_> = server.requests().iter().filter_map(n_texts).collect();
    assert_eq!((found.vectors.len(), found.usage.model_calls), (5, 4));
    assert_eq!(sent, [2, 1, 1, 1]);
}

/// The limits of a vendor's account hold, and those of another's do not; models and embedders are one account.
#[tokio::test]
async fn an_account_has_the_limits_that_were_set_for_its_vendor() {
    let server = ProviderServer::always(Answer::text("well then"));
    let clock = Arc::new(ManualClock::skipping(50 * SECOND));
    let at_once =
        |n| GovernorSpec { concurrency: ConcurrencySpec::fixed(n), ..GovernorSpec::default() };
    let accounts = || Accounts::new(providers(&server), clock.clone());
    let limit = |accounts: &Accounts| {
        let status = accounts.status();
        let [(_, status)] = status.as_slice() else { panic!("{status:?}") };
        status.concurrency_max
    };
    let mut own = accounts().with_spec("openai", at_once(3)).with_spec("groq", at_once(5));
    own.model("openai:m", ResilienceSpec::default()).expect("a model");
    own.embedder("openai:m", None, EmbedderSpec::default()).expect("an embedder");
    assert_eq!(limit(&own), 3);
    let mut unnamed = accounts().with_spec("endpoint", at_once(7)).with_spec("groq", at_once(5));
    unnamed.model(&format!("{}#m", server.url("/v1")), ResilienceSpec::default()).expect("a model");
    assert_eq!(limit(&unnamed), 7);
}

#[tokio::test]
async fn an_embedder_leaves_the_machine_only_when_it_may() {
    let settings = Settings::new().with_key("openai", KEY).offline();
    let providers = Providers::new(settings).expect("the settings are fine");
    let clock = Arc::new(ManualClock::skipping(50 * SECOND));
    let mut accounts = Accounts::new(providers, clock).with_spec("openai", GovernorSpec::default());
    let embedder = accounts.embedder("openai:m", None, EmbedderSpec::default()).expect("a name");
    let error = embedder.embed(Arc::from(["a".to_owned()])).await.expect_err("it is far away");
    assert_eq!(error.kind, ModelErrorKind::Offline);
    assert!(
        !format!("{error} {error:?} {embedder:?}", embedder = embedder.name()).contains("canary")
    );
}

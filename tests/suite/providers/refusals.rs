//! Providers that say no, that are not there, and that are not who they should be.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use greenroom_core::ids::RunId;
use greenroom_core::model::{Caller, ChatRequest, ModelErrorKind};
use greenroom_core::time::Clock as _;
use greenroom_models::http::{HttpModel, Providers, Settings};
use greenroom_models::resilience::{Governor, GovernorSpec, ResilienceSpec, resilient};
use greenroom_runtime::SystemClock;
use greenroom_testkit::provider::{Answer, Certificate, ProviderServer, WireFault};
use greenroom_testkit::{FaultPlan, FaultRule, ManualClock};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

use super::world::{
    KEY, MODELS, SECOND, TEXT, World, ask, check_fails, check_recovers, one_try, request,
};

fn refusal(status: u16) -> Answer {
    Answer::refusal(status, "", "as the test says")
}

#[tokio::test]
async fn fi01_a_wait_that_is_asked_for_is_kept_exactly() {
    let limited = || Answer::refusal(429, "rate_limit_exceeded", "slow down");
    let date = "Fri, 29 Sep 2023 16:26:37 GMT";
    for answer in [
        limited().header("retry-after", "2"),
        limited().header("date", date).header("retry-after", "Fri, 29 Sep 2023 16:26:39 GMT"),
        limited().header("retry-after-ms", "2000").header("retry-after", "40"),
    ] {
        for name in MODELS {
            let world = World::ruled(FaultRule::provider("m", answer.clone()));
            let reply = world.ask(name).await.expect(name);
            assert_eq!((reply.text.as_str(), world.n_requests()), (TEXT, 2));
            let waited = world.clock.elapsed();
            // The account lets its callers in again one by one, within two seconds.
            assert!(waited >= 2 * SECOND && waited <= 4 * SECOND, "{name}: {waited:?}");
        }
    }
}

#[tokio::test]
async fn fi01_one_refusal_holds_back_every_run_of_the_account() {
    let limited = Answer::refusal(429, "rate_limit_exceeded", "slow down");
    let rule = FaultRule::provider("m", limited.header("retry-after", "20"));
    let builder = ProviderServer::builder().answering(|_| Answer::text(TEXT));
    let builder = builder.faults(FaultPlan::new(7).rule(rule));
    let world = World::with_clock(ManualClock::new(), builder);
    let (first, second) = (world.model("openai:m"), world.model("openai:n"));
    let error = ask(&*first, one_try()).await.expect_err("it is refused");
    assert_eq!((error.kind, error.retry_after), (ModelErrorKind::RateLimited, Some(20 * SECOND)));
    let caller = Caller { run: Some(RunId::from_bits(2)), ..Caller::default() };
    let asked = ask(&*second, ChatRequest { caller, ..request() });
    let is_held_back = || {
        let status = world.governor.status();
        (status.n_waiting, status.n_in_flight) == (1, 0)
    };
    let wait = async {
        // The time of the whole call, and the turn that it waits for.
        world.clock.until_asleep(2).await;
        assert!(is_held_back(), "a request that is on its way is seen by nobody yet");
        world.clock.advance(19 * SECOND);
        tokio::task::yield_now().await;
        assert!(is_held_back(), "the account is still held back");
        assert_eq!(world.n_requests(), 1);
        // The account lets its callers in again one by one, within two seconds.
        world.clock.advance(3 * SECOND);
        std::future::pending::<()>().await;
    };
    let reply = tokio::select! {
        reply = asked => reply.expect("it is answered later"),
        () = wait => unreachable!("it never ends"),
    };
    assert_eq!((reply.text.as_str(), world.n_requests()), (TEXT, 2));
}

#[tokio::test]
async fn fi02_a_wait_of_a_day_is_told_at_once() {
    let day =
        Answer::refusal(429, "rate_limit_exceeded", "tomorrow").header("retry-after", "86400");
    for error in check_fails(day, ModelErrorKind::RateLimited, 1).await {
        assert_eq!(error.retry_after, Some(86_400 * SECOND));
    }
}

#[tokio::test]
async fn fi03_money_that_is_used_up_does_not_come_back_by_asking() {
    let spent = "You exceeded your current quota, please check your plan and billing details.";
    check_fails(Answer::refusal(429, "insufficient_quota", spent), ModelErrorKind::Quota, 1).await;
    check_fails(Answer::refusal(402, "billing_error", "pay"), ModelErrorKind::Quota, 1).await;
}

#[tokio::test]
async fn fi04_a_server_that_fails_once_is_asked_again_and_one_that_always_does_is_given_up() {
    for status in [500, 502, 503, 504, 529] {
        check_recovers(refusal(status)).await;
        let kind = match status {
            504 => ModelErrorKind::Timeout,
            _ => ModelErrorKind::Unavailable,
        };
        for error in check_fails(refusal(status), kind, 4).await {
            assert_eq!(error.status, Some(status), "the last one is told");
        }
    }
}

#[tokio::test]
async fn fi05_a_conversation_that_is_too_long_is_not_sent_again_as_it_is() {
    let long = "This model's maximum context length is 8192 tokens.";
    let answer = Answer::refusal(400, "context_length_exceeded", long);
    check_fails(answer, ModelErrorKind::ContextLength, 1).await;
}

#[tokio::test]
async fn fi06_a_key_that_is_refused_is_not_tried_again_and_not_shown() {
    for status in [401, 403] {
        let echo = format!("Incorrect API key provided: {KEY}");
        let answer = Answer::refusal(status, "invalid_api_key", echo);
        for error in check_fails(answer, ModelErrorKind::Auth, 1).await {
            assert!(error.message.contains("[redacted]"), "{error}");
        }
    }
}

#[tokio::test]
async fn fi07_a_request_that_is_wrong_stays_wrong() {
    let unknown = Answer::refusal(404, "model_not_found", "The model `m` does not exist");
    check_fails(unknown, ModelErrorKind::UnknownModel, 1).await;
    for status in [413, 422] {
        check_fails(refusal(status), ModelErrorKind::InvalidRequest, 1).await;
    }
}

#[tokio::test]
async fn fi08_a_host_that_refuses_is_asked_again_and_then_given_up() {
    check_recovers(WireFault::ResetBeforeHead).await;
    let server = ProviderServer::new([] as [Answer; 0]);
    let url = server.url("/v1");
    drop(server);
    let clock = ManualClock::skipping(50 * SECOND);
    let governor = Governor::new(GovernorSpec::default(), Arc::new(clock.clone()));
    let providers = Providers::new(Settings::new()).expect("the settings are fine");
    let model = providers.model(&format!("{url}#m")).expect("a model");
    let model = resilient(model, &governor, ResilienceSpec::default());
    let error = ask(&*model, request()).await.expect_err("nobody is there");
    assert_eq!((error.kind, clock.skipped().len()), (ModelErrorKind::Unavailable, 3), "{error}");
}

/// In paused time, because the time to connect is the client's own: it must end, and in five seconds.
#[tokio::test(start_paused = true)]
async fn fi08_a_host_that_never_answers_is_given_up_after_the_time_to_connect() {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let listener = socket.listen(1).expect("it listens");
    let address = listener.local_addr().expect("it is bound");
    // Nobody accepts. Once the queue is full, who knocks is not answered.
    let mut knocking: Vec<_> = (0..16).map(|_| Box::pin(TcpStream::connect(address))).collect();
    knocking.iter_mut().for_each(|one| drop(one.now_or_never()));
    let governor = Governor::new(GovernorSpec::default(), Arc::new(SystemClock::new()));
    let providers = Providers::new(Settings::new()).expect("the settings are fine");
    let model = providers.model(&format!("http://{address}/v1#m")).expect("a model");
    let model = resilient(model, &governor, ResilienceSpec::default());
    let begun = Instant::now();
    let error = ask(&*model, one_try()).await.expect_err("nobody answers");
    assert_eq!(error.kind, ModelErrorKind::Timeout, "{error}");
    assert!(begun.elapsed() < Duration::from_millis(5_100), "{:?}", begun.elapsed());
}

/// A model of a host whose name is looked up so, the n-th time, and how often it was.
fn named<F>(
    port: u16,
    lookup: impl Fn(usize) -> F + Send + Sync + 'static,
) -> (HttpModel, Arc<AtomicUsize>)
where
    F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
{
    let n_lookups = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&n_lookups);
    let settings = Settings::new().with_resolver(move |host| {
        assert_eq!(host, "models.test");
        lookup(counted.fetch_add(1, Ordering::SeqCst))
    });
    let providers = Providers::new(settings).expect("the settings are fine");
    (providers.model(&format!("http://models.test:{port}/v1#m")).expect("a model"), n_lookups)
}

fn unknown_host() -> io::Result<Vec<SocketAddr>> {
    Err(io::Error::new(io::ErrorKind::NotFound, "no such host"))
}

#[tokio::test]
async fn fi08_a_name_that_nobody_knows_is_looked_up_again_and_then_given_up() {
    for (finds, says) in [(true, ""), (false, "no such host")] {
        let clock = ManualClock::skipping(50 * SECOND);
        let governor = Governor::new(GovernorSpec::default(), Arc::new(clock.clone()));
        let (model, n_lookups) =
            named(80, move |_| async move { if finds { Ok(Vec::new()) } else { unknown_host() } });
        let model = resilient(model, &governor, ResilienceSpec::default());
        let error = ask(&*model, request()).await.expect_err("there is no such host");
        assert_eq!(
            (error.kind, clock.skipped().len()),
            (ModelErrorKind::Unavailable, 3),
            "{error}"
        );
        assert_eq!(n_lookups.load(Ordering::SeqCst), 4);
        let wanted = "http://models.test cannot be reached: ";
        assert!(error.message.starts_with(wanted) && error.message.contains(says), "{error}");
    }
}

#[tokio::test]
async fn fi08_a_name_that_is_known_again_is_no_failure() {
    let server = ProviderServer::always(Answer::text(TEXT));
    let address = server.address();
    let (model, n_lookups) = named(address.port(), move |n| async move {
        if n == 0 { unknown_host() } else { Ok(vec![address]) }
    });
    let clock = ManualClock::skipping(50 * SECOND);
    let governor = Governor::new(GovernorSpec::default(), Arc::new(clock));
    let model = resilient(model, &governor, ResilienceSpec::default());
    let reply = ask(&*model, request()).await.expect("it is found");
    assert_eq!((reply.text.as_str(), n_lookups.load(Ordering::SeqCst)), (TEXT, 2));
}

/// In paused time, because the time to connect is the client's own, and looking up is a part of it.
#[tokio::test(start_paused = true)]
async fn fi08_a_lookup_that_hangs_is_given_up_after_the_time_to_connect() {
    let (model, n_lookups) = named(80, |_| std::future::pending());
    let begun = Instant::now();
    let error = ask(&model, one_try()).await.expect_err("nobody answers");
    assert_eq!(
        (error.kind, n_lookups.load(Ordering::SeqCst)),
        (ModelErrorKind::Timeout, 1),
        "{error}"
    );
    let took = begun.elapsed();
    assert!(took >= 5 * SECOND && took < Duration::from_millis(5_100), "{took:?}");
}

#[tokio::test]
async fn fi09_a_certificate_that_is_wrong_is_refused_at_once() {
    for (certificate, trusted, says) in [
        (Certificate::Sound, None, "UnknownIssuer"),
        (Certificate::Expired, Some(Certificate::Expired), "Expired"),
        (Certificate::OtherHost, Some(Certificate::OtherHost), "NotValidForName"),
    ] {
        let builder = ProviderServer::builder().answering(|_| Answer::text(TEXT));
        let server = builder.tls(certificate).start();
        let settings = trusted
            .into_iter()
            .fold(Settings::new(), |settings, trusted| settings.with_roots_pem(trusted.pem()));
        let providers = Providers::new(settings).expect("the settings are fine");
        let model = providers.model(&format!("{}#m", server.url("/v1"))).expect("a model");
        let clock = ManualClock::skipping(50 * SECOND);
        let governor = Governor::new(GovernorSpec::default(), Arc::new(clock));
        let model = resilient(model, &governor, ResilienceSpec::default());
        let error = ask(&*model, request()).await.expect_err("it is not to be trusted");
        assert_eq!(error.kind, ModelErrorKind::Endpoint, "{error}");
        assert!(error.message.contains(says), "{error}");
        let counts = server.counts();
        assert_eq!((counts.n_connections, counts.n_requests), (1, 0), "and never without TLS");
    }
}

#[tokio::test]
async fn fi33_redirects_are_not_followed_and_carry_no_key() {
    let other = ProviderServer::always(Answer::text(TEXT));
    for to in [other.url("/v1/chat/completions"), "http://169.254.169.254/".into(), "/v2".into()] {
        for status in [301, 302, 303, 307, 308] {
            let fault = WireFault::Redirect(status, to.clone());
            for error in check_fails(fault, ModelErrorKind::Endpoint, 1).await {
                assert!(error.message.contains("are not followed"), "{error}");
            }
        }
    }
    assert_eq!(other.counts().n_connections, 0);
}

//! One secret through everything that is written, shown or stored: none of it may hold the secret.

use std::io;
use std::sync::{Arc, Mutex};

use greenroom_core::agent::TurnLimits;
use greenroom_core::journal::{Journal as _, MemoryJournal};
use greenroom_models::cassette::{Cassette, CassetteMode};
use greenroom_models::resilience::{Governor, GovernorSpec, ResilienceSpec, resilient};
use greenroom_runtime::Runtime;
use greenroom_testkit::ManualClock;
use greenroom_testkit::provider::{Answer, ProviderServer, WireFault};
use tracing_subscriber::filter::LevelFilter;

use crate::providers::world::{KEY, MODELS, SECOND, providers};

/// The part of the key that nothing but the key holds.
const CANARY: &str = "canary";

/// Whatever is logged while it lives, at every level.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panics while it writes").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Logged {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("nobody panics while it writes")).into()
    }
}

/// Answers that bring the key back, or tempt somebody to show it.
fn answers() -> Vec<Answer> {
    let masked = format!("{}***{}", &KEY[..10], &KEY[KEY.len() - 4..]);
    let echo = |key: &str| format!("Incorrect API key provided: {key}. Find yours elsewhere.");
    let page = format!("<html>Authorization: Bearer {KEY}</html>");
    vec![
        Answer::text("Hello you").header("x-request-id", KEY),
        Answer::refusal(401, "invalid_api_key", echo(KEY)),
        Answer::refusal(403, KEY, echo(&masked)),
        Answer::refusal(400, "", format!("{{\"headers\":{{\"x-api-key\":\"{KEY}\"}}}}")),
        Answer::raw(200, "text/html", page.clone()),
        Answer::raw(502, "text/html", page),
        Answer::raw(
            200,
            "text/event-stream",
            format!("data: {{\"error\":{{\"message\":\"{KEY}\"}}}}\n\n"),
        ),
        Answer::text("").fault(WireFault::Redirect(302, format!("https://user:{KEY}@host/"))),
        Answer::text("").fault(WireFault::ResetBeforeHead),
        Answer::text("a b c").fault(WireFault::ResetMidText),
        Answer::text("a b c").fault(WireFault::Data(format!("{{\"{KEY}\": nonsense"))),
        Answer::text("a b c").header("x-request-id", KEY).fault(WireFault::Data("nonsense".into())),
        Answer::text("").fault(WireFault::Encoding(KEY.into())),
    ]
}

/// Runs an agent on a model that is answered so, and gives everything that came out.
async fn sinks(name: &str, answer: Answer) -> String {
    let server = ProviderServer::always(answer);
    let providers = providers(&server);
    let directory = tempfile::TempDir::new().expect("a directory");
    let path = directory.path().join("tape.jsonl");
    let cassette = Cassette::open(&path, CassetteMode::Record).expect("a cassette");
    let clock = ManualClock::skipping(50 * SECOND);
    let governor = Governor::new(GovernorSpec::default(), Arc::new(clock));
    let model = cassette.model(providers.model(name).expect("a model"));
    let model = resilient(model, &governor, ResilienceSpec::default());

    let journal = MemoryJournal::new();
    let runtime = Runtime::builder().seed(7).journal(journal.clone()).start().await;
    let runtime = runtime.expect("it starts");
    let limits = TurnLimits { attempts_max: 1, ..TurnLimits::default() };
    let agent = runtime.agent("clerk").model(model).limits(limits).build().expect("complete");
    let mut run = agent.start("hello").await.expect("it begins");
    let id = run.id();
    let mut written = format!("{providers:?} {:?} {governor:?}", providers.model(name));
    while let Some(event) = run.next_event().await {
        written += &format!("{event:?}\n");
    }
    written += &format!("{:?}\n", run.outcome().await);
    for stream in journal.streams(id).await.expect("in memory") {
        for recorded in journal.load(&stream).await.expect("in memory") {
            written += &serde_json::to_string(&recorded).expect("JSON");
        }
    }
    written += &std::fs::read_to_string(path).expect("the cassette");
    assert!(
        server
            .requests()
            .iter()
            .all(|request| { request.headers.iter().any(|(_, value)| value.contains(KEY)) })
    );
    assert!(!server.requests().is_empty());
    runtime.shutdown().await;
    written
}

#[tokio::test]
async fn a_key_is_in_nothing_that_is_written() {
    let logged = Logged::default();
    let writer = logged.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let mut written = String::new();
    for name in MODELS {
        for answer in answers() {
            written += &sinks(name, answer).await;
        }
    }
    drop(guard);
    let log = logged.text();
    // The sinks are what they should be.
    for part in ["HTTP 401", "\"seq\":0", "\"kind\":\"chat\"", "[redacted]"] {
        assert!(written.contains(part), "nothing tells of {part}");
    }
    assert!(log.contains("TRACE") && log.contains("127.0.0.1"), "{log:.2000}");
    for text in [written, log] {
        let found = text
            .find(CANARY)
            .map(|at| text[text.floor_char_boundary(at.saturating_sub(300))..].chars().take(400));
        let found = found.map(Iterator::collect::<String>);
        assert_eq!(found, None);
    }
}

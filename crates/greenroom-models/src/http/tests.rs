//! Models over real connections, to a provider on this machine.

use std::sync::Arc;

use futures_util::StreamExt as _;
use greenroom_core::budget::Price;
use greenroom_core::embedder::Embedder;
use greenroom_core::message::Message;
use greenroom_core::model::{
    Caller, ChatEvent, ChatModel, ChatOptions, ChatRequest, ModelError, ModelErrorKind,
};
use greenroom_testkit::conformance;
use greenroom_testkit::provider::{Answer, Certificate, ProviderServer, Received, WireFault};
use serde_json::json;

use super::{PRICES, Providers, Settings, SetupErrorKind};
use crate::wire::Wire;

mod http2;

const KEY: &str = "sk-canary-0123456789";

fn hello() -> Answer {
    Answer::text("Hello you")
}

fn json(status: u16, body: &str) -> Answer {
    Answer::raw(status, "application/json", body)
}

fn events_of(body: &str) -> Answer {
    Answer::raw(200, "text/event-stream", body)
}

fn request() -> ChatRequest {
    ChatRequest { messages: Arc::new(vec![Message::user("hi")]), ..ChatRequest::default() }
}

/// Providers that are all at this server, with a key for each.
fn providers(server: &ProviderServer) -> Providers {
    let mut settings = Settings::new();
    for vendor in super::VENDORS {
        let path = if vendor.wire.is_below_v1() { "/v1" } else { "" };
        settings = settings.with_key(vendor.name, KEY).with_base_url(vendor.name, server.url(path));
    }
    Providers::new(settings).expect("the settings are fine")
}

/// The first line and the headers of a request.
fn head(request: &Received) -> String {
    let headers = request.headers.iter().map(|(name, value)| format!("{name}: {value}\n"));
    format!("{} {}\n", request.method, request.path) + &headers.collect::<String>()
}

async fn events(model: &dyn ChatModel) -> Vec<Result<ChatEvent, ModelError>> {
    model.stream(request()).collect().await
}

/// The error of a model that fails, after the seam's suite has looked at it.
async fn failure(server: &ProviderServer, name: &str) -> ModelError {
    let model = providers(server).model(name).expect("a model");
    let error = conformance::chat_model_failure(name, &model, request()).await;
    assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    error
}

#[tokio::test]
async fn every_wire_conforms() {
    for (name, path) in [
        ("openai:gpt", "/v1/chat/completions"),
        ("openai-responses:gpt", "/v1/responses"),
        ("anthropic:claude", "/v1/messages"),
        ("ollama:llama", "/api/chat"),
        ("groq:llama", "/v1/chat/completions"),
    ] {
        let server = ProviderServer::always(hello());
        let model = providers(&server).model(name).expect(name);
        assert_eq!(model.name(), name);
        let n_requests = || server.requests().len();
        conformance::chat_model_is_lazy(name, &model, request(), n_requests).await;
        let reply = conformance::chat_model(name, &model, request()).await;
        assert_eq!((reply.text.as_str(), reply.usage.model_calls), ("Hello you", 1));
        let request = &server.requests()[0];
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", path));
    }
}

#[tokio::test]
async fn each_vendor_gets_its_own_headers_and_an_address_gets_no_vendors_key() {
    let server = ProviderServer::always(hello());
    let settings = Settings::from_variables(|name| match name {
        "OPENAI_API_KEY" | "ANTHROPIC_API_KEY" => Some(KEY.to_owned()),
        "OPENAI_ORG_ID" => Some("org-1".to_owned()),
        "OPENAI_PROJECT_ID" => Some("proj-1".to_owned()),
        "OPENAI_BASE_URL" => Some(server.url("/v1/")),
        "ANTHROPIC_BASE_URL" => Some(server.url("")),
        _ => None,
    });
    let providers = Providers::new(settings.clone()).expect("the settings are fine");
    let idempotency_key = Some(Arc::from("run/1"));
    let caller = Caller { idempotency_key, ..Caller::default() };
    let address = format!("{}#m", server.url("/v1"));
    for name in ["openai:m", "anthropic:m", &address] {
        let model = providers.model(name).expect(name);
        let asked = ChatRequest { caller: caller.clone(), ..request() };
        let _: Vec<_> = model.stream(asked).collect().await;
    }
    let requests = server.requests();
    let heads: Vec<_> = requests.iter().map(head).collect();
    for expect in
        ["authorization: Bearer sk-canary", "openai-organization: org-1", "openai-project: proj-1"]
    {
        assert!(heads[0].contains(expect), "{}", heads[0]);
    }
    assert!(heads[0].starts_with("POST /v1/chat/completions\n"), "{}", heads[0]);
    for expect in ["x-api-key: sk-canary", "anthropic-version: 2023-06-01"] {
        assert!(heads[1].contains(expect), "{}", heads[1]);
    }
    assert!(!heads[2].contains("canary") && !heads[2].contains("openai-"), "{}", heads[2]);
    for head in &heads {
        assert!(head.contains("idempotency-key: run/1"), "{head}");
        assert!(head.contains("user-agent: greenroom/"), "{head}");
        assert!(!head.contains("accept-encoding"), "{head}");
    }
    let settings = settings.with_endpoint_key("local-key");
    let model = Providers::new(settings).and_then(|providers| providers.model(&address));
    events(&model.expect("a model")).await;
    assert!(head(&server.requests()[3]).contains("authorization: Bearer local-key"));
}

#[tokio::test]
async fn options_of_the_model_fill_what_a_request_leaves_open() {
    let server = ProviderServer::always(hello());
    let options = ChatOptions { temperature: Some(0.5), seed: Some(1), ..ChatOptions::default() };
    let model = providers(&server).model("openai:gpt").expect("a model");
    let model = model.with_options(options).with_output_tokens_max(77);
    let own = ChatOptions { seed: Some(2), ..ChatOptions::default() };
    let asked = ChatRequest { options: own, ..request() };
    let _: Vec<_> = model.stream(asked).collect().await;
    let body = &server.requests()[0].body;
    assert_eq!(
        (&body["model"], &body["temperature"], &body["seed"]),
        (&json!("gpt"), &json!(0.5), &json!(2))
    );
    assert_eq!(body["max_completion_tokens"], 77);
}

#[tokio::test]
async fn the_head_of_a_response_is_told_first_and_sent_tokens_are_estimated() {
    let server = ProviderServer::always(hello().fault(WireFault::NoUsage));
    let events = events(&providers(&server).model("openai:gpt").expect("a model")).await;
    let Some(Ok(ChatEvent::Meta(meta))) = events.first() else { panic!("{events:?}") };
    assert_eq!(meta.request_id.as_deref(), Some("req_1"));
    let Some(Ok(ChatEvent::Finished(reply))) = events.last() else { panic!("{events:?}") };
    let n_bytes = server.requests()[0].body.to_string().len() as u64;
    assert_eq!((reply.usage.input_tokens, reply.usage.output_tokens), (n_bytes.div_ceil(4), 3));
    assert_eq!(reply.usage.estimated_calls, 1);
}

#[tokio::test]
async fn connections_are_used_again() {
    let server = ProviderServer::always(hello());
    let providers = providers(&server);
    for name in ["openai:a", "openai:b", "groq:c"] {
        events(&providers.model(name).expect("a model")).await;
        // A connection is handed back by a task of its own.
        for _ in 0..16 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!((server.requests().len(), server.counts().n_connections), (3, 1));
}

#[tokio::test]
async fn dropping_the_stream_closes_the_connection() {
    let server = ProviderServer::always(hello().fault(WireFault::StopsMidText));
    let model = providers(&server).model("openai:gpt").expect("a model");
    let mut stream = model.stream(request());
    assert!(matches!(stream.next().await, Some(Ok(ChatEvent::Meta(_)))));
    assert!(matches!(stream.next().await, Some(Ok(ChatEvent::TextDelta(_)))));
    assert_eq!(server.counts().n_given_up, 0);
    drop(stream);
    server.until(|counts| counts.n_given_up == 1).await;
}

#[tokio::test]
async fn fi15_a_connection_that_ends_early_is_an_incomplete_reply() {
    let server = ProviderServer::always(hello().fault(WireFault::ClosesMidText));
    let error = failure(&server, "openai:gpt").await;
    assert_eq!((error.kind, error.is_partial), (ModelErrorKind::Incomplete, true));
    let server = ProviderServer::always(hello().fault(WireFault::EndsEarly));
    let error = failure(&server, "openai:gpt").await;
    assert_eq!((error.kind, error.is_partial), (ModelErrorKind::Incomplete, true));
    assert_eq!(error.request_id.as_deref(), Some("req_1"));
    let server = ProviderServer::always(
        Answer::raw(200, "text/event-stream", ": ping\n\n".repeat(2))
            .fault(WireFault::ClosesMidText),
    );
    let error = failure(&server, "openai:gpt").await;
    assert_eq!((error.kind, error.is_partial), (ModelErrorKind::Incomplete, false));
}

#[tokio::test]
async fn fi06_a_refused_key_is_not_shown() {
    let echo = |key: &str| json!({ "error": { "message": format!("Incorrect API key provided: {key}."), "code": "invalid_api_key" } });
    for echoed in [KEY, "sk-canary-0***6789", "sk-canar...789"] {
        let server = ProviderServer::always(json(401, &echo(echoed).to_string()));
        let error = failure(&server, "openai:gpt").await;
        assert_eq!((error.kind, error.status), (ModelErrorKind::Auth, Some(401)));
        let said = error.message.trim_end_matches('.');
        assert_eq!(said, "HTTP 401: Incorrect API key provided: [redacted]");
    }
    // In the stream as well.
    let body = format!("data: {}\n\n", echo(KEY));
    let server = ProviderServer::always(events_of(&body));
    assert_eq!(failure(&server, "openai:gpt").await.kind, ModelErrorKind::Auth);
}

#[tokio::test]
async fn errors_carry_what_the_provider_says() {
    let body = r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}"#;
    let server = ProviderServer::always(
        json(429, body)
            .header("retry-after", "7")
            .header("x-should-retry", "false")
            .header("request-id", "req_9"),
    );
    let error = failure(&server, "anthropic:claude").await;
    assert_eq!(error.to_string(), "model anthropic:claude: HTTP 429: slow down");
    assert_eq!((error.kind, error.status), (ModelErrorKind::RateLimited, Some(429)));
    assert_eq!(error.retry_after.map(|wait| wait.as_secs()), Some(7));
    assert_eq!((error.should_retry, error.request_id.as_deref()), (Some(false), Some("req_9")));
}

#[tokio::test]
async fn fi08_an_unreachable_host_is_unavailable() {
    let server = ProviderServer::always(hello());
    let url = server.url("/v1");
    drop(server);
    let providers = Providers::new(Settings::new()).expect("the settings are fine");
    let model = providers.model(&format!("{url}#m")).expect("a model");
    let error = conformance::chat_model_failure("refused", &model, request()).await;
    assert_eq!(error.kind, ModelErrorKind::Unavailable);
    let origin = url.trim_end_matches("/v1");
    assert!(error.message.starts_with(&format!("{origin} cannot be reached: ")), "{error}");
    assert!(error.message.to_lowercase().contains("refused"), "{error}");
}

#[tokio::test]
async fn fi09_a_certificate_that_is_not_trusted_is_refused_and_one_that_is_is_not() {
    let server = ProviderServer::builder().answering(|_| hello()).tls(Certificate::Sound).start();
    let name = format!("{}#m", server.url("/v1"));
    let providers = Providers::new(Settings::new()).expect("the settings are fine");
    let model = providers.model(&name).expect("a model");
    let error = conformance::chat_model_failure("untrusted", &model, request()).await;
    assert_eq!((error.kind, error.is_retryable()), (ModelErrorKind::Endpoint, false));
    assert!(error.message.contains("its certificate is not trusted (UnknownIssuer)"), "{error}");
    assert_eq!(server.requests().len(), 0);

    let trusting = Settings::new().with_roots_pem(Certificate::Sound.pem());
    let model = Providers::new(trusting).and_then(|providers| providers.model(&name));
    let reply = conformance::chat_model("trusted", &model.expect("a model"), request()).await;
    assert_eq!(reply.text, "Hello you");

    let plain = ProviderServer::always(hello());
    let url = plain.url("/v1").replace("http:", "https:");
    let model = providers.model(&format!("{url}#m")).expect("a model");
    let error = conformance::chat_model_failure("plain", &model, request()).await;
    assert_eq!(error.kind, ModelErrorKind::Endpoint);
    assert!(error.message.contains("does not speak TLS"), "{error}");
}

#[tokio::test]
async fn fi33_a_redirect_is_not_followed_and_the_key_stays_here() {
    let other = ProviderServer::always(hello());
    let to = other.url("/v1/chat/completions");
    for status in [301, 302, 307, 308] {
        let server = ProviderServer::always(Answer::raw(status, "", "").header("location", &to));
        let error = failure(&server, "openai:gpt").await;
        assert_eq!(error.kind, ModelErrorKind::Endpoint);
        assert!(
            error.message.contains("redirects (here to 127.0.0.1) are not followed"),
            "{error}"
        );
    }
    assert_eq!(other.counts().n_connections, 0);
}

#[tokio::test]
async fn fi22_fi24_what_is_no_api_is_named_and_not_retried() {
    let page = "<html>Sign in to the WLAN</html>";
    for (answer, says) in [
        (Answer::raw(200, "text/html", page), "an HTML page"),
        (events_of(page), "an HTML page"),
        (Answer::raw(200, "image/png", "x"), "HTTP 200"),
        (hello().fault(WireFault::NoContent), "an empty reply"),
        (events_of(""), "an empty body"),
        (hello().fault(WireFault::GzipBomb(1 << 20)), "packed (\"gzip\")"),
        (json(404, r#"{"detail":"Not Found"}"#), "it ends in /v1 as a rule"),
    ] {
        let server = ProviderServer::always(answer);
        let error = failure(&server, "openai:gpt").await;
        assert_eq!(
            (error.kind, error.is_retryable()),
            (ModelErrorKind::Endpoint, false),
            "{error}"
        );
        assert!(error.message.contains(says), "{error}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_proxy_is_used_when_it_is_set_and_never_for_this_machine() {
    let proxy = ProviderServer::always(hello());
    let server = ProviderServer::always(hello());
    let settings = Settings::new().with_proxy(proxy.url(""), Some("inside.invalid".into()));
    let providers = Providers::new(settings).expect("the settings are fine");
    for name in [
        "http://outside.invalid/v1#m",
        "http://inside.invalid/v1#m",
        &format!("{}#m", server.url("/v1")),
    ] {
        events(&providers.model(name).expect("a model")).await;
    }
    let requests = proxy.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].path, "http://outside.invalid/v1/chat/completions");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn offline_nothing_leaves_this_machine() {
    let proxy = ProviderServer::always(hello());
    let settings = Settings::from_variables(|name| match name {
        "GREENROOM_OFFLINE" => Some("1".to_owned()),
        "HTTPS_PROXY" => Some(proxy.url("")),
        "OPENAI_API_KEY" => Some(KEY.to_owned()),
        _ => None,
    });
    let providers = Providers::new(settings).expect("the settings are fine");
    for name in ["openai:gpt", "http://192.168.1.7/v1#m", "http://localhost.evil.invalid/v1#m"] {
        let model = providers.model(name).expect("a model, which is not asked yet");
        let error = conformance::chat_model_failure(name, &model, request()).await;
        assert_eq!((error.kind, error.is_retryable()), (ModelErrorKind::Offline, false));
        assert!(error.message.starts_with("real calls are forbidden here"), "{error}");
        let error = model.list().await.expect_err("a list is a call too");
        assert_eq!(error.kind, ModelErrorKind::Offline);
    }
    let embedder = providers.embedder("openai:e").expect("an embedder");
    let refused = embedder.embed(Arc::from(["a".to_owned()])).await.expect_err("it is a call");
    assert_eq!(refused.kind, ModelErrorKind::Offline);
    assert_eq!(proxy.counts().n_connections, 0);
    let here = providers.model(&format!("{}#m", proxy.url("/v1"))).expect("a model");
    assert!(matches!(events(&here).await.last(), Some(Ok(ChatEvent::Finished(_)))));
    let zero =
        Settings::from_variables(|name| (name == "GREENROOM_OFFLINE").then(|| "0".to_owned()));
    assert!(!zero.is_offline);
}

#[track_caller]
fn check_refused(settings: Settings, name: &str, kind: SetupErrorKind, says: &str) {
    let error = Providers::new(settings).and_then(|providers| providers.model(name).map(|_| ()));
    let error = error.expect_err(name);
    assert_eq!(error.kind, kind, "{error}");
    assert!(error.message.contains(says), "{error}");
    assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
}

#[test]
fn a_price_of_ones_own_counts_before_the_listed_one() {
    let listed = &PRICES[0];
    let name = format!("{}:{}", listed.vendor, listed.model);
    let price = |settings: Settings| {
        let providers = Providers::new(settings.with_key(listed.vendor, KEY)).expect("it is fine");
        providers.model(&name).expect("a name").price()
    };
    assert_eq!(price(Settings::new()), Some(listed.price));
    assert_eq!(price(Settings::new().with_price(&name, Price::FREE)), Some(Price::FREE));
    assert_eq!(price(Settings::new().with_price("openai:other", Price::FREE)), Some(listed.price));
}

/// Whose address it is decides what is said when it does not answer as it should.
#[test]
fn an_address_of_ones_own_is_told_from_the_vendors() {
    let is_ours = |settings: Settings| {
        let providers = Providers::new(settings.with_key("openai", KEY)).expect("it is fine");
        providers.model("openai:gpt").expect("a name").endpoint().is_of_our_table
    };
    assert!(is_ours(Settings::new()));
    assert!(!is_ours(Settings::new().with_base_url("openai", "http://127.0.0.1:1/v1")));
}

#[test]
fn what_cannot_be_set_up_says_what_to_do() {
    use SetupErrorKind::{BadConnection, BadKey, BadUrl, Name, NoKey};
    let none = Settings::new;
    check_refused(
        none(),
        "openai:gpt",
        NoKey,
        "set OPENAI_API_KEY; keys are made at https://platform.openai.com",
    );
    check_refused(none().with_key("anthropic", " "), "anthropic:c", NoKey, "set ANTHROPIC_API_KEY");
    check_refused(none(), "gpt", Name, "PROVIDER:MODEL");
    check_refused(none().with_key("openai", "canary\u{7}x"), "openai:gpt", BadKey, "openai");
    let at = |url: &str| none().with_key("openai", KEY).with_base_url("openai", url);
    check_refused(at("ftp://host/v1"), "openai:gpt", BadUrl, "http://");
    check_refused(at("https://me:canary@host/v1"), "openai:gpt", BadUrl, "no user and no password");
    check_refused(at("https://host/v1?key=canary@x"), "openai:gpt", BadUrl, "nothing behind ?");
    check_refused(at("http://"), "openai:gpt", BadUrl, "HOST");
    check_refused(none().with_roots_pem("nothing"), "ollama:m", BadConnection, "PEM");
    check_refused(
        none().with_proxy("http://\u{7}canary", None),
        "ollama:m",
        BadConnection,
        "proxy",
    );
    let model = Providers::new(none().with_key("openai", KEY));
    let shown =
        format!("{model:?} {:?}", model.as_ref().map(|providers| providers.model("openai:m")));
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn a_list_of_models_is_beside_the_wire() {
    let settings = Settings::new()
        .with_key("anthropic", KEY)
        .with_base_url("anthropic", "http://h/gate/")
        .with_base_url("vllm", "http://h/v1");
    let providers = Providers::new(settings).expect("the settings are fine");
    for (name, expect) in [
        ("anthropic:m", "http://h/gate/v1/models"),
        ("vllm:m", "http://h/v1/models"),
        ("ollama:m", "http://127.0.0.1:11434/api/tags"),
    ] {
        let model = providers.model(name).expect(name);
        let endpoint = model.endpoint();
        let url = endpoint.beside(endpoint.wire.models_path()).expect("an address");
        assert_eq!((url.as_str(), model.id()), (expect, "m"));
    }
}

#[tokio::test]
async fn embedders_ask_and_are_counted() {
    let texts: Arc<[String]> = Arc::from(["a".to_owned(), "b".to_owned()]);
    let vectors = r#"{"data":[{"index":0,"embedding":[1.0,0.0]},{"index":1,"embedding":[0.5,0.5]}],"usage":{"prompt_tokens":2}}"#;
    let server = ProviderServer::always(json(200, vectors));
    let embedder =
        providers(&server).embedder("openai:text-embedding-3-small").expect("an embedder");
    let found = embedder.embed(Arc::clone(&texts)).await.expect("vectors");
    assert_eq!((found.vectors.len(), found.usage.input_tokens), (2, 2));
    let request = &server.requests()[0];
    assert_eq!(request.path, "/v1/embeddings");
    assert_eq!(request.body["input"], json!(["a", "b"]));
    let none = embedder.embed(Arc::from([])).await.expect("nothing");
    assert_eq!(
        (none.vectors.len(), server.requests().len()),
        (0, 1),
        "nobody is asked for nothing"
    );

    let server =
        ProviderServer::always(json(200, r#"{"embeddings":[[1.0],[2.0]],"prompt_eval_count":3}"#));
    let embedder = providers(&server).embedder("ollama:nomic").expect("an embedder");
    let found = conformance::embedder("ollama", &embedder, ["a", "b"]).await;
    assert_eq!((found.vectors, found.usage.input_tokens), (vec![vec![1.0], vec![2.0]], 3));
    assert_eq!(server.requests()[0].path, "/api/embed");

    let server = ProviderServer::always(json(401, &format!(r#"{{"error":"bad key {KEY}"}}"#)));
    let embedder = providers(&server).embedder("ollama:nomic").expect("an embedder");
    let error = embedder.embed(texts).await.expect_err("refused");
    assert_eq!(
        (error.kind, error.message.as_str()),
        (ModelErrorKind::Auth, "HTTP 401: bad key [redacted]")
    );
    let error = providers(&server).embedder("anthropic:x").expect_err("there are none");
    assert_eq!(error.kind, SetupErrorKind::NoEmbeddings);
}

#[tokio::test]
async fn many_texts_are_asked_for_in_several_requests() {
    let server = ProviderServer::always(Answer::text(""));
    let embedder = providers(&server).embedder("openai:e").expect("an embedder");
    let texts: Arc<[String]> = (0..2049).map(|i| i.to_string()).collect();
    let found = embedder.embed(texts).await.expect("vectors");
    assert_eq!((found.vectors.len(), found.usage.model_calls), (2049, 2));
}

#[test]
fn a_vendor_is_spoken_to_in_its_own_wire() {
    let wires = ["openai", "openai-responses", "anthropic", "ollama", "mistral"]
        .map(|name| super::vendor(name).map(|v| v.wire));
    let expect =
        [Wire::OpenAiChat, Wire::OpenAiResponses, Wire::Anthropic, Wire::Ollama, Wire::OpenAiChat];
    assert_eq!(wires, expect.map(Some));
}

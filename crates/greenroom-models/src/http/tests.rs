//! Models over real connections, to a server on this machine.

use std::sync::Arc;

use futures_util::StreamExt as _;
use greenroom_core::embedder::Embedder;
use greenroom_core::message::Message;
use greenroom_core::model::{
    Caller, ChatEvent, ChatModel, ChatOptions, ChatRequest, ModelError, ModelErrorKind,
};
use greenroom_testkit::conformance;
use serde_json::json;

use super::{Providers, Settings, SetupErrorKind};
use crate::wire::Wire;
use server::{Answer, CERTIFICATE, Server};

mod server;

const KEY: &str = "sk-canary-0123456789";

const CHAT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
const RESPONSES: &str = "data: {\"type\":\"response.output_text.delta\",\"delta\":\"Hello\"}\n\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n";
const MESSAGES: &str = "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\ndata: {\"type\":\"message_stop\"}\n\n";
const LINES: &str =
    "{\"message\":{\"content\":\"Hel\"}}\n{\"message\":{\"content\":\"lo\"},\"done\":true}\n";

fn request() -> ChatRequest {
    ChatRequest { messages: Arc::new(vec![Message::user("hi")]), ..ChatRequest::default() }
}

/// Providers that are all at this server, with a key for each.
fn providers(server: &Server) -> Providers {
    let mut settings = Settings::new();
    for vendor in super::VENDORS {
        let path = if vendor.wire.is_below_v1() { "/v1" } else { "" };
        settings = settings.with_key(vendor.name, KEY).with_base_url(vendor.name, server.url(path));
    }
    Providers::new(settings).expect("the settings are fine")
}

async fn events(model: &dyn ChatModel) -> Vec<Result<ChatEvent, ModelError>> {
    model.stream(request()).collect().await
}

/// The error of a model that fails, after the seam's suite has looked at it.
async fn failure(server: &Server, name: &str) -> ModelError {
    let model = providers(server).model(name).expect("a model");
    let error = conformance::chat_model_failure(name, &model, request()).await;
    assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    error
}

#[tokio::test]
async fn every_wire_conforms() {
    let lines = Answer::new(200, "content-type: application/x-ndjson\r\n", LINES);
    for (name, answer, path) in [
        ("openai:gpt", Answer::events(CHAT), "/v1/chat/completions"),
        ("openai-responses:gpt", Answer::events(RESPONSES), "/v1/responses"),
        ("anthropic:claude", Answer::events(MESSAGES), "/v1/messages"),
        ("ollama:llama", lines, "/api/chat"),
        ("groq:llama", Answer::events(CHAT), "/v1/chat/completions"),
    ] {
        let server = Server::new([answer]);
        let model = providers(&server).model(name).expect(name);
        assert_eq!(model.name(), name);
        let n_requests = || server.requests().len();
        conformance::chat_model_is_lazy(name, &model, request(), n_requests).await;
        let reply = conformance::chat_model(name, &model, request()).await;
        assert_eq!((reply.text.as_str(), reply.usage.model_calls), ("Hello", 1));
        let head = &server.requests()[0].head;
        assert!(head.starts_with(&format!("POST {path} HTTP/1.1\r\n")), "{head}");
    }
}

#[tokio::test]
async fn each_vendor_gets_its_own_headers_and_an_address_gets_no_vendors_key() {
    let server = Server::new([Answer::events(CHAT)]);
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
    let heads: Vec<_> = requests.iter().map(|request| request.head.as_str()).collect();
    for expect in
        ["authorization: Bearer sk-canary", "openai-organization: org-1", "openai-project: proj-1"]
    {
        assert!(heads[0].contains(expect), "{}", heads[0]);
    }
    assert!(heads[0].starts_with("POST /v1/chat/completions "), "{}", heads[0]);
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
    assert!(server.requests()[3].head.contains("authorization: Bearer local-key"));
}

#[tokio::test]
async fn options_of_the_model_fill_what_a_request_leaves_open() {
    let server = Server::new([Answer::events(CHAT)]);
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
    let server = Server::new([Answer::events(CHAT)]);
    let events = events(&providers(&server).model("openai:gpt").expect("a model")).await;
    let Some(Ok(ChatEvent::Meta(meta))) = events.first() else { panic!("{events:?}") };
    assert_eq!(meta.request_id.as_deref(), Some("req_7"));
    let Some(Ok(ChatEvent::Finished(reply))) = events.last() else { panic!("{events:?}") };
    let n_bytes = server.requests()[0].body.to_string().len() as u64;
    assert_eq!((reply.usage.input_tokens, reply.usage.output_tokens), (n_bytes.div_ceil(4), 2));
    assert_eq!(reply.usage.estimated_calls, 1);
}

#[tokio::test]
async fn connections_are_used_again() {
    let server = Server::new([Answer::events(CHAT)]);
    let providers = providers(&server);
    for name in ["openai:a", "openai:b", "groq:c"] {
        events(&providers.model(name).expect("a model")).await;
    }
    assert_eq!((server.requests().len(), server.n_connections()), (3, 1));
}

/// Waits for something that another thread does, by letting it and the runtime go on.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..1_000_000 {
        if is_so() {
            return;
        }
        tokio::task::yield_now().await;
        std::thread::yield_now();
    }
    panic!("{what} did not happen");
}

#[tokio::test]
async fn dropping_the_stream_closes_the_connection() {
    let server = Server::new([Answer::silent(&CHAT[..60])]);
    let model = providers(&server).model("openai:gpt").expect("a model");
    let mut stream = model.stream(request());
    assert!(matches!(stream.next().await, Some(Ok(ChatEvent::Meta(_)))));
    assert!(matches!(stream.next().await, Some(Ok(ChatEvent::TextDelta(_)))));
    assert_eq!(server.n_closed(), 0);
    drop(stream);
    until("the end of the connection", || server.n_closed() == 1).await;
}

#[tokio::test]
async fn fi15_a_connection_that_ends_early_is_an_incomplete_reply() {
    let server = Server::new([Answer::cut(&CHAT[..60])]);
    let error = failure(&server, "openai:gpt").await;
    assert_eq!((error.kind, error.is_partial), (ModelErrorKind::Incomplete, true));
    let server = Server::new([Answer::events(&CHAT[..60])]);
    let error = failure(&server, "openai:gpt").await;
    assert_eq!((error.kind, error.is_partial), (ModelErrorKind::Incomplete, true));
    assert_eq!(error.request_id.as_deref(), Some("req_7"));
    let server = Server::new([Answer::cut(": ping\n\n")]);
    let error = failure(&server, "openai:gpt").await;
    assert_eq!((error.kind, error.is_partial), (ModelErrorKind::Incomplete, false));
}

#[tokio::test]
async fn fi06_a_refused_key_is_not_shown() {
    let echo = |key: &str| json!({ "error": { "message": format!("Incorrect API key provided: {key}."), "code": "invalid_api_key" } });
    for echoed in [KEY, "sk-canary-0***6789", "sk-canar...789"] {
        let server = Server::new([Answer::json(401, &echo(echoed).to_string())]);
        let error = failure(&server, "openai:gpt").await;
        assert_eq!((error.kind, error.status), (ModelErrorKind::Auth, Some(401)));
        let said = error.message.trim_end_matches('.');
        assert_eq!(said, "HTTP 401: Incorrect API key provided: [redacted]");
    }
    // In the stream as well.
    let body = format!("data: {}\n\n", echo(KEY));
    let server = Server::new([Answer::events(&body)]);
    assert_eq!(failure(&server, "openai:gpt").await.kind, ModelErrorKind::Auth);
}

#[tokio::test]
async fn errors_carry_what_the_provider_says() {
    let headers = "retry-after: 7\r\nx-should-retry: false\r\nrequest-id: req_9\r\n";
    let body = r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}"#;
    let server = Server::new([Answer::new(429, headers, body)]);
    let error = failure(&server, "anthropic:claude").await;
    assert_eq!(error.to_string(), "model anthropic:claude: HTTP 429: slow down");
    assert_eq!((error.kind, error.status), (ModelErrorKind::RateLimited, Some(429)));
    assert_eq!(error.retry_after.map(|wait| wait.as_secs()), Some(7));
    assert_eq!((error.should_retry, error.request_id.as_deref()), (Some(false), Some("req_9")));
}

#[tokio::test]
async fn fi08_an_unreachable_host_is_unavailable() {
    let server = Server::new([Answer::events(CHAT)]);
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
    let server = Server::with_tls([Answer::events(CHAT)]);
    let name = format!("{}#m", server.tls_url("/v1"));
    let providers = Providers::new(Settings::new()).expect("the settings are fine");
    let model = providers.model(&name).expect("a model");
    let error = conformance::chat_model_failure("untrusted", &model, request()).await;
    assert_eq!((error.kind, error.is_retryable()), (ModelErrorKind::Endpoint, false));
    assert!(error.message.contains("its certificate is not trusted (UnknownIssuer)"), "{error}");
    assert_eq!(server.requests().len(), 0);

    let trusting = Settings::new().with_roots_pem(CERTIFICATE);
    let model = Providers::new(trusting).and_then(|providers| providers.model(&name));
    let reply = conformance::chat_model("trusted", &model.expect("a model"), request()).await;
    assert_eq!(reply.text, "Hello");

    let model = providers.model(&format!("{}#m", server::without_tls())).expect("a model");
    let error = conformance::chat_model_failure("plain", &model, request()).await;
    assert_eq!(error.kind, ModelErrorKind::Endpoint);
    assert!(error.message.contains("does not speak TLS"), "{error}");
}

#[tokio::test]
async fn fi33_a_redirect_is_not_followed_and_the_key_stays_here() {
    let other = Server::new([Answer::events(CHAT)]);
    let to = format!("location: {}\r\n", other.url("/v1/chat/completions"));
    for status in [301, 302, 307, 308] {
        let server = Server::new([Answer::new(status, &to, "")]);
        let error = failure(&server, "openai:gpt").await;
        assert_eq!(error.kind, ModelErrorKind::Endpoint);
        assert!(
            error.message.contains("redirects (here to 127.0.0.1) are not followed"),
            "{error}"
        );
    }
    assert_eq!(other.n_connections(), 0);
}

#[tokio::test]
async fn fi22_fi24_what_is_no_api_is_named_and_not_retried() {
    let page = "<html>Sign in to the WLAN</html>";
    for (answer, says) in [
        (Answer::new(200, "content-type: text/html\r\n", page), "an HTML page"),
        (Answer::events(page), "an HTML page"),
        (Answer::new(200, "content-type: image/png\r\n", "x"), "HTTP 200"),
        (Answer::new(204, "", ""), "an empty reply"),
        (Answer::events(""), "an empty body"),
        (Answer::new(200, "content-encoding: gzip\r\n", "x"), "packed (\"gzip\")"),
        (Answer::json(404, r#"{"detail":"Not Found"}"#), "it ends in /v1 as a rule"),
    ] {
        let server = Server::new([answer]);
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
    let proxy = Server::new([Answer::events(CHAT)]);
    let server = Server::new([Answer::events(CHAT)]);
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
    let head = &requests[0].head;
    assert!(head.starts_with("POST http://outside.invalid/v1/chat/completions "), "{head}");
    assert_eq!(server.requests().len(), 1);
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
    check_refused(at("https://host/v1?key=1"), "openai:gpt", BadUrl, "nothing behind ?");
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

#[tokio::test]
async fn embedders_ask_and_are_counted() {
    let texts: Arc<[String]> = Arc::from(["a".to_owned(), "b".to_owned()]);
    let vectors = r#"{"data":[{"index":0,"embedding":[1.0,0.0]},{"index":1,"embedding":[0.5,0.5]}],"usage":{"prompt_tokens":2}}"#;
    let server = Server::new([Answer::json(200, vectors)]);
    let embedder =
        providers(&server).embedder("openai:text-embedding-3-small").expect("an embedder");
    let found = embedder.embed(Arc::clone(&texts)).await.expect("vectors");
    assert_eq!((found.vectors.len(), found.usage.input_tokens), (2, 2));
    let request = &server.requests()[0];
    assert!(request.head.starts_with("POST /v1/embeddings "), "{}", request.head);
    assert_eq!(request.body["input"], json!(["a", "b"]));
    let none = embedder.embed(Arc::from([])).await.expect("nothing");
    assert_eq!(
        (none.vectors.len(), server.requests().len()),
        (0, 1),
        "nobody is asked for nothing"
    );

    let server =
        Server::new([Answer::json(200, r#"{"embeddings":[[1.0],[2.0]],"prompt_eval_count":3}"#)]);
    let embedder = providers(&server).embedder("ollama:nomic").expect("an embedder");
    let found = conformance::embedder("ollama", &embedder, ["a", "b"]).await;
    assert_eq!((found.vectors, found.usage.input_tokens), (vec![vec![1.0], vec![2.0]], 3));
    assert!(server.requests()[0].head.starts_with("POST /api/embed "));

    let server = Server::new([Answer::json(401, &format!(r#"{{"error":"bad key {KEY}"}}"#))]);
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
    let answer = |n: usize| {
        let item = |index| json!({ "index": index, "embedding": [1.0] });
        Answer::json(200, &json!({ "data": (0..n).map(item).collect::<Vec<_>>() }).to_string())
    };
    let server = Server::new([answer(2048), answer(1)]);
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

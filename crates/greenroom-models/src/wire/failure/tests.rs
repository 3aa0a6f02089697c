//! Error bodies in the forms that providers publish, with their text shortened, and what they mean.

use super::*;

use ModelErrorKind as Kind;

fn failed(status: u16, body: &str) -> Failed<'_> {
    Failed { status, body: body.as_bytes(), ..Failed::default() }
}

#[test]
fn a_base_url_without_v1_is_told_with_what_to_write() {
    let says = |base_url| {
        let failed = Failed { base_url, ..failed(404, r#"{"detail":"Not Found"}"#) };
        failure(Wire::OpenAiChat, "m", &failed).message
    };
    let hint = "HTTP 404: Not Found (the base URL ends in /v1 as a rule: write http://h:8/v1)";
    assert_eq!(says(Some("http://h:8/")), hint);
    for base_url in [None, Some("http://h:8/v1/"), Some("http://h:8/v1beta")] {
        assert!(says(base_url).ends_with("(is the base URL right? it ends in /v1 as a rule)"));
    }
}

#[track_caller]
fn check(status: u16, body: &str, kind: Kind, says: &str) {
    let error = failure(Wire::OpenAiChat, "m", &failed(status, body));
    assert_eq!(error.kind, kind, "{error}");
    assert!(error.message.contains(says), "{error}");
    assert_eq!((error.model.as_str(), error.status), ("m", Some(status)));
}

// The forms of https://platform.openai.com/docs/guides/error-codes.
#[test]
fn openais_errors() {
    let body = r#"{"error":{"message":"Incorrect API key provided: x.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#;
    check(401, body, Kind::Auth, "HTTP 401: Incorrect API key");
    let body = r#"{"error":{"message":"You exceeded your current quota, please check your plan","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#;
    check(429, body, Kind::Quota, "current quota");
    let body = r#"{"error":{"message":"Rate limit reached for x on tokens per min","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#;
    check(429, body, Kind::RateLimited, "tokens per min");
    let body = r#"{"error":{"message":"The model `gpt-9` does not exist","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#;
    check(404, body, Kind::UnknownModel, "gpt-9");
    let body = r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#;
    check(400, body, Kind::ContextLength, "8192");
    check(400, r#"{"error":{"message":"bad","code":null}}"#, Kind::InvalidRequest, "bad");
    check(
        503,
        r#"{"error":{"message":"Slow Down","type":"server_error"}}"#,
        Kind::Unavailable,
        "Slow",
    );
}

// The forms of https://docs.anthropic.com/en/api/errors.
#[test]
fn anthropics_errors() {
    let of = |kind: &str, message: &str| {
        format!(
            r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}},"request_id":"req_1"}}"#
        )
    };
    check(529, &of("overloaded_error", "Overloaded"), Kind::Unavailable, "HTTP 529: Overloaded");
    check(402, &of("billing_error", "no credit"), Kind::Quota, "no credit");
    check(404, &of("not_found_error", "model: claude-9"), Kind::UnknownModel, "claude-9");
    check(403, &of("permission_error", "no"), Kind::Auth, "no");
    check(413, &of("request_too_large", "32 MB"), Kind::InvalidRequest, "32 MB");
    check(504, &of("timeout_error", "late"), Kind::Timeout, "late");
    let long = "prompt is too long: 208310 tokens > 200000 maximum";
    check(400, &of("invalid_request_error", long), Kind::ContextLength, "208310");
    let body = of("rate_limit_error", "slow down");
    let asked = Failed {
        retry_after: Some(Duration::from_secs(7)),
        should_retry: Some(false),
        ..failed(429, &body)
    };
    let error = failure(Wire::Anthropic, "m", &asked);
    assert_eq!(error.kind, Kind::RateLimited);
    assert_eq!(error.request_id.as_deref(), Some("req_1"));
    assert_eq!((error.retry_after, error.is_retryable()), (Some(Duration::from_secs(7)), false));
}

// Ollama's docs/api.md, vLLM's OpenAI server, FastAPI, llama.cpp's server and Mistral's reference.
#[test]
fn the_errors_of_others() {
    check(404, r#"{"error":"model 'x' not found"}"#, Kind::UnknownModel, "model 'x'");
    let body = r#"{"object":"error","message":"The model `x` does not exist.","type":"NotFoundError","param":null,"code":404}"#;
    check(404, body, Kind::UnknownModel, "`x`");
    check(404, r#"{"detail":"Not Found"}"#, Kind::Endpoint, "it ends in /v1 as a rule");
    let body = r#"{"error":{"code":404,"message":"File Not Found","type":"not_found_error"}}"#;
    check(404, body, Kind::Endpoint, "File Not Found");
    let body = r#"{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}"#;
    check(400, body, Kind::ContextLength, "available context");
    // Ollama hands on what its runner says, as a text in its own error.
    let body = r#"{"error":"{\"error\":{\"code\":400,\"message\":\"request (8889 tokens) exceeds the available context size (4096 tokens), try increasing it\",\"type\":\"exceed_context_size_error\",\"n_prompt_tokens\":8889,\"n_ctx\":4096}}"}"#;
    check(400, body, Kind::ContextLength, "8889 tokens");
    let body = r#"{"error":"the prompt is longer than the context length currently available to the model"}"#;
    check(400, body, Kind::ContextLength, "longer");
    let body = r#"{"error":"the input length exceeds the context length"}"#;
    check(400, body, Kind::ContextLength, "input length");
    let body = r#"{"detail":[{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs are not permitted"}]}"#;
    check(422, body, Kind::InvalidRequest, "Extra inputs");
    let body = r#"{"error":{"message":"Rate limit reached for x. Upgrade at /settings/billing","type":"tokens","code":"rate_limit_exceeded"}}"#;
    check(429, body, Kind::RateLimited, "Upgrade");
    check(429, "Your spend limit is reached.", Kind::Quota, "spend limit");
    check(429, "", Kind::RateLimited, "an empty reply");
}

#[test]
fn fi24_what_is_no_api_is_named() {
    check(404, "<html>404</html>", Kind::Endpoint, "an HTML page");
    check(403, "\n<!doctype html>", Kind::Endpoint, "an HTML page");
    check(502, "<html>Bad gateway</html>", Kind::Unavailable, "an HTML page");
    check(204, "", Kind::Endpoint, "an empty reply");
    check(302, "", Kind::Endpoint, "base URL");
    check(407, "who are you?", Kind::Endpoint, "who are you?");
    let page = Failed { content_type: Some("text/html; charset=utf-8"), ..failed(200, "hi") };
    assert_eq!(failure(Wire::Ollama, "m", &page).kind, Kind::Endpoint);
    let truncated = failure(Wire::Ollama, "m", &failed(400, r#"{"error":{"mess"#));
    assert_eq!(truncated.message, "HTTP 400: no reason is given");
}

#[test]
fn a_message_is_one_short_line_without_escapes() {
    let error = failure(Wire::Ollama, "m", &failed(400, "a\u{1b}[31m\r\n\tb"));
    assert_eq!(error.message, "HTTP 400: a [31m b");
    let long = "é".repeat(2000);
    let error = failure(Wire::Ollama, "m", &failed(400, &long));
    assert!(error.message.chars().count() < 420, "{}", error.message.len());
}

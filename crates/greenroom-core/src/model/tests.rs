//! The JSON of replies and errors, which journals hold, and what outweighs what.

use serde_json::json;

use super::*;

/// Written by the first version of the vocabulary.
const REPLY: &str = r#"{"text":"a","finish":"stop","usage":{"model_calls":1,"input_tokens":2,"output_tokens":3,"tool_calls":0}}"#;
const ERROR: &str = r#"{"kind":"rate_limited","model":"m","message":"slow down","retry_after":{"secs":2,"nanos":0}}"#;

#[test]
fn old_replies_and_errors_are_read_and_written_as_they_were() {
    let reply: ChatReply = serde_json::from_str(REPLY).expect("an old reply can be read");
    let usage = Usage { model_calls: 1, input_tokens: 2, output_tokens: 3, ..Usage::default() };
    assert_eq!(reply, ChatReply { usage, ..ChatReply::text("a") });
    assert_eq!(serde_json::to_string(&reply).expect("JSON"), REPLY);

    let error: ModelError = serde_json::from_str(ERROR).expect("an old error can be read");
    let retry_after = Some(Duration::from_secs(2));
    let kind = ModelErrorKind::RateLimited;
    assert_eq!(error, ModelError { retry_after, ..ModelError::new(kind, "m", "slow down") });
    assert_eq!(serde_json::to_string(&error).expect("JSON"), ERROR);
}

#[test]
fn what_is_new_is_kept() {
    let usage = Usage {
        cached_tokens: Some(1),
        cache_written_tokens: Some(2),
        reasoning_tokens: Some(0),
        estimated_calls: 1,
        ..Usage::default()
    };
    let reasoning = Some(Reasoning { wire: "w".into(), items: vec![json!({ "a": 1 })] });
    let reply = ChatReply { usage, reasoning, ..ChatReply::text("a") };
    let written = serde_json::to_string(&reply).expect("JSON");
    assert_eq!(serde_json::from_str::<ChatReply>(&written).expect("read"), reply);

    let error = ModelError {
        should_retry: Some(false),
        status: Some(529),
        request_id: Some("req_1".into()),
        is_partial: true,
        ..ModelError::new(ModelErrorKind::UnknownModel, "m", "there is none")
    };
    let written = serde_json::to_string(&error).expect("JSON");
    assert_eq!(serde_json::from_str::<ModelError>(&written).expect("read"), error);
}

#[test]
fn rt01_what_the_provider_says_outweighs_the_kind() {
    let error = |kind, should_retry| ModelError { should_retry, ..ModelError::new(kind, "m", "x") };
    assert!(error(ModelErrorKind::Unavailable, None).is_retryable());
    assert!(!error(ModelErrorKind::Unavailable, Some(false)).is_retryable());
    assert!(!error(ModelErrorKind::InvalidRequest, None).is_retryable());
    assert!(error(ModelErrorKind::InvalidRequest, Some(true)).is_retryable());
}

#[test]
fn unknown_counts_stay_unknown_and_known_ones_add_up() {
    let mut usage = Usage::default();
    usage.add(Usage::default());
    assert_eq!(usage.cached_tokens, None);
    usage.add(Usage { cached_tokens: Some(2), ..Usage::default() });
    usage.add(Usage { cached_tokens: Some(3), estimated_calls: 1, ..Usage::default() });
    usage.add(Usage::default());
    assert_eq!((usage.cached_tokens, usage.reasoning_tokens), (Some(5), None));
    assert_eq!(usage.estimated_calls, 1);
}

#[test]
fn open_options_are_filled_and_set_ones_kept() {
    let defaults = ChatOptions {
        temperature: Some(0.5),
        stop: vec!["END".into()],
        effort: Some(Effort::Low),
        ..ChatOptions::default()
    };
    let asked = ChatOptions { temperature: Some(0.0), seed: Some(7), ..ChatOptions::default() };
    let expect = ChatOptions { temperature: Some(0.0), seed: Some(7), ..defaults.clone() };
    assert_eq!(asked.or(&defaults), expect);
    let written = json!({ "temperature": 0.0, "tool_choice": { "tool": "look" } });
    let read: ChatOptions = serde_json::from_value(written.clone()).expect("options");
    assert_eq!(read.tool_choice, Some(ToolChoice::Tool("look".into())));
    assert_eq!(serde_json::to_value(&read).expect("JSON"), written);
    assert!(serde_json::from_str::<ChatOptions>(r#"{"temprature":1}"#).is_err());
}

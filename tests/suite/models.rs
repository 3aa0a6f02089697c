//! What holds for every wire of a provider, without a connection.

use std::collections::BTreeSet;
use std::sync::Arc;

use greenroom_core::message::{Message, ToolCall, ToolOutcome};
use greenroom_core::model::{ChatEvent, ChatModel, ChatRequest, ModelError, ModelErrorKind};
use greenroom_core::secret::Secret;
use greenroom_models::http::{Accounts, Providers, Settings};
use greenroom_models::resilience::ResilienceSpec;
use greenroom_models::wire::{Quirks, Wire};
use greenroom_runtime::SystemClock;
use serde_json::{Value, json};

const WIRES: [Wire; 4] = [Wire::OpenAiChat, Wire::OpenAiResponses, Wire::Anthropic, Wire::Ollama];

/// Every value of a field, wherever it stands.
fn all(value: &Value, field: &str, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| all(item, field, found)),
        Value::Object(fields) => {
            found.extend(fields.get(field).and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|inner| all(inner, field, found));
        }
        _ => {}
    }
}

#[test]
fn models_of_one_account_share_one_governor() {
    let settings = Settings::new()
        .with_key("openai", "key-of-one-1234")
        .with_key("openai-responses", "key-of-one-1234")
        .with_base_url("groq", "https://api.openai.com/v1")
        .with_key("groq", "key-of-another");
    let providers = Providers::new(settings).expect("the settings are fine");
    let mut accounts = Accounts::new(providers, Arc::new(SystemClock::new()));
    let mut n_accounts = |name: &str| {
        let model = accounts.model(name, ResilienceSpec::default()).expect(name);
        assert_eq!(model.name(), name);
        accounts.status().len()
    };
    let names = [
        ("openai:a", 1),
        ("openai:b", 1),
        ("openai-responses:a", 1),
        ("groq:a", 2),
        ("ollama:a", 3),
        ("http://127.0.0.1:11434/v1#a", 3),
        ("http://127.0.0.1:8000/v1#a", 4),
    ];
    for (name, expect) in names {
        assert_eq!(n_accounts(name), expect, "{name}");
    }
    assert!(!format!("{accounts:?}").contains("key-of"));
}

#[test]
fn a_conversation_is_put_in_order_before_every_request() {
    let call = |id: &str| ToolCall { id: id.into(), name: "look".into(), arguments: json!({}) };
    let tool_calls = vec![call("a"), call("a"), call("b")];
    let found = |id: &str| {
        let outcome = ToolOutcome::Ok(json!("found"));
        Message::Tool { call: id.into(), name: "look".into(), outcome }
    };
    let messages = vec![
        Message::user("go"),
        Message::Assistant { text: String::new(), reasoning: None, tool_calls },
        Message::user("hurry"),
        found("a"),
        found("nobody"),
    ];
    let request = ChatRequest { messages: Arc::new(messages), ..ChatRequest::default() };
    for wire in WIRES {
        let body = wire.encode("m", &request, Quirks::default());
        let (calls, outcomes) = match wire {
            Wire::OpenAiResponses => ("call_id", "call_id"),
            Wire::Anthropic => ("id", "tool_use_id"),
            _ => ("id", "tool_call_id"),
        };
        let (mut called, mut answered) = (Vec::new(), Vec::new());
        all(&body, calls, &mut called);
        all(&body, outcomes, &mut answered);
        assert_eq!(called.iter().collect::<BTreeSet<_>>().len(), 3, "{wire:?}: {body}");
        let n_each = if calls == outcomes { 6 } else { 3 };
        assert_eq!((called.len(), answered.len()), (n_each, n_each), "{wire:?}: {body}");
        assert_eq!(called, answered, "{wire:?}: {body}");
        let text = body.to_string();
        assert_eq!(text.matches("was interrupted").count(), 2, "{wire:?}: {body}");
        assert_eq!(text.matches("found").count(), 1, "{wire:?}: {body}");
        assert!(text.contains("go") && text.contains("hurry"), "{wire:?}: {body}");
    }
}

fn body(wire: Wire) -> &'static str {
    match wire {
        Wire::OpenAiChat => {
            "data: {\"choices\":[{\"delta\":{\"content\":\"grün\"}}]}\r\n\r\ndata: [DONE]\r\n\r\n"
        }
        Wire::OpenAiResponses => {
            "data: {\"type\":\"response.output_text.delta\",\"delta\":\"grün\"}\n\ndata: {\"type\":\"response.completed\",\"response\":{}}\n\n"
        }
        Wire::Anthropic => {
            "event: x\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"grün\"}}\n\ndata: {\"type\":\"message_stop\"}\n\n"
        }
        _ => "{\"message\":{\"content\":\"grün\"}}\n{\"done\":true}\n",
    }
}

fn decode(wire: Wire, body: &[u8], size: usize) -> (Vec<ChatEvent>, Option<ModelError>) {
    let mut decoder = wire.decoder("m");
    let mut events = Vec::new();
    let mut read = Ok(());
    for piece in body.chunks(size) {
        read = read.and_then(|()| decoder.push(piece, &mut events));
    }
    let read = read.and_then(|()| decoder.end(&mut events));
    (events, read.err())
}

#[test]
fn the_pieces_of_a_reply_change_nothing() {
    for wire in WIRES {
        let whole = decode(wire, body(wire).as_bytes(), usize::MAX);
        let Some(ChatEvent::Finished(reply)) = whole.0.last() else {
            panic!("{wire:?}: {whole:?}")
        };
        assert_eq!(reply.text, "grün", "{wire:?}");
        for size in 1..16 {
            assert_eq!(decode(wire, body(wire).as_bytes(), size), whole, "{wire:?}");
        }
    }
}

#[test]
fn a_reply_that_ends_early_is_an_error() {
    for wire in WIRES {
        let body = body(wire);
        let last = body.trim_end().rfind('\n').expect("there are several lines");
        for end in [last, last / 2] {
            let (events, error) = decode(wire, &body.as_bytes()[..end], usize::MAX);
            let kind = error.map(|error| error.kind);
            assert_eq!(kind, Some(ModelErrorKind::Incomplete), "{wire:?}: {events:?}");
        }
    }
}

#[test]
fn a_key_is_not_shown() {
    let key = Secret::new("sk-canary-0123456789");
    assert!(!format!("{key} {key:?} {key:#?}").contains("canary"));
    for echo in ["bad key sk-canary-0123456789!", "{\"key\":\"sk-canary-0***89\"}", "sk-cana…"] {
        assert!(!key.redact(echo).contains("cana"), "{}", key.redact(echo));
    }
}

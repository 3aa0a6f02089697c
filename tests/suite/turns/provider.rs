//! A provider in miniature: it refuses a conversation that a real one would refuse, and answers over its wire.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::stream;
use greenroom_core::message::{Message, ToolCall};
use greenroom_core::model::{
    ChatModel, ChatReply, ChatRequest, ChatStream, ModelError, ModelErrorKind,
};
use greenroom_models::wire::{Quirks, Wire};
use serde_json::{Value, json};

/// The wires whose ids the conversations are checked by.
pub(crate) const WIRES: [Wire; 4] =
    [Wire::OpenAiChat, Wire::OpenAiResponses, Wire::Anthropic, Wire::Ollama];

/// What a conversation consists of, as far as calls are concerned.
enum Part {
    Call(String),
    Outcome(String),
    Other,
}

fn id(value: &Value) -> String {
    value.as_str().expect("an id is a text").to_owned()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn parts(wire: Wire, body: &Value) -> Vec<Part> {
    let mut parts = Vec::new();
    if wire == Wire::OpenAiResponses {
        return list(&body["input"])
            .map(|item| match item["type"].as_str() {
                Some("function_call") => Part::Call(id(&item["call_id"])),
                Some("function_call_output") => Part::Outcome(id(&item["call_id"])),
                _ => Part::Other,
            })
            .collect();
    }
    for message in list(&body["messages"]) {
        if wire == Wire::Anthropic {
            parts.extend(list(&message["content"]).map(|block| match block["type"].as_str() {
                Some("tool_use") => Part::Call(id(&block["id"])),
                Some("tool_result") => Part::Outcome(id(&block["tool_use_id"])),
                _ => Part::Other,
            }));
        } else if message["role"] == "tool" {
            parts.push(Part::Outcome(id(&message["tool_call_id"])));
        } else {
            parts.push(Part::Other);
            parts.extend(list(&message["tool_calls"]).map(|call| Part::Call(id(&call["id"]))));
        }
    }
    parts
}

/// What a provider holds against a conversation: every call must have one outcome, right behind the calls it
/// is one of and in their order, and no id is used twice.
pub(crate) fn objection(wire: Wire, body: &Value) -> Option<String> {
    let (mut waiting, mut ids, mut is_answering) = (VecDeque::new(), BTreeSet::new(), false);
    for part in parts(wire, body) {
        match part {
            Part::Call(id) => {
                if is_answering && !waiting.is_empty() {
                    return Some(format!("{id} is called before {waiting:?} have outcomes"));
                }
                is_answering = false;
                if !ids.insert(id.clone()) {
                    return Some(format!("{id} is used twice"));
                }
                waiting.push_back(id);
            }
            Part::Outcome(id) => {
                is_answering = true;
                if waiting.pop_front().as_ref() != Some(&id) {
                    return Some(format!("{id} is no outcome of the next call"));
                }
            }
            Part::Other if !waiting.is_empty() => {
                return Some(format!("{waiting:?} have no outcome"));
            }
            Part::Other => {}
        }
    }
    (!waiting.is_empty()).then(|| format!("{waiting:?} have no outcome"))
}

/// A model that answers from a script, as the bytes of a wire.
#[derive(Clone)]
pub(crate) struct Provider {
    wire: Wire,
    /// Whether it streams its replies, or sends them whole.
    streams: bool,
    /// What it says in each turn; a turn that is asked for again is answered as it was.
    script: Arc<[ChatReply]>,
    n_refused: Arc<AtomicUsize>,
    n_asked: Arc<AtomicUsize>,
}

impl Provider {
    pub(crate) fn new(
        wire: Wire,
        streams: bool,
        script: impl IntoIterator<Item = ChatReply>,
    ) -> Self {
        Self {
            wire,
            streams,
            script: script.into_iter().collect(),
            n_refused: Arc::default(),
            n_asked: Arc::default(),
        }
    }

    pub(crate) fn n_refused(&self) -> usize {
        self.n_refused.load(Ordering::Relaxed)
    }

    pub(crate) fn n_asked(&self) -> usize {
        self.n_asked.load(Ordering::Relaxed)
    }
}

impl ChatModel for Provider {
    fn name(&self) -> &str {
        "provider"
    }

    fn stream(&self, request: ChatRequest) -> ChatStream {
        self.n_asked.fetch_add(1, Ordering::Relaxed);
        let body = self.wire.encode("m", &request, Quirks::default());
        let refuse = |why: String| -> ChatStream {
            let error = ModelError::new(ModelErrorKind::InvalidRequest, "provider", why);
            Box::pin(stream::iter([Err(error)]))
        };
        if let Some(why) = objection(self.wire, &body) {
            self.n_refused.fetch_add(1, Ordering::Relaxed);
            return refuse(why);
        }
        let is_reply = |message: &&Message| matches!(message, Message::Assistant { .. });
        let Some(reply) = self.script.get(request.messages.iter().filter(is_reply).count()) else {
            return refuse("the script is over".to_owned());
        };
        let bytes = match (self.wire, self.streams) {
            (Wire::OpenAiChat, true) => chat_stream(reply),
            (Wire::OpenAiChat, false) => chat_whole(reply),
            (Wire::Anthropic, true) => anthropic_stream(reply),
            (Wire::Anthropic, false) => anthropic_whole(reply),
            (Wire::OpenAiResponses, true) => responses_stream(reply),
            (Wire::OpenAiResponses, false) => responses_whole(reply).to_string(),
            (Wire::Ollama, streams) => ollama(reply, streams),
            (wire, _) => panic!("{wire:?} is not spelled here"),
        };
        let (mut decoder, mut events) = (self.wire.decoder("provider"), Vec::new());
        let read =
            decoder.push(bytes.as_bytes(), &mut events).and_then(|()| decoder.end(&mut events));
        let events = events.into_iter().map(Ok).chain(read.err().map(Err));
        Box::pin(stream::iter(events.collect::<Vec<_>>()))
    }
}

/// The arguments as a model writes them: what is no JSON is a text.
fn arguments(call: &ToolCall) -> String {
    match &call.arguments {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// A text in pieces of three letters.
fn pieces(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    letters.chunks(3).map(|piece| piece.iter().collect()).collect()
}

fn data(event: &Value) -> String {
    format!("data: {event}\n\n")
}

fn chat_finish(reply: &ChatReply) -> &'static str {
    if reply.tool_calls.is_empty() { "stop" } else { "tool_calls" }
}

const CHAT_USAGE: &str = r#"{"prompt_tokens":7,"completion_tokens":3}"#;

fn usage() -> Value {
    serde_json::from_str(CHAT_USAGE).expect("JSON")
}

fn chat_stream(reply: &ChatReply) -> String {
    let chunk = |delta: Value| data(&json!({ "choices": [{ "index": 0, "delta": delta }] }));
    let mut body = chunk(json!({ "role": "assistant", "content": "" }));
    body.extend(pieces(&reply.text).iter().map(|piece| chunk(json!({ "content": piece }))));
    for (i, call) in reply.tool_calls.iter().enumerate() {
        let function = json!({ "name": call.name, "arguments": "" });
        let begin = json!({ "index": i, "id": call.id, "type": "function", "function": function });
        body.push_str(&chunk(json!({ "tool_calls": [begin] })));
        body.extend(pieces(&arguments(call)).iter().map(|piece| {
            chunk(json!({ "tool_calls": [{ "index": i, "function": { "arguments": piece } }] }))
        }));
    }
    let end =
        json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": chat_finish(reply) }] });
    body + &data(&end) + &data(&json!({ "choices": [], "usage": usage() })) + "data: [DONE]\n\n"
}

fn chat_whole(reply: &ChatReply) -> String {
    let calls = reply.tool_calls.iter().map(|call| {
        let function = json!({ "name": call.name, "arguments": arguments(call) });
        json!({ "id": call.id, "type": "function", "function": function })
    });
    let calls: Vec<Value> = calls.collect();
    let message = json!({ "role": "assistant", "content": reply.text, "tool_calls": calls });
    let choice = json!({ "index": 0, "message": message, "finish_reason": chat_finish(reply) });
    json!({ "choices": [choice], "usage": usage() }).to_string()
}

fn anthropic_finish(reply: &ChatReply) -> &'static str {
    if reply.tool_calls.is_empty() { "end_turn" } else { "tool_use" }
}

fn anthropic_stream(reply: &ChatReply) -> String {
    let started = json!({ "usage": { "input_tokens": 7, "output_tokens": 1 } });
    let mut body = data(&json!({ "type": "message_start", "message": started }));
    let mut index = 0;
    let mut block = |begin: Value, deltas: Vec<Value>| {
        let mut block =
            data(&json!({ "type": "content_block_start", "index": index, "content_block": begin }));
        block.extend(deltas.iter().map(|delta| {
            data(&json!({ "type": "content_block_delta", "index": index, "delta": delta }))
        }));
        block += &data(&json!({ "type": "content_block_stop", "index": index }));
        index += 1;
        block
    };
    if !reply.text.is_empty() {
        let deltas = pieces(&reply.text);
        let deltas = deltas.iter().map(|text| json!({ "type": "text_delta", "text": text }));
        body += &block(json!({ "type": "text", "text": "" }), deltas.collect());
    }
    for call in &reply.tool_calls {
        let deltas = pieces(&arguments(call));
        let deltas =
            deltas.iter().map(|json| json!({ "type": "input_json_delta", "partial_json": json }));
        let begin = json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": {} });
        body += &block(begin, deltas.collect());
    }
    let end = json!({ "stop_reason": anthropic_finish(reply) });
    body +=
        &data(&json!({ "type": "message_delta", "delta": end, "usage": { "output_tokens": 3 } }));
    body + &data(&json!({ "type": "message_stop" }))
}

fn anthropic_whole(reply: &ChatReply) -> String {
    let text = (!reply.text.is_empty()).then(|| json!({ "type": "text", "text": reply.text }));
    let calls = reply.tool_calls.iter().map(|call| {
        json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments })
    });
    let content: Vec<Value> = text.into_iter().chain(calls).collect();
    json!({
        "type": "message",
        "content": content,
        "stop_reason": anthropic_finish(reply),
        "usage": { "input_tokens": 7, "output_tokens": 3 },
    })
    .to_string()
}

fn responses_whole(reply: &ChatReply) -> Value {
    let content = json!([{ "type": "output_text", "text": reply.text }]);
    let message = json!({ "type": "message", "role": "assistant", "content": content });
    let calls = reply.tool_calls.iter().map(|call| {
        let (id, name, arguments) = (&call.id, &call.name, arguments(call));
        json!({ "type": "function_call", "call_id": id, "name": name, "arguments": arguments })
    });
    let output: Value =
        (!reply.text.is_empty()).then_some(message).into_iter().chain(calls).collect();
    let usage = json!({ "input_tokens": 7, "output_tokens": 3 });
    json!({ "object": "response", "status": "completed", "output": output, "usage": usage })
}

fn responses_stream(reply: &ChatReply) -> String {
    let whole = responses_whole(reply);
    let mut body = data(&json!({ "type": "response.created", "response": {} }));
    for (index, item) in list(&whole["output"]).enumerate() {
        let event = |kind: &str, name: &str, value: Value| {
            data(&json!({ "type": format!("response.{kind}"), "output_index": index, name: value }))
        };
        let mut begun = item.clone();
        if item["type"] == "message" {
            begun["content"] = json!([]);
            body += &event("output_item.added", "item", begun);
            let deltas = pieces(&reply.text).into_iter();
            body.extend(deltas.map(|piece| event("output_text.delta", "delta", piece.into())));
        } else {
            begun["arguments"] = "".into();
            body += &event("output_item.added", "item", begun);
            let kind = "function_call_arguments";
            let deltas = pieces(&id(&item["arguments"])).into_iter();
            let deltas = deltas.map(|piece| event(&format!("{kind}.delta"), "delta", piece.into()));
            body.extend(deltas);
            body += &event(&format!("{kind}.done"), "arguments", item["arguments"].clone());
        }
        body += &event("output_item.done", "item", item.clone());
    }
    body + &data(&json!({ "type": "response.completed", "response": whole }))
}

/// Calls come whole on this wire, and without ids.
fn ollama(reply: &ChatReply, streams: bool) -> String {
    let calls = reply
        .tool_calls
        .iter()
        .map(|call| json!({ "function": { "name": call.name, "arguments": call.arguments } }));
    let calls: Vec<Value> = calls.collect();
    let line = |content: &str, calls: &[Value], done: bool| {
        let message = json!({ "role": "assistant", "content": content, "tool_calls": calls });
        let mut line = json!({ "message": message, "done": done });
        if done {
            (line["done_reason"], line["prompt_eval_count"], line["eval_count"]) =
                ("stop".into(), 7.into(), 3.into());
        }
        format!("{line}\n")
    };
    if !streams {
        return line(&reply.text, &calls, true);
    }
    let mut body: String =
        pieces(&reply.text).iter().map(|piece| line(piece, &[], false)).collect();
    body.extend(calls.iter().map(|call| line("", std::slice::from_ref(call), false)));
    body + &line("", &[], true)
}

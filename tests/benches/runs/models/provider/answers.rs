//! The bytes of each answer, made before anybody asks.

use std::io;

use serde_json::{Value, json};

use super::{ANSWER, Manner, PASSAGE, SPECIAL, Speech, TEAM, TELL, TOKENS};

/// Says an answer piece by piece.
pub(super) trait Reply: Send {
    /// An error says that the client has gone.
    fn say(
        &mut self,
        bytes: &'static [u8],
        is_last: bool,
    ) -> impl Future<Output = io::Result<()>> + Send;
}

/// Answers by heart.
pub(super) struct Answers {
    manner: Manner,
    call: Vec<u8>,
    answer: Vec<u8>,
    plan: Vec<u8>,
    search: Vec<u8>,
    found: Vec<u8>,
    written: Vec<u8>,
    token: Vec<u8>,
    end: Vec<u8>,
}

fn chunk(choices: &Value, usage: &Value) -> String {
    let data = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_764_000_000, "model": "m",
        "service_tier": "default", "system_fingerprint": "fp_1", "choices": choices, "usage": usage,
    });
    format!("data: {data}\n\n")
}

fn delta(delta: &Value) -> String {
    chunk(
        &json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": null }]),
        &Value::Null,
    )
}

fn end(reason: &str) -> [String; 3] {
    let choices = json!([{ "index": 0, "delta": {}, "logprobs": null, "finish_reason": reason }]);
    let details = json!({ "cached_tokens": 0 });
    let usage = json!({
        "prompt_tokens": 60, "completion_tokens": 9, "total_tokens": 69, "prompt_tokens_details": details,
    });
    [chunk(&choices, &Value::Null), chunk(&json!([]), &usage), "data: [DONE]\n\n".to_owned()]
}

fn text(text: &str) -> Vec<String> {
    let words = text.split_inclusive(' ').map(|word| delta(&json!({ "content": word })));
    words.chain(end("stop")).collect()
}

/// A wish that a tool be called, in the pieces that providers send.
fn call(tool: &str, field: &str, value: &str) -> Vec<String> {
    let piece = |text: String| {
        let function = json!({ "arguments": text });
        delta(&json!({ "tool_calls": [{ "index": 0, "function": function }] }))
    };
    let function = json!({ "name": tool, "arguments": "" });
    let begun = json!([{ "index": 0, "id": "call_1", "type": "function", "function": function }]);
    let pieces = [
        delta(&json!({ "role": "assistant", "content": null, "tool_calls": begun })),
        piece(format!("{{\"{field}\":")),
        piece(format!("\"{value}\"}}")),
    ];
    pieces.into_iter().chain(end("tool_calls")).collect()
}

impl Answers {
    pub(super) fn new(manner: Manner) -> Self {
        let is_chunked = !matches!(manner.speech, Speech::Http2 { .. });
        let some = |events: &[String]| -> Vec<u8> {
            let each = events.iter().map(|event| match is_chunked {
                true => format!("{:x}\r\n{event}\r\n", event.len()),
                false => event.clone(),
            });
            each.collect::<String>().into_bytes()
        };
        let all = |events: &[String]| {
            [some(events), if is_chunked { b"0\r\n\r\n".to_vec() } else { Vec::new() }].concat()
        };
        let tasks = ["a", "b", "c"].map(
            |id| json!({ "id": id, "to": "research", "question": format!("{SPECIAL} ({id})") }),
        );
        Self {
            manner,
            call: all(&call("calculate", "expression", "64 * 12")),
            answer: all(&text(ANSWER)),
            plan: all(&text(&json!({ "tasks": tasks }).to_string())),
            search: all(&call("search", "query", "mailbox")),
            found: all(&text(PASSAGE)),
            written: all(&text(&format!("{PASSAGE} [1]"))),
            token: some(&[delta(&json!({ "content": "word " }))]),
            end: all(&end("stop")),
        }
    }

    /// Answers one request; an error says that the client has gone.
    pub(super) async fn answer(
        &'static self,
        body: &[u8],
        mut reply: impl Reply,
    ) -> io::Result<()> {
        let has = |text: &str| body.windows(text.len()).any(|window| window == text.as_bytes());
        let Manner { latency, pace, .. } = self.manner;
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        if has(TELL) {
            reply.say(&self.token, false).await?;
            for _ in 1..TOKENS {
                if !pace.is_zero() {
                    tokio::time::sleep(pace).await;
                }
                reply.say(&self.token, false).await?;
            }
            return reply.say(&self.end, true).await;
        }
        let answer = match (has(SPECIAL), has("\"tool_call_id\"")) {
            // Only a writer is told what was found.
            _ if has(TEAM) && has(PASSAGE) => &self.written,
            _ if has(TEAM) => &self.plan,
            (true, false) => &self.search,
            (true, true) => &self.found,
            (false, false) => &self.call,
            (false, true) => &self.answer,
        };
        reply.say(answer, true).await
    }
}

//! The events of a streamed message, until `message_stop`.

use greenroom_core::model::{ChatEvent, ChatReply, FinishReason};
use serde::Deserialize;
use serde_json::{Value, json};

use super::NAME;
use crate::wire::assembly::{Assembly, CallPiece};
use crate::wire::json::{count, count_at, parse};
use crate::wire::{Dialect, Fault, Step, failure};

#[derive(Debug, Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    index: u64,
    #[serde(default)]
    message: Option<Value>,
    #[serde(default)]
    content_block: Option<Value>,
    #[serde(default)]
    delta: Option<Delta>,
    #[serde(default)]
    usage: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Delta {
    text: Option<String>,
    thinking: Option<String>,
    signature: Option<String>,
    partial_json: Option<String>,
    stop_reason: Option<String>,
}

/// A thought, which is handed back with its signature.
#[derive(Debug)]
struct Thought {
    index: u64,
    block: Value,
}

#[derive(Debug, Default)]
pub(in crate::wire) struct Decode {
    reply: Assembly,
    thoughts: Vec<Thought>,
}

impl Dialect for Decode {
    fn read(&mut self, data: &str, out: &mut Vec<ChatEvent>) -> Result<Step, Fault> {
        let event: Event = parse(data)?;
        match event.kind.as_str() {
            "message_start" => self.count(event.message.as_ref().and_then(|m| m.get("usage"))),
            "content_block_start" => {
                if let Some(block) = &event.content_block {
                    self.block(event.index, block, out)?;
                }
            }
            "content_block_delta" => {
                self.delta(event.index, &event.delta.unwrap_or_default(), out)?;
            }
            "message_delta" => {
                self.count(event.usage.as_ref());
                if let Some(reason) = event.delta.and_then(|delta| delta.stop_reason) {
                    self.reply.finish = Some(finish(&reason));
                }
            }
            "message_stop" => return Ok(Step::Done(Box::new(self.reply()))),
            "error" => return Err(failure::in_stream(&parse(data)?)),
            // Pings, the ends of blocks, and what is invented later.
            _ => {}
        }
        Ok(Step::More)
    }

    fn whole(&mut self, body: &str, out: &mut Vec<ChatEvent>) -> Result<ChatReply, Fault> {
        let message: Value = parse(body)?;
        if message["type"] == "error" {
            return Err(failure::in_stream(&message));
        }
        self.count(message.get("usage"));
        for (index, block) in (0..).zip(message["content"].as_array().into_iter().flatten()) {
            self.block(index, block, out)?;
        }
        self.reply.finish = message["stop_reason"].as_str().map(finish);
        self.end()
    }

    fn end(&mut self) -> Result<ChatReply, Fault> {
        match self.reply.finish {
            Some(_) => Ok(self.reply()),
            None => Err(Fault::incomplete()),
        }
    }
}

impl Decode {
    fn block(&mut self, index: u64, block: &Value, out: &mut Vec<ChatEvent>) -> Result<(), Fault> {
        let text = |name: &str| block[name].as_str().unwrap_or_default();
        match text("type") {
            "text" => self.reply.text(text("text"), out),
            "thinking" => {
                self.reply.reasoning(text("thinking"), out);
                self.thoughts.push(Thought { index, block: block.clone() });
            }
            "redacted_thinking" => self.thoughts.push(Thought { index, block: block.clone() }),
            "tool_use" => {
                // An empty object stands for input that follows in pieces.
                let input = block
                    .get("input")
                    .filter(|input| input.as_object().is_none_or(|fields| !fields.is_empty()));
                let arguments = input.filter(|input| !input.is_null()).map(Value::to_string);
                let piece = CallPiece {
                    index: Some(index),
                    id: text("id"),
                    name: text("name"),
                    arguments: &arguments.unwrap_or_default(),
                };
                self.reply.call(&piece, out)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn delta(&mut self, index: u64, delta: &Delta, out: &mut Vec<ChatEvent>) -> Result<(), Fault> {
        if let Some(text) = &delta.text {
            self.reply.text(text, out);
        }
        let thought = self.thoughts.iter_mut().rfind(|thought| thought.index == index);
        if let Some(thought) = thought {
            for (name, more) in [("thinking", &delta.thinking), ("signature", &delta.signature)] {
                let Some(more) = more else { continue };
                match &mut thought.block[name] {
                    Value::String(known) => known.push_str(more),
                    open => *open = json!(more),
                }
            }
        }
        if let Some(thinking) = &delta.thinking {
            self.reply.reasoning(thinking, out);
        }
        if let Some(arguments) = &delta.partial_json {
            let piece = CallPiece { index: Some(index), arguments, ..CallPiece::default() };
            self.reply.call(&piece, out)?;
        }
        Ok(())
    }

    /// The counts of a message; later ones replace earlier ones, and what they leave out stays. What comes
    /// from the cache or goes into it is not part of `input_tokens` here.
    fn count(&mut self, usage: Option<&Value>) {
        let Some(usage) = usage else { return };
        let counts = &mut self.reply.counts;
        let (read, written) = ("cache_read_input_tokens", "cache_creation_input_tokens");
        if let Some(fresh) = count(usage.get("input_tokens")) {
            counts.cached = count(usage.get(read)).or(counts.cached);
            counts.cache_written = count(usage.get(written)).or(counts.cache_written);
            let cached = counts.cached.unwrap_or(0) + counts.cache_written.unwrap_or(0);
            counts.input = Some(fresh + cached);
        }
        counts.output = count(usage.get("output_tokens")).or(counts.output);
        counts.reasoning =
            count_at(usage, &["output_tokens_details", "thinking_tokens"]).or(counts.reasoning);
    }

    fn reply(&mut self) -> ChatReply {
        self.reply.thoughts = self.thoughts.drain(..).map(|thought| thought.block).collect();
        self.reply.reply(NAME)
    }
}

fn finish(reason: &str) -> FinishReason {
    match reason {
        "tool_use" => FinishReason::ToolCalls,
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "refusal" => FinishReason::ContentFilter,
        _ => FinishReason::Stop,
    }
}

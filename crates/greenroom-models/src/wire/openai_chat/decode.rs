//! The chunks of `chat.completion.chunk`, until `[DONE]`.

use greenroom_core::model::{ChatEvent, ChatReply, FinishReason};
use serde::Deserialize;
use serde_json::Value;

use crate::wire::assembly::{Assembly, CallPiece, Counts};
use crate::wire::json::{count, count_at, parse};
use crate::wire::{Dialect, Fault, Step, failure, spelling};

#[derive(Debug, Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Option<Vec<Choice>>,
    #[serde(default)]
    usage: Option<Value>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    #[serde(default)]
    index: u64,
    /// What a stream adds, or the whole message when nothing was streamed.
    #[serde(default, alias = "message")]
    delta: Option<Delta>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Delta {
    /// A text; a list of parts at vendors whose models think aloud.
    #[serde(default)]
    content: Option<Value>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default, alias = "reasoning_content")]
    reasoning: Option<Value>,
    #[serde(default)]
    tool_calls: Option<Vec<Call>>,
}

#[derive(Debug, Deserialize)]
struct Call {
    #[serde(default)]
    index: Option<u64>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: Option<Function>,
}

#[derive(Debug, Deserialize)]
struct Function {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<Value>,
}

#[derive(Debug, Default)]
pub(in crate::wire) struct Decode {
    reply: Assembly,
    /// What the model said instead of a reply.
    was_refused: bool,
    /// Nothing was streamed: each call is there as a whole, so its place is its index.
    is_whole: bool,
}

impl Dialect for Decode {
    fn read(&mut self, data: &str, out: &mut Vec<ChatEvent>) -> Result<Step, Fault> {
        if data.trim() == "[DONE]" {
            return Ok(Step::Done(Box::new(self.reply())));
        }
        self.chunk(parse(data)?, out)?;
        Ok(Step::More)
    }

    fn whole(&mut self, body: &str, out: &mut Vec<ChatEvent>) -> Result<ChatReply, Fault> {
        self.is_whole = true;
        self.chunk(parse(body)?, out)?;
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
    fn chunk(&mut self, chunk: Chunk, out: &mut Vec<ChatEvent>) -> Result<(), Fault> {
        if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
            return Err(failure::in_stream(&error));
        }
        if let Some(usage) = chunk.usage.filter(Value::is_object) {
            self.reply.counts = Counts {
                input: count(usage.get("prompt_tokens")),
                output: count(usage.get("completion_tokens")),
                cached: count_at(&usage, &["prompt_tokens_details", "cached_tokens"])
                    .or_else(|| count(usage.get("prompt_cache_hit_tokens"))),
                cache_written: None,
                reasoning: count_at(&usage, &["completion_tokens_details", "reasoning_tokens"]),
            };
        }
        // More than one choice is never asked for; a vendor that sends more is read like one that does not.
        let choices = chunk.choices.into_iter().flatten();
        for choice in choices.filter(|choice| choice.index == 0) {
            if let Some(delta) = choice.delta {
                self.delta(delta, out)?;
            }
            if let Some(reason) = choice.finish_reason {
                self.reply.finish = Some(finish(&reason));
            }
        }
        Ok(())
    }

    fn delta(&mut self, delta: Delta, out: &mut Vec<ChatEvent>) -> Result<(), Fault> {
        if let Some(Value::String(thought)) = &delta.reasoning {
            self.reply.reasoning(thought, out);
        }
        match delta.content {
            Some(Value::String(text)) => self.reply.text(&text, out),
            Some(Value::Array(parts)) => parts.iter().for_each(|part| self.part(part, out)),
            _ => {}
        }
        if let Some(refusal) = delta.refusal.filter(|refusal| !refusal.is_empty()) {
            self.was_refused = true;
            self.reply.text(&refusal, out);
        }
        for (at, call) in (0..).zip(delta.tool_calls.into_iter().flatten()) {
            let function = call.function.as_ref();
            let arguments = function.and_then(|function| function.arguments.as_ref());
            let arguments = match arguments {
                None | Some(Value::Null) => "".into(),
                Some(arguments) => spelling::text(arguments),
            };
            let piece = CallPiece {
                index: call.index.or(self.is_whole.then_some(at)),
                id: call.id.as_deref().unwrap_or_default(),
                name: function.and_then(|function| function.name.as_deref()).unwrap_or_default(),
                arguments: &arguments,
            };
            self.reply.call(&piece, out)?;
        }
        Ok(())
    }

    fn part(&mut self, part: &Value, out: &mut Vec<ChatEvent>) {
        if let Some(text) = part.get("text").and_then(Value::as_str) {
            self.reply.text(text, out);
        }
        let thoughts = part.get("thinking").and_then(Value::as_array);
        for thought in thoughts.into_iter().flatten().filter_map(|one| one.get("text")?.as_str()) {
            self.reply.reasoning(thought, out);
        }
    }

    fn reply(&mut self) -> ChatReply {
        let mut reply = self.reply.reply("openai_chat");
        if self.was_refused {
            reply.finish = FinishReason::ContentFilter;
        }
        reply
    }
}

fn finish(reason: &str) -> FinishReason {
    match reason {
        "tool_calls" | "function_call" => FinishReason::ToolCalls,
        "length" | "model_length" => FinishReason::Length,
        "content_filter" => FinishReason::ContentFilter,
        _ => FinishReason::Stop,
    }
}

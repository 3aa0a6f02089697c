//! The events of a streamed response, until `response.completed`, `response.incomplete` or a failure.

use greenroom_core::model::{ChatEvent, ChatReply, FinishReason};
use serde::Deserialize;
use serde_json::Value;

use super::NAME;
use crate::wire::assembly::{Assembly, CallPiece, Counts};
use crate::wire::json::{count, count_at, parse};
use crate::wire::{Dialect, Fault, Step, failure};

#[derive(Debug, Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    output_index: Option<u64>,
    #[serde(default)]
    delta: Option<Value>,
    #[serde(default)]
    arguments: Option<String>,
    #[serde(default)]
    item: Option<Value>,
    #[serde(default)]
    response: Option<Value>,
}

#[derive(Debug, Default)]
pub(in crate::wire) struct Decode {
    reply: Assembly,
    has_text: bool,
    has_calls: bool,
    was_refused: bool,
}

impl Dialect for Decode {
    fn read(&mut self, data: &str, out: &mut Vec<ChatEvent>) -> Result<Step, Fault> {
        // Gateways in front of the API end with the sign of its older wire.
        if data.trim() == "[DONE]" {
            return Ok(Step::More);
        }
        let event: Event = parse(data)?;
        let delta = event.delta.as_ref().and_then(Value::as_str).unwrap_or_default();
        match event.kind.as_str() {
            "response.output_text.delta" => self.text(delta, out),
            "response.refusal.delta" => {
                self.was_refused = true;
                self.text(delta, out);
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                self.reply.reasoning(delta, out);
            }
            "response.output_item.added" => {
                if let Some(item) = event.item.filter(|item| item["type"] == "function_call") {
                    self.call(event.output_index, &item, out)?;
                }
            }
            "response.function_call_arguments.delta" => {
                let piece = CallPiece {
                    index: event.output_index,
                    arguments: delta,
                    ..CallPiece::default()
                };
                self.reply.call(&piece, out)?;
            }
            "response.function_call_arguments.done" => {
                let arguments = event.arguments.as_deref().unwrap_or_default();
                let piece =
                    CallPiece { index: event.output_index, arguments, ..CallPiece::default() };
                self.reply.call_done(&piece, out)?;
            }
            "response.output_item.done" => {
                if let Some(item) = event.item {
                    self.item(event.output_index, item, out)?;
                }
            }
            "response.completed" | "response.incomplete" => {
                let response = event.response.unwrap_or_default();
                return self.response(response, out).map(|reply| Step::Done(Box::new(reply)));
            }
            "response.failed" => {
                return Err(failure::in_stream(&event.response.unwrap_or_default()));
            }
            "error" => return Err(failure::in_stream(&parse(data)?)),
            _ => {}
        }
        Ok(Step::More)
    }

    fn whole(&mut self, body: &str, out: &mut Vec<ChatEvent>) -> Result<ChatReply, Fault> {
        let response: Value = parse(body)?;
        match response["status"].as_str() {
            Some("completed" | "incomplete") => self.response(response, out),
            _ if response.get("error").is_some_and(|error| !error.is_null()) => {
                Err(failure::in_stream(&response))
            }
            _ => Err(Fault::incomplete()),
        }
    }

    fn end(&mut self) -> Result<ChatReply, Fault> {
        Err(Fault::incomplete())
    }
}

impl Decode {
    fn text(&mut self, delta: &str, out: &mut Vec<ChatEvent>) {
        self.has_text |= !delta.is_empty();
        self.reply.text(delta, out);
    }

    fn call(
        &mut self,
        index: Option<u64>,
        item: &Value,
        out: &mut Vec<ChatEvent>,
    ) -> Result<(), Fault> {
        self.has_calls = true;
        let text = |name: &str| item[name].as_str().unwrap_or_default();
        let (id, name, arguments) = (text("call_id"), text("name"), text("arguments"));
        self.reply.call_done(&CallPiece { index, id, name, arguments }, out)
    }

    /// A finished item: a call's arguments are whole, and a thought is sealed.
    fn item(
        &mut self,
        index: Option<u64>,
        item: Value,
        out: &mut Vec<ChatEvent>,
    ) -> Result<(), Fault> {
        match item["type"].as_str() {
            Some("function_call") => self.call(index, &item, out),
            // One that is not sealed is a name of something that the provider was told not to keep.
            Some("reasoning") if item["encrypted_content"].is_string() => {
                self.reply.thoughts.push(item);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The response as a whole, which repeats every item: those that were not streamed are read here.
    fn response(
        &mut self,
        mut response: Value,
        out: &mut Vec<ChatEvent>,
    ) -> Result<ChatReply, Fault> {
        let (had_text, had_calls) = (self.has_text, self.has_calls);
        let had_thoughts = !self.reply.thoughts.is_empty();
        let items = response["output"].as_array_mut().map(std::mem::take).unwrap_or_default();
        for (index, item) in (0..).zip(items) {
            match item["type"].as_str() {
                Some("message") if !had_text => {
                    for part in item["content"].as_array().into_iter().flatten() {
                        self.was_refused |= part["type"] == "refusal";
                        let said = part["text"].as_str().or_else(|| part["refusal"].as_str());
                        self.text(said.unwrap_or_default(), out);
                    }
                }
                Some("function_call") if !had_calls => self.item(Some(index), item, out)?,
                Some("reasoning") if !had_thoughts => self.item(None, item, out)?,
                _ => {}
            }
        }
        self.reply.finish = match response["incomplete_details"]["reason"].as_str() {
            Some("content_filter") => Some(FinishReason::ContentFilter),
            Some(_) => Some(FinishReason::Length),
            None if self.was_refused => Some(FinishReason::ContentFilter),
            None => None,
        };
        let usage = &response["usage"];
        self.reply.counts = Counts {
            input: count(usage.get("input_tokens")),
            output: count(usage.get("output_tokens")),
            cached: count_at(usage, &["input_tokens_details", "cached_tokens"]),
            cache_written: None,
            reasoning: count_at(usage, &["output_tokens_details", "reasoning_tokens"]),
        };
        Ok(self.reply.reply(NAME))
    }
}

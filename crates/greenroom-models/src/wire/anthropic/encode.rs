//! A request as the body of `POST v1/messages`.

use greenroom_core::history::{PairedCall, Turn, turns};
use greenroom_core::message::{Image, Reasoning};
use greenroom_core::model::{ChatOptions, ChatRequest, ToolChoice};
use greenroom_core::tool::ToolSpec;
use serde_json::{Value, json};

use super::NAME;
use crate::wire::json::set;
use crate::wire::shape::{self, Format};
use crate::wire::{Quirks, schema, spelling};

/// The limit on output tokens when the request has none; this wire demands one.
const OUTPUT_TOKENS_MAX: u32 = 8192;
/// The same for a model that thinks, whose thoughts count as output.
const OUTPUT_TOKENS_MAX_THINKING: u32 = 32_768;

pub(in crate::wire) fn encode(model: &str, request: &ChatRequest, mut quirks: Quirks) -> Value {
    // A model that thinks cannot be made to call anything.
    quirks.no_forced_calls |= request.options.effort.is_some();
    let (request, format) = shape::asked(request, quirks, Some(&schema::ANTHROPIC));
    let turns = turns(&request.messages);
    let options = &request.options;
    let usual = match options.effort {
        Some(_) => OUTPUT_TOKENS_MAX_THINKING,
        None => OUTPUT_TOKENS_MAX,
    };
    let mut body = json!({
        "model": model,
        "max_tokens": request.output_tokens_max.unwrap_or(usual),
        "messages": messages(&turns),
        "stream": true,
    });
    // There is one place for instructions; those of the middle of a conversation join the others.
    let system = turns.iter().filter_map(|turn| match turn {
        Turn::System(text) if !text.trim().is_empty() => Some(text_block(text)),
        _ => None,
    });
    let system: Vec<_> = system.collect();
    set(&mut body, "system", (!system.is_empty()).then_some(system));
    set(&mut body, "temperature", options.temperature);
    set(&mut body, "top_p", options.top_p);
    set(&mut body, "stop_sequences", (!options.stop.is_empty()).then(|| options.stop.clone()));
    if let Some(wanted) = options.effort {
        body["thinking"] = json!({ "type": "adaptive" });
        body["output_config"] = json!({ "effort": spelling::effort(wanted) });
    }
    // This wire has no word for JSON of any shape.
    if let Format::Schema { schema, .. } = format {
        body["output_config"]["format"] = json!({ "type": "json_schema", "schema": schema });
    }
    tools(&mut body, &request.tools, options);
    body
}

/// Messages of one role in a row become one: outcomes of calls must open the message behind the calls, and
/// what a person adds to them follows in the same message.
fn messages(turns: &[Turn<'_>]) -> Vec<Value> {
    let mut messages: Vec<(&str, Vec<Value>)> = Vec::new();
    let mut add = |role: &'static str, blocks: Vec<Value>| match messages.last_mut() {
        _ if blocks.is_empty() => {}
        Some((last, content)) if *last == role => content.extend(blocks),
        _ => messages.push((role, blocks)),
    };
    for turn in turns {
        match turn {
            Turn::System(_) => {}
            Turn::User { text, images } => add("user", input(text, images)),
            Turn::Assistant { text, reasoning, calls } => {
                add("assistant", reply(text, *reasoning, calls));
                add("user", calls.iter().map(result).collect());
            }
        }
    }
    let messages = messages.into_iter();
    messages.map(|(role, content)| json!({ "role": role, "content": content })).collect()
}

fn text_block(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

/// Blank text is refused, so it is left out beside images, and has a word put for it otherwise.
fn input(text: &str, images: &[Image]) -> Vec<Value> {
    let words = match (text.trim().is_empty(), images.is_empty()) {
        (false, _) => Some(text_block(text)),
        (true, true) => Some(text_block("(empty)")),
        (true, false) => None,
    };
    let images = images.iter().map(|image| {
        let source = match image {
            Image::Inline { media_type, base64 } => {
                json!({ "type": "base64", "media_type": media_type, "data": base64 })
            }
            other => json!({ "type": "url", "url": spelling::image_address(other) }),
        };
        json!({ "type": "image", "source": source })
    });
    images.chain(words).collect()
}

fn reply(text: &str, reasoning: Option<&Reasoning>, calls: &[PairedCall<'_>]) -> Vec<Value> {
    let thoughts = reasoning.filter(|reasoning| reasoning.wire == NAME);
    let thoughts = thoughts.into_iter().flat_map(|reasoning| reasoning.items.iter().cloned());
    let words = (!text.trim().is_empty()).then(|| text_block(text));
    let calls = calls.iter().map(|paired| {
        let name = spelling::tool_name(&paired.call.name);
        let input = spelling::arguments_object(&paired.call.arguments);
        json!({ "type": "tool_use", "id": paired.id, "name": name, "input": input })
    });
    thoughts.chain(words).chain(calls).collect()
}

fn result(paired: &PairedCall<'_>) -> Value {
    let (text, is_error) = spelling::outcome(&paired.outcome);
    let mut block = json!({ "type": "tool_result", "tool_use_id": paired.id, "content": text });
    set(&mut block, "is_error", is_error.then_some(true));
    block
}

fn tools(body: &mut Value, tools: &[ToolSpec], options: &ChatOptions) {
    if tools.is_empty() {
        return;
    }
    let offered = tools.iter().map(|tool| {
        let ToolSpec { name, description, parameters, .. } = tool;
        json!({ "name": name, "description": description, "input_schema": parameters })
    });
    body["tools"] = offered.collect();
    let one_at_a_time = options.parallel_tool_calls == Some(false);
    if options.tool_choice.is_none() && !one_at_a_time {
        return;
    }
    let mut choice = match &options.tool_choice {
        Some(ToolChoice::None) => json!({ "type": "none" }),
        Some(ToolChoice::Required) => json!({ "type": "any" }),
        Some(ToolChoice::Tool(name)) => json!({ "type": "tool", "name": name }),
        _ => json!({ "type": "auto" }),
    };
    if one_at_a_time && choice["type"] != "none" {
        choice["disable_parallel_tool_use"] = json!(true);
    }
    body["tool_choice"] = choice;
}

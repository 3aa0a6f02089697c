//! A request as the body of `POST chat/completions`.

use greenroom_core::history::{PairedCall, Turn, turns};
use greenroom_core::message::Image;
use greenroom_core::model::{ChatOptions, ChatRequest, ToolChoice};
use greenroom_core::tool::ToolSpec;
use serde_json::{Value, json};

use crate::wire::json::set;
use crate::wire::shape::{self, Format};
use crate::wire::{Quirks, schema, spelling};

pub(in crate::wire) fn encode(model: &str, request: &ChatRequest, quirks: Quirks) -> Value {
    let (request, format) = shape::asked(request, quirks.output, Some(&schema::OPENAI));
    let mut messages = Vec::new();
    for turn in turns(&request.messages) {
        push(&mut messages, &turn);
    }
    let mut body = json!({ "model": model, "messages": messages, "stream": true });
    if !quirks.no_stream_options {
        body["stream_options"] = json!({ "include_usage": true });
    }
    let limit = if quirks.max_tokens { "max_tokens" } else { "max_completion_tokens" };
    set(&mut body, limit, request.output_tokens_max);
    match format {
        Format::Free => {}
        Format::Json => body["response_format"] = json!({ "type": "json_object" }),
        Format::Schema { name, schema, is_strict } => {
            let schema = json!({ "name": name, "schema": schema, "strict": is_strict });
            body["response_format"] = json!({ "type": "json_schema", "json_schema": schema });
        }
    }
    sampling(&mut body, &request.options, quirks);
    tools(&mut body, &request.tools, &request.options, quirks);
    body
}

fn push(messages: &mut Vec<Value>, turn: &Turn<'_>) {
    match turn {
        Turn::System(text) => messages.push(json!({ "role": "system", "content": text })),
        Turn::User { text, images } => {
            messages.push(json!({ "role": "user", "content": content(text, images) }));
        }
        Turn::Assistant { text, calls, .. } if calls.is_empty() => {
            // Only a thought, which this wire does not take back.
            if !text.is_empty() {
                messages.push(json!({ "role": "assistant", "content": text }));
            }
        }
        Turn::Assistant { text, calls, .. } => {
            let content = (!text.is_empty()).then_some(text);
            let made: Vec<_> = calls.iter().map(call).collect();
            messages.push(json!({ "role": "assistant", "content": content, "tool_calls": made }));
            messages.extend(calls.iter().map(|paired| {
                let (text, _) = spelling::outcome(&paired.outcome);
                json!({ "role": "tool", "tool_call_id": paired.id, "content": text })
            }));
        }
    }
}

fn content(text: &str, images: &[Image]) -> Value {
    if images.is_empty() {
        return Value::from(text);
    }
    let words = (!text.is_empty()).then(|| json!({ "type": "text", "text": text }));
    let images = images.iter().map(|image| {
        json!({ "type": "image_url", "image_url": { "url": spelling::image_address(image) } })
    });
    words.into_iter().chain(images).collect()
}

fn call(paired: &PairedCall<'_>) -> Value {
    let name = spelling::tool_name(&paired.call.name);
    let arguments = spelling::arguments_text(&paired.call.arguments);
    json!({
        "id": paired.id,
        "type": "function",
        "function": { "name": name, "arguments": arguments },
    })
}

fn sampling(body: &mut Value, options: &ChatOptions, quirks: Quirks) {
    set(body, "temperature", options.temperature);
    set(body, "top_p", options.top_p);
    set(body, "stop", (!options.stop.is_empty()).then(|| options.stop.clone()));
    set(body, if quirks.random_seed { "random_seed" } else { "seed" }, options.seed);
    if !quirks.no_effort {
        set(body, "reasoning_effort", options.effort.map(spelling::effort));
    }
}

fn tools(body: &mut Value, tools: &[ToolSpec], options: &ChatOptions, quirks: Quirks) {
    if tools.is_empty() {
        return;
    }
    let offered = tools.iter().map(|tool| {
        let ToolSpec { name, description, parameters, .. } = tool;
        let function =
            json!({ "name": name, "description": description, "parameters": parameters });
        json!({ "type": "function", "function": function })
    });
    body["tools"] = offered.collect();
    let choice = options.tool_choice.as_ref().map(|choice| match choice {
        ToolChoice::None => json!("none"),
        ToolChoice::Required if quirks.any_tool => json!("any"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Tool(name) => json!({ "type": "function", "function": { "name": name } }),
        _ => json!("auto"),
    });
    set(body, "tool_choice", choice);
    if !quirks.no_parallel_choice {
        set(body, "parallel_tool_calls", options.parallel_tool_calls);
    }
}

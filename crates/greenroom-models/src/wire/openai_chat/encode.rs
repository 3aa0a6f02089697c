//! A request as the body of `POST chat/completions`.

use greenroom_core::history::{PairedCall, Turn, turns};
use greenroom_core::message::Image;
use greenroom_core::model::{ChatOptions, ChatRequest, ToolChoice};
use greenroom_core::tool::ToolSpec;
use serde::Serialize;
use serde_json::{Value, json};

use crate::wire::json::set;
use crate::wire::shape::{self, Format};
use crate::wire::{Quirks, schema, spelling};

/// A body. Schemas are long and many requests have the same, so they are written and not copied first.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(flatten)]
    fields: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Offered<'a>>,
}

#[derive(Serialize)]
struct Offered<'a> {
    function: Function<'a>,
    r#type: &'static str,
}

#[derive(Serialize)]
struct Function<'a> {
    description: &'a str,
    name: &'a str,
    parameters: &'a Value,
}

/// The body as a value.
pub(in crate::wire) fn encode(model: &str, request: &ChatRequest, quirks: Quirks) -> Value {
    let (request, format) = shape::asked(request, quirks, Some(&schema::OPENAI));
    serde_json::to_value(spelled(model, &request, format, quirks)).expect(IS_JSON)
}

/// The body as it is sent.
pub(in crate::wire) fn written(model: &str, request: &ChatRequest, quirks: Quirks) -> Vec<u8> {
    let (request, format) = shape::asked(request, quirks, Some(&schema::OPENAI));
    serde_json::to_vec(&spelled(model, &request, format, quirks)).expect(IS_JSON)
}

const IS_JSON: &str = "its maps have text for keys";

fn spelled<'a>(model: &str, request: &'a ChatRequest, format: Format, quirks: Quirks) -> Body<'a> {
    let mut messages = Vec::new();
    for turn in turns(&request.messages) {
        push(&mut messages, &turn);
    }
    let mut fields = json!({ "model": model, "stream": true });
    fields["messages"] = Value::Array(messages);
    if !quirks.no_stream_options {
        fields["stream_options"] = json!({ "include_usage": true });
    }
    let limit = if quirks.max_tokens { "max_tokens" } else { "max_completion_tokens" };
    set(&mut fields, limit, request.output_tokens_max);
    match format {
        Format::Free => {}
        Format::Json => fields["response_format"] = json!({ "type": "json_object" }),
        Format::Schema { name, schema, is_strict } => {
            let schema = json!({ "name": name, "schema": schema, "strict": is_strict });
            fields["response_format"] = json!({ "type": "json_schema", "json_schema": schema });
        }
    }
    sampling(&mut fields, &request.options, quirks);
    if !request.tools.is_empty() {
        choice(&mut fields, &request.options, quirks);
    }
    Body { fields, tools: request.tools.iter().map(offered).collect() }
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

fn offered(tool: &ToolSpec) -> Offered<'_> {
    let ToolSpec { name, description, parameters, .. } = tool;
    Offered { function: Function { description, name, parameters }, r#type: "function" }
}

fn choice(body: &mut Value, options: &ChatOptions, quirks: Quirks) {
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

//! A request as the body of `POST api/chat`.

use greenroom_core::history::{Turn, turns};
use greenroom_core::message::Image;
use greenroom_core::model::{ChatRequest, ToolChoice};
use greenroom_core::tool::ToolSpec;
use serde_json::{Value, json};

use crate::wire::json::set;
use crate::wire::shape::{self, Format};
use crate::wire::{Quirks, spelling};

pub(in crate::wire) fn encode(model: &str, request: &ChatRequest, quirks: Quirks) -> Value {
    let (request, format) = shape::asked(request, quirks, None);
    let mut messages = Vec::new();
    for turn in turns(&request.messages) {
        push(&mut messages, &turn);
    }
    // By default Ollama cuts what does not fit its context, from the front and without a word. Refused, the
    // conversation can be shortened by whoever knows what matters in it.
    let mut body =
        json!({ "model": model, "messages": messages, "stream": true, "truncate": false });
    let options = &request.options;
    let mut sampling = json!({});
    set(&mut sampling, "temperature", options.temperature);
    set(&mut sampling, "top_p", options.top_p);
    set(&mut sampling, "seed", options.seed);
    set(&mut sampling, "stop", (!options.stop.is_empty()).then(|| options.stop.clone()));
    set(&mut sampling, "num_predict", request.output_tokens_max);
    if sampling.as_object().is_some_and(|fields| !fields.is_empty()) {
        body["options"] = sampling;
    }
    set(&mut body, "think", options.effort.map(|_| true));
    match format {
        Format::Free => {}
        Format::Json => body["format"] = json!("json"),
        Format::Schema { schema, .. } => body["format"] = schema.into_owned(),
    }
    // The only way to forbid tools on this wire is not to offer any.
    if !request.tools.is_empty() && options.tool_choice != Some(ToolChoice::None) {
        let offered = request.tools.iter().map(|tool| {
            let ToolSpec { name, description, parameters, .. } = tool;
            let function =
                json!({ "name": name, "description": description, "parameters": parameters });
            json!({ "type": "function", "function": function })
        });
        body["tools"] = offered.collect();
    }
    body
}

fn push(messages: &mut Vec<Value>, turn: &Turn<'_>) {
    match turn {
        Turn::System(text) => messages.push(json!({ "role": "system", "content": text })),
        Turn::User { text, images } => messages.push(user(text, images)),
        Turn::Assistant { text, calls, .. } if calls.is_empty() => {
            if !text.is_empty() {
                messages.push(json!({ "role": "assistant", "content": text }));
            }
        }
        Turn::Assistant { text, calls, .. } => {
            let made = calls.iter().map(|paired| {
                let name = spelling::tool_name(&paired.call.name);
                let arguments = spelling::arguments_object(&paired.call.arguments);
                json!({ "id": paired.id, "function": { "name": name, "arguments": arguments } })
            });
            let made: Value = made.collect();
            messages.push(json!({ "role": "assistant", "content": text, "tool_calls": made }));
            messages.extend(calls.iter().map(|paired| {
                let (text, _) = spelling::outcome(&paired.outcome);
                let name = spelling::tool_name(&paired.call.name);
                json!({
                    "role": "tool",
                    "tool_call_id": paired.id,
                    "tool_name": name,
                    "content": text,
                })
            }));
        }
    }
}

/// This wire takes the bytes of images and no addresses; an address is told in words.
fn user(text: &str, images: &[Image]) -> Value {
    let mut words = text.to_owned();
    let mut bytes = Vec::new();
    for image in images {
        match image {
            Image::Inline { base64, .. } => bytes.push(json!(base64)),
            other => words = format!("{words}\n[image: {}]", spelling::image_address(other)),
        }
    }
    let mut message = json!({ "role": "user", "content": words });
    set(&mut message, "images", (!bytes.is_empty()).then_some(bytes));
    message
}

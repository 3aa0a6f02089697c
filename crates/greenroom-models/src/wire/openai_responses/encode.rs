//! A request as the body of `POST responses`.

use greenroom_core::history::{Turn, turns};
use greenroom_core::message::Image;
use greenroom_core::model::{ChatOptions, ChatRequest, ToolChoice};
use greenroom_core::tool::ToolSpec;
use serde_json::{Value, json};

use super::NAME;
use crate::wire::json::set;
use crate::wire::shape::{self, Format};
use crate::wire::{Quirks, schema, spelling};

pub(in crate::wire) fn encode(model: &str, request: &ChatRequest, quirks: Quirks) -> Value {
    let (request, format) = shape::asked(request, quirks, Some(&schema::OPENAI));
    let mut input = Vec::new();
    for turn in turns(&request.messages) {
        push(&mut input, &turn);
    }
    // Nothing is to be kept by the provider: the journal is the only place of a conversation.
    let mut body = json!({ "model": model, "input": input, "stream": true, "store": false });
    set(&mut body, "max_output_tokens", request.output_tokens_max);
    let options = &request.options;
    set(&mut body, "temperature", options.temperature);
    set(&mut body, "top_p", options.top_p);
    if let Some(wanted) = options.effort {
        body["reasoning"] = json!({ "effort": spelling::effort(wanted), "summary": "auto" });
        body["include"] = json!(["reasoning.encrypted_content"]);
    }
    match format {
        Format::Free => {}
        Format::Json => body["text"]["format"] = json!({ "type": "json_object" }),
        Format::Schema { name, schema, is_strict } => {
            body["text"]["format"] = json!({ "type": "json_schema", "name": name, "schema": schema, "strict": is_strict });
        }
    }
    tools(&mut body, &request.tools, options);
    body
}

fn push(input: &mut Vec<Value>, turn: &Turn<'_>) {
    match turn {
        Turn::System(text) => input.push(json!({ "role": "system", "content": text })),
        Turn::User { text, images } => {
            input.push(json!({ "role": "user", "content": content(text, images) }));
        }
        Turn::Assistant { text, reasoning, calls } => {
            let thoughts = reasoning.filter(|reasoning| reasoning.wire == NAME);
            input
                .extend(thoughts.into_iter().flat_map(|reasoning| reasoning.items.iter().cloned()));
            if !text.is_empty() {
                input.push(json!({ "role": "assistant", "content": text }));
            }
            input.extend(calls.iter().map(|paired| {
                let name = spelling::tool_name(&paired.call.name);
                let arguments = spelling::text(&paired.call.arguments);
                json!({
                    "type": "function_call",
                    "call_id": paired.id,
                    "name": name,
                    "arguments": arguments,
                })
            }));
            input.extend(calls.iter().map(|paired| {
                let (output, _) = spelling::outcome(&paired.outcome);
                json!({ "type": "function_call_output", "call_id": paired.id, "output": output })
            }));
        }
    }
}

fn content(text: &str, images: &[Image]) -> Value {
    if images.is_empty() {
        return Value::from(text);
    }
    let words = (!text.is_empty()).then(|| json!({ "type": "input_text", "text": text }));
    let images = images
        .iter()
        .map(|image| json!({ "type": "input_image", "image_url": spelling::image_address(image) }));
    words.into_iter().chain(images).collect()
}

fn tools(body: &mut Value, tools: &[ToolSpec], options: &ChatOptions) {
    if tools.is_empty() {
        return;
    }
    let offered = tools.iter().map(|tool| {
        let ToolSpec { name, description, parameters, .. } = tool;
        json!({
            "type": "function",
            "name": name,
            "description": description,
            "parameters": parameters,
            "strict": false,
        })
    });
    body["tools"] = offered.collect();
    let choice = options.tool_choice.as_ref().map(|choice| match choice {
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Tool(name) => json!({ "type": "function", "name": name }),
        _ => json!("auto"),
    });
    set(body, "tool_choice", choice);
    set(body, "parallel_tool_calls", options.parallel_tool_calls);
}

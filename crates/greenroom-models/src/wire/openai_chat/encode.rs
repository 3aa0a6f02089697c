//! A request as the body of `POST chat/completions`.

use std::borrow::Cow;

use greenroom_core::history::{PairedCall, Turn, turns};
use greenroom_core::message::Image;
use greenroom_core::model::{ChatRequest, ToolChoice};
use greenroom_core::tool::ToolSpec;
use serde::Serialize;
use serde_json::{Value, json};

use crate::wire::shape::{self, Format};
use crate::wire::{Quirks, schema, spelling};

/// A body. Conversations and schemas are long, so they are written from where they are and not copied first.
#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<Said<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    random_seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Offered<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ResponseFormat<'a> {
    JsonObject,
    JsonSchema { json_schema: NamedSchema<'a> },
}

#[derive(Serialize)]
struct NamedSchema<'a> {
    name: &'a str,
    schema: &'a Value,
    strict: bool,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
#[serde(tag = "role", rename_all = "lowercase")]
enum Said<'a> {
    System {
        content: &'a str,
    },
    User {
        content: Content<'a>,
    },
    Assistant {
        content: Option<&'a str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<Made<'a>>,
    },
    Tool {
        tool_call_id: &'a str,
        content: Cow<'a, str>,
    },
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(&'a str),
    Parts(Vec<Value>),
}

/// A call that a model made.
#[derive(Serialize)]
struct Made<'a> {
    id: &'a str,
    r#type: &'static str,
    function: Called<'a>,
}

#[derive(Serialize)]
struct Called<'a> {
    name: Cow<'a, str>,
    arguments: Cow<'a, str>,
}

#[derive(Serialize)]
struct Offered<'a> {
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    description: &'a str,
    parameters: &'a Value,
}

/// The body as a value.
pub(in crate::wire) fn encode(model: &str, request: &ChatRequest, quirks: Quirks) -> Value {
    let (request, format) = shape::asked(request, quirks, Some(&schema::OPENAI));
    let turns = turns(&request.messages);
    serde_json::to_value(spelled(model, &request, &turns, &format, quirks)).expect(IS_JSON)
}

/// The body as it is sent.
pub(in crate::wire) fn written(model: &str, request: &ChatRequest, quirks: Quirks) -> Vec<u8> {
    let (request, format) = shape::asked(request, quirks, Some(&schema::OPENAI));
    let turns = turns(&request.messages);
    let mut body = Vec::with_capacity(BODY_LEN);
    let spelled = spelled(model, &request, &turns, &format, quirks);
    serde_json::to_writer(&mut body, &spelled).expect(IS_JSON);
    body
}

/// How long a body is at least, with a tool or two.
const BODY_LEN: usize = 2 << 10;

const IS_JSON: &str = "its maps have text for keys";

fn spelled<'a>(
    model: &'a str,
    request: &'a ChatRequest,
    turns: &'a [Turn<'a>],
    format: &'a Format<'a>,
    quirks: Quirks,
) -> Body<'a> {
    let mut messages = Vec::with_capacity(turns.len());
    for turn in turns {
        push(&mut messages, turn);
    }
    let (options, limit) = (&request.options, request.output_tokens_max);
    let has_tools = !request.tools.is_empty();
    let choice = options.tool_choice.as_ref().filter(|_| has_tools);
    let parallel = options.parallel_tool_calls.filter(|_| has_tools && !quirks.no_parallel_choice);
    Body {
        model,
        messages,
        stream: true,
        stream_options: (!quirks.no_stream_options)
            .then_some(StreamOptions { include_usage: true }),
        max_completion_tokens: limit.filter(|_| !quirks.max_tokens),
        max_tokens: limit.filter(|_| quirks.max_tokens),
        response_format: response_format(format),
        temperature: options.temperature,
        top_p: options.top_p,
        stop: &options.stop,
        seed: options.seed.filter(|_| !quirks.random_seed),
        random_seed: options.seed.filter(|_| quirks.random_seed),
        reasoning_effort: options.effort.filter(|_| !quirks.no_effort).map(spelling::effort),
        tools: request.tools.iter().map(offered).collect(),
        tool_choice: choice.map(|choice| chosen(choice, quirks)),
        parallel_tool_calls: parallel,
    }
}

fn response_format<'a>(format: &'a Format<'a>) -> Option<ResponseFormat<'a>> {
    match format {
        Format::Free => None,
        Format::Json => Some(ResponseFormat::JsonObject),
        Format::Schema { name, schema, is_strict } => Some(ResponseFormat::JsonSchema {
            json_schema: NamedSchema { name, schema, strict: *is_strict },
        }),
    }
}

fn push<'a>(messages: &mut Vec<Said<'a>>, turn: &'a Turn<'a>) {
    match turn {
        Turn::System(text) => messages.push(Said::System { content: text }),
        Turn::User { text, images } => {
            messages.push(Said::User { content: content(text, images) });
        }
        // Only a thought, which this wire does not take back.
        Turn::Assistant { text: "", calls, .. } if calls.is_empty() => {}
        Turn::Assistant { text, calls, .. } => {
            let content = (!text.is_empty()).then_some(*text);
            messages
                .push(Said::Assistant { content, tool_calls: calls.iter().map(made).collect() });
            messages.extend(calls.iter().map(|paired| {
                let (content, _) = spelling::outcome(&paired.outcome);
                Said::Tool { tool_call_id: &paired.id, content }
            }));
        }
    }
}

fn content<'a>(text: &'a str, images: &[Image]) -> Content<'a> {
    if images.is_empty() {
        return Content::Text(text);
    }
    let words = (!text.is_empty()).then(|| json!({ "type": "text", "text": text }));
    let images = images.iter().map(|image| {
        json!({ "type": "image_url", "image_url": { "url": spelling::image_address(image) } })
    });
    Content::Parts(words.into_iter().chain(images).collect())
}

fn made<'a>(paired: &'a PairedCall<'a>) -> Made<'a> {
    let name = spelling::tool_name(&paired.call.name);
    let arguments = spelling::text(&paired.call.arguments);
    Made { id: &paired.id, r#type: "function", function: Called { name, arguments } }
}

fn offered(tool: &ToolSpec) -> Offered<'_> {
    let ToolSpec { name, description, parameters, .. } = tool;
    Offered { r#type: "function", function: Function { name, description, parameters } }
}

fn chosen(choice: &ToolChoice, quirks: Quirks) -> Value {
    match choice {
        ToolChoice::None => json!("none"),
        ToolChoice::Required if quirks.any_tool => json!("any"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Tool(name) => json!({ "type": "function", "function": { "name": name } }),
        _ => json!("auto"),
    }
}

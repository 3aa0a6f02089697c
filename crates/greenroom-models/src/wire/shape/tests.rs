//! What each style makes of a request, and what becomes of a reply by the output's own tool.

use greenroom_core::model::{ChatEvent, ChatOptions, Effort};
use serde_json::json;

use super::*;
use crate::wire::Wire;

fn shaped(schema: Value) -> ChatRequest {
    let output = OutputSchema { name: "a plan".into(), schema };
    ChatRequest { output: Some(Arc::new(output)), ..ChatRequest::user("go") }
}

fn object() -> ChatRequest {
    shaped(json!({ "type": "object", "properties": { "n": { "type": "integer", "minimum": 1 } } }))
}

fn with_tool(request: ChatRequest) -> ChatRequest {
    let (name, description) = ("look".to_owned(), "Looks.".to_owned());
    let parameters = json!({ "type": "object", "properties": {} });
    let tool = ToolSpec { name, description, parameters, effect: EffectClass::ReadOnly };
    ChatRequest { tools: vec![tool].into(), ..request }
}

fn encode(wire: Wire, request: &ChatRequest, output: OutputStyle) -> Value {
    wire.encode("m", request, Quirks { output, ..Quirks::default() })
}

#[expect(clippy::needless_pass_by_value, reason = "tests write values where they use them")]
fn closed(n: Value) -> Value {
    json!({ "type": "object", "properties": { "n": n }, "required": ["n"], "additionalProperties": false })
}

#[test]
fn each_wire_is_given_the_schema_in_its_own_dialect() {
    let body = |wire| encode(wire, &object(), OutputStyle::Schema);
    let number = closed(json!({ "type": "integer", "minimum": 1 }));
    assert_eq!(
        body(Wire::OpenAiChat)["response_format"]["json_schema"],
        json!({ "name": "a_plan", "schema": number, "strict": true })
    );
    assert_eq!(
        body(Wire::OpenAiResponses)["text"]["format"],
        json!({ "type": "json_schema", "name": "a_plan", "schema": number, "strict": true })
    );
    let format = json!({ "type": "json_schema", "schema": closed(json!({ "type": "integer" })) });
    assert_eq!(body(Wire::Anthropic)["output_config"]["format"], format);
    // This one takes what there is.
    let output = object().output.map(|output| output.schema.clone());
    assert_eq!(Some(&body(Wire::Ollama)["format"]), output.as_ref());
}

#[test]
fn what_is_no_object_is_put_into_one_where_only_objects_are_taken() {
    let request = shaped(json!({ "type": "integer" }));
    let body = |wire| encode(wire, &request, OutputStyle::Schema);
    let wrapped = json!({
        "type": "object",
        "properties": { "value": { "type": "integer" } },
        "required": ["value"],
        "additionalProperties": false,
    });
    assert_eq!(body(Wire::OpenAiChat)["response_format"]["json_schema"]["schema"], wrapped);
    assert_eq!(body(Wire::Anthropic)["output_config"]["format"]["schema"], wrapped);
    assert_eq!(body(Wire::Ollama)["format"], json!({ "type": "integer" }));
}

#[test]
fn a_schema_that_cannot_be_enforced_is_a_hint_or_a_tool() {
    let map = shaped(json!({ "type": "object", "additionalProperties": { "type": "integer" } }));
    let body = encode(Wire::OpenAiChat, &map, OutputStyle::Schema);
    let schema = map.output.as_ref().map(|output| &output.schema);
    assert_eq!(Some(&body["response_format"]["json_schema"]["schema"]), schema);
    assert_eq!(body["response_format"]["json_schema"]["strict"], false);
    let body = encode(Wire::Anthropic, &map, OutputStyle::Schema);
    assert_eq!(Some(&body["tools"][0]["input_schema"]), schema);
    assert_eq!(body["tool_choice"], json!({ "type": "tool", "name": OUTPUT_TOOL }));
    assert_eq!(body.get("output_config"), None);
}

#[test]
fn beside_tools_a_schema_is_told_in_words_where_they_exclude_each_other() {
    let request = with_tool(object());
    let words = "When you need no more tools, answer with one JSON value";
    for wire in [Wire::OpenAiChat, Wire::Ollama] {
        let body = encode(wire, &request, OutputStyle::SchemaAlone);
        assert_eq!((body.get("response_format"), body.get("format")), (None, None), "{wire:?}");
        let told = body["messages"][0]["content"].as_str().expect("words");
        assert!(told.starts_with(words), "{told}");
        assert_eq!(body["tools"].as_array().map(Vec::len), Some(1));
        // On the last turn, and while a text is repaired, there are no tools.
        let body = encode(wire, &object(), OutputStyle::SchemaAlone);
        assert!(body.get("response_format").or(body.get("format")).is_some(), "{wire:?}");
        assert_eq!(body["messages"].as_array().map(Vec::len), Some(1));
    }
    let body = encode(Wire::OpenAiChat, &request, OutputStyle::Schema);
    assert!(body.get("response_format").is_some());
}

#[test]
fn words_join_the_instructions_that_are_there() {
    let mut request = object();
    Arc::make_mut(&mut request.messages).insert(0, Message::system("be brief"));
    let body = encode(Wire::OpenAiChat, &request, OutputStyle::Words);
    assert_eq!(body["messages"].as_array().map(Vec::len), Some(2));
    let told = body["messages"][0]["content"].as_str().expect("words");
    assert!(told.starts_with("be brief\n\nAnswer with one JSON value and nothing else."), "{told}");
    assert_eq!(body["response_format"], json!({ "type": "json_object" }));
    assert_eq!(request.messages.len(), 2, "the caller's conversation stays as it is");
    let body = encode(Wire::Ollama, &request, OutputStyle::Words);
    assert_eq!(body["format"], "json");
    let body = encode(Wire::Anthropic, &request, OutputStyle::Words);
    assert!(body["system"].to_string().contains("It must fit this schema"), "{body}");
}

#[test]
fn a_model_is_made_to_call_the_outputs_tool() {
    let body = encode(Wire::OpenAiChat, &object(), OutputStyle::Tool);
    assert_eq!(body["tools"][0]["function"]["name"], OUTPUT_TOOL);
    assert_eq!(body["tool_choice"]["function"]["name"], OUTPUT_TOOL);
    assert_eq!(body.get("response_format"), None);
    // Among other tools it may call those first.
    let body = encode(Wire::Anthropic, &with_tool(object()), OutputStyle::Tool);
    let names = body["tools"].as_array().expect("tools").iter().map(|tool| &tool["name"]);
    assert_eq!(names.collect::<Vec<_>>(), ["look", OUTPUT_TOOL]);
    assert_eq!(body["tool_choice"], json!({ "type": "any" }));
    // Forbidden tools stay forbidden.
    let options = ChatOptions { tool_choice: Some(ToolChoice::None), ..ChatOptions::default() };
    let forbidden = ChatRequest { options, ..with_tool(object()) };
    let body = encode(Wire::Anthropic, &forbidden, OutputStyle::Tool);
    assert_eq!(body["tools"].as_array().map(Vec::len), Some(1));
    // One that thinks cannot be made to.
    let options = ChatOptions { effort: Some(Effort::Low), ..ChatOptions::default() };
    let thinking = ChatRequest { options, ..object() };
    let body = encode(Wire::Anthropic, &thinking, OutputStyle::Tool);
    assert_eq!((body.get("tools"), body.get("tool_choice")), (None, None));
    assert!(body["system"].to_string().contains("It must fit this schema"));
}

#[test]
fn who_cannot_be_made_to_call_is_told_in_words_and_left_the_choice() {
    let quirks = Quirks { no_forced_calls: true, ..Quirks::default() };
    let map = shaped(json!({ "type": "object", "additionalProperties": { "type": "integer" } }));
    let body = Wire::Anthropic.encode("m", &map, quirks);
    assert_eq!((body.get("tools"), body.get("tool_choice")), (None, None));
    assert!(body["system"].to_string().contains("It must fit this schema"));
    // A schema that it takes is enforced all the same.
    let body = Wire::Anthropic.encode("m", &object(), quirks);
    assert_eq!(body["output_config"]["format"]["type"], "json_schema");
    // What an application forces is asked for, and not forced.
    for choice in [ToolChoice::Required, ToolChoice::Tool("look".into())] {
        let options = ChatOptions { tool_choice: Some(choice), ..ChatOptions::default() };
        let request = ChatRequest { options, ..with_tool(ChatRequest::user("go")) };
        for wire in [Wire::Anthropic, Wire::OpenAiChat, Wire::OpenAiResponses] {
            let body = wire.encode("m", &request, quirks);
            let choice = body["tool_choice"].to_string();
            assert!(choice.contains("auto"), "{wire:?}: {choice}");
            let forced = wire.encode("m", &request, Quirks::default());
            assert_ne!(body["tool_choice"], forced["tool_choice"], "{wire:?}");
        }
        // One that thinks cannot be made to at Anthropic, whatever its model.
        let effort = Some(Effort::Low);
        let options = ChatOptions { effort, ..request.options.clone() };
        let thinking = ChatRequest { options, ..request };
        let body = Wire::Anthropic.encode("m", &thinking, Quirks::default());
        assert_eq!(body["tool_choice"], json!({ "type": "auto" }));
    }
}

#[test]
fn a_model_that_thinks_is_told_in_words_what_it_cannot_be_made_to_call() {
    let quirks = Quirks { output: OutputStyle::Tool, ..Quirks::default() };
    for wire in [Wire::OpenAiChat, Wire::Ollama] {
        let made = wire.encode("m", &object(), quirks).to_string();
        assert!(!made.contains("It must fit this schema"), "{wire:?}: {made}");
        let options = ChatOptions { effort: Some(Effort::Low), ..ChatOptions::default() };
        let told = wire.encode("m", &ChatRequest { options, ..object() }, quirks);
        assert!(told.to_string().contains("It must fit this schema"), "{wire:?}: {told}");
        assert_eq!((told.get("tools"), told.get("tool_choice")), (None, None), "{wire:?}");
    }
}

/// Reads a streamed reply: what was shown of its text, and the whole of it.
fn read(body: &str) -> (String, greenroom_core::model::ChatReply) {
    let (mut decoder, mut events) = (Wire::OpenAiChat.decoder("m"), Vec::new());
    decoder.push(body.as_bytes(), &mut events).expect("a reply");
    let shown = events.iter().filter_map(|event| match event {
        ChatEvent::TextDelta(text) => Some(text.as_str()),
        _ => None,
    });
    let shown = shown.collect();
    let Some(ChatEvent::Finished(reply)) = events.pop() else { panic!("{events:?}") };
    (shown, reply)
}

#[expect(clippy::needless_pass_by_value, reason = "tests write values where they use them")]
fn chunk(delta: Value) -> String {
    format!("data: {}\n\n", json!({ "choices": [{ "index": 0, "delta": delta }] }))
}

fn piece(index: u64, name: Option<&str>, arguments: &str) -> String {
    let id = name.map(|name| format!("id_{name}"));
    let function = json!({ "name": name, "arguments": arguments });
    chunk(json!({ "tool_calls": [{ "index": index, "id": id, "function": function }] }))
}

#[test]
fn a_call_of_the_outputs_tool_is_the_replys_text() {
    let end = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n";
    let answer = [piece(0, Some(OUTPUT_TOOL), "{\"n\""), piece(0, None, ":1}")].concat();
    let (shown, reply) = read(&format!("{answer}{end}"));
    assert_eq!((shown.as_str(), reply.text.as_str()), ("{\"n\":1}", "{\"n\":1}"));
    assert!(reply.tool_calls.is_empty());
    assert_eq!(reply.finish, greenroom_core::model::FinishReason::Stop);
    assert_eq!(reply.usage.output_tokens, 2, "eight bytes, counted once");
    // Beside another call the answer came too early: the other call is made first.
    let other = piece(1, Some("look"), "{}");
    let (_, reply) = read(&format!("{answer}{other}{end}"));
    let names: Vec<_> = reply.tool_calls.iter().map(|call| call.name.as_str()).collect();
    assert_eq!((names, reply.text.as_str()), (vec!["look"], "{\"n\":1}"));
}

//! Tests of `plain`.

use std::sync::Arc;

use greenroom_core::model::OutputSchema;
use greenroom_core::tool::{EffectClass, ToolError};
use serde_json::json;

use super::*;

fn tool(name: &str, description: &str, properties: &Value, required: &[&str]) -> ToolSpec {
    ToolSpec {
        name: name.into(),
        description: description.into(),
        parameters: json!({ "type": "object", "properties": properties, "required": required }),
        effect: EffectClass::ReadOnly,
    }
}

fn toolbox() -> Vec<ToolSpec> {
    let number = json!({ "type": "number" });
    let string = json!({ "type": "string" });
    vec![
        tool("add", "Adds two numbers.", &json!({ "a": number, "b": number }), &["a", "b"]),
        tool(
            "calculate",
            "Evaluates arithmetic.",
            &json!({ "expression": string }),
            &["expression"],
        ),
        tool(
            "weather",
            "The weather forecast of a city.",
            &json!({
                "city": string,
                "days": { "type": ["integer", "null"] },
                "unit": { "enum": ["celsius", "fahrenheit"] },
            }),
            &["city"],
        ),
        tool("echo", "Repeats a text.", &json!({ "text": string }), &["text"]),
    ]
}

#[track_caller]
fn check_call(text: &str, expect: Option<(&str, Value)>) {
    let request = ChatRequest { tools: toolbox().into(), ..ChatRequest::default() };
    let expect = match expect {
        Some((name, arguments)) => Decision::Call(vec![(name.to_owned(), arguments)]),
        None => Decision::Say(cannot_call(&request.tools)),
    };
    assert_eq!(plain(text, &[], &request), expect, "{text}");
}

#[test]
fn the_tool_that_fits_is_called_with_what_the_text_says() {
    check_call("Add 2 and 3.5", Some(("add", json!({ "a": 2, "b": 3.5 }))));
    check_call(
        "What is 17 * (3 + 4)?",
        Some(("calculate", json!({ "expression": "17 * (3 + 4)" }))),
    );
    check_call("Show me the weather in New York", Some(("weather", json!({ "city": "New York" }))));
    check_call(
        "weather in Oslo for 3 days in celsius",
        Some(("weather", json!({ "city": "Oslo", "days": 3, "unit": "celsius" }))),
    );
    check_call("what is the weather like in paris", Some(("weather", json!({ "city": "paris" }))));
    check_call("echo \"hi there\"", Some(("echo", json!({ "text": "echo \"hi there\"" }))));
}

#[test]
fn nothing_is_called_with_values_that_nobody_gave() {
    check_call("Add 2 and something", None);
    check_call("What is the weather like?", None);
    check_call("", None);
}

fn since(outcome: ToolOutcome) -> Vec<Message> {
    vec![Message::Tool { call: "call_1".into(), name: "add".into(), outcome }]
}

#[track_caller]
fn check_result(outcome: ToolOutcome, schema: Option<Value>, expect: &str) {
    let output = schema.map(|schema| Arc::new(OutputSchema { name: "sum".into(), schema }));
    let request = ChatRequest { tools: toolbox().into(), output, ..ChatRequest::default() };
    let decision = plain("Add 2 and 3", &since(outcome), &request);
    assert_eq!(decision, Decision::Say(expect.to_owned()));
}

#[test]
fn a_result_is_said_in_words_or_in_the_shape_that_is_asked_for() {
    let object = |properties: Value, required: &[&str]| {
        Some(json!({ "type": "object", "properties": properties, "required": required }))
    };
    let integer = json!({ "type": "integer" });
    let string = json!({ "type": "string" });
    check_result(ToolOutcome::Ok(json!(5)), None, "5");
    check_result(ToolOutcome::Ok(json!({ "text": "2 + 3 = 5", "result": "5" })), None, "2 + 3 = 5");
    check_result(
        ToolOutcome::Ok(json!(5)),
        object(json!({ "sum": integer }), &["sum"]),
        r#"{"sum":5}"#,
    );
    check_result(
        ToolOutcome::Ok(json!({ "text": "2 + 3 = 5", "result": "5" })),
        object(json!({ "value": integer, "answer": string }), &["value", "answer"]),
        r#"{"answer":"2 + 3 = 5","value":5}"#,
    );
    check_result(
        ToolOutcome::Ok(json!({ "sum": 5, "other": true })),
        object(json!({ "sum": integer }), &["sum"]),
        r#"{"other":true,"sum":5}"#,
    );
    check_result(
        ToolOutcome::Ok(json!([1, 2])),
        object(json!({ "all": { "type": "array", "items": integer } }), &["all"]),
        r#"{"all":[1,2]}"#,
    );
    check_result(
        ToolOutcome::Ok(json!("no number at all")),
        object(json!({ "sum": integer }), &["sum"]),
        r#"I cannot fill "sum" of "sum" from what I am given."#,
    );
    check_result(
        ToolOutcome::Error(ToolError::failed("out of range")),
        None,
        "The tool failed: out of range",
    );
}

#[track_caller]
fn check_text(text: &str, expect: &str) {
    assert_eq!(plain(text, &[], &ChatRequest::default()), Decision::Say(expect.to_owned()));
}

#[test]
fn without_tools_the_answer_is_in_the_text_or_nowhere() {
    check_text(
        "The sky is blue. The default port is 8080. Grass is green.\n\nWhat is the default port?",
        "The default port is 8080.",
    );
    check_text("What is the default port?", NOTHING_GIVEN);
    check_text("Tell me a joke.", NOTHING_GIVEN);
    check_text("", NOTHING_GIVEN);
}

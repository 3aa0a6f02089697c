//! JSON Schemas as providers want them.

use std::fmt::Write as _;

use greenroom_core::model::OutputSchema;
use serde_json::{Map, Value};

/// The keywords below which a schema holds schemas by name.
const BY_NAME: [&str; 3] = ["properties", "$defs", "definitions"];
/// The keywords below which it holds a schema or a list of them.
const BELOW: [&str; 5] = ["items", "prefixItems", "anyOf", "oneOf", "allOf"];

fn children(schema: &mut Map<String, Value>) -> Vec<&mut Value> {
    let mut found = Vec::new();
    for (keyword, value) in schema.iter_mut() {
        let is_below = BELOW.contains(&keyword.as_str());
        let is_by_name = BY_NAME.contains(&keyword.as_str());
        if is_below && !value.is_array() {
            found.push(value);
            continue;
        }
        match value {
            Value::Array(list) if is_below => found.extend(list),
            Value::Object(named) if is_by_name => found.extend(named.values_mut()),
            _ => {}
        }
    }
    found
}

/// The schema with every object closed that says nothing of further properties: providers that enforce a
/// schema refuse open ones. Recursion ends with the schema, whose depth its parser has limited.
pub(super) fn closed(mut schema: Value) -> Value {
    close(&mut schema);
    schema
}

fn close(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    if fields.contains_key("properties") && !fields.contains_key("additionalProperties") {
        fields.insert("additionalProperties".into(), Value::Bool(false));
    }
    children(fields).into_iter().for_each(close);
}

/// Whether OpenAI would enforce the schema: every object is closed and requires all of its properties.
pub(super) fn is_strict(schema: &mut Value) -> bool {
    let Value::Object(fields) = schema else { return true };
    if fields.get("type").is_some_and(|kind| kind == "object") {
        let named = fields.get("properties").and_then(Value::as_object);
        let required = fields.get("required").and_then(Value::as_array);
        let is_required = |name: &String| {
            required.is_some_and(|required| required.iter().any(|one| one == name.as_str()))
        };
        let is_closed = fields.get("additionalProperties") == Some(&Value::Bool(false));
        if !is_closed || !named.is_some_and(|named| named.keys().all(is_required)) {
            return false;
        }
    }
    children(fields).into_iter().all(is_strict)
}

/// The name of a schema as providers allow it: letters, digits, `_` and `-`, at most 64 of them.
pub(super) fn name(schema: &OutputSchema) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = schema.name.chars().take(64).map(allowed).collect();
    if name.is_empty() { "output".to_owned() } else { name }
}

/// Words that ask for the shape, for wires that cannot enforce it.
pub(super) fn in_words(schema: &OutputSchema) -> String {
    let mut words =
        String::from("Answer with one JSON value and nothing else. It must fit this schema:\n");
    write!(words, "{}", schema.schema).expect("a string can always be written to");
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn open_objects_are_closed_and_strictness_is_seen() {
        let schema = json!({
            "type": "object",
            "properties": {
                "a": { "type": "array", "items": { "type": "object", "properties": {} } },
                "properties": { "type": "string" },
            },
            "required": ["a", "properties"],
        });
        let mut closed = closed(schema.clone());
        assert_eq!(closed["additionalProperties"], json!(false));
        assert_eq!(closed["properties"]["a"]["items"]["additionalProperties"], json!(false));
        assert_eq!(closed["properties"].get("additionalProperties"), None);
        assert!(is_strict(&mut closed));
        let mut open = schema;
        assert!(!is_strict(&mut open));
        closed["required"] = json!(["a"]);
        assert!(!is_strict(&mut closed));
    }

    #[test]
    fn names_are_made_fit() {
        let named = |name: &str| OutputSchema { name: name.into(), schema: json!({}) };
        assert_eq!(name(&named("a plan/2")), "a_plan_2");
        assert_eq!(name(&named("")), "output");
        assert_eq!(name(&named(&"é".repeat(100))).len(), 64);
    }
}

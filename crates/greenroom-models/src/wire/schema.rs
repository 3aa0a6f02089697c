//! JSON Schemas as providers want them.

use greenroom_core::output::OutputSchema;
use serde_json::{Map, Value};

/// The keywords below which a schema holds schemas by name.
const BY_NAME: [&str; 2] = ["properties", "$defs"];
/// The keywords below which it holds a schema or a list of them.
const BELOW: [&str; 2] = ["items", "anyOf"];

/// The schemas in a schema. Where there are both, `oneOf` takes the place of `anyOf`.
fn children(schema: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let is_hidden = |keyword: &str| keyword == "anyOf" && schema.contains_key("oneOf");
    let shown = schema.iter().filter(move |(keyword, _)| !is_hidden(keyword));
    shown.flat_map(|(keyword, value)| {
        let is_below = BELOW.contains(&keyword.as_str()) || keyword == "oneOf";
        let is_by_name = BY_NAME.contains(&keyword.as_str());
        let (one, list, named) = match value {
            Value::Array(list) if is_below => (None, Some(list), None),
            other if is_below => (Some(other), None, None),
            Value::Object(named) if is_by_name => (None, None, Some(named)),
            _ => (None, None, None),
        };
        one.into_iter()
            .chain(list.into_iter().flatten())
            .chain(named.into_iter().flat_map(Map::values))
    })
}

fn children_mut(schema: &mut Map<String, Value>) -> Vec<&mut Value> {
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

/// The part of JSON Schema that a provider enforces.
#[derive(Debug)]
pub(super) struct Dialect {
    /// The keywords that it takes; it refuses a schema with any other.
    keywords: &'static [&'static str],
    /// The formats of texts that it takes.
    formats: &'static [&'static str],
    /// Whether a schema may refer to itself.
    takes_recursion: bool,
    /// Whether a schema that cannot be enforced may be sent all the same, as a hint.
    pub(super) takes_hints: bool,
}

/// What every provider takes.
const FORMATS: &[&str] =
    &["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"];

pub(super) const OPENAI: Dialect = Dialect {
    keywords: &[
        "$defs",
        "$ref",
        "additionalProperties",
        "anyOf",
        "const",
        "description",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "items",
        "maxItems",
        "maximum",
        "minItems",
        "minimum",
        "multipleOf",
        "pattern",
        "properties",
        "required",
        "title",
        "type",
    ],
    formats: FORMATS,
    takes_recursion: true,
    takes_hints: true,
};

pub(super) const ANTHROPIC: Dialect = Dialect {
    keywords: &[
        "$defs",
        "$ref",
        "additionalProperties",
        "anyOf",
        "const",
        "default",
        "description",
        "enum",
        "format",
        "items",
        "properties",
        "required",
        "title",
        "type",
    ],
    formats: FORMATS,
    takes_recursion: false,
    takes_hints: false,
};

/// Keywords that decide which values fit and that no looser schema can do without.
const ESSENTIAL: [&str; 8] =
    ["allOf", "not", "if", "then", "else", "patternProperties", "prefixItems", "dependentSchemas"];

/// The schema as a provider enforces it: every object closed, and requiring all of its properties. `None`
/// when it cannot be said in the dialect. Whatever fits the result fits the schema, but for the limits that
/// the dialect has no word for: those are checked when the text is there.
pub(super) fn strict(schema: &Value, dialect: &Dialect) -> Option<Value> {
    // Asked first: most that cannot be said are large, and would be copied for nothing.
    can_be_said(schema, dialect).then(|| {
        let mut schema = schema.clone();
        tighten(&mut schema, dialect);
        schema
    })
}

/// Whether a schema has no more to say than the dialect has words for, limits left out. Recursion ends with the schema,
/// whose depth its parser has limited.
fn can_be_said(schema: &Value, dialect: &Dialect) -> bool {
    let Value::Object(fields) = schema else { return false };
    let has = |keyword: &&str| fields.contains_key(*keyword);
    // A schema that takes anything is no shape, and is refused.
    let says_something = ["type", "enum", "const", "$ref", "anyOf", "oneOf"];
    if !says_something.iter().any(&has) || ESSENTIAL.iter().any(has) {
        return false;
    }
    let leads_up = |to: &Value| to.as_str().is_some_and(|to| !to.starts_with("#/$defs/"));
    if !dialect.takes_recursion && fields.get("$ref").is_some_and(leads_up) {
        return false;
    }
    // A map has names that nobody knows beforehand.
    let is_map = fields.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false));
    let has_names = fields.get("properties").is_some_and(Value::is_object);
    if is_object(fields) && (is_map || !has_names) {
        return false;
    }
    children(fields).all(|child| can_be_said(child, dialect))
}

fn is_object(fields: &Map<String, Value>) -> bool {
    fields.get("type").is_some_and(|kind| kind == "object") || fields.contains_key("properties")
}

/// Recursion ends as above.
fn tighten(schema: &mut Value, dialect: &Dialect) {
    let Value::Object(fields) = schema else { return };
    // One of several that overlap is rare, and the whole schema is checked in the end.
    if let Some(choices) = fields.remove("oneOf") {
        fields.insert("anyOf".into(), choices);
    }
    let is_foreign =
        |format: &Value| !format.as_str().is_some_and(|f| dialect.formats.contains(&f));
    if fields.get("format").is_some_and(is_foreign) {
        fields.remove("format");
    }
    fields.retain(|keyword, _| dialect.keywords.contains(&keyword.as_str()));
    if is_object(fields) {
        let named = fields.get("properties").and_then(Value::as_object);
        let all = named.into_iter().flat_map(Map::keys).map(|name| Value::from(name.as_str()));
        let all = all.collect();
        fields.insert("required".into(), Value::Array(all));
        fields.insert("additionalProperties".into(), Value::Bool(false));
    }
    for child in children_mut(fields) {
        tighten(child, dialect);
    }
}

/// The name of a schema as providers allow it: letters, digits, `_` and `-`, at most 64 of them.
pub(super) fn name(schema: &OutputSchema) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = schema.name.chars().take(64).map(allowed).collect();
    if name.is_empty() { "output".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "tests write values where they use them")]
    fn check(dialect: &Dialect, schema: Value, expect: Option<Value>) {
        assert_eq!(strict(&schema, dialect), expect);
    }

    #[test]
    fn objects_are_closed_and_require_everything() {
        let schema = json!({
            "type": "object",
            "properties": {
                "a": { "type": "array", "items": { "type": "object", "properties": {} } },
                "format": { "type": ["string", "null"], "default": null },
            },
            "required": ["a"],
        });
        let inner = json!({ "type": "object", "properties": {}, "required": [], "additionalProperties": false });
        let expect = json!({
            "type": "object",
            "properties": {
                "a": { "type": "array", "items": inner },
                "format": { "type": ["string", "null"] },
            },
            "required": ["a", "format"],
            "additionalProperties": false,
        });
        check(&OPENAI, schema, Some(expect));
    }

    #[test]
    fn what_a_dialect_has_no_word_for_is_left_out() {
        let number = json!({ "type": "integer", "format": "uint8", "minimum": 0, "maximum": 9 });
        let left = json!({ "type": "integer", "minimum": 0, "maximum": 9 });
        check(&OPENAI, number.clone(), Some(left));
        check(&ANTHROPIC, number, Some(json!({ "type": "integer" })));
        let day = json!({ "type": "string", "format": "date", "minLength": 3 });
        check(&ANTHROPIC, day, Some(json!({ "type": "string", "format": "date" })));
        let choice = json!({ "oneOf": [{ "const": "a", "examples": [] }, { "type": "null" }] });
        let expect = json!({ "anyOf": [{ "const": "a" }, { "type": "null" }] });
        check(&OPENAI, choice, Some(expect.clone()));
        // What the other one takes the place of does not count.
        let both = json!({ "anyOf": [true], "oneOf": [{ "const": "a" }, { "type": "null" }] });
        check(&OPENAI, both, Some(expect));
    }

    #[test]
    fn what_cannot_be_said_is_not_said_wrongly() {
        let map = json!({ "type": "object", "additionalProperties": { "type": "integer" } });
        check(&OPENAI, map.clone(), None);
        check(&OPENAI, json!({ "type": "array", "items": map }), None);
        check(&OPENAI, json!({ "type": "object" }), None);
        check(&OPENAI, json!({ "type": "array", "items": true }), None);
        check(&OPENAI, json!({ "description": "anything" }), None);
        check(&OPENAI, json!({ "allOf": [{ "type": "string" }] }), None);
        check(&ANTHROPIC, json!({ "type": "array", "prefixItems": [] }), None);
        let tree = json!({
            "type": "object",
            "properties": { "below": { "type": "array", "items": { "$ref": "#" } } },
        });
        check(&ANTHROPIC, tree.clone(), None);
        assert!(strict(&tree, &OPENAI).is_some());
    }

    #[test]
    fn names_are_made_fit() {
        let named = |name: &str| OutputSchema { name: name.into(), schema: json!({}) };
        assert_eq!(name(&named("a plan/2")), "a_plan_2");
        assert_eq!(name(&named("")), "output");
        assert_eq!(name(&named(&"é".repeat(100))).len(), 64);
    }
}

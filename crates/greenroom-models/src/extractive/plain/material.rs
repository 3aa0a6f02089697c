//! Material: what a text and tool results offer to fill a JSON Schema with. Never makes a value up.

use std::collections::VecDeque;

use serde_json::{Map, Number, Value, json};

use crate::extractive::names::{capitalised, spans};
use crate::extractive::plan::{arithmetic, dates};
use crate::extractive::text::{is_numeral, words};

/// Schemas nest at most this deep.
const DEPTH_MAX: usize = 8;

/// What there is to fill fields with. A value taken by position is taken once.
pub(super) struct Material<'a> {
    text: &'a str,
    /// What fills a single string that nothing else fills.
    rest: &'a str,
    values: Vec<Value>,
    numbers: VecDeque<Number>,
    quotes: VecDeque<&'a str>,
    dates: VecDeque<String>,
    names: VecDeque<&'a str>,
}

/// The name of the field that could not be filled.
type Unfilled = String;

impl<'a> Material<'a> {
    pub(super) fn new(text: &'a str, values: Vec<Value>) -> Self {
        let mut quotes: VecDeque<&str> = VecDeque::new();
        for (open, close) in [('"', '"'), ('“', '”'), ('`', '`')] {
            quotes.extend(spans(text, open, close));
        }
        let names = capitalised(text).into_iter().filter(|name| name.trust > 0.5);
        Self {
            text,
            rest: text,
            numbers: numbers(text, &values),
            quotes,
            dates: dates::dates(text).into_iter().map(|date| date.iso).collect(),
            names: names.map(|name| name.text).collect(),
            values,
        }
    }

    /// The same material, with something else than the whole text for what nothing else fills.
    pub(super) fn with_rest(mut self, rest: &'a str) -> Self {
        self.rest = rest;
        self
    }

    /// A value that fits the schema.
    ///
    /// # Errors
    ///
    /// The first required field that nothing fills.
    pub(super) fn fill(&mut self, schema: &Value) -> Result<Value, Unfilled> {
        if let Some(value) = self.values.iter().find(|value| fits(value, schema, DEPTH_MAX)) {
            return Ok(value.clone());
        }
        self.field("result", schema, true, DEPTH_MAX).ok_or_else(|| {
            let required = required(schema);
            let missing = required.iter().find(|name| {
                self.field(name, &schema["properties"][*name], true, DEPTH_MAX).is_none()
            });
            (*missing.unwrap_or(&"result")).to_owned()
        })
    }

    fn field(
        &mut self,
        name: &str,
        schema: &Value,
        is_required: bool,
        depth: usize,
    ) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        if let Some(value) = self.named(name, schema, depth) {
            return Some(value);
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(choices) = schema[key].as_array() {
                let fillable = choices.iter().filter(|choice| choice["type"] != "null");
                return fillable
                    .take(8)
                    .find_map(|choice| self.field(name, choice, is_required, depth));
            }
        }
        if let Some(constant) = schema.get("const") {
            return is_required.then(|| constant.clone());
        }
        if let Some(choices) = schema["enum"].as_array() {
            return self.choice(choices, is_required);
        }
        match type_of(schema)? {
            "object" => self.object(schema, depth),
            "array" => self.array(name, &schema["items"]),
            "integer" => self.number(name, is_required, is_whole),
            "number" => self.number(name, is_required, |_| true),
            "boolean" => self.boolean(name),
            "string" => self.string(name, schema, is_required).map(Value::String),
            "null" => Some(Value::Null),
            _ => None,
        }
    }

    /// A field of the tool results that has the name and the type.
    fn named(&self, name: &str, schema: &Value, depth: usize) -> Option<Value> {
        let mut found = self.values.iter().rev().filter_map(|value| value.get(name));
        found.find(|value| fits(value, schema, depth)).cloned()
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Option<Value> {
        let required = required(schema);
        let mut object = Map::new();
        let empty = Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&empty);
        let n_strings =
            required.iter().filter(|name| type_of(&properties[**name]) == Some("string")).count();
        for name in required.iter().copied() {
            let schema = properties.get(name)?;
            let is_text = n_strings == 1 && type_of(schema) == Some("string") && !is_path(name);
            let value = self.field(name, schema, true, depth);
            let value = value.or_else(|| self.rest_for(schema).filter(|_| is_text));
            object.insert(name.to_owned(), value?);
        }
        for (name, schema) in
            properties.iter().filter(|(name, _)| !required.contains(&name.as_str()))
        {
            if let Some(value) = self.field(name, schema, false, depth) {
                object.insert(name.clone(), value);
            }
        }
        Some(Value::Object(object))
    }

    fn rest_for(&self, schema: &Value) -> Option<Value> {
        let rest = self.rest.trim();
        (!rest.is_empty() && is_free(schema)).then(|| json!(rest))
    }

    fn array(&mut self, name: &str, items: &Value) -> Option<Value> {
        let found = self.values.iter().rev().find_map(|value| match value {
            Value::Array(_) => Some(value),
            Value::Object(fields) => fields.get(name).filter(|value| value.is_array()),
            _ => None,
        });
        if let Some(array) = found.filter(|array| {
            array.as_array().is_some_and(|all| all.iter().all(|item| fits(item, items, 2)))
        }) {
            return Some(array.clone());
        }
        let all: Vec<Value> = match type_of(items)? {
            "number" | "integer" => self.numbers.drain(..).map(Value::Number).collect(),
            "string" if !self.quotes.is_empty() => {
                self.quotes.drain(..).map(|text| json!(text)).collect()
            }
            "string" => self.names.drain(..).map(|text| json!(text)).collect(),
            _ => Vec::new(),
        };
        (!all.is_empty()).then_some(Value::Array(all))
    }

    /// The number that the field's name stands next to, or else the next one.
    fn number(
        &mut self,
        name: &str,
        is_required: bool,
        fits: impl Fn(&Number) -> bool,
    ) -> Option<Value> {
        let words = words(self.text);
        let last = name.rsplit('_').next().unwrap_or(name);
        let is_name = |word: &str| {
            word.eq_ignore_ascii_case(last) || format!("{word}s").eq_ignore_ascii_case(last)
        };
        let near = words.windows(2).find_map(|pair| {
            let (number, word) =
                if is_name(pair[0].text) { (pair[1], pair[0]) } else { (pair[0], pair[1]) };
            (last.len() > 2 && is_name(word.text)).then(|| parsed(number.text)).flatten()
        });
        if let Some(number) = near.filter(&fits) {
            self.numbers.retain(|other| *other != number);
            return Some(Value::Number(number));
        }
        let at = self.numbers.iter().position(fits).filter(|_| is_required)?;
        self.numbers.remove(at).map(Value::Number)
    }

    fn boolean(&self, name: &str) -> Option<Value> {
        let words: Vec<String> =
            words(self.text).iter().map(|word| word.text.to_lowercase()).collect();
        let name = name.rsplit('_').next().unwrap_or(name).to_lowercase();
        if let Some(at) = words.iter().position(|word| *word == name) {
            let before = at.checked_sub(1).map(|i| words[i].as_str());
            let denied = matches!(before, Some("no" | "not" | "without" | "non"));
            let after = words.get(at + 1).map(String::as_str);
            return Some(json!(!denied && !matches!(after, Some("false" | "no" | "off"))));
        }
        match words.first().map(String::as_str) {
            Some("true" | "yes") => Some(json!(true)),
            Some("false" | "no") => Some(json!(false)),
            _ => None,
        }
    }

    /// The value of an enumeration that the text has.
    fn choice(&self, choices: &[Value], is_required: bool) -> Option<Value> {
        let lower = self.text.to_lowercase();
        let words: Vec<String> = words(&lower).iter().map(|word| word.text.to_owned()).collect();
        let is_said = |choice: &&Value| {
            choice.as_str().is_some_and(|choice| {
                let choice = choice.to_lowercase().replace(['_', '-'], " ");
                words.contains(&choice) || choice.contains(' ') && lower.contains(&choice)
            })
        };
        let only = choices.first().filter(|_| is_required && choices.len() == 1);
        choices.iter().find(is_said).or(only).cloned()
    }

    fn string(&mut self, name: &str, schema: &Value, is_required: bool) -> Option<String> {
        let lower = name.to_lowercase();
        if is_expression(&lower) {
            return arithmetic::spot(self.text)
                .filter(|sum| sum.lookups.is_empty())
                .map(|sum| sum.expression);
        }
        let is_date = schema["format"] == "date"
            || lower.contains("date")
            || matches!(lower.as_str(), "to" | "from");
        if is_date && let Some(date) = self.dates.pop_front() {
            return Some(date);
        }
        if let Some(value) = self.labelled(name) {
            return Some(value);
        }
        if !is_required {
            return None;
        }
        if is_path(&lower) {
            let marks = |c: char| !c.is_alphanumeric() && !matches!(c, '/' | '\\');
            let mut words = self.text.split_whitespace().map(|word| word.trim_matches(marks));
            return words.find(|word| looks_like_path(word)).map(str::to_owned);
        }
        if WHOLE_TEXT.contains(&lower.as_str()) {
            return Some(self.text.trim().to_owned()).filter(|text| !text.is_empty());
        }
        let taken = self.quotes.pop_front().or_else(|| self.names.pop_front());
        taken.map(str::to_owned)
    }

    /// `name: value` or `name = value` in the text, up to the end of the line or a comma.
    fn labelled(&self, name: &str) -> Option<String> {
        let at = self.text.find(name)? + name.len();
        let value = self.text[at..].trim_start().strip_prefix([':', '='])?;
        let value = value.split(['\n', ',', ';']).next().unwrap_or(value).trim().trim_matches('"');
        (!value.is_empty()).then(|| value.to_owned())
    }
}

fn is_whole(number: &Number) -> bool {
    number.is_i64() || number.is_u64()
}

/// Whether a parameter's name says that it takes arithmetic.
pub(super) fn is_expression(name: &str) -> bool {
    matches!(name, "expression" | "expr" | "formula" | "equation")
}

/// Whether a parameter's name says that it takes the path of a file.
fn is_path(name: &str) -> bool {
    let last = name.rsplit('_').next().unwrap_or(name);
    matches!(last, "path" | "file" | "filename")
}

/// Whether a word has a `/`, or an extension that begins with a letter: no other word names a file.
fn looks_like_path(word: &str) -> bool {
    let extension = word.rsplit_once('.').map_or("", |(_, extension)| extension);
    word.contains('/') || extension.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// Fields that take the whole text.
const WHOLE_TEXT: &[&str] = &[
    "text",
    "query",
    "question",
    "input",
    "prompt",
    "message",
    "content",
    "answer",
    "summary",
    "result",
    "description",
    "body",
];

/// Whether a string field takes any text: it has no format and no pattern, and is no expression.
fn is_free(schema: &Value) -> bool {
    schema.get("format").is_none()
        && schema.get("pattern").is_none()
        && schema.get("enum").is_none()
}

fn required(schema: &Value) -> Vec<&str> {
    let list = schema["required"].as_array().map_or(&[] as &[Value], Vec::as_slice);
    list.iter().filter_map(Value::as_str).collect()
}

/// The type of a schema; of several, the first that is not `null`.
fn type_of(schema: &Value) -> Option<&str> {
    match &schema["type"] {
        Value::String(name) => Some(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).find(|name| *name != "null"),
        _ => schema["properties"].is_object().then_some("object"),
    }
}

/// Whether a value has the type that a schema asks for, its required fields included.
fn fits(value: &Value, schema: &Value, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    if let Some(choices) = schema["enum"].as_array() {
        return choices.contains(value);
    }
    match (type_of(schema), value) {
        (Some("integer"), Value::Number(number)) => is_whole(number),
        (Some("number"), Value::Number(_))
        | (Some("string"), Value::String(_))
        | (Some("boolean"), Value::Bool(_)) => true,
        (Some("array"), Value::Array(items)) => {
            items.iter().all(|item| fits(item, &schema["items"], depth))
        }
        (Some("object"), Value::Object(fields)) => {
            let has = |name: &&str| {
                fields
                    .get(*name)
                    .is_some_and(|value| fits(value, &schema["properties"][*name], depth))
            };
            let required = required(schema);
            !required.is_empty() && required.iter().all(has)
        }
        _ => false,
    }
}

/// The numbers of the results, or else of the text, in their order.
fn numbers(text: &str, values: &[Value]) -> VecDeque<Number> {
    let mut numbers = VecDeque::new();
    for value in values {
        let inner = value.get("result").or_else(|| value.get("value")).unwrap_or(value);
        match inner {
            Value::Number(number) => numbers.push_back(number.clone()),
            Value::String(text) => numbers.extend(parsed(text)),
            _ => {}
        }
    }
    if !numbers.is_empty() {
        return numbers;
    }
    let words = words(text);
    let signed = words.iter().map(|word| {
        let before = &text[..word.start];
        let is_negative =
            before.ends_with('-') && !before.trim_end_matches('-').ends_with(char::is_alphanumeric);
        parsed(&format!("{}{}", if is_negative { "-" } else { "" }, word.text))
    });
    numbers.extend(signed.flatten());
    numbers
}

fn parsed(word: &str) -> Option<Number> {
    let digits = word.strip_prefix('-').unwrap_or(word);
    if !is_numeral(digits) {
        return None;
    }
    let plain = word.replace(',', "");
    let whole = plain.parse::<i64>().map(Number::from).ok();
    whole.or_else(|| plain.parse::<f64>().ok().and_then(Number::from_f64))
}

//! Arguments of a tool call, filled from a user's words by the tool's schema.

use serde_json::{Map, Value};

use super::material::Material;
use crate::extractive::plan::arithmetic;
use crate::extractive::text::{Lexicon, Word, is_vague, words};

/// The arguments of a tool; `None` when the words do not fill a parameter that is required.
///
/// What is left of the text without the tool's own words and those that say little fills a single
/// string parameter that nothing else fills.
pub(crate) fn filled(tool: &str, parameters: &Value, text: &str) -> Option<Map<String, Value>> {
    let mut material = Material::new(text, Vec::new()).with_rest(rest(tool, parameters, text));
    match material.fill(parameters) {
        Ok(Value::Object(arguments)) => Some(arguments),
        _ => None,
    }
}

fn rest<'a>(tool: &str, parameters: &Value, text: &'a str) -> &'a str {
    let mut lexicon = Lexicon::new();
    let own = lexicon.terms(&format!("{tool} {}", names(parameters).join(" ")));
    let mut is_rest = |word: &Word<'_>| {
        !is_vague(&word.text.to_lowercase())
            && lexicon.term(word.text).is_some_and(|term| !own.contains(&term))
    };
    let rest: Vec<Word<'_>> = words(text).into_iter().filter(|word| is_rest(word)).collect();
    match (rest.first(), rest.last()) {
        (Some(first), Some(last)) => &text[first.start..last.end()],
        _ => "",
    }
}

/// The names of the parameters.
pub(super) fn names(parameters: &Value) -> Vec<&str> {
    let properties = parameters["properties"].as_object();
    properties.map(|fields| fields.keys().map(String::as_str).collect()).unwrap_or_default()
}

/// Whether the tool takes an expression and the text is one.
pub(super) fn takes_arithmetic(parameters: &Value, text: &str) -> bool {
    names(parameters).iter().any(|name| super::material::is_expression(name))
        && arithmetic::spot(text).is_some_and(|sum| sum.lookups.is_empty())
}

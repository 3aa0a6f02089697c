//! Finding the JSON value in what a model wrote.

use serde_json::{Deserializer, Value};

/// Openings of values that are tried before a text is given up: a text is hostile until it is read.
const TRIES_MAX: usize = 16;

/// The value that a text stands for: the text itself, else what its first fence holds, else the first object
/// or list in it. Models that are only asked in words like to say something around their answer.
///
/// # Errors
///
/// Why the text itself is no JSON.
pub(crate) fn value_in(text: &str) -> Result<Value, serde_json::Error> {
    let text = text.trim();
    let error = match serde_json::from_str(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let found = fenced(text).and_then(|inner| serde_json::from_str(inner).ok());
    found.or_else(|| embedded(text)).ok_or(error)
}

/// What the first fence of a Markdown text holds.
fn fenced(text: &str) -> Option<&str> {
    let (_, behind) = text.split_once("```")?;
    let (_, inner) = behind.split_once('\n')?;
    Some(inner.split_once("```")?.0.trim())
}

/// The first object or list in a text.
fn embedded(text: &str) -> Option<Value> {
    let openings = text.match_indices(['{', '[']).take(TRIES_MAX);
    openings
        .filter_map(|(at, _)| Deserializer::from_str(&text[at..]).into_iter().next()?.ok())
        .next()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Option<&Value>) {
        assert_eq!(value_in(text).ok().as_ref(), expect, "{text}");
    }

    #[test]
    fn a_value_is_found_in_what_models_write_around_it() {
        check(" {\"a\": 1}\n", Some(&json!({ "a": 1 })));
        check("\"text\"", Some(&json!("text")));
        check("```json\n{\"a\": [1]}\n```", Some(&json!({ "a": [1] })));
        check("Here it is:\n```\n42\n```\nDone.", Some(&json!(42)));
        check("Sure! {\"a\": {\"b\": \"}\"}} as asked.", Some(&json!({ "a": { "b": "}" } })));
        check("See {this}: [1, 2]", Some(&json!([1, 2])));
        check("The answer is 42.", None);
        check("", None);
        check("{\"a\": ", None);
    }

    #[test]
    fn only_so_many_openings_are_tried() {
        check(&format!("{}[1]", "{ ".repeat(TRIES_MAX - 1)), Some(&json!([1])));
        check(&format!("{}[1]", "{ ".repeat(TRIES_MAX)), None);
    }
}

//! Reading JSON that others wrote: with limits, and without believing its numbers.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Fault;

/// More tokens than any request has: a count above it is a mistake.
const TOKENS_MAX: u64 = 1_000_000_000;

/// Parses a message of a wire. The depth is limited to 128 by the parser.
pub(super) fn parse<T: DeserializeOwned>(data: &str) -> Result<T, Fault> {
    serde_json::from_str(data).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        let what = match error.classify() {
            serde_json::error::Category::Eof => "breaks off",
            serde_json::error::Category::Syntax => "is not JSON",
            _ => "has not the shape that it should have",
        };
        Fault::invalid(format!("a part of the reply {what} ({place})"))
    })
}

/// A count of tokens, when it can be true: not negative, not a fraction, not absurd.
pub(super) fn count(value: Option<&Value>) -> Option<u64> {
    value?.as_u64().filter(|count| *count <= TOKENS_MAX)
}

/// A count at a path of names.
pub(super) fn count_at(value: &Value, path: &[&str]) -> Option<u64> {
    let found = path.iter().try_fold(value, |value, name| value.get(name));
    count(found)
}

/// Sets a field when there is something to set.
pub(super) fn set(body: &mut Value, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        body[name] = value.into();
    }
}

//! The identity of a call: what stays the same in every attempt at it, and in no other call.

use std::fmt::Write;
use std::sync::Arc;

use serde_json::Value;

use crate::fingerprint::fingerprint;
use crate::ids::{CallId, StreamId};

/// The idempotency key of a call: a function of where it stands in its run, of the tool and of its arguments,
/// and never of the attempt. Only the runtime makes one.
#[must_use]
pub fn idempotency_key(
    stream: &StreamId,
    call: &CallId,
    tool: &str,
    arguments: &Value,
) -> Arc<str> {
    let work = fingerprint(&format!("{tool} {}", canonical(arguments)));
    format!("{stream}/{call}-{work:016x}").into()
}

/// JSON in one spelling: keys in order, no blanks.
#[must_use]
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            text.push('{');
            for (i, (key, value)) in fields.into_iter().enumerate() {
                let comma = if i == 0 { "" } else { "," };
                let _ = write!(text, "{comma}{}:", Value::from(key.as_str()));
                write_canonical(value, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (i, item) in items.iter().enumerate() {
                text.push_str(if i == 0 { "" } else { "," });
                write_canonical(item, text);
            }
            text.push(']');
        }
        other => {
            let _ = write!(text, "{other}");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ids::RunId;

    #[test]
    fn a_key_is_the_same_for_the_same_call_and_no_other() {
        let stream = StreamId::root(RunId::from_bits(7));
        let key = |call: &str, tool, arguments: &str| {
            let arguments = serde_json::from_str(arguments).expect("it is JSON");
            idempotency_key(&stream, &call.into(), tool, &arguments)
        };
        let first = key("1-1", "pay", r#"{"to": "a", "sums": [1, {"y": 2, "x": 1}]}"#);
        assert_eq!(first, key("1-1", "pay", r#"{"sums":[1,{"x":1,"y":2}],"to":"a"}"#));
        let others = [
            key("1-2", "pay", r#"{"sums":[1,{"x":1,"y":2}],"to":"a"}"#),
            key("1-1", "put", r#"{"sums":[1,{"x":1,"y":2}],"to":"a"}"#),
            key("1-1", "pay", r#"{"sums":[1,{"x":1,"y":3}],"to":"a"}"#),
            idempotency_key(&stream.child(&"t1".into()), &"1-1".into(), "pay", &json!({})),
        ];
        assert!(others.iter().all(|other| *other != first), "{others:?}");
        assert_eq!(canonical(&json!({"b": null, "a": "\"é"})), r#"{"a":"\"é","b":null}"#);
    }
}

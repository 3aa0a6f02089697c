//! What was changed in the text of events, version by version. Steps are added and never changed: what they
//! read is in journals.

use serde_json::Value;

use super::{Fields, Steps};

/// All steps, a kind's in the order of its versions.
pub(super) const STEPS: &Steps = &[
    ("model_called", 1, |fields| in_millis(fields, "delay", "delay_ms")),
    ("person_asked", 1, |fields| in_millis(fields, "patience", "patience_ms")),
    ("run_awake", 1, |fields| in_millis(fields, "slept", "slept_ms")),
    ("task_started", 1, without_config),
];

/// A fingerprint that nobody read: what a run is made of is told once, where it is bound.
fn without_config(mut fields: Fields) -> Option<Fields> {
    fields.remove("config")?;
    Some(fields)
}

/// Spans of time were seconds and nanoseconds under a name without a unit, which no query could add up.
fn in_millis(mut fields: Fields, before: &str, after: &str) -> Option<Fields> {
    let span = fields.remove(before)?;
    let part = |name| span.get(name).and_then(Value::as_u64);
    let millis = part("secs")?.saturating_mul(1_000).saturating_add(part("nanos")? / 1_000_000);
    fields.insert(after.to_owned(), millis.into());
    Some(fields)
}

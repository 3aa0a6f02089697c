//! Steps, and what there is none for. What was ever written is in the golden lines of the durable journal.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A format in which the places of an event had other names twice.
const RENAMED: &Steps = &[
    ("actor_event", 1, |fields| renamed(fields, "data", "content")),
    ("actor_event", 2, |fields| renamed(fields, "content", "payload")),
];

fn renamed(mut fields: Fields, from: &str, to: &str) -> Option<Fields> {
    let value = fields.remove(from)?;
    fields.insert(to.to_owned(), value);
    Some(fields)
}

#[track_caller]
fn check(steps: &Steps, version: u32, body: &str, expect: FormatErrorKind) {
    let error = read(steps, "actor_event", version, body).expect_err("it cannot be read");
    assert_eq!(error, FormatError { kind: expect, event: "actor_event".into(), version });
}

#[test]
fn old_versions_become_new_ones_step_by_step() {
    let event = Ok(Event::ActorEvent { payload: json!(7) });
    for (version, body) in [
        (1, r#"{"kind":"actor_event","data":7}"#),
        (2, r#"{"kind":"actor_event","content":7}"#),
        (3, r#"{"kind":"actor_event","payload":7}"#),
    ] {
        assert_eq!(read(RENAMED, "actor_event", version, body), event, "{version}");
    }
    let versions = ["actor_event", "actor_snapshot"].map(|kind| version(RENAMED, kind));
    assert_eq!(versions, [3, 1], "each kind has its own");
}

#[test]
fn what_is_newer_or_was_never_written_is_refused_by_name() {
    let body = r#"{"kind":"actor_event","payload":7}"#;
    check(RENAMED, 4, body, FormatErrorKind::TooNew);
    check(RENAMED, 3, r#"{"kind":"actor_event","more":7}"#, FormatErrorKind::TooNew);
    check(RENAMED, 0, body, FormatErrorKind::NoStep { from: 0 });
    check(&RENAMED[1..], 1, body, FormatErrorKind::NoStep { from: 1 });
    check(&RENAMED[..1], 1, body, FormatErrorKind::Malformed);
    check(RENAMED, 2, "[7]", FormatErrorKind::Malformed);
    let unknown = Event::from_text("moon_landed", 1, r#"{"kind":"moon_landed"}"#);
    let unknown = unknown.expect_err("nobody knows it").to_string();
    assert_eq!(unknown, "a newer version wrote moon_landed of version 1");
}

#[test]
fn the_steps_of_every_kind_lead_to_its_newest_version() {
    for (kind, ..) in STEPS {
        let steps = STEPS.iter().filter(|(of, ..)| of == kind);
        let versions: Vec<_> = steps.map(|(_, version, _)| *version).collect();
        let expect: Vec<_> = (1..version(STEPS, kind)).collect();
        assert_eq!(versions, expect, "{kind}");
    }
    let kinds: BTreeSet<_> = STEPS.iter().map(|(kind, ..)| *kind).collect();
    let known = |kind: &&str| {
        let error = serde_json::from_value::<Event>(json!({ "kind": kind })).err();
        error.is_none_or(|error| !error.to_string().contains("unknown variant"))
    };
    assert!(kinds.iter().all(known), "{kinds:?}");
}

proptest! {
    /// Whatever the first version wrote of a span, the next one reads, to the millisecond.
    #[test]
    fn spans_of_the_first_version_are_read(secs in 0..u64::MAX / 2_000, nanos in 0..1_000_000_000_u32) {
        let span = json!({ "secs": secs, "nanos": nanos });
        let asked = json!({
            "kind": "person_asked", "call": "1-1", "tool": "pay", "arguments": {}, "ask": "approval",
            "patience": span,
        });
        let called = json!({ "kind": "model_called", "turn": 1, "attempt": 1, "delay": span });
        let awake = json!({ "kind": "run_awake", "slept": span });
        for body in [asked, called, awake] {
            let kind = body["kind"].as_str().expect("it has one");
            let event = Event::from_text(kind, 1, &body.to_string());
            let read = match event.clone().expect(kind) {
                Event::PersonAsked { patience, .. } => patience,
                Event::ModelCalled { delay, .. } => delay,
                Event::RunAwake { slept } => slept,
                _ => Duration::MAX,
            };
            let written = Duration::new(secs, nanos);
            prop_assert!(read <= written && written - read < Duration::from_millis(1));
            let text = event.clone().expect(kind).to_text();
            prop_assert_eq!((text.version, text.kind.as_str()), (2, kind));
            prop_assert_eq!(Event::from_text(kind, 2, &text.body), event);
        }
    }
}

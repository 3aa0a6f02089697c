//! What was ever written can be read, and keeps all that it says.

use std::collections::BTreeSet;
use std::fs;

use serde::Deserialize;
use serde_json::json;

use super::*;

/// The folder of the golden lines. Files are added and never changed: the end of a name is the sum of what is in
/// the file.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden");

#[derive(Deserialize)]
struct Line {
    kind: String,
    v: u32,
    body: Value,
}

/// The files with their names, in the order in which they were added.
fn files() -> Vec<(String, String)> {
    let entries = fs::read_dir(GOLDEN).expect("the folder is there");
    let mut files: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("readable").path();
            let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
            (name, fs::read_to_string(path).expect("it is text"))
        })
        .collect();
    files.sort();
    files
}

fn golden() -> Vec<Line> {
    let files = files();
    let lines = files.iter().flat_map(|(_, text)| text.lines());
    lines.map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// Whether everything that `old` says is said by `new`, which may say more.
fn keeps(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            old.iter().all(|(name, old)| new.get(name).is_some_and(|new| keeps(old, new)))
        }
        (Value::Array(old), Value::Array(new)) => {
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| keeps(old, new))
        }
        _ => old == new,
    }
}

#[test]
fn what_was_ever_written_is_read_and_keeps_all_that_it_says() {
    for Line { kind, v, body } in golden() {
        let event = FORMAT.decode(&kind, v, &body.to_string());
        let event = event.unwrap_or_else(|error| panic!("{kind} of version {v}: {error:?}"));
        let (kind_now, text) = encode(&event);
        assert_eq!(kind_now, kind);
        let now: Value = serde_json::from_str(&text).expect("it is JSON");
        if v == FORMAT.version(&kind) {
            assert!(keeps(&body, &now), "{kind} loses something:\n{body}\n{now}");
        }
        assert_eq!(FORMAT.decode(&kind, FORMAT.version(&kind), &text), Ok(event));
    }
}

#[test]
fn every_kind_of_event_has_a_golden_line() {
    // Serde names all kinds when it meets another one.
    let error = serde_json::from_str::<Event>(r#"{"kind":"?"}"#).expect_err("no such kind");
    let error = error.to_string();
    let (_, kinds) = error.split_once("expected one of ").expect("a list of kinds");
    let kinds: BTreeSet<_> = kinds.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(kinds.len() >= 18, "{kinds:?}");
    let golden: BTreeSet<_> = golden().into_iter().map(|line| line.kind).collect();
    assert_eq!(golden, kinds, "add a file to golden/ with a line for each kind that is new");
}

#[test]
fn the_golden_lines_are_only_added_to() {
    for (name, text) in files() {
        let sum = &crate::chain::name(&text)[..4];
        let end: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(name.ends_with(&format!("-{end}.jsonl")), "{name} was changed: its sum is {end}");
    }
}

/// A format in which the places of an event had other names twice.
const RENAMED: Format = Format {
    upcasts: &[
        ("actor_event", 1, |fields| renamed(fields, "data", "content")),
        ("actor_event", 2, |fields| renamed(fields, "content", "payload")),
    ],
};

fn renamed(mut fields: Fields, from: &str, to: &str) -> Fields {
    let value = fields.remove(from).unwrap_or_default();
    fields.insert(to.to_owned(), value);
    fields
}

#[test]
fn old_versions_become_new_ones_step_by_step() {
    let event = Ok(Event::ActorEvent { payload: json!(7) });
    for (version, body) in [
        (1, r#"{"kind":"actor_event","data":7}"#),
        (2, r#"{"kind":"actor_event","content":7}"#),
        (3, r#"{"kind":"actor_event","payload":7}"#),
    ] {
        assert_eq!(RENAMED.decode("actor_event", version, body), event, "{version}");
    }
    let versions = ["actor_event", "actor_snapshot"].map(|kind| RENAMED.version(kind));
    assert_eq!(versions, [3, 1], "each kind has its own");
}

#[test]
fn what_is_newer_or_nonsense_is_refused() {
    let body = r#"{"kind":"actor_event","payload":7}"#;
    let kind = "actor_event".to_owned();
    let decode = |version| RENAMED.decode(&kind, version, body);
    assert_eq!(decode(4), Err(Unreadable::TooNew { kind: kind.clone(), version: 4 }));
    assert_eq!(decode(0), Err(Unreadable::Nonsense { kind: kind.clone(), version: 0 }));
    let unknown = FORMAT.decode("moon_landed", 1, r#"{"kind":"moon_landed"}"#);
    assert_eq!(unknown, Err(Unreadable::TooNew { kind: "moon_landed".into(), version: 1 }));
}

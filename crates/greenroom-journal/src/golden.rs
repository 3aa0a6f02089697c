//! What was ever written can be read, and keeps all that it says.

use std::collections::BTreeSet;
use std::fs;

use greenroom_core::journal::{Event, EventText};
use serde::Deserialize;
use serde_json::Value;

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

impl Line {
    fn event(&self) -> Event {
        let Self { kind, v, body } = self;
        Event::from_text(kind, *v, &body.to_string()).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// The events of the first file, which have what the page asks for.
pub(crate) fn events() -> Vec<Event> {
    let first = files().swap_remove(0).1;
    first.lines().map(|line| serde_json::from_str::<Line>(line).expect(line).event()).collect()
}

#[test]
fn what_was_ever_written_is_read_and_keeps_all_that_it_says() {
    for line in golden() {
        let event = line.event();
        let EventText { kind, version, body } = event.to_text();
        assert_eq!(kind, line.kind);
        let now: Value = serde_json::from_str(&body).expect("it is JSON");
        if version == line.v {
            assert!(keeps(&line.body, &now), "{kind} loses something:\n{}\n{now}", line.body);
        }
        assert_eq!(Event::from_text(&kind, version, &body), Ok(event));
    }
}

/// What an older version wrote means what the newest one writes in its place, so it folds to the same.
#[test]
fn every_line_of_an_older_version_is_there_as_the_newest_writes_it() {
    let golden = golden();
    let mut older = BTreeSet::new();
    for line in &golden {
        let event = line.event();
        let version = event.to_text().version;
        if version != line.v {
            older.insert(line.kind.as_str());
            let is_newest = |other: &&Line| other.kind == line.kind && other.v == version;
            let mut newest = golden.iter().filter(is_newest);
            let is_there = newest.any(|newest| newest.event() == event);
            assert!(is_there, "add to golden/ what version {version} makes of {}", line.body);
        }
    }
    assert_eq!(
        older,
        BTreeSet::from(["model_called", "person_asked", "run_awake", "task_started"])
    );
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

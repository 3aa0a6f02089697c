//! What the binary keeps of runs, and what can be done with runs of the past.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{CAPACITY, World};

/// Asks, and gives the id of the run.
fn asked(world: &World) -> String {
    let ran = world.run(&["ask", CAPACITY, "--corpus", "docs", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.json()["run_id"].as_str().expect("there was a run").to_owned()
}

#[test]
fn a_run_of_the_past_is_listed_shown_replayed_and_exported() {
    let world = World::new();
    assert_eq!(world.run(&["runs"]).out, "no runs\n");
    assert_eq!(world.run(&["runs", "--json"]).json(), Value::Array(vec![]));
    let id = asked(&world);
    let listed = world.run(&["runs", "--json"]).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(listed[0]["run"], id.as_str());
    assert_eq!(
        (&listed[0]["state"], &listed[0]["question"]),
        (&"completed".into(), &CAPACITY.into())
    );
    assert!(listed[0]["usage"]["model_calls"].as_u64() >= Some(2), "{listed}");
    let table = world.run(&["runs"]).out;
    assert!(table.contains(&id[..8]) && table.contains(CAPACITY), "{table}");

    let shown = world.run(&["runs", "show", &id[..6]]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    for what in ["   0       0 ms", "run accepted: ", "research", "run completed: The default"] {
        assert!(shown.out.contains(what), "{what}: {shown:?}");
    }
    let exported = world.run(&["runs", "export", &id]).out;
    let lines: Vec<Value> =
        exported.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let shown = world.run(&["runs", "show", &id, "--json"]).json();
    assert_eq!(shown["events"], Value::Array(lines.clone()));
    assert_eq!(Some(lines.len() as u64), listed[0]["n_events"].as_u64());
    assert_eq!(lines[0]["event"]["kind"], "run_accepted");

    let whole = world.run(&["runs", "replay", &id, "--json"]).json();
    assert_eq!(
        (&whole["status"], &whole["tasks"]["answer"]["state"]),
        (&"completed".into(), &"reported".into())
    );
    assert_eq!(whole["usage"], listed[0]["usage"]);
    assert!(whole["answer"].as_str().expect("an answer").contains("64 messages"), "{whole}");
    let begin = world.run(&["runs", "replay", &id, "--to", "0", "--json"]).json();
    assert_eq!((&begin["status"], &begin["tasks"]), (&Value::Null, &serde_json::json!({})));
    let text = world.run(&["runs", "replay", &id]).out;
    assert!(text.contains("task answer: reported, answer"), "{text}");
}

#[test]
fn a_fork_has_the_past_of_its_run_and_is_another() {
    let world = World::new();
    let id = asked(&world);
    let before = world.run(&["runs", "export", &id]).out;
    let n_events = before.lines().count();
    let fork = world.run(&["runs", "fork", &id, "--at", "4", "--json"]).json();
    assert_eq!((&fork["from"], fork["n_events"].as_u64()), (&id.as_str().into(), Some(5)));
    let new = fork["run"].as_str().expect("it has an id").to_owned();
    let listed = world.run(&["runs", "--json"]).json();
    let state = |run: &str| {
        let runs = listed.as_array().expect("a list").iter();
        runs.filter(|row| row["run"] == run).map(|row| row["state"].clone()).collect::<Vec<_>>()
    };
    assert_eq!((state(&new), state(&id)), (vec!["unfinished".into()], vec!["completed".into()]));
    let events = |text: &str| -> Vec<Value> {
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines.map(|line| line["event"].clone()).collect()
    };
    let (old, copy) = (events(&before), events(&world.run(&["runs", "export", &new]).out));
    assert_eq!(copy[2..], old[2..5]);
    for (copy, old) in copy.iter().zip(&old[..2]) {
        assert!(copy["deadline"].as_u64() > old["deadline"].as_u64(), "its time begins anew");
    }
    assert_eq!(world.run(&["runs", "export", &id]).out, before);

    let last = (n_events - 1).to_string();
    world.run(&["runs", "fork", &id, "--at", &last]).is_refused(2, "GR0513");
    world.run(&["runs", "replay", &id, "--to", &n_events.to_string()]).is_refused(2, "GR0513");
    world.run(&["runs", "show", "not-an-id"]).is_refused(2, "GR0512");
}

#[test]
fn old_runs_are_purged_and_young_ones_kept() {
    let world = World::new();
    assert_eq!(world.run(&["runs", "purge", "--older-than", "1s"]).out, "0 runs deleted\n");
    asked(&world);
    assert_eq!(world.run(&["runs", "purge", "--older-than", "1w"]).out, "0 runs deleted\n");
    let store = world.path().join("elsewhere");
    let store = store.to_str().expect("it is text");
    let ran = world.run(&["runs", "purge", "--older-than", "1w", "--store", store, "--json"]);
    assert_eq!(ran.json()["n_purged"], 0);
    assert!(!Path::new(store).exists(), "purging makes no store");
    assert_eq!(world.run(&["runs", "purge", "--older-than", "soon"]).code, Some(2));
}

#[test]
fn whoever_does_not_own_the_journal_answers_and_keeps_nothing() {
    let world = World::new();
    world.file("data/greenroom/journal/journal.lock", "4711\n");
    let path = world.path().join("data/greenroom/journal/journal.lock");
    let lock = fs::OpenOptions::new().write(true).open(path).expect("it is there");
    lock.lock().expect("nobody else has it");
    let ran = world.run(&["ask", CAPACITY, "--corpus", "docs"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("64 messages"), "{ran:?}");
    assert!(ran.err.contains("notice[GR0511]: what happens is not kept: [GR0504]"), "{ran:?}");
    assert!(ran.err.contains("process 4711 owns the journal"), "{ran:?}");
    assert_eq!(world.run(&["runs"]).out, "no runs\n");
    drop(lock);
    asked(&world);
    assert!(world.run(&["runs"]).out.contains("completed"));
}

/// A store that cannot be looked into is not one without runs, and one that could not be made is.
#[test]
fn what_cannot_be_read_is_not_empty() {
    let world = World::new();
    world.file("taken", "this is a file");
    world.run(&["runs", "--store", "taken"]).is_refused(3, "GR0502");
    world.file("begun/journal/journal.db", "");
    assert_eq!(world.run(&["runs", "--store", "begun"]).out, "no runs\n");
}

#[test]
fn a_fork_is_continued_and_asks_for_nothing_twice() {
    let world = World::new();
    let id = asked(&world);
    let lines = world.run(&["runs", "export", &id]).out;
    let events: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let is_reported = |line: &&Value| line["event"]["kind"] == "task_reported";
    let plan = events.iter().position(|line| is_reported(&line)).expect("a plan was reported");
    let fork = world.run(&["runs", "fork", &id, "--at", &plan.to_string(), "--json"]).json();
    let new = fork["run"].as_str().expect("it has an id");
    let ran = world.run(&["ask", "--resume", &new[..8], "--corpus", "docs", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let answered = ran.json();
    assert_eq!((&answered["run_id"], &answered["status"]), (&new.into(), &"completed".into()));
    assert!(answered["answer"].as_str().expect("text").contains("64 messages"), "{answered}");
    let replayed = world.run(&["runs", "replay", new, "--json"]).json();
    let first = world.run(&["runs", "replay", &id, "--json"]).json();
    assert_eq!(replayed["tasks"], first["tasks"], "the same work, and the plan once");
    assert_eq!(replayed["usage"], first["usage"]);
    let refused = world.run(&["ask", "--resume", "--corpus", "docs"]);
    refused.is_refused(2, "GR0512");
    let over = world.run(&["ask", "--resume", &id, "--corpus", "docs"]);
    assert_eq!(over.code, Some(1), "{over:?}");
    assert!(over.err.contains("error[GR0514]"), "{over:?}");
}

#[test]
fn an_unfinished_run_is_cancelled_once() {
    let world = World::new();
    let id = asked(&world);
    let fork = world.run(&["runs", "fork", &id, "--at", "3", "--json"]).json();
    let new = fork["run"].as_str().expect("it has an id");
    let cancelled = world.run(&["runs", "cancel", new, "--json"]).json();
    assert_eq!((&cancelled["run"], &cancelled["status"]), (&new.into(), &"cancelled".into()));
    let shown = world.run(&["runs", "show", new, "--json"]).json();
    assert_eq!(shown["state"], "cancelled");
    world.run(&["runs", "cancel", new]).is_refused(2, "GR0513");
    world.run(&["runs", "cancel", &id]).is_refused(2, "GR0513");
}

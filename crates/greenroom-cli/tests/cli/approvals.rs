//! Runs of the binary that wait for people: how they stop, are shown, are answered and go on.

use std::fs;
use std::io::{BufRead as _, BufReader};

use greenroom_core::budget::Usage;
use greenroom_testkit::provider::{Answer, ProviderServer};
use serde_json::Value;

use super::{CAPACITY, Ran, World};

const ASK: [&str; 6] = ["ask", CAPACITY, "--corpus", "docs", "--approve", "search"];

/// Asks, and gives the id of the run that waits.
fn asked(world: &World) -> String {
    let ran = world.run(&[&ASK[..], &["--json"]].concat());
    assert_eq!(ran.code, Some(5), "{ran:?}");
    let json = ran.json();
    assert_eq!(json["status"], "waiting");
    assert_eq!(json["pending"][0]["tool"], "search");
    json["run_id"].as_str().expect("there is a run").to_owned()
}

/// The calls that wait, by name.
fn waiting(world: &World, id: &str) -> Vec<String> {
    let shown = world.run(&["runs", "show", id, "--json"]).json();
    let calls = shown["pending"].as_array().expect("a list").iter();
    calls.map(|call| call["call"].as_str().expect("it has a name").to_owned()).collect()
}

/// Approves whatever waits, as often as something does, and gives what came of it.
fn approve_all(world: &World, id: &str) -> Ran {
    for _ in 0..8 {
        for call in waiting(world, id) {
            let ran = world.run(&["runs", "approve", id, &call]);
            assert_eq!(ran.code, Some(0), "{ran:?}");
        }
        // It knows where it answers from, and what is to be approved.
        let ran = world.run(&["runs", "resume", id]);
        if ran.code != Some(5) {
            return ran;
        }
    }
    panic!("it asks again and again");
}

#[test]
fn a_run_stops_for_a_person_and_goes_on_once_it_is_answered() {
    let world = World::new();
    let ran = world.run(&ASK);
    assert_eq!(ran.code, Some(5), "{ran:?}");
    assert!(ran.err.contains("notice[GR0518]") && ran.err.contains("runs resume"), "{ran:?}");
    // The commands that are shown are those that work.
    let line = |verb: &str| {
        let mut lines = ran.out.lines().map(str::trim);
        let line = lines.find(|line| line.starts_with(&format!("greenroom runs {verb}")));
        line.unwrap_or_else(|| panic!("no {verb}: {ran:?}")).to_owned()
    };
    let words = line("approve");
    let words: Vec<_> = words.split(' ').skip(1).collect();
    let id = words[2].to_owned();
    let table = world.run(&["runs"]).out;
    assert!(table.contains("waiting"), "{table}");
    let shown = world.run(&["runs", "show", &id]).out;
    assert!(shown.contains(&line("approve")) && shown.contains(&line("deny")), "{shown}");
    assert!(shown.contains("the run waits for people, and sleeps"), "{shown}");
    // Nothing is started for a run that still waits.
    let still = world.run(&["runs", "resume"]);
    assert_eq!((still.code, still.out), (Some(5), ran.out.clone()));

    let ran = world.run(&words);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains(" approved by "), "{ran:?}");
    assert!(ran.out.contains(&format!("`greenroom runs resume {id}`")), "{ran:?}");
    let ran = approve_all(&world, &id);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.starts_with("The default capacity of a mailbox is 64 messages"), "{ran:?}");
    assert!(world.run(&["runs"]).out.contains("completed"));
    let ran = world.run(&["runs", "resume"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""));
}

/// However it is continued, also before anybody was asked about the tool.
#[test]
fn a_run_that_goes_on_asks_about_the_tools_that_it_began_with() {
    let world = World::new();
    let id = asked(&world);
    let ask = ["ask", "--corpus", "docs", "--json", "--resume"];
    let runs = ["runs", "resume", "--json"];
    for command in [&ask[..], &runs[..]] {
        let fork = world.run(&["runs", "fork", &id, "--at", "1", "--json"]).json();
        let fork = fork["run"].as_str().expect("it has an id");
        let ran = world.run(&[command, &[fork]].concat());
        assert_eq!(ran.code, Some(5), "{ran:?}");
        assert_eq!(ran.json()["pending"][0]["tool"], "search", "{ran:?}");
    }
}

#[test]
fn a_run_goes_on_with_all_that_was_to_be_approved_and_not_only_what_was_asked() {
    let world = World::new();
    let ran = world.run(&[&ASK[..], &["--approve", "read_file", "--json"]].concat());
    assert_eq!(ran.code, Some(5), "{ran:?}");
    let json = ran.json();
    let id = json["run_id"].as_str().expect("there is a run");
    assert_eq!(approve_all(&world, id).code, Some(0));
    let events = world.run(&["runs", "export", id]).out;
    let lines = events.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let claims: Vec<_> = lines.filter(|line| line["event"]["kind"] == "run_claimed").collect();
    assert!(!claims.is_empty(), "{events}");
    let is_other = |claim: &Value| claim["event"]["changes"].to_string().contains("approval");
    assert!(!claims.iter().any(is_other), "{claims:?}");
}

#[test]
fn a_call_that_is_denied_is_not_made_and_the_model_reads_why() {
    let world = World::new();
    let id = asked(&world);
    for call in waiting(&world, &id) {
        let why = ["--reason", "these are private", "--by", "ann", "--json"];
        let ran = world.run(&[&["runs", "deny", &id, &call], &why[..]].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_eq!((&ran.json()["decision"], &ran.json()["by"]), (&"denied".into(), &"ann".into()));
    }
    let ran = world.run(&["runs", "resume", &id, "--json"]);
    assert_ne!(ran.json()["status"], "completed", "{ran:?}");
    let events = world.run(&["runs", "export", &id]).out;
    assert!(events.contains("a person says no: these are private"), "{events}");
    assert!(!events.contains("tool_started"), "{events}");
}

#[test]
fn an_answer_to_what_is_not_asked_is_refused() {
    let world = World::new();
    world.run(&["runs", "approve", "7f3a", "1-1"]).is_refused(3, "GR0502");
    let id = asked(&world);
    let call = &waiting(&world, &id)[0];
    world.run(&["runs", "approve", "ffff", call]).is_refused(2, "GR0512");
    world.run(&["runs", "approve", &id, "t9/1-1"]).is_refused(2, "GR0515");
    world.run(&["runs", "approve", &id, call, "--seen", "3-00000000"]).is_refused(2, "GR0517");
    let ran = world.run(&["runs", "resume", "ffff"]);
    ran.is_refused(2, "GR0512");
    // While another process has the store, it can be looked into and not written.
    let path = world.path().join("data/greenroom/journal/journal.lock");
    let lock = fs::OpenOptions::new().write(true).open(path).expect("it is there");
    lock.lock().expect("nobody else has it");
    assert_eq!(waiting(&world, &id).len(), 1);
    world.run(&["runs", "approve", &id, call]).is_refused(3, "GR0504");
    world.run(&ASK).is_refused(3, "GR0504");
    drop(lock);
    assert_eq!(world.run(&["runs", "approve", &id, call]).code, Some(0));
    let twice = world.run(&["runs", "deny", &id, call]);
    twice.is_refused(2, "GR0515");
    assert!(twice.err.contains("was answered already"), "{twice:?}");
    assert_eq!(world.run(&["runs", "cancel", &id]).code, Some(0));
    world.run(&["runs", "approve", &id, call]).is_refused(2, "GR0513");
    world.run(&["runs", "resume", &id]).is_refused(2, "GR0513");
}

/// A process that dies while it waits loses nothing, whether it had time to say so or not.
#[cfg(unix)]
#[test]
fn a_process_that_is_killed_while_it_waits_leaves_a_run_that_can_be_answered() {
    let world = World::new();
    let mut child = world.piped(&ASK);
    let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
    assert!(lines.any(|line| line.expect("it is text").contains("waits for a person")));
    child.kill().expect("it is alive");
    child.wait().expect("it is dead");
    let listed = world.run(&["runs", "--json"]).json();
    assert_eq!(listed[0]["state"], "waiting", "{listed}");
    let id = listed[0]["run"].as_str().expect("an id").to_owned();
    let ran = approve_all(&world, &id);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("64 messages"), "{ran:?}");
    // The plan was made once, whatever died.
    let events = world.run(&["runs", "export", &id]).out;
    let lines = events.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let n_plans =
        lines.filter(|line| line["event"]["kind"] == "model_replied" && line["task"] == "plan");
    assert_eq!(n_plans.count(), 1);
}

#[test]
fn what_is_kept_and_what_is_approved_can_be_configured() {
    let world = World::new();
    let ran = world.run(&["ask", CAPACITY, "--corpus", "docs", "--durability", "ephemeral"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!ran.err.contains("GR0511"), "it was asked for: {ran:?}");
    assert_eq!(world.run(&["runs"]).out, "no runs\n");
    world.run(&[&ASK[..], &["--durability", "ephemeral"]].concat()).is_refused(3, "GR0416");
    let ran = world.run(&["ask", CAPACITY, "--corpus", "docs", "--durability", "relaxed"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(world.run(&["runs"]).out.contains("completed"));

    world.file("greenroom.toml", "durability = \"relaxed\"\n[tools]\napprove = [\"search\"]\n");
    let shown = world.run(&["config"]).out;
    assert!(shown.contains("durability         relaxed  (greenroom.toml:1)"), "{shown}");
    assert!(shown.contains("to be approved     search  (greenroom.toml:3)"), "{shown}");
    assert_eq!(world.run(&["ask", CAPACITY, "--corpus", "docs"]).code, Some(5));
    for (toml, says) in [
        ("durability = \"solid\"", "`durability` is to be one of durable, relaxed, ephemeral"),
        ("[tools]\napprove = [\"pay\"]", "`tools.approve` is to be a list of some of search"),
        ("[tools]\naprove = []", "did you mean `approve`?"),
    ] {
        world.file("greenroom.toml", toml);
        let ran = world.run(&["config"]);
        assert!(ran.code == Some(3) && ran.err.contains(says), "{ran:?}");
    }
    assert_eq!(world.run(&["ask", "why?", "--corpus", "docs", "--approve", "pay"]).code, Some(2));
}

/// A price that is not known is told as such.
#[test]
fn the_list_of_runs_tells_what_they_cost_as_far_as_that_is_known() {
    let (world, server) = (
        World::new(),
        ProviderServer::answering(|_| {
            let usage = Usage { input_tokens: 1_000, output_tokens: 0, ..Usage::default() };
            Answer::text("no").usage(usage)
        }),
    );
    let model = format!("{}#m", server.url("/v1"));
    let row = |n: usize| world.run(&["runs", "--json"]).json()[n]["usage"].clone();
    world.run(&["ask", CAPACITY, "--corpus", "docs", "--model", &model]);
    assert_eq!(row(0)["cost_usd"], Value::Null);
    assert!(world.run(&["runs"]).out.contains("  unknown  "));
    world.file("greenroom.toml", format!("[prices.\"{model}\"]\ninput = 2000\noutput = 0\n"));
    world.run(&["ask", CAPACITY, "--corpus", "docs", "--model", &model]);
    let (calls, cost) = (row(0)["model_calls"].as_u64(), row(0)["cost_usd"].as_f64());
    assert_eq!(cost, calls.map(|calls| 2.0 * calls as f64));
    let shown = format!("${:.2}", cost.expect("it is known"));
    assert!(world.run(&["runs"]).out.contains(&shown), "{shown}");
    // What costs nothing is known to.
    world.run(&["ask", CAPACITY, "--corpus", "docs"]);
    assert!(world.run(&["runs"]).out.contains("  $0  "));
}

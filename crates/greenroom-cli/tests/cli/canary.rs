//! One key through everything that the binary writes: its two streams in every command, and its store.

use std::fs;
use std::path::Path;

use greenroom_testkit::provider::{Answer, ProviderServer, Received};

use super::models::{KEY, team};
use super::{CAPACITY, Ran, World};

/// The parts of the key that nothing but the key holds.
const CANARIES: [&str; 2] = ["canary", "0123456789abcdef"];

#[track_caller]
fn check_clean(what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for canary in CANARIES {
        let at =
            text.find(canary).map(|at| &text[text.floor_char_boundary(at.saturating_sub(200))..]);
        let found = at.map(|text| text.chars().take(300).collect::<String>());
        assert_eq!(found, None, "{what}");
    }
}

/// Runs a command with the key in the environment, at the most talkative, and checks what it says.
#[track_caller]
fn run(world: &World, url: &str, args: &[&str]) -> Ran {
    let mut command = world.command(args);
    command.env("OPENAI_API_KEY", KEY).env("OPENAI_BASE_URL", url).env("RUST_LOG", "trace");
    let output = command.output().expect("it can be run");
    check_clean(&format!("{args:?}: standard output"), &output.stdout);
    check_clean(&format!("{args:?}: standard error"), &output.stderr);
    Ran::from(output)
}

fn check_files(folder: &Path) -> usize {
    let mut n_files = 0;
    for entry in fs::read_dir(folder).expect("it can be listed") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            n_files += check_files(&path);
        } else {
            check_clean(&path.display().to_string(), &fs::read(&path).expect("it can be read"));
            n_files += 1;
        }
    }
    n_files
}

/// A provider that brings the key back wherever it can: as a header, in a refusal, in a page.
fn echoes(request: &Received, n_asked: usize) -> Answer {
    match n_asked {
        // The first run is answered, so that there is one to look at.
        0..=3 => team(request).header("x-request-id", KEY),
        4 | 5 => Answer::refusal(401, KEY, format!("Incorrect API key provided: {KEY}")),
        6 | 7 => Answer::raw(502, "text/html", format!("<html>Bearer {KEY}</html>")),
        _ => Answer::refusal(400, "", format!("{{\"x-api-key\":\"{KEY}\"}}")),
    }
}

#[test]
fn sec_g_a_key_is_in_no_output_of_the_binary_and_not_in_its_store() {
    let world = World::new();
    world.file("greenroom.toml", "tries = 1\n");
    let n_asked = std::sync::atomic::AtomicUsize::new(0);
    let server = ProviderServer::answering(move |request| {
        echoes(request, n_asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst))
    });
    let url = server.url("/v1");
    let ask = ["ask", CAPACITY, "--corpus", "docs", "--model", "openai:gpt-5", "--json"];
    let answered = run(&world, &url, &ask);
    assert_eq!(answered.code, Some(0), "{answered:?}");
    let id = answered.json()["run_id"].as_str().expect("there was a run").to_owned();
    for _ in 0..3 {
        let failed = run(&world, &url, &ask);
        assert_ne!(failed.code, Some(0), "{failed:?}");
        assert!(failed.json()["error"]["code"].is_string(), "{failed:?}");
    }
    let runs = run(&world, &url, &["runs", "--json"]).json();
    let runs = runs.as_array().expect("a list").clone();
    assert_eq!(runs.len(), 4, "{runs:?}");
    for id in runs.iter().map(|run| run["run"].as_str().expect("an id")) {
        for command in ["show", "replay", "export"] {
            let told = run(&world, &url, &["runs", command, id]);
            assert!(told.code == Some(0) && !told.out.is_empty(), "{told:?}");
        }
        assert!(run(&world, &url, &["runs", "show", id, "--json"]).out.contains(id));
        assert!(run(&world, &url, &["runs", "replay", id, "--json"]).out.contains("status"));
    }
    let fork = run(&world, &url, &["runs", "fork", &id, "--at", "3", "--json"]).json();
    let fork = fork["run"].as_str().expect("it has an id").to_owned();
    let resumed =
        ["ask", "--resume", &fork, "--corpus", "docs", "--model", "openai:gpt-5", "--json"];
    run(&world, &url, &resumed);
    run(&world, &url, &["runs", "cancel", &fork, "--json"]);
    run(&world, &url, &["runs", "purge", "--older-than", "1w", "--json"]);
    let config = run(&world, &url, &["config", "--model", "openai:gpt-5"]);
    assert!(config.out.contains("set  (from OPENAI_API_KEY)"), "{config:?}");
    // The key was really sent, and really came back.
    let sent = server.requests();
    assert!(
        sent.len() >= 8
            && sent.iter().all(|request| {
                request.header("authorization").is_some_and(|value| value.ends_with(KEY))
            })
    );
    assert!(check_files(&world.path().join("data")) >= 2, "the store has files");
}

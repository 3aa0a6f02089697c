//! Runs every example, and looks at what it prints.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The examples are built beside this test, one directory up.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this test is a file");
    let profile = test.parent().and_then(Path::parent).expect("it is in target/PROFILE/deps");
    profile.join("examples").join(name)
}

#[track_caller]
fn check(name: &str, expect: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let output = Command::new(example(name)).current_dir(root).output().expect("it is built");
    let printed = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
    for line in expect {
        assert!(
            printed.lines().any(|printed| printed == *line),
            "{name}: no {line:?} in:\n{printed}"
        );
    }
}

#[test]
fn a_typed_agent_adds() {
    check("typed_agent", &["42"]);
}

#[test]
fn a_model_is_asked_for_a_value() {
    check("structured_output", &["12 boxes for 1 model call"]);
}

#[test]
fn an_agent_uses_the_tools_of_a_server() {
    check("mcp", &["starting sums", "[McpTool(\"sums__add\")]", "42"]);
}

#[test]
fn an_actor_of_ones_own_crashes_comes_back_and_is_asked() {
    check(
        "custom_actor",
        &[
            "42 coins after 2 restarts",
            "dead letters: {\"poison\": 1}",
            "The ledger holds 42 coins.",
        ],
    );
}

#[test]
fn a_pool_survives_what_kills_its_workers() {
    check(
        "pool",
        &[
            "4 and 4 words",
            "given out 2 times, and quarantined: panicked: a zero",
            "2 workers, 0 jobs left",
        ],
    );
}

#[test]
fn a_durable_run_comes_to_its_end() {
    check("durable", &["42"]);
}

#[test]
fn an_embedded_team_answers_from_the_docs() {
    check("embed", &["12% of 64 = 7.68"]);
}

#[test]
fn a_running_system_is_looked_at() {
    check(
        "operations",
        &[
            "ledger: Blocked { message: \"Audit\" }",
            "ledger has ended: shut down",
            "team: ledger Restarting { after: 0ns }",
        ],
    );
}

#[test]
fn a_persistent_actor_has_its_coins_after_a_crash() {
    check("persistent_actor", &["42 coins", "42 coins after 1 restart", "7 coins of Ann's"]);
}

//! Programs that behave badly. Row FI36.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::json;
use tempfile::TempDir;

use super::*;

/// A shell script as a tool, in a directory of its own.
struct Script {
    dir: TempDir,
    tool: ProcessTool,
}

impl Script {
    fn new(script: &str) -> Self {
        let dir = TempDir::new().expect("a directory");
        let tool = ProcessTool::new("script", "Runs a script.", json!({}), "/bin/sh");
        let tool = tool.arg("-c").arg(script).env("PATH", "/usr/bin:/bin").dir(dir.path());
        Self { dir, tool }
    }

    async fn call(&self, arguments: Value) -> Result<String, ToolError> {
        let output = self.tool.call_json(arguments, ToolContext::new("1-1".into(), "key")).await?;
        Ok(output.as_str().expect("it is text").to_owned())
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Completes once something is so.
async fn until(mut is_so: impl FnMut() -> bool) {
    let looking = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), looking).await.expect("it becomes so");
}

/// Ends a group with the test, also with one that fails: whoever waits for the group would wait on.
struct Ended(Pid);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = killpg(self.0, Signal::SIGKILL);
    }
}

/// Whether a process does nothing any more; somebody may still have to reap it.
fn is_gone(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_none_or(|state| state.is_empty() || state.starts_with('Z'))
}

#[tokio::test]
async fn arguments_go_in_and_output_comes_out() {
    let arguments = json!({ "text": "Grüße\n" });
    assert_eq!(Script::new("cat").call(arguments.clone()).await, Ok(arguments.to_string()));
    assert_eq!(Script::new("pwd -P | tail -c 1").call(json!({})).await, Ok("\n".to_owned()));
    // What nobody reads is no error.
    let long = json!({ "text": "x".repeat(1 << 20) });
    assert_eq!(Script::new("echo done").call(long).await, Ok("done\n".to_owned()));
}

#[tokio::test]
async fn nothing_is_inherited_but_what_was_given() {
    let tool = ProcessTool::new("env", "", json!({}), "/usr/bin/env").env("A", "b");
    let said = tool.call_json(json!({}), ToolContext::new("1-1".into(), "key")).await;
    let said = said.expect("it ends well");
    let mut lines: Vec<_> = said.as_str().expect("text").lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["A=b", "IDEMPOTENCY_KEY=key"]);
    assert!(!format!("{tool:?}").contains("\"b\""), "{tool:?}");
}

#[tokio::test]
async fn a_failure_says_how_it_ended_and_the_end_of_what_was_written() {
    for (script, says) in [
        ("echo why >&2; exit 3", "it ended with 3: why"),
        ("exit 1", "it ended with 1"),
        ("kill -9 $$", "it was ended by signal 9"),
        (
            "echo key sk-canary-0123456789abcdef0123 >&2; exit 1",
            "it ended with 1: key sk-[redacted]",
        ),
    ] {
        let error = Script::new(script).call(json!({})).await.expect_err(script);
        assert_eq!((error.kind, error.message.as_str()), (ToolErrorKind::Failed, says));
    }
    let long = Script::new("head -c 1000000 /dev/zero | tr '\\0' x >&2; echo end >&2; exit 1");
    let error = long.call(json!({})).await.expect_err("it fails");
    assert!(error.message.ends_with("xxxend") && error.message.contains(": …x"), "{error}");
    assert!(error.message.len() < COMPLAINT_LEN_MAX + 100);
    let nothing = ProcessTool::new("nothing", "", json!({}), "/nowhere/nothing");
    let error = nothing.call_json(json!({}), ToolContext::new("1-1".into(), "key")).await;
    assert!(error.expect_err("it is not there").message.contains("cannot be run"));
}

#[tokio::test]
async fn fi36_of_a_gibibyte_of_output_no_more_is_kept_than_was_wanted() {
    let mut script = Script::new("exec head -c 1073741824 /dev/zero");
    script.tool = script.tool.output_len_max(1000);
    let said = script.call(json!({})).await.expect("it ends with 0");
    assert_eq!(said, format!("{}… and {} bytes more", "\0".repeat(1000), (1 << 30) - 1000));
}

#[tokio::test]
async fn fi36_a_program_that_heeds_nothing_dies_with_all_that_it_began() {
    let script = Script::new(
        "trap '' TERM INT HUP; (trap '' TERM; sleep 1000 & sleep 1000) & \
         sleep 1000 & echo $$ $! > begun; mv begun pids; exec >&- 2>&-; while :; do wait; done",
    );
    let pids = script.path().join("pids");
    tokio::select! {
        outcome = script.call(json!({})) => panic!("{outcome:?}"),
        () = until(|| pids.exists()) => {}
    }
    let pids = fs::read_to_string(pids).expect("it is there");
    let group = pids.split_whitespace().next().expect("the leader").parse().expect("a number");
    let group = Ended(Pid::from_raw(group));
    for pid in pids.split_whitespace() {
        until(|| is_gone(pid)).await;
    }
    until(|| killpg(group.0, None).is_err()).await;
}

#[tokio::test]
async fn fi36_what_a_program_leaves_behind_is_ended() {
    let script = Script::new("(trap '' TERM; exec sleep 1000) & echo $!");
    let pid = script.call(json!({})).await.expect("it ends with 0");
    until(|| is_gone(pid.trim())).await;
}

/// It is not killed, as it is in no group of ours; but nobody waits for it.
#[tokio::test]
async fn fi36_a_daemon_that_holds_the_output_open_holds_nothing_up() {
    let script = Script::new(
        "setsid sh -c 'echo $$ > begun; mv begun pid; exec sleep 1000' & \
         while [ ! -e pid ]; do :; done; echo done",
    );
    assert_eq!(script.call(json!({})).await, Ok("done\n".to_owned()));
    let pid = fs::read_to_string(script.path().join("pid")).expect("it is there");
    let pid = Pid::from_raw(pid.trim().parse().expect("a number"));
    nix::sys::signal::kill(pid, Signal::SIGKILL).expect("it lives");
}

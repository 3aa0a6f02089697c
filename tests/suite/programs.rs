//! Programs as tools of agents: whatever cuts a call off, nothing of the program is left. Row FI36.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use greenroom_core::message::{Message, ToolCall, ToolOutcome};
use greenroom_core::model::ChatReply;
use greenroom_core::report::TaskFailureKind;
use greenroom_core::tool::{EffectClass, ToolErrorKind};
use greenroom_runtime::{AgentOutcome, Run};
use greenroom_testkit::{ScriptedModel, ScriptedReply};
use greenroom_tools::ProcessTool;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{end, runtime};

const TOOL_TIMEOUT: Duration = Duration::from_secs(500);
/// How long the machine is given for what takes it a moment.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that heeds no signal, like the one that it begins. It tells the numbers of both.
const STUBBORN: &str = "trap '' TERM INT HUP; (trap '' TERM INT HUP; exec sleep 1000) & \
    echo $$ $! > begun; mv begun pids; while :; do wait; done";

/// Has an agent call the program, and cuts that off once the program is there. Gives what came of the run and what the
/// model was told of the call; of the program, nothing is left.
async fn cut_off(cut: impl AsyncFnOnce(&Run<AgentOutcome>)) -> (AgentOutcome, Vec<ToolOutcome>) {
    let dir = TempDir::new().expect("a directory");
    let tool = ProcessTool::new("stubborn", "Goes on and on.", json!({}), "/bin/sh");
    let tool = tool.arg("-c").arg(STUBBORN).env("PATH", "/usr/bin:/bin").dir(dir.path());
    let call = ToolCall { id: "1".into(), name: "stubborn".into(), arguments: json!({}) };
    let model = ScriptedModel::new([ChatReply::calls([call]).into(), ScriptedReply::text("done")]);
    let asked = model.calls();
    let runtime = runtime().await;
    let agent = runtime.agent("clerk").model(model).tool(tool.effect(EffectClass::ReadOnly));
    let agent = agent.tool_timeout(TOOL_TIMEOUT).build().expect("complete");
    let run = agent.start("go").await.expect("it starts");
    let pids = dir.path().join("pids");
    until(|| pids.exists()).await;
    let pids = fs::read_to_string(pids).expect("it is there");
    let pids: Vec<_> = pids.split_whitespace().map(str::to_owned).collect();
    assert_eq!(pids.len(), 2);
    let _group = Ended(pids[0].clone());
    cut(&run).await;
    let outcome = run.outcome().await;
    for pid in &pids {
        until(|| is_gone(pid)).await;
    }
    end(runtime).await;
    let told = asked.requests().into_iter().flat_map(|request| request.messages.to_vec());
    let told = told.filter_map(|message| match message {
        Message::Tool { outcome, .. } => Some(outcome),
        _ => None,
    });
    (outcome, told.collect())
}

/// Ends a process group with the test, also with one that fails: whoever waits for the group would wait on.
struct Ended(String);

impl Drop for Ended {
    fn drop(&mut self) {
        let kill = format!("kill -9 -{}", self.0);
        let _ = Command::new("/bin/sh").args(["-c", &kill]).stderr(Stdio::null()).status();
    }
}

/// Completes once something is so. What it waits for is no timer's: it may be looked at all the time.
async fn until(mut is_so: impl FnMut() -> bool) {
    let looking = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("it becomes so");
}

/// Whether a process does nothing any more; somebody may still have to reap it.
fn is_gone(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_none_or(|state| state.is_empty() || state.starts_with('Z'))
}

#[tokio::test]
async fn fi36_of_a_program_whose_time_is_over_nothing_is_left() {
    let (outcome, told) = cut_off(async |_| {
        // The program needs the time of the machine, and its time limit that of a test.
        tokio::time::pause();
        tokio::time::advance(TOOL_TIMEOUT).await;
        tokio::time::resume();
    })
    .await;
    assert_eq!(outcome.expect("an answer").text, "done");
    let [ToolOutcome::Error(error)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(error.kind, ToolErrorKind::TimedOut);
}

#[tokio::test]
async fn fi36_of_a_program_whose_run_is_cancelled_nothing_is_left() {
    let (outcome, told) = cut_off(async |run| run.cancel()).await;
    assert_eq!(outcome.expect_err("it is cancelled").kind, TaskFailureKind::Cancelled);
    assert_eq!(told, []);
}

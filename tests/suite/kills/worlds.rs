//! What the world does to a process beside killing it: its clock jumps, its disk has a limit.

use std::process::Command;
use std::time::Duration;

use greenroom_core::budget::Budget;
use greenroom_core::journal::MemoryJournal;
use greenroom_core::recovery::RecoverySpec;
use greenroom_runtime::{Agent, Runtime};
use greenroom_testkit::kills::{Witness, inquest};
use greenroom_testkit::{ScriptedModel, ScriptedReply, ScriptedTool};
use tokio::time::Instant;

use super::workflows::Workflow;
use super::{FAILED, Scene};
use crate::recovery::{call, process, runtime, unfinished};
use crate::support::busy;

const HOUR: u64 = 3_600;

fn clerk(runtime: &Runtime, witness: &Witness, model: &ScriptedModel) -> Agent {
    let budget = Budget { wall_max: Duration::from_secs(2 * HOUR), ..Budget::default() };
    let agent = runtime.agent("clerk").model(witness.model(model.clone())).budget(budget);
    agent.tool(witness.tool(ScriptedTool::echo("pay"))).build().expect("complete")
}

/// D9: the clock of the next process is an hour wrong, in one direction or the other. What is completed stays
/// so, a wait is not an hour longer, and the run ends as it would have.
#[test]
fn d9_a_clock_that_jumps_while_a_process_is_down_repeats_and_times_out_nothing() {
    for begins_at in [9 * HOUR, 11 * HOUR] {
        let (journal, witness) = (MemoryJournal::new(), Witness::in_memory());
        let busy = ScriptedReply::from(busy(Duration::from_secs(60)));
        let model = ScriptedModel::new([
            ScriptedReply::calls([call("pay", 1)]),
            busy,
            ScriptedReply::text("done"),
        ]);
        process(async {
            let life = witness.born(&journal).await.expect("memory answers");
            let runtime = runtime(journal.clone(), 1, 10 * HOUR).await;
            let run = clerk(&runtime, &life, &model).start("go").await.expect("accepted");
            life.accepted(run.id());
            // It waits for the provider, of which it has waited a half.
            tokio::time::sleep(Duration::from_secs(30)).await;
        });
        let run = unfinished(&journal)[0];
        process(async {
            let life = witness.born(&journal).await.expect("memory answers");
            let runtime = runtime(journal.clone(), 2, begins_at).await;
            let clerk = clerk(&runtime, &life, &model);
            let begun = Instant::now();
            runtime.recover(RecoverySpec::default()).await.expect("a round ends");
            let run = clerk.attach(run).await.expect("memory answers").expect("it is known");
            let report = run.outcome().await.expect("an answer");
            life.answered(run.id(), report.text);
            assert!(begun.elapsed() <= Duration::from_secs(61), "{:?}", begun.elapsed());
            runtime.shutdown().await;
            assert_eq!(inquest(&witness, &journal, None).await, []);
        });
        assert_eq!(model.calls().n_begun(), 3);
    }
}

/// D4, with a real system: it refuses to let a file grow. The process fails and says how, and the next one, which
/// may write, goes on with what was confirmed.
#[test]
fn d4_a_process_whose_files_may_not_grow_fails_and_loses_nothing() {
    let calm = Scene::calm(Workflow::Agent);
    let mut scene = Scene::new(Workflow::Agent, 2);
    let mut shell = Command::new("sh");
    // Half-kilobytes, of which the log of a new journal has fewer, and that of two runs more.
    let limited = r#"ulimit -f 200; trap "" XFSZ; exec "$0" "$@""#;
    shell.args(["-c", limited]).arg(std::env::current_exe().expect("this binary has a path"));
    let ended = scene.spawn_as(shell, None).wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(FAILED), "{said}");
    assert!(said.contains("Fatal"), "{said}");
    assert!(scene.live(None).success());
    scene.check(&calm, "a limit");
}

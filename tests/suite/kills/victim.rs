//! A process to be killed: a workflow with a durable journal, whose witness writes a file that outlives the
//! process. Whoever kills it reads the file.
//!
//! It is the binary of this suite, started again with a word about itself in its environment. At its point,
//! for example `after-store:7`, it ends itself without a chance to clean up.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use greenroom_journal::SqliteJournal;
use greenroom_runtime::Runtime;
use greenroom_testkit::kills::{PointedJournal, Points, Witness};

use super::workflows::{Pace, Workflow};

/// What the victim is told by its environment: a folder, a workflow, how many runs, and its point.
pub(super) const TOLD: &str = "GREENROOM_VICTIM";

/// Where its journal is.
pub(super) fn store(folder: &Path) -> PathBuf {
    folder.join("store")
}

/// Where its witness writes.
pub(super) fn witness(folder: &Path) -> Witness {
    Witness::in_file(folder.join("witness"))
}

/// The life of a victim; nothing at all in a run of the suite.
#[test]
fn lives() {
    let Some(told) = super::told::<String>(TOLD) else { return };
    let mut told = told.split('|');
    let folder = PathBuf::from(told.next().expect("a folder"));
    let workflow = told.next().and_then(Workflow::named).expect("a workflow");
    let n_runs = told.next().and_then(|n_runs| n_runs.parse().ok()).expect("a number of runs");
    let point = told.next().and_then(|point| point.split_once(':'));
    let points = point.map(|(point, n)| Points::ending_at(point, n.parse().expect("a number")));
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build();
    let lived = live(&folder, workflow, n_runs, points.unwrap_or_default());
    let lived = tokio.expect("a runtime starts").block_on(lived);
    lived.expect("the victim comes to its end");
}

async fn live(
    folder: &Path,
    workflow: Workflow,
    n_runs: usize,
    points: Points,
) -> Result<(), Box<dyn Error>> {
    let journal = PointedJournal::new(SqliteJournal::open(store(folder))?, points.clone());
    let witness = witness(folder).ending(points).born(&journal).await?;
    let runtime = Runtime::builder().journal(journal).start().await?;
    workflow.live(&runtime, &witness, Pace::of(Duration::from_millis(5)), n_runs).await?;
    runtime.shutdown().await;
    Ok(())
}

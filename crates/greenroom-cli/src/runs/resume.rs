//! `runs resume`: unfinished runs are continued, each with what it began with.

use std::path::{Path, PathBuf};

use greenroom_core::journal::{Journal as _, Runs};
use greenroom_core::recovery::{Footprint, Owner};
use greenroom_core::time::Clock as _;
use greenroom_runtime::SystemClock;

use super::answer::over;
use super::stored::Stored;
use crate::args::{ResumeArgs, Sources};
use crate::ask::{Resumed, conclude_followed, resumed, told};
use crate::config::Config;
use crate::console::Console;
use crate::exit::{Exit, Failure, Problem};
use crate::models::Models;
use crate::session::{Session, corpora_of};
use crate::watch::{Followed, Waiting};

/// Continues a run, or all that are unfinished, one after the other. The exit status is that of the first
/// one that did not complete.
pub(super) async fn resume(
    (dir, store): (&Path, Option<&Path>),
    args: &ResumeArgs,
    json: bool,
    console: &Console,
) -> Result<Exit, Failure> {
    let mut exit = Exit::Ok;
    let runs = wanted(dir, args).await?;
    if runs.is_empty() {
        console.note("there is no unfinished run");
    }
    let is_alone = runs.len() == 1;
    for run in runs {
        if !is_alone {
            console.note(&format!("run {}: {}", run.head.run.short(), run.question()));
        }
        let ended = match one(&run, store, args, console).await {
            Ok(followed) => conclude_followed(&followed, store, json, console)?,
            // One that cannot be continued does not keep the others from it.
            Err(failure) if matches!(failure, Failure::Problem(_)) && !is_alone => {
                told(&failure, json, console)?;
                failure.report(console)
            }
            Err(failure) => {
                told(&failure, json, console)?;
                return Err(failure);
            }
        };
        if matches!(ended, Exit::Interrupted | Exit::Terminated) {
            return Ok(ended);
        }
        exit = if exit == Exit::Ok { ended } else { exit };
    }
    Ok(exit)
}

async fn wanted(dir: &Path, args: &ResumeArgs) -> Result<Vec<Stored>, Failure> {
    if let Some(id) = &args.run {
        let run = Stored::find(dir, id).await?;
        return match run.head.status {
            Some(status) => Err(over(status)),
            None => Ok(vec![run]),
        };
    }
    let mut runs = Vec::new();
    if super::existing(dir) {
        let journal = super::readable(dir)?;
        for head in journal.runs(Runs::Unfinished).await? {
            // What cannot be read is listed by `runs`, and does not keep the others from going on.
            runs.extend(Stored::read(&journal, head).await.ok());
        }
    }
    Ok(runs)
}

async fn one(
    run: &Stored,
    store: Option<&Path>,
    args: &ResumeArgs,
    console: &Console,
) -> Result<Followed, Failure> {
    let id = run.head.run;
    let refused = |why: &str| Problem::new(Exit::Failed, "GR0514", why.to_owned());
    let seen = Footprint::of_root(run.root());
    if !matches!(seen.owner(), Some(Owner::Team(name)) if name == "team") {
        return Err(refused("the run is another program's").into());
    }
    let now = SystemClock::new().now();
    if seen.nap().is_some_and(|nap| nap.until > now) {
        // Nothing has to be started to know that it waits.
        return Ok(Followed::Waits(Waiting { run: id, calls: run.pending() }));
    }
    let corpora =
        if args.corpus.is_empty() { corpora_of(seen.config()) } else { args.corpus.clone() };
    if corpora.is_empty() {
        let problem = refused("the run does not say what it answers from");
        return Err(problem.help("name it with --corpus").into());
    }
    let config = Config::load(&args.models)?;
    let mut keep = config.keep(&args.keep);
    keep.approve.extend(run.approved_tools());
    keep.is_needed = true;
    let sources = Sources { corpora, store: store.map(PathBuf::from) };
    let session = Session::start(&sources, Models::new(&config)?, &keep, console).await?;
    let followed = resumed(&session, Resumed { run: id, rest: seen.time_left(now) }, console).await;
    session.end().await;
    followed
}

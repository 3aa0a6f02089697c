//! `runs resume`: unfinished runs are continued, each with what it began with.

use std::path::Path;

use greenroom_core::journal::{Journal as _, Runs};
use greenroom_core::recovery::{Footprint, Owner};
use greenroom_core::time::Clock as _;
use greenroom_runtime::SystemClock;

use super::answer::over;
use super::stored::Stored;
use crate::args::{KeepArgs, ResumeArgs, Sources};
use crate::ask::{conclude_followed, told};
use crate::config::Config;
use crate::console::Console;
use crate::exit::{Exit, Failure, Problem};
use crate::models::Models;
use crate::session::{Session, approved_in, corpora_of, servers_of};
use crate::watch::{Followed, Nobody, Waiting, follow};

/// What a run goes on with.
pub(crate) struct Means<'a> {
    /// Without corpora, those that the run began with.
    pub(crate) sources: Sources,
    pub(crate) config: &'a Config,
    pub(crate) keep: &'a KeepArgs,
}

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
    let config = Config::load(&args.models)?;
    if runs.is_empty() {
        console.note("there is no unfinished run");
    }
    let is_alone = runs.len() == 1;
    for run in runs {
        if !is_alone {
            console.note(&format!("run {}: {}", run.head.run.short(), run.question()));
        }
        let sources = Sources {
            corpora: args.corpus.clone(),
            store: store.map(Path::to_owned),
            mcp: args.mcp.clone(),
        };
        let means = Means { sources, config: &config, keep: &args.keep };
        let ended = match one(&run, means, console).await {
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

/// Continues a run, with as much of its time as is left, and asks people about what they were to be asked about
/// when it began.
pub(crate) async fn one(
    run: &Stored,
    Means { mut sources, config, keep }: Means<'_>,
    console: &Console,
) -> Result<Followed, Failure> {
    let id = run.head.run;
    let refused = |why: &str| Problem::new(Exit::Failed, "GR0514", why.to_owned());
    let seen = Footprint::of_root(run.root());
    if !matches!(seen.owner(), Some(Owner::Team(name)) if name == "team") {
        return Err(refused("the run is another program's").into());
    }
    let now = SystemClock::new().now();
    if run.head.status.is_none() && seen.nap().is_some_and(|nap| nap.until > now) {
        // Nothing has to be started to know that it waits.
        return Ok(Followed::Waits(Waiting { run: id, calls: run.pending() }));
    }
    if sources.corpora.is_empty() {
        sources.corpora = corpora_of(seen.config());
    }
    if sources.corpora.is_empty() {
        let problem = refused("the run does not say what it answers from");
        return Err(problem.help("name it with --corpus").into());
    }
    if let (None, Some(file)) = (&sources.mcp, servers_of(seen.config())) {
        let why = "the run began with MCP servers, which are started only when they are named";
        return Err(refused(why).help(format!("name them with --mcp {file}")).into());
    }
    let mut keep = config.keep(keep);
    keep.approve.extend(approved_in(seen.config()));
    keep.is_needed = true;
    let session = Session::start(&sources, Models::new(config)?, &keep, console).await?;
    let followed = match session.resume(id).await {
        Ok(run) => follow(&session, run, seen.time_left(now), console, &mut Nobody).await,
        Err(failure) => Err(failure),
    };
    session.end().await;
    followed
}

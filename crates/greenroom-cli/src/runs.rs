//! `greenroom runs`: what the journal holds of runs, and what can be done with it.

mod answer;
mod asked;
mod cancel;
mod fork;
mod list;
mod replay;
mod resume;
mod stored;
mod timeline;

use std::path::{Path, PathBuf};

use greenroom_core::approval::Decision;
use greenroom_core::ids::RunId;
use greenroom_core::journal::{Journal as _, JournalError, JournalErrorKind, RunHead, Runs};
use greenroom_core::report::Status;
use greenroom_core::time::{Clock as _, Timestamp};
use greenroom_journal::SqliteJournal;
use greenroom_runtime::{Runtime, SystemClock};
use serde::Serialize;

use crate::args::{RunsArgs, RunsCommand};
use crate::console::Console;
use crate::exit::{Exit, Failure, Problem, chain};
use crate::paths;
use crate::render::{count, json_line};
pub(crate) use asked::{Asked, text as asked_text};
pub(crate) use resume::{Means, one as resume_one};
use stored::Stored;

/// Does what was asked of the runs of a store.
pub(crate) async fn runs(args: RunsArgs, console: &Console) -> Result<Exit, Failure> {
    let RunsArgs { store, json, limit, command } = args;
    let dir = journal_dir(store.as_deref()).ok_or_else(nowhere)?;
    let now = SystemClock::new().now();
    let place = (dir.as_path(), store.as_deref());
    let text = match command {
        Some(RunsCommand::Approve(args)) => {
            answer::answer(place, &args, Decision::Approved, json).await?
        }
        Some(RunsCommand::Deny { answer, reason }) => {
            answer::answer(place, &answer, Decision::Denied { why: reason }, json).await?
        }
        Some(RunsCommand::Resume(args)) => {
            return resume::resume(place, &args, json, console).await;
        }
        None => list::list(&dir, limit, json, now).await?,
        Some(RunsCommand::Show { run }) => timeline::show(place, &run, json, now).await?,
        Some(RunsCommand::Export { run }) => timeline::export(&dir, &run).await?,
        Some(RunsCommand::Replay { run, to }) => replay::replay(&dir, &run, to, json).await?,
        Some(RunsCommand::Fork { run, at }) => fork::fork(&dir, &run, at, json, now).await?,
        Some(RunsCommand::Cancel { run }) => cancel::cancel(&dir, &run, json).await?,
        Some(RunsCommand::Purge { older_than }) => {
            let age = u64::try_from(older_than.as_millis()).unwrap_or(u64::MAX);
            let before = Timestamp::from_millis(now.as_millis().saturating_sub(age));
            purge(&dir, before, json).await?
        }
    };
    console.out(&text)?;
    Ok(Exit::Ok)
}

/// Where the journal of a store is; `None` when the user has no home.
pub(crate) fn journal_dir(store: Option<&Path>) -> Option<PathBuf> {
    store.map(Path::to_owned).or_else(paths::store_dir).map(|store| store.join("journal"))
}

async fn purge(dir: &Path, before: Timestamp, json: bool) -> Result<String, Failure> {
    #[derive(Serialize)]
    struct Purged {
        n_purged: usize,
    }
    let n_purged = match existing(dir) {
        true => owned(dir)?.purge(before).await?,
        false => 0,
    };
    Ok(match json {
        true => json_line(&Purged { n_purged }),
        false => format!("{} deleted\n", count(n_purged as u64, "run")),
    })
}

/// Whether there is a journal to look into. An empty file is what is left of one that could not be made; and what
/// cannot be told is for the journal to say.
fn existing(dir: &Path) -> bool {
    match std::fs::metadata(dir.join("journal.db")) {
        Ok(file) => file.len() > 0,
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

/// The journal, to look into.
fn readable(dir: &Path) -> Result<SqliteJournal, JournalError> {
    SqliteJournal::open_for_reading(dir)
}

/// The journal, to write into.
fn owned(dir: &Path) -> Result<SqliteJournal, JournalError> {
    SqliteJournal::open(dir)
}

/// A runtime over the journal that works on nothing: it tells runs that nobody has at work.
async fn idle(dir: &Path) -> Result<Runtime, Failure> {
    let started = Runtime::builder().journal(owned(dir)?).start().await;
    started.map_err(|error| Problem::new(Exit::Config, "GR0105", chain(&error)).into())
}

/// A run by the beginning of its id, or the newest one that is unfinished.
pub(crate) async fn unfinished(store: Option<&Path>, id: &str) -> Result<Stored, Failure> {
    let dir = journal_dir(store).ok_or_else(nowhere)?;
    let journal = readable(&dir)?;
    let head = if id.is_empty() {
        let newest = journal.runs(Runs::Unfinished).await?.pop();
        let none = || Problem::new(Exit::Usage, "GR0512", "there is no unfinished run");
        newest.ok_or_else(|| none().help("`greenroom runs` lists them all"))?
    } else {
        find(&dir, &journal, id).await?
    };
    Ok(Stored::read(&journal, head).await?)
}

/// The one run whose id begins like that.
async fn find(dir: &Path, journal: &SqliteJournal, id: &str) -> Result<RunHead, Failure> {
    let unknown = |why: String| Problem::new(Exit::Usage, "GR0512", why);
    let runs = journal.runs(Runs::Newest(usize::MAX)).await?;
    let mut found = runs.into_iter().filter(|head| head.run.to_string().starts_with(id));
    match (found.next(), found.next()) {
        (Some(head), None) => Ok(head),
        (Some(_), Some(_)) => {
            let why = format!("several runs begin with {id}");
            Err(unknown(why).help("give more digits of the id").into())
        }
        (None, _) => {
            let why = format!("there is no run {id} in {}", dir.display());
            Err(unknown(why).help("`greenroom runs` lists them").into())
        }
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        let problem = Problem::new(Exit::Config, error.kind.code(), error.to_string());
        match error.kind {
            JournalErrorKind::Locked => {
                problem.help("end that process, or choose another store with --store").into()
            }
            _ => problem.into(),
        }
    }
}

pub(crate) fn nowhere() -> Failure {
    let problem = Problem::new(Exit::Config, "GR0502", "there is no place for runs: no home");
    problem.help("name a directory with --store").into()
}

/// A run as printed commands name it: by more digits than people need to tell runs apart.
pub(crate) fn named(run: RunId) -> String {
    run.to_string()[..8].to_owned()
}

/// How far a run is.
fn state(status: Option<Status>) -> String {
    status.map_or("unfinished".to_owned(), |status| status.to_string())
}

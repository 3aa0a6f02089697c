//! A team with its corpus, model and tools, started side by side, ready to be asked.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use greenroom_core::approval::PendingCall;
use greenroom_core::ids::RunId;
use greenroom_core::recovery::Config as TeamConfig;
use greenroom_core::report::Outcome;
use greenroom_core::tool::{Approval, DynTool};
use greenroom_journal::{Durability, SqliteJournal, SqliteOptions};
use greenroom_retrieval::{
    Corpus, CorpusError, CorpusErrorKind, CorpusOptions, IngestReport, Progress, ProgressSnapshot,
};
use greenroom_runtime::{DrainReport, Run, Runtime, StartError, SystemClock, Team};
use greenroom_tools::{CalculateTool, DateTool, ReadFileTool};
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::Sources;
use crate::config::{Keep, MCP, Role, TOOLS};
use crate::console::Console;
use crate::exit::{Exit, Failure, Problem, chain};
use crate::models::Models;
use crate::paths;
use crate::render::count;
use crate::runs::{journal_dir, nowhere};
use crate::servers;
use crate::signals::Signals;

/// How often the progress of indexing is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long a run may go on when the process is asked to end. Many who ask wait for ten seconds.
pub(crate) const DRAIN_MAX: Duration = Duration::from_secs(8);

/// How long an orderly end may take; what is left then ends with the process.
const END_MAX: Duration = Duration::from_secs(2);

/// The part of a team's configuration that says where it answers from; each has a number.
const CORPUS: &str = "corpus";

/// The part that says that every call of an MCP server waits for a person.
const APPROVAL_OF_SERVERS: &str = "approval of mcp";

/// The tool that reads files of the corpus.
const READ_FILE: &str = "read_file";

/// A running team.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) team: Team,
    pub(crate) models: Models,
    corpus: Arc<OnceLock<Corpus>>,
    runtime: Runtime,
}

impl Session {
    /// Starts everything, and tells what had to be worked around. Ctrl-C gives up.
    pub(crate) async fn start(
        sources: &Sources,
        models: Models,
        keep: &Keep,
        console: &Console,
    ) -> Result<Self, Failure> {
        let journal = journal(sources, keep, console)?;
        let runtime = Runtime::builder().journal(journal).start().await;
        let runtime = runtime.map_err(|error| not_started(&error))?;
        match start_team(&runtime, sources, &models, keep, console).await {
            Ok((team, corpus)) => Ok(Self { team, models, corpus, runtime }),
            Err(failure) => {
                end(&runtime).await;
                Err(failure)
            }
        }
    }

    /// Continues a run of another process, which has died.
    pub(crate) async fn resume(&self, run: RunId) -> Result<Run<Outcome>, Failure> {
        let refused = |why: String| Problem::new(Exit::Failed, "GR0514", why);
        let resumed = self.runtime.resume(run).await;
        resumed.map_err(|error| refused(chain(&error)))?;
        match self.team.attach(run).await {
            Ok(Some(run)) => Ok(run),
            Ok(None) => Err(refused("the run is another team's".to_owned()).into()),
            Err(error) => Err(refused(chain(&error)).into()),
        }
    }

    /// How many searches went by words alone although there are vectors, and why the last one did.
    pub(crate) fn without_vectors(&self) -> (u64, String) {
        let (n_searches, why) = self.corpus.get().map(Corpus::without_vectors).unwrap_or_default();
        (n_searches, why.map(|why| why.message).unwrap_or_default())
    }

    /// The calls of a run that wait for a person.
    pub(crate) async fn pending(&self, run: RunId) -> Vec<PendingCall> {
        // What cannot be read now is shown by `runs show` later.
        self.runtime.pending(run).await.unwrap_or_default()
    }

    /// Everything that runs, as a tree of text.
    pub(crate) async fn tree(&self) -> String {
        self.runtime.tree().await.to_string()
    }

    /// Lets what is under way end, and leaves the rest to the next process.
    pub(crate) async fn drain(&self) -> DrainReport {
        self.runtime.drain(DRAIN_MAX).await
    }

    /// Ends everything in an orderly way, if that is soon done.
    pub(crate) async fn end(self) {
        end(&self.runtime).await;
    }
}

/// The journal of the store; when it cannot be had and need not be, one in memory, and a notice.
fn journal(sources: &Sources, keep: &Keep, console: &Console) -> Result<SqliteJournal, Failure> {
    if keep.durability == Durability::Ephemeral {
        return if keep.is_needed { Err(not_kept()) } else { Ok(in_memory()) };
    }
    let Some(dir) = journal_dir(sources.store.as_deref()) else {
        return if keep.is_needed { Err(nowhere()) } else { Ok(in_memory()) };
    };
    match SqliteOptions::new(dir).durability(keep.durability).open() {
        Ok(journal) => Ok(journal),
        Err(error) if keep.is_needed => Err(error.into()),
        Err(error) => {
            let (code, why) = (error.kind.code(), chain(&error));
            console.notice("GR0511", &format!("what happens is not kept: [{code}] {why}"));
            Ok(in_memory())
        }
    }
}

/// Nobody could answer a run that ends with its process.
fn not_kept() -> Failure {
    let message = "a run that waits for a person must be kept, and ephemeral ones are not";
    let problem = Problem::new(Exit::Config, "GR0416", message);
    problem.help("choose --durability durable or relaxed, or approve no tools").into()
}

fn in_memory() -> SqliteJournal {
    let options = SqliteOptions::new("").durability(Durability::Ephemeral);
    options.open().expect("memory needs no file")
}

async fn end(runtime: &Runtime) {
    // What is left after this time ends with the process.
    let _ = tokio::time::timeout(END_MAX, runtime.shutdown()).await;
}

async fn start_team(
    runtime: &Runtime,
    sources: &Sources,
    models: &Models,
    keep: &Keep,
    console: &Console,
) -> Result<(Team, Arc<OnceLock<Corpus>>), Failure> {
    let mut signals = Signals::new();
    let of_servers = tokio::select! {
        tools = of_servers(sources, console) => tools?,
        signal = signals.next() => return Err(signal.into()),
    };
    let progress = Progress::default();
    let corpus = Arc::new(OnceLock::new());
    let opening = open(sources, models, progress.clone(), Arc::clone(&corpus));
    let mut team = models
        .seat(runtime.team())
        .source_when("documents", opening)
        .tools_when("toolbox", tools(sources.corpora.clone(), of_servers.clone()));
    if let Some(file) = &sources.mcp {
        team = team.part(MCP, absolute(file).to_string_lossy());
    }
    for (n, place) in (1..).zip(&sources.corpora) {
        team = team.part(format!("{CORPUS} {n}"), absolute(place).to_string_lossy());
    }
    for tool in &keep.approve {
        if tool == MCP {
            team = team.part(APPROVAL_OF_SERVERS, "always");
            for tool in &of_servers {
                team = team.approval(tool.spec().name, Approval::always());
            }
            continue;
        }
        // Files are read where there is one directory.
        if tool != READ_FILE || root(&sources.corpora).is_some() {
            team = team.approval(tool, Approval::always());
        }
    }
    let team = team.start();
    let team = tokio::select! {
        team = Box::pin(team) => team.map_err(|error| not_started(&error))?,
        signal = signals.next() => return Err(signal.into()),
        never = show_progress(&progress, console) => match never {},
    };
    if let Some(corpus) = corpus.get() {
        tell(corpus.report(), console);
    }
    Ok((team, corpus))
}

fn open(
    sources: &Sources,
    models: &Models,
    progress: Progress,
    opened: Arc<OnceLock<Corpus>>,
) -> impl Future<Output = Result<Corpus, CorpusError>> + Send + 'static {
    let options = CorpusOptions::new(sources.corpora.iter().cloned()).progress(progress);
    let options = match sources.store.clone().or_else(paths::store_dir) {
        Some(dir) => options.store_dir(dir),
        None => options,
    };
    let options = match models.embedding() {
        Some(embedding) => options.embedding(embedding),
        None => options,
    };
    async move {
        let corpus = Corpus::open(options).await?;
        opened.get_or_init(|| corpus.clone());
        Ok(corpus)
    }
}

/// The tools of the MCP servers that were named.
async fn of_servers(
    sources: &Sources,
    console: &Console,
) -> Result<Vec<Arc<dyn DynTool>>, Failure> {
    match &sources.mcp {
        Some(file) => servers::tools(file, console).await,
        None => Ok(Vec::new()),
    }
}

/// The built-in tools and those of servers. Files can be read when there is one directory that paths can be
/// relative to.
async fn tools(
    corpora: Vec<PathBuf>,
    of_servers: Vec<Arc<dyn DynTool>>,
) -> Result<Vec<Arc<dyn DynTool>>, Infallible> {
    let date = DateTool::with_clock(Arc::new(SystemClock::new()));
    let mut tools: Vec<Arc<dyn DynTool>> = vec![Arc::new(CalculateTool), Arc::new(date)];
    if let Some(root) = root(&corpora) {
        tools.push(Arc::new(ReadFileTool::new(root)));
    }
    tools.extend(of_servers);
    Ok(tools)
}

/// The directory that paths are relative to.
fn root(corpora: &[PathBuf]) -> Option<&PathBuf> {
    match corpora {
        [root] if root.is_dir() => Some(root),
        _ => None,
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Where a run answers from, by what its team was made of.
pub(crate) fn corpora_of(config: &TeamConfig) -> Vec<PathBuf> {
    let corpora = (1..).map_while(|n: u32| config.get(&format!("{CORPUS} {n}")));
    corpora.map(PathBuf::from).collect()
}

/// Which file of MCP servers a run began with, by what its team was made of.
pub(crate) fn servers_of(config: &TeamConfig) -> Option<&str> {
    config.get(MCP)
}

/// The tools whose calls wait for a person in a run, by what its team was made of. Every seat has them all.
pub(crate) fn approved_in(config: &TeamConfig) -> impl Iterator<Item = String> {
    let waits = |tool: &&str| {
        let part = |role: Role| format!("{} approval of {tool}", role.name());
        let is_server = *tool == MCP && config.get(APPROVAL_OF_SERVERS).is_some();
        is_server || Role::ALL.into_iter().any(|role| config.get(&part(role)).is_some())
    };
    TOOLS.into_iter().filter(move |tool| waits(tool)).map(str::to_owned)
}

/// Shows how far indexing is, until it is dropped. Nothing is shown of what is over at once.
async fn show_progress(progress: &Progress, console: &Console) -> Infallible {
    let mut every = tokio::time::interval(LOOK_EVERY);
    // The empty line is for Ctrl-C: see the live tree.
    let style = ProgressStyle::with_template("\n{spinner} {wide_msg}").expect("it is well formed");
    let bar = Bar(console.live().add(ProgressBar::new_spinner().with_style(style)));
    let mut told = String::new();
    loop {
        every.tick().await;
        let now = progress.snapshot();
        let Some((so_far, begun)) = stage(&now).filter(|_| !now.done) else { continue };
        if console.is_live() {
            bar.0.set_message(so_far);
            bar.0.tick();
        } else if told != begun {
            console.note(&begun);
            told = begun;
        }
    }
}

/// What is being done, with how far it is and without; `None` when there is nothing to do.
fn stage(now: &ProgressSnapshot) -> Option<(String, String)> {
    if now.n_to_embed > 0 {
        let so_far = format!("embedding {} of {} passages", now.n_embedded, now.n_to_embed);
        return Some((so_far, format!("embedding {}", count(now.n_to_embed, "passage"))));
    }
    let megabytes = now.bytes_read as f64 / 1e6;
    let so_far = format!("indexing {} of {} files, {megabytes:.1} MB", now.n_read, now.n_to_read);
    (now.n_to_read > 0).then(|| (so_far, format!("indexing {}", count(now.n_to_read, "file"))))
}

/// A bar that goes away with its owner.
struct Bar(ProgressBar);

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn tell(report: &IngestReport, console: &Console) {
    for notice in &report.notices {
        console.notice(notice.code.as_str(), &format!("{notice} ({})", notice.count));
    }
    if report.n_embedded > 0 {
        let cost = report.embedding_usage.cost.map(|cost| format!(" · {cost}"));
        let passages = count(report.n_embedded, "passage");
        let tokens = report.embedding_usage.input_tokens;
        console.note(&format!("embedded {passages} · {tokens} tokens{}", cost.unwrap_or_default()));
    }
    tracing::info!(
        n_files = report.n_files,
        n_passages = report.n_chunks,
        n_read = report.n_read,
        "corpus open"
    );
}

fn not_started(error: &StartError) -> Failure {
    let message = chain(error);
    let Some(corpus) = error.cause.downcast_ref::<CorpusError>() else {
        return Problem::new(Exit::Config, "GR0105", message).into();
    };
    let problem = Problem::new(Exit::Config, corpus.code(), message);
    let help = match corpus.kind() {
        CorpusErrorKind::Missing => "name an existing file or directory with --corpus",
        CorpusErrorKind::Unreadable => "check the permissions; a corpus is a file or a directory",
        CorpusErrorKind::Empty => {
            "a corpus needs text files; hidden files and those in .gitignore do not count"
        }
        CorpusErrorKind::Embedding => {
            "`strict` in [embedder] asks for vectors; without it the search goes by words alone"
        }
        _ => "try an empty directory with --store",
    };
    problem.help(help).into()
}

//! A process to be killed: agents with a durable journal, whose tools write down what they do in a file that
//! outlives the process. Whoever kills it counts the lines.
//!
//! It is the binary of this suite, started again with a folder in its environment: it begins what is missing
//! of so many runs, continues what is not finished, and ends well once everything is. At its point, for example
//! `after-store:7`, it ends itself without a chance to clean up.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use greenroom_core::BoxFuture;
use greenroom_core::ids::{RunId, StreamId};
use greenroom_core::journal::{Journal, JournalError, Recorded, RunHead, Runs};
use greenroom_core::message::{Message, ToolCall};
use greenroom_core::model::{ChatReply, ChatRequest};
use greenroom_core::recovery::RecoverySpec;
use greenroom_core::tool::{ToolContext, ToolError, tool_with};
use greenroom_journal::SqliteJournal;
use greenroom_runtime::{Agent, Runtime};
use greenroom_testkit::ScriptedModel;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

/// Where the process ends itself, when it does.
#[derive(Clone, Default)]
struct Doom {
    point: String,
    at: u64,
    n_passed: Arc<AtomicU64>,
}

impl Doom {
    fn read(text: &str) -> Self {
        let Some((point, at)) = text.split_once(':') else {
            return Self::default();
        };
        Self { point: point.to_owned(), at: at.parse().unwrap_or(0), ..Self::default() }
    }

    /// The process is at a point; it may be the last one.
    fn pass(&self, point: &str) {
        if point == self.point && self.n_passed.fetch_add(1, Ordering::Relaxed) + 1 == self.at {
            std::process::abort();
        }
    }
}

/// A journal with points before and after each append is stored.
struct Doomed {
    inner: SqliteJournal,
    doom: Doom,
}

impl Journal for Doomed {
    fn append(
        &self,
        stream: &StreamId,
        events: Arc<[Recorded]>,
    ) -> BoxFuture<'static, Result<(), JournalError>> {
        self.doom.pass("before-store");
        let (stored, doom) = (self.inner.append(stream, events), self.doom.clone());
        Box::pin(async move {
            let stored = stored.await;
            doom.pass("after-store");
            stored
        })
    }

    fn load(&self, stream: &StreamId) -> BoxFuture<'static, Result<Vec<Recorded>, JournalError>> {
        self.inner.load(stream)
    }

    fn streams(&self, run: RunId) -> BoxFuture<'static, Result<Vec<StreamId>, JournalError>> {
        self.inner.streams(run)
    }

    fn runs(&self, which: Runs) -> BoxFuture<'static, Result<Vec<RunHead>, JournalError>> {
        self.inner.runs(which)
    }
}

/// The file of effects. A line is written in one piece or not at all.
#[derive(Clone)]
struct Effects {
    path: PathBuf,
    doom: Doom,
}

impl Effects {
    fn write(&self, what: &str, which: &str) -> std::io::Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        file.write_all(format!("{what} {which}\n").as_bytes())
    }

    fn make(&self, what: &str, key: &str) -> Result<(), ToolError> {
        self.doom.pass("before-effect");
        let made = self.write(what, key).map_err(|error| ToolError::failed(error.to_string()));
        self.doom.pass("after-effect");
        made
    }

    fn n_accepted(&self) -> usize {
        let mut text = String::new();
        let read = File::open(&self.path).and_then(|mut file| file.read_to_string(&mut text));
        read.map_or(0, |_| text.lines().filter(|line| line.starts_with("accepted ")).count())
    }
}

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

fn call(name: &str) -> ToolCall {
    ToolCall { id: "x".into(), name: name.into(), arguments: json!({}) }
}

/// Three turns: look and put side by side, then pay, then the answer.
fn answer(request: &ChatRequest) -> ChatReply {
    let is_reply = |message: &&Message| matches!(message, Message::Assistant { .. });
    match request.messages.iter().filter(is_reply).count() {
        0 => ChatReply::calls([call("look"), call("put")]),
        1 => ChatReply::calls([call("pay")]),
        _ => ChatReply::text("all done"),
    }
}

fn clerk(runtime: &Runtime, effects: &Effects) -> Result<Agent, Box<dyn Error>> {
    let doing = |name: &'static str| {
        let effects = effects.clone();
        tool_with(name, "Writes a line.", move |Nothing {}, context: ToolContext| {
            let effects = effects.clone();
            async move { effects.make(name, &context.idempotency_key) }
        })
    };
    let model = ScriptedModel::answering(answer).latency(Duration::from_millis(5));
    let agent = runtime.agent("clerk").model(model);
    let agent = agent.tool(doing("look").read_only()).tool(doing("put").idempotent());
    Ok(agent.tool(doing("pay")).build()?)
}

/// What the victim is told by its environment: a folder, how many runs, and its point.
pub(super) const TOLD: &str = "GREENROOM_VICTIM";

#[expect(clippy::disallowed_methods, reason = "a process is told what it is by its environment")]
fn told() -> Option<String> {
    std::env::var(TOLD).ok()
}

/// The life of a victim; nothing at all in a run of the suite.
#[test]
fn lives() {
    let Some(told) = told() else { return };
    let mut told = told.split('|');
    let folder = PathBuf::from(told.next().expect("a folder"));
    let n_runs = told.next().and_then(|n_runs| n_runs.parse().ok()).expect("a number of runs");
    let doom = Doom::read(told.next().unwrap_or_default());
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build();
    let lived = tokio.expect("a runtime starts").block_on(live(folder, n_runs, doom));
    lived.expect("the victim comes to its end");
}

async fn live(folder: PathBuf, n_runs: usize, doom: Doom) -> Result<(), Box<dyn Error>> {
    let effects = Effects { path: folder.join("effects"), doom: doom.clone() };
    let inner = SqliteJournal::open(folder.join("store"))?;
    let runtime = Runtime::builder().journal(Doomed { inner, doom }).start().await?;
    let clerk = clerk(&runtime, &effects)?;
    // A process that dies again and again on purpose is no reason for a quarantine.
    runtime.recover(RecoverySpec::default().boots_max(1_000)).await?;
    for _ in effects.n_accepted()..n_runs {
        let run = clerk.start("go").await?;
        effects.write("accepted", &run.id().to_string())?;
    }
    let mut n_looks = 0;
    while !runtime.journal().runs(Runs::Unfinished).await?.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
        n_looks += 1;
        if n_looks > 12_000 {
            return Err("a minute is over, and a run is not".into());
        }
    }
    for head in runtime.journal().runs(Runs::Newest(usize::MAX)).await? {
        let run = clerk.attach(head.run).await?.ok_or("a run that is over is known")?;
        effects.write("answered", &format!("{} {}", head.run, run.outcome().await?.text))?;
    }
    runtime.shutdown().await;
    Ok(())
}

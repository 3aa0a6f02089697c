//! MCP servers that behave well and badly: what agents make of their tools, and what is left of their programs.
//!
//! The clock stands still as long as a server runs; where time is to pass, a test says so.

mod agents;
mod calls;
mod connecting;
mod orphans;
mod tools;

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use greenroom_core::tool::{DynTool, ToolContext, ToolError};
use greenroom_mcp::{McpClient, McpError, McpServer, McpTool};
use serde_json::{Value, json};
use tempfile::TempDir;

const SERVER: &str = env!("CARGO_BIN_EXE_mcp-server");

/// Where a server notes what it is told.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(TempDir::new().expect("a directory"))
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("notes")
    }

    /// A server with habits.
    fn server(&self, habits: &[&str]) -> McpServer {
        McpServer::command("srv", SERVER).arg(self.file()).args(habits)
    }

    async fn connect(&self, habits: &[&str]) -> McpClient {
        connected(self.server(habits)).await.expect("it connects")
    }

    /// From now on servers describe a tool otherwise.
    fn change(&self) {
        fs::write(self.file().with_extension("changed"), "").expect("it is written");
    }

    fn notes(&self) -> Vec<String> {
        let notes = fs::read_to_string(self.file()).unwrap_or_default();
        notes.lines().map(str::to_owned).collect()
    }

    fn n(&self, note: &str) -> usize {
        self.notes().iter().filter(|noted| *noted == note).count()
    }

    /// Waits for a note.
    async fn noted(&self, note: &str) {
        until(|| self.n(note) > 0).await;
    }

    /// The numbers of processes that noted theirs.
    fn pids(&self, what: &str) -> Vec<String> {
        let notes = self.notes();
        let pids = notes.iter().filter_map(|note| note.strip_prefix(what)?.strip_prefix(' '));
        pids.map(str::to_owned).collect()
    }

    /// Waits until none of the processes that noted their numbers lives.
    async fn deserted(&self) {
        let pids = [self.pids("started"), self.pids("child")].concat();
        until(|| pids.iter().all(|pid| is_gone(pid))).await;
    }
}

/// Completes once something is so.
async fn until(mut is_so: impl FnMut() -> bool) {
    for _ in 0..300_000 {
        if is_so() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never becomes so");
}

/// Whether a process is dead and reaped.
fn is_gone(pid: &str) -> bool {
    !PathBuf::from(format!("/proc/{pid}")).exists()
}

/// Lets time pass.
async fn pass(span: Duration) {
    tokio::time::advance(span).await;
}

async fn connected(server: McpServer) -> Result<McpClient, McpError> {
    soon(server.connect()).await
}

/// Gives up what takes a minute by the clock on the wall, which is the only one that goes on.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    let (done, is_done) = mpsc::channel::<()>();
    let minute =
        move || is_done.recv_timeout(Duration::from_secs(60)) == Err(RecvTimeoutError::Timeout);
    let is_late = tokio::task::spawn_blocking(minute);
    let done = tokio::select! {
        value = work => Ok((value, done)),
        is_late = is_late => Err(is_late),
    };
    done.expect("it does not hang").0
}

async fn call(tool: &McpTool, arguments: Value) -> Result<Value, ToolError> {
    soon(tool.call_json(arguments, ToolContext::new("1-1".into(), "key"))).await
}

/// Calls a tool of the server by the name that it has there.
async fn ask(client: &McpClient, tool: &str) -> Result<Value, ToolError> {
    call(&client.tool(tool).expect("there is one"), json!({ "text": "again" })).await
}

//! Tools that are programs: each call is a process group of its own, of which nothing is left when the call is over.
//!
//! | the program | the call |
//! |---|---|
//! | ends with 0 | gives what it wrote to standard output, as text; what was too long is left out, and said |
//! | ends otherwise | fails, and says with what, and the end of what it wrote to standard error |
//! | leaves others behind in its group | they are killed |
//! | is still there when the call is cut off: it timed out, or was cancelled | its whole group is killed, whatever it does with signals |
//!
//! A program that moves into another group, as daemons do, is not followed there.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use greenroom_core::BoxFuture;
use greenroom_core::redact::redact;
use greenroom_core::tool::{
    Approval, DynTool, EffectClass, ToolContext, ToolError, ToolErrorKind, ToolSpec,
};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe::{Receiver, Sender, pipe};

/// How much of what a program writes to standard error is told of a failure.
const COMPLAINT_LEN_MAX: usize = 2 << 10;
/// How much is read at once.
const PIECE_LEN: usize = 64 << 10;
/// How much a pipe can hold, unless root has raised that.
const PIPE_LEN_MAX: usize = 1 << 20;

/// A program that agents may call. It reads the arguments as JSON from standard input.
///
/// It inherits no environment: what it needs is given by [`env`](Self::env), `PATH` included. The key of the call
/// is in `IDEMPOTENCY_KEY`.
///
/// # Examples
///
/// ```
/// use greenroom_core::tool::EffectClass;
/// use greenroom_tools::ProcessTool;
/// use serde_json::json;
///
/// let schema = json!({ "type": "object", "properties": { "text": { "type": "string" } } });
/// let count = ProcessTool::new("count", "Counts the words of a text.", schema, "/usr/bin/wc")
///     .arg("-w")
///     .effect(EffectClass::ReadOnly);
/// # let _ = count;
/// ```
#[derive(Clone)]
#[must_use]
pub struct ProcessTool {
    spec: ToolSpec,
    approval: Approval,
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: Option<PathBuf>,
    output_len_max: usize,
}

impl ProcessTool {
    /// A tool with a JSON schema of its arguments, and the program that it is.
    pub fn new(
        name: impl Into<String>,
        description: impl Into<String>,
        parameters: Value,
        program: impl Into<OsString>,
    ) -> Self {
        let (name, description) = (name.into(), description.into());
        Self {
            spec: ToolSpec { name, description, parameters, effect: EffectClass::AtMostOnce },
            approval: Approval::none(),
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            dir: None,
            output_len_max: 64 << 10,
        }
    }

    /// Adds an argument of the command line. No model says anything of it.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Runs it in a directory. Default that of this process.
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// What repeating a call would do. The default is the most careful class.
    pub fn effect(mut self, effect: EffectClass) -> Self {
        self.spec.effect = effect;
        self
    }

    /// Which calls need a person's approval. Default none.
    pub fn approval(mut self, approval: Approval) -> Self {
        self.approval = approval;
        self
    }

    /// How many bytes of its output are kept. The rest is read and left out. Default 64 KiB.
    pub fn output_len_max(mut self, n_bytes: usize) -> Self {
        self.output_len_max = n_bytes;
        self
    }

    async fn run(&self, arguments: Value, context: ToolContext) -> Result<Value, ToolError> {
        let input = arguments.to_string();
        let failed = |error: io::Error| {
            let program = self.program.to_string_lossy();
            ToolError::failed(format!("{program:?} cannot be run: {error}"))
        };
        let Running { group, mut stdin, mut stdout, mut stderr } =
            self.start(&context).map_err(failed)?;
        let _kill = KillOnDrop(Arc::clone(&group));
        let ended = tokio::task::spawn_blocking(move || group.wait());
        let mut said = Kept { is_start: true, len_max: self.output_len_max, ..Kept::default() };
        let mut complained = Kept { len_max: COMPLAINT_LEN_MAX, ..Kept::default() };
        let talk = async {
            let write = async {
                // A program that reads nothing is no error.
                let _ = stdin.write_all(input.as_bytes()).await;
                drop(stdin);
            };
            tokio::join!(write, said.read(&mut stdout), complained.read(&mut stderr));
            std::future::pending::<()>().await;
        };
        let status = tokio::select! {
            ended = ended => ended.unwrap_or_else(|panic| Err(io::Error::other(panic))),
            () = talk => unreachable!("it is pending"),
        };
        // Whoever has left the group may hold the pipes open: what is in them now is all that counts.
        said.rest(stdout);
        complained.rest(stderr);
        let status = status.map_err(failed)?;
        if status.success() {
            Ok(Value::String(said.text()))
        } else {
            Err(failure(status, &complained))
        }
    }

    fn start(&self, context: &ToolContext) -> io::Result<Running> {
        let ((stdin, for_stdin), (out, stdout), (err, stderr)) = (pipe()?, pipe()?, pipe()?);
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .env("IDEMPOTENCY_KEY", context.idempotency_key.to_string())
            .stdin(for_stdin.into_blocking_fd()?)
            .stdout(out.into_blocking_fd()?)
            .stderr(err.into_blocking_fd()?)
            .process_group(0);
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        let child = command.spawn()?;
        let group = Arc::new(Group {
            leader: Pid::from_raw(child.id() as i32),
            child: Mutex::new(Some(child)),
        });
        Ok(Running { group, stdin, stdout, stderr })
    }
}

impl DynTool for ProcessTool {
    fn spec(&self) -> ToolSpec {
        self.spec.clone()
    }

    fn approval(&self) -> Approval {
        self.approval.clone()
    }

    fn call_json(
        &self,
        arguments: Value,
        context: ToolContext,
    ) -> BoxFuture<'_, Result<Value, ToolError>> {
        Box::pin(self.run(arguments, context))
    }
}

impl fmt::Debug for ProcessTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Arguments and variables may be secrets.
        f.debug_struct("ProcessTool")
            .field("name", &self.spec.name)
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}

fn failure(status: ExitStatus, complained: &Kept) -> ToolError {
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("it ended with {code}"),
        (None, signal) => format!("it was ended by signal {}", signal.unwrap_or_default()),
    };
    let text = complained.text();
    let message = match redact(text.trim()) {
        text if text.is_empty() => how,
        text => format!("{how}: {text}"),
    };
    ToolError::new(ToolErrorKind::Failed, message)
}

/// A program at work.
struct Running {
    group: Arc<Group>,
    stdin: Sender,
    stdout: Receiver,
    stderr: Receiver,
}

/// A process group, by the program that leads it.
struct Group {
    leader: Pid,
    /// `None` once it is reaped: its number may be another's from then on.
    child: Mutex<Option<Child>>,
}

impl Group {
    /// Waits until the program has ended, and kills what it leaves behind.
    fn wait(&self) -> io::Result<ExitStatus> {
        // It is not reaped here, so that nobody else gets its number before its group is killed.
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        while let Err(errno) = waitid(Id::Pid(self.leader), flags) {
            if errno != nix::errno::Errno::EINTR {
                return Err(errno.into());
            }
        }
        let mut child = self.child();
        let Some(mut ended) = child.take() else { return Err(ErrorKind::NotFound.into()) };
        // Nobody may be left to be killed.
        let _ = killpg(self.leader, Signal::SIGKILL);
        ended.wait()
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Kills a group that is still there.
struct KillOnDrop(Arc<Group>);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // Nobody reaps it meanwhile.
        let child = self.0.child();
        if child.is_some() {
            let _ = killpg(self.0.leader, Signal::SIGKILL);
        }
    }
}

/// As much of a stream as is kept: its start, or else its end.
#[derive(Default)]
struct Kept {
    is_start: bool,
    len_max: usize,
    bytes: Vec<u8>,
    n_left_out: usize,
}

impl Kept {
    /// Reads to the end.
    async fn read(&mut self, from: &mut Receiver) {
        let mut piece = vec![0; PIECE_LEN];
        while let Ok(n @ 1..) = from.read(&mut piece).await {
            self.push(&piece[..n]);
        }
    }

    /// Reads what is there, and no more than a pipe holds.
    fn rest(&mut self, from: Receiver) {
        let Ok(mut from) = from.into_nonblocking_fd().map(File::from) else { return };
        let mut piece = vec![0; PIECE_LEN];
        for _ in 0..PIPE_LEN_MAX / PIECE_LEN {
            let Ok(n @ 1..) = from.read(&mut piece) else { return };
            self.push(&piece[..n]);
        }
    }

    fn push(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
        let n_more = self.bytes.len().saturating_sub(self.len_max);
        if self.is_start {
            self.bytes.truncate(self.len_max);
        } else {
            self.bytes.drain(..n_more);
        }
        self.n_left_out += n_more;
    }

    fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        match self.n_left_out {
            0 => text.into_owned(),
            n if self.is_start => format!("{text}… and {n} bytes more"),
            _ => format!("…{text}"),
        }
    }
}

#[cfg(test)]
mod tests;

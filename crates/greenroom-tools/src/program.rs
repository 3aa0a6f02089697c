//! Programs at work: each leads a process group of its own, of which nothing is left when it is over.
//!
//! What is said to a program and what it says is for whoever starts it. A program that moves into another group, as
//! daemons do, is not followed there.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use greenroom_core::BoxFuture;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::{Receiver, Sender, pipe};

/// How much is read at once.
const PIECE_LEN: usize = 64 << 10;
/// How much a pipe can hold, unless root has raised that.
const PIPE_LEN_MAX: usize = 1 << 20;

/// A command line that inherits no environment: what the program is to know is given. Of two values of a variable the last
/// one counts. Without a directory it runs in that of this process.
pub fn command<V: AsRef<OsStr>>(
    program: &OsStr,
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    env: impl IntoIterator<Item = (V, V)>,
    dir: Option<&Path>,
) -> Command {
    let mut command = Command::new(program);
    command.args(args).env_clear().envs(env);
    if let Some(dir) = dir {
        command.current_dir(dir);
    }
    command
}

/// A program that was started, with its pipes.
#[non_exhaustive]
pub struct Started {
    /// The program. Dropping it kills it.
    pub program: Program,
    /// Completes once the program has ended, what it left behind in its group is killed, and it is reaped. That
    /// happens also when nobody waits.
    ///
    /// # Errors
    ///
    /// [`io::Error`] when the system cannot tell.
    pub ended: BoxFuture<'static, io::Result<ExitStatus>>,
    /// Its standard input.
    pub stdin: Sender,
    /// Its standard output.
    pub stdout: Receiver,
    /// Its standard error.
    pub stderr: Receiver,
}

impl std::fmt::Debug for Started {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Started").field("program", &self.program).finish_non_exhaustive()
    }
}

/// A running program and all that it has started. It is killed when it is dropped, whatever it does with signals.
#[derive(Debug)]
pub struct Program(Arc<Group>);

impl Program {
    /// Starts a program, with pipes of ours and in a group of its own. One blocking thread waits for its end.
    ///
    /// # Errors
    ///
    /// [`io::Error`] when it cannot be started.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime with I/O.
    pub fn start(mut command: Command) -> io::Result<Started> {
        let ((stdin, for_stdin), (out, stdout), (err, stderr)) = (pipe()?, pipe()?, pipe()?);
        command
            .stdin(for_stdin.into_blocking_fd()?)
            .stdout(out.into_blocking_fd()?)
            .stderr(err.into_blocking_fd()?)
            .process_group(0);
        let child = command.spawn()?;
        let leader = Pid::from_raw(child.id() as i32);
        let group = Arc::new(Group { leader, child: Mutex::new(Some(child)) });
        let program = Self(Arc::clone(&group));
        let waiting = tokio::task::spawn_blocking(move || group.wait());
        let ended = async { waiting.await.unwrap_or_else(|panic| Err(io::Error::other(panic))) };
        Ok(Started { program, ended: Box::pin(ended), stdin, stdout, stderr })
    }

    /// Kills the group, if it is still there.
    pub fn kill(&self) {
        // Nobody reaps it meanwhile.
        let child = self.0.child();
        if child.is_some() {
            let _ = killpg(self.0.leader, Signal::SIGKILL);
        }
    }

    /// Whether the program has ended, and is reaped.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.0.child().is_none()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A process group, by the program that leads it.
#[derive(Debug)]
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

/// How a program ended, for people: `it ended with 3`.
#[must_use]
pub fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it ended with {code}"),
        (None, signal) => format!("it was ended by signal {}", signal.unwrap_or_default()),
    }
}

/// As much of a stream as is kept: its start, or else its end.
#[derive(Debug)]
pub struct Kept {
    is_start: bool,
    len_max: usize,
    bytes: Vec<u8>,
    n_left_out: usize,
}

impl Kept {
    /// Keeps so many bytes of the start.
    #[must_use]
    pub fn start(len_max: usize) -> Self {
        Self { is_start: true, len_max, bytes: Vec::new(), n_left_out: 0 }
    }

    /// Keeps so many bytes of the end.
    #[must_use]
    pub fn end(len_max: usize) -> Self {
        Self { is_start: false, ..Self::start(len_max) }
    }

    /// Reads to the end.
    ///
    /// # Cancel safety
    ///
    /// What was read before is kept.
    pub async fn read(&mut self, from: &mut Receiver) {
        let mut piece = vec![0; PIECE_LEN];
        while let Ok(n @ 1..) = from.read(&mut piece).await {
            self.push(&piece[..n]);
        }
    }

    /// Reads what is there, and no more than a pipe holds.
    pub fn rest(&mut self, from: Receiver) {
        let Ok(mut from) = from.into_nonblocking_fd().map(File::from) else { return };
        let mut piece = vec![0; PIECE_LEN];
        for _ in 0..PIPE_LEN_MAX / PIECE_LEN {
            let Ok(n @ 1..) = from.read(&mut piece) else { return };
            self.push(&piece[..n]);
        }
    }

    /// Takes more of the stream.
    pub fn push(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
        let n_more = self.bytes.len().saturating_sub(self.len_max);
        if self.is_start {
            self.bytes.truncate(self.len_max);
        } else {
            self.bytes.drain(..n_more);
        }
        self.n_left_out += n_more;
    }

    /// What is kept, as text that says whether something was left out.
    #[must_use]
    pub fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        match self.n_left_out {
            0 => text.into_owned(),
            n if self.is_start => format!("{text}… and {n} bytes more"),
            _ => format!("…{text}"),
        }
    }
}

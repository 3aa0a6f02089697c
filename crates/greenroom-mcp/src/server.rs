//! What a server is: the command that starts it, and the limits that it is held to.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use greenroom_core::redact::redact;
use greenroom_tools::program::command;

use crate::client::McpClient;
use crate::error::McpError;

/// An MCP server that is a program.
///
/// It inherits no environment but `PATH`: what else it needs is given by [`env`](Self::env). It leads a process group
/// of its own, which is killed when the server is no longer used.
///
/// # Examples
///
/// ```no_run
/// # async fn connect() -> Result<(), greenroom_mcp::McpError> {
/// use greenroom_core::tool::EffectClass;
/// use greenroom_mcp::McpServer;
///
/// let server = McpServer::command("files", "npx");
/// let files = server.args(["-y", "@modelcontextprotocol/server-filesystem", "/srv/docs"]).connect().await?;
/// let read = files.tool("read_text_file").map(|tool| tool.effect(EffectClass::ReadOnly));
/// # let _ = read;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a server is started by `connect`"]
pub struct McpServer {
    pub(crate) name: String,
    pub(crate) protocol: Protocol,
    pub(crate) limits: Limits,
    pub(crate) trusts_hints: bool,
    program: OsString,
    args: Vec<Arg>,
    env: Vec<(OsString, OsString)>,
    dir: Option<PathBuf>,
}

/// An argument of the command line.
#[derive(Clone)]
struct Arg {
    is: OsString,
    /// How people see it, if not as it is.
    shown: Option<String>,
}

impl Arg {
    fn new(is: impl Into<OsString>) -> Self {
        Self { is: is.into(), shown: None }
    }
}

/// The wire that a server is spoken to in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Protocol {
    /// 2025-11-25 or before, as the server says in the handshake: what almost all servers speak.
    #[default]
    Handshake,
    /// 2026-07-28, which has no handshake.
    Stateless,
}

/// What a server is held to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) connect_timeout: Duration,
    pub(crate) call_timeout: Duration,
    pub(crate) message_len_max: usize,
    pub(crate) output_len_max: usize,
}

impl McpServer {
    /// A server that is started by a program. Its name begins the names of its tools: 1 to 32 letters, digits, `-`
    /// and single `_`, none of them at an end.
    pub fn command(name: impl Into<String>, program: impl Into<OsString>) -> Self {
        Self {
            name: name.into(),
            protocol: Protocol::default(),
            limits: Limits {
                connect_timeout: Duration::from_secs(30),
                call_timeout: Duration::from_secs(300),
                message_len_max: 8 << 20,
                output_len_max: 64 << 10,
            },
            trusts_hints: false,
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            dir: None,
        }
    }

    /// Adds an argument of the command line.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(Arg::new(arg));
        self
    }

    /// Adds an argument that people see otherwise, because it may be a secret.
    pub(crate) fn arg_shown(mut self, arg: String, shown: &str) -> Self {
        self.args.push(Arg { is: arg.into(), shown: Some(shown.to_owned()) });
        self
    }

    /// Adds arguments of the command line.
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Arg::new));
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

    /// The wire that it speaks. Default the one with a handshake.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// How long it may take from its start until it has told its tools. Default 30 s; programs that are downloaded
    /// first may need more.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.limits.connect_timeout = timeout;
        self
    }

    /// How long one call may take. Default 5 minutes; the runtime's own limit on tool calls is mostly shorter.
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.limits.call_timeout = timeout;
        self
    }

    /// How many bytes one message of the server may have. One that writes a longer one is ended. Default 8 MiB.
    pub fn message_len_max(mut self, n_bytes: usize) -> Self {
        self.limits.message_len_max = n_bytes;
        self
    }

    /// How many bytes of a call's output are kept; the rest is left out, and said. Default 64 KiB.
    pub fn output_len_max(mut self, n_bytes: usize) -> Self {
        self.limits.output_len_max = n_bytes;
        self
    }

    /// Believes the server when it says of a tool that it only reads. Without this no tool counts as read-only until
    /// [`McpTool::effect`](crate::McpTool::effect) says so. Nothing else that a server says of itself is believed.
    pub fn trust_read_only_hints(mut self) -> Self {
        self.trusts_hints = true;
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Starts the server, and asks for its tools.
    ///
    /// # Errors
    ///
    /// [`McpError`] when it does not start, or does not tell its tools in time and in the way of the protocol. The
    /// program has been killed then.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime with I/O and time.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future kills the program.
    pub async fn connect(self) -> Result<McpClient, McpError> {
        McpClient::connect(self).await
    }

    pub(crate) fn to_command(&self) -> Command {
        // Programs are found by it: not only this one, but those that it starts.
        let path = std::env::var_os("PATH");
        let path = path.as_deref().map(|path| (OsStr::new("PATH"), path));
        let env = self.env.iter().map(|(name, value)| (&**name, &**value));
        let args = self.args.iter().map(|arg| &arg.is);
        command(&self.program, args, path.into_iter().chain(env), self.dir.as_deref())
    }
}

impl fmt::Display for McpServer {
    /// The whole command, as a person should see it before it is started: variables without their values, arguments of a
    /// file as they stand there, and without what has the shape of a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.name)?;
        for (name, _) in &self.env {
            write!(f, " {}=…", name.to_string_lossy())?;
        }
        let shown = |word: &OsString| redact(&word.to_string_lossy()).into_owned();
        write!(f, " {:?}", shown(&self.program))?;
        for arg in &self.args {
            write!(f, " {:?}", arg.shown.clone().unwrap_or_else(|| shown(&arg.is)))?;
        }
        match &self.dir {
            Some(dir) => write!(f, " in {}", dir.display()),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for McpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Arguments and variables may be secrets.
        f.debug_struct("McpServer")
            .field("name", &self.name)
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}

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

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use greenroom_core::BoxFuture;
use greenroom_core::redact::redact;
use greenroom_core::tool::{
    Approval, DynTool, EffectClass, ToolContext, ToolError, ToolErrorKind, ToolSpec,
};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use crate::program::{self, Kept, Program, Started, ending};

/// How much of what a program writes to standard error is told of a failure.
const COMPLAINT_LEN_MAX: usize = 2 << 10;

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
        // Dropped with the call, it is killed.
        let Started { program: _program, ended, mut stdin, mut stdout, mut stderr } =
            Program::start(self.command(&context)).map_err(failed)?;
        let mut said = Kept::start(self.output_len_max);
        let mut complained = Kept::end(COMPLAINT_LEN_MAX);
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
            ended = ended => ended,
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

    fn command(&self, context: &ToolContext) -> Command {
        let env = self.env.iter().map(|(name, value)| (&**name, &**value));
        let key = (OsStr::new("IDEMPOTENCY_KEY"), OsStr::new(&*context.idempotency_key));
        program::command(&self.program, &self.args, env.chain([key]), self.dir.as_deref())
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
    let how = ending(status);
    let text = complained.text();
    let message = match redact(text.trim()) {
        text if text.is_empty() => how,
        text => format!("{how}: {text}"),
    };
    ToolError::new(ToolErrorKind::Failed, message)
}

#[cfg(test)]
mod tests;

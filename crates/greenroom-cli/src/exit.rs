//! How the process ends: exit statuses, and errors as people read them.
//!
//! Every error that is shown has a code, which `docs/errors.md` explains, and fits on one line.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use crate::console::Console;
use crate::signals::Signal;

/// The exit statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The run completed, or gave a partial answer.
    Ok = 0,
    /// The run failed.
    Failed = 1,
    /// The command line or the question is wrong.
    Usage = 2,
    /// The configuration is wrong.
    Config = 3,
    /// A limit was reached.
    Limit = 4,
    /// The run waits for a person.
    Waiting = 5,
    /// Interrupted: 128 and the number of SIGINT.
    Interrupted = 130,
    /// Nobody reads the output any more: 128 and the number of SIGPIPE.
    PipeClosed = 141,
    /// Asked to end before there was an answer: 128 and the number of SIGTERM.
    Terminated = 143,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something that is told.
    Problem(Problem),
    /// Somebody asked the process to end.
    Ended(Signal),
    /// Nobody reads the output any more.
    PipeClosed,
}

/// An error as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) exit: Exit,
    /// The stable code that `docs/errors.md` explains.
    pub(crate) code: &'static str,
    /// One line.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) help: Option<String>,
}

impl Problem {
    pub(crate) fn new(exit: Exit, code: &'static str, message: impl Into<String>) -> Self {
        Self { exit, code, message: message.into(), help: None }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Tells it on standard error.
    pub(crate) fn report(&self, console: &Console) {
        console.error(self.code, &self.message);
        if let Some(help) = &self.help {
            console.help(help);
        }
    }
}

impl Failure {
    /// Something that the machine should give and does not: threads, a terminal, an output.
    pub(crate) fn environment(what: &str, error: &dyn Error) -> Self {
        Problem::new(Exit::Config, "GR0104", format!("{what}: {}", chain(error))).into()
    }

    /// It as an error; none when nobody would read it.
    pub(crate) fn problem(&self) -> Option<Problem> {
        match self {
            Self::Problem(problem) => Some(problem.clone()),
            Self::Ended(signal) => Some(Problem::new(signal.exit(), "GR0309", signal.told())),
            Self::PipeClosed => None,
        }
    }

    /// Tells it, when there is something to tell, and gives the exit status.
    pub(crate) fn report(&self, console: &Console) -> Exit {
        match self {
            Self::Problem(problem) => {
                problem.report(console);
                problem.exit
            }
            Self::Ended(signal) => {
                console.note(signal.told());
                signal.exit()
            }
            Self::PipeClosed => Exit::PipeClosed,
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Problem(problem) => write!(f, "{}", problem.message),
            Self::Ended(signal) => f.write_str(signal.told()),
            Self::PipeClosed => f.write_str("the output was closed"),
        }
    }
}

/// An error and what caused it, on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Wrappers often repeat the error that they carry; the system's own adds a number to it.
        let words = text.split(" (os error").next().unwrap_or(&text).to_lowercase();
        if !line.to_lowercase().ends_with(&words) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn a_chain_is_one_line_and_repeats_nothing() {
        #[derive(Debug)]
        struct Outer(io::Error);
        impl fmt::Display for Outer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the index\nfailed")
            }
        }
        impl Error for Outer {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&self.0)
            }
        }
        assert_eq!(chain(&Outer(io::Error::other("disk full"))), "the index failed: disk full");
        let repeated = Outer(io::Error::other("index\nfailed"));
        assert_eq!(chain(&repeated), "the index failed");
        let by_the_system = Outer(io::Error::other("Failed (os error 2)"));
        assert_eq!(chain(&by_the_system), "the index failed");
    }
}

//! The two streams that people and programs read: results on standard output, everything else on
//! standard error, above the live area when there is one.

use std::borrow::Cow;
use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};

use indicatif::{MultiProgress, ProgressDrawTarget};

use crate::args::Verbosity;
use crate::exit::Failure;

/// How text stands out. Only on streams that take colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Cyan,
}

impl Ink {
    fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Red => "31",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Cyan => "36",
        }
    }
}

/// Applies [`Ink`], or leaves text alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Palette {
    is_coloured: bool,
}

impl Palette {
    pub(crate) fn new(is_coloured: bool) -> Self {
        Self { is_coloured }
    }

    pub(crate) fn paint<'a>(self, ink: Ink, text: impl Into<Cow<'a, str>>) -> Cow<'a, str> {
        let text = text.into();
        if self.is_coloured && !text.is_empty() {
            format!("\x1b[{}m{text}\x1b[0m", ink.code()).into()
        } else {
            text
        }
    }

    pub(crate) fn is_coloured(self) -> bool {
        self.is_coloured
    }
}

/// Standard output and standard error. Clones share the live area.
#[derive(Debug, Clone)]
pub(crate) struct Console {
    live: MultiProgress,
    is_live: bool,
    pub(crate) on_stdout: Palette,
    pub(crate) on_stderr: Palette,
    pub(crate) verbosity: Verbosity,
}

impl Console {
    pub(crate) fn new(verbosity: Verbosity) -> Self {
        let (stdout, stderr) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let environment = Environment::read();
        let is_live = stderr && !environment.is_dumb() && verbosity > Verbosity::Quiet;
        let target =
            if is_live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self {
            live: MultiProgress::with_draw_target(target),
            is_live,
            on_stdout: Palette::new(environment.is_coloured(stdout)),
            on_stderr: Palette::new(environment.is_coloured(stderr)),
            verbosity,
        }
    }

    /// The area of standard error that is drawn again and again; hidden when [`Self::is_live`] is false.
    pub(crate) fn live(&self) -> &MultiProgress {
        &self.live
    }

    /// Whether standard error is a terminal that can be drawn on.
    pub(crate) fn is_live(&self) -> bool {
        self.is_live
    }

    /// Writes a result to standard output. What comes from files is to be [`printable`] before.
    pub(crate) fn out(&self, text: &str) -> Result<(), Failure> {
        let written = self.live.suspend(|| {
            let mut stdout = io::stdout().lock();
            stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
        });
        written.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::PipeClosed,
            _ => Failure::environment("standard output cannot be written", &error),
        })
    }

    /// Tells something on standard error, unless nothing is to be told.
    pub(crate) fn say(&self, line: &str) {
        if self.verbosity > Verbosity::Quiet {
            self.line(line);
        }
    }

    /// Tells something that the program noticed about itself.
    pub(crate) fn note(&self, text: &str) {
        self.say(&format!("greenroom: {}", printable(text)));
    }

    /// Tells something that was worked around.
    pub(crate) fn notice(&self, code: &str, text: &str) {
        let what = self.on_stderr.paint(Ink::Yellow, format!("notice[{code}]"));
        self.say(&format!("greenroom: {what}: {}", printable(text)));
    }

    /// Tells an error.
    pub(crate) fn error(&self, code: &str, text: &str) {
        let what = self.on_stderr.paint(Ink::Red, format!("error[{code}]"));
        self.line(&format!("greenroom: {what}: {}", printable(text)));
    }

    /// Tells what to do about the error before.
    pub(crate) fn help(&self, text: &str) {
        let what = self.on_stderr.paint(Ink::Cyan, "help");
        self.line(&format!("  {what}: {}", printable(text)));
    }

    fn line(&self, line: &str) {
        // A closed standard error is no reason to stop: there is nowhere to say so.
        let _ = self.write_err(format!("{line}\n").as_bytes());
    }

    fn write_err(&self, bytes: &[u8]) -> io::Result<()> {
        self.live.suspend(|| io::stderr().lock().write_all(bytes))
    }
}

/// Writes log lines above the live area.
#[derive(Debug)]
pub(crate) struct LogWriter(pub(crate) Console);

impl io::Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_err(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Text without control characters, except for line breaks and tabs: what is quoted from a file must not
/// move the cursor.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let is_harmful = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.contains(is_harmful) { text.replace(is_harmful, "").into() } else { text.into() }
}

/// What the environment says of terminals and colours.
#[derive(Debug, Default)]
struct Environment {
    no_color: Option<OsString>,
    force: Option<OsString>,
    term: Option<OsString>,
}

impl Environment {
    fn read() -> Self {
        Self {
            no_color: env::var_os("NO_COLOR"),
            force: env::var_os("CLICOLOR_FORCE"),
            term: env::var_os("TERM"),
        }
    }

    fn is_dumb(&self) -> bool {
        self.term.as_ref().is_some_and(|term| term == "dumb")
    }

    /// `NO_COLOR` (when not empty) beats `CLICOLOR_FORCE` (when not `0`) beats what the stream is.
    fn is_coloured(&self, is_terminal: bool) -> bool {
        if self.no_color.as_ref().is_some_and(|value| !value.is_empty()) {
            return false;
        }
        if self.force.as_ref().is_some_and(|value| !value.is_empty() && value != "0") {
            return true;
        }
        is_terminal && !self.is_dumb()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_follow_the_environment_and_then_the_stream() {
        let environment = |no_color: &str, force: &str, term: &str| Environment {
            no_color: Some(no_color.into()),
            force: Some(force.into()),
            term: Some(term.into()),
        };
        assert!(Environment::default().is_coloured(true));
        assert!(!Environment::default().is_coloured(false));
        assert!(!environment("1", "1", "xterm").is_coloured(true));
        assert!(environment("", "1", "dumb").is_coloured(false));
        assert!(!environment("", "0", "xterm").is_coloured(false));
        assert!(!environment("", "", "dumb").is_coloured(true));
    }

    #[test]
    fn what_could_move_the_cursor_is_taken_out() {
        assert_eq!(printable("a\x1b[2Jb\tc\r\nd\u{9b}1m"), "a[2Jb\tc\nd1m");
    }
}

//! Where the questions of a conversation come from: an edited line of a terminal, or any stream.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use crate::exit::Failure;
use crate::question::QUESTION_BYTES_MAX;

const PROMPT: &str = "> ";

/// A source of lines.
pub(super) enum Input {
    /// A terminal, with editing and history.
    Terminal(Box<DefaultEditor>),
    /// Anything else.
    Stream,
}

/// What came of waiting for a line.
#[derive(Debug)]
pub(super) enum Line {
    Text(String),
    /// Ctrl-C at the prompt.
    Interrupt,
    End,
}

impl Input {
    pub(super) fn new() -> Result<Self, Failure> {
        if !io::stdin().is_terminal() {
            return Ok(Self::Stream);
        }
        let editor = DefaultEditor::new()
            .map_err(|error| Failure::environment("the terminal cannot be used", &error))?;
        Ok(Self::Terminal(Box::new(editor)))
    }

    pub(super) fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal(_))
    }

    /// Waits for the next line, on a thread for blocking work.
    pub(super) fn next(mut self) -> Result<(Self, Line), Failure> {
        let line = match &mut self {
            Self::Terminal(editor) => edited(editor),
            Self::Stream => streamed(&mut io::stdin().lock()),
        };
        let line =
            line.map_err(|error| Failure::environment("the input cannot be read", &*error))?;
        Ok((self, line))
    }
}

fn edited(editor: &mut DefaultEditor) -> Result<Line, Box<dyn std::error::Error>> {
    match editor.readline(PROMPT) {
        Ok(text) => {
            // A line that is not remembered can still be asked.
            let _ = editor.add_history_entry(text.as_str());
            Ok(Line::Text(text))
        }
        Err(ReadlineError::Interrupted) => Ok(Line::Interrupt),
        Err(ReadlineError::Eof) => Ok(Line::End),
        Err(error) => Err(error.into()),
    }
}

/// A line of at most one byte more than a question may have, so that one that is too long is refused
/// and never held in memory as a whole.
fn streamed(stream: &mut impl io::BufRead) -> Result<Line, Box<dyn std::error::Error>> {
    let mut bytes = Vec::new();
    let longest = QUESTION_BYTES_MAX as u64 + 1;
    let n = stream.take(longest).read_until(b'\n', &mut bytes)?;
    if n == 0 {
        return Ok(Line::End);
    }
    if n as u64 == longest && bytes.last() != Some(&b'\n') {
        skip_line(stream)?;
    }
    Ok(Line::Text(String::from_utf8_lossy(&bytes).into_owned()))
}

fn skip_line(stream: &mut impl io::BufRead) -> io::Result<()> {
    loop {
        let buffer = stream.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let n_bytes = end.map_or(buffer.len(), |at| at + 1);
        stream.consume(n_bytes);
        if end.is_some() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_stream_are_read_one_by_one_and_never_whole_when_too_long() {
        let long = "x".repeat(2 * QUESTION_BYTES_MAX);
        let text = format!("one\n{long}\nthree");
        let mut stream = io::BufReader::new(text.as_bytes());
        let mut next = || match streamed(&mut stream).expect("a slice can be read") {
            Line::Text(text) => Some(text),
            _ => None,
        };
        assert_eq!(next().as_deref(), Some("one\n"));
        assert_eq!(next().map(|text| text.len()), Some(QUESTION_BYTES_MAX + 1));
        assert_eq!(next().as_deref(), Some("three"));
        assert_eq!(next(), None);
    }
}

//! The `read_file` tool: lines of text files below one directory.
//!
//! The root is a capability, not a prefix: files are opened relative to a handle of it and resolved
//! beneath it, by `openat2` where the system has it and component by component elsewhere (`cap-std`).
//! No path is ever checked first and opened later, so a link that is swapped in between changes
//! nothing. What kind of file it is, is asked of the open handle.
//!
//! Two things this cannot see. A hard link is the file itself: whoever can link a file into the root has
//! put it there. And the root's own path is trusted: it comes from the application.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use cap_fs_ext::OpenOptionsSyncExt;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use greenroom_core::tool::{EffectClass, Tool, ToolContext, ToolError, ToolErrorKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most bytes of text returned, unless [`ReadFileTool::bytes_max`] says otherwise: 1 MiB.
const BYTES_MAX: usize = 1 << 20;

/// The most bytes read to reach the first line asked for: 64 MiB.
const SKIP_BYTES_MAX: u64 = 64 << 20;

/// The `read_file` tool.
///
/// | path | answer |
/// |---|---|
/// | a regular file below the root | its lines |
/// | a symbolic link that stays below the root | its target's lines |
/// | one that leads outside: `..`, absolute, a link to a file or a directory | `Denied` |
/// | a hidden name, such as `.env` or `.git/config` | `Denied` |
/// | a directory, FIFO, socket or device | `Denied`, without waiting for it |
/// | missing, not UTF-8, or holding NUL bytes | `Failed` |
#[derive(Debug, Clone)]
pub struct ReadFileTool {
    root: Arc<Path>,
    bytes_max: usize,
}

impl ReadFileTool {
    /// A tool that reads below `root`, which is opened on each call.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into().into(), bytes_max: BYTES_MAX }
    }

    /// Sets the most bytes of text that one call returns. Default 1 MiB.
    #[must_use]
    pub fn bytes_max(mut self, bytes_max: usize) -> Self {
        self.bytes_max = bytes_max;
        self
    }
}

/// The arguments of [`ReadFileTool`].
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ReadFileInput {
    /// The file, relative to the directory that may be read, for example `docs/semantics.md`.
    pub path: String,
    /// The first line to return, counted from 1. Default 1.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub start_line: Option<u64>,
    /// The most lines to return. Default: all.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub line_count: Option<u64>,
}

/// The result of [`ReadFileTool`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ReadFileOutput {
    /// The file, as it was asked for.
    pub path: String,
    /// The first line of `text`, counted from 1.
    pub start_line: u64,
    /// The last line of `text`, inclusive; 0 when the file is empty.
    pub end_line: u64,
    /// Whether `text` was cut off at the limit on bytes before all the lines asked for were read.
    pub truncated: bool,
    /// The lines, exactly as they stand in the file.
    pub text: String,
}

impl Tool for ReadFileTool {
    type Input = ReadFileInput;
    type Output = ReadFileOutput;

    fn name(&self) -> &str {
        "read_file"
    }

    fn description(&self) -> &str {
        "Reads lines of a UTF-8 text file. Paths are relative to the directory that may be read; \
         nothing outside it and no hidden file can be read."
    }

    fn effect(&self) -> EffectClass {
        EffectClass::ReadOnly
    }

    /// # Cancel safety
    ///
    /// The file is read on a blocking thread, which finishes by itself when the future is dropped.
    async fn call(
        &self,
        input: ReadFileInput,
        _context: ToolContext,
    ) -> Result<ReadFileOutput, ToolError> {
        let Self { root, bytes_max } = self.clone();
        let reading = tokio::task::spawn_blocking(move || read(&root, bytes_max, &input));
        reading.await.map_err(|_| ToolError::failed("the reading thread did not finish"))?
    }
}

fn read(root: &Path, bytes_max: usize, input: &ReadFileInput) -> Result<ReadFileOutput, ToolError> {
    let path = input.path.as_str();
    let start_line = input.start_line.unwrap_or(1);
    let line_count = input.line_count.unwrap_or(u64::MAX);
    if start_line == 0 || line_count == 0 {
        let message = "`start_line` and `line_count` are at least 1";
        return Err(ToolError::new(ToolErrorKind::InvalidArguments, message));
    }
    let failed = |error: io::Error| refused(path, &error);
    let file = open(root, path)?;

    let mut head = BufReader::new(file.take(SKIP_BYTES_MAX));
    let n_skipped = skip_lines(&mut head, start_line - 1).map_err(failed)?;
    let reaches_start = !head.fill_buf().map_err(failed)?.is_empty();
    if !reaches_start && (start_line > 1 || head.get_ref().limit() == 0) {
        return Err(ToolError::failed(match head.get_ref().limit() {
            0 => format!(
                "line {start_line} of {path:?} is beyond the first {} MiB",
                SKIP_BYTES_MAX >> 20
            ),
            _ => format!("{path:?} has only {n_skipped} lines"),
        }));
    }
    // What was skipped no longer counts.
    head.get_mut().set_limit((bytes_max as u64).saturating_add(1));
    let Lines { text, n_lines, truncated } =
        take_lines(&mut head, line_count, bytes_max).map_err(failed)?;
    let text = decoded(text, truncated)
        .ok_or_else(|| ToolError::failed(format!("{path:?} is not UTF-8 text")))?;
    let end_line = start_line - 1 + n_lines;
    Ok(ReadFileOutput { path: path.to_owned(), start_line, end_line, truncated, text })
}

fn open(root: &Path, path: &str) -> Result<File, ToolError> {
    let denied = |why: &str| ToolError::new(ToolErrorKind::Denied, format!("{path:?} {why}"));
    if path.is_empty() || path.contains('\0') {
        return Err(ToolError::new(
            ToolErrorKind::InvalidArguments,
            format!("{path:?} is not a path"),
        ));
    }
    let is_hidden = |part: Component<'_>| match part {
        Component::Normal(name) => name.as_encoded_bytes().starts_with(b"."),
        _ => false,
    };
    if Path::new(path).components().any(is_hidden) {
        return Err(denied("is hidden; hidden files are not read"));
    }
    let root = Dir::open_ambient_dir(root, ambient_authority())
        .map_err(|_| ToolError::failed("the directory that may be read cannot be opened"))?;
    // Without `nonblock`, opening a FIFO waits for a writer that may never come.
    let mut options = OpenOptions::new();
    options.read(true).nonblock(true);
    let file = root.open_with(path, &options).map_err(|error| refused(path, &error))?;
    let metadata = file.metadata().map_err(|error| refused(path, &error))?;
    if metadata.is_dir() {
        return Err(denied("is a directory"));
    }
    if !metadata.is_file() {
        return Err(denied("is not a regular file"));
    }
    Ok(file.into_std())
}

fn refused(path: &str, error: &io::Error) -> ToolError {
    match error.kind() {
        io::ErrorKind::NotFound => ToolError::failed(format!("there is no file {path:?}")),
        // An escape is found by `cap-std`, not by the system, and so carries no code of the system.
        io::ErrorKind::PermissionDenied if error.raw_os_error().is_none() => ToolError::new(
            ToolErrorKind::Denied,
            format!("{path:?} leads outside the directory that may be read"),
        ),
        kind => ToolError::failed(format!("{path:?} cannot be read: {kind}")),
    }
}

/// Passes over at most `n_lines` lines: how many there were.
fn skip_lines(reader: &mut impl BufRead, n_lines: u64) -> io::Result<u64> {
    let mut n_skipped = 0;
    while n_skipped < n_lines {
        if reader.skip_until(b'\n')? == 0 {
            break;
        }
        n_skipped += 1;
    }
    Ok(n_skipped)
}

struct Lines {
    text: Vec<u8>,
    n_lines: u64,
    truncated: bool,
}

fn take_lines(reader: &mut impl BufRead, n_lines_max: u64, bytes_max: usize) -> io::Result<Lines> {
    let mut lines = Lines { text: Vec::new(), n_lines: 0, truncated: false };
    while lines.n_lines < n_lines_max && !lines.truncated {
        // One byte beyond the limit tells whether anything was cut.
        let left = (bytes_max - lines.text.len()).saturating_add(1);
        if reader.by_ref().take(left as u64).read_until(b'\n', &mut lines.text)? == 0 {
            break;
        }
        lines.n_lines += 1;
        lines.truncated = lines.text.len() > bytes_max;
    }
    lines.text.truncate(bytes_max);
    Ok(lines)
}

/// The bytes as text, when they are: a character that truncation cut in two is left out.
fn decoded(mut bytes: Vec<u8>, truncated: bool) -> Option<String> {
    if bytes.contains(&0) {
        return None;
    }
    if let Err(error) = std::str::from_utf8(&bytes) {
        let is_cut = truncated && error.error_len().is_none();
        if !is_cut {
            return None;
        }
        bytes.truncate(error.valid_up_to());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;

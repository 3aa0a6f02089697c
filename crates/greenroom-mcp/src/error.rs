//! Why a server cannot be used.

use std::fmt;

/// Why a server is not connected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("MCP server {server:?}: {kind}: {why}")]
#[non_exhaustive]
pub struct McpError {
    /// The name of the server.
    pub server: String,
    /// What policy reads.
    pub kind: McpErrorKind,
    /// What people read: what the server did, with the end of what it wrote to standard error.
    pub why: String,
}

impl McpError {
    pub(crate) fn new(server: &str, kind: McpErrorKind, why: impl Into<String>) -> Self {
        Self { server: server.to_owned(), kind, why: why.into() }
    }
}

/// The kinds of [`McpError`].
///
/// | kind | code |
/// |---|---|
/// | `BadName` | GR0601 |
/// | `NotStarted` | GR0602 |
/// | `TimedOut` | GR0603 |
/// | `Ended` | GR0604 |
/// | `Protocol` | GR0605 |
/// | `BadTools` | GR0606 |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum McpErrorKind {
    /// The name of the server does not match what names of its tools can be made of.
    BadName,
    /// The program cannot be started.
    NotStarted,
    /// It did not tell its tools in time.
    TimedOut,
    /// It ended, or closed its output, before it had told its tools.
    Ended,
    /// It answered with something that is not the protocol, or with an error.
    Protocol,
    /// Its tools are too many or too large, or two would have one name.
    BadTools,
}

impl McpErrorKind {
    /// The code of the error.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::BadName => "GR0601",
            Self::NotStarted => "GR0602",
            Self::TimedOut => "GR0603",
            Self::Ended => "GR0604",
            Self::Protocol => "GR0605",
            Self::BadTools => "GR0606",
        }
    }
}

impl fmt::Display for McpErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadName => "bad name",
            Self::NotStarted => "not started",
            Self::TimedOut => "no answer in time",
            Self::Ended => "ended too soon",
            Self::Protocol => "not the protocol",
            Self::BadTools => "bad tools",
        })
    }
}

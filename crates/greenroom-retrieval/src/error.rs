//! Why a corpus could not be opened.

use std::fmt;
use std::path::{Path, PathBuf};

/// Why a corpus could not be opened. What can be worked around is a
/// [`Notice`](crate::Notice) instead.
#[derive(Debug, thiserror::Error)]
pub struct CorpusError {
    kind: CorpusErrorKind,
    path: Option<PathBuf>,
    #[source]
    source: Option<std::io::Error>,
}

impl CorpusError {
    pub(crate) fn new(kind: CorpusErrorKind) -> Self {
        Self { kind, path: None, source: None }
    }

    pub(crate) fn at(mut self, path: &Path) -> Self {
        self.path = Some(path.to_path_buf());
        self
    }

    pub(crate) fn because(mut self, source: impl Into<std::io::Error>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What policy reads.
    #[must_use]
    pub fn kind(&self) -> CorpusErrorKind {
        self.kind
    }

    /// The stable code that `docs/errors.md` explains.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }

    /// The root that the error is about, as the caller wrote it.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

impl fmt::Display for CorpusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            CorpusErrorKind::Missing => "no such file or directory",
            CorpusErrorKind::Unreadable => "cannot be read",
            CorpusErrorKind::Empty => "nothing to index was found",
            CorpusErrorKind::Index => "the index could not be built",
            CorpusErrorKind::Embedding => "its passages could not be embedded",
        };
        match &self.path {
            Some(path) => write!(f, "corpus {}: {what}", path.display()),
            None => write!(f, "corpus: {what}"),
        }
    }
}

/// The kinds of [`CorpusError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CorpusErrorKind {
    /// A root does not exist.
    Missing,
    /// A root exists but cannot be listed or read, or is neither a file nor a directory.
    Unreadable,
    /// The roots hold no text that can be indexed, or no root was given.
    Empty,
    /// The index could not be built, not even in memory.
    Index,
    /// The passages could not be embedded, and [`Embedding::strict`](crate::Embedding::strict) says that
    /// they must be.
    Embedding,
}

impl CorpusErrorKind {
    /// The stable code that `docs/errors.md` explains.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Missing => "GR0201",
            Self::Unreadable => "GR0202",
            Self::Empty => "GR0203",
            Self::Index => "GR0204",
            Self::Embedding => "GR0205",
        }
    }
}

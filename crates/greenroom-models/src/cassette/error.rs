//! Why a cassette cannot be used.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a cassette cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cassette {}: {message}", path.display())]
pub struct CassetteError {
    /// What policy reads.
    pub kind: CassetteErrorKind,
    /// The file.
    pub path: PathBuf,
    /// What people read.
    pub message: String,
    #[source]
    source: Option<io::Error>,
}

/// The kinds of [`CassetteError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CassetteErrorKind {
    /// The file is not there, or cannot be read or written.
    File,
    /// The file is no cassette, or one of a later version.
    Content,
}

impl CassetteError {
    pub(super) fn of_file(path: &Path, error: io::Error) -> Self {
        let message = match error.kind() {
            io::ErrorKind::NotFound => "there is no such file; record it first".to_owned(),
            _ => error.to_string(),
        };
        let (kind, path) = (CassetteErrorKind::File, path.to_owned());
        Self { kind, path, message, source: Some(error) }
    }

    /// A file that is wrong; which one it is, is told by [`of`](Self::of).
    pub(super) fn of_content(message: impl Into<String>) -> Self {
        let (kind, message) = (CassetteErrorKind::Content, message.into());
        Self { kind, path: PathBuf::new(), message, source: None }
    }

    pub(super) fn of(self, path: &Path) -> Self {
        Self { path: path.to_owned(), ..self }
    }
}

impl fmt::Display for CassetteErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "unusable file",
            Self::Content => "not a cassette",
        })
    }
}

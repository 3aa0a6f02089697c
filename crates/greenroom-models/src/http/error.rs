//! Why a model cannot be set up.

use std::fmt;

use super::name::NameError;

/// Why a model cannot be set up. It never contains a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SetupError {
    /// What policy reads.
    pub kind: SetupErrorKind,
    /// What people read: one line that says what to do.
    pub message: String,
    #[source]
    source: Option<NameError>,
}

impl SetupError {
    pub(super) fn new(kind: SetupErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }
}

impl From<NameError> for SetupError {
    fn from(error: NameError) -> Self {
        Self { kind: SetupErrorKind::Name, message: error.to_string(), source: Some(error) }
    }
}

/// The kinds of [`SetupError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SetupErrorKind {
    /// The text is not the name of a model.
    Name,
    /// The vendor wants a key, and there is none.
    NoKey,
    /// The key cannot be sent: it has signs that no key has.
    BadKey,
    /// The address is none.
    BadUrl,
    /// The vendor has no embeddings.
    NoEmbeddings,
    /// The proxy, or a certificate to be trusted, cannot be used.
    BadConnection,
}

impl fmt::Display for SetupErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "not a model's name",
            Self::NoKey => "no key",
            Self::BadKey => "unusable key",
            Self::BadUrl => "unusable address",
            Self::NoEmbeddings => "no embeddings",
            Self::BadConnection => "unusable proxy or certificate",
        })
    }
}

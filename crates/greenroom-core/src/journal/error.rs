//! Why a journal could not do what was asked.

use std::fmt;

use crate::ids::StreamId;

/// Why a journal could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct JournalError {
    /// What policy reads.
    pub kind: JournalErrorKind,
    /// The stream that is concerned; `None` when it is the journal as a whole.
    pub stream: Option<StreamId>,
    /// What people read.
    pub message: String,
}

impl JournalError {
    /// An error that concerns the journal as a whole.
    #[must_use]
    pub fn new(kind: JournalErrorKind, message: impl Into<String>) -> Self {
        Self { kind, stream: None, message: message.into() }
    }

    /// An error that concerns one stream.
    #[must_use]
    pub fn of(stream: &StreamId, kind: JournalErrorKind, message: impl Into<String>) -> Self {
        Self { kind, stream: Some(stream.clone()), message: message.into() }
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, message, .. } = self;
        match stream {
            Some(stream) => write!(f, "journal stream {stream}: {message}"),
            None => write!(f, "journal: {message}"),
        }
    }
}

/// The kinds of [`JournalError`].
///
/// | kind | code | the events of the append | the journal afterwards |
/// |---|---|---|---|
/// | `Conflict` | GR0501 | are not stored | goes on |
/// | `Unavailable` | GR0502 | are not stored | may work again later |
/// | `Corrupt` | GR0503 | are not stored | refuses this stream and goes on with the others |
/// | `Locked` | GR0504 | - | is not opened |
/// | `Full` | GR0505 | are not stored | works again once there is room |
/// | `ReadOnly` | GR0506 | are not stored | can be read |
/// | `TooNew` | GR0507 | are not stored | is not opened, or refuses this stream |
/// | `Fatal` | GR0508 | may be stored or not | refuses everything until it is opened again |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JournalErrorKind {
    /// Another writer has appended to the stream.
    Conflict,
    /// The store cannot be reached or has too much to do.
    Unavailable,
    /// What is stored is not what was written.
    Corrupt,
    /// Another process owns the store.
    Locked,
    /// The store has no room.
    Full,
    /// The store may be read and not written.
    ReadOnly,
    /// A newer version wrote what is stored.
    TooNew,
    /// The store failed in a way after which nothing it says can be believed.
    Fatal,
}

impl JournalErrorKind {
    /// The code under which `docs/errors.md` says what to do.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Conflict => "GR0501",
            Self::Unavailable => "GR0502",
            Self::Corrupt => "GR0503",
            Self::Locked => "GR0504",
            Self::Full => "GR0505",
            Self::ReadOnly => "GR0506",
            Self::TooNew => "GR0507",
            Self::Fatal => "GR0508",
        }
    }
}

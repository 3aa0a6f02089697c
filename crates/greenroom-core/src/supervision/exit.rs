//! Why something ended, and which endings count as failures.
//!
//! Text in here is bounded when it is made, so that no report, log line or journal record can be
//! flooded by the message of one panic.

use std::fmt;
use std::sync::Arc;

use crate::ids::AgentId;
use crate::redact::redact;

/// Text of at most [`Detail::BYTES_MAX`] bytes. What is longer is cut and marked with an ellipsis, and what
/// looks like a secret is taken out; see [`redact`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Detail(Arc<str>);

impl Detail {
    /// The longest text kept, in bytes, the mark of the cut included.
    pub const BYTES_MAX: usize = 1024;

    /// Keeps the text, or its beginning.
    #[must_use]
    pub fn new(text: &str) -> Self {
        const MARK: &str = "…";
        // A secret is looked for a little beyond the cut, so that none is kept because it is cut.
        let text = redact(&text[..text.floor_char_boundary(2 * Self::BYTES_MAX)]);
        if text.len() <= Self::BYTES_MAX {
            return Self(text.into());
        }
        let end = text.floor_char_boundary(Self::BYTES_MAX - MARK.len());
        Self(format!("{}{MARK}", &text[..end]).into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Detail {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// Why an incarnation, or a supervisor, ended.
///
/// | reason | abnormal | a transient child is restarted |
/// |---|---|---|
/// | `Normal`, `Shutdown`, `Cancelled` | no | no |
/// | `Killed`, `Panic`, `Failed`, `Stuck` | yes | yes |
/// | `StartFailed`, `IntensityExceeded` | yes | yes |
///
/// OTP gives `shutdown` as the reason of a supervisor that exceeded its intensity, which a transient
/// supervisor's parent takes for a normal ending. Here it has a reason of its own, and is a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitReason {
    /// It had nothing left to do.
    Normal,
    /// It was asked to stop, and did.
    Shutdown,
    /// Its work was cancelled by whoever wanted it.
    Cancelled,
    /// It was cut off without being asked.
    Killed,
    /// It panicked, with this message.
    Panic(Detail),
    /// It returned an error, whose text this is.
    Failed(Detail),
    /// It made no progress for too long.
    Stuck,
    /// A supervisor's child could not be started while the supervisor itself was starting.
    StartFailed {
        /// The child.
        child: AgentId,
        /// Why it did not start.
        cause: Box<ExitReason>,
    },
    /// A supervisor's child failed too often.
    IntensityExceeded {
        /// The child whose failure was the one too many.
        child: AgentId,
    },
}

impl ExitReason {
    /// A panic with this message.
    #[must_use]
    pub fn panic(message: &str) -> Self {
        Self::Panic(message.into())
    }

    /// A failure with this message.
    #[must_use]
    pub fn failed(message: &str) -> Self {
        Self::Failed(message.into())
    }

    /// Whether this is a failure; the table is at [`ExitReason`].
    #[must_use]
    pub fn is_abnormal(&self) -> bool {
        match self {
            Self::Normal | Self::Shutdown | Self::Cancelled => false,
            Self::Killed
            | Self::Panic(_)
            | Self::Failed(_)
            | Self::Stuck
            | Self::StartFailed { .. }
            | Self::IntensityExceeded { .. } => true,
        }
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("finished"),
            Self::Shutdown => f.write_str("shut down"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Killed => f.write_str("killed"),
            Self::Panic(message) => write!(f, "panicked: {message}"),
            Self::Failed(message) => write!(f, "failed: {message}"),
            Self::Stuck => f.write_str("stuck"),
            Self::StartFailed { child, cause } => {
                write!(f, "child {child} did not start: {cause}")
            }
            Self::IntensityExceeded { child } => write!(f, "child {child} failed too often"),
        }
    }
}

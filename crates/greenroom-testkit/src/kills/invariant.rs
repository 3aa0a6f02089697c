//! What must hold of every run, whatever dies.

use std::fmt;

/// A promise about runs whose processes die.
///
/// | | |
/// |---|---|
/// | `I1` | what was acknowledged is finished or can be continued, always |
/// | `I2` | a call whose result is stored is never made again |
/// | `I3` | a call in doubt is treated by its class: an at-most-once call is never made again |
/// | `I4` | the answer and every conversation are those of a run that nobody killed |
/// | `I5` | the journal always opens; what is damaged is refused by name, and nothing else |
/// | `I6` | budgets, deadlines, approvals and counted boots survive |
/// | `I7` | recovery can die and be repeated: nothing is in the journal twice |
/// | `I8` | a journal has one process at a time |
/// | `I9` | a call has one key, fixed with its intent, which is stored before the call is made |
/// | `History` | each tool call in a conversation has exactly one outcome, behind it and in order |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Invariant {
    /// Acknowledged is kept.
    I1,
    /// Completed is not repeated.
    I2,
    /// The class decides.
    I3,
    /// The outcome is that of a calm run.
    I4,
    /// The journal opens.
    I5,
    /// Limits and answers survive.
    I6,
    /// Recovery is idempotent.
    I7,
    /// One process.
    I8,
    /// One key.
    I9,
    /// Conversations are in order: `I-H`.
    History,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::History => f.pad("I-H"),
            numbered => write!(f, "{numbered:?}"),
        }
    }
}

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// What was found, in words.
    pub what: String,
}

impl Violation {
    /// A finding.
    #[must_use]
    pub fn new(invariant: Invariant, what: impl Into<String>) -> Self {
        Self { invariant, what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

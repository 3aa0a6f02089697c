//! What can be wrong with an expression, and where.

use std::fmt;

use greenroom_core::tool::{ToolError, ToolErrorKind};

use super::CHARS_MAX;
use super::parser::DEPTH_MAX;

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    /// The character where the fault is, counted from 1.
    pub(super) at: usize,
    /// What stands there, when that helps.
    pub(super) found: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultKind {
    Empty,
    TooLong,
    TooDeep,
    Character,
    Number,
    Grouping,
    AmbiguousComma,
    Unexpected,
    Unfinished,
    NotClosed,
    NotOpened,
    UnknownName,
    Arguments,
    OfWithoutPercent,
    DivisionByZero,
    Overflow,
    Underflow,
    Domain,
}

impl Fault {
    pub(super) fn new(kind: FaultKind, at: usize) -> Self {
        Self { kind, at, found: String::new() }
    }

    pub(super) fn found(kind: FaultKind, at: usize, found: impl Into<String>) -> Self {
        Self { kind, at, found: found.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = &self.found;
        match self.kind {
            FaultKind::Empty => write!(f, "the expression is empty"),
            FaultKind::TooLong => write!(f, "the expression is longer than {CHARS_MAX} characters"),
            FaultKind::TooDeep => write!(f, "more than {DEPTH_MAX} levels of nesting"),
            FaultKind::Character => write!(f, "unexpected character {found:?}"),
            FaultKind::Number => write!(f, "`{found}` is not a number of at most 28 digits"),
            FaultKind::Grouping => {
                write!(f, "a thousands separator must be followed by exactly three digits")
            }
            FaultKind::AmbiguousComma => write!(
                f,
                "`{found}` could be one number or two: leave the comma out, or put a space after it"
            ),
            FaultKind::Unexpected => write!(f, "unexpected `{found}`"),
            FaultKind::Unfinished => write!(f, "the expression ends where a number should follow"),
            FaultKind::NotClosed => write!(f, "this parenthesis is not closed"),
            FaultKind::NotOpened => write!(f, "this parenthesis closes none"),
            FaultKind::UnknownName => write!(
                f,
                "unknown name `{found}`; known are sqrt, abs, round, floor, ceil, min, max, pow, exp, \
                 ln, log, pi and e"
            ),
            FaultKind::Arguments => write!(f, "wrong number of arguments for `{found}`"),
            FaultKind::OfWithoutPercent => write!(f, "`of` needs a percentage before it"),
            FaultKind::DivisionByZero => write!(f, "division by zero"),
            FaultKind::Overflow => write!(f, "a number beyond 28 digits"),
            FaultKind::Underflow => write!(f, "a number too close to zero for 28 decimal places"),
            FaultKind::Domain => write!(f, "`{found}` is not defined for this value"),
        }?;
        match self.kind {
            FaultKind::Empty => Ok(()),
            _ => write!(f, " (at character {})", self.at),
        }
    }
}

impl From<Fault> for ToolError {
    fn from(fault: Fault) -> Self {
        let kind = match fault.kind {
            FaultKind::DivisionByZero
            | FaultKind::Overflow
            | FaultKind::Underflow
            | FaultKind::Domain => ToolErrorKind::Failed,
            _ => ToolErrorKind::InvalidArguments,
        };
        Self::new(kind, fault.to_string())
    }
}

//! Events as text, and how the text of an older version becomes that of this one.
//!
//! An event is stored as its kind, the version of that kind, and JSON. A change that old text survives, such as
//! a further field with a default, keeps the version. Any other one raises the version of its kind by one, and
//! comes with the step from the version before: text is taken through as many steps as it is old.
//! `docs/journal.md` has the recipe.

mod steps;

use std::fmt;

use serde_json::{Map, Value};

use super::Event;
use steps::STEPS;

/// The fields of a stored event.
type Fields = Map<String, Value>;

/// Makes the fields of one version those of the next; `None` when they are not what that version wrote.
type Upcast = fn(Fields) -> Option<Fields>;

/// Each step: a kind, the version that is read, and what makes it the next one.
type Steps = [(&'static str, u32, Upcast)];

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventText {
    /// The kind, which is in the text, too.
    pub kind: String,
    /// The version of that kind.
    pub version: u32,
    /// JSON.
    pub body: String,
}

/// Why text that is what was written is no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct FormatError {
    /// What policy reads.
    pub kind: FormatErrorKind,
    /// The kind of the event.
    pub event: String,
    /// The version that is said to have been written.
    pub version: u32,
}

/// The kinds of [`FormatError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FormatErrorKind {
    /// A newer version wrote it: a kind, a version of it, or a value that this one does not know.
    TooNew,
    /// No step leads on from this version.
    NoStep {
        /// The version at which it ends.
        from: u32,
    },
    /// It is not what that version wrote.
    Malformed,
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, event, version } = self;
        match kind {
            FormatErrorKind::TooNew => {
                write!(f, "a newer version wrote {event} of version {version}")
            }
            FormatErrorKind::NoStep { from } => {
                write!(f, "{event} of version {version} cannot be read: no step leads from {from}")
            }
            FormatErrorKind::Malformed => {
                write!(f, "{event} is not what version {version} of it is")
            }
        }
    }
}

impl Event {
    /// The event as it is stored.
    #[must_use]
    pub fn to_text(&self) -> EventText {
        let body =
            serde_json::to_string(self).expect("events are JSON: their maps have text for keys");
        let tagged = body.strip_prefix(r#"{"kind":""#).and_then(|rest| rest.split_once('"'));
        let (kind, _) = tagged.expect("the kind comes first");
        let kind = kind.to_owned();
        EventText { version: version(STEPS, &kind), kind, body }
    }

    /// Reads an event, whichever version wrote it.
    ///
    /// # Errors
    ///
    /// A [`FormatError`] when this version cannot read it.
    pub fn from_text(kind: &str, version: u32, body: &str) -> Result<Self, FormatError> {
        read(STEPS, kind, version, body)
    }
}

/// The version in which events of a kind are written.
fn version(steps: &Steps, kind: &str) -> u32 {
    let steps = steps.iter().filter(|(of, ..)| *of == kind);
    steps.map(|(_, from, _)| from + 1).max().unwrap_or(1)
}

fn read(steps: &Steps, kind: &str, from: u32, body: &str) -> Result<Event, FormatError> {
    let error = |kind_of| FormatError { kind: kind_of, event: kind.to_owned(), version: from };
    let newest = version(steps, kind);
    // The text is what was written, so what this version does not understand of its own is newer.
    let too_new = |_| error(FormatErrorKind::TooNew);
    if from > newest {
        return Err(error(FormatErrorKind::TooNew));
    }
    if from == newest {
        return serde_json::from_str(body).map_err(too_new);
    }
    let malformed = || error(FormatErrorKind::Malformed);
    let mut fields: Fields = serde_json::from_str(body).map_err(|_| malformed())?;
    for from in from..newest {
        let step = steps.iter().find(|(of, version, _)| (*of, *version) == (kind, from));
        let (.., upcast) = step.ok_or_else(|| error(FormatErrorKind::NoStep { from }))?;
        fields = upcast(fields).ok_or_else(malformed)?;
    }
    serde_json::from_value(Value::Object(fields)).map_err(too_new)
}

#[cfg(test)]
mod tests;

//! Events as text, and how the text of an older version becomes that of this one.
//!
//! An event is stored as its kind, the version of that kind, and JSON. A change that old text survives, such
//! as a further field with a default, keeps the version. Any other one gets an upcaster from the version
//! before. The files of `golden/` say what was ever written; they are added to and never changed.

use greenroom_core::journal::Event;
use serde_json::{Map, Value};

/// The fields of an event.
pub(crate) type Fields = Map<String, Value>;

/// Makes the fields of one version those of the next.
pub(crate) type Upcast = fn(Fields) -> Fields;

/// Each kind with the version that its upcaster reads. A kind without one has version 1.
const UPCASTS: &[(&str, u32, Upcast)] = &[];

/// The format of this version.
pub(crate) const FORMAT: Format = Format { upcasts: UPCASTS };

/// What can be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Format {
    pub(crate) upcasts: &'static [(&'static str, u32, Upcast)],
}

/// Why text is no event, though it is what was written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// A newer version wrote it.
    TooNew { kind: String, version: u32 },
    /// There is no such version.
    Nonsense { kind: String, version: u32 },
}

/// The text of an event, with its kind.
pub(crate) fn encode(event: &Event) -> (String, String) {
    let body =
        serde_json::to_string(event).expect("events are JSON: their maps have text for keys");
    let tagged = body.strip_prefix(r#"{"kind":""#).and_then(|rest| rest.split_once('"'));
    let (kind, _) = tagged.expect("the kind comes first");
    (kind.to_owned(), body)
}

impl Format {
    /// The version in which events of a kind are written.
    pub(crate) fn version(self, kind: &str) -> u32 {
        let upcasts = self.upcasts.iter().filter(|(of, ..)| *of == kind);
        upcasts.map(|(_, from, _)| from + 1).max().unwrap_or(1)
    }

    /// Reads an event.
    pub(crate) fn decode(self, kind: &str, version: u32, body: &str) -> Result<Event, Unreadable> {
        let newest = self.version(kind);
        let too_new = || Unreadable::TooNew { kind: kind.to_owned(), version };
        if version > newest {
            return Err(too_new());
        }
        // The text is what was written, so what this version does not understand is newer.
        if version == newest {
            return serde_json::from_str(body).map_err(|_| too_new());
        }
        let mut fields: Fields = serde_json::from_str(body).map_err(|_| too_new())?;
        for from in version..newest {
            let upcast = self.upcasts.iter().find(|(of, v, _)| (*of, *v) == (kind, from));
            let Some((.., upcast)) = upcast else {
                return Err(Unreadable::Nonsense { kind: kind.to_owned(), version });
            };
            fields = upcast(fields);
        }
        serde_json::from_value(Value::Object(fields)).map_err(|_| too_new())
    }
}

#[cfg(test)]
mod tests;

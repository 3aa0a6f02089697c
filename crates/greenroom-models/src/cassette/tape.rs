//! The recordings: finding the one that answers a request, and saying why there is none.

use greenroom_core::redact::redact;
use greenroom_core::secret::{REDACTED, Secret};
use serde_json::Value;

use super::error::CassetteError;
use super::line::{Line, VERSION};

/// How much of a value an error shows, in characters.
const SHOWN_MAX: usize = 60;

#[derive(Debug, Default)]
pub(super) struct Tape {
    entries: Vec<Entry>,
    secrets: Vec<Secret>,
}

#[derive(Debug)]
struct Entry {
    line: Line,
    /// Counted from 1.
    number: usize,
    is_used: bool,
}

impl Entry {
    /// Whether it answers a request of this kind, whatever the request says.
    fn is_about(&self, asked: &Line) -> bool {
        std::mem::discriminant(&self.line) == std::mem::discriminant(asked)
            && self.line.model() == asked.model()
    }
}

impl Tape {
    pub(super) fn read(text: &str, len_max: u64) -> Result<Self, CassetteError> {
        if text.len() as u64 > len_max {
            return Err(CassetteError::of_content(format!("it is longer than {len_max} bytes")));
        }
        let mut tape = Self::default();
        for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let number = i + 1;
            let line: Line = serde_json::from_str(line).map_err(|error| {
                CassetteError::of_content(format!("line {number} is no recording: {error}"))
            })?;
            match line {
                Line::Cassette { version: VERSION } => {}
                Line::Cassette { version } => {
                    let message = format!("it is of version {version}, and this reads {VERSION}");
                    return Err(CassetteError::of_content(message));
                }
                line => tape.entries.push(Entry { line, number, is_used: false }),
            }
        }
        Ok(tape)
    }

    pub(super) fn hide(&mut self, secret: Secret) {
        self.secrets.push(secret);
    }

    pub(super) fn unused(&self) -> Vec<usize> {
        self.entries.iter().filter(|entry| !entry.is_used).map(|entry| entry.number).collect()
    }

    /// Takes the first recording of a request that is not used yet. `asked` carries the request and no outcome.
    ///
    /// The error says what is nearest.
    pub(super) fn take(&mut self, asked: Line) -> Result<Line, String> {
        let asked = self.cleaned(asked);
        let same =
            |entry: &&mut Entry| entry.is_about(&asked) && entry.line.request() == asked.request();
        if let Some(found) = self.entries.iter_mut().filter(|entry| !entry.is_used).find(same) {
            found.is_used = true;
            return Ok(found.line.clone());
        }
        Err(self.why_none(&asked))
    }

    fn why_none(&self, asked: &Line) -> String {
        let about = || self.entries.iter().filter(|entry| entry.is_about(asked));
        let n_same = about().filter(|entry| entry.line.request() == asked.request()).count();
        if n_same > 0 {
            return format!("this request was recorded {n_same} times, and is made once more");
        }
        let differences = |entry: &Entry| {
            let mut found = Vec::new();
            compare(entry.line.request(), asked.request(), String::new(), &mut found);
            found
        };
        // One that is free is meant rather than one that was replayed already.
        let nearest = about().map(|entry| (entry, differences(entry)));
        let nearest = nearest.min_by_key(|(entry, found)| (entry.is_used, found.len()));
        match nearest {
            None => format!("nothing of the model {:?} was recorded", asked.model()),
            Some((entry, found)) => {
                let first = found.into_iter().next().unwrap_or_default();
                format!(
                    "this request was not recorded; the nearest is line {}, where {} is {} and not {}",
                    entry.number, first.path, first.recorded, first.asked
                )
            }
        }
    }

    /// A line without secrets.
    pub(super) fn cleaned(&self, line: Line) -> Line {
        let written = serde_json::to_value(&line).unwrap_or_default();
        let cleaned = self.clean("", written);
        // Only texts have changed, and a text may be any text.
        serde_json::from_value(cleaned).unwrap_or(line)
    }

    fn clean(&self, name: &str, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.clean_text(name, &text)),
            Value::Array(items) => items.into_iter().map(|item| self.clean(name, item)).collect(),
            Value::Object(fields) => fields
                .into_iter()
                .map(|(name, inner)| {
                    let inner = self.clean(&name, inner);
                    (name, inner)
                })
                .collect(),
            value => value,
        }
    }

    fn clean_text(&self, name: &str, text: &str) -> String {
        let exact = self.secrets.iter().fold(text.to_owned(), |text, secret| secret.redact(&text));
        let by_shape = redact(&exact);
        // A value whose name says what it is.
        let named = format!("{name}={by_shape}");
        if !by_shape.is_empty() && redact(&named) != named {
            return REDACTED.to_owned();
        }
        by_shape.into_owned()
    }
}

/// One difference between two requests.
#[derive(Debug, Default)]
struct Difference {
    path: String,
    recorded: String,
    asked: String,
}

fn compare(recorded: &Value, asked: &Value, path: String, found: &mut Vec<Difference>) {
    match (recorded, asked) {
        (Value::Object(left), Value::Object(right)) => {
            let names = left.keys().chain(right.keys().filter(|name| !left.contains_key(*name)));
            for name in names {
                let (left, right) = (left.get(name), right.get(name));
                let (left, right) = (left.unwrap_or(&Value::Null), right.unwrap_or(&Value::Null));
                compare(left, right, format!("{path}/{name}"), found);
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            for i in 0..left.len().max(right.len()) {
                let (left, right) = (left.get(i), right.get(i));
                let (left, right) = (left.unwrap_or(&Value::Null), right.unwrap_or(&Value::Null));
                compare(left, right, format!("{path}/{i}"), found);
            }
        }
        _ if recorded == asked => {}
        _ => {
            let (recorded, asked) = (shown(recorded, asked), shown(asked, recorded));
            found.push(Difference { path, recorded, asked });
        }
    }
}

/// A value, from shortly before where it differs from another.
fn shown(value: &Value, other: &Value) -> String {
    let (text, other) = (value.to_string(), other.to_string());
    let n_same = text.chars().zip(other.chars()).take_while(|(left, right)| left == right).count();
    let skipped = n_same.saturating_sub(SHOWN_MAX / 3);
    let mut shown: String = text.chars().skip(skipped).take(SHOWN_MAX).collect();
    if skipped > 0 {
        shown.insert(0, '…');
    }
    if text.chars().count() > skipped + SHOWN_MAX {
        shown.push('…');
    }
    shown
}

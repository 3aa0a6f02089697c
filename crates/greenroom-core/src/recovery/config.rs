//! What a team or agent is made of, part by part, short enough for the journal.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::fingerprint::fingerprint;

/// The parts of a configuration, each with what tells it from another: a name, or the fingerprint of a text.
/// The text itself is not kept. Cheap to clone: each run has one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Config(Arc<BTreeMap<String, String>>);

impl Config {
    /// A configuration of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a part that has a name, such as a model.
    pub fn name(&mut self, part: impl Into<String>, name: impl Into<String>) {
        Arc::make_mut(&mut self.0).insert(part.into(), name.into());
    }

    /// Adds a part that is a text, such as instructions.
    pub fn text(&mut self, part: impl Into<String>, text: impl AsRef<str>) {
        let parts = Arc::make_mut(&mut self.0);
        parts.insert(part.into(), format!("{:016x}", fingerprint(text.as_ref())));
    }

    /// What a part is: its name, or the fingerprint of its text; `None` when there is no such part.
    #[must_use]
    pub fn get(&self, part: &str) -> Option<&str> {
        self.0.get(part).map(String::as_str)
    }

    /// Adds the parts of a member, under its name. A tool that several members have is one part.
    pub fn part_of(&mut self, member: &str, config: &Self) {
        let parts = Arc::make_mut(&mut self.0);
        for (part, is) in &*config.0 {
            let is_shared = part.starts_with("tool ");
            let part = if is_shared { part.clone() } else { format!("{member} {part}") };
            parts.insert(part, is.clone());
        }
    }

    /// What is different in `now`, in the order of the parts.
    #[must_use]
    pub fn changes(&self, now: &Self) -> Vec<Change> {
        let gone_or_other = self.0.iter().filter_map(|(part, was)| match now.0.get(part) {
            None => Some(Change { part: part.clone(), kind: ChangeKind::Gone }),
            Some(is) => {
                (is != was).then(|| Change { part: part.clone(), kind: ChangeKind::Different })
            }
        });
        let new = now.0.keys().filter(|part| !self.0.contains_key(*part));
        let new = new.map(|part| Change { part: part.clone(), kind: ChangeKind::New });
        let mut changes: Vec<_> = gone_or_other.chain(new).collect();
        changes.sort_by(|left, right| left.part.cmp(&right.part));
        changes
    }
}

/// A part of a configuration that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The part, for example `tool pay`.
    pub part: String,
    /// In which way.
    pub kind: ChangeKind,
}

/// The kinds of [`Change`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChangeKind {
    /// It was not there.
    New,
    /// It is another one.
    Different,
    /// It is not there any more.
    Gone,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, kind } = self;
        match kind {
            ChangeKind::New => write!(f, "{part} is new"),
            ChangeKind::Different => write!(f, "{part} is different"),
            ChangeKind::Gone => write!(f, "{part} is gone"),
        }
    }
}

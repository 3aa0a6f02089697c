//! What is kept of runs, and which calls wait for a person.

use std::collections::BTreeSet;

use greenroom_journal::Durability;

use super::{Config, Origin, Setting};
use crate::args::KeepArgs;

/// The tools that a person can be asked about.
pub(crate) const TOOLS: [&str; 5] = ["search", "calculate", "date", "read_file", MCP];

/// All tools of MCP servers.
pub(crate) const MCP: &str = "mcp";

/// What an acknowledged event survives, by name.
pub(crate) const DURABILITIES: [(&str, Durability); 3] = [
    ("durable", Durability::Durable),
    ("relaxed", Durability::Relaxed),
    ("ephemeral", Durability::Ephemeral),
];

/// The durability of that name.
pub(crate) fn durability(name: &str) -> Option<Durability> {
    DURABILITIES.into_iter().find(|(known, _)| *known == name).map(|(_, durability)| durability)
}

/// What is kept of the runs of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keep {
    pub(crate) durability: Durability,
    /// The tools whose calls wait for a person.
    pub(crate) approve: BTreeSet<String>,
    /// Whether a run that cannot be kept is not to begin.
    pub(crate) is_needed: bool,
}

impl Config {
    /// What is in force. Nothing takes a tool away that the file lists.
    pub(crate) fn keep(&self, args: &KeepArgs) -> Keep {
        let durability = args.durability.unwrap_or_else(|| self.durability().value);
        let listed = self.file.approve.iter().flat_map(|setting| &setting.value);
        let approve: BTreeSet<_> = listed.chain(&args.approve).cloned().collect();
        let is_needed = !approve.is_empty();
        Keep { durability, approve, is_needed }
    }

    /// What the file says of durability, or the default.
    pub(super) fn durability(&self) -> Setting<Durability> {
        let default = Setting { value: Durability::default(), origin: Origin::Default };
        self.file.durability.clone().unwrap_or(default)
    }
}

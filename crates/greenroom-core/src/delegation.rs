//! Agents that ask other agents through tools: how far that may go.
//!
//! Each of them waits for the one that it asked. So one that is asked by somebody whom it waits for itself
//! would never be done, however often the two hand the question to and fro.

use std::fmt;
use std::sync::Arc;

use crate::ids::AgentId;

/// How many agents may wait for each other, the one that is asked last included.
pub const DELEGATION_DEPTH_MAX: usize = 8;

/// A delegation that is not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelegationRefused {
    /// The agents that wait, the first one first, and behind them the one that was to be asked.
    pub path: Arc<[AgentId]>,
    /// Why.
    pub kind: DelegationRefusal,
}

/// Why a delegation is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DelegationRefusal {
    /// The one that was to be asked waits for the answer itself.
    Cycle,
    /// More than [`DELEGATION_DEPTH_MAX`] agents would wait for each other.
    TooDeep,
}

/// Who waits once an agent is asked, when these wait already.
///
/// # Errors
///
/// [`DelegationRefused`] when the agent is one of them, or they are as many as may be.
pub fn delegate(waiting: &[AgentId], to: &AgentId) -> Result<Arc<[AgentId]>, DelegationRefused> {
    let path: Arc<[AgentId]> = waiting.iter().chain([to]).cloned().collect();
    let kind = match () {
        () if waiting.contains(to) => DelegationRefusal::Cycle,
        () if path.len() > DELEGATION_DEPTH_MAX => DelegationRefusal::TooDeep,
        () => return Ok(path),
    };
    Err(DelegationRefused { path, kind })
}

impl fmt::Display for DelegationRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.path.iter().map(AgentId::as_str).collect();
        f.write_str(&names.join(" → "))?;
        f.write_str(match self.kind {
            DelegationRefusal::Cycle => ": the last one waits for the answer itself",
            DelegationRefusal::TooDeep => ": too many agents wait for each other",
        })
    }
}

impl std::error::Error for DelegationRefused {}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(names: &str) -> Vec<AgentId> {
        names.split_whitespace().map(AgentId::from).collect()
    }

    #[track_caller]
    fn check(waiting: &str, to: &str, expect: Result<&str, (DelegationRefusal, &str)>) {
        let delegated = delegate(&ids(waiting), &to.into());
        let delegated = delegated.map(|path| path.to_vec());
        let delegated = delegated.map_err(|refused| (refused.kind, refused.to_string()));
        assert_eq!(delegated, expect.map(ids).map_err(|(kind, says)| (kind, says.to_owned())));
    }

    #[test]
    fn fi31_nobody_is_asked_who_waits_for_the_answer() {
        use DelegationRefusal::{Cycle, TooDeep};
        check("", "a", Ok("a"));
        check("a b", "c", Ok("a b c"));
        check("a", "a", Err((Cycle, "a → a: the last one waits for the answer itself")));
        check("a b", "a", Err((Cycle, "a → b → a: the last one waits for the answer itself")));
        check("a b c d e f g", "h", Ok("a b c d e f g h"));
        let says = "a → b → c → d → e → f → g → h → i: too many agents wait for each other";
        check("a b c d e f g h", "i", Err((TooDeep, says)));
    }
}

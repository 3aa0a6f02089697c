//! Joins: when enough of several pieces of work are done. Pure counting, no waiting. The router joins tasks by
//! it, a fan-out branches.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When a set of tasks, or of branches, counts as joined.
///
/// | join | ready when | impossible when |
/// |---|---|---|
/// | `All` | every member succeeded | one member failed |
/// | `Settled` | every member succeeded or failed | never |
/// | `First` | one member succeeded | every member failed |
/// | `AtLeast(k)` | `k` members succeeded | fewer than `k` can still succeed |
///
/// A deadline turns any of them into "with what is there": see [`JoinCount::at_deadline`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Join {
    /// Every member must succeed.
    #[default]
    All,
    /// Every member must end, one way or the other.
    Settled,
    /// One success is enough.
    First,
    /// This many successes are enough.
    AtLeast(u32),
}

/// How far the members of a join are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JoinCount {
    /// Members that succeeded.
    pub n_ok: u32,
    /// Members that failed for good.
    pub n_failed: u32,
    /// Members that are not done.
    pub n_open: u32,
}

/// What a join says of its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Joined {
    /// Not yet.
    Waiting,
    /// Enough are done.
    Ready,
    /// Enough can never be done.
    Impossible,
}

impl JoinCount {
    /// Whether the join is complete.
    #[must_use]
    pub fn joined(self, join: Join) -> Joined {
        let n_members = self.n_ok + self.n_failed + self.n_open;
        let n_wanted = match join {
            Join::Settled if self.n_open > 0 => return Joined::Waiting,
            Join::Settled => return Joined::Ready,
            Join::All => n_members,
            Join::First => 1.min(n_members),
            Join::AtLeast(k) => k,
        };
        if self.n_ok >= n_wanted {
            Joined::Ready
        } else if self.n_ok + self.n_open < n_wanted {
            Joined::Impossible
        } else {
            Joined::Waiting
        }
    }

    /// Whether the join is complete when nothing more is waited for: one success is then enough.
    #[must_use]
    pub fn at_deadline(self) -> Joined {
        if self.n_ok > 0 || self.n_open + self.n_failed == 0 {
            Joined::Ready
        } else {
            Joined::Impossible
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(join: Join, (n_ok, n_failed, n_open): (u32, u32, u32), expect: Joined) {
        assert_eq!(JoinCount { n_ok, n_failed, n_open }.joined(join), expect);
    }

    #[test]
    fn the_truth_table_holds() {
        use Joined::{Impossible, Ready, Waiting};
        check(Join::All, (0, 0, 0), Ready);
        check(Join::All, (1, 0, 1), Waiting);
        check(Join::All, (2, 0, 0), Ready);
        check(Join::All, (1, 1, 1), Impossible);
        check(Join::Settled, (0, 1, 1), Waiting);
        check(Join::Settled, (0, 2, 0), Ready);
        check(Join::First, (0, 1, 1), Waiting);
        check(Join::First, (1, 0, 1), Ready);
        check(Join::First, (0, 2, 0), Impossible);
        check(Join::AtLeast(2), (1, 1, 1), Waiting);
        check(Join::AtLeast(2), (2, 1, 3), Ready);
        check(Join::AtLeast(2), (1, 2, 0), Impossible);
    }

    #[test]
    fn at_a_deadline_one_success_is_enough() {
        assert_eq!(JoinCount { n_ok: 1, n_failed: 1, n_open: 4 }.at_deadline(), Joined::Ready);
        assert_eq!(JoinCount { n_ok: 0, n_failed: 1, n_open: 4 }.at_deadline(), Joined::Impossible);
        assert_eq!(JoinCount::default().at_deadline(), Joined::Ready);
    }
}

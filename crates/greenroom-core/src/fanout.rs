//! Fan-out: several branches of work at once, and what is made of their ends.
//!
//! The machine decides which branch starts, which is cancelled and when enough have ended. It runs nothing and
//! reads no clock: whoever drives it starts branches, reports how they end, and says when the deadline has
//! passed. There is no barrier: the end of any branch is decided upon at once, and the next one starts in its
//! place while the others go on.
//!
//! # When a fan-out is over
//!
//! | form | complete when | impossible when |
//! |---|---|---|
//! | [`FanOut::gather`] | every branch has ended, well or not | never |
//! | [`FanOut::all`] | every branch succeeded | one failed |
//! | [`FanOut::first`] | one branch succeeded | every one failed |
//! | [`FanOut::at_least`]`(k)` | `k` branches succeeded | fewer than `k` can still succeed |
//! | [`FanOut::race`] | one branch has ended, well or not | never |
//!
//! But for the race these are the rules of [`Join`](crate::join::Join), which the router's tasks follow too. A
//! fan-out without branches is complete at once, unless it is to have at least one success.
//!
//! # What becomes of the branches
//!
//! | what happens | verdict | a branch that waits | one that runs | one that runs and is shielded |
//! |---|---|---|---|---|
//! | enough have ended | [`Verdict::Complete`] | is not started | is cancelled | goes on alone |
//! | enough can never end | [`Verdict::Impossible`] | is not started | is cancelled | goes on alone |
//! | the deadline passes, and one has succeeded | [`Verdict::Partial`] | is not started | is cancelled | goes on alone |
//! | the deadline passes, and none has succeeded | [`Verdict::Late`] | is not started | is cancelled | goes on alone |
//! | nobody waits for the outcome any more | [`Verdict::Cancelled`] | is not started | is cancelled | goes on alone |
//! | there are more than [`BRANCHES_MAX`] branches | [`Verdict::Refused`] | is not started | there is none | there is none |
//!
//! A branch that goes on alone ends at its own deadline at the latest. What it gives is given to nobody.

mod form;

mod machine;

#[cfg(test)]
mod tests;

pub use form::{FanOut, Verdict};
pub use machine::{Command, Event, Machine, Member};

/// The most branches that one fan-out may have.
pub const BRANCHES_MAX: usize = 1024;

//! The router's machine: a plan carried out task by task, and an answer verified before it is given.
//!
//! The router gives work out and takes reports in. It asks no model itself: planning and writing are
//! tasks like any other, done by agents of their own.

mod plan;

mod task;

mod machine;

mod decide;

mod outcome;

mod fill;

mod evidence;

mod verify;

#[cfg(test)]
mod tests;

pub use crate::join::{Join, JoinCount, Joined};
pub use evidence::EvidenceTable;
pub use machine::{ANSWER, Assignment, Command, Machine, PLAN, RouterSpec, Work};
pub use plan::{Plan, PlanError, PlannedCall, PlannedTask};
pub use verify::{Verified, verify};

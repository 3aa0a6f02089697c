//! The router's machine: a plan carried out task by task, and an answer verified before it is given.

mod join;
mod plan;

pub use join::{Join, JoinCount, Joined};
pub use plan::{Plan, PlanError, PlannedCall, PlannedTask};

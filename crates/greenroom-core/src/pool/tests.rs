//! The pool's machine: against a simple model, rule by rule, and its size under load.

mod chaos;
mod rules;
mod sizes;
mod world;

use std::time::Duration;

use super::*;
use crate::supervision::ExitReason;
use world::World;

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn crash() -> ExitReason {
    ExitReason::panic("a crash")
}

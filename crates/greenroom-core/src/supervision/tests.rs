//! The behaviour of the machine, row by row of the conformance list, in a simulated world.

mod admin;
mod chaos;
mod failing;
mod lasting;
mod otp;
mod overview;
mod scale;
mod significant;
mod starting;
mod stopping;
mod world;

use std::time::Duration;

use super::*;
use world::World;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn crash() -> ExitReason {
    ExitReason::panic("crash")
}

fn worker(id: &str) -> ChildSpec {
    ChildSpec::worker(id)
}

fn temporary(id: &str) -> ChildSpec {
    worker(id).restart(Restart::Temporary)
}

fn transient(id: &str) -> ChildSpec {
    worker(id).restart(Restart::Transient)
}

/// A supervisor that does not give up.
fn patient(strategy: Strategy) -> SupervisorSpec {
    SupervisorSpec::new(strategy).intensity(1000, secs(3600))
}

/// A booted world of permanent workers under a patient supervisor.
fn workers(strategy: Strategy, ids: &str) -> World {
    let children = ids.chars().map(|id| worker(&id.to_string()));
    World::booted(patient(strategy), children)
}

fn counts(specs: usize, active: usize, supervisors: usize, workers: usize) -> ChildCounts {
    ChildCounts { specs, active, supervisors, workers }
}

const STRATEGIES: [Strategy; 3] = [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne];

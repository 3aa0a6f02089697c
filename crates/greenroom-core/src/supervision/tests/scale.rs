//! Rows J: the cost of an event does not depend on how many children there are.

use std::time::Instant;

use super::*;

/// Starts and stops children of a dynamic supervisor; one half ends by itself, the other with it.
/// Answers with the time it took.
#[expect(clippy::disallowed_methods, reason = "the time that the machine takes is what is tested")]
fn live(n_children: u64) -> Duration {
    let started_at = Instant::now();
    let mut machine = Machine::new(SupervisorSpec::dynamic(), Vec::new(), 1).unwrap();
    let now = Duration::ZERO;
    machine.on(now, Event::Start);
    let generation = Generation(1);
    for n in 0..n_children {
        let admin = Admin::StartChild(transient(&n.to_string()));
        machine.on(now, Event::Admin { request: RequestId(n), admin });
        machine.on(now, Event::Started { key: ChildKey(n), generation });
    }
    let specs = usize::try_from(n_children).unwrap();
    assert_eq!(machine.count_children(), counts(specs, specs, 0, specs));
    let exited = |n, reason| Event::Exited { key: ChildKey(n), generation, reason };
    for n in (0..n_children).step_by(2) {
        machine.on(now, exited(n, ExitReason::Normal));
    }
    assert_eq!(machine.count_children().specs, specs / 2);
    machine.on(now, Event::Shutdown { reason: ExitReason::Shutdown });
    assert_eq!(machine.n_timers(), specs / 2);
    for n in (1..n_children).step_by(2) {
        machine.on(now, exited(n, ExitReason::Shutdown));
    }
    assert!(machine.has_exited());
    started_at.elapsed()
}

/// The ratio is about 13 when nothing else runs. A busy machine may spoil an attempt, but not ten; a
/// machine that looks at every child for every event has a ratio of about 100 in all of them.
#[test]
fn sup_j05_ten_times_the_children_cost_at_most_twenty_times_the_time() {
    let is_in_time = (0..10).any(|_| {
        let few = live(1000);
        live(10_000) <= 20 * few
    });
    assert!(is_in_time);
}

#[test]
fn sup_j05_a_hundred_thousand_children_come_and_go() {
    live(100_000);
}

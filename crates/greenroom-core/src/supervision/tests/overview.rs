//! Row J06: what is seen of a supervisor, whatever its children do.

use super::world::{Behaviour, StartOutcome};
use super::*;

/// A child `a` whose restarts wait three seconds.
fn backing_off() -> ChildSpec {
    worker("a").backoff(Backoff::new(secs(3), secs(3)).jitter(0.0))
}

fn seen(world: &World) -> Overview {
    world.machine.overview(world.now)
}

fn child(world: &World, id: &str) -> ChildOverview {
    let children = seen(world).children;
    children.into_iter().find(|child| child.info.id.as_str() == id).expect("it is a child")
}

#[test]
fn sup_j06_a_backoff_is_seen_with_the_time_that_is_left() {
    let mut world = World::booted(patient(Strategy::OneForOne), [backing_off(), worker("b")]);
    assert_eq!(child(&world, "a").backoff_left, None);
    world.end("a", crash());
    let a = child(&world, "a");
    assert_eq!((a.info.state, a.backoff_left), (ChildState::Backoff, Some(secs(3))));
    assert_eq!(a.last_exit, Some(crash()));
    assert_eq!(child(&world, "b").last_exit, None);
    world.run_for(secs(2));
    assert_eq!(child(&world, "a").backoff_left, Some(secs(1)));
    world.run_for(secs(1));
    let a = child(&world, "a");
    assert_eq!((a.info.state, a.backoff_left), (ChildState::Running, None));
    assert_eq!(a.last_exit, Some(crash()), "how the last life ended is remembered");
}

#[test]
fn sup_j06_the_pause_of_a_group_is_the_backoff_of_its_culprit() {
    let children = [backing_off(), worker("b")];
    let mut world = World::booted(patient(Strategy::OneForAll), children);
    world.end("a", crash());
    world.run_for(secs(1));
    let (a, b) = (child(&world, "a"), child(&world, "b"));
    assert_eq!((a.info.state, a.backoff_left), (ChildState::Backoff, Some(secs(2))));
    assert_eq!((b.info.state, b.backoff_left), (ChildState::Waiting, None));
}

#[test]
fn sup_j06_the_restarts_that_are_left_are_counted() {
    let spec = SupervisorSpec::new(Strategy::OneForOne).intensity(3, secs(10));
    let own = ChildSpec { intensity: Some(Intensity::new(5, secs(10))), ..worker("own") };
    let mut world = World::booted(spec, [worker("a"), own]);
    assert_eq!((seen(&world).restarts_left, child(&world, "own").restarts_left), (3, Some(5)));
    world.end("a", crash());
    world.end("own", crash());
    assert_eq!((seen(&world).restarts_left, child(&world, "own").restarts_left), (2, Some(4)));
    assert_eq!(child(&world, "a").restarts_left, None, "it has the supervisor's");
    world.run_for(secs(11));
    assert_eq!((seen(&world).restarts_left, child(&world, "own").restarts_left), (3, Some(5)));
}

#[test]
fn sup_j06_hanging_and_stopping_children_are_seen_as_such() {
    let mut world = workers(Strategy::OneForOne, "ab");
    world.behave("a", Behaviour::starts([StartOutcome::Hang]));
    world.behave("b", Behaviour { stop_after: Some(secs(2)), ..Behaviour::default() });
    world.end("a", crash());
    assert_eq!(child(&world, "a").info.state, ChildState::Starting);
    assert!(!seen(&world).is_closing);
    world.shut_down();
    assert!(seen(&world).is_closing);
    assert_eq!(child(&world, "b").info.state, ChildState::Stopping);
}

#[test]
fn sup_j01_every_event_has_the_reason_and_the_count() {
    let spec = SupervisorSpec::new(Strategy::OneForOne).intensity(1, secs(10));
    let mut world = World::booted(spec, [worker("a")]);
    world.end("a", crash());
    world.end("a", ExitReason::Killed);
    let told = world.reports.drain(..);
    let told = told.map(|told| (told.fact, told.generation.0, told.n_restarts, told.last_exit));
    let exited = |reason: ExitReason| Fact::Exited { reason, asked: false };
    let expect = [
        (Fact::Started, 1, 0, None),
        (exited(crash()), 1, 0, Some(crash())),
        (Fact::Restarting { after: Duration::ZERO }, 1, 0, Some(crash())),
        (Fact::Started, 2, 1, Some(crash())),
        (exited(ExitReason::Killed), 2, 1, Some(ExitReason::Killed)),
        (Fact::Escalated, 2, 1, Some(ExitReason::Killed)),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expect);
}

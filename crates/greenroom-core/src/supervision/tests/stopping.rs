//! Rows F: shutdown.

use super::world::{Behaviour, StartOutcome};
use super::*;

const NEVER: Behaviour = Behaviour {
    starts: std::collections::VecDeque::new(),
    start_after: Duration::ZERO,
    stop_after: None,
    kill_after: Some(Duration::ZERO),
    abort_loses: false,
};

fn deaf() -> Behaviour {
    Behaviour { starts: [StartOutcome::Up].into(), ..NEVER }
}

fn unkillable() -> Behaviour {
    Behaviour { kill_after: None, ..deaf() }
}

fn slow(span: Duration) -> Behaviour {
    Behaviour { stop_after: Some(span), ..Behaviour::default() }
}

fn one(shutdown: Shutdown, behaviour: Behaviour) -> World {
    let child = worker("a").shutdown(shutdown);
    let mut world = World::booted(patient(Strategy::OneForOne), [child]);
    world.behave("a", behaviour);
    world.shut_down();
    world
}

fn asked(reason: ExitReason) -> Option<Fact> {
    Some(Fact::Exited { reason, asked: true })
}

#[test]
fn sup_f01_a_child_that_obeys_in_time_is_not_killed() {
    let mut world = one(Shutdown::Timeout(secs(1)), slow(millis(900)));
    assert_eq!(world.run_out(), millis(900));
    assert_eq!(world.take_trace(), "-a");
    assert_eq!(world.facts("a").last().cloned(), asked(ExitReason::Shutdown));
}

#[test]
fn sup_f02_a_child_that_takes_too_long_is_killed() {
    let mut world = one(Shutdown::Timeout(secs(1)), slow(secs(200)));
    world.run_for(millis(999));
    assert_eq!(world.take_trace(), "-a");
    world.run_for(millis(1));
    assert_eq!(world.take_trace(), "!a");
    assert_eq!(world.exit, Some(ExitReason::Shutdown));
    assert_eq!(world.facts("a")[1], Fact::Overran);
    assert_eq!(world.facts("a").last().cloned(), asked(ExitReason::Killed));
}

#[test]
fn sup_f03_brutal_means_without_asking() {
    let mut world = one(Shutdown::Brutal, Behaviour::default());
    assert_eq!(world.take_trace(), "!a");
    assert_eq!((world.now, world.exit), (secs(0), Some(ExitReason::Shutdown)));
}

#[test]
fn sup_f04_infinity_waits() {
    let mut world = one(Shutdown::Infinity, slow(secs(1_000_000)));
    assert_eq!(world.n_timers(), 0);
    assert_eq!(world.run_out(), secs(1_000_000));
    assert_eq!(world.take_trace(), "-a");
}

#[test]
fn sup_f05_dynamic_children_are_stopped_together() {
    let mut world = World::booted(SupervisorSpec::dynamic(), []);
    for (id, span) in [("a", 1), ("b", 1), ("c", 5)] {
        world.behave(id, slow(secs(span)));
        world.start(worker(id).shutdown(Shutdown::Timeout(secs(2)))).unwrap();
    }
    world.take_trace();
    world.shut_down();
    assert_eq!(world.take_trace(), "-a -b -c");
    assert_eq!(world.run_out(), secs(2));
    assert_eq!(world.take_trace(), "!c");
    assert_eq!(world.exit, Some(ExitReason::Shutdown));
}

#[test]
fn static_children_are_stopped_one_after_the_other_each_with_its_own_time() {
    let children = ["a", "b", "c"].map(|id| worker(id).shutdown(Shutdown::Timeout(secs(2))));
    let mut world = World::booted(patient(Strategy::OneForOne), children);
    for (id, behaviour) in [("a", slow(secs(1))), ("b", deaf()), ("c", slow(secs(1)))] {
        world.behave(id, behaviour);
    }
    world.shut_down();
    assert_eq!(world.run_out(), secs(1 + 2 + 1));
    assert_eq!(world.take_trace(), "-c -b !b -a");
}

#[test]
fn sup_f06_a_child_that_cannot_be_killed_is_abandoned() {
    let mut world = one(Shutdown::Timeout(secs(1)), unkillable());
    assert_eq!(world.run_out(), secs(1 + 5));
    assert_eq!(world.facts("a").last(), Some(&Fact::Abandoned));
    assert_eq!(world.exit, Some(ExitReason::Shutdown));
}

#[test]
fn a_start_that_cannot_be_aborted_is_abandoned() {
    let mut world = workers(Strategy::OneForOne, "a");
    let hangs = [StartOutcome::Hang].into();
    world.behave("a", Behaviour { starts: hangs, kill_after: None, ..Behaviour::default() });
    world.end("a", crash());
    world.shut_down();
    assert_eq!(world.run_out(), secs(5));
    assert_eq!(world.exit, Some(ExitReason::Shutdown));
}

#[test]
fn an_abandoned_child_is_not_started_again_before_it_is_gone() {
    let mut world = workers(Strategy::OneForOne, "a");
    world.behave("a", unkillable());
    let request = world.ask(Admin::TerminateChild("a".into()));
    world.run_out();
    assert_eq!(world.reply(request), Some(Err(AdminError::Stuck)));
    assert_eq!(world.state("a"), ChildState::Abandoned);
    assert_eq!(world.restart("a"), Err(AdminError::Running));
    assert_eq!(world.delete("a"), Err(AdminError::Running));
    assert_eq!(world.terminate("a"), Err(AdminError::Stuck));
    world.end("a", ExitReason::Killed);
    assert_eq!(world.state("a"), ChildState::Stopped);
    assert!(world.restart("a").is_ok());
}

#[test]
fn a_group_that_cannot_be_stopped_ends_the_supervisor() {
    let mut world = workers(Strategy::OneForAll, "abc");
    world.behave("b", unkillable());
    world.end("c", crash());
    world.run_out();
    assert_eq!(world.take_trace(), "-b !b -a");
    assert_eq!(world.exit, Some(ExitReason::Stuck));
    assert_eq!(world.facts("b").last(), Some(&Fact::Escalated));
}

fn in_backoff(strategy: Strategy) -> World {
    let backoff = Backoff::new(secs(10), secs(10)).jitter(0.0);
    let children = [worker("a").backoff(backoff), worker("b")];
    let mut world = World::booted(patient(strategy), children);
    world.end("a", crash());
    world.take_trace();
    assert_eq!((world.state("a"), world.n_timers()), (ChildState::Backoff, 1));
    world
}

#[test]
fn sup_f08_a_shutdown_during_backoff_cancels_the_timer() {
    for strategy in STRATEGIES {
        let mut world = in_backoff(strategy);
        world.shut_down();
        assert_eq!(world.exit, Some(ExitReason::Shutdown));
        assert_eq!((world.now, world.n_timers()), (secs(0), 0));
    }
}

#[test]
fn sup_f09_a_termination_during_backoff_wins() {
    for strategy in STRATEGIES {
        let mut world = in_backoff(strategy);
        assert_eq!(world.terminate("a"), Ok(Done::Done));
        assert_eq!(world.n_timers(), 0);
        world.send(Event::TimerFired(TimerId(0)));
        world.run_for(secs(60));
        assert_eq!(world.state("a"), ChildState::Stopped);
        assert_eq!(world.state("b"), ChildState::Running);
    }
}

#[test]
fn sup_f10_a_child_that_is_replaced_during_backoff_stays() {
    for strategy in STRATEGIES {
        let mut world = in_backoff(strategy);
        let old = world.key("a");
        world.terminate("a").unwrap();
        world.delete("a").unwrap();
        let done = world.start(worker("a"));
        let key = world.key("a");
        assert_ne!(key, old);
        assert_eq!(
            done,
            Ok(Done::Started { key, generation: Generation(1), info: Info::default() })
        );
        world.send(Event::TimerFired(TimerId(0)));
        world.run_for(secs(60));
        assert_eq!(world.up().iter().find(|(id, _)| id == "a").unwrap().1, 1);
    }
}

#[test]
fn sup_f11_nothing_is_left_after_a_full_stop() {
    for strategy in STRATEGIES {
        let mut world = workers(strategy, "abcde");
        world.shut_down();
        assert_eq!((world.n_live(), world.n_timers()), (0, 0));
        assert!(world.machine.has_exited());
    }
}

#[test]
fn a_kill_overtakes_an_orderly_shutdown() {
    let mut world = workers(Strategy::OneForOne, "abc");
    for id in ["a", "b", "c"] {
        world.behave(id, deaf());
    }
    world.shut_down();
    assert_eq!(world.take_trace(), "-c");
    world.send(Event::Shutdown { reason: ExitReason::Killed });
    world.settle();
    assert_eq!(world.take_trace(), "!a !b !c");
    assert_eq!((world.now, world.exit), (secs(0), Some(ExitReason::Killed)));
}

#[test]
fn a_kill_does_not_wait_for_those_that_have_all_the_time() {
    let mut world = World::booted(patient(Strategy::OneForOne), [ChildSpec::supervisor("s")]);
    world.send(Event::Shutdown { reason: ExitReason::Killed });
    world.settle();
    assert_eq!(world.take_trace(), "!s");
    assert_eq!(world.exit, Some(ExitReason::Killed));
}

#[test]
fn an_abandoned_start_is_killed_when_it_comes_up_and_dropped_when_it_is_gone() {
    let mut world = workers(Strategy::OneForOne, "a");
    let starts = [StartOutcome::Up].into();
    world.behave("b", Behaviour { starts, start_after: secs(60), kill_after: None, ..deaf() });
    let start = world.ask(Admin::StartChild(worker("b")));
    let stop = world.ask(Admin::TerminateChild("b".into()));
    world.run_for(secs(5));
    assert_eq!(world.reply(start), Some(Err(AdminError::Interrupted)));
    assert_eq!(world.reply(stop), Some(Err(AdminError::Stuck)));
    world.run_out();
    assert_eq!(world.take_trace(), "+b ~b !b");
    assert_eq!(world.state("b"), ChildState::Abandoned);
    world.end("b", ExitReason::Killed);
    assert_eq!(world.machine.count_children(), counts(1, 1, 0, 1));
}

#[test]
fn children_that_end_during_the_shutdown_are_not_restarted() {
    let mut world = workers(Strategy::OneForAll, "abc");
    world.behave("c", slow(secs(1)));
    world.shut_down();
    world.end("a", crash());
    world.run_out();
    assert_eq!(world.take_trace(), "-c -b");
    assert_eq!(world.exit, Some(ExitReason::Shutdown));
}

#[test]
fn the_first_reason_to_shut_down_stands() {
    let mut world = workers(Strategy::OneForOne, "a");
    world.behave("a", slow(secs(1)));
    world.shut_down();
    world.send(Event::Shutdown { reason: ExitReason::Cancelled });
    world.run_out();
    assert_eq!(world.exit, Some(ExitReason::Shutdown));
}

//! Rows B: administration.

use super::world::{Behaviour, StartOutcome};
use super::*;

#[test]
fn sup_b01_a_running_child_is_not_started_twice() {
    let mut world = workers(Strategy::OneForOne, "a");
    let expect = AdminError::AlreadyStarted { key: world.key("a"), generation: Generation(1) };
    assert_eq!(world.start(worker("a")), Err(expect));
    assert_eq!(world.take_trace(), "");
}

#[test]
fn sup_b02_a_stopped_child_is_present() {
    let mut world = workers(Strategy::OneForOne, "a");
    world.terminate("a").unwrap();
    assert_eq!(world.start(worker("a")), Err(AdminError::AlreadyPresent));
}

#[test]
fn sup_b03_terminating_is_idempotent_for_known_children() {
    let mut world = workers(Strategy::OneForOne, "ab");
    assert_eq!(world.terminate("x"), Err(AdminError::NotFound));
    assert_eq!(world.terminate("a"), Ok(Done::Done));
    assert_eq!(world.terminate("a"), Ok(Done::Done));
    assert_eq!(world.take_trace(), "-a");
    assert_eq!(world.machine.count_children(), counts(2, 1, 0, 2));
}

#[test]
fn sup_b04_restart_and_delete_want_a_stopped_child() {
    let mut world = workers(Strategy::OneForOne, "a");
    assert_eq!(world.restart("a"), Err(AdminError::Running));
    assert_eq!(world.delete("a"), Err(AdminError::Running));
    assert_eq!(world.restart("x"), Err(AdminError::NotFound));
    assert_eq!(world.delete("x"), Err(AdminError::NotFound));
    world.terminate("a").unwrap();
    let key = world.key("a");
    assert_eq!(
        world.restart("a"),
        Ok(Done::Started { key, generation: Generation(2), info: Info::default() })
    );
    world.terminate("a").unwrap();
    assert_eq!(world.delete("a"), Ok(Done::Done));
    assert!(world.has_forgotten(key));
    assert_eq!(world.machine.count_children(), counts(0, 0, 0, 0));
}

#[test]
fn sup_b05_a_supervisor_that_is_gone_refuses_at_once() {
    let mut world = workers(Strategy::OneForOne, "a");
    world.shut_down();
    assert_eq!(world.start(worker("b")), Err(AdminError::ShuttingDown));
    assert_eq!(world.terminate("a"), Err(AdminError::ShuttingDown));
}

#[test]
fn requests_are_refused_and_pending_ones_answered_while_shutting_down() {
    let mut world = workers(Strategy::OneForOne, "a");
    world.behave("a", Behaviour { stop_after: Some(secs(2)), ..Behaviour::default() });
    world.behave("b", Behaviour::starts([StartOutcome::Hang]));
    let start = world.ask(Admin::StartChild(worker("b")));
    let stop = world.ask(Admin::TerminateChild("a".into()));
    world.shut_down();
    assert_eq!(world.reply(start), Some(Err(AdminError::ShuttingDown)));
    assert_eq!(world.restart("a"), Err(AdminError::ShuttingDown));
    assert_eq!(world.reply(stop), None);
    assert_eq!(world.run_out(), secs(2));
    assert_eq!(world.reply(stop), Some(Ok(Done::Done)));
    assert_eq!(world.exit, Some(ExitReason::Shutdown));
}

#[test]
fn sup_b06_dynamic_children_are_named_by_key_too() {
    let mut world = World::booted(SupervisorSpec::dynamic(), []);
    world.start(worker("a")).unwrap();
    let key = world.key("a");
    assert_eq!(world.restart("a"), Err(AdminError::Dynamic));
    assert_eq!(world.delete("a"), Err(AdminError::Dynamic));
    let by_key = |key| Admin::TerminateChild(Target::Key(key));
    assert_eq!(world.answer(by_key(ChildKey(9))), Err(AdminError::NotFound));
    assert_eq!(world.n_live(), 1);
    assert_eq!(world.answer(by_key(key)), Ok(Done::Done));
    assert_eq!(world.answer(by_key(key)), Ok(Done::Done), "dead is as terminated as asked");
    world.start(worker("a")).unwrap();
    assert_eq!(world.answer(by_key(key)), Ok(Done::Done));
    assert_eq!(world.n_live(), 1, "the old key is not the new child");
    assert_eq!(world.terminate("a"), Ok(Done::Done));
    assert_eq!(world.machine.count_children(), counts(0, 0, 0, 0));
}

#[test]
fn sup_b07_counts_are_right_for_many_and_while_some_restart() {
    let mut world = World::booted(patient(Strategy::OneForOne), []);
    for n in 0..2000 {
        world.start(worker(&n.to_string())).unwrap();
        if n == 999 {
            assert_eq!(world.machine.count_children(), counts(1000, 1000, 0, 1000));
        }
    }
    world.start(ChildSpec::supervisor("s")).unwrap();
    assert_eq!(world.machine.count_children(), counts(2001, 2001, 1, 2000));

    let backoff = Backoff::new(secs(1), secs(1));
    let spec = patient(Strategy::OneForOne);
    let children = ["a", "b", "c"].map(|id| worker(id).backoff(backoff));
    let mut world = World::booted(spec, children);
    world.end("a", crash());
    world.end("b", crash());
    assert_eq!(world.machine.count_children(), counts(3, 1, 0, 3));
    assert_eq!(world.state("a"), ChildState::Backoff);
}

#[test]
fn sup_b08_a_full_supervisor_refuses_and_keeps_what_it_has() {
    let backoff = Backoff::new(secs(1), secs(1)).jitter(0.0);
    let spec = SupervisorSpec::dynamic().children_max(2);
    let mut world = World::booted(spec, []);
    world.start(worker("a").backoff(backoff)).unwrap();
    world.start(worker("b")).unwrap();
    world.end("a", crash());
    assert_eq!(world.start(worker("c")), Err(AdminError::MaxChildren { children_max: 2 }));
    world.run_for(secs(1));
    assert_eq!(world.up(), [("a".into(), 2), ("b".into(), 1)]);
}

#[test]
fn a_bad_spec_is_refused_before_anything_else() {
    let mut world = workers(Strategy::OneForOne, "a");
    let error = AdminError::Invalid(SpecError::IdEmpty);
    assert_eq!(world.start(worker("")), Err(error));
}

#[test]
fn sup_f07_requests_are_answered_while_a_start_hangs() {
    for strategy in STRATEGIES {
        let mut world = workers(strategy, "ab");
        world.behave("a", Behaviour::starts([StartOutcome::Hang]));
        world.end("a", crash());
        assert_eq!(world.state("a"), ChildState::Starting);
        assert_eq!(world.start(worker("a")), Err(AdminError::AlreadyPresent));
        assert_eq!(world.restart("a"), Err(AdminError::Restarting));
        assert_eq!(world.delete("a"), Err(AdminError::Restarting));
        assert_eq!(world.terminate("a"), Ok(Done::Done));
        assert_eq!(world.state("a"), ChildState::Stopped);
        assert_eq!(world.state("b"), ChildState::Running, "{strategy:?}: the group goes on");
        world.shut_down();
        assert_eq!(world.exit, Some(ExitReason::Shutdown));
    }
}

#[test]
fn sup_f07_a_supervisor_stops_at_once_while_a_start_hangs() {
    for strategy in STRATEGIES {
        let mut world = workers(strategy, "ab");
        world.behave("a", Behaviour::starts([StartOutcome::Hang]));
        world.end("a", crash());
        world.shut_down();
        assert_eq!(world.exit, Some(ExitReason::Shutdown));
        assert_eq!(world.now, Duration::ZERO);
    }
}

#[test]
fn a_start_that_is_terminated_leaves_nothing_and_tells_both() {
    let mut world = workers(Strategy::OneForOne, "a");
    world.behave("b", Behaviour::starts([StartOutcome::Hang]));
    let start = world.ask(Admin::StartChild(worker("b")));
    assert_eq!(world.terminate("b"), Ok(Done::Done));
    assert_eq!(world.reply(start), Some(Err(AdminError::Interrupted)));
    assert_eq!(world.machine.count_children(), counts(1, 1, 0, 1));
}

#[test]
fn a_child_that_comes_up_while_it_is_aborted_is_stopped() {
    let mut world = workers(Strategy::OneForOne, "a");
    let behaviour = Behaviour { abort_loses: true, ..Behaviour::starts([StartOutcome::Hang]) };
    world.behave("b", behaviour);
    world.ask(Admin::StartChild(worker("b")));
    assert_eq!(world.terminate("b"), Ok(Done::Done));
    assert_eq!(world.take_trace(), "+b ~b -b");
    assert_eq!((world.n_live(), world.n_timers()), (1, 0));
}

#[test]
fn all_who_wait_for_a_stop_are_answered_and_their_number_is_bounded() {
    let mut world = workers(Strategy::OneForOne, "a");
    world.behave("a", Behaviour { stop_after: Some(secs(1)), ..Behaviour::default() });
    let waiting: Vec<_> = (0..64).map(|_| world.ask(Admin::TerminateChild("a".into()))).collect();
    assert_eq!(world.terminate("a"), Err(AdminError::Busy));
    world.run_out();
    for request in waiting {
        assert_eq!(world.reply(request), Some(Ok(Done::Done)));
    }
}

#[test]
fn starts_requested_during_a_group_restart_wait_for_their_turn() {
    let backoff = Backoff::new(secs(1), secs(1)).jitter(0.0);
    let children = [worker("a").backoff(backoff), worker("b")];
    let mut world = World::booted(patient(Strategy::OneForAll), children);
    world.end("a", crash());
    let request = world.ask(Admin::StartChild(worker("c")));
    let temporary = world.ask(Admin::StartChild(temporary("d")));
    assert_eq!((world.take_trace().as_str(), world.reply(request)), ("-b", None));
    world.run_for(secs(1));
    assert_eq!(world.take_trace(), "+a +b +c +d");
    for request in [request, temporary] {
        assert!(matches!(world.reply(request), Some(Ok(Done::Started { .. }))));
    }
}

#[test]
fn a_group_restart_repeats_the_start_it_interrupts() {
    let mut world = workers(Strategy::OneForAll, "a");
    world.behave("b", Behaviour { start_after: secs(1), ..Behaviour::default() });
    world.behave("c", Behaviour { start_after: secs(1), ..Behaviour::default() });
    let request = world.ask(Admin::StartChild(worker("b")));
    let never = world.ask(Admin::StartChild(temporary("c")));
    world.end("a", crash());
    assert_eq!(world.reply(never), Some(Err(AdminError::Interrupted)));
    world.run_out();
    assert_eq!(world.take_trace(), "+b +c ~c ~b +a +b");
    let (key, generation) = (world.key("b"), Generation(2));
    let expect = Done::Started { key, generation, info: Info::default() };
    assert_eq!(world.reply(request), Some(Ok(expect)));
}

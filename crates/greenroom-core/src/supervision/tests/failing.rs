//! Rows C, D, E and H: restart types, strategies, intensity, backoff.

use super::world::{Behaviour, StartOutcome};
use super::*;

const NORMAL: [ExitReason; 3] = [ExitReason::Normal, ExitReason::Shutdown, ExitReason::Cancelled];

fn abnormal() -> [ExitReason; 4] {
    [ExitReason::failed("error"), crash(), ExitReason::Killed, ExitReason::Stuck]
}

fn up(children: &[(&str, u64)]) -> Vec<(String, u64)> {
    children.iter().map(|(id, generation)| ((*id).to_owned(), *generation)).collect()
}

#[test]
fn sup_c01_permanent_children_are_always_restarted() {
    for reason in NORMAL.into_iter().chain(abnormal()) {
        let mut world = workers(Strategy::OneForOne, "a");
        world.end("a", reason);
        assert_eq!(world.up(), up(&[("a", 2)]));
    }
}

#[test]
fn sup_c02_transient_children_are_restarted_when_they_fail() {
    for reason in NORMAL {
        let mut world = World::booted(patient(Strategy::OneForOne), [transient("a")]);
        world.end("a", reason);
        assert_eq!(world.state("a"), ChildState::Stopped);
    }
    for reason in abnormal() {
        let mut world = World::booted(patient(Strategy::OneForOne), [transient("a")]);
        world.end("a", reason);
        assert_eq!(world.up(), up(&[("a", 2)]));
    }
}

#[test]
fn sup_c03_a_transient_child_that_is_done_can_be_restarted_by_hand() {
    let mut world = World::booted(patient(Strategy::OneForOne), [transient("a")]);
    world.end("a", ExitReason::Normal);
    assert!(world.restart("a").is_ok());
    assert_eq!(world.up(), up(&[("a", 2)]));
}

#[test]
fn sup_c04_temporary_children_are_forgotten_once_up_and_dropped_once_gone() {
    for reason in NORMAL.into_iter().chain(abnormal()) {
        let mut world = World::booted(patient(Strategy::OneForOne), [temporary("a"), worker("b")]);
        assert!(world.has_forgotten(ChildKey(0)));
        assert!(!world.has_forgotten(ChildKey(1)));
        world.end("a", reason);
        assert_eq!(world.machine.count_children(), counts(1, 1, 0, 1));
        assert_eq!(world.take_trace(), "");
    }
}

#[test]
fn sup_c05_temporary_siblings_of_a_group_do_not_come_back() {
    for strategy in [Strategy::OneForAll, Strategy::RestForOne] {
        let children = [worker("a"), temporary("b"), worker("c")];
        let mut world = World::booted(patient(strategy), children);
        world.end("a", crash());
        assert_eq!(world.take_trace(), "-c -b +a +c");
        assert_eq!(world.up(), up(&[("a", 2), ("c", 2)]));
        world.end("a", crash());
        assert_eq!(world.up(), up(&[("a", 3), ("c", 3)]));
    }
}

#[test]
fn sup_d01_one_for_one_touches_nobody_else() {
    let mut world = workers(Strategy::OneForOne, "abc");
    world.end("b", crash());
    assert_eq!(world.take_trace(), "+b");
    assert_eq!(world.up(), up(&[("a", 1), ("b", 2), ("c", 1)]));
}

#[test]
fn sup_d02_one_for_all_restarts_all_once_the_old_are_gone() {
    let mut world = workers(Strategy::OneForAll, "abc");
    world.behave("c", slow_to_stop(secs(1)));
    world.end("b", crash());
    assert_eq!(world.take_trace(), "-c");
    world.run_out();
    assert_eq!(world.take_trace(), "-a +a +b +c");
    assert_eq!(world.up(), up(&[("a", 2), ("b", 2), ("c", 2)]));
}

#[test]
fn sup_d03_rest_for_one_restarts_those_after() {
    let mut world = workers(Strategy::RestForOne, "abc");
    world.end("b", crash());
    assert_eq!(world.take_trace(), "-c +b +c");
    assert_eq!(world.up(), up(&[("a", 1), ("b", 2), ("c", 2)]));
}

#[test]
fn sup_d04_groups_start_in_order_and_stop_in_reverse() {
    let mut world = workers(Strategy::OneForAll, "abcde");
    world.end("c", crash());
    assert_eq!(world.take_trace(), "-e -d -b -a +a +b +c +d +e");
    world.shut_down();
    assert_eq!(world.take_trace(), "-e -d -c -b -a");
}

#[test]
fn sup_d05_one_for_all_begins_again_when_a_start_fails() {
    let mut world = workers(Strategy::OneForAll, "abc");
    world.behave("b", Behaviour::starts([StartOutcome::Fail, StartOutcome::Up]));
    world.end("c", crash());
    assert_eq!(world.take_trace(), "-b -a +a +b -a +a +b +c");
}

#[test]
fn sup_d06_rest_for_one_tries_again_from_the_one_that_failed() {
    let mut world = workers(Strategy::RestForOne, "abc");
    world.behave("b", Behaviour::starts([StartOutcome::Fail, StartOutcome::Up]));
    world.end("a", crash());
    assert_eq!(world.take_trace(), "-c -b +a +b +b +c");
    assert_eq!(world.up(), up(&[("a", 2), ("b", 3), ("c", 2)]));
}

#[test]
fn sup_d07_each_failed_start_counts_until_the_supervisor_gives_up() {
    let check = |strategy, expect: &str| {
        let spec = SupervisorSpec::new(strategy).intensity(4, secs(3600));
        let mut world = World::booted(spec, [worker("a"), worker("b")]);
        world.behave("b", Behaviour::starts([StartOutcome::Fail]));
        world.end("b", crash());
        assert_eq!(world.take_trace(), expect);
        let reason = ExitReason::IntensityExceeded { child: "b".into() };
        assert_eq!(world.exit, Some(reason));
    };
    check(Strategy::OneForOne, "+b +b +b +b -a");
    check(Strategy::RestForOne, "+b +b +b +b -a");
    check(Strategy::OneForAll, "-a +a +b -a +a +b -a +a +b -a +a +b -a");
}

#[test]
fn sup_d08_two_ends_at_the_same_instant_are_one_restart_of_a_group() {
    let check = |strategy, expect: &str, n_restarts| {
        let mut world = workers(strategy, "abc");
        let exited = |id: &str| Event::Exited {
            key: world.key(id),
            generation: Generation(1),
            reason: crash(),
        };
        let (first, second) = (exited("a"), exited("c"));
        world.schedule_all([first, second]);
        assert_eq!(world.take_trace(), expect);
        let restarting =
            |report: &&SupervisionEvent| matches!(report.fact, Fact::Restarting { .. });
        assert_eq!(world.reports.iter().filter(restarting).count(), n_restarts);
        assert_eq!(world.up().len(), 3);
    };
    check(Strategy::OneForOne, "+a +c", 2);
    check(Strategy::OneForAll, "-c -b +a +b +c", 1);
    check(Strategy::RestForOne, "-c -b +a +b +c", 1);
}

#[test]
fn an_end_before_the_group_widens_the_round() {
    let mut world = workers(Strategy::RestForOne, "abc");
    world.behave("b", Behaviour { start_after: secs(1), ..Behaviour::default() });
    world.end("b", crash());
    world.end("a", crash());
    world.run_out();
    assert_eq!(world.take_trace(), "-c +b ~b +a +b +c");
    assert_eq!(world.up(), up(&[("a", 2), ("b", 3), ("c", 2)]));
}

fn n_restartings(world: &World) -> usize {
    let is_restarting = |report: &&SupervisionEvent| matches!(report.fact, Fact::Restarting { .. });
    world.reports.iter().filter(is_restarting).count()
}

fn slow_to_stop(span: Duration) -> Behaviour {
    Behaviour { stop_after: Some(span), ..Behaviour::default() }
}

#[test]
fn sup_d08_a_sibling_that_dies_before_its_turn_to_be_stopped_is_not_counted() {
    for strategy in [Strategy::OneForAll, Strategy::RestForOne] {
        let children = [worker("a"), worker("b"), temporary("t").significant(), worker("c")];
        let spec = patient(strategy).auto_shutdown(AutoShutdown::AnySignificant);
        let mut world = World::booted(spec, children);
        world.behave("c", slow_to_stop(secs(1)));
        world.end("a", crash());
        world.end("b", crash());
        world.end("t", crash());
        assert_eq!(world.take_trace(), "-c");
        world.run_out();
        assert_eq!(world.take_trace(), "+a +b +c");
        assert_eq!((n_restartings(&world), world.exit), (1, None));
    }
}

#[test]
fn an_end_before_the_group_widens_it_while_it_is_being_stopped() {
    let mut world = workers(Strategy::RestForOne, "abc");
    world.behave("c", slow_to_stop(secs(1)));
    world.end("b", crash());
    world.end("a", crash());
    world.run_out();
    assert_eq!(world.take_trace(), "-c +a +b +c");
    assert_eq!((n_restartings(&world), world.up().len()), (2, 3));
}

#[test]
fn a_round_that_replaces_another_keeps_its_wait() {
    let child = worker("b").backoff(Backoff::new(secs(9), secs(9)).jitter(0.0));
    for b_stops_after in [0, 1] {
        let children = [worker("a"), child.clone(), worker("c")];
        let mut world = World::booted(patient(Strategy::RestForOne), children);
        world.behave("c", slow_to_stop(secs(b_stops_after)));
        world.end("b", crash());
        world.end("a", crash());
        assert_eq!(world.run_out(), secs(9 + b_stops_after));
        assert_eq!(world.take_trace(), "-c +a +b +c");
    }
}

#[test]
fn a_failed_start_of_a_restart_during_boot_is_no_failed_boot() {
    let mut world = World::new(patient(Strategy::OneForOne), ["a", "b"].map(worker));
    world.behave("a", Behaviour::starts([StartOutcome::Up, StartOutcome::Fail, StartOutcome::Up]));
    world.behave("b", Behaviour { start_after: secs(1), ..Behaviour::default() });
    world.boot();
    world.end("a", crash());
    world.run_out();
    assert_eq!(world.take_trace(), "+a +b +a +a");
    assert!(world.is_ready);
}

#[test]
fn a_round_waits_for_the_child_whose_start_is_being_cut_off() {
    let mut world = workers(Strategy::OneForAll, "abc");
    let hangs = Behaviour::starts([StartOutcome::Hang]);
    world.behave("b", Behaviour { kill_after: Some(secs(1)), ..hangs });
    world.end("a", crash());
    world.ask(Admin::TerminateChild("b".into()));
    assert_eq!(world.take_trace(), "-c -b +a +b ~b");
    world.run_for(secs(1));
    assert_eq!(world.take_trace(), "+c");
}

#[test]
fn nobody_waits_for_the_backoff_of_a_child_that_was_terminated() {
    let mut world =
        World::booted(patient(Strategy::OneForAll), [backing_off(9000, 9000), worker("b")]);
    world.behave("b", slow_to_stop(secs(1)));
    world.end("a", crash());
    world.terminate("a").unwrap();
    assert_eq!(world.run_out(), secs(1));
    assert_eq!(world.take_trace(), "-b +b");
}

#[test]
fn a_restart_by_hand_is_not_counted_and_begins_the_waits_anew() {
    let mut world = World::booted(patient(Strategy::OneForOne), [backing_off(1000, 9000)]);
    for expect in [secs(1), secs(2)] {
        world.end("a", crash());
        assert_eq!(world.run_out(), expect);
    }
    world.terminate("a").unwrap();
    world.restart("a").unwrap();
    assert_eq!(world.machine.child(&"a".into()).unwrap().n_restarts, 2);
    world.end("a", crash());
    assert_eq!(world.run_out(), secs(1));
}

#[test]
fn stopped_children_are_started_with_their_group_as_in_otp() {
    let mut world = workers(Strategy::OneForAll, "ab");
    world.terminate("b").unwrap();
    world.take_trace();
    world.end("a", crash());
    assert_eq!(world.take_trace(), "+a +b");
}

#[test]
fn a_child_that_is_terminated_in_a_group_restart_stays_down() {
    let mut world = workers(Strategy::OneForAll, "abc");
    world.behave("c", slow_to_stop(secs(1)));
    world.end("a", crash());
    let request = world.ask(Admin::TerminateChild("c".into()));
    assert_eq!(world.terminate("b"), Ok(Done::Done), "b is next, and is up");
    world.run_out();
    assert_eq!(world.reply(request), Some(Ok(Done::Done)));
    assert_eq!(world.up(), up(&[("a", 2)]));
    assert_eq!(world.take_trace(), "-c -b +a");
}

#[test]
fn sup_e01_one_failure_too_many_stops_all_and_then_the_supervisor() {
    let spec = SupervisorSpec::new(Strategy::OneForOne).intensity(2, secs(3600));
    let mut world = World::booted(spec, ["a", "b", "c"].map(worker));
    world.end("b", crash());
    world.end("b", crash());
    world.take_trace();
    world.end("b", crash());
    assert_eq!(world.take_trace(), "-c -a");
    let expect = ExitReason::IntensityExceeded { child: "b".into() };
    assert_eq!(world.exit, Some(expect));
    assert_eq!(world.facts("b").last(), Some(&Fact::Escalated));
}

#[test]
fn sup_e02_rare_failures_are_survived() {
    let spec = SupervisorSpec::new(Strategy::OneForOne).intensity(1, secs(1));
    let mut world = World::booted(spec, [worker("a")]);
    for _ in 0..4 {
        world.end("a", crash());
        world.run_for(millis(2100));
    }
    assert_eq!(world.up(), up(&[("a", 5)]));
}

#[test]
fn sup_e03_an_intensity_of_zero_escalates_at_once() {
    let spec = SupervisorSpec::new(Strategy::OneForOne).intensity(0, secs(5));
    let mut world = World::booted(spec, [worker("a")]);
    world.end("a", crash());
    assert!(world.exit.is_some());
    assert_eq!(world.take_trace(), "");
}

#[test]
fn sup_e04_time_that_runs_backwards_changes_nothing() {
    let spec = SupervisorSpec::new(Strategy::OneForOne).intensity(1, secs(5));
    let mut world = World::booted(spec, [worker("a")]);
    world.run_for(secs(3600));
    world.end("a", crash());
    world.now = Duration::ZERO;
    world.end("a", crash());
    assert!(world.exit.is_some(), "an hour ago is taken for now");

    let mut world = World::booted(patient(Strategy::OneForOne), [backing_off(1000, 5000)]);
    world.run_for(secs(3600));
    world.send(Event::TimerFired(TimerId(99)));
    world.now = Duration::ZERO;
    world.end("a", crash());
    world.run_out();
    world.now = secs(3600);
    world.end("a", crash());
    assert_eq!(world.arms, [secs(1), secs(2)], "an hour forward is no hour of quiet");
}

#[test]
fn sup_e06_a_parent_takes_escalation_for_a_failure() {
    let reason = ExitReason::IntensityExceeded { child: "a".into() };
    assert!(reason.is_abnormal());
    let child = ChildSpec::supervisor("s").restart(Restart::Transient);
    let mut world = World::booted(patient(Strategy::OneForOne), [child]);
    world.end("s", reason);
    assert_eq!(world.up(), up(&[("s", 2)]));
}

#[test]
fn a_limit_of_the_childs_own_ends_the_child_alone_when_dynamic() {
    let spec = SupervisorSpec::dynamic().intensity(1, secs(3600));
    let mut world = World::booted(spec, []);
    let limited = |id| worker(id).intensity(Intensity::new(2, secs(3600)));
    world.start(limited("a")).unwrap();
    world.start(worker("b")).unwrap();
    for _ in 0..3 {
        world.end("a", crash());
    }
    assert_eq!(world.up(), up(&[("b", 1)]));
    assert_eq!(world.facts("a").last(), Some(&Fact::GivenUp));
    world.end("b", crash());
    assert_eq!(world.up(), up(&[("b", 2)]), "its failures were not counted against the others");
}

#[test]
fn a_limit_of_the_childs_own_ends_a_static_supervisor() {
    let child = worker("a").intensity(Intensity::new(0, secs(1)));
    let mut world = World::booted(patient(Strategy::OneForOne), [child, worker("b")]);
    world.end("a", crash());
    assert_eq!(world.exit, Some(ExitReason::IntensityExceeded { child: "a".into() }));
}

fn backing_off(min_ms: u64, max_ms: u64) -> ChildSpec {
    worker("a").backoff(Backoff::new(millis(min_ms), millis(max_ms)).jitter(0.0))
}

#[test]
fn sup_h02_waits_double_and_one_child_is_left() {
    let mut world = World::booted(patient(Strategy::OneForOne), [backing_off(200, 10_000)]);
    let fails = std::iter::repeat_n(StartOutcome::Fail, 3);
    world.behave("a", Behaviour::starts(fails.chain([StartOutcome::Up])));
    world.end("a", crash());
    assert_eq!(world.run_out(), millis(200 + 400 + 800 + 1600));
    assert_eq!(world.arms, [200, 400, 800, 1600].map(millis));
    assert_eq!(world.up(), up(&[("a", 5)]));
    assert_eq!(world.n_live(), 1);
}

#[test]
fn sup_h03_the_sixth_failure_ends_a_child_that_may_fail_five_times() {
    let limited = backing_off(1, 1).intensity(Intensity::new(5, secs(3600)));
    let mut world = World::booted(SupervisorSpec::dynamic(), []);
    world.start(limited).unwrap();
    for generation in 2..=6 {
        world.end("a", crash());
        world.run_for(millis(1));
        assert_eq!(world.up(), up(&[("a", generation)]));
    }
    world.end("a", crash());
    assert_eq!(world.machine.count_children(), counts(0, 0, 0, 0));
}

#[test]
fn sup_h04_waits_begin_anew_after_quiet_running() {
    let mut world = World::booted(patient(Strategy::OneForOne), [backing_off(1000, 5000)]);
    let mut ends_after = |quiet| {
        world.run_for(quiet);
        world.end("a", crash());
        world.run_out();
        *world.arms.last().unwrap()
    };
    assert_eq!(ends_after(secs(0)), secs(1));
    assert_eq!(ends_after(millis(2999)), secs(2));
    assert_eq!(ends_after(secs(3)), secs(1));
    assert_eq!(ends_after(secs(0)), secs(2));
}

#[test]
fn sup_h10_nothing_is_counted_while_a_group_is_being_stopped() {
    let mut world = workers(Strategy::OneForAll, "ab");
    world.behave("b", slow_to_stop(secs(1)));
    world.end("a", crash());
    let b = world.machine.child(&"b".into()).unwrap();
    assert_eq!((b.state, b.generation, b.n_restarts), (ChildState::Stopping, Generation(1), 0));
    world.run_out();
    let b = world.machine.child(&"b".into()).unwrap();
    assert_eq!((b.state, b.generation, b.n_restarts), (ChildState::Running, Generation(2), 1));
}

#[test]
fn sup_h11_a_group_starts_once_it_is_gone_and_the_wait_is_over() {
    let children = [backing_off(3000, 3000), worker("b"), worker("c")];
    let mut world = World::booted(patient(Strategy::OneForAll), children);
    world.behave("b", slow_to_stop(secs(1)));
    world.behave("c", slow_to_stop(secs(2)));
    world.end("a", crash());
    assert_eq!(world.take_trace(), "-c");
    world.run_for(millis(2000));
    assert_eq!(world.take_trace(), "-b");
    world.run_for(millis(1000));
    assert_eq!(world.state("a"), ChildState::Backoff);
    world.run_for(millis(2999));
    assert_eq!(world.take_trace(), "");
    world.run_for(millis(1));
    assert_eq!(world.take_trace(), "+a +b +c");
}

#[test]
fn news_of_old_incarnations_is_ignored() {
    let mut world = workers(Strategy::OneForOne, "a");
    world.end("a", crash());
    let (key, old) = (world.key("a"), Generation(1));
    world.send(Event::Exited { key, generation: old, reason: crash() });
    world.send(Event::StartFailed { key, generation: old, cause: crash() });
    world.send(Event::Started { key, generation: old });
    world.send(Event::Exited { key: ChildKey(7), generation: old, reason: crash() });
    assert_eq!(world.up(), up(&[("a", 2)]));
    assert_eq!(world.take_trace(), "+a");
}

//! Rows A: starts and specs. Rows J: reports.

use super::world::{Behaviour, StartOutcome};
use super::*;

#[test]
fn sup_a01_no_children_is_a_clean_life() {
    let mut world = World::booted(SupervisorSpec::new(Strategy::OneForOne), []);
    world.shut_down();
    assert_eq!(world.exit, Some(ExitReason::Shutdown));
}

#[test]
fn a_supervisor_that_never_began_shuts_down_without_starting_anything() {
    let mut world = World::new(patient(Strategy::OneForOne), [worker("a")]);
    world.shut_down();
    assert_eq!((world.take_trace(), world.exit), (String::new(), Some(ExitReason::Shutdown)));
}

#[test]
fn sup_a04_a_child_that_declines_keeps_its_spec() {
    for spec in [worker("b"), transient("b")] {
        let mut world = World::new(patient(Strategy::OneForOne), [worker("a"), spec]);
        world.behave("b", Behaviour::starts([StartOutcome::Ignore]));
        world.boot();
        assert!(world.is_ready);
        assert_eq!(world.machine.count_children(), counts(2, 1, 0, 2));
        assert_eq!(world.state("b"), ChildState::Stopped);
    }
}

#[test]
fn sup_a05_a_temporary_child_that_declines_is_dropped() {
    let mut world = World::new(patient(Strategy::OneForOne), [worker("a"), temporary("b")]);
    world.behave("b", Behaviour::starts([StartOutcome::Ignore]));
    world.boot();
    assert_eq!(world.machine.count_children(), counts(1, 1, 0, 1));
    assert!(world.has_forgotten(ChildKey(1)));
}

#[test]
fn sup_a06_a_dynamic_child_that_declines_is_dropped() {
    let mut world = World::booted(SupervisorSpec::dynamic(), []);
    world.behave("a", Behaviour::starts([StartOutcome::Ignore]));
    assert_eq!(world.start(worker("a")), Ok(Done::Ignored));
    assert_eq!(world.machine.count_children(), counts(0, 0, 0, 0));
    world.shut_down();
    assert_eq!(world.exit, Some(ExitReason::Shutdown));
}

#[test]
fn sup_a07_a_failed_start_at_boot_stops_what_was_started_in_reverse() {
    for strategy in STRATEGIES {
        let children = ["a", "b", "c", "d"].map(worker);
        let mut world = World::new(patient(strategy), children);
        world.behave("c", Behaviour::starts([StartOutcome::Fail]));
        world.boot();
        assert_eq!(world.take_trace(), "+a +b +c -b -a");
        assert!(!world.is_ready);
        let expect = ExitReason::StartFailed { child: "c".into(), cause: Box::new(crash()) };
        assert_eq!(world.exit, Some(expect));
    }
}

#[test]
fn sup_a08_a_start_that_fails_leaves_no_spec() {
    let mut world = workers(Strategy::OneForAll, "a");
    world.behave("b", Behaviour::starts([StartOutcome::Fail]));
    assert_eq!(world.start(worker("b")), Err(AdminError::StartFailed { cause: crash() }));
    assert_eq!(world.machine.count_children(), counts(1, 1, 0, 1));
    assert!(world.has_forgotten(ChildKey(1)));
    assert_eq!(world.take_trace(), "+b", "the siblings are left alone");
}

#[test]
fn sup_a09_a_restart_that_fails_keeps_the_spec() {
    let mut world = workers(Strategy::OneForOne, "a");
    world.terminate("a").unwrap();
    world.behave("a", Behaviour::starts([StartOutcome::Fail, StartOutcome::Up]));
    assert_eq!(world.restart("a"), Err(AdminError::StartFailed { cause: crash() }));
    assert_eq!(world.state("a"), ChildState::Stopped);
    assert!(world.restart("a").is_ok());
}

#[test]
fn sup_a10_the_defaults_are_otps() {
    let spec = SupervisorSpec::new(Strategy::default());
    assert_eq!(spec.strategy, Strategy::OneForOne);
    assert_eq!(spec.intensity, Intensity::new(1, secs(5)));
    assert_eq!(spec.auto_shutdown, AutoShutdown::Never);
    let child = ChildSpec::worker("a");
    assert_eq!((child.restart, child.kind), (Restart::Permanent, ChildKind::Worker));
    assert_eq!((child.shutdown, child.significant), (Shutdown::Timeout(secs(5)), false));
    assert_eq!(ChildSpec::supervisor("a").shutdown, Shutdown::Infinity);
}

#[test]
fn sup_a11_each_mistake_has_an_error_of_its_own() {
    #[track_caller]
    fn check(spec: SupervisorSpec, children: impl Into<Vec<ChildSpec>>, expect: SpecError) {
        assert_eq!(Machine::new(spec, children.into(), 0).err(), Some(expect));
    }
    let spec = || SupervisorSpec::new(Strategy::OneForOne);
    let id = || "a".into();
    let backoff = |min, max| worker("a").backoff(Backoff::new(secs(min), secs(max)));
    let jitter = |jitter| worker("a").backoff(Backoff::new(secs(1), secs(1)).jitter(jitter));
    let any = AutoShutdown::AnySignificant;
    check(spec(), [worker("")], SpecError::IdEmpty);
    check(spec(), [worker("a"), worker("a")], SpecError::IdDuplicate { id: id() });
    let significant = transient("a").significant();
    check(spec(), [significant], SpecError::SignificantUnderNever { id: id() });
    let significant = worker("a").significant();
    let expect = SpecError::SignificantPermanent { id: id() };
    check(spec().auto_shutdown(any), [significant], expect);
    check(spec().intensity(u32::MAX, secs(1)), [], SpecError::IntensityInfinite);
    check(spec().intensity(1, secs(0)), [], SpecError::PeriodZero);
    check(spec().intensity(1, Duration::MAX), [], SpecError::PeriodInfinite);
    let limited = worker("a").intensity(Intensity::new(1, secs(0)));
    check(spec(), [limited], SpecError::PeriodZero);
    check(spec(), [backoff(2, 1)], SpecError::BackoffMinAboveMax);
    for bad in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        check(spec(), [jitter(bad)], SpecError::BackoffJitter);
    }
    check(spec().kill_grace(secs(0)), [], SpecError::KillGraceZero);
    check(spec().kill_grace(Duration::MAX), [], SpecError::KillGraceInfinite);
    check(spec().children_max(0), [], SpecError::ChildrenMaxZero);
    let two = [worker("a"), worker("b")];
    check(spec().children_max(1), two, SpecError::TooManyChildren { children_max: 1 });
    let grouped = SupervisorSpec { dynamic: true, ..SupervisorSpec::new(Strategy::OneForAll) };
    check(grouped, [], SpecError::DynamicStrategy);
}

#[test]
fn sup_a13_a_dynamic_supervisor_starts_without_children() {
    let error = Machine::new(SupervisorSpec::dynamic(), vec![worker("a")], 0).unwrap_err();
    assert_eq!(error, SpecError::DynamicChildren);
}

#[test]
fn children_start_one_after_the_other() {
    let mut world = World::new(patient(Strategy::OneForOne), [worker("a"), worker("b")]);
    let slow = Behaviour { start_after: secs(3), ..Behaviour::default() };
    world.behave("a", slow);
    world.boot();
    assert_eq!(world.take_trace(), "+a");
    assert_eq!(world.state("b"), ChildState::Waiting);
    world.run_for(secs(3));
    assert_eq!(world.take_trace(), "+b");
    assert!(world.is_ready);
}

#[test]
fn a_child_that_ends_during_boot_is_restarted_and_boot_goes_on() {
    let check = |strategy, expect: &str| {
        let children = ["a", "b", "c"].map(worker);
        let mut world = World::new(patient(strategy), children);
        world.behave("b", Behaviour { start_after: secs(1), ..Behaviour::default() });
        world.boot();
        world.end("a", crash());
        world.run_out();
        assert_eq!(world.take_trace(), expect);
        assert!(world.is_ready);
    };
    check(Strategy::OneForOne, "+a +b +a +c");
    check(Strategy::OneForAll, "+a +b ~b +a +b +c");
    check(Strategy::RestForOne, "+a +b ~b +a +b +c");
}

#[test]
fn a_start_requested_during_boot_waits_for_its_turn() {
    let mut world = World::new(patient(Strategy::OneForOne), [worker("a")]);
    world.behave("a", Behaviour { start_after: secs(1), ..Behaviour::default() });
    world.boot();
    let request = world.ask(Admin::StartChild(worker("b")));
    assert_eq!((world.take_trace().as_str(), world.reply(request)), ("+a", None));
    world.run_out();
    assert_eq!(world.take_trace(), "+b");
    assert!(matches!(world.reply(request), Some(Ok(Done::Started { .. }))));
}

#[test]
fn sup_j01_every_turn_of_a_childs_life_is_reported_once() {
    let mut world = workers(Strategy::OneForOne, "a");
    world.behave("a", Behaviour::starts([StartOutcome::Fail, StartOutcome::Up]));
    world.end("a", crash());
    let after = Duration::ZERO;
    let expect = [
        Fact::Started,
        Fact::Exited { reason: crash(), asked: false },
        Fact::Restarting { after },
        Fact::StartFailed { cause: crash() },
        Fact::Restarting { after },
        Fact::Started,
    ];
    assert_eq!(world.facts("a"), expect);
    let last = world.reports.last().unwrap();
    assert_eq!((last.generation, last.n_restarts), (Generation(3), 2));
}

#[test]
fn sup_j03_text_is_cut_between_characters() {
    let ExitReason::Panic(text) = ExitReason::panic(&"ö".repeat(10_000)) else { panic!() };
    assert!(text.as_str().len() <= Detail::BYTES_MAX);
    assert!(text.as_str().ends_with("ö…"));
    assert_eq!(Detail::new("short").as_str(), "short");
}

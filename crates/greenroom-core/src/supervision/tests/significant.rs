//! Rows G: significant children.

use super::world::{Behaviour, StartOutcome};
use super::*;

const ANY: AutoShutdown = AutoShutdown::AnySignificant;
const ALL: AutoShutdown = AutoShutdown::AllSignificant;

fn team(auto_shutdown: AutoShutdown, strategy: Strategy) -> World {
    let children =
        [transient("a").significant(), temporary("b").significant(), transient("c"), worker("d")];
    World::booted(patient(strategy).auto_shutdown(auto_shutdown), children)
}

fn set(id: &str, significant: bool) -> Admin {
    Admin::SetSignificant { id: id.into(), significant }
}

#[test]
fn sup_g01_significance_is_refused_when_it_means_nothing() {
    let mut world = workers(Strategy::OneForOne, "a");
    let expect = SpecError::SignificantUnderNever { id: "b".into() };
    assert_eq!(world.start(transient("b").significant()), Err(expect.into()));
}

#[test]
fn sup_g02_any_significant_end_stops_siblings_and_then_the_supervisor() {
    for strategy in STRATEGIES {
        for (id, reason, trace) in [
            ("a", ExitReason::Normal, "-d -c -b"),
            ("b", ExitReason::Normal, "-d -c -a"),
            ("b", crash(), "-d -c -a"),
        ] {
            let mut world = team(ANY, strategy);
            world.end(id, reason);
            assert_eq!(world.take_trace(), trace);
            assert_eq!(world.exit, Some(ExitReason::Shutdown));
            assert!(world.facts(id).contains(&Fact::AutoShutdown));
        }
        let mut world = team(ANY, strategy);
        world.end("a", crash());
        assert_eq!((world.state("a"), world.exit), (ChildState::Running, None));
    }
}

#[test]
fn sup_g03_all_significant_waits_for_the_last() {
    for (first, last) in [("a", "b"), ("b", "a")] {
        let mut world = team(ALL, Strategy::OneForOne);
        world.end(first, ExitReason::Normal);
        assert_eq!(world.exit, None);
        world.end(last, ExitReason::Normal);
        assert_eq!(world.exit, Some(ExitReason::Shutdown));
    }
}

#[test]
fn sup_g04_other_ends_never_stop_the_supervisor() {
    for policy in [ANY, ALL] {
        let mut world = team(policy, Strategy::OneForOne);
        world.end("c", ExitReason::Normal);
        world.end("d", ExitReason::Normal);
        assert_eq!(world.exit, None);
    }
}

#[test]
fn sup_g05_a_termination_by_request_never_stops_the_supervisor() {
    for policy in [ANY, ALL] {
        let mut world = team(policy, Strategy::OneForOne);
        world.terminate("a").unwrap();
        world.terminate("b").unwrap();
        assert_eq!(world.exit, None);
    }
    let mut world = team(ALL, Strategy::OneForOne);
    world.terminate("b").unwrap();
    world.end("a", ExitReason::Normal);
    assert_eq!(world.exit, Some(ExitReason::Shutdown), "but it is one less to wait for");
}

#[test]
fn a_significant_child_that_is_being_terminated_is_not_waited_for() {
    let mut world = team(ALL, Strategy::OneForOne);
    world.behave("b", Behaviour { stop_after: Some(secs(1)), ..Behaviour::default() });
    world.ask(Admin::TerminateChild("b".into()));
    world.end("a", ExitReason::Normal);
    world.run_out();
    assert_eq!(world.exit, Some(ExitReason::Shutdown));
}

#[test]
fn a_significant_child_that_is_only_asked_for_is_not_waited_for() {
    let mut world = team(ALL, Strategy::OneForOne);
    world.behave("e", Behaviour::starts([StartOutcome::Hang]));
    let request = world.ask(Admin::StartChild(transient("e").significant()));
    world.end("a", ExitReason::Normal);
    world.end("b", ExitReason::Normal);
    assert_eq!(world.exit, Some(ExitReason::Shutdown));
    assert_eq!(world.reply(request), Some(Err(AdminError::ShuttingDown)));
}

#[test]
fn sup_g06_a_death_for_the_strategys_sake_never_stops_the_supervisor() {
    for strategy in STRATEGIES {
        for policy in [ANY, ALL] {
            let children = [
                worker("d"),
                temporary("a").significant(),
                transient("b").significant(),
                temporary("c").significant(),
            ];
            let spec = patient(strategy).auto_shutdown(policy);
            let mut world = World::booted(spec, children);
            world.end("d", crash());
            assert_eq!((world.state("b"), world.exit.clone()), (ChildState::Running, None));
        }
    }
}

#[test]
fn sup_g07_a_supervisor_that_stops_by_itself_ends_normally_for_its_parent() {
    let sub = |significant| {
        let mut child = ChildSpec::supervisor("s").restart(Restart::Transient);
        child.significant = significant;
        let spec = patient(Strategy::OneForOne).auto_shutdown(ANY);
        let mut world = World::booted(spec, [child, worker("a")]);
        world.end("s", ExitReason::Shutdown);
        world.exit
    };
    assert_eq!(sub(true), Some(ExitReason::Shutdown));
    assert_eq!(sub(false), None);
}

#[test]
fn sup_g08_policy_and_significance_change_without_restarts() {
    let mut world = team(ANY, Strategy::OneForOne);
    let refused = SpecError::SignificantUnderNever { id: "a".into() };
    let never = Admin::SetAutoShutdown(AutoShutdown::Never);
    assert_eq!(world.answer(never.clone()), Err(refused.clone().into()));
    assert_eq!(world.answer(set("a", false)), Ok(Done::Done));
    world.end("a", ExitReason::Normal);
    assert_eq!(world.exit, None);
    world.restart("a").unwrap();
    assert_eq!(world.answer(set("b", false)), Ok(Done::Done));
    assert_eq!(world.answer(never), Ok(Done::Done));
    assert_eq!(world.answer(set("a", true)), Err(refused.into()));
    assert_eq!(world.answer(Admin::SetAutoShutdown(ALL)), Ok(Done::Done));
    assert_eq!(world.answer(set("a", true)), Ok(Done::Done));
    let permanent = SpecError::SignificantPermanent { id: "d".into() };
    assert_eq!(world.answer(set("d", true)), Err(permanent.into()));
    assert_eq!(world.answer(set("x", true)), Err(AdminError::NotFound));
    assert_eq!(world.take_trace(), "+a");
    world.end("a", ExitReason::Normal);
    assert_eq!(world.exit, Some(ExitReason::Shutdown));
}

#[test]
fn dynamic_supervisors_stop_with_their_last_significant_child() {
    let spec = SupervisorSpec::dynamic().auto_shutdown(ALL);
    let mut world = World::booted(spec, []);
    world.start(temporary("a").significant()).unwrap();
    world.start(temporary("b").significant()).unwrap();
    world.end("a", ExitReason::Normal);
    assert_eq!(world.exit, None);
    world.end("b", crash());
    assert_eq!(world.exit, Some(ExitReason::Shutdown));
}

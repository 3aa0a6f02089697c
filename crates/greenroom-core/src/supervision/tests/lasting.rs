//! Restarts that count beyond the process.

use proptest::prelude::*;

use super::{Strategy, *};
use crate::journal::Recorded;
use crate::time::Timestamp;

const HOUR: Duration = Duration::from_secs(3600);

fn counted(child: &str, is_own: bool) -> Counted {
    Counted { child: child.into(), is_own, period: HOUR }
}

fn durable(strategy: Strategy, restarts_max: u32) -> SupervisorSpec {
    SupervisorSpec::new(strategy).intensity(restarts_max, HOUR).durable()
}

/// A world that is told of its past, and has begun.
fn recalled(
    spec: SupervisorSpec,
    children: impl IntoIterator<Item = ChildSpec>,
    past: impl IntoIterator<Item = (Counted, Duration)>,
    returned: Option<&str>,
) -> World {
    let mut world = World::new(spec, children);
    let past = past.into_iter().collect();
    world.send(Event::Recalled { past, returned: returned.map(Into::into) });
    world.boot();
    world
}

fn gave_up(child: &str) -> Option<ExitReason> {
    Some(ExitReason::IntensityExceeded { child: child.into() })
}

#[test]
fn sup_e07_a_restart_is_counted_before_anything_follows_from_it() {
    for strategy in STRATEGIES {
        let children = [worker("a"), worker("b")];
        let mut world = World::booted(durable(strategy, 1), children);
        world.end("a", crash());
        let expect = match strategy {
            Strategy::OneForOne => "#a +a",
            Strategy::OneForAll | Strategy::RestForOne => "#a -b +a +b",
        };
        assert_eq!(world.take_trace(), expect);
        world.run_for(secs(7));
        world.end("b", crash());
        assert_eq!(world.take_trace(), "#b -a");
        assert_eq!(world.exit, gave_up("b"));
        let expect = [(secs(0), counted("a", false)), (secs(7), counted("b", false))];
        assert_eq!(world.counted, expect, "also the one that was too many");
    }
    let mut world = World::booted(patient(Strategy::OneForOne), [worker("a")]);
    world.end("a", crash());
    assert_eq!(world.take_trace(), "+a", "a supervisor that does not ask for it counts for itself");
}

#[test]
fn sup_e07_a_start_that_fails_again_is_counted_too() {
    use super::world::{Behaviour, StartOutcome::*};
    let mut world = World::booted(durable(Strategy::OneForOne, 5), [worker("a")]);
    world.behave("a", Behaviour::starts([Fail, Fail, Up]));
    world.end("a", crash());
    assert_eq!(world.take_trace(), "#a +a #a +a #a +a");
}

#[test]
fn sup_e07_what_was_counted_before_counts() {
    let past = || [(counted("a", false), secs(3000)), (counted("gone", false), secs(100))];
    let mut world = recalled(durable(Strategy::OneForOne, 3), [worker("a")], past(), None);
    assert!(world.is_ready);
    world.end("a", crash());
    assert_eq!(world.up(), [("a".to_owned(), 2)]);
    world.end("a", crash());
    assert_eq!(world.exit, gave_up("a"));
    // An old one has fallen out meanwhile.
    let mut world = recalled(durable(Strategy::OneForOne, 3), [worker("a")], past(), None);
    world.run_for(secs(601));
    world.end("a", crash());
    world.end("a", crash());
    assert_eq!(world.exit, None);
    world.end("a", crash());
    assert_eq!(world.exit, gave_up("a"));
}

#[test]
fn sup_e07_the_death_of_the_process_is_one_restart_more() {
    let spec = || durable(Strategy::OneForAll, 2);
    let children = || [worker("a"), temporary("t")];
    let past = |n: u64| (0..n).map(move |i| (counted("a", false), secs(n - i)));
    let mut world = recalled(spec(), children(), past(2), Some("tree"));
    assert!(world.is_ready && world.counted.is_empty(), "whoever tells of it has stored it");
    world.end("a", crash());
    assert_eq!(world.exit, gave_up("a"));
    // Nothing is started by a supervisor that is back too often.
    let world = recalled(spec(), children(), past(3), Some("tree"));
    assert_eq!((world.exit, world.is_ready, world.trace), (gave_up("tree"), false, Vec::new()));
    // Its restarts alone, without a death, keep it from nothing but more of them.
    let mut world = recalled(spec(), children(), past(3), None);
    assert!(world.is_ready);
    world.end("a", crash());
    assert_eq!(world.exit, gave_up("a"));
}

#[test]
fn sup_e07_a_limit_of_a_childs_own_is_counted_for_the_child_of_that_name() {
    let own = |id| worker(id).intensity(Intensity::new(1, HOUR));
    let past = || [(counted("own", true), secs(1000))];
    let spec = || durable(Strategy::OneForOne, 1);
    let mut world = recalled(spec(), [own("own"), worker("a")], past(), None);
    world.end("a", crash());
    assert_eq!(world.exit, None, "it is not the supervisor's");
    world.end("own", crash());
    assert_eq!(world.exit, gave_up("own"));
    assert_eq!(world.counted.last(), Some(&(Duration::ZERO, counted("own", true))));
    // One that is added later is its heir, once.
    let dynamic = SupervisorSpec { dynamic: true, ..spec() };
    let mut world = recalled(dynamic, [], past(), None);
    world.run_for(secs(2600));
    assert!(world.start(own("own")).is_ok());
    world.end("own", crash());
    assert_eq!(world.facts("own").last(), Some(&Fact::GivenUp));
    assert!(world.start(own("own")).is_ok());
    world.end("own", crash());
    assert_eq!(world.up(), [("own".to_owned(), 2)]);
    // And not when it has grown old.
    let dynamic = SupervisorSpec { dynamic: true, ..spec() };
    let mut world = recalled(dynamic, [], past(), None);
    world.run_for(secs(2601));
    assert!(world.start(own("own")).is_ok());
    world.end("own", crash());
    assert_eq!(world.up(), [("own".to_owned(), 2)]);
}

/// What happens to a supervisor.
#[derive(Debug, Clone, Copy)]
enum Blow {
    ChildFails,
    ProcessDies,
    ProcessEnds,
}

/// The same, as a list of instants that no process takes along.
#[derive(Default)]
struct Model {
    restarts: Vec<u64>,
    is_up: bool,
    /// It has not ended, and whether that is among the restarts.
    is_open: bool,
    is_counted: bool,
}

impl Model {
    fn is_exceeded(&self, now: u64, restarts_max: u32) -> bool {
        let is_recent = |at: &&u64| now - **at <= 3_600_000;
        self.restarts.iter().filter(is_recent).count() > restarts_max as usize
    }

    fn boot(&mut self, now: u64, restarts_max: u32) {
        if self.is_open && !std::mem::replace(&mut self.is_counted, true) {
            self.restarts.push(now);
        }
        self.is_up = !(self.is_open && self.is_exceeded(now, restarts_max));
        if self.is_up {
            (self.is_open, self.is_counted) = (true, false);
        }
    }

    fn strike(&mut self, blow: Blow, now: u64, restarts_max: u32) {
        match blow {
            Blow::ChildFails if self.is_up => {
                self.restarts.push(now);
                self.is_up = !self.is_exceeded(now, restarts_max);
                self.is_open = self.is_up;
            }
            Blow::ProcessEnds if self.is_up => {
                self.is_open = false;
                self.boot(now, restarts_max);
            }
            _ => self.boot(now, restarts_max),
        }
    }
}

/// A durable supervisor through all its processes.
struct Lives {
    spec: SupervisorSpec,
    events: Vec<Recorded>,
    history: History,
    /// When the present process began, and the supervisor in it, when that is up.
    began: u64,
    world: Option<World>,
}

impl Lives {
    fn new(spec: SupervisorSpec) -> Self {
        let (events, history) = (Vec::new(), History::default());
        let mut lives = Self { spec, events, history, began: 0, world: None };
        lives.boot(0);
        lives
    }

    fn store(&mut self, now: u64, event: crate::journal::Event) {
        let at = Timestamp::from_millis(now);
        let seq = self.events.len() as u64;
        self.events.push(Recorded { seq, at, event });
    }

    /// What the runtime does when it starts one; see the table of the module.
    fn boot(&mut self, now: u64) {
        let at = Timestamp::from_millis(now);
        self.history = History::of(&self.events).expect("it reads back");
        self.history.settle(at);
        let returned = self.history.is_open().then_some("tree");
        if let Some(id) = returned {
            self.history.returned(at, counted(id, false));
        }
        let past = self.history.past(at);
        let world = recalled(self.spec.clone(), [worker("a")], past, returned);
        let is_up = world.exit.is_none();
        if is_up {
            self.history.begin();
        }
        let snapshot = self.history.snapshot();
        self.store(now, snapshot);
        (self.began, self.world) = (now, Some(world).filter(|_| is_up));
    }

    fn fail(&mut self, now: u64) {
        let Some(world) = &mut self.world else { return };
        world.run_for(millis(now - self.began) - world.now);
        let n_before = world.counted.len();
        world.end("a", crash());
        let (new, exit) = (world.counted.split_off(n_before), world.exit.clone());
        for (_, counted) in new {
            let event = self.history.count(Timestamp::from_millis(now), counted);
            self.store(now, event);
        }
        if exit.is_some() {
            self.end(now);
            self.world = None;
        }
    }

    fn end(&mut self, now: u64) {
        let ended = self.history.end();
        self.store(now, ended);
    }

    fn strike(&mut self, blow: Blow, now: u64) {
        match blow {
            Blow::ChildFails if self.world.is_some() => return self.fail(now),
            Blow::ProcessEnds if self.world.is_some() => self.end(now),
            _ => {}
        }
        self.boot(now);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// One that has given up is started again by whoever started it, without a death.
    #[test]
    fn sup_e07_a_supervisor_that_dies_again_and_again_counts_as_if_it_had_not(
        restarts_max in 0..4_u32,
        blows in proptest::collection::vec((0..2_400_000_u64, 0..6_u8), 1..60),
    ) {
        let mut lives = Lives::new(durable(Strategy::OneForOne, restarts_max));
        let (mut model, mut now) = (Model::default(), 0);
        model.boot(now, restarts_max);
        for (after, kind) in blows {
            now += after;
            let blow = match kind {
                0..3 => Blow::ChildFails,
                3..5 => Blow::ProcessDies,
                _ => Blow::ProcessEnds,
            };
            lives.strike(blow, now);
            model.strike(blow, now, restarts_max);
            prop_assert_eq!(lives.world.is_some(), model.is_up, "{:?} at {}", blow, now);
        }
    }
}

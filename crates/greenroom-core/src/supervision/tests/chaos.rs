//! Whatever happens, in whatever order and however slowly: what the world checks holds, and in the
//! end everything ends.

use proptest::prelude::{Strategy as Generate, *};

use super::world::{Behaviour, StartOutcome};
use super::{Strategy, *};

const IDS: [&str; 5] = ["a", "b", "c", "d", "e"];

#[derive(Debug, Clone)]
enum Op {
    End(usize, ExitReason),
    Ask(Admin),
    Behave(usize, Behaviour),
    Wait(u64),
    /// An event that may be stale, false or unknown.
    Noise(Event),
}

fn spans() -> impl Generate<Value = Duration> {
    prop_oneof![Just(Duration::ZERO), (0..4000_u64).prop_map(millis)]
}

fn behaviours() -> impl Generate<Value = Behaviour> {
    let outcome = prop_oneof![
        8 => Just(StartOutcome::Up),
        3 => Just(StartOutcome::Fail),
        1 => Just(StartOutcome::Ignore),
        2 => Just(StartOutcome::Hang),
    ];
    let starts = proptest::collection::vec(outcome, 1..5);
    let stop = prop_oneof![4 => spans().prop_map(Some), 1 => Just(None)];
    let kill = prop_oneof![6 => spans().prop_map(Some), 1 => Just(None)];
    (starts, spans(), stop, kill, proptest::bool::weighted(0.2)).prop_map(
        |(starts, start_after, stop_after, kill_after, abort_loses)| Behaviour {
            starts: starts.into(),
            start_after,
            stop_after,
            kill_after,
            abort_loses,
        },
    )
}

fn specs() -> impl Generate<Value = ChildSpec> {
    let restart = prop_oneof![
        3 => Just(Restart::Permanent),
        2 => Just(Restart::Transient),
        1 => Just(Restart::Temporary)
    ];
    let shutdown = prop_oneof![
        Just(Shutdown::Brutal),
        (0..3000_u64).prop_map(|after| Shutdown::Timeout(millis(after))),
    ];
    let backoff = proptest::option::of((0..2000_u64, 2000..4000_u64))
        .prop_map(|ends| ends.map(|(min, max)| Backoff::new(millis(min), millis(max))));
    let intensity = proptest::option::weighted(0.2, 0..4_u32)
        .prop_map(|max| max.map(|max| Intensity::new(max, secs(5))));
    let id = 0..IDS.len();
    (id, restart, shutdown, backoff, intensity, any::<bool>()).prop_map(
        |(id, restart, shutdown, backoff, intensity, significant)| ChildSpec {
            significant: significant && restart != Restart::Permanent,
            backoff,
            intensity,
            ..worker(IDS[id]).restart(restart).shutdown(shutdown)
        },
    )
}

fn admins() -> impl Generate<Value = Admin> {
    let id = || proptest::sample::select(IDS.to_vec()).prop_map(crate::ids::AgentId::from);
    let policy = prop_oneof![
        Just(AutoShutdown::Never),
        Just(AutoShutdown::AnySignificant),
        Just(AutoShutdown::AllSignificant)
    ];
    prop_oneof![
        4 => specs().prop_map(Admin::StartChild),
        4 => id().prop_map(|id| Admin::TerminateChild(Target::Id(id))),
        1 => (0..8_u64).prop_map(|key| Admin::TerminateChild(Target::Key(ChildKey(key)))),
        4 => id().prop_map(Admin::RestartChild),
        2 => id().prop_map(Admin::DeleteChild),
        1 => (id(), any::<bool>())
            .prop_map(|(id, significant)| Admin::SetSignificant { id, significant }),
        1 => policy.prop_map(Admin::SetAutoShutdown),
    ]
}

fn ops() -> impl Generate<Value = Op> {
    let id = || 0..IDS.len();
    let reason = prop_oneof![1 => Just(ExitReason::Normal), 3 => Just(crash())];
    let key = (0..8_u64).prop_map(ChildKey);
    // Of a generation long gone, or not yet there: the world never gets so far.
    let generation = prop_oneof![Just(Generation(0)), Just(Generation(1_000_000))];
    let noise = (key, generation, 0..3_u8).prop_map(|(key, generation, kind)| match kind {
        0 => Event::Started { key, generation },
        1 => Event::Exited { key, generation, reason: crash() },
        _ => Event::TimerFired(TimerId(1_000_000)),
    });
    prop_oneof![
        6 => (id(), reason).prop_map(|(id, reason)| Op::End(id, reason)),
        6 => admins().prop_map(Op::Ask),
        2 => (id(), behaviours()).prop_map(|(id, behaviour)| Op::Behave(id, behaviour)),
        6 => (0..3000_u64).prop_map(Op::Wait),
        1 => noise.prop_map(Op::Noise),
    ]
}

#[derive(Debug, Clone)]
struct Case {
    spec: SupervisorSpec,
    children: Vec<ChildSpec>,
    behaviours: Vec<Behaviour>,
    ops: Vec<Op>,
    last: ExitReason,
}

fn cases() -> impl Generate<Value = Case> {
    let strategy = proptest::sample::select(STRATEGIES.to_vec());
    let intensity = (0..20_u32, 1..10_u64);
    let children = proptest::collection::vec(specs(), 0..4);
    let calm = prop_oneof![3 => Just(Behaviour::default()), 2 => behaviours()];
    let behaviours = proptest::collection::vec(calm, IDS.len());
    let last = prop_oneof![3 => Just(ExitReason::Shutdown), 1 => Just(ExitReason::Killed)];
    let ops = proptest::collection::vec(ops(), 0..60);
    let supervisor = (strategy, intensity, proptest::bool::weighted(0.25));
    (supervisor, children, behaviours, ops, last).prop_map(
        |((strategy, (restarts_max, period), dynamic), mut children, behaviours, ops, last)| {
            let mut spec = SupervisorSpec::new(strategy)
                .intensity(restarts_max, secs(period))
                .auto_shutdown(AutoShutdown::AllSignificant)
                .children_max(4);
            if dynamic {
                spec = SupervisorSpec { dynamic, strategy: Strategy::OneForOne, ..spec };
                children.clear();
            }
            children.sort_by(|one, other| one.id.cmp(&other.id));
            children.dedup_by(|one, other| one.id == other.id);
            Case { spec, children, behaviours, ops, last }
        },
    )
}

fn live(case: Case) {
    let mut world = World::new(case.spec, case.children);
    for (id, behaviour) in IDS.into_iter().zip(case.behaviours) {
        world.behave(id, behaviour);
    }
    world.boot();
    for op in case.ops {
        match op {
            Op::End(id, reason) => world.end_if_up(IDS[id], reason),
            Op::Ask(admin) => {
                world.ask(admin);
            }
            Op::Behave(id, behaviour) => world.behave(IDS[id], behaviour),
            Op::Wait(span) => world.run_for(millis(span)),
            Op::Noise(event) => {
                let before = world.machine.which_children();
                world.send(event);
                assert_eq!(world.machine.which_children(), before);
            }
        }
    }
    world.send(Event::Shutdown { reason: case.last });
    let spent = world.run_out();
    assert!(world.exit.is_some(), "the supervisor hangs");
    // Five children, each with three seconds to stop and five to be killed.
    assert!(spent <= secs(60), "the shutdown took {spent:?}");
    world.check_all_answered();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_nothing_is_lost_doubled_or_left(case in cases()) {
        live(case);
    }
}

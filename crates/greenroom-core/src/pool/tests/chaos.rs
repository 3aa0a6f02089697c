//! Whatever happens, in whatever order: what the world checks holds, and every job is over once.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Op {
    Offer(Priority, Option<u8>, Option<u64>),
    Withdraw(u64),
    Done(usize),
    Declined(usize),
    Expired(usize),
    Unheard(usize),
    Heard(usize),
    Lost(usize, Vec<Part>),
    Up(usize),
    Down(usize, Vec<Part>),
    Gone(usize, Vec<Part>),
    Resize(usize, usize),
    Recovered,
    Wait(u64),
    /// News of what never was.
    Noise(u8),
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let part = prop_oneof![
        Just(Part::Untouched),
        Just(Part::Begun),
        Just(Part::Crashed),
        Just(Part::Answered)
    ];
    proptest::collection::vec(part, 0..4)
}

fn ops() -> impl Strategy<Value = Op> {
    let priority = || proptest::sample::select(Priority::ALL.to_vec());
    let key = proptest::option::weighted(0.4, 0..6_u8);
    let deadline = proptest::option::weighted(0.3, 1..20_000_u64);
    let n = || 0..8_usize;
    prop_oneof![
        12 => (priority(), key, deadline).prop_map(|(p, k, d)| Op::Offer(p, k, d)),
        2 => (0..60_u64).prop_map(Op::Withdraw),
        10 => n().prop_map(Op::Done),
        1 => n().prop_map(Op::Declined),
        1 => n().prop_map(Op::Expired),
        1 => n().prop_map(Op::Unheard),
        2 => n().prop_map(Op::Heard),
        3 => (n(), parts()).prop_map(|(n, parts)| Op::Lost(n, parts)),
        8 => n().prop_map(Op::Up),
        2 => (n(), parts()).prop_map(|(n, parts)| Op::Down(n, parts)),
        1 => (n(), parts()).prop_map(|(n, parts)| Op::Gone(n, parts)),
        1 => (1..6_usize, 0..6_usize).prop_map(|(least, more)| Op::Resize(least, least + more)),
        1 => Just(Op::Recovered),
        6 => (0..4000_u64).prop_map(Op::Wait),
        1 => (0..5_u8).prop_map(Op::Noise),
    ]
}

fn specs() -> impl Strategy<Value = PoolSpec> {
    (1..5_usize, 0..5_usize, 1..4_usize, 1..4_u32, 1..12_usize, 0..3_u64).prop_map(
        |(least, more, concurrency, deliveries_max, queue_max, sticky)| {
            PoolSpec::new(least..=least + more)
                .concurrency(concurrency)
                .deliveries_max(deliveries_max)
                .queue_max(queue_max)
                .sticky_wait(secs(sticky))
        },
    )
}

fn nth<K: Copy, V>(map: &std::collections::BTreeMap<K, V>, n: usize) -> Option<K> {
    map.keys().nth(n % map.len().max(1)).copied()
}

/// The parts of a worker's leases.
fn of(world: &World, worker: WorkerId, parts: &[Part]) -> Parts {
    let held = world.leases.iter().filter(|(_, (_, at))| *at == worker).map(|(lease, _)| *lease);
    held.zip(parts.iter().copied()).collect()
}

fn step(world: &mut World, op: Op) {
    match op {
        Op::Offer(priority, key, deadline) => {
            let key = key.map(|key| format!("key-{key}"));
            let deadline = deadline.map(|after| world.now + millis(after));
            world.offer_until(priority, key.as_deref(), deadline);
        }
        Op::Withdraw(job) => world.send(Event::Withdraw(JobId(job))),
        Op::Done(n) => nth(&world.leases, n).into_iter().for_each(|lease| world.done(lease)),
        Op::Declined(n) => {
            nth(&world.leases, n).into_iter().for_each(|lease| world.send(Event::Declined(lease)));
        }
        Op::Expired(n) => {
            nth(&world.leases, n).into_iter().for_each(|lease| world.send(Event::Expired(lease)));
        }
        Op::Unheard(n) => {
            nth(&world.leases, n).into_iter().for_each(|lease| world.send(Event::Unheard(lease)));
        }
        Op::Heard(n) => {
            nth(&world.workers, n).into_iter().for_each(|worker| world.send(Event::Heard(worker)));
        }
        Op::Lost(n, parts) => {
            if let Some(lease) = nth(&world.leases, n) {
                let parts = of(world, world.leases[&lease].1, &parts);
                world.lost(lease, parts);
            }
        }
        Op::Up(n) => nth(&world.workers, n).into_iter().for_each(|worker| world.worker_up(worker)),
        Op::Down(n, parts) => {
            if let Some(worker) = nth(&world.workers, n).filter(|w| world.workers[w].was_up) {
                let parts = of(world, worker, &parts);
                world.worker_down(worker, parts);
            }
        }
        Op::Gone(n, parts) => {
            if let Some(worker) = nth(&world.workers, n) {
                let parts = of(world, worker, &parts);
                world.worker_gone(worker, parts);
            }
        }
        Op::Resize(least, most) => world.resize(least..=most),
        Op::Recovered => recover(world),
        Op::Wait(span) => world.wait(millis(span)),
        Op::Noise(kind) => noise(world, kind),
    }
}

/// Commands are given again to whoever performs them now.
fn recover(world: &mut World) {
    let started: Vec<_> =
        world.workers.iter().filter(|(_, w)| !w.was_up && !w.is_stopped).collect();
    let started: Vec<_> = started.into_iter().map(|(id, _)| *id).collect();
    for worker in started {
        world.workers.remove(&worker);
    }
    world.send(Event::Recovered);
}

fn noise(world: &mut World, kind: u8) {
    let (lease, worker) = (LeaseId(u64::MAX), WorkerId(u64::MAX));
    let before = world.machine.info(world.now);
    world.send(match kind {
        0 => Event::Done(lease),
        1 => Event::Lost { lease, cause: crash(), parts: Parts::new() },
        2 => Event::Down { worker, cause: crash(), parts: Parts::new() },
        3 => Event::Up(worker),
        _ => Event::Withdraw(JobId(u64::MAX)),
    });
    assert_eq!(world.machine.info(world.now), before);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_every_job_is_over_once_and_with_one_worker_at_a_time(
        spec in specs(),
        ops in proptest::collection::vec(ops(), 0..120),
    ) {
        let mut world = World::new(spec);
        for op in ops {
            step(&mut world, op);
        }
        world.run_out();
    }
}

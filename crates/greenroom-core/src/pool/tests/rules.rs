//! The rules of the tables, one by one.

use super::*;
use Priority::{High, Low, Normal};

fn spec(n_workers: usize) -> PoolSpec {
    PoolSpec::new(n_workers..=n_workers)
}

/// The jobs in the order in which one worker is given them.
fn order(world: &mut World) -> Vec<u64> {
    let mut order = Vec::new();
    while let Some((lease, (job, _))) = world.leases.first_key_value().map(|(l, at)| (*l, *at)) {
        order.push(job.0);
        world.done(lease);
    }
    order
}

#[test]
fn priorities_are_ten_seconds_apart_and_nothing_starves() {
    let mut world = World::up(spec(1));
    world.offer(Normal, None); // 1, which keeps the worker busy
    world.offer(Low, None); // 2
    world.offer(Normal, None); // 3
    world.offer(High, None); // 4
    world.wait(secs(9));
    world.offer(High, None); // 5 overtakes the normal one
    world.wait(secs(2));
    world.offer(High, None); // 6 comes too late for that
    world.offer(Normal, None); // 7 comes too late to overtake the low one
    assert_eq!(order(&mut world), [1, 4, 5, 3, 6, 2, 7]);
}

#[test]
fn the_least_loaded_pulls_and_among_equals_the_one_that_has_not_changed_for_longest() {
    let mut world = World::up(spec(3).concurrency(2));
    let jobs: Vec<_> = (0..3).map(|_| world.offer(Normal, None)).collect();
    let at = |world: &World, job| world.worker_of(job).expect("there is room").0;
    assert_eq!(jobs.iter().map(|job| at(&world, *job)).collect::<Vec<_>>(), [1, 2, 3]);
    world.wait(secs(1));
    world.done(world.lease_of(jobs[1]));
    world.wait(secs(1));
    world.done(world.lease_of(jobs[0]));
    let next: Vec<_> = (0..3).map(|_| world.offer(Normal, None)).collect();
    let next: Vec<_> = next.into_iter().map(|job| at(&world, job)).collect();
    assert_eq!(next, [2, 1, 3], "idle since second 1, idle since second 2, and then all have one");
}

#[test]
fn a_key_stays_with_its_home_and_moves_only_when_that_comes_or_goes() {
    let mut world = World::up(PoolSpec::new(4..=5).concurrency(100));
    let keys: Vec<_> = (0..100).map(|i| format!("tenant-{i}")).collect();
    let homes = |world: &mut World| -> Vec<u64> {
        let jobs: Vec<_> = keys.iter().map(|key| world.offer(Normal, Some(key))).collect();
        let homes = jobs.iter().map(|job| world.worker_of(*job).expect("room").0).collect();
        jobs.into_iter().for_each(|job| world.done(world.lease_of(job)));
        homes
    };
    let before = homes(&mut world);
    assert_eq!(homes(&mut world), before, "the same again");
    for worker in 1..=4 {
        let n_keys = before.iter().filter(|home| **home == worker).count();
        assert!((10..45).contains(&n_keys), "worker {worker} is home of {n_keys} of 100 keys");
    }
    world.resize(5..=5);
    world.all_up();
    let after = homes(&mut world);
    let moved: Vec<_> = before.iter().zip(&after).filter(|(b, a)| b != a).collect();
    assert!((5..40).contains(&moved.len()), "{moved:?}");
    assert!(moved.iter().all(|(_, now)| **now == 5), "keys move to the new worker only: {moved:?}");
    world.worker_gone(WorkerId(5), Parts::new());
    assert_eq!(homes(&mut world), before, "and back");
}

#[test]
fn a_job_waits_for_its_busy_home_and_then_goes_to_whoever_has_room() {
    let mut world = World::up(spec(2));
    let first = world.offer(Normal, Some("a"));
    let home = world.worker_of(first).expect("room");
    let second = world.offer(Normal, Some("a"));
    world.wait(millis(999));
    assert_eq!(world.worker_of(second), None, "it waits for its home");
    let third = world.offer(Normal, Some("a"));
    world.done(world.lease_of(first));
    assert_eq!(world.worker_of(second), Some(home));
    world.wait(secs(1));
    assert_ne!(world.worker_of(third), Some(home), "it has waited long enough");
    assert!(world.worker_of(third).is_some());
}

#[test]
fn a_key_has_another_home_at_once_when_its_home_is_gone() {
    let mut world = World::up(spec(2));
    let first = world.offer(Normal, Some("a"));
    let home = world.worker_of(first).expect("room");
    let second = world.offer(Normal, Some("a"));
    world.worker_down(home, Parts::new());
    assert_ne!(world.worker_of(first), Some(home), "what it died with goes elsewhere at once");
    assert!(world.worker_of(first).is_some());
    assert_eq!(world.worker_of(second), None, "the home may come back");
    world.done(world.lease_of(first));
    assert_eq!(world.worker_of(second), None, "it still may");
    world.worker_gone(home, Parts::new());
    assert!(world.worker_of(second).is_some_and(|worker| worker != home));
}

#[test]
fn a_job_that_kills_its_workers_is_quarantined_with_the_cause() {
    let mut world = World::up(spec(3).deliveries_max(2));
    let job = world.offer(Normal, None);
    let first = world.worker_of(job).expect("room");
    world.lost(world.lease_of(job), Parts::new());
    assert!(world.worker_of(job).is_some_and(|second| second != first), "to another, at once");
    world.lost(world.lease_of(job), Parts::new());
    let expect = Failure::Quarantined { n_deliveries: 2, cause: crash() };
    assert_eq!(world.over[&job], Some(expect));
}

#[test]
fn a_job_that_is_given_out_again_keeps_its_place() {
    let mut world = World::up(spec(1));
    let job = world.offer(Normal, None);
    world.offer(Normal, None);
    world.worker_down(WorkerId(1), vec![(world.lease_of(job), Part::Untouched)]);
    world.offer(High, None);
    world.wait(secs(1));
    world.worker_up(WorkerId(1));
    assert_eq!(order(&mut world), [3, 1, 2]);
}

/// Three jobs on one worker of three, which dies with them in these states.
#[track_caller]
fn check_deaths(parts: [Part; 3], n_deaths: [u32; 3], alone: [bool; 3]) {
    // As many deaths as a job may have are one more than it has.
    for deliveries_max in 1..=2 {
        let mut world = World::up(spec(1).concurrency(3).deliveries_max(deliveries_max));
        let jobs = [0; 3].map(|_| world.offer(Normal, None));
        let leases = jobs.map(|job| world.lease_of(job));
        world.worker_down(WorkerId(1), leases.into_iter().zip(parts).collect());
        for (job, n_deaths) in jobs.into_iter().zip(n_deaths) {
            assert_eq!(world.over.contains_key(&job), n_deaths >= deliveries_max, "{parts:?}");
        }
        if deliveries_max == 2 {
            world.worker_up(WorkerId(1));
            let mut batches = Vec::new();
            while !world.leases.is_empty() {
                let leases: Vec<_> = world.leases.iter().map(|(l, at)| (*l, *at)).collect();
                batches.push(leases.iter().map(|(_, (job, _))| job.0).collect::<Vec<_>>());
                leases.into_iter().for_each(|(lease, _)| world.done(lease));
            }
            for (job, is_alone) in jobs.into_iter().zip(alone) {
                let batch = batches.iter().find(|batch| batch.contains(&job.0)).expect("again");
                assert!(!is_alone || batch.len() == 1, "{parts:?}: {batches:?}");
                assert!(is_alone || batch.iter().all(|j| !alone[*j as usize - 1]));
            }
        }
    }
}

#[test]
fn deaths_are_counted_as_in_the_table() {
    use Part::{Begun, Crashed, Untouched};
    let (all, none) = ([true; 3], [false; 3]);
    check_deaths([Untouched, Untouched, Untouched], [0, 0, 0], none);
    check_deaths([Crashed, Begun, Untouched], [1, 0, 0], [true, false, false]);
    check_deaths([Begun, Untouched, Untouched], [1, 0, 0], [true, false, false]);
    check_deaths([Begun, Begun, Untouched], [0, 0, 0], [true, true, false]);
    check_deaths([Begun, Begun, Begun], [0, 0, 0], all);
}

#[test]
fn what_a_dead_worker_had_answered_is_done_and_holds_nobody_up() {
    let mut world = World::up(spec(1).deliveries_max(1));
    let (answered, next) = (world.offer(Normal, None), world.offer(Normal, None));
    let lease = world.lease_of(answered);
    world.worker_down(WorkerId(1), vec![(lease, Part::Answered)]);
    world.worker_up(WorkerId(1));
    assert_eq!(world.worker_of(next), Some(WorkerId(1)));
    world.done(lease);
    assert_eq!(world.over[&answered], None);
    world.done(world.lease_of(next));
    assert_eq!(world.over.len(), 2);
}

#[test]
fn a_worker_that_hangs_is_given_nothing_more_until_it_is_heard() {
    let mut world = World::up(spec(2).deliveries_max(1));
    let job = world.offer(Normal, None);
    let mute = world.worker_of(job).expect("room");
    world.send(Event::Unheard(world.lease_of(job)));
    assert!(world.worker_of(job).is_some_and(|worker| worker != mute), "to another, at once");
    let next = world.offer(Normal, None);
    assert_eq!(world.worker_of(next), None);
    world.send(Event::Heard(mute));
    assert_eq!(world.worker_of(next), Some(mute));
    world.send(Event::Unheard(world.lease_of(next)));
    assert_eq!(world.worker_of(next), None);
    world.worker_down(mute, Parts::new());
    world.worker_up(mute);
    assert_eq!(world.worker_of(next), Some(mute), "a new life is heard");
    assert!(world.over.is_empty(), "nothing is held against the jobs");
}

#[test]
fn the_next_death_of_suspects_tells_which_of_them_it_was() {
    let mut world = World::up(spec(1).concurrency(2).deliveries_max(1));
    let (poison, good) = (world.offer(Normal, None), world.offer(Normal, None));
    world.worker_down(WorkerId(1), Parts::new());
    world.worker_up(WorkerId(1));
    assert_eq!((world.worker_of(poison), world.worker_of(good)), (Some(WorkerId(1)), None));
    world.worker_down(WorkerId(1), Parts::new());
    assert!(matches!(world.over[&poison], Some(Failure::Quarantined { n_deliveries: 2, .. })));
    world.worker_up(WorkerId(1));
    world.done(world.lease_of(good));
    assert_eq!(world.over[&good], None);
}

#[test]
fn a_suspect_is_not_kept_waiting_by_a_stream_of_others() {
    let mut world = World::up(spec(1).concurrency(2));
    let (suspect, other) = (world.offer(Normal, None), world.offer(Normal, None));
    world.worker_down(WorkerId(1), Parts::new());
    world.offer(High, None);
    world.offer(High, None);
    world.worker_up(WorkerId(1));
    for _ in 0..3 {
        world.offer(Normal, None);
        let lease = world.leases.keys().next().copied().expect("the worker works");
        world.done(lease);
    }
    assert!(world.over.contains_key(&suspect) || world.worker_of(suspect).is_some());
    assert!(!world.over.contains_key(&other), "one after the other");
}

#[test]
fn a_suspect_is_given_to_nobody_who_has_another_job_and_one_worker_is_kept_free_for_it() {
    let mut world = World::up(spec(2).concurrency(2));
    let jobs = [0; 4].map(|_| world.offer(Normal, None));
    let [first, second] = [jobs[0], jobs[1]].map(|job| world.worker_of(job).expect("room"));
    assert_eq!([jobs[2], jobs[3]].map(|job| world.worker_of(job)), [Some(first), Some(second)]);
    world.worker_down(first, Parts::new());
    let late = world.offer(Normal, None);
    world.done(world.lease_of(jobs[1]));
    let waiting = [jobs[0], jobs[2], late];
    assert_eq!(waiting.map(|job| world.worker_of(job)), [None; 3], "it has another job");
    world.done(world.lease_of(jobs[3]));
    assert_eq!(waiting.map(|job| world.worker_of(job)), [Some(second), None, None], "alone");
}

#[test]
fn an_expired_job_is_never_given_out_and_a_withdrawn_one_is_cancelled() {
    let mut world = World::up(spec(1));
    let busy = world.offer(Normal, None);
    let late = world.offer_until(Normal, None, Some(secs(1)));
    let left = world.offer(Normal, None);
    world.send(Event::Withdraw(left));
    assert_eq!(world.over[&left], Some(Failure::Withdrawn { was_queued: true }));
    world.wait(secs(1));
    world.done(world.lease_of(busy));
    assert_eq!(world.over[&late], Some(Failure::Expired));
    let last = world.offer(Normal, None);
    world.send(Event::Withdraw(last));
    assert_eq!(world.over[&last], Some(Failure::Withdrawn { was_queued: false }));
    assert!(world.leases.is_empty());
}

#[test]
fn a_full_queue_refuses_and_what_is_given_out_again_takes_no_room() {
    let mut world = World::up(spec(1).queue_max(1));
    let first = world.offer(Normal, None);
    let second = world.offer(Normal, None);
    let third = world.offer(Normal, None);
    assert_eq!(world.over[&third], Some(Failure::Full));
    world.done(world.lease_of(first));
    world.worker_down(WorkerId(1), Parts::new());
    world.offer(Normal, None);
    assert_eq!((world.over.len(), world.worker_of(second)), (2, None), "there was room");
}

#[test]
fn a_new_actor_of_the_pool_gives_every_lease_out_again_without_blame() {
    let mut world = World::up(spec(2).deliveries_max(1));
    let jobs = [0; 3].map(|_| world.offer(Normal, None));
    let before = world.lease_of(jobs[0]);
    world.send(Event::Recovered);
    assert_ne!(world.lease_of(jobs[0]), before);
    world.done(before);
    assert!(world.over.is_empty(), "the old lease is over");
    assert_eq!(order(&mut world), [1, 2, 3]);
}

#[test]
fn a_closed_pool_finishes_what_it_has_and_refuses_the_rest() {
    let mut world = World::up(spec(1));
    let (first, second) = (world.offer(Normal, None), world.offer(Normal, None));
    world.send(Event::Close);
    let late = world.offer(Normal, None);
    assert_eq!(world.over[&late], Some(Failure::Closed));
    world.done(world.lease_of(first));
    assert!(!world.is_drained);
    world.done(world.lease_of(second));
    assert!(world.is_drained);
}

#[test]
fn an_abandoned_pool_gives_everything_up() {
    let mut world = World::up(spec(1));
    let jobs = [world.offer(Normal, None), world.offer(Normal, Some("a"))];
    world.send(Event::Abandon);
    assert!(jobs.iter().all(|job| world.over[job] == Some(Failure::Closed)));
    assert!(world.is_drained && world.leases.is_empty());
}

#[test]
fn misconfigurations_have_errors_of_their_own() {
    #[track_caller]
    fn check(spec: PoolSpec, expect: SpecError) {
        assert_eq!(Machine::new(spec).err(), Some(expect));
    }
    let even = Tuning { shrink_below: millis(100), ..Tuning::default() };
    let idle = Tuning { interval: Duration::ZERO, ..Tuning::default() };
    let blind = Tuning { window: millis(1), ..Tuning::default() };
    check(PoolSpec::new(0..=1), SpecError::WorkersZero);
    #[expect(clippy::reversed_empty_ranges, reason = "that is the mistake")]
    check(PoolSpec::new(2..=1), SpecError::WorkersEmpty);
    check(spec(1).concurrency(0), SpecError::ConcurrencyZero);
    check(spec(103).concurrency(10), SpecError::TooManyLeases);
    check(spec(usize::MAX).concurrency(2), SpecError::TooManyLeases);
    check(spec(1).queue_max(0), SpecError::QueueZero);
    check(spec(1).deliveries_max(0), SpecError::DeliveriesZero);
    check(spec(1).deadline(Duration::ZERO), SpecError::DeadlineZero);
    check(spec(1).heed_max(Duration::ZERO), SpecError::HeedZero);
    check(spec(1).tuning(idle), SpecError::IntervalZero);
    check(spec(1).tuning(blind), SpecError::WindowBelowInterval);
    check(spec(1).tuning(even), SpecError::NoHysteresis);
    let endless = crate::supervision::Intensity::new(1, Duration::ZERO);
    check(spec(1).intensity(endless), SpecError::Worker(crate::supervision::SpecError::PeriodZero));
}

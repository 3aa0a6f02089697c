//! The size of a pool under load, in a simulation of workers that take a fixed time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use proptest::prelude::*;

use super::*;

/// Jobs that come in waves: so many, so often, each taking so long.
#[derive(Debug, Clone, Copy)]
struct Load {
    n_jobs: u64,
    every: Duration,
    work: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Up(WorkerId),
    Gone(WorkerId),
    Done(LeaseId),
    Tick,
    Wave,
}

struct Simulation {
    machine: Machine,
    now: Duration,
    /// How long a worker takes to be up.
    start: Duration,
    load: Option<Load>,
    work: Duration,
    due: BinaryHeap<Reverse<(Duration, u64, Due)>>,
    n_due: u64,
    n_jobs: u64,
    n_over: u64,
}

impl Simulation {
    fn new(spec: PoolSpec, start: Duration) -> Self {
        let machine = Machine::new(spec).expect("the spec makes sense");
        let (load, due) = (None, BinaryHeap::new());
        let (now, work) = (Duration::ZERO, Duration::ZERO);
        let mut simulation =
            Self { machine, now, start, load, work, due, n_due: 0, n_jobs: 0, n_over: 0 };
        simulation.send(Event::Start);
        simulation
    }

    fn plan(&mut self, after: Duration, what: Due) {
        self.n_due += 1;
        self.due.push(Reverse((self.now + after, self.n_due, what)));
    }

    fn send(&mut self, event: Event) {
        let wake = self.machine.next_wake();
        for command in self.machine.on(self.now, event) {
            match command {
                Command::Lease { lease, .. } => self.plan(self.work, Due::Done(lease)),
                Command::Start(worker) => self.plan(self.start, Due::Up(worker)),
                Command::Stop(worker) => self.plan(Duration::ZERO, Due::Gone(worker)),
                Command::Fail { .. } => panic!("nothing fails here"),
                Command::Cancel(_) | Command::Drained => {}
            }
        }
        if let Some(next) = self.machine.next_wake().filter(|next| Some(*next) != wake) {
            self.plan(next.saturating_sub(self.now), Due::Tick);
        }
    }

    fn set(&mut self, load: Option<Load>) {
        if self.load.is_none() && load.is_some() {
            self.plan(Duration::ZERO, Due::Wave);
        }
        self.load = load;
    }

    /// Lets time pass; the sizes that the pool had.
    fn run(&mut self, span: Duration) -> Vec<usize> {
        let until = self.now + span;
        let mut sizes = vec![self.size()];
        while let Some(Reverse((at, _, what))) = self.due.peek().copied() {
            if at > until {
                break;
            }
            self.due.pop();
            self.now = at;
            match what {
                Due::Up(worker) => self.send(Event::Up(worker)),
                Due::Gone(worker) => {
                    let cause = ExitReason::Shutdown;
                    self.send(Event::Gone { worker, cause, parts: Parts::new() });
                }
                Due::Done(lease) => {
                    self.n_over += 1;
                    self.send(Event::Done(lease));
                }
                Due::Tick => self.send(Event::Tick),
                Due::Wave => self.wave(),
            }
            let size = self.size();
            if sizes.last() != Some(&size) {
                sizes.push(size);
            }
        }
        self.now = until;
        sizes
    }

    fn wave(&mut self) {
        let Some(load) = self.load else { return };
        self.work = load.work;
        for _ in 0..load.n_jobs {
            self.n_jobs += 1;
            let (job, priority) = (JobId(self.n_jobs), Priority::Normal);
            self.send(Event::Offer(Offer { job, priority, key: None, deadline: None }));
        }
        self.plan(load.every, Due::Wave);
    }

    fn size(&self) -> usize {
        self.machine.size()
    }

    fn wait_p95(&self) -> Duration {
        self.machine.info(self.now).wait_p95.unwrap_or_default()
    }
}

fn pool() -> PoolSpec {
    PoolSpec::new(2..=16).queue_max(1_000_000)
}

const STEADY: Load = Load { n_jobs: 1, every: millis_const(100), work: millis_const(1000) };

const fn millis_const(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[test]
fn it_grows_under_a_step_settles_and_shrinks_after_it() {
    let mut simulation = Simulation::new(pool(), millis(50));
    simulation.set(Some(STEADY));
    let sizes = simulation.run(secs(60));
    assert_eq!(sizes.first(), Some(&2));
    assert!(sizes.windows(2).all(|pair| pair[1] <= pair[0] + (pair[0] / 2).max(1)), "{sizes:?}");
    assert!(simulation.size() >= 10, "ten are busy all the time: {sizes:?}");
    assert!(simulation.wait_p95() < millis(100), "{:?}", simulation.wait_p95());
    simulation.run(secs(240));
    let sizes = simulation.run(secs(600));
    assert_eq!(sizes.len(), 1, "constant load, constant size: {sizes:?}");
    simulation.set(None);
    let sizes = simulation.run(secs(1200));
    assert!(sizes.is_sorted_by(|a, b| a > b), "it only shrinks: {sizes:?}");
    assert_eq!(simulation.size(), 2, "{sizes:?}");
    assert_eq!(simulation.n_over, simulation.n_jobs, "no lease was lost");
    assert_eq!(simulation.machine.next_wake(), None, "an idle pool at its least sleeps");
}

#[test]
fn it_does_not_grow_while_workers_start_or_for_what_they_could_not_help() {
    let mut simulation = Simulation::new(pool(), secs(20));
    simulation.set(Some(STEADY));
    let sizes = simulation.run(secs(39));
    assert_eq!(sizes, [2, 3], "the first start takes until 20, and the next from then until 40");
}

#[test]
fn it_does_not_grow_for_a_key_whose_home_is_busy_while_others_idle() {
    let mut world = World::up(PoolSpec::new(3..=16));
    for _ in 0..100 {
        world.offer(Priority::Normal, Some("hot"));
        world.offer(Priority::Normal, Some("hot"));
        world.wait(millis(900));
        let leases: Vec<_> = world.leases.keys().copied().collect();
        leases.into_iter().for_each(|lease| world.done(lease));
    }
    let info = world.machine.info(world.now);
    assert!(info.wait_p95.is_some_and(|wait| wait >= millis(900)), "{:?}", info.wait_p95);
    assert_eq!(world.workers.len(), 3, "{:?}", info.decisions);
}

#[test]
fn a_shrink_leaves_a_fifth_of_the_workers_idle() {
    let mut simulation = Simulation::new(pool(), millis(10));
    simulation.send(Event::Resize(16..=16));
    simulation.send(Event::Resize(2..=16));
    simulation.set(Some(Load { work: millis(800), ..STEADY }));
    simulation.run(secs(600));
    assert_eq!(simulation.size(), 10, "eight are busy");
}

#[test]
fn no_more_workers_are_added_than_jobs_wait() {
    let mut simulation = Simulation::new(PoolSpec::new(8..=100), Duration::ZERO);
    simulation.set(Some(Load { n_jobs: 9, every: secs(4), work: secs(2) }));
    let sizes = simulation.run(secs(3));
    assert_eq!(sizes, [8, 9], "half of eight would be four more");
}

#[test]
fn waves_are_followed_a_few_times_and_then_kept() {
    let mut simulation = Simulation::new(pool(), millis(10));
    simulation.set(Some(Load { n_jobs: 32, every: secs(90), work: secs(1) }));
    simulation.run(secs(3600));
    let sizes = simulation.run(secs(3600));
    assert_eq!(sizes.len(), 1, "it has learnt: {sizes:?}");
    assert!(sizes[0] > 4);
    simulation.set(None);
    simulation.run(secs(3600));
    assert_eq!(simulation.size(), 2, "and forgets");
}

#[test]
fn a_retiring_worker_finishes_what_it_has_and_can_be_called_back() {
    let mut world = World::up(PoolSpec::new(1..=4));
    world.resize(3..=4);
    world.all_up();
    let jobs = [0; 3].map(|_| world.offer(Priority::Normal, None));
    world.resize(1..=1);
    let retiring = |world: &World| {
        let info = world.machine.info(world.now);
        info.workers.iter().filter(|worker| worker.is_retiring).count()
    };
    assert_eq!(retiring(&world), 2);
    let n_stopped = |world: &World| world.workers.values().filter(|w| w.is_stopped).count();
    assert_eq!(n_stopped(&world), 0, "they have jobs");
    let later = world.offer(Priority::Normal, None);
    world.done(world.lease_of(jobs[2]));
    assert_eq!((n_stopped(&world), world.worker_of(later)), (1, None), "it is given nothing more");
    world.resize(2..=4);
    assert_eq!(retiring(&world), 1, "one is called back, and the one that stops is not");
    world.done(world.lease_of(jobs[1]));
    assert!(world.worker_of(later).is_some());
}

#[test]
fn a_worker_that_is_given_up_is_replaced_later_and_later() {
    let mut world = World::up(PoolSpec::new(1..=1));
    for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
        let worker = *world.workers.keys().next().expect("one");
        world.worker_gone(worker, Parts::new());
        world.wait(secs(wait) - millis(1));
        assert!(world.workers.is_empty(), "not before {wait} seconds");
        world.wait(millis(1));
        assert_eq!(world.workers.len(), 1, "after {wait} seconds");
    }
    world.all_up();
    let job = world.offer(Priority::Normal, None);
    world.done(world.lease_of(job));
    let worker = *world.workers.keys().next().expect("one");
    world.worker_gone(worker, Parts::new());
    world.wait(secs(1));
    assert_eq!(world.workers.len(), 1, "a job that is done makes it quick again");
}

fn loads() -> impl Strategy<Value = Load> {
    (1..20_u64, 300..20_000_u64, 5..3000_u64).prop_map(|(n_jobs, every, work)| {
        // What the most workers can do, with some room.
        let least = n_jobs * work * 10 / (16 * 9);
        Load { n_jobs, every: millis(every.max(least)), work: millis(work) }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// The size is within its bounds always, settles within ten minutes, and then stays for ten minutes.
    #[test]
    fn a_constant_load_settles_and_then_nothing_changes(
        load in loads(),
        start in 0..3000_u64,
        concurrency in 1..3_usize,
    ) {
        let mut simulation = Simulation::new(pool().concurrency(concurrency), millis(start));
        simulation.set(Some(load));
        let sizes = simulation.run(secs(600));
        prop_assert!(sizes.iter().all(|size| (2..=16).contains(size)), "{sizes:?}");
        let sizes = simulation.run(secs(600));
        prop_assert_eq!(sizes.len(), 1, "{:?}", sizes);
        prop_assert!(simulation.n_jobs - simulation.n_over < 4 * load.n_jobs + 32);
    }
}

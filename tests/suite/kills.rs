//! The kill harness: processes with a durable journal are killed at every point and at random times, and an
//! inquest is held on what they did, as somebody outside saw it.
//!
//! `GREENROOM_KILLS=10000` makes it a long one, and `GREENROOM_SEED` another one; the default is half a minute's
//! worth.

mod deaths;
mod mutants;
mod old;
mod victim;
mod workflows;
mod worlds;

use std::collections::BTreeSet;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use greenroom_core::random::SplitMix64;
use greenroom_journal::SqliteJournal;
use greenroom_testkit::kills::{Calm, Note, Points, inquest};

use workflows::Workflow;

/// The status of a test binary whose test has failed.
const FAILED: i32 = 101;

/// The points of these workflows beside those of the testkit.
const ANSWERS: [&str; 2] = ["before-answer", "after-answer"];

/// A store, and the processes that used it.
struct Scene {
    folder: tempfile::TempDir,
    workflow: Workflow,
    n_runs: usize,
    n_deaths: usize,
}

impl Scene {
    fn new(workflow: Workflow, n_runs: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { folder, workflow, n_runs, n_deaths: 0 }
    }

    fn spawn(&self, point: Option<&str>) -> Child {
        let suite = std::env::current_exe().expect("this binary has a path");
        self.spawn_as(Command::new(suite), point)
    }

    /// Starts a process by a command that is the binary of this suite, or becomes it.
    fn spawn_as(&self, mut command: Command, point: Option<&str>) -> Child {
        let Self { folder, workflow, n_runs, .. } = self;
        let folder = folder.path().display();
        let told = format!("{folder}|{workflow:?}|{n_runs}|{}", point.unwrap_or_default());
        command.args(["--exact", "kills::victim::lives", "--nocapture"]).env(victim::TOLD, told);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the victim starts")
    }

    /// Lets a process live until its point, or its end.
    fn live(&mut self, point: Option<&str>) -> ExitStatus {
        let child = self.spawn(point);
        self.bury(child)
    }

    /// Starts a process, and waits until something is so or it has ended.
    fn spawn_until(&self, is_so: impl Fn() -> bool) -> Child {
        let mut child = self.spawn(None);
        for _ in 0..60_000 {
            if is_so() || child.try_wait().is_ok_and(|ended| ended.is_some()) {
                break;
            }
            pause(Duration::from_millis(1));
        }
        child
    }

    /// Starts a process, and waits until it has its store.
    fn born(&self) -> Child {
        let witness = self.folder.path().join("witness");
        let n_noted = || std::fs::metadata(&witness).map_or(0, |file| file.len());
        let n_before = n_noted();
        self.spawn_until(|| n_noted() > n_before)
    }

    /// Lets a process live for so long, then kills it. Whether it came to its end.
    fn live_for(&mut self, span: Duration) -> bool {
        let mut child = self.born();
        pause(span);
        child.kill().expect("it can be killed");
        self.bury(child).success()
    }

    /// How long a process lives that nobody kills.
    #[expect(clippy::disallowed_methods, reason = "another process lives in real time")]
    fn span(workflow: Workflow, n_runs: usize) -> Duration {
        let mut scene = Self::new(workflow, n_runs);
        let child = scene.born();
        let born_at = std::time::Instant::now();
        assert!(scene.bury(child).success());
        born_at.elapsed()
    }

    /// Waits for the end of a process, which has ended well or was killed, and did not fail.
    fn bury(&mut self, child: Child) -> ExitStatus {
        let ended = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.code() != Some(FAILED), "it failed: {said}");
        self.n_deaths += usize::from(!ended.status.success());
        ended.status
    }

    /// How many calls of models and tools were made again.
    fn n_repeated(&self) -> usize {
        let (mut n_made, mut keys) = (0, BTreeSet::new());
        for noted in victim::witness(self.folder.path()).notes() {
            if let Note::Called { key, .. } | Note::Asked { key, .. } = noted.note {
                n_made += 1;
                keys.insert(key);
            }
        }
        n_made - keys.len()
    }

    /// What a process comes to that nobody kills.
    fn calm(workflow: Workflow) -> Calm {
        let mut scene = Self::new(workflow, 1);
        assert!(scene.live(None).success());
        let calm = Calm::of(&victim::witness(scene.folder.path()));
        assert_eq!(scene.check(&calm, "calm"), 0);
        calm
    }

    /// Holds the inquest. How many calls were made again.
    #[track_caller]
    fn check(&self, calm: &Calm, why: &str) -> usize {
        let Self { folder, workflow, n_runs, .. } = self;
        let witness = victim::witness(folder.path());
        let tokio = tokio::runtime::Builder::new_current_thread().build().expect("it starts");
        let found = tokio.block_on(async {
            let journal = SqliteJournal::open_for_reading(victim::store(folder.path()));
            inquest(&witness, &journal.expect("it opens"), Some(calm)).await
        });
        assert_eq!(found, [], "{workflow:?}, {why}");
        assert!(witness.n_accepted() <= *n_runs, "{why}");
        self.n_repeated()
    }
}

#[expect(clippy::disallowed_methods, reason = "another process lives in real time")]
fn pause(span: Duration) {
    std::thread::sleep(span);
}

/// What was said from outside: how many kills a long run makes, its seed, or what a process is started for.
#[expect(clippy::disallowed_methods, reason = "it is said by the environment")]
fn told<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().and_then(|told| told.parse().ok())
}

const N_KILLS: &str = "GREENROOM_KILLS";
const SEED: &str = "GREENROOM_SEED";

/// D1: the process ends itself at each point of each workflow, and its successor finishes the run. In a short
/// run it is every point by name, and every sixth time that it is passed.
#[track_caller]
#[expect(clippy::print_stdout, reason = "a long run says how much it tried")]
fn d1(workflow: Workflow) {
    let step = if told::<usize>(N_KILLS).is_some() { 1 } else { 6 };
    let calm = Scene::calm(workflow);
    let (mut n_deaths, mut n_repeated, mut passed) = (0, 0, Vec::new());
    for point in Points::ALL.into_iter().chain(ANSWERS) {
        for n in (1..).step_by(step) {
            let mut scene = Scene::new(workflow, 1);
            let point = format!("{point}:{n}");
            if scene.live(Some(&point)).success() {
                // There are no more points of this kind.
                break;
            }
            while !scene.live(None).success() {}
            n_repeated += scene.check(&calm, &point);
            n_deaths += scene.n_deaths;
            passed.push(point);
        }
    }
    println!("D1: {workflow:?}: {n_deaths} deaths, {n_repeated} calls repeated");
    for point in ["before-store:1", "after-store:1", "before-ask:1", "after-ask:1"] {
        assert!(passed.iter().any(|passed| passed == point), "{point} is never passed");
    }
}

#[test]
fn d1_a_process_with_an_agent_ends_itself_at_every_point() {
    d1(Workflow::Agent);
}

#[test]
fn d1_a_process_with_calls_that_wait_for_people_ends_itself_at_every_point() {
    d1(Workflow::Approval);
}

#[test]
fn d1_a_process_with_a_team_ends_itself_at_every_point() {
    d1(Workflow::Team);
}

#[test]
fn d1_a_process_with_a_team_that_delegates_ends_itself_at_every_point() {
    d1(Workflow::Delegation);
}

/// D2: the process is killed at random times, with several runs of each workflow at work.
#[test]
fn d2_a_process_is_killed_at_random_times() {
    let mut random = SplitMix64::new(told(SEED).unwrap_or(7));
    let mut n_left: usize = told(N_KILLS).unwrap_or(24);
    let n_deaths_max = (n_left / 4).clamp(1, 12);
    let calm = Workflow::ALL.map(|workflow| (Scene::calm(workflow), Scene::span(workflow, 8)));
    let (mut n_repeated, mut n_deaths, mut n_runs) = (0, 0, 0);
    for i in 0.. {
        let (workflow, (calm, span)) = (Workflow::ALL[i % 4], &calm[i % 4]);
        let mut scene = Scene::new(workflow, 8);
        while n_left > 0 && scene.n_deaths < n_deaths_max {
            // What is done stays done, so the deaths are spread over all of the work.
            if scene.live_for(span.mul_f64(random.unit() / 4.0)) {
                break;
            }
            n_left -= 1;
        }
        while !scene.live(None).success() {}
        n_repeated += scene.check(calm, &format!("{} deaths", scene.n_deaths));
        n_deaths += scene.n_deaths;
        n_runs += scene.n_runs;
        if told::<usize>(N_KILLS).is_some() {
            println!("D2: so far {n_deaths} kills, {n_runs} runs, {n_repeated} calls repeated");
        }
        if n_left == 0 {
            break;
        }
    }
    println!("D2: {n_deaths} kills, {n_runs} runs, 0 lost, 0 paid twice, {n_repeated} repeated");
}

/// D9: the process is stopped for a while, as by a suspended machine, and goes on.
#[test]
fn d9_a_process_that_is_stopped_for_a_while_goes_on_where_it_was() {
    let calm = Scene::calm(Workflow::Agent);
    let scene = Scene::new(Workflow::Agent, 40);
    // It has its store, and most of its work before it.
    let has_begun = || victim::witness(scene.folder.path()).n_accepted() > 0;
    let mut child = scene.spawn_until(has_begun);
    let id = child.id().to_string();
    let signal = |name: &str| {
        let sent = Command::new("kill").args([name, &id]).status();
        sent.expect("there is a program to send signals").success()
    };
    if child.try_wait().is_ok_and(|ended| ended.is_none()) && signal("-STOP") {
        // While it is stopped it owns its store: a second process is refused.
        let second = scene.spawn(None).wait_with_output().expect("it ends");
        assert_eq!(second.status.code(), Some(FAILED), "two processes have the store");
        assert!(signal("-CONT"));
    }
    let ended = child.wait_with_output().expect("it ends");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(scene.check(&calm, "stopped"), 0, "nothing is repeated when nobody dies");
}

//! The kill harness: processes with a durable journal are killed at every point and at random times, and an
//! inquest is held on what they did, as somebody outside saw it.
//!
//! `GREENROOM_KILLS=10000` makes it a long one, and `GREENROOM_SEED` another one; the default is half a minute's
//! worth.

mod aim;
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

use aim::{Part, Parts, Spans};
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

    /// Starts a process, and kills it in a part of its life. In which it was; `None` when it came to its end.
    fn killed_in(&mut self, aim: Part, spans: Spans, random: &mut SplitMix64) -> Option<Part> {
        let witness = victim::witness(self.folder.path());
        let n_lives = witness.n_lives() as u64;
        let (mut child, span) = match aim {
            Part::Boot => (self.spawn(None), spans.boot),
            Part::Recovery => (self.born(), Duration::from_millis(10)),
            // What is done stays done, so the deaths are spread over all of the work.
            Part::Work => (self.born(), spans.rest / 4),
            Part::End => {
                let n_before = self.n_answered();
                (self.spawn_until(|| self.n_answered() > n_before), Duration::from_millis(2))
            }
        };
        pause(span.mul_f64(random.unit()));
        child.kill().expect("it can be killed");
        let has_ended = self.bury(child).success();
        (!has_ended).then(|| Part::reached(&witness, n_lives))
    }

    /// How often somebody was told of an outcome.
    fn n_answered(&self) -> usize {
        let seen = std::fs::read_to_string(self.folder.path().join("witness")).unwrap_or_default();
        seen.matches(r#""what":"answered""#).count()
    }

    /// How long the parts of a process take that nobody kills.
    #[expect(clippy::disallowed_methods, reason = "another process lives in real time")]
    fn spans(workflow: Workflow, n_runs: usize) -> Spans {
        let mut scene = Self::new(workflow, n_runs);
        let started_at = std::time::Instant::now();
        let child = scene.born();
        let boot = started_at.elapsed();
        assert!(scene.bury(child).success());
        Spans { boot, rest: started_at.elapsed() - boot }
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

/// D2: the process is killed at random times, with several runs of each workflow at work, and in every part of
/// its life.
#[test]
fn d2_a_process_is_killed_at_random_times() {
    let mut random = SplitMix64::new(told(SEED).unwrap_or(7));
    let n_kills: usize = told(N_KILLS).unwrap_or(24);
    let n_deaths_max = (n_kills / 4).clamp(1, 12);
    let calm = Workflow::ALL.map(|workflow| (Scene::calm(workflow), Scene::spans(workflow, 8)));
    let (mut n_repeated, mut n_deaths, mut n_runs) = (0, 0, 0);
    let mut parts = Parts::default();
    // Half of the processes may come to their ends before they are killed, and some more.
    for (i, workflow) in Workflow::ALL.into_iter().cycle().enumerate().take(n_kills + 40) {
        let (calm, spans) = &calm[i % 4];
        let mut scene = Scene::new(workflow, 8);
        while n_deaths + scene.n_deaths < n_kills && scene.n_deaths < n_deaths_max {
            let aim = Part::aimed_at(&mut random);
            let Some(part) = scene.killed_in(aim, *spans, &mut random) else { break };
            parts.add(part);
        }
        while !scene.live(None).success() {}
        n_repeated += scene.check(calm, &format!("{} deaths", scene.n_deaths));
        n_deaths += scene.n_deaths;
        n_runs += scene.n_runs;
        if told::<usize>(N_KILLS).is_some() {
            println!("D2: so far {n_deaths} kills ({parts}), {n_runs} runs, {n_repeated} repeated");
        }
        if n_deaths >= n_kills {
            break;
        }
    }
    println!(
        "D2: {n_deaths} kills ({parts}), {n_runs} runs, 0 lost, 0 paid twice, {n_repeated} repeated"
    );
    assert_eq!(n_deaths, n_kills, "processes come to their ends before they are killed");
    let is_long = n_kills >= 1_000;
    assert!(!is_long || Part::ALL.iter().all(|part| parts.n(*part) > 0), "{parts}");
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

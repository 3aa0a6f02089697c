//! The kill harness: a process with a durable journal is killed at every point and at random times, and
//! what it did is counted from outside.
//!
//! `GREENROOM_KILLS=10000` makes it a long one; the default is a few seconds' worth.

mod victim;

use std::collections::BTreeMap;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use greenroom_core::random::SplitMix64;

/// The status of a test binary whose test has failed.
const FAILED: i32 = 101;

/// A store, and what was done by the processes that used it.
struct Scene {
    folder: tempfile::TempDir,
    n_runs: usize,
    n_deaths: usize,
}

impl Scene {
    fn new(n_runs: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { folder, n_runs, n_deaths: 0 }
    }

    fn spawn(&self, point: Option<&str>) -> Child {
        let suite = std::env::current_exe().expect("this binary has a path");
        let (folder, n_runs) = (self.folder.path().display(), self.n_runs);
        let told = format!("{folder}|{n_runs}|{}", point.unwrap_or_default());
        let mut command = Command::new(suite);
        command.args(["--exact", "kills::victim::lives", "--nocapture"]).env(victim::TOLD, told);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the victim starts")
    }

    /// Lets a process live until its point, or its end.
    fn live(&mut self, point: Option<&str>) -> ExitStatus {
        let child = self.spawn(point);
        self.bury(child)
    }

    /// Lets a process live for so long, then kills it. Whether it came to its end.
    fn live_for(&mut self, span: Duration) -> bool {
        let mut child = self.spawn(None);
        pause(span);
        child.kill().expect("it can be killed");
        self.bury(child).success()
    }

    /// Waits for the end of a process, which has ended well or was killed, and did not fail.
    fn bury(&mut self, child: Child) -> ExitStatus {
        let ended = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.code() != Some(FAILED), "it failed: {said}");
        self.n_deaths += usize::from(!ended.status.success());
        ended.status
    }

    /// How often each line was written, by its first word.
    fn effects(&self) -> BTreeMap<String, BTreeMap<String, usize>> {
        let text = std::fs::read_to_string(self.folder.path().join("effects")).unwrap_or_default();
        let mut effects: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
        for line in text.lines() {
            let (what, which) = line.split_once(' ').expect("a line is written whole");
            *effects.entry(what.into()).or_default().entry(which.into()).or_default() += 1;
        }
        effects
    }

    /// I1, I2, I3, I9: nothing is lost, nothing is paid twice, and what is repeated was in flight at a death.
    #[track_caller]
    fn check(&self, why: &str) -> usize {
        let effects = self.effects();
        let of = |what: &str| effects.get(what).cloned().unwrap_or_default();
        let answered = of("answered");
        for run in of("accepted").keys() {
            let says = format!("{run} all done");
            assert!(answered.contains_key(&says), "{why}: {run} is lost: {answered:?}");
        }
        assert!(of("pay").values().all(|n| *n == 1), "{why}: paid twice: {:?}", of("pay"));
        let mut n_repeated = 0;
        for what in ["look", "put"] {
            let made = of(what);
            assert_eq!(made.len(), answered.len(), "{why}: {what}: a call has one key");
            n_repeated += made.values().map(|n| n - 1).sum::<usize>();
        }
        let in_flight = 2 * self.n_runs * self.n_deaths;
        assert!(n_repeated <= in_flight, "{why}: {n_repeated} repeated, {in_flight} in flight");
        n_repeated
    }
}

#[expect(clippy::disallowed_methods, reason = "another process lives in real time")]
fn pause(span: Duration) {
    std::thread::sleep(span);
}

/// How many kills a test makes: by default so many.
#[expect(clippy::disallowed_methods, reason = "the length of this test is chosen from outside")]
fn n_kills(default: usize) -> usize {
    let told = std::env::var("GREENROOM_KILLS").ok().and_then(|told| told.parse().ok());
    told.unwrap_or(default)
}

/// D1: the process ends itself at each point of a run, and its successor finishes it.
#[test]
fn d1_a_process_ends_itself_at_every_point() {
    let mut n_deaths = 0;
    for point in ["before-store", "after-store", "before-effect", "after-effect"] {
        for at in 1.. {
            let mut scene = Scene::new(1);
            let point = format!("{point}:{at}");
            if scene.live(Some(&point)).success() {
                // There are no more points of this kind.
                break;
            }
            while !scene.live(None).success() {}
            scene.check(&point);
            n_deaths += scene.n_deaths;
        }
    }
    // A dozen appends and three effects, two points each.
    assert!(n_deaths >= 28, "{n_deaths}");
}

/// D2: the process is killed at random times, with several runs at work.
#[test]
fn d2_a_process_is_killed_at_random_times() {
    let (mut random, mut n_left) = (SplitMix64::new(7), n_kills(12));
    let (mut n_repeated, mut n_deaths, mut n_runs) = (0, 0, 0);
    while n_left > 0 {
        let mut scene = Scene::new(8);
        while n_left > 0 && scene.n_deaths < 5 {
            let millis = (random.unit() * 150.0) as u64;
            if scene.live_for(Duration::from_millis(10 + millis)) {
                break;
            }
            n_left -= 1;
        }
        while !scene.live(None).success() {}
        n_repeated += scene.check(&format!("{} deaths", scene.n_deaths));
        n_deaths += scene.n_deaths;
        n_runs += scene.n_runs;
    }
    println!("D2: {n_deaths} kills, {n_runs} runs, 0 lost, 0 paid twice, {n_repeated} repeated");
}

/// D9: the process is stopped for a while, as by a suspended machine, and goes on.
#[test]
fn d9_a_process_that_is_stopped_for_a_while_goes_on_where_it_was() {
    let scene = Scene::new(40);
    let mut child = scene.spawn(None);
    let id = child.id().to_string();
    let signal = |name: &str| {
        let sent = Command::new("kill").args([name, &id]).status();
        sent.expect("there is a program to send signals").success()
    };
    // It has its store, and most of its work before it.
    for _ in 0..60_000 {
        if scene.effects().contains_key("accepted") || child.try_wait().is_ok_and(|e| e.is_some()) {
            break;
        }
        pause(Duration::from_millis(1));
    }
    if child.try_wait().is_ok_and(|ended| ended.is_none()) && signal("-STOP") {
        // While it is stopped it owns its store: a second process is refused.
        let second = scene.spawn(None).wait_with_output().expect("it ends");
        assert_eq!(second.status.code(), Some(FAILED), "two processes have the store");
        assert!(signal("-CONT"));
    }
    let ended = child.wait_with_output().expect("it ends");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(scene.check("stopped"), 0, "nothing is repeated when nobody dies");
}

//! What becomes of a run whose process is asked to end. Rows DR01 and FI40.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStderr, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use greenroom_testkit::provider::ProviderServer;

use super::models::{asked, team};
use super::{CAPACITY, Ran, World, piped};

/// A provider whose first answer comes so late, until somebody has patience no more.
struct Slow {
    server: ProviderServer,
    is_slow: Arc<AtomicBool>,
}

impl Slow {
    fn new(delay: Duration) -> Self {
        let is_slow = Arc::new(AtomicBool::new(true));
        let slow = Arc::clone(&is_slow);
        let server = ProviderServer::answering(move |request| {
            if slow.load(Ordering::SeqCst) { team(request).after(delay) } else { team(request) }
        });
        Self { server, is_slow }
    }

    fn model(&self) -> String {
        format!("{}#m", self.server.url("/v1"))
    }

    /// A question to this model.
    fn asked(&self, world: &World, args: &[&str]) -> Command {
        let model = self.model();
        world.command(&[&["ask", CAPACITY, "--corpus", "docs", "--model", &model], args].concat())
    }

    /// How often the planner was asked.
    fn n_plans(&self) -> usize {
        asked(&self.server).iter().filter(|(role, _)| role == "plan").count()
    }
}

/// A process that waits for its planner, and what it tells.
fn waiting(command: Command) -> (Child, BufReader<ChildStderr>) {
    let mut child = piped(command);
    let mut err = BufReader::new(child.stderr.take().expect("it is piped"));
    until(&mut err, "turn 1");
    (child, err)
}

/// The same command, which does not inherit that a hangup is ignored: whoever runs the tests may have been started
/// by `nohup`. Only GNU's `env` can do that.
#[cfg(target_os = "linux")]
fn heeding_hangups(command: &Command) -> Command {
    let mut heeding = Command::new("env");
    heeding.arg("--default-signal=HUP").arg(command.get_program()).args(command.get_args());
    heeding.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    heeding.current_dir(command.get_current_dir().expect("it has one"));
    heeding
}

fn until(err: &mut BufReader<ChildStderr>, words: &str) {
    let mut told = String::new();
    while !told.contains(words) {
        assert!(err.read_line(&mut told).expect("it can be read") > 0, "{told}");
    }
}

fn send(child: &Child, signal: &str) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(sent.expect("kill can be run").success());
}

fn ended(child: Child, err: BufReader<ChildStderr>) -> Ran {
    let rest: Vec<_> = err.lines().map(|line| line.expect("it can be read")).collect();
    let ran = Ran::from(child.wait_with_output().expect("it ends"));
    Ran { err: rest.join("\n"), ..ran }
}

/// The only run of the store is unfinished; it is gone on with and answered.
fn check_resumed(world: &World, slow: &Slow) {
    let listed = world.run(&["runs", "--json"]).json();
    assert_eq!(
        (listed.as_array().map(Vec::len), &listed[0]["state"]),
        (Some(1), &"unfinished".into())
    );
    slow.is_slow.store(false, Ordering::SeqCst);
    let ran = world.run(&["ask", "--resume", "--corpus", "docs", "--model", &slow.model()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("64 messages"), "{ran:?}");
}

#[test]
fn fi40_a_short_run_is_finished_before_the_process_ends() {
    let (world, slow) = (World::new(), Slow::new(Duration::from_millis(100)));
    let (child, mut err) = waiting(slow.asked(&world, &[]));
    send(&child, "-TERM");
    until(&mut err, "asked to end");
    let ran = ended(child, err);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("64 messages"), "{ran:?}");
}

#[test]
fn dr01_fi40_a_long_run_is_left_at_its_next_step_and_gone_on_with() {
    let (world, slow) = (World::new(), Slow::new(Duration::from_secs(6)));
    let (child, err) = waiting(slow.asked(&world, &["--json"]));
    send(&child, "-TERM");
    let ran = ended(child, err);
    assert_eq!(ran.code, Some(143), "{ran:?}");
    let json = ran.json();
    assert_eq!((&json["status"], &json["error"]["code"]), (&"cancelled".into(), &"GR0315".into()));
    assert!(ran.err.contains("error[GR0315]"), "{ran:?}");
    assert!(ran.err.contains("`greenroom runs resume"), "{ran:?}");
    assert_eq!((slow.n_plans(), asked(&slow.server).len()), (1, 1), "nothing was begun after it");
    check_resumed(&world, &slow);
    assert_eq!(slow.n_plans(), 1, "the plan was there");
}

/// It is cut off in the end, and lost no more than one that was left in time.
#[test]
fn fi40_a_run_whose_call_does_not_end_is_left_as_well() {
    let (world, slow) = (World::new(), Slow::new(Duration::from_secs(3_600)));
    let (child, err) = waiting(slow.asked(&world, &[]));
    send(&child, "-TERM");
    let ran = ended(child, err);
    assert_eq!(ran.code, Some(143), "{ran:?}");
    assert!(ran.err.contains("error[GR0315]"), "{ran:?}");
    check_resumed(&world, &slow);
}

#[test]
fn fi40_a_second_signal_ends_the_process_at_once() {
    for second in ["-TERM", "-INT"] {
        let (world, slow) = (World::new(), Slow::new(Duration::from_secs(3_600)));
        let (child, mut err) = waiting(slow.asked(&world, &[]));
        send(&child, "-TERM");
        until(&mut err, "asked to end");
        send(&child, second);
        let ran = ended(child, err);
        assert_eq!(ran.code, Some(if second == "-TERM" { 143 } else { 130 }), "{ran:?}");
        check_resumed(&world, &slow);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn fi40_a_terminal_that_is_gone_costs_no_run() {
    let (world, slow) = (World::new(), Slow::new(Duration::from_secs(3_600)));
    let (child, err) = waiting(heeding_hangups(&slow.asked(&world, &[])));
    send(&child, "-HUP");
    assert_eq!(ended(child, err).code, None, "it was killed");
    check_resumed(&world, &slow);
}

#[test]
fn fi40_a_conversation_that_waits_for_input_ends() {
    let world = World::new();
    let mut child = world.piped(&["chat", "--corpus", "docs"]);
    let mut stdin = child.stdin.take().expect("it is piped");
    std::io::Write::write_all(&mut stdin, format!("{CAPACITY}\n").as_bytes()).expect("it reads");
    let mut err = BufReader::new(child.stderr.take().expect("it is piped"));
    until(&mut err, "completed in");
    // Between the answer and the next wait for input there is nothing to end.
    while child.try_wait().expect("it can be asked").is_none() {
        send(&child, "-TERM");
        std::thread::yield_now();
    }
    assert_eq!(child.wait().expect("it ended").code(), Some(143));
}

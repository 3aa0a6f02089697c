//! The watchdog: hooks that block their thread, and agents that make no progress.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenroom_core::mailbox::MailboxSpec;
use greenroom_core::supervision::{ChildSpec, ExitReason};
use greenroom_core::watchdog::{Finding, Found, OnStuck, WatchdogSpec};
use greenroom_runtime::{
    Actor, AgentRef, Context, Failure, Feed, PanicLocations, Reply, Runtime, Told,
};

use crate::support::end;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Blocks, hangs and panics as it is told.
#[derive(Default)]
struct Suspect {
    starts: Option<Gate>,
}

/// Where a hook blocks: it says that it is there, and waits until it may go on.
#[derive(Clone)]
struct Gate(Arc<Mutex<mpsc::Receiver<()>>>);

impl Gate {
    fn new() -> (mpsc::Sender<()>, Self) {
        let (go_on, held) = mpsc::channel();
        (go_on, Self(Arc::new(Mutex::new(held))))
    }

    fn pass(&self) {
        // A test that has failed lets everybody go.
        let _ = self.0.lock().expect("one at a time").recv();
    }
}

enum Do {
    Block(Gate),
    /// Has an effect under way that says nothing.
    Hang(Duration),
    /// Has one that says every second that it goes on.
    Stream(Duration),
    /// Is told every second, and sets a step then.
    Step(u32),
    Protect(Duration),
    Wait(Duration),
    Panic(&'static str),
    PanicBeside(Reply<String>),
    Done,
}

impl Actor for Suspect {
    type Message = Do;

    fn started(&mut self, _: &mut Context<'_, Self>) -> Result<(), Failure> {
        if let Some(gate) = &self.starts {
            gate.pass();
        }
        Ok(())
    }

    fn handle(&mut self, message: &Do, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        match message {
            Do::Block(gate) => gate.pass(),
            Do::Hang(span) => {
                context.effect("hang", HOUR, tokio::time::sleep(*span), |_| Do::Done);
            }
            Do::Stream(span) => {
                let (progress, n_pieces) = (context.progress(), span.as_secs());
                let work = async move {
                    for _ in 0..n_pieces {
                        tokio::time::sleep(SECOND).await;
                        progress.made();
                    }
                };
                context.effect("stream", HOUR, work, |_| Do::Done);
            }
            Do::Step(n_left) => {
                context.set_step("working");
                if *n_left > 0 {
                    context.after(SECOND, Do::Step(n_left - 1));
                }
            }
            Do::Protect(span) => context.protect(*span),
            Do::Wait(span) => context.after(*span, Do::Done),
            Do::Panic(text) => panic!("{text}"),
            Do::PanicBeside(reply) => {
                let reply = reply.take();
                let work = async { panic!("beside the handler") };
                context.shielded("panic", HOUR, work, move |outcome: Result<(), _>| {
                    let text = outcome.expect_err("it panicked").to_string();
                    drop(reply.send(text));
                    Do::Done
                });
            }
            Do::Done => {}
        }
        Ok(())
    }

    fn message_name(message: &Do) -> &'static str {
        match message {
            Do::Block(_) => "Block",
            _ => "other",
        }
    }
}

fn once() -> MailboxSpec {
    MailboxSpec { deliveries_max: 1, ..MailboxSpec::default() }
}

async fn watched(spec: WatchdogSpec) -> Runtime {
    Runtime::builder().seed(7).watchdog(spec).start().await.expect("a runtime starts")
}

async fn suspect(runtime: &Runtime) -> AgentRef<Do> {
    let spec = ChildSpec::worker("suspect");
    runtime.spawn_with(spec, once(), Suspect::default).await.expect("it starts")
}

async fn next(findings: &mut Feed<Finding>) -> Finding {
    // A minute for a machine that is busy with other tests; it takes some milliseconds.
    match tokio::time::timeout(60 * SECOND, findings.next()).await {
        Ok(Some(Told::Fact(finding))) => finding,
        other => panic!("no finding: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_blocks_is_told_of_while_it_does_and_when_it_is_done() {
    let max = Duration::from_millis(20);
    let runtime = watched(WatchdogSpec::default().handler_max(max)).await;
    let mut findings = runtime.findings();
    let agent = suspect(&runtime).await;
    for _ in 0..2 {
        let (go_on, gate) = Gate::new();
        agent.send(Do::Block(gate)).await.expect("it lives");
        let while_it_does = next(&mut findings).await;
        assert_eq!(while_it_does.agent.as_str(), "suspect");
        assert_eq!(while_it_does.what, Found::Blocked { message: "Block" });
        assert!(while_it_does.lasted >= max && !while_it_does.is_over, "{while_it_does:?}");
        go_on.send(()).expect("it is held");
        let done = next(&mut findings).await;
        assert_eq!((done.what, done.is_over), (Found::Blocked { message: "Block" }, true));
        assert!(done.lasted >= while_it_does.lasted);
    }
    assert_eq!(runtime.recent_findings().len(), 4, "each time once, and once when it was over");
    end(runtime).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_blocks_is_told_of() {
    let runtime = watched(WatchdogSpec::default().handler_max(Duration::from_millis(20))).await;
    let mut findings = runtime.findings();
    let (go_on, gate) = Gate::new();
    let factory = move || Suspect { starts: Some(gate.clone()) };
    let spawned = runtime.spawn_with(ChildSpec::worker("suspect"), once(), factory);
    let told = async {
        let finding = next(&mut findings).await;
        go_on.send(()).expect("it is held");
        finding
    };
    let (agent, finding) = tokio::join!(spawned, told);
    agent.expect("it starts");
    assert_eq!(finding.what, Found::Blocked { message: "started" });
    end(runtime).await;
}

/// The findings in virtual time, as `(seconds, effects, is over)`, of an agent that is told this.
async fn stuck(spec: WatchdogSpec, messages: Vec<Do>, until: Duration) -> Vec<(u64, usize, bool)> {
    let runtime = watched(spec.progress_max(60 * SECOND)).await;
    let agent = suspect(&runtime).await;
    for message in messages {
        agent.send(message).await.expect("it lives");
    }
    tokio::time::sleep(until).await;
    let found = runtime.recent_findings().into_iter().map(|finding| match finding.what {
        Found::Stuck { n_effects, n_queued: 0 } => {
            (finding.lasted.as_secs(), n_effects, finding.is_over)
        }
        other => panic!("{other:?}"),
    });
    let found = found.collect();
    end(runtime).await;
    found
}

#[tokio::test(start_paused = true)]
async fn an_agent_without_progress_is_told_of_once_and_when_it_is_over() {
    let spec = WatchdogSpec::default();
    assert_eq!(stuck(spec, vec![Do::Hang(59 * SECOND)], 600 * SECOND).await, []);
    assert_eq!(stuck(spec, vec![Do::Hang(HOUR)], 1000 * SECOND).await, [(60, 1, false)]);
    let for_a_while = stuck(spec, vec![Do::Hang(200 * SECOND)], 1000 * SECOND).await;
    assert_eq!(for_a_while, [(60, 1, false), (195, 1, true)]);
}

#[tokio::test(start_paused = true)]
async fn whoever_makes_progress_or_has_nothing_to_do_is_not_stuck() {
    let spec = WatchdogSpec::default();
    assert_eq!(stuck(spec, vec![], HOUR).await, []);
    assert_eq!(stuck(spec, vec![Do::Wait(HOUR)], 2 * HOUR).await, [], "a timer is no work");
    assert_eq!(stuck(spec, vec![Do::Stream(300 * SECOND)], 300 * SECOND).await, []);
    let steps = vec![Do::Hang(HOUR), Do::Step(300)];
    assert_eq!(stuck(spec, steps, 300 * SECOND).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_protected_zone_is_left_alone_until_it_ends() {
    let spec = WatchdogSpec::default();
    let protect = |span| vec![Do::Hang(HOUR), Do::Protect(span)];
    assert_eq!(stuck(spec, protect(300 * SECOND), 350 * SECOND).await, []);
    assert_eq!(stuck(spec, protect(300 * SECOND), 400 * SECOND).await, [(60, 1, false)]);
    let mut ended = protect(HOUR);
    ended.push(Do::Protect(Duration::ZERO));
    assert_eq!(stuck(spec, ended, 100 * SECOND).await, [(60, 1, false)]);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_stuck_can_be_ended() {
    let spec = WatchdogSpec::default().progress_max(60 * SECOND).on_stuck(OnStuck::End);
    let runtime = watched(spec).await;
    let agent = suspect(&runtime).await;
    agent.send(Do::Hang(HOUR)).await.expect("it lives");
    tokio::time::sleep(80 * SECOND).await;
    let info = agent.info();
    assert_eq!((info.generation, info.last_exit), (2, Some(ExitReason::Stuck)));
    assert_eq!(info.n_effects, 0, "what hung is gone");
    tokio::time::sleep(HOUR).await;
    assert_eq!(agent.info().generation, 2, "nothing hangs any more");
    let told: Vec<_> = runtime.recent_findings().iter().map(|finding| finding.is_over).collect();
    assert_eq!(told, [false, true]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn the_watchdog_ends_with_its_runtime() {
    let runtime = watched(WatchdogSpec::default()).await;
    let mut findings = runtime.findings();
    assert_eq!(runtime.n_tasks(), 1, "the task that looks");
    end(runtime).await;
    assert_eq!(findings.next().await, None);
    let runtime = watched(WatchdogSpec::default()).await;
    let mut findings = runtime.findings();
    drop(runtime);
    assert_eq!(findings.next().await, None, "also when it is only dropped");
}

#[tokio::test(start_paused = true)]
async fn sup_j02_the_reason_of_a_panic_has_its_place_and_no_secret() {
    let locations = PanicLocations::install();
    let runtime = Runtime::builder().panic_locations(&locations).start().await.expect("it starts");
    let agent = suspect(&runtime).await;
    agent.send(Do::Panic("no access with api_key=hunter2")).await.expect("it lives");
    tokio::time::sleep(SECOND).await;
    let reason = agent.info().last_exit.expect("it crashed").to_string();
    let (place, text) = reason.split_once(": no access").expect("the message");
    assert_eq!(text, " with api_key=[redacted]");
    assert!(place.starts_with("panicked: tests/suite/watchdog.rs:"), "{place}");
    let beside = agent.ask(HOUR, Do::PanicBeside).await.expect("it answers");
    assert!(beside.starts_with("panicked: tests/suite/watchdog.rs:"), "{beside}");
    assert!(beside.ends_with(": beside the handler"), "{beside}");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn sup_j02_a_secret_in_a_panic_reaches_nobody() {
    let runtime = crate::support::runtime().await;
    let agent = suspect(&runtime).await;
    agent.send(Do::Panic("sk-proj-0123456789abcdef was refused")).await.expect("it lives");
    tokio::time::sleep(SECOND).await;
    let seen = format!("{:?} {:?}", runtime.dead_letters(), runtime.tree().await);
    assert!(seen.contains("sk-[redacted] was refused") && !seen.contains("0123456789"), "{seen}");
    end(runtime).await;
}

//! Looking at a running system: the tree, what agents are doing, and what supervisors report.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenroom_core::BoxFuture;
use greenroom_core::mailbox::MailboxSpec;
use greenroom_core::supervision::{
    Backoff, ChildSpec, ExitReason, Fact, Intensity, Restart, Shutdown, Strategy, SupervisorSpec,
};
use greenroom_runtime::ractor::{self, ActorCell, ActorProcessingErr, ActorRef};
use greenroom_runtime::{
    Actor, AgentRef, Context, Failure, Node, NodeState, RactorChild, Reply, Runtime, Start,
    StartFuture, Subject, SupervisorInfo, Told,
};
use greenroom_testkit::{ScriptedModel, ScriptedReply, ScriptedRetriever};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::{end, runtime};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Does as it is told.
struct Worker;

enum Do {
    Crash,
    /// Works for this long, beside its handlers.
    Work(Duration),
    Wait(Duration),
    /// Says that it was entered, and blocks its thread until told to go on.
    Hold(mpsc::Sender<()>, Mutex<mpsc::Receiver<()>>),
    /// What it sees of itself while it handles this.
    Look(Reply<(&'static str, u32)>),
    Step(&'static str),
    Done,
}

impl Actor for Worker {
    type Message = Do;

    fn handle(&mut self, message: &Do, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        match message {
            Do::Crash => panic!("told to"),
            Do::Work(span) => {
                context.effect("work", HOUR, tokio::time::sleep(*span), |_| Do::Done);
            }
            Do::Wait(span) => context.after(*span, Do::Done),
            Do::Hold(entered, go_on) => {
                entered.send(()).expect("the test waits");
                go_on.lock().expect("held once").recv().expect("the test goes on");
            }
            Do::Look(reply) => {
                let in_flight = context.me().info().in_flight.expect("this message");
                let _ = reply.send((in_flight.message, in_flight.delivery));
            }
            Do::Step(step) => context.set_step(step),
            Do::Done => {}
        }
        Ok(())
    }

    fn message_name(message: &Do) -> &'static str {
        match message {
            Do::Crash => "Crash",
            Do::Look(_) => "Look",
            Do::Hold(..) => "Hold",
            _ => "other",
        }
    }
}

fn once() -> MailboxSpec {
    MailboxSpec { deliveries_max: 1, ..MailboxSpec::default() }
}

async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

async fn spawn(runtime: &Runtime, spec: ChildSpec) -> AgentRef<Do> {
    runtime.spawn_with(spec, once(), || Worker).await.expect("it starts")
}

/// The tree, which must be there within 50 ms.
async fn tree(runtime: &Runtime) -> Node {
    let since = Instant::now();
    let tree = runtime.tree().await;
    assert!(since.elapsed() <= Duration::from_millis(50), "{:?}", since.elapsed());
    tree
}

#[track_caller]
fn check_state(tree: &Node, id: &str, expect: NodeState) {
    let node = tree.find(id).unwrap_or_else(|| panic!("there is no {id}:\n{tree}"));
    assert_eq!(node.state, expect, "{tree}");
}

/// A start that never ends.
struct Hanging;

impl Start for Hanging {
    fn start(&self, _: ActorCell) -> StartFuture {
        Box::pin(std::future::pending())
    }
}

/// An actor that takes its time for everything.
struct Slow;

impl ractor::Actor for Slow {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<()>, (): &mut ()) -> Result<(), ActorProcessingErr> {
        tokio::time::sleep(3 * SECOND).await;
        Ok(())
    }
}

fn slow() -> Arc<dyn Start> {
    Arc::new(RactorChild::new(|supervisor| async move {
        let (actor, _) = ractor::Actor::spawn_linked(None, Slow, (), supervisor).await?;
        Ok(actor.get_cell())
    }))
}

#[tokio::test(start_paused = true)]
async fn sup_j06_the_tree_is_there_at_once_whatever_its_children_do() {
    let runtime = runtime().await;
    let backoff = Backoff::new(10 * SECOND, 10 * SECOND).jitter(0.0);
    let (failing, failing_start) = runtime.child("failing", once(), || Worker);
    let (done, done_start) = runtime.child("done", once(), || Worker);
    let children = vec![
        (ChildSpec::worker("failing").backoff(backoff), failing_start),
        (ChildSpec::worker("done").restart(Restart::Transient), done_start),
        (ChildSpec::worker("slow").shutdown(Shutdown::Timeout(HOUR)), slow()),
    ];
    let spec = SupervisorSpec::new(Strategy::OneForOne).intensity(3, HOUR);
    let own = runtime.supervise("own", spec, children).await.expect("it starts");
    check_state(&tree(&runtime).await, "slow", NodeState::Running);

    failing.send(Do::Crash).await.expect("it lives");
    own.terminate_child("done").await.expect("it stops");
    let _ = done;
    let (stopper, starter) = (own.clone(), own.clone());
    let mut beside = JoinSet::new();
    beside.spawn(async move { stopper.terminate_child("slow").await.is_ok() });
    let hanging = ChildSpec::worker("hanging");
    beside.spawn(async move { starter.start_child(hanging, Arc::new(Hanging)).await.is_ok() });
    settle().await;
    let seen = tree(&runtime).await;
    check_state(
        &seen,
        "failing",
        NodeState::Backoff { left: 10 * SECOND - Duration::from_millis(1) },
    );
    check_state(&seen, "done", NodeState::Stopped);
    check_state(&seen, "slow", NodeState::Stopping);
    check_state(&seen, "hanging", NodeState::Starting);
    let failing = seen.find("failing").expect("just seen");
    assert_eq!(failing.last_exit, Some(ExitReason::panic("told to")));
    assert_eq!(failing.agent.as_ref().map(|agent| agent.generation), Some(1));
    let info = seen.find("own").and_then(|own| own.supervisor);
    let (intensity, restarts_left) = (Intensity::new(3, HOUR), 2);
    let strategy = Strategy::OneForOne;
    assert_eq!(info, Some(SupervisorInfo::Answered { strategy, intensity, restarts_left }));

    tokio::time::sleep(10 * SECOND).await;
    let seen = tree(&runtime).await;
    check_state(&seen, "failing", NodeState::Running);
    let failing = seen.find("failing").expect("just seen");
    assert_eq!((failing.generation, failing.n_restarts), (2, 1));
    own.terminate_child("hanging").await.expect("it is cut off");
    assert_eq!(beside.join_all().await, [true, false], "one stopped, and one did not start");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn the_tree_has_the_agents_of_runs() {
    let runtime = runtime().await;
    let model = ScriptedModel::answering(|_| ScriptedReply::text("nothing")).latency(SECOND);
    let docs = ScriptedRetriever::new("docs");
    let team = runtime.team().model(model).source(docs).start().await.expect("it starts");
    let run = team.ask("What is a mailbox?").await.expect("accepted");
    settle().await;
    let seen = tree(&runtime).await;
    let run_id = format!("run-{}", run.id());
    let run_node = seen.find(&run_id).unwrap_or_else(|| panic!("{seen}"));
    let below: Vec<_> = run_node.children.iter().map(|child| child.id.as_str()).collect();
    assert_eq!(below, ["router", "planner"], "{seen}");
    let planner = run_node.find("planner").and_then(|node| node.agent.clone()).expect("an agent");
    assert_eq!(planner.n_effects, 1, "its model call");
    assert!(planner.step.is_some_and(|step| step.contains("asking")));
    assert!(seen.find("retrieval").is_some_and(|node| node.agent.is_some()), "{seen}");
    run.outcome().await;
    assert!(tree(&runtime).await.find(&run_id).is_none(), "it is gone with its run");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn the_tree_is_drawn_as_text() {
    let runtime = runtime().await;
    let backoff = Backoff::new(10 * SECOND, 10 * SECOND).jitter(0.0);
    let busy = spawn(&runtime, ChildSpec::worker("busy")).await;
    let failing = spawn(&runtime, ChildSpec::worker("failing").backoff(backoff)).await;
    let (_, start) = runtime.child("idle", once(), || Worker);
    let children = vec![(ChildSpec::worker("idle"), start)];
    let spec = SupervisorSpec::new(Strategy::OneForAll);
    runtime.supervise("own", spec, children).await.expect("it starts");
    for message in [Do::Step("counting\nbeans"), Do::Work(HOUR), Do::Wait(HOUR), Do::Wait(HOUR)] {
        busy.send(message).await.expect("it lives");
    }
    failing.send(Do::Crash).await.expect("it lives");
    settle().await;
    failing.send(Do::Done).await.expect("it waits");
    failing.send(Do::Done).await.expect("it waits");
    tokio::time::sleep(2 * SECOND).await;
    let drawn = runtime.tree().await.to_string();
    let expect = "\
runtime        running
└─ team        running
   ├─ busy     running, counting beans, 1 effect, 2 timers, handled 4 (p50 0 µs, p99 0 µs, max 0 µs)
   ├─ failing  backoff for 7999 ms, 29 left, 2 queued (at most 2, the first for 2000 ms), handled 1 (p50 0 µs, p99 0 µs, max 0 µs), last ended: panicked: told to
   └─ own      running
      └─ idle  running
";
    let drawn: Vec<_> = drawn.lines().map(str::trim_end).collect();
    assert_eq!(drawn, expect.lines().collect::<Vec<_>>());
    end(runtime).await;
}

/// A start whose incarnations are asked to stop by a function that blocks the supervisor.
struct Blocking {
    inner: Arc<dyn Start>,
    entered: mpsc::Sender<()>,
    go_on: Mutex<mpsc::Receiver<()>>,
}

impl Start for Blocking {
    fn start(&self, supervisor: ActorCell) -> StartFuture {
        self.inner.start(supervisor)
    }

    fn gone(&self) -> BoxFuture<'static, ()> {
        self.inner.gone()
    }

    fn stop(&self, actor: &ActorCell) {
        self.entered.send(()).expect("the test waits");
        self.go_on.lock().expect("asked once").recv().expect("the test goes on");
        self.inner.stop(actor);
    }

    fn subject(&self) -> Subject {
        self.inner.subject()
    }

    fn closed(&self, reason: &ExitReason) {
        self.inner.closed(reason);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sup_j06_a_supervisor_that_does_not_answer_is_marked_and_its_agents_are_shown() {
    let runtime = runtime().await;
    let (_, inner) = runtime.child("a", once(), || Worker);
    let (_, sibling) = runtime.child("b", once(), || Worker);
    let (entered, is_entered) = mpsc::channel();
    let (go_on, held) = mpsc::channel();
    let blocking = Blocking { inner, entered, go_on: Mutex::new(held) };
    let children = vec![
        (ChildSpec::worker("a"), Arc::new(blocking) as Arc<dyn Start>),
        (ChildSpec::worker("b"), sibling),
    ];
    let spec = SupervisorSpec::new(Strategy::OneForOne);
    let own = runtime.supervise("own", spec, children).await.expect("it starts");
    let stopper = own.clone();
    let mut beside = JoinSet::new();
    beside.spawn(async move { stopper.terminate_child("a").await.is_ok() });
    tokio::task::spawn_blocking(move || is_entered.recv())
        .await
        .expect("no panic")
        .expect("entered");
    let seen =
        tokio::time::timeout(10 * SECOND, runtime.tree()).await.expect("nobody is waited for");
    assert_eq!(seen.find("own").and_then(|own| own.supervisor), Some(SupervisorInfo::Silent));
    check_state(&seen, "a", NodeState::Running);
    check_state(&seen, "b", NodeState::Running);
    assert!(seen.to_string().contains("does not answer"));
    go_on.send(()).expect("it is held");
    assert_eq!(beside.join_all().await, [true]);
    end(runtime).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_is_seen_while_it_runs_and_timed_when_it_is_done() {
    let runtime = runtime().await;
    let agent = spawn(&runtime, ChildSpec::worker("a")).await;
    let (entered, is_entered) = mpsc::channel();
    let (go_on, held) = mpsc::channel();
    agent.send(Do::Hold(entered, Mutex::new(held))).await.expect("it lives");
    agent.send(Do::Done).await.expect("it lives");
    tokio::task::spawn_blocking(move || is_entered.recv())
        .await
        .expect("no panic")
        .expect("entered");
    let begun = Instant::now();
    let info = agent.info();
    let in_flight = info.in_flight.expect("it is held");
    assert_eq!((in_flight.message, in_flight.delivery, info.n_queued), ("Hold", 1, 1));
    while begun.elapsed() < Duration::from_millis(5) {
        tokio::task::yield_now().await;
    }
    assert!(agent.info().in_flight.expect("it is held").age() >= Duration::from_millis(5));
    go_on.send(()).expect("it is held");
    agent.ask(HOUR, Do::Look).await.expect("it answers");
    let timing = agent.info().timing;
    assert!(timing.n() >= 2, "{timing:?}");
    assert!(timing.max() >= Duration::from_millis(5), "{timing:?}");
    assert!(timing.quantile(500) < timing.max(), "only one of them was slow: {timing:?}");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_is_called_as_its_actor_says() {
    let runtime = runtime().await;
    let mailbox = MailboxSpec { deliveries_max: 2, ..MailboxSpec::default() };
    let spec = ChildSpec::worker("a");
    let agent = runtime.spawn_with(spec, mailbox, || Worker).await.expect("it starts");
    assert_eq!(agent.ask(HOUR, Do::Look).await, Ok(("Look", 1)));
    assert!(agent.crash_on_purpose());
    assert_eq!(agent.ask(HOUR, Do::Look).await, Ok(("Look", 2)), "it is delivered again");
    assert_eq!(agent.info().in_flight, None);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn work_under_way_is_counted_until_it_is_handled() {
    let runtime = runtime().await;
    let agent = spawn(&runtime, ChildSpec::worker("a")).await;
    for message in [Do::Work(SECOND), Do::Work(2 * SECOND), Do::Wait(SECOND)] {
        agent.send(message).await.expect("it lives");
    }
    settle().await;
    assert_eq!((agent.info().n_effects, agent.info().n_timers), (2, 1));
    tokio::time::sleep(SECOND).await;
    assert_eq!((agent.info().n_effects, agent.info().n_timers), (1, 0));
    agent.send(Do::Crash).await.expect("it lives");
    settle().await;
    assert_eq!((agent.info().n_effects, agent.info().n_timers), (0, 0), "they end with their life");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn sup_j01_every_start_exit_restart_and_escalation_is_told() {
    let runtime = runtime().await;
    let (agent, start) = runtime.child("a", once(), || Worker);
    let spec = SupervisorSpec::new(Strategy::OneForOne).intensity(1, HOUR);
    let mut events = runtime.supervision_events();
    runtime.supervise("own", spec, vec![(ChildSpec::worker("a"), start)]).await.expect("it starts");
    for _ in 0..2 {
        agent.send(Do::Crash).await.expect("it lives");
        settle().await;
    }
    end(runtime).await;
    let mut told = Vec::new();
    while let Some(fact) = events.next().await {
        let Told::Fact(fact) = fact else { panic!("{fact:?}") };
        let event = fact.event;
        if fact.supervisor.as_str() == "own" {
            let why = event.last_exit.map(|reason| reason.to_string());
            told.push((event.fact, event.generation.0, event.n_restarts, why));
        }
    }
    let why = || Some("panicked: told to".to_owned());
    let exited = || Fact::Exited { reason: ExitReason::panic("told to"), asked: false };
    let expect = [
        (Fact::Started, 1, 0, None),
        (exited(), 1, 0, why()),
        (Fact::Restarting { after: Duration::ZERO }, 1, 0, why()),
        (Fact::Started, 2, 1, why()),
        (exited(), 2, 1, why()),
        (Fact::Escalated, 2, 1, why()),
    ];
    assert_eq!(told[..6], expect);
    assert_eq!(told[6].0, Fact::Started, "its supervisor was started again, and with it the agent");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_too_slow_is_told_how_much_it_missed() {
    let runtime = runtime().await;
    let mut events = runtime.supervision_events();
    for i in 0..600 {
        let id = format!("agent-{i}");
        spawn(&runtime, ChildSpec::worker(id.clone())).await;
        runtime.supervisor().terminate_child(id.as_str()).await.expect("it stops");
    }
    let Some(Told::Missed { n_facts }) = events.next().await else { panic!("nothing was missed") };
    assert_eq!(n_facts, 2 * 600 - 1024);
    assert!(matches!(events.next().await, Some(Told::Fact(_))), "and it goes on with the oldest");
    end(runtime).await;
}

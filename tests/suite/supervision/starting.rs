//! Starts that hang, fail, panic or decline, and children that are ractor actors of the user's own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenroom_core::supervision::{
    AdminError, ChildSpec, ChildState, Done, ExitReason, Restart, Shutdown, Strategy,
    SupervisorSpec,
};
use greenroom_runtime::{
    Actor, AskError, Context, DeadReason, Failure, Ignored, RactorChild, Reply, Start, StartFuture,
};
use ractor::{ActorCell, ActorProcessingErr, ActorRef};
use tokio::time::Instant;

use super::{Do, HOUR, SECOND, SOON, Script, Stage, once, seen, settle, worker};
use crate::support::end;

/// A start that takes its time, and counts those that were cut off.
#[derive(Clone, Default)]
struct Hanging {
    n_begun: Arc<AtomicUsize>,
    n_dropped: Arc<AtomicUsize>,
    is_healed: Arc<AtomicUsize>,
}

struct CountDrop(Arc<AtomicUsize>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Start for Hanging {
    fn start(&self, supervisor: ActorCell) -> StartFuture {
        self.n_begun.fetch_add(1, Ordering::Relaxed);
        let dropped = CountDrop(Arc::clone(&self.n_dropped));
        let is_healed = self.is_healed.load(Ordering::Relaxed) > 0;
        Box::pin(async move {
            let _dropped = dropped;
            if !is_healed {
                std::future::pending::<()>().await;
            }
            Ok(Ok(Raw::start(Raw::default(), supervisor).await))
        })
    }
}

/// A ractor actor of the user's own.
#[derive(Clone, Default)]
struct Raw {
    current: Arc<Mutex<Option<ActorRef<RawMessage>>>>,
    n_started: Arc<AtomicUsize>,
    n_stopped: Arc<AtomicUsize>,
}

enum RawMessage {
    Panic,
    Sleep(Duration),
    Stop,
}

impl ractor::Actor for Raw {
    type Msg = RawMessage;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, me: ActorRef<RawMessage>, (): ()) -> Result<(), ActorProcessingErr> {
        self.n_started.fetch_add(1, Ordering::Relaxed);
        *self.current.lock().expect("no test panics here") = Some(me);
        Ok(())
    }

    async fn handle(
        &self,
        me: ActorRef<RawMessage>,
        message: RawMessage,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match message {
            RawMessage::Panic => panic!("raw"),
            RawMessage::Sleep(span) => tokio::time::sleep(span).await,
            RawMessage::Stop => me.stop(None),
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _me: ActorRef<RawMessage>,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        self.n_stopped.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

impl Raw {
    async fn start(self, supervisor: ActorCell) -> ActorCell {
        let (actor, _) =
            ractor::Actor::spawn_linked(None, self, (), supervisor).await.expect("it starts");
        actor.get_cell()
    }

    fn child(&self) -> Arc<dyn Start> {
        let raw = self.clone();
        Arc::new(RactorChild::new(move |supervisor| {
            let raw = raw.clone();
            async move {
                let (actor, _) = ractor::Actor::spawn_linked(None, raw, (), supervisor).await?;
                Ok(actor.get_cell())
            }
        }))
    }

    fn cast(&self, message: RawMessage) {
        let current = self.current.lock().expect("no test panics here").clone();
        current.expect("it was started").cast(message).expect("it lives");
    }

    fn counts(&self) -> (usize, usize) {
        (self.n_started.load(Ordering::Relaxed), self.n_stopped.load(Ordering::Relaxed))
    }
}

#[tokio::test(start_paused = true)]
async fn sup_f07_a_hanging_start_blocks_nothing_and_can_be_cut_off() {
    let stage = Stage::new().await;
    let supervisor = stage.runtime.supervisor();
    let hanging = Hanging::default();
    let start = supervisor.start_child(worker("hangs"), Arc::new(hanging.clone()));
    let meanwhile = async {
        settle().await;
        let since = Instant::now();
        assert_eq!(seen(&supervisor, "hangs").await.map(|c| c.state), Some(ChildState::Starting));
        let again = supervisor.start_child(worker("hangs"), Arc::new(hanging.clone())).await;
        assert_eq!(again, Err(AdminError::AlreadyPresent));
        let (other, _) = stage.spawn(worker("other"), "other").await;
        assert_eq!(other.ask(SOON, Do::Generation).await, Ok(1));
        supervisor.terminate_child("hangs").await.expect("it is cut off");
        assert_eq!(since.elapsed(), Duration::ZERO, "nobody waited");
    };
    let (started, ()) = tokio::join!(start, meanwhile);
    assert_eq!(started, Err(AdminError::Interrupted));
    assert_eq!(hanging.n_dropped.load(Ordering::Relaxed), 1, "the start was dropped");
    assert_eq!(seen(&supervisor, "hangs").await, None);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_f07_requests_about_a_child_whose_restart_hangs() {
    let stage = Stage::new().await;
    let hanging = Hanging::default();
    hanging.is_healed.store(1, Ordering::Relaxed);
    let spec = SupervisorSpec::new(Strategy::OneForOne).intensity(9, HOUR);
    let children = vec![(worker("a"), Arc::new(hanging.clone()) as Arc<dyn Start>)];
    let supervisor = stage.runtime.supervise("tree", spec, children).await.expect("it starts");
    supervisor.terminate_child("a").await.expect("it stops");
    hanging.is_healed.store(0, Ordering::Relaxed);
    let restart = supervisor.restart_child("a");
    let meanwhile = async {
        settle().await;
        assert_eq!(supervisor.restart_child("a").await, Err(AdminError::Restarting));
        assert_eq!(supervisor.delete_child("a").await, Err(AdminError::Restarting));
        supervisor.terminate_child("a").await.expect("it is cut off");
        supervisor.delete_child("a").await.expect("it is stopped");
    };
    assert_eq!(tokio::join!(restart, meanwhile).0, Err(AdminError::Interrupted));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_f07_shutdown_cuts_off_a_hanging_start_at_any_depth() {
    let stage = Stage::new().await;
    let hanging = Hanging::default();
    let spec = SupervisorSpec::new(Strategy::OneForOne);
    let children = vec![(worker("hangs"), Arc::new(hanging.clone()) as Arc<dyn Start>)];
    let starting = stage.runtime.supervise("tree", spec, children);
    let since = Instant::now();
    let ending = async {
        settle().await;
        stage.runtime.shutdown().await;
    };
    let (started, ()) = tokio::join!(starting, ending);
    assert!(started.is_err());
    let took = since.elapsed();
    assert!(took < SECOND, "{took:?}");
    assert_eq!(hanging.n_dropped.load(Ordering::Relaxed), 1, "the start was dropped");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_is_cut_off_in_its_start_is_gone_when_that_is_told() {
    let stage = Stage::new().await;
    let script = Script::default();
    let hanging: Arc<dyn Start> = Arc::new(Hanging::default());
    let children = vec![(worker("a"), stage.child("a", &script).1), (worker("hangs"), hanging)];
    let starting =
        stage.runtime.supervise("tree", SupervisorSpec::new(Strategy::OneForOne), children);
    let ending = async {
        settle().await;
        assert_eq!(script.n_alive.load(Ordering::Relaxed), 1, "the first child is up");
        stage.runtime.supervisor().terminate_child("tree").await.expect("it is cut off");
        script.n_alive.load(Ordering::Relaxed)
    };
    let (started, n_alive) = tokio::join!(starting, ending);
    assert_eq!(started.map(|_| ()), Err(AdminError::Interrupted));
    assert_eq!(n_alive, 0, "a new one of the same name would overlap with the old one's children");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn any_number_of_hanging_starts_can_be_cut_off() {
    const MANY: usize = 1500;
    let stage = Stage::new().await;
    let supervisor = stage.runtime.supervisor();
    let mut starts = tokio::task::JoinSet::new();
    for i in 0..MANY {
        let supervisor = supervisor.clone();
        let spec = ChildSpec::worker(format!("hangs-{i}"));
        starts
            .spawn(async move { supervisor.start_child(spec, Arc::new(Hanging::default())).await });
    }
    settle().await;
    let n_starting = supervisor.which_children().await.len();
    assert!(n_starting > 1000, "only {n_starting}");
    for _ in 0..MANY {
        for child in supervisor.which_children().await {
            supervisor.terminate_child(child.id).await.expect("it is cut off");
        }
    }
    for result in starts.join_all().await {
        assert_eq!(result, Err(AdminError::Interrupted));
    }
    stage.end().await;
}

struct Unborn;

impl Actor for Unborn {
    type Message = ();

    fn started(&mut self, _context: &mut Context<'_, Self>) -> Result<(), Failure> {
        panic!("in its first hook");
    }

    fn handle(&mut self, (): &(), _context: &mut Context<'_, Self>) -> Result<(), Failure> {
        Ok(())
    }
}

struct Declines;

impl Start for Declines {
    fn start(&self, _supervisor: ActorCell) -> StartFuture {
        Box::pin(async { Ok(Err(Ignored)) })
    }
}

struct PanicsAtOnce;

impl Start for PanicsAtOnce {
    fn start(&self, _supervisor: ActorCell) -> StartFuture {
        panic!("before there is a future");
    }
}

#[tokio::test(start_paused = true)]
async fn sup_a08_h08_a_start_that_panics_or_fails_is_an_error_with_its_cause_and_leaves_nothing() {
    let stage = Stage::new().await;
    let supervisor = stage.runtime.supervisor();
    let failed = |cause| Err(AdminError::StartFailed { cause });
    let factory = stage.runtime.spawn("a", || -> Unborn { panic!("in the factory") }).await;
    assert_eq!(factory.map(|_| ()), failed(ExitReason::panic("in the factory")));
    let hook = stage.runtime.spawn("a", || Unborn).await;
    assert_eq!(hook.map(|_| ()), failed(ExitReason::panic("in its first hook")));
    let custom = supervisor.start_child(worker("a"), Arc::new(PanicsAtOnce)).await.map(|_| ());
    assert_eq!(custom, failed(ExitReason::panic("before there is a future")));
    let script = Script::default();
    script.n_bad_starts.store(1, Ordering::Relaxed);
    let (agent, start) = stage.child("a", &script);
    let bad = supervisor.start_child(worker("a"), Arc::clone(&start)).await.map(|_| ());
    assert_eq!(bad, failed(ExitReason::failed("a bad start")));
    assert_eq!(seen(&supervisor, "a").await, None);
    assert_eq!(script.n_alive.load(Ordering::Relaxed), 0);
    supervisor.start_child(worker("a"), start).await.expect("this one is good");
    assert_eq!(agent.ask(SOON, Do::Generation).await, Ok(2));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_a04_a05_a_start_that_declines_is_no_failure() {
    let stage = Stage::new().await;
    let supervisor = stage.runtime.supervisor();
    let ignored = supervisor.start_child(worker("a"), Arc::new(Declines)).await;
    assert_eq!(ignored, Ok(Done::Ignored));
    assert_eq!(seen(&supervisor, "a").await, None, "a dynamic supervisor keeps no spec of it");
    let spec = SupervisorSpec::new(Strategy::OneForOne);
    let temporary = worker("t").restart(Restart::Temporary);
    let children: Vec<(ChildSpec, Arc<dyn Start>)> =
        vec![(worker("p"), Arc::new(Declines)), (temporary, Arc::new(Declines))];
    let tree = stage.runtime.supervise("tree", spec, children).await.expect("it starts");
    let kept: Vec<_> = tree.which_children().await.into_iter().map(|c| (c.id, c.state)).collect();
    assert_eq!(kept, [("p".into(), ChildState::Stopped)]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_a07_a_child_that_fails_at_boot_takes_the_earlier_ones_down_in_reverse() {
    let stage = Stage::new().await;
    let bad = Script::default();
    bad.n_bad_starts.store(1, Ordering::Relaxed);
    let mut children = Vec::new();
    for (name, script) in [("a", Script::default()), ("b", Script::default()), ("c", bad)] {
        children.push((worker(name), stage.child(name, &script).1));
    }
    let spec = SupervisorSpec::new(Strategy::OneForOne);
    let started = stage.runtime.supervise("tree", spec, children).await;
    let cause = ExitReason::StartFailed {
        child: "c".into(),
        cause: Box::new(ExitReason::failed("a bad start")),
    };
    assert_eq!(started.map(|_| ()), Err(AdminError::StartFailed { cause }));
    assert_eq!(stage.trace.take(), "+a +b !c -b -a");
    assert_eq!(stage.seen("tree").await, None);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_a09_a_restart_by_hand_that_fails_keeps_the_spec() {
    let stage = Stage::new().await;
    let spec = SupervisorSpec::new(Strategy::OneForOne);
    let tree = stage.tree(spec, ["a"], worker).await;
    tree.supervisor.terminate_child("a").await.expect("it stops");
    tree.scripts[0].n_bad_starts.store(1, Ordering::Relaxed);
    let failed = tree.supervisor.restart_child("a").await;
    assert_eq!(failed, Err(AdminError::StartFailed { cause: ExitReason::failed("a bad start") }));
    assert_eq!(tree.state("a").await, Some(ChildState::Stopped));
    assert!(tree.agents[0].send(Do::Note("lost")).await.is_err(), "handed back");
    tree.supervisor.restart_child("a").await.expect("this one is good");
    assert_eq!(tree.generations().await, [3]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_b01_a_name_is_taken_while_its_child_runs() {
    let stage = Stage::new().await;
    let (agent, _) = stage.spawn(worker("a"), "a").await;
    let again = stage.runtime.spawn("a", || Unborn).await;
    assert!(matches!(again, Err(AdminError::AlreadyStarted { .. })), "{again:?}");
    assert_eq!(agent.ask(SOON, Do::Generation).await, Ok(1));
    assert_eq!(stage.runtime.agents().len(), 1);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_ractor_actor_is_restarted_and_stopped_like_any_child() {
    let stage = Stage::new().await;
    let supervisor = stage.runtime.supervisor();
    let raw = Raw::default();
    supervisor.start_child(worker("raw"), raw.child()).await.expect("it starts");
    raw.cast(RawMessage::Panic);
    settle().await;
    assert_eq!(raw.counts(), (2, 0), "restarted, without an orderly stop");
    raw.cast(RawMessage::Stop);
    settle().await;
    assert_eq!(raw.counts(), (3, 1), "a permanent child that stops is restarted too");
    supervisor.terminate_child("raw").await.expect("it stops");
    assert_eq!(raw.counts(), (3, 2));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_f02_a_slow_handler_is_killed_when_its_shutdown_time_is_over() {
    let stage = Stage::new().await;
    let supervisor = stage.runtime.supervisor();
    let raw = Raw::default();
    let spec = worker("raw").shutdown(Shutdown::Timeout(SECOND));
    supervisor.start_child(spec, raw.child()).await.expect("it starts");
    raw.cast(RawMessage::Sleep(200 * SECOND));
    settle().await;
    let since = Instant::now();
    supervisor.terminate_child("raw").await.expect("it is killed");
    let took = since.elapsed();
    assert!(took >= SECOND && took <= SECOND + Duration::from_millis(1), "{took:?}");
    assert_eq!(raw.counts(), (1, 0), "no orderly stop");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_f03_a_brutal_kill_gives_no_grace() {
    let stage = Stage::new().await;
    let supervisor = stage.runtime.supervisor();
    let raw = Raw::default();
    supervisor
        .start_child(worker("raw").shutdown(Shutdown::Brutal), raw.child())
        .await
        .expect("it starts");
    raw.cast(RawMessage::Sleep(200 * SECOND));
    settle().await;
    let since = Instant::now();
    supervisor.terminate_child("raw").await.expect("it is killed");
    assert_eq!(since.elapsed(), Duration::ZERO);
    assert_eq!(raw.counts(), (1, 0));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_f05_dynamic_children_stop_side_by_side() {
    let stage = Stage::new().await;
    let supervisor = stage.runtime.supervisor();
    for (name, seconds) in [("a", 1), ("b", 60), ("c", 60)] {
        let raw = Raw::default();
        let spec = worker(name).shutdown(Shutdown::Timeout(2 * SECOND));
        supervisor.start_child(spec, raw.child()).await.expect("it starts");
        raw.cast(RawMessage::Sleep(seconds * SECOND));
    }
    settle().await;
    let since = Instant::now();
    stage.end().await;
    let took = since.elapsed();
    assert!(
        took >= SECOND && took < 3 * SECOND,
        "two seconds each, and not one after another: {took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn sup_h11_the_next_incarnation_starts_after_the_last_has_ended() {
    let stage = Stage::new().await;
    let raw = Raw::default();
    let script = Script::default();
    let (agent, start) = stage.child("a", &script);
    let spec = SupervisorSpec::new(Strategy::OneForAll).intensity(9, HOUR);
    let slow = worker("slow").shutdown(Shutdown::Timeout(60 * SECOND));
    let children = vec![(slow, raw.child()), (worker("a"), start)];
    stage.runtime.supervise("tree", spec, children).await.expect("it starts");
    raw.cast(RawMessage::Sleep(10 * SECOND));
    settle().await;
    agent.send(Do::Crash).await.expect("it lives");
    tokio::time::sleep(9 * SECOND).await;
    assert_eq!(raw.counts(), (1, 0), "the slow one is waited for");
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(raw.counts(), (2, 1));
    assert_eq!(agent.ask(SOON, Do::Generation).await, Ok(2));
    stage.end().await;
}

/// Blocks the thread in its hooks, as no actor should.
struct Blocks {
    n_alive: Arc<AtomicUsize>,
}

enum BlockMessage {
    Block(Reply<()>, Arc<Mutex<std::sync::mpsc::Receiver<()>>>),
    Ping(Reply<u64>),
}

impl Blocks {
    fn new(n_alive: &Arc<AtomicUsize>) -> Self {
        n_alive.fetch_add(1, Ordering::Relaxed);
        Self { n_alive: Arc::clone(n_alive) }
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        self.n_alive.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Actor for Blocks {
    type Message = BlockMessage;

    fn handle(
        &mut self,
        message: &BlockMessage,
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        match message {
            BlockMessage::Block(reply, gate) => {
                let _ = reply.send(());
                let _ = gate.lock().expect("no test panics here").recv();
            }
            BlockMessage::Ping(reply) => {
                let _ = reply.send(context.generation());
            }
        }
        Ok(())
    }
}

/// A supervisor that abandons what it has killed after a millisecond.
fn impatient() -> SupervisorSpec {
    SupervisorSpec::new(Strategy::OneForOne).kill_grace(Duration::from_millis(1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn sup_f06_a_handler_that_blocks_its_thread_is_abandoned_and_never_doubled() {
    let stage = Stage::new().await;
    let n_alive = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&n_alive);
    let (agent, start) = stage.runtime.child("b", once(), move || Blocks::new(&counted));
    let children = vec![(worker("b").shutdown(Shutdown::Brutal), start)];
    let supervisor =
        stage.runtime.supervise("tree", impatient(), children).await.expect("it starts");
    // What a blocked thread was about to run next, nobody else can run: the supervisor must not be that.
    assert_eq!(agent.ask(HOUR, BlockMessage::Ping).await, Ok(1));
    assert!(seen(&supervisor, "b").await.is_some());
    let (open, gate) = std::sync::mpsc::channel();
    let gate = Arc::new(Mutex::new(gate));
    agent.ask(HOUR, |reply| BlockMessage::Block(reply, gate)).await.expect("it blocks now");
    assert_eq!(supervisor.terminate_child("b").await, Err(AdminError::Stuck));
    assert_eq!(seen(&supervisor, "b").await.map(|c| c.state), Some(ChildState::Abandoned));
    assert_eq!(supervisor.restart_child("b").await, Err(AdminError::Running), "never two at once");
    assert_eq!(n_alive.load(Ordering::Relaxed), 1);
    drop(open);
    let restarted = tokio::time::timeout(60 * SECOND, async {
        while supervisor.restart_child("b").await.is_err() {
            tokio::task::yield_now().await;
        }
    });
    restarted.await.expect("it is gone at last");
    assert_eq!(agent.ask(HOUR, BlockMessage::Ping).await, Ok(2));
    assert_eq!(n_alive.load(Ordering::Relaxed), 1);
    end(stage.runtime).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_start_that_blocks_its_thread_until_everything_is_over_leaves_no_orphan() {
    let stage = Stage::new().await;
    let n_alive = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&n_alive);
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let (entered, has_entered) = tokio::sync::mpsc::unbounded_channel();
    let gate = Mutex::new(gate);
    let (agent, start) = stage.runtime.child("b", once(), move || {
        let _ = entered.send(());
        let _ = gate.lock().expect("no test panics here").recv();
        Blocks::new(&counted)
    });
    let mut has_entered = has_entered;
    let children = vec![(worker("b"), start)];
    let runtime = stage.runtime.clone();
    let mut starting = tokio::task::JoinSet::new();
    starting.spawn(async move { runtime.supervise("tree", impatient(), children).await.is_err() });
    has_entered.recv().await.expect("the factory runs");
    // The supervisor gives up on it and ends; the start goes on, on its thread.
    let _ = stage.runtime.supervisor().terminate_child("tree").await;
    assert_eq!(starting.join_all().await, [true], "it did not start");
    drop(open);
    stage.runtime.shutdown().await;
    let gone = tokio::time::timeout(60 * SECOND, async {
        while n_alive.load(Ordering::Relaxed) > 0 {
            tokio::task::yield_now().await;
        }
    });
    gone.await.expect("nobody is left");
    let answer = agent.ask(SECOND, BlockMessage::Ping).await;
    assert_eq!(answer, Err(AskError::Dead(DeadReason::Stopped)), "not reopened by the late start");
}

/// User code that the supervisor itself calls.
struct BadAtItsEnd(Raw);

impl Start for BadAtItsEnd {
    fn start(&self, supervisor: ActorCell) -> StartFuture {
        let raw = self.0.clone();
        Box::pin(async move { Ok(Ok(raw.start(supervisor).await)) })
    }

    fn closed(&self, _reason: &ExitReason) {
        panic!("in `closed`");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_code_of_one_child_does_not_keep_its_siblings_open() {
    let stage = Stage::new().await;
    let (agent, start) = stage.child("a", &Script::default());
    let bad: Arc<dyn Start> = Arc::new(BadAtItsEnd(Raw::default()));
    let children = vec![(worker("bad"), bad), (worker("a"), start)];
    let spec = SupervisorSpec::new(Strategy::OneForOne);
    stage.runtime.supervise("tree", spec, children).await.expect("it starts");
    stage.runtime.supervisor().terminate_child("tree").await.expect("it stops");
    let since = Instant::now();
    assert_eq!(agent.ask(HOUR, Do::Generation).await, Err(AskError::Dead(DeadReason::Stopped)));
    assert!(since.elapsed() < SECOND, "told at once");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_code_of_one_child_does_not_end_its_supervisor() {
    let stage = Stage::new().await;
    let supervisor = stage.runtime.supervisor();
    let (bystander, _) = stage.spawn(worker("bystander"), "bystander").await;
    let bad = Arc::new(BadAtItsEnd(Raw::default()));
    supervisor.start_child(worker("bad"), bad).await.expect("it starts");
    let _ = supervisor.terminate_child("bad").await;
    settle().await;
    assert_eq!(bystander.ask(SOON, Do::Generation).await, Ok(1));
    stage.end().await;
}

//! Watching: whoever wants to know of an end is told once, with the real reason.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenroom_core::mailbox::MailboxSpec;
use greenroom_core::supervision::{ChildSpec, ExitReason, Restart, Strategy, SupervisorSpec};
use greenroom_runtime::{Actor, AgentRef, Context, Down, Failure, Reply, Runtime, WatchId};

use crate::support::{end, runtime};

const HOUR: Duration = Duration::from_secs(3600);
/// The same as in the documentation of `Context::watch`.
const WATCHES_MAX: usize = 65_536;

/// Somebody to be watched.
struct Mortal;

enum Fate {
    Crash,
    Fail,
    Finish,
}

impl Actor for Mortal {
    type Message = Fate;

    fn handle(&mut self, fate: &Fate, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        match fate {
            Fate::Crash => panic!("told to"),
            Fate::Fail => return Err(Failure::new("told to")),
            Fate::Finish => context.stop(),
        }
        Ok(())
    }
}

/// Watches, and keeps what it is told.
struct Watcher {
    told: Arc<Mutex<Vec<(String, ExitReason)>>>,
}

enum Do {
    Watch(AgentRef<Fate>, Reply<WatchId>),
    /// Watches with a function that panics.
    WatchBadly(AgentRef<Fate>),
    WatchOften(AgentRef<Fate>, usize),
    Unwatch(WatchId),
    /// Starts so much that no work of others is taken.
    BeBusy(usize),
    /// Says that it is there, and blocks its thread until told to go on.
    Hold(Reply<()>, Mutex<mpsc::Receiver<()>>),
    Down(Down),
    Generation(Reply<u64>),
    Crash,
    Nothing,
}

impl Actor for Watcher {
    type Message = Do;

    fn handle(&mut self, message: &Do, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        match message {
            Do::Watch(agent, reply) => drop(reply.send(context.watch(agent, Do::Down))),
            Do::WatchBadly(agent) => {
                context.watch(agent, |down| panic!("told of {}", down.id));
            }
            Do::WatchOften(agent, n_times) => {
                for _ in 0..*n_times {
                    context.watch(agent, Do::Down);
                }
            }
            Do::Unwatch(watch) => context.unwatch(*watch),
            Do::BeBusy(n_effects) => {
                for _ in 0..*n_effects {
                    let never = std::future::pending::<()>();
                    context.effect("never", HOUR, never, |_| Do::Nothing);
                }
            }
            Do::Hold(is_there, go_on) => {
                is_there.send(()).expect("the test waits");
                let go_on = go_on.lock().expect("held once");
                go_on.recv().expect("the test goes on");
            }
            Do::Down(down) => {
                let mut told = self.told.lock().expect("no test panics here");
                told.push((down.id.to_string(), down.reason.clone()));
            }
            Do::Generation(reply) => drop(reply.send(context.generation())),
            Do::Crash => panic!("told to"),
            Do::Nothing => {}
        }
        Ok(())
    }
}

struct Stage {
    runtime: Runtime,
    told: Arc<Mutex<Vec<(String, ExitReason)>>>,
    watcher: AgentRef<Do>,
}

fn once() -> MailboxSpec {
    MailboxSpec { deliveries_max: 1, ..MailboxSpec::default() }
}

impl Stage {
    async fn new() -> Self {
        let runtime = runtime().await;
        let told = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&told);
        let factory = move || Watcher { told: Arc::clone(&shared) };
        let spec = ChildSpec::worker("watcher");
        let watcher = runtime.spawn_with(spec, once(), factory).await.expect("it starts");
        Self { runtime, told, watcher }
    }

    async fn mortal(&self, id: &'static str, restart: Restart) -> AgentRef<Fate> {
        let spec = ChildSpec::worker(id).restart(restart);
        self.runtime.spawn_with(spec, once(), || Mortal).await.expect("it starts")
    }

    async fn watch(&self, agent: &AgentRef<Fate>) -> WatchId {
        let agent = agent.clone();
        self.watcher.ask(HOUR, |reply| Do::Watch(agent, reply)).await.expect("it answers")
    }

    async fn terminate(&self, agent: &AgentRef<Fate>) {
        let supervisor = self.runtime.supervisor();
        supervisor.terminate_child(agent.id().clone()).await.expect("it stops");
        settle().await;
    }

    /// What the watcher was told since the last call.
    #[track_caller]
    fn check_told(&self, expect: &[(&str, ExitReason)]) {
        let told = std::mem::take(&mut *self.told.lock().expect("no test panics here"));
        let told: Vec<_> = told.iter().map(|(id, why)| (id.as_str(), why.clone())).collect();
        assert_eq!(told, expect);
    }
}

async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

async fn check_reason(restart: Restart, fate: Option<Fate>, expect: ExitReason) {
    let stage = Stage::new().await;
    let agent = stage.mortal("a", restart).await;
    stage.watch(&agent).await;
    match fate {
        Some(fate) => agent.send(fate).await.expect("it lives"),
        None => stage.terminate(&agent).await,
    }
    settle().await;
    stage.check_told(&[("a", expect.clone())]);
    assert_eq!(agent.down().await.reason, expect, "whoever asks later is told the same");
    assert_eq!(agent.info().n_watchers, 0);
    end(stage.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn sup_i06_the_notice_has_the_real_reason() {
    check_reason(Restart::Transient, Some(Fate::Finish), ExitReason::Normal).await;
    check_reason(Restart::Temporary, Some(Fate::Crash), ExitReason::panic("told to")).await;
    check_reason(Restart::Temporary, Some(Fate::Fail), ExitReason::failed("told to")).await;
    check_reason(Restart::Permanent, None, ExitReason::Shutdown).await;
}

#[tokio::test(start_paused = true)]
async fn sup_i06_one_that_is_already_dead_is_told_of_at_once() {
    let stage = Stage::new().await;
    let agent = stage.mortal("a", Restart::Temporary).await;
    agent.send(Fate::Crash).await.expect("it lives");
    settle().await;
    stage.watch(&agent).await;
    settle().await;
    stage.check_told(&[("a", ExitReason::panic("told to"))]);
    end(stage.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn sup_i06_no_restart_is_told_and_the_end_once() {
    let stage = Stage::new().await;
    let agent = stage.mortal("a", Restart::Permanent).await;
    stage.watch(&agent).await;
    for _ in 0..5 {
        agent.send(Fate::Crash).await.expect("it lives");
        settle().await;
    }
    assert_eq!(agent.info().generation, 6);
    assert_eq!(agent.info().last_exit, Some(ExitReason::panic("told to")));
    stage.check_told(&[]);
    stage.terminate(&agent).await;
    stage.check_told(&[("a", ExitReason::Shutdown)]);
    end(stage.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_started_again_by_hand_can_be_watched_again() {
    let stage = Stage::new().await;
    let (agent, start) = stage.runtime.child("a", once(), || Mortal);
    let spec = SupervisorSpec::new(Strategy::OneForOne);
    let children = vec![(ChildSpec::worker("a").restart(Restart::Transient), start)];
    let tree = stage.runtime.supervise("tree", spec, children).await.expect("it starts");
    agent.send(Fate::Finish).await.expect("it lives");
    assert_eq!(agent.down().await.reason, ExitReason::Normal);
    tree.restart_child("a").await.expect("it starts");
    stage.watch(&agent).await;
    settle().await;
    stage.check_told(&[]);
    tree.terminate_child("a").await.expect("it stops");
    settle().await;
    stage.check_told(&[("a", ExitReason::Shutdown)]);
    end(stage.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn sup_i06_each_watch_has_a_notice_of_its_own_and_none_after_it_is_taken_off() {
    let stage = Stage::new().await;
    let agent = stage.mortal("a", Restart::Permanent).await;
    let first = stage.watch(&agent).await;
    let second = stage.watch(&agent).await;
    assert_ne!(first, second);
    assert_eq!(agent.info().n_watchers, 2);
    stage.watcher.send(Do::Unwatch(first)).await.expect("it lives");
    stage.watcher.send(Do::Unwatch(first)).await.expect("twice does no harm");
    settle().await;
    assert_eq!(agent.info().n_watchers, 1);
    stage.terminate(&agent).await;
    stage.check_told(&[("a", ExitReason::Shutdown)]);
    end(stage.runtime).await;
}

/// The notice must be in the mailbox when the watch is taken off, so the watcher's thread is held.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sup_i06_taking_a_watch_off_wins_over_a_queued_notice() {
    let stage = Stage::new().await;
    let agent = stage.mortal("a", Restart::Temporary).await;
    let kept = stage.mortal("kept", Restart::Temporary).await;
    let watch = stage.watch(&agent).await;
    stage.watch(&kept).await;
    let (go_on, held) = mpsc::channel();
    let held = Mutex::new(held);
    stage.watcher.ask(HOUR, |is_there| Do::Hold(is_there, held)).await.expect("it is there");
    agent.send(Fate::Finish).await.expect("it lives");
    kept.send(Fate::Finish).await.expect("it lives");
    let queued = async {
        while stage.watcher.info().n_queued < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), queued).await.expect("both notices are queued");
    stage.watcher.control(Do::Unwatch(watch)).expect("there is room");
    go_on.send(()).expect("it is held");
    stage.watcher.ask(HOUR, Do::Generation).await.expect("everything before was handled");
    stage.check_told(&[("kept", ExitReason::Normal)]);
    assert!(stage.runtime.dead_letters().is_empty(), "a withdrawn notice is no dead letter");
    end(stage.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_notice_passes_a_full_mailbox() {
    let stage = Stage::new().await;
    let agent = stage.mortal("a", Restart::Temporary).await;
    stage.watch(&agent).await;
    stage.watcher.send(Do::BeBusy(1024)).await.expect("it lives");
    settle().await;
    while stage.watcher.try_send(Do::Nothing).is_ok() {}
    agent.send(Fate::Crash).await.expect("it lives");
    settle().await;
    stage.check_told(&[("a", ExitReason::panic("told to"))]);
    end(stage.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_restarts_watches_nobody_and_leaves_nothing() {
    let stage = Stage::new().await;
    let agent = stage.mortal("a", Restart::Permanent).await;
    let old = stage.watch(&agent).await;
    stage.watcher.send(Do::Crash).await.expect("it lives");
    settle().await;
    assert_eq!(agent.info().n_watchers, 0, "the watch ended with its incarnation");
    let new = stage.watch(&agent).await;
    assert_ne!(old, new, "a number of the last life takes nothing off");
    stage.watcher.send(Do::Unwatch(old)).await.expect("it lives");
    stage.terminate(&agent).await;
    stage.check_told(&[("a", ExitReason::Shutdown)]);
    end(stage.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_ends_leaves_nothing_behind() {
    let stage = Stage::new().await;
    let agent = stage.mortal("a", Restart::Permanent).await;
    stage.watch(&agent).await;
    let supervisor = stage.runtime.supervisor();
    supervisor.terminate_child("watcher").await.expect("it stops");
    assert_eq!(agent.info().n_watchers, 0);
    end(stage.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_notice_that_cannot_be_made_crashes_its_watcher_and_nobody_else() {
    let stage = Stage::new().await;
    let agent = stage.mortal("a", Restart::Temporary).await;
    let sibling = stage.mortal("sibling", Restart::Permanent).await;
    stage.watcher.send(Do::WatchBadly(agent.clone())).await.expect("it lives");
    agent.send(Fate::Finish).await.expect("it lives");
    settle().await;
    assert_eq!(stage.watcher.ask(HOUR, Do::Generation).await, Ok(2));
    assert_eq!(stage.watcher.info().last_exit, Some(ExitReason::panic("told of a")));
    assert_eq!(sibling.info().generation, 1);
    end(stage.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn the_watches_of_an_incarnation_are_bounded() {
    let stage = Stage::new().await;
    let agent = stage.mortal("a", Restart::Permanent).await;
    stage.watcher.send(Do::WatchOften(agent.clone(), WATCHES_MAX)).await.expect("it lives");
    settle().await;
    assert_eq!(agent.info().n_watchers, WATCHES_MAX);
    stage.watcher.send(Do::WatchOften(agent.clone(), 1)).await.expect("it lives");
    settle().await;
    assert_eq!(stage.watcher.info().generation, 2, "one too many is a failure");
    assert_eq!(agent.info().n_watchers, 0);
    end(stage.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_application_waits_for_an_end_and_leaves_nothing_when_it_gives_up() {
    let stage = Stage::new().await;
    let agent = stage.mortal("a", Restart::Permanent).await;
    let given_up = tokio::time::timeout(Duration::from_secs(1), agent.down()).await;
    assert!(given_up.is_err(), "it lives");
    assert_eq!(agent.info().n_watchers, 0);
    let (down, ()) = tokio::join!(agent.down(), stage.terminate(&agent));
    assert_eq!((down.id.as_str(), down.reason), ("a", ExitReason::Shutdown));
    end(stage.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn children_of_a_failed_supervisor_end_for_reasons_of_their_own() {
    let stage = Stage::new().await;
    let (culprit, culprit_start) = stage.runtime.child("culprit", once(), || Mortal);
    let (sibling, sibling_start) = stage.runtime.child("sibling", once(), || Mortal);
    let spec = SupervisorSpec::new(Strategy::OneForOne).intensity(0, HOUR);
    let children = vec![
        (ChildSpec::worker("culprit").restart(Restart::Transient), culprit_start),
        (ChildSpec::worker("sibling"), sibling_start),
    ];
    let tree = stage.runtime.supervise("tree", spec, children).await.expect("it starts");
    for _ in 0..40 {
        // The team's supervisor starts the tree again until it has had enough of it.
        if culprit.send(Fate::Crash).await.is_err() {
            break;
        }
        settle().await;
    }
    let ended = tokio::time::timeout(HOUR, async {
        (tree.down().await, culprit.down().await, sibling.down().await)
    });
    let (tree, culprit, sibling) = ended.await.expect("everything has ended");
    let why = ExitReason::IntensityExceeded { child: "culprit".into() };
    assert_eq!((tree.id.as_str(), tree.reason), ("tree", why));
    assert_eq!(culprit.reason, ExitReason::panic("told to"));
    assert_eq!(sibling.reason, ExitReason::Shutdown);
    end(stage.runtime).await;
}

//! How children are started: agents, supervisors, and ractor actors of the user's own.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use greenroom_core::BoxFuture;
use greenroom_core::ids::AgentId;
use greenroom_core::supervision::{ChildKind, ExitReason, Info, SupervisorSpec};
use ractor::{Actor as _, ActorCell, ActorProcessingErr, ActorRef, SpawnErr};
use tokio::sync::oneshot;

use super::child::guarded;
use super::memory::Archive;
use super::message::{SupervisorArgs, SupervisorMessage};
use super::shell::SupervisorShell;
use super::{Children, Observer, SupervisorRef};
use crate::actor::Actor;
use crate::actor::shell::{Ended, Factory, SHUT_DOWN, STOPPED_ITSELF, Shell};
use crate::actor::slot::{AnySlot, OVERFLOWED, Slot};
use crate::inspect::AgentInfo;
use crate::runtime::tasks::Tasks;

/// A child that was not started because there is nothing for it to do. Its supervisor goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ignored;

/// The start of a child: its actor, linked to the supervisor, or the decision that none is needed.
pub type StartFuture = BoxFuture<'static, Result<Result<ActorCell, Ignored>, ExitReason>>;

/// How one child is started and stopped, again and again.
pub trait Start: Send + Sync + 'static {
    /// Starts an incarnation. The actor must be linked to the supervisor before the future completes.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the child is stopped before it is up; an actor that it has spawned by
    /// then must end.
    fn start(&self, supervisor: ActorCell) -> StartFuture;

    /// Completes once what a dropped start had begun is gone. Nothing is started again before.
    fn gone(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }

    /// What an incarnation that has just come up tells whoever asked for it: it is in
    /// [`Done::Started`](greenroom_core::supervision::Done::Started). Called once after each start, and in
    /// the supervisor, so it must be quick.
    fn info(&self) -> Info {
        Info::default()
    }

    /// Asks an incarnation to stop in an orderly way.
    fn stop(&self, actor: &ActorCell) {
        actor.stop(Some(SHUT_DOWN.to_owned()));
    }

    /// Ends an incarnation that does not stop.
    fn kill(&self, actor: &ActorCell) {
        actor.kill();
    }

    /// What there is to see of the child besides what its supervisor knows. A start that wraps another one
    /// hands on what that gives.
    fn subject(&self) -> Subject {
        Subject::default()
    }

    /// An incarnation has ended, or did not come up. Whether another one follows is not decided yet.
    fn exited(&self, reason: &ExitReason) {
        let _ = reason;
    }

    /// The child will not be started again, unless by hand.
    fn closed(&self, reason: &ExitReason) {
        let _ = reason;
    }
}

/// What there is to see of a child; see [`Start::subject`]. The default is nothing.
#[derive(Clone, Default)]
pub struct Subject(pub(crate) Inside);

#[derive(Clone, Default)]
pub(crate) enum Inside {
    #[default]
    Nothing,
    Agent(Arc<dyn AnySlot>),
    Supervisor {
        handle: SupervisorRef,
        /// The children that it starts with.
        children: Vec<(AgentId, ChildKind, Arc<dyn Start>)>,
    },
}

impl Subject {
    pub(crate) fn agent(&self) -> Option<AgentInfo> {
        match &self.0 {
            Inside::Agent(slot) => Some(slot.info()),
            Inside::Nothing | Inside::Supervisor { .. } => None,
        }
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subject")
    }
}

/// Starts agents.
pub(crate) struct AgentStart<A: Actor> {
    pub(crate) slot: Arc<Slot<A::Message>>,
    pub(crate) tasks: Tasks,
    pub(crate) factory: Factory<A>,
    pub(crate) on_closed: Option<OnClosed>,
}

/// Told once a child has stopped for good, with the reason.
pub(crate) type OnClosed = Arc<dyn Fn(&ExitReason) + Send + Sync>;

impl<A: Actor> AgentStart<A> {
    /// The shell of the next incarnation.
    pub(crate) fn shell(&self) -> Shell<A> {
        Shell::new(Arc::clone(&self.slot), self.tasks.clone(), Arc::clone(&self.factory))
    }
}

impl<A: Actor> Start for AgentStart<A> {
    fn start(&self, supervisor: ActorCell) -> StartFuture {
        self.shell().start(supervisor)
    }

    fn subject(&self) -> Subject {
        Subject(Inside::Agent(Arc::clone(&self.slot) as Arc<dyn AnySlot>))
    }

    fn exited(&self, reason: &ExitReason) {
        self.slot.exited(reason);
    }

    fn closed(&self, reason: &ExitReason) {
        self.slot.close(reason);
        if let Some(on_closed) = &self.on_closed {
            on_closed(reason);
        }
    }
}

/// How long a supervisor whose start was cut off may take to be gone.
const CUT_OFF_MAX: Duration = Duration::from_secs(30);

/// Starts supervisors: a subtree is a child like any other.
pub(crate) struct SupervisorStart {
    pub(crate) handle: SupervisorRef,
    pub(crate) spec: SupervisorSpec,
    pub(crate) children: Children,
    pub(crate) tasks: Tasks,
    pub(crate) observer: Observer,
    /// Where it keeps what it has counted, when it is durable.
    pub(crate) archive: Option<Archive>,
    pub(crate) seed: u64,
    pub(crate) on_closed: Option<OnClosed>,
}

impl SupervisorStart {
    pub(crate) fn args(&self, ready: oneshot::Sender<Result<(), ExitReason>>) -> SupervisorArgs {
        SupervisorArgs {
            handle: self.handle.clone(),
            spec: self.spec.clone(),
            children: self.children.clone(),
            tasks: self.tasks.clone(),
            observer: Arc::clone(&self.observer),
            archive: self.archive.clone(),
            seed: self.seed,
            ready,
        }
    }
}

impl Start for SupervisorStart {
    fn start(&self, supervisor: ActorCell) -> StartFuture {
        let (ready, is_ready) = oneshot::channel();
        let args = self.args(ready);
        Box::pin(async move {
            let spawned =
                SupervisorShell::spawn_linked(None, SupervisorShell, args, supervisor).await;
            let (actor, _) = spawned.map_err(|error| start_reason(&error))?;
            let guard = KillOnDrop(Some(actor.clone()));
            match is_ready.await {
                Ok(Ok(())) => {
                    guard.disarm();
                    Ok(Ok(actor.get_cell()))
                }
                Ok(Err(reason)) => Err(reason),
                Err(_) => Err(ExitReason::failed("the supervisor ended during its start")),
            }
        })
    }

    fn stop(&self, actor: &ActorCell) {
        let actor: ActorRef<SupervisorMessage> = actor.clone().into();
        // A supervisor that takes no message is ending already.
        let _ = actor.cast(SupervisorMessage::Shutdown(ExitReason::Shutdown));
    }

    fn gone(&self) -> BoxFuture<'static, ()> {
        let current = self.handle.current();
        Box::pin(async move {
            if let Some(actor) = current {
                // A supervisor that is killed kills its children and waits for them, each for its
                // `kill_grace`; the bound is for one that does not even do that.
                let _ = actor.wait(Some(CUT_OFF_MAX)).await;
            }
        })
    }

    /// ractor would end the supervisor's children with it, but nobody would be told.
    fn kill(&self, actor: &ActorCell) {
        let actor: ActorRef<SupervisorMessage> = actor.clone().into();
        if actor.cast(SupervisorMessage::Shutdown(ExitReason::Killed)).is_err() {
            actor.kill();
        }
    }

    fn subject(&self) -> Subject {
        let children = self.children.iter();
        let children =
            children.map(|(spec, start)| (spec.id.clone(), spec.kind, Arc::clone(start)));
        Subject(Inside::Supervisor { handle: self.handle.clone(), children: children.collect() })
    }

    fn exited(&self, reason: &ExitReason) {
        self.handle.exited(reason);
    }

    fn closed(&self, reason: &ExitReason) {
        self.handle.publish(None);
        for (_, child) in &self.children {
            guarded(|| child.closed(reason));
        }
        self.handle.ended(reason);
        if let Some(on_closed) = &self.on_closed {
            on_closed(reason);
        }
    }
}

/// Ends a supervisor whose start is no longer wanted, with all its children.
struct KillOnDrop(Option<ActorRef<SupervisorMessage>>);

impl KillOnDrop {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if let Some(actor) = &self.0 {
            let _ = actor.cast(SupervisorMessage::Shutdown(ExitReason::Killed));
        }
    }
}

/// A ractor actor of the user's own as a supervised child.
///
/// It is restarted and stopped like any other child. It has ractor's mailbox, not ours: what waits in it
/// is lost when it ends.
///
/// # Examples
///
/// ```
/// use greenroom_runtime::RactorChild;
/// use greenroom_runtime::ractor::{self, Actor, ActorProcessingErr, ActorRef};
///
/// struct Printer;
///
/// impl Actor for Printer {
///     type Msg = String;
///     type State = ();
///     type Arguments = ();
///
///     async fn pre_start(&self, _: ActorRef<String>, (): ()) -> Result<(), ActorProcessingErr> {
///         Ok(())
///     }
/// }
///
/// let child = RactorChild::new(|supervisor| async move {
///     let (actor, _) = Printer::spawn_linked(None, Printer, (), supervisor).await?;
///     Ok(actor.get_cell())
/// });
/// # let _ = child;
/// ```
pub struct RactorChild<F> {
    spawn: F,
}

impl<F, Fut> RactorChild<F>
where
    F: Fn(ActorCell) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<ActorCell, SpawnErr>> + Send + 'static,
{
    /// A child that is started by this function, which must spawn an actor linked to the given one.
    pub fn new(spawn: F) -> Self {
        Self { spawn }
    }
}

impl<F> fmt::Debug for RactorChild<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RactorChild")
    }
}

impl<F, Fut> Start for RactorChild<F>
where
    F: Fn(ActorCell) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<ActorCell, SpawnErr>> + Send + 'static,
{
    fn start(&self, supervisor: ActorCell) -> StartFuture {
        let spawned = (self.spawn)(supervisor);
        Box::pin(async move { spawned.await.map(Ok).map_err(|error| start_reason(&error)) })
    }
}

pub(crate) fn start_reason(error: &SpawnErr) -> ExitReason {
    match error {
        SpawnErr::StartupFailed(cause) => failure_reason(cause),
        other => ExitReason::failed(&other.to_string()),
    }
}

fn failure_reason(error: &ActorProcessingErr) -> ExitReason {
    match error.downcast_ref::<Ended>() {
        Some(Ended(reason)) => reason.clone(),
        None => ExitReason::failed(&error.to_string()),
    }
}

/// Why an actor ended, from what ractor says of it.
pub(crate) fn exit_reason(event: &ractor::SupervisionEvent) -> Option<ExitReason> {
    use ractor::SupervisionEvent::{ActorFailed, ActorTerminated};
    match event {
        ActorFailed(_, error) => Some(failure_reason(error)),
        ActorTerminated(_, _, reason) => Some(match reason.as_deref() {
            None | Some(STOPPED_ITSELF | "Drained") => ExitReason::Normal,
            Some(SHUT_DOWN) => ExitReason::Shutdown,
            Some("killed" | "actor_task_cancelled") => ExitReason::Killed,
            Some(OVERFLOWED) => ExitReason::failed(OVERFLOWED),
            Some(_) => ExitReason::Normal,
        }),
        _ => None,
    }
}

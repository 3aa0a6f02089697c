//! The ractor side of a supervisor.

mod due;
mod show;

use std::collections::VecDeque;
use std::sync::Arc;

use greenroom_core::supervision::{
    Admin, AdminError, ChildKey, ChildState, Command, Done, Event, ExitReason, Fact, Generation,
    Machine, RequestId, Target, TimerId,
};
use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, MessagingErr};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::child::{Child, guarded, informed};
use super::memory::Memory;
use super::message::{SupervisorArgs, SupervisorMessage};
use super::start::{Ignored, exit_reason};
use super::{Observer, Start, SupervisorRef, Table};
use crate::actor::effect::unwound;
use crate::actor::shell::{Ended, SHUT_DOWN};
use crate::runtime::census::CountedActor;
use crate::runtime::tasks::Tasks;
use due::Due;

/// The actor; what it knows is in [`State`].
#[derive(Debug)]
pub(crate) struct SupervisorShell;

pub(crate) struct State {
    machine: Machine,
    handle: SupervisorRef,
    myself: ActorRef<SupervisorMessage>,
    tasks: Tasks,
    _counted: CountedActor,
    observer: Observer,
    origin: Instant,
    children: Table<ChildKey, Child>,
    actors: Table<ActorId, (ChildKey, Generation)>,
    /// Exits of actors whose start has not been reported yet.
    early_exits: Table<ActorId, ExitReason>,
    n_spawning: usize,
    timers: Table<TimerId, AbortOnDropHandle<()>>,
    replies: Table<RequestId, oneshot::Sender<Result<Done, AdminError>>>,
    /// What is not done yet, and whether it waits for the journal.
    due: VecDeque<Due>,
    is_storing: bool,
    memory: Option<Memory>,
    n_requests: u64,
    /// The first keys belong to the children that the supervisor starts with.
    n_initial: u64,
    /// Children are being stopped because the supervisor ends.
    is_ending: bool,
    ready: Option<oneshot::Sender<Result<(), ExitReason>>>,
}

impl Actor for SupervisorShell {
    type Msg = SupervisorMessage;
    type State = State;
    type Arguments = SupervisorArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<SupervisorMessage>,
        args: SupervisorArgs,
    ) -> Result<State, ActorProcessingErr> {
        let specs = args.children.iter().map(|(spec, _)| spec.clone()).collect();
        let mut machine = Machine::new(args.spec, specs, args.seed)?;
        let memory = match args.archive {
            Some(archive) => Some(Memory::recall(archive, args.handle.id(), &mut machine).await?),
            None => None,
        };
        let children = args.children.into_iter().map(|(spec, start)| Child::new(spec.id, start));
        let children: Table<_, _> = (0..).map(ChildKey).zip(children).collect();
        let n_initial = children.len() as u64;
        let counted = args.tasks.count_supervisor(args.handle.id());
        args.handle.publish(Some(myself.clone()));
        Ok(State {
            machine,
            handle: args.handle,
            myself,
            _counted: counted,
            tasks: args.tasks,
            observer: args.observer,
            origin: Instant::now(),
            children,
            actors: Table::default(),
            early_exits: Table::default(),
            n_spawning: 0,
            timers: Table::default(),
            replies: Table::default(),
            due: VecDeque::new(),
            is_storing: false,
            memory,
            n_requests: 0,
            n_initial,
            is_ending: false,
            ready: Some(args.ready),
        })
    }

    async fn post_start(
        &self,
        _myself: ActorRef<SupervisorMessage>,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        Ok(state.on(Event::Start)?)
    }

    async fn handle(
        &self,
        _myself: ActorRef<SupervisorMessage>,
        message: SupervisorMessage,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SupervisorMessage::Admin { admin, start, reply } => {
                state.n_requests += 1;
                let request = RequestId(state.n_requests);
                state.replies.insert(request, reply);
                let offered = match (&admin, start) {
                    (Admin::StartChild(spec), Some(start)) => Some((spec.id.clone(), start)),
                    _ => None,
                };
                state.on_offer(Event::Admin { request, admin }, offered)?;
            }
            SupervisorMessage::WhichChildren(reply) => {
                let _ = reply.send(state.machine.which_children());
            }
            SupervisorMessage::Look(reply) => drop(reply.send(state.look())),
            SupervisorMessage::Spawned { key, generation, result } => {
                state.spawned(key, generation, result)?;
            }
            SupervisorMessage::TimerFired(timer) => {
                state.timers.remove(&timer);
                state.on(Event::TimerFired(timer))?;
            }
            SupervisorMessage::Shutdown(reason) => state.on(Event::Shutdown { reason })?,
            SupervisorMessage::Kept(kept) => state.kept(kept)?,
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<SupervisorMessage>,
        event: ractor::SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        let seen = (exit_reason(&event), event.actor_id());
        // A killed actor's state is in the event. It is dropped before the next incarnation begins.
        drop(event);
        if let (Some(reason), Some(id)) = seen {
            state.exited(id, reason)?;
        }
        Ok(())
    }
}

impl State {
    /// The child that an event may be the end of, with the reason. A request to stop one that is not up
    /// is the only news of its end.
    fn ended_by(&self, event: &Event) -> Option<(ChildKey, ExitReason)> {
        match event {
            Event::Exited { key, reason, .. } => Some((*key, reason.clone())),
            Event::StartFailed { key, cause, .. } => Some((*key, cause.clone())),
            Event::Ignored { key, .. } => Some((*key, ExitReason::Normal)),
            Event::Admin { admin: Admin::TerminateChild(target), .. } => {
                let key = match target {
                    Target::Key(key) => *key,
                    Target::Id(id) => self.machine.child(id)?.key,
                };
                Some((key, ExitReason::Shutdown))
            }
            _ => None,
        }
    }

    fn perform(&mut self, command: Command) {
        match command {
            Command::Ready => {
                if let Some(ready) = self.ready.take() {
                    let _ = ready.send(Ok(()));
                }
            }
            Command::Spawn { key, generation } => self.spawn(key, generation),
            Command::AbortSpawn { key, .. } => {
                // The start reports all the same, as cut short; see `spawn`.
                if let Some(aborted) = self.children.get_mut(&key).and_then(|c| c.aborted.take()) {
                    drop(aborted);
                }
            }
            Command::Stop { key, generation } => {
                if let Some((start, actor)) = self.incarnation(key, generation) {
                    guarded(|| start.stop(&actor));
                }
            }
            Command::Kill { key, generation } => {
                if let Some((start, actor)) = self.incarnation(key, generation) {
                    guarded(|| start.kill(&actor));
                }
            }
            Command::Arm { timer, after } => {
                let myself = self.myself.clone();
                let task = self.tasks.spawn_timer("supervision-timer", async move {
                    tokio::time::sleep(after).await;
                    let _ = myself.cast(SupervisorMessage::TimerFired(timer));
                });
                self.timers.insert(timer, AbortOnDropHandle::new(task));
            }
            Command::Disarm(timer) => drop(self.timers.remove(&timer)),
            Command::Reply { request, reply } => {
                if let Some(answer) = self.replies.remove(&request) {
                    let _ = answer.send(reply.map(|done| informed(&self.children, done)));
                }
            }
            Command::Report(event) => {
                self.is_ending |= matches!(event.fact, Fact::Escalated | Fact::AutoShutdown);
                self.report(&event);
            }
            // These are done where they have their place among the others.
            Command::Keep { .. }
            | Command::Forget { .. }
            | Command::Count(_)
            | Command::Exit(_) => {}
        }
    }

    fn spawn(&mut self, key: ChildKey, generation: Generation) {
        let Some(child) = self.children.get_mut(&key) else { return };
        let aborted = CancellationToken::new();
        child.aborted = Some(aborted.clone().drop_guard());
        child.is_spawning = true;
        child.is_closed = false;
        self.n_spawning += 1;
        let start = Arc::clone(&child.start);
        let (myself, supervisor) = (self.myself.clone(), self.myself.get_cell());
        let panics = self.tasks.panics().clone();
        self.tasks.spawn("child-start", async move {
            let begun = Arc::clone(&start);
            let started = unwound(&panics, async move { begun.start(supervisor).await });
            let result = tokio::select! {
                biased;
                result = started => Some(result.unwrap_or_else(|text| Err(ExitReason::Panic(text)))),
                () = aborted.cancelled() => None,
            };
            let result = match result {
                Some(result) => result,
                None => {
                    start.gone().await;
                    Err(ExitReason::Killed)
                }
            };
            let spawned = SupervisorMessage::Spawned { key, generation, result };
            if let Err(MessagingErr::SendErr(unheard)) = myself.cast(spawned) {
                unheard.abandon();
            }
        });
    }

    fn spawned(
        &mut self,
        key: ChildKey,
        generation: Generation,
        result: Result<Result<ActorCell, Ignored>, ExitReason>,
    ) -> Result<(), Ended> {
        self.n_spawning = self.n_spawning.saturating_sub(1);
        if let Some(child) = self.children.get_mut(&key) {
            child.aborted = None;
            child.is_spawning = false;
        }
        match result {
            Ok(Ok(actor)) => {
                let id = actor.get_id();
                if let Some(child) = self.children.get_mut(&key) {
                    child.actor = Some((generation, actor));
                }
                self.actors.insert(id, (key, generation));
                self.on(Event::Started { key, generation })?;
                if let Some(reason) = self.early_exits.remove(&id) {
                    self.exited(id, reason)?;
                }
            }
            Ok(Err(Ignored)) => {
                self.on(Event::Ignored { key, generation })?;
            }
            Err(cause) => {
                if let Some(child) = self.children.get(&key) {
                    guarded(|| child.start.exited(&cause));
                }
                self.on(Event::StartFailed { key, generation, cause })?;
            }
        }
        if self.n_spawning == 0 {
            self.early_exits.clear();
        }
        Ok(())
    }

    fn exited(&mut self, id: ActorId, reason: ExitReason) -> Result<(), Ended> {
        let Some((key, generation)) = self.actors.remove(&id) else {
            if self.n_spawning > 0 {
                self.early_exits.insert(id, reason);
            }
            return Ok(());
        };
        if let Some(child) = self.children.get_mut(&key) {
            child.actor = None;
            guarded(|| child.start.exited(&reason));
        }
        self.on(Event::Exited { key, generation, reason })
    }

    fn forget(&mut self, key: ChildKey) {
        if let Some(child) = self.children.get_mut(&key) {
            child.is_forgotten = true;
        }
    }

    /// Tells a child that it will not be started again, once it is gone and that is so.
    fn close_if_over(&mut self, key: ChildKey, reason: &ExitReason) {
        let Some(child) = self.children.get_mut(&key) else { return };
        if child.actor.is_some() || child.is_spawning {
            return;
        }
        if child.is_forgotten {
            child.close(reason);
            self.children.remove(&key);
        } else if self.is_ending && key.0 < self.n_initial {
            // It is stopped with its supervisor, and back with it; see `exit`.
        } else if self
            .machine
            .child(&child.id)
            .is_some_and(|info| info.state == ChildState::Stopped)
        {
            child.close(reason);
        }
    }

    fn incarnation(
        &self,
        key: ChildKey,
        generation: Generation,
    ) -> Option<(Arc<dyn Start>, ActorCell)> {
        let child = self.children.get(&key)?;
        let (current, actor) = child.actor.as_ref()?;
        (*current == generation).then(|| (Arc::clone(&child.start), actor.clone()))
    }

    fn exit(&mut self, reason: ExitReason) -> Result<(), Ended> {
        self.handle.publish(None);
        if let Some(ready) = self.ready.take() {
            let _ = ready.send(Err(reason.clone()));
        }
        self.timers.clear();
        for (key, mut child) in self.children.drain() {
            if let Some((_, actor)) = &child.actor {
                guarded(|| child.start.kill(actor));
            }
            // The children that this supervisor starts with belong to whoever starts it: they are back
            // when it is, and are closed when it is given up.
            if key.0 >= self.n_initial {
                child.close(&reason);
            }
        }
        if reason.is_abnormal() {
            return Err(Ended(reason));
        }
        self.myself.stop(Some(SHUT_DOWN.to_owned()));
        Ok(())
    }
}

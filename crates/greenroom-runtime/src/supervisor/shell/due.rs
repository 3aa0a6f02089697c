//! What the machine has said and is not done yet. It is done at once and in its order, but for what a durable
//! supervisor has to store first: then everything behind that waits, and the supervisor answers meanwhile.

use std::sync::Arc;
use std::vec;

use futures_util::FutureExt as _;
use greenroom_core::BoxFuture;
use greenroom_core::ids::AgentId;
use greenroom_core::supervision::{ChildKey, Command, Event, ExitReason};

use super::{Child, Memory, Start, State, SupervisorMessage};
use crate::actor::shell::Ended;
use crate::supervisor::memory::Kept;

/// What follows from one event.
pub(super) struct Due {
    commands: vec::IntoIter<Command>,
    /// Children that the event may be the end of.
    settled: Vec<(ChildKey, ExitReason)>,
    /// The child that the event wants to add.
    offered: Option<(AgentId, Arc<dyn Start>)>,
    exit: Option<ExitReason>,
}

impl State {
    /// Tells the machine and does what it says. An error ends the supervisor.
    pub(super) fn on(&mut self, event: Event) -> Result<(), Ended> {
        self.on_offer(event, None)
    }

    /// As [`State::on`], of an event that brings a child.
    pub(super) fn on_offer(
        &mut self,
        event: Event,
        offered: Option<(AgentId, Arc<dyn Start>)>,
    ) -> Result<(), Ended> {
        if let Event::Shutdown { reason } = &event {
            self.is_ending = true;
            if *reason == ExitReason::Killed {
                // Whoever is killed waits for nothing, and leaves the same behind as its process would.
                (self.memory, self.is_storing) = (None, false);
            }
        }
        let settled = self.ended_by(&event).into_iter().collect();
        let commands = self.machine.on(self.origin.elapsed(), event).into_iter();
        self.due.push_back(Due { commands, settled, offered, exit: None });
        self.work()
    }

    /// What had to be stored is, or will not be.
    pub(super) fn kept(&mut self, kept: Kept) -> Result<(), Ended> {
        if let Some(memory) = self.memory.as_mut().filter(|_| self.is_storing) {
            memory.kept(kept);
            self.is_storing = false;
        }
        self.work()
    }

    fn work(&mut self) -> Result<(), Ended> {
        while let Some(mut due) = self.due.pop_front() {
            while !self.is_storing
                && let Some(command) = due.commands.next()
            {
                self.follow(command, &mut due);
            }
            if self.is_storing {
                self.due.push_front(due);
                return Ok(());
            }
            for (key, reason) in due.settled {
                self.close_if_over(key, &reason);
            }
            due.exit.map_or(Ok(()), |reason| self.exit(reason))?;
        }
        Ok(())
    }

    fn follow(&mut self, command: Command, due: &mut Due) {
        match command {
            Command::Count(counted) => {
                self.store(|memory| memory.count(counted));
            }
            Command::Exit(reason) => {
                due.exit = Some(reason);
                self.store(Memory::end);
            }
            Command::Keep { key, .. } => {
                if let Some((id, start)) = due.offered.take() {
                    self.children.insert(key, Child::new(id, start));
                }
            }
            Command::Forget { key } => {
                self.forget(key);
                due.settled.push((key, ExitReason::Shutdown));
            }
            command => self.perform(command),
        }
    }

    /// Waits for the journal, unless it answers at once.
    fn store(&mut self, what: impl FnOnce(&mut Memory) -> BoxFuture<'static, Kept>) {
        let Some(memory) = &mut self.memory else { return };
        let mut stored = what(memory);
        if let Some(kept) = stored.as_mut().now_or_never() {
            return memory.kept(kept);
        }
        self.is_storing = true;
        let myself = self.myself.clone();
        self.tasks.spawn("count-restart", async move {
            let kept = stored.await;
            // A supervisor that is gone has no use for it.
            let _ = myself.cast(SupervisorMessage::Kept(kept));
        });
    }
}

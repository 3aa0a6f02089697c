//! What a supervisor's shell knows of one child.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use greenroom_core::ids::AgentId;
use greenroom_core::supervision::{ChildKey, Done, ExitReason, Generation};
use ractor::ActorCell;
use tokio_util::sync::DropGuard;

use super::{Start, Table};

/// What a supervisor knows of a child that the machine does not.
pub(super) struct Child {
    pub(super) id: AgentId,
    pub(super) start: Arc<dyn Start>,
    pub(super) actor: Option<(Generation, ActorCell)>,
    /// Cuts the start short when it is cancelled, or dropped with the supervisor.
    pub(super) aborted: Option<DropGuard>,
    pub(super) is_spawning: bool,
    /// The machine has dropped the spec; a live incarnation may remain.
    pub(super) is_forgotten: bool,
    /// It was told that it will not be started again.
    pub(super) is_closed: bool,
}

impl Child {
    pub(super) fn new(id: AgentId, start: Arc<dyn Start>) -> Self {
        Self {
            id,
            start,
            actor: None,
            aborted: None,
            is_spawning: false,
            is_forgotten: false,
            is_closed: false,
        }
    }

    pub(super) fn close(&mut self, reason: &ExitReason) {
        if !std::mem::replace(&mut self.is_closed, true) {
            guarded(|| self.start.closed(reason));
        }
    }
}

/// Adds to an answer what the child's start had to tell.
pub(super) fn informed(children: &Table<ChildKey, Child>, done: Done) -> Done {
    let Done::Started { key, generation, mut info } = done else { return done };
    if let Some(child) = children.get(&key) {
        guarded(|| info = child.start.info());
    }
    Done::Started { key, generation, info }
}

/// Runs what a user wrote for the start and stop of a child. A panic in it must not take down the
/// supervisor, which would take the child's siblings down.
pub(super) fn guarded(hook: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(hook)) {
        tracing::error!(panic = %crate::panics::panic_text(&*payload), "a child's hook panicked");
    }
}

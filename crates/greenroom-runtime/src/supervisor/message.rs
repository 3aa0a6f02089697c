//! What a supervisor's actor is sent, and what it is started with.

use std::sync::Arc;

use greenroom_core::supervision::{
    Admin, AdminError, ChildInfo, ChildKey, Done, ExitReason, Generation, Overview, SupervisorSpec,
    TimerId,
};
use ractor::ActorCell;
use tokio::sync::oneshot;

use super::memory::{Archive, Kept};
use super::start::{Ignored, Subject};
use super::{Children, Observer, Start, SupervisorRef};
use crate::runtime::tasks::Tasks;

/// What a supervisor is sent.
pub(crate) enum SupervisorMessage {
    Admin {
        admin: Admin,
        start: Option<Arc<dyn Start>>,
        reply: oneshot::Sender<Result<Done, AdminError>>,
    },
    WhichChildren(oneshot::Sender<Vec<ChildInfo>>),
    Look(oneshot::Sender<Look>),
    Spawned {
        key: ChildKey,
        generation: Generation,
        result: Result<Result<ActorCell, Ignored>, ExitReason>,
    },
    TimerFired(TimerId),
    Shutdown(ExitReason),
    /// What was to be stored is, or will not be.
    Kept(Kept),
}

impl SupervisorMessage {
    /// Ends what a message carries that no supervisor is left to hear.
    pub(super) fn abandon(self) {
        if let Self::Spawned { result: Ok(Ok(actor)), .. } = self {
            actor.kill();
        }
    }
}

/// What a supervisor shows.
pub(crate) struct Look {
    pub(crate) overview: Overview,
    /// What there is to see of each of the children.
    pub(crate) subjects: Vec<Subject>,
}

/// What a supervisor is started with.
pub(crate) struct SupervisorArgs {
    pub(super) handle: SupervisorRef,
    pub(super) spec: SupervisorSpec,
    pub(super) children: Children,
    pub(super) tasks: Tasks,
    pub(super) observer: Observer,
    pub(super) archive: Option<Archive>,
    pub(super) seed: u64,
    pub(super) ready: oneshot::Sender<Result<(), ExitReason>>,
}

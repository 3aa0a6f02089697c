//! Room in the user lane of a mailbox: who waits for it, and for how long.

use std::sync::Arc;
use std::time::Duration;

use greenroom_core::mailbox::{Lane, MailboxSpec, Overflow};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use crate::actor::address::SendErrorKind;
use crate::actor::envelope::{Envelope, Refused};
use crate::actor::slot::Slot;

/// Room for one message in the user lane; given back when it is not used.
pub(crate) struct Room<'a, M> {
    slot: &'a Slot<M>,
    permit: Option<OwnedSemaphorePermit>,
}

impl<M: Send + 'static> Room<'_, M> {
    pub(crate) fn send(self, envelope: Envelope<M>) -> Result<(), Refused<Envelope<M>>> {
        self.slot.send(Lane::User, Envelope { permit: self.permit, ..envelope })
    }
}

impl<M: Send + 'static> Slot<M> {
    /// How long the mailbox lets its senders wait for room.
    pub(crate) fn wait_max(&self) -> Duration {
        self.spec.wait_max
    }

    /// Room in the user lane, waiting for it when that is the policy.
    ///
    /// # Errors
    ///
    /// When there is none in time, or the agent has stopped for good.
    pub(crate) async fn room(&self, wait: Duration) -> Result<Room<'_, M>, SendErrorKind> {
        match self.room_now() {
            Err(SendErrorKind::Full) => {}
            decided => return decided,
        }
        let permits = Arc::clone(&self.lock().permits);
        match tokio::time::timeout(wait, permits.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Room { slot: self, permit: Some(permit) }),
            Ok(Err(_)) => Err(SendErrorKind::Stopped),
            Err(_) => Err(SendErrorKind::Full),
        }
    }

    /// Takes room in the user lane if there is some. None is left while somebody waits for it, so nobody
    /// is overtaken.
    pub(crate) fn room_now(&self) -> Result<Room<'_, M>, SendErrorKind> {
        if self.spec.overflow != Overflow::Wait {
            return Ok(Room { slot: self, permit: None });
        }
        let permits = Arc::clone(&self.lock().permits);
        match permits.try_acquire_owned() {
            Ok(permit) => Ok(Room { slot: self, permit: Some(permit) }),
            Err(TryAcquireError::Closed) => Err(SendErrorKind::Stopped),
            Err(TryAcquireError::NoPermits) => Err(SendErrorKind::Full),
        }
    }
}

pub(super) fn permits_of(spec: &MailboxSpec) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(spec.capacity.clamp(1, Semaphore::MAX_PERMITS)))
}

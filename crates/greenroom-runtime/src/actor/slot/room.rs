//! Room in the user lane, for senders that wait for it.

use std::sync::Arc;

use greenroom_core::mailbox::{Lane, MailboxSpec, Overflow};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::Slot;
use crate::actor::envelope::{Envelope, Refused};

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
    /// Waits for room in the user lane.
    ///
    /// # Errors
    ///
    /// When the agent has stopped for good.
    pub(crate) async fn wait_for_room(&self) -> Result<Room<'_, M>, ()> {
        if self.spec.overflow != Overflow::Wait {
            return Ok(Room { slot: self, permit: None });
        }
        let permits = Arc::clone(&self.lock().permits);
        let permit = permits.acquire_owned().await.map_err(|_| ())?;
        Ok(Room { slot: self, permit: Some(permit) })
    }

    /// Takes room in the user lane if there is some.
    pub(crate) fn room_now(&self) -> Result<Room<'_, M>, TryAcquireError> {
        if self.spec.overflow != Overflow::Wait {
            return Ok(Room { slot: self, permit: None });
        }
        let permits = Arc::clone(&self.lock().permits);
        let permit = permits.try_acquire_owned()?;
        Ok(Room { slot: self, permit: Some(permit) })
    }
}

pub(super) fn permits_of(spec: &MailboxSpec) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(spec.capacity.clamp(1, Semaphore::MAX_PERMITS)))
}

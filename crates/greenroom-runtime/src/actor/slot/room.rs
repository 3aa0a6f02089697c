//! Room in the user lane of a mailbox: who waits for it, and for how long.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use greenroom_core::mailbox::{Lane, MailboxSpec, Overflow};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use crate::actor::address::SendErrorKind;
use crate::actor::envelope::{Envelope, Refused};
use crate::actor::slot::{Inner, Slot};

/// Room for one message in the user lane; given back when it is not used.
pub(crate) struct Room<'a, M> {
    slot: &'a Slot<M>,
    permit: Option<OwnedSemaphorePermit>,
}

impl<M: Send + 'static> Room<'_, M> {
    pub(crate) fn send(self, mut envelope: Envelope<M>) -> Result<(), Refused<Envelope<M>>> {
        let inner = self.slot.lock();
        if let Some(permit) = self.permit {
            // Room that was given before the agent was stopped is no room in the one started since.
            if !Arc::ptr_eq(permit.semaphore(), &inner.permits) {
                return Err(Refused::Stopped(envelope));
            }
            permit.forget();
            envelope.has_room = true;
        }
        self.slot.admit(inner, Lane::User, envelope)
    }
}

impl<M: Send + 'static> Slot<M> {
    /// How long the mailbox lets its senders wait for room.
    pub(crate) fn wait_max(&self) -> Duration {
        self.spec.wait_max
    }

    /// Whether a sender that finds no room waits for it.
    pub(crate) fn lets_wait(&self) -> bool {
        self.spec.overflow == Overflow::Wait
    }

    /// Room in the user lane, waiting for it when that is the policy.
    ///
    /// # Errors
    ///
    /// When there is none in time, or the agent has stopped for good.
    pub(crate) async fn room(&self, wait: Duration) -> Result<Room<'_, M>, SendErrorKind> {
        if !self.lets_wait() {
            return Ok(Room { slot: self, permit: None });
        }
        let permits = Arc::clone(&self.lock().permits);
        match tokio::time::timeout(wait, permits.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Room { slot: self, permit: Some(permit) }),
            Ok(Err(_)) => Err(SendErrorKind::Stopped),
            Err(_) => Err(SendErrorKind::Full),
        }
    }

    /// Puts a message into the user lane if there is room for it. None is left while somebody waits for
    /// it, so nobody is overtaken.
    pub(crate) fn put(&self, mut envelope: Envelope<M>) -> Result<(), Refused<Envelope<M>>> {
        let inner = self.lock();
        if self.lets_wait() {
            match inner.permits.try_acquire() {
                Ok(permit) => permit.forget(),
                Err(TryAcquireError::Closed) => return Err(Refused::Stopped(envelope)),
                Err(TryAcquireError::NoPermits) => return Err(Refused::Full(envelope)),
            }
            envelope.has_room = true;
        }
        self.admit(inner, Lane::User, envelope)
    }
}

impl<M> Inner<M> {
    /// The message has left the queue. Gives the room back, or says where: whoever waits for it is better
    /// woken outside the lock.
    pub(super) fn vacate(&mut self, envelope: &mut Envelope<M>) -> Option<Arc<Semaphore>> {
        if !mem::take(&mut envelope.has_room) {
            return None;
        }
        if self.permits.available_permits() == 0 {
            return Some(Arc::clone(&self.permits));
        }
        // Nobody waits while there is room.
        self.permits.add_permits(1);
        None
    }
}

pub(super) fn permits_of(spec: &MailboxSpec) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(spec.capacity.clamp(1, Semaphore::MAX_PERMITS)))
}

#[cfg(test)]
mod tests {
    use greenroom_core::supervision::ExitReason;

    use super::*;
    use crate::actor::slot::House;

    fn slot() -> Arc<Slot<u32>> {
        let house = House::alone(Arc::default());
        let spec = MailboxSpec { capacity: 1, ..MailboxSpec::default() };
        Slot::new("slot".into(), "role".into(), spec, house)
    }

    #[tokio::test(start_paused = true)]
    async fn room_that_was_given_before_the_agent_was_stopped_is_none_in_the_one_started_since() {
        let slot = slot();
        slot.begin();
        let stale = slot.room(Duration::from_secs(1)).await.expect("it is empty");
        slot.close(&ExitReason::Shutdown);
        slot.begin();
        let refused = stale.send(Envelope::bare(1)).expect_err("it was for another");
        assert_eq!(refused.kind(), SendErrorKind::Stopped);
        assert!(slot.put(Envelope::bare(2)).is_ok(), "its room is there");
        let refused = slot.put(Envelope::bare(3)).expect_err("its only room is taken");
        assert_eq!(refused.kind(), SendErrorKind::Full);
    }

    #[tokio::test(start_paused = true)]
    async fn room_is_given_back_once_whether_or_not_somebody_waits_for_it() {
        let slot = slot();
        slot.begin();
        for n in 0..3 {
            assert!(slot.put(Envelope::bare(n)).is_ok(), "message {n}");
            let waiting = slot.room(Duration::from_secs(1));
            let (waited, lease) = tokio::join!(biased; waiting, async { slot.next(None, true) });
            let lease = lease.expect("it waits");
            assert_eq!(
                slot.put(Envelope::bare(9)).expect_err("promised").kind(),
                SendErrorKind::Full
            );
            drop(waited.expect("there is room"));
            assert!(slot.next(Some(lease), true).is_none());
        }
        assert!(slot.put(Envelope::bare(4)).is_ok());
        assert!(slot.put(Envelope::bare(5)).is_err(), "there was room for one only");
    }
}

//! Faults on purpose, done to starts, messages and replies. It decides none of them: a
//! [`Faults`](greenroom_core::fault::Faults) does.

use std::future::pending;
use std::time::Duration;

use greenroom_core::BoxFuture;
use greenroom_core::fault::{Fault, INJECTED, Point};
use greenroom_core::mailbox::Lease;
use greenroom_core::supervision::ExitReason;

use crate::actor::envelope::Envelope;
use crate::actor::slot::Slot;

/// Lets a start panic, fail, wait or hang, if it is to.
pub(crate) async fn at_start<M: Send + 'static>(
    slot: &Slot<M>,
    generation: u64,
) -> Result<(), ExitReason> {
    match slot.strike(&Point::Start { agent: slot.id(), generation }) {
        None => Ok(()),
        Some(fault) => Box::pin(suffer(fault)).await,
    }
}

/// Lets the answer of an agent be late or lost, if it is to. An error is an answer that will not come.
pub(crate) async fn at_reply<M: Send + 'static>(slot: &Slot<M>) -> Result<(), ExitReason> {
    match slot.strike(&Point::Reply { agent: slot.id() }) {
        None => Ok(()),
        Some(fault) => Box::pin(suffer(fault)).await,
    }
}

async fn suffer(fault: Fault) -> Result<(), ExitReason> {
    match exit(fault) {
        Ok(reason) => Err(reason),
        Err(pause) => {
            wait(pause).await;
            Ok(())
        }
    }
}

/// What is to become of a message.
pub(crate) enum Strike {
    /// The incarnation ends on it.
    Exit(ExitReason),
    /// It waits for so long, or for ever.
    Pause(Option<Duration>),
}

/// What is to become of a message that is about to be handled, when that is something else.
pub(crate) fn at_message<M: Send + 'static>(slot: &Slot<M>, delivery: u32) -> Option<Strike> {
    let fault = slot.strike(&Point::Message { agent: slot.id(), delivery })?;
    Some(exit(fault).map_or_else(Strike::Pause, Strike::Exit))
}

/// The ending that a fault stands for, or else how long it pauses: for ever, when there is no time.
fn exit(fault: Fault) -> Result<ExitReason, Option<Duration>> {
    match fault {
        Fault::Panic => Ok(ExitReason::panic(INJECTED)),
        Fault::Delay(span) => Err(Some(span)),
        Fault::Hang => Err(None),
        // A kind that this runtime does not know yet is a failure too.
        _ => Ok(ExitReason::failed(INJECTED)),
    }
}

async fn wait(pause: Option<Duration>) {
    match pause {
        Some(span) => tokio::time::sleep(span).await,
        None => pending().await,
    }
}

/// A message whose handler is slow or hangs. If its incarnation is killed meanwhile, the message is back in
/// the mailbox as one that the incarnation crashed on.
pub(crate) struct Held<'a, M: Send + 'static> {
    slot: &'a Slot<M>,
    lease: Option<Lease<Envelope<M>>>,
    pause: Option<Duration>,
}

impl<'a, M: Send + 'static> Held<'a, M> {
    pub(crate) fn new(
        slot: &'a Slot<M>,
        lease: Lease<Envelope<M>>,
        pause: Option<Duration>,
    ) -> Box<Self> {
        Box::new(Self { slot, lease: Some(lease), pause })
    }

    /// Waits, and gives the message back to be handled. It is boxed, so that an incarnation that no plan
    /// touches is no larger for it.
    pub(crate) fn waited(mut self: Box<Self>) -> BoxFuture<'a, Option<Lease<Envelope<M>>>> {
        Box::pin(async move {
            wait(self.pause).await;
            self.lease.take()
        })
    }
}

impl<M: Send + 'static> Drop for Held<'_, M> {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.slot.crashed(lease, &ExitReason::Killed);
        }
    }
}

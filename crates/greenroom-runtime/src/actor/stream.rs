//! Streams: an actor follows one item by item, and the stream waits for the actor.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use futures_util::StreamExt;
use tokio::sync::Semaphore;

use crate::actor::effect::{EffectError, bounded};
use crate::actor::question::Tie;
use crate::actor::{Actor, Context};

impl<A: Actor> Context<'_, A> {
    /// Follows a stream that the hook does not wait for: every item comes back as a message of its own, in the
    /// lane that a full mailbox does not block.
    ///
    /// The stream is asked for an item once the message with the last one was taken from the mailbox. So a
    /// stream that is faster than the actor waits for it, and no more than one item waits for the actor. From
    /// then the stream has `item_deadline` to give the item.
    ///
    /// | the stream | the message | then |
    /// |---|---|---|
    /// | gives an item | `Ok(Some(item))` | it is asked for the next one |
    /// | ends | `Ok(None)` | it is over |
    /// | gives nothing in time | `Err(TimedOut)` | it is over, and the stream is dropped |
    /// | panics | `Err(Panicked)` | it is over, and the stream is dropped |
    /// | serves an asker who goes away | `Err(Cancelled)` | it is over, and the stream is dropped |
    /// | serves an asker whose deadline passes | `Err(TimedOut)` | it is over, and the stream is dropped |
    /// | serves an incarnation that ends | none | it is over, and the stream is dropped |
    ///
    /// It counts as one effect until its last message is handled.
    pub fn follow<S>(
        &self,
        name: &'static str,
        item_deadline: Duration,
        stream: S,
        mut into_message: impl FnMut(Result<Option<S::Item>, EffectError>) -> A::Message
        + Send
        + 'static,
    ) where
        S: Stream + Send + 'static,
        S::Item: Send + 'static,
    {
        let Some(place) = self.effects.places(1) else { return };
        let (home, origin) = (self.effects.home(), self.origin());
        self.effects.tasks.spawn(name, async move {
            let mut stream = pin!(stream);
            let room = Arc::new(Semaphore::new(1));
            loop {
                let tie = Tie::Origin(origin.clone());
                let deadline = tie.within(item_deadline);
                let next = async {
                    // Nobody closes it.
                    let taken = Arc::clone(&room).acquire_owned().await.ok();
                    (taken, bounded(&home.panics, deadline, stream.next()).await)
                };
                let (taken, outcome) = tokio::select! {
                    biased;
                    () = home.token.cancelled() => return,
                    () = tie.cut() => (None, Err(tie.cause(deadline))),
                    next = next => next,
                };
                let inherited = tie.inherited(outcome.is_ok());
                if !matches!(outcome, Ok(Some(_))) {
                    return home.deliver(place, inherited, || into_message(outcome));
                }
                home.deliver(place.item(taken), inherited, || into_message(outcome));
            }
        });
    }
}

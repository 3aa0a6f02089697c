//! Storing what handlers recorded: the shell performs what the writer in core decides.

use greenroom_core::mailbox::{Lease, Ticket};
use ractor::ActorRef;

use super::{Ended, Life, Shell, caught};
use crate::actor::envelope::{Envelope, Signal};
use crate::actor::{Actor, Context};
use crate::persist::Ledger;
use crate::persist::ledger::{Answer, Deed};

impl<A: Actor> Shell<A> {
    /// A handler has returned. Gives its message back when it is done, which it is unless something is to
    /// be stored first.
    pub(super) fn handled(
        &self,
        myself: &ActorRef<Signal>,
        life: &mut Life<A>,
        lease: Lease<Envelope<A::Message>>,
        deeds: Vec<Deed<A>>,
    ) -> Result<Option<Lease<Envelope<A::Message>>>, Ended> {
        let Some(keeper) = life.keeper.as_mut().filter(|_| !deeds.is_empty()) else {
            return Ok(Some(lease));
        };
        let delivery = lease.delivery;
        let question = lease.message.question.clone();
        let ticket = self.slot.hold(lease);
        keeper.record(ticket, deeds, question.as_ref(), delivery)?;
        self.store(myself, life)?;
        Ok(None)
    }

    /// What was recorded before the first message belongs to none.
    pub(super) fn begun(
        &self,
        myself: &ActorRef<Signal>,
        life: &mut Life<A>,
        deeds: Vec<Deed<A>>,
    ) -> Result<(), Ended> {
        if let Some(keeper) = &mut life.keeper {
            keeper.record(Ticket(0), deeds, None, 0)?;
        }
        self.store(myself, life)
    }

    /// Appends what waits, as far as possible without waiting.
    fn store(&self, myself: &ActorRef<Signal>, life: &mut Life<A>) -> Result<(), Ended> {
        loop {
            let Some(keeper) = &mut life.keeper else { return Ok(()) };
            let Some(append) = keeper.append(&life.actor)? else { return Ok(()) };
            self.slot.intend(keeper.under_way(), append.seq);
            match append.now() {
                Ok(answer) => self.stored(life, answer)?,
                Err(answer) => {
                    let (myself, token) = (myself.clone(), self.token.clone());
                    self.tasks.spawn("journal", async move {
                        tokio::select! {
                            biased;
                            () = token.cancelled() => {}
                            // An incarnation that takes no signal is ending, and its messages are
                            // delivered again.
                            answer = answer => drop(myself.cast(Signal::Stored(answer))),
                        }
                    });
                    return Ok(());
                }
            }
        }
    }

    /// The journal has answered: what is stored is applied and acted upon, and the next append begins.
    pub(super) fn go_on(
        &self,
        myself: &ActorRef<Signal>,
        life: &mut Life<A>,
        answer: Answer,
    ) -> Result<(), Ended> {
        self.stored(life, answer)?;
        self.store(myself, life)
    }

    fn stored(&self, life: &mut Life<A>, answer: Answer) -> Result<(), Ended> {
        let Some(keeper) = &mut life.keeper else { return Ok(()) };
        let mut entries = keeper.answered(answer)?.into_iter().peekable();
        while let Some((ticket, entry)) = entries.next() {
            let mut context = Context {
                effects: &life.effects,
                question: entry.question.clone(),
                delivery: entry.delivery,
                is_stopping: false,
                wants_rest: false,
                ledger: Ledger::new(true, false),
            };
            let actor = &mut life.actor;
            let deeds = caught(&self.tasks, || {
                (entry.deed.then)(actor, &mut context);
                context.effects.check()?;
                context.ledger.close()
            });
            life.is_stopping |= context.is_stopping;
            life.wants_rest |= context.wants_rest;
            keeper.record(
                ticket,
                deeds.map_err(Ended)?,
                entry.question.as_ref(),
                entry.delivery,
            )?;
            // What one message recorded is in one piece.
            if entries.peek().is_none_or(|(of, _)| *of != ticket) && !keeper.is_open(ticket) {
                self.slot.done_held(ticket);
            }
        }
        Ok(())
    }
}

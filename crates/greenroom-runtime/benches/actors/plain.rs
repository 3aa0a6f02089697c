//! Plain ractor, with what a user has to write: a semaphore for the bound, a supervisor that starts a
//! replacement and publishes its address.

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent, call_t};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

use crate::green::spawn;
use crate::{DEADLINE, SENDERS};

struct Counter;

enum Message {
    Add(u64, OwnedSemaphorePermit),
    One,
    Total(RpcReplyPort<u64>),
    Crash,
}

impl Actor for Counter {
    type Msg = Message;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Message>, (): ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        message: Message,
        n: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Add(more, _permit) => *n += more,
            Message::One => *n += 1,
            Message::Total(reply) => drop(reply.send(*n)),
            Message::Crash => panic!("on purpose"),
        }
        Ok(())
    }
}

/// Starts a counter, and another one whenever it fails.
struct Parent;

impl Actor for Parent {
    type Msg = ();
    type State = mpsc::Sender<ActorRef<Message>>;
    type Arguments = mpsc::Sender<ActorRef<Message>>;

    async fn pre_start(
        &self,
        myself: ActorRef<()>,
        address: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let (counter, _) = Actor::spawn_linked(None, Counter, (), myself.get_cell()).await?;
        address.send(counter).await?;
        Ok(address)
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<()>,
        event: SupervisionEvent,
        address: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if matches!(event, SupervisionEvent::ActorFailed(..)) {
            let (counter, _) = Actor::spawn_linked(None, Counter, (), myself.get_cell()).await?;
            address.send(counter).await?;
        }
        Ok(())
    }
}

async fn total(counter: &ActorRef<Message>) -> u64 {
    call_t!(counter, Message::Total, DEADLINE.as_millis() as u64).expect("it answers")
}

async fn counter() -> ActorRef<Message> {
    Actor::spawn(None, Counter, ()).await.expect("it starts").0
}

pub(crate) async fn storm(n_messages: u64, capacity: usize) -> Duration {
    let counter = counter().await;
    let permits = Arc::new(Semaphore::new(capacity));
    let begun_at = Instant::now();
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let (counter, permits) = (counter.clone(), Arc::clone(&permits));
            spawn(async move {
                for _ in 0..n_messages / SENDERS {
                    let permit = Arc::clone(&permits).acquire_owned().await.expect("it is open");
                    counter.cast(Message::Add(1, permit)).expect("it takes messages");
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.expect("senders do not panic");
    }
    assert_eq!(total(&counter).await, n_messages);
    let took = begun_at.elapsed();
    counter.stop_and_wait(None, None).await.expect("it stops");
    took
}

pub(crate) async fn asks(n: u32) -> Vec<Duration> {
    let counter = counter().await;
    let mut taken = Vec::new();
    for _ in 0..n {
        let begun_at = Instant::now();
        assert_eq!(total(&counter).await, 0);
        taken.push(begun_at.elapsed());
    }
    counter.stop_and_wait(None, None).await.expect("it stops");
    taken
}

pub(crate) async fn crashes(n: u32) -> Vec<Duration> {
    let (address, mut addresses) = mpsc::channel(1);
    let (parent, _) = Actor::spawn(None, Parent, address).await.expect("it starts");
    let mut counter = addresses.recv().await.expect("there is one");
    let mut taken = Vec::new();
    for _ in 0..n {
        counter.cast(Message::One).expect("it takes messages");
        assert_eq!(total(&counter).await, 1, "the one before began afresh");
        let begun_at = Instant::now();
        counter.cast(Message::Crash).expect("it takes messages");
        counter = addresses.recv().await.expect("there is another one");
        assert_eq!(total(&counter).await, 0);
        taken.push(begun_at.elapsed());
    }
    parent.stop_and_wait(None, None).await.expect("it stops");
    taken
}

/// An actor that ignores the ends of its children.
struct Patient;

impl Actor for Patient {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<()>,
        _: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

pub(crate) async fn children(n: u32) -> Duration {
    let (parent, _) = Actor::spawn(None, Patient, ()).await.expect("it starts");
    let begun_at = Instant::now();
    for _ in 0..n {
        let child = Actor::spawn_linked(None, Counter, (), parent.get_cell()).await;
        child.expect("it starts");
    }
    parent.stop_children_and_wait(None, None).await;
    let took = begun_at.elapsed();
    parent.stop_and_wait(None, None).await.expect("it stops");
    took
}

pub(crate) async fn idle(n: u32, memory: fn() -> u64) -> (Duration, u64) {
    let (parent, _) = Actor::spawn(None, Patient, ()).await.expect("it starts");
    let begun_at = Instant::now();
    let mut actors = Vec::with_capacity(n as usize);
    for _ in 0..n {
        let actor = Actor::spawn_linked(None, Counter, (), parent.get_cell()).await;
        // What bounds a mailbox is part of it.
        actors.push((actor.expect("it starts").0, Arc::new(Semaphore::new(64))));
    }
    let took = begun_at.elapsed();
    let after = memory();
    assert_eq!(total(&actors[n as usize / 2].0).await, 0, "they live");
    (took, after)
}

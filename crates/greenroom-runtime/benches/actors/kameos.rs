//! kameo, with its bounded mailbox and its supervision.

use std::time::Duration;

use kameo::Actor;
use kameo::actor::{ActorRef, Spawn};
use kameo::error::Infallible;
use kameo::mailbox;
use kameo::message::{Context, Message};
use kameo::supervision::RestartPolicy;
use tokio::time::Instant;

use crate::green::spawn;
use crate::{DEADLINE, SENDERS};

#[derive(Clone, Default)]
struct Counter {
    n: u64,
}

impl Actor for Counter {
    type Args = Self;
    type Error = Infallible;

    async fn on_start(counter: Self, _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(counter)
    }
}

struct Add(u64);
struct Total;
struct Crash;

impl Message<Add> for Counter {
    type Reply = ();

    async fn handle(&mut self, Add(more): Add, _: &mut Context<Self, ()>) {
        self.n += more;
    }
}

impl Message<Total> for Counter {
    type Reply = u64;

    async fn handle(&mut self, _: Total, _: &mut Context<Self, u64>) -> u64 {
        self.n
    }
}

impl Message<Crash> for Counter {
    type Reply = ();

    async fn handle(&mut self, _: Crash, _: &mut Context<Self, ()>) {
        panic!("on purpose");
    }
}

struct Parent;

impl Actor for Parent {
    type Args = ();
    type Error = Infallible;

    async fn on_start((): (), _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(Self)
    }
}

async fn total(counter: &ActorRef<Counter>) -> u64 {
    counter.ask(Total).reply_timeout(DEADLINE).await.expect("it answers")
}

pub(crate) async fn storm(n_messages: u64, capacity: usize) -> Duration {
    let counter = Counter::spawn_with_mailbox(Counter::default(), mailbox::bounded(capacity));
    let begun_at = Instant::now();
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let counter = counter.clone();
            spawn(async move {
                for _ in 0..n_messages / SENDERS {
                    counter.tell(Add(1)).await.expect("it takes messages");
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.expect("senders do not panic");
    }
    assert_eq!(total(&counter).await, n_messages);
    let took = begun_at.elapsed();
    stop(&counter).await;
    took
}

pub(crate) async fn asks(n: u32) -> Vec<Duration> {
    let counter = Counter::spawn_with_mailbox(Counter::default(), mailbox::bounded(64));
    let mut taken = Vec::new();
    for _ in 0..n {
        let begun_at = Instant::now();
        assert_eq!(total(&counter).await, 0);
        taken.push(begun_at.elapsed());
    }
    stop(&counter).await;
    taken
}

pub(crate) async fn crashes(n: u32) -> Vec<Duration> {
    let parent = Parent::spawn(());
    let counter = supervised(&parent).await;
    let mut taken = Vec::new();
    for _ in 0..n {
        counter.tell(Add(1)).await.expect("it takes messages");
        assert_eq!(total(&counter).await, 1, "the one before began afresh");
        let begun_at = Instant::now();
        counter.tell(Crash).await.expect("it takes messages");
        assert_eq!(total(&counter).await, 0);
        taken.push(begun_at.elapsed());
    }
    stop(&parent).await;
    taken
}

async fn supervised(parent: &ActorRef<Parent>) -> ActorRef<Counter> {
    Counter::supervise(parent, Counter::default())
        .restart_policy(RestartPolicy::Permanent)
        .restart_limit(u32::MAX, Duration::from_secs(1))
        .spawn()
        .await
}

pub(crate) async fn children(n: u32) -> Duration {
    let parent = Parent::spawn(());
    let begun_at = Instant::now();
    let mut children = Vec::with_capacity(n as usize);
    for _ in 0..n {
        children.push(supervised(&parent).await);
    }
    // A supervisor that ends stops its children.
    stop(&parent).await;
    for child in &children {
        child.wait_for_shutdown().await;
    }
    begun_at.elapsed()
}

pub(crate) async fn idle(n: u32, memory: fn() -> u64) -> (Duration, u64) {
    let parent = Parent::spawn(());
    let begun_at = Instant::now();
    let mut actors = Vec::with_capacity(n as usize);
    for _ in 0..n {
        actors.push(supervised(&parent).await);
    }
    let took = begun_at.elapsed();
    let after = memory();
    assert_eq!(total(&actors[n as usize / 2]).await, 0, "they live");
    (took, after)
}

async fn stop<A: Actor>(actor: &ActorRef<A>) {
    actor.stop_gracefully().await.expect("it takes the request");
    actor.wait_for_shutdown().await;
}

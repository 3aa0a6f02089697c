//! Custom actors: restarts, mailboxes, asks.

use std::time::Duration;

use greenroom_core::mailbox::{MailboxSpec, Overflow};
use greenroom_core::supervision::{Backoff, ChildSpec, ExitReason};
use greenroom_runtime::{Actor, AskError, Context, DeadReason, Failure, Reply, Runtime};
use tokio::time::{Instant, sleep};

use crate::support::{end, runtime};

const SOON: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Counter {
    total: i64,
    kept: Vec<Reply<i64>>,
}

enum Message {
    Add(i64),
    Panic,
    Fail,
    Total(Reply<i64>),
    Forget(#[expect(dead_code, reason = "the reply is never sent")] Reply<i64>),
    Keep(Reply<i64>),
    Ruin(#[expect(dead_code, reason = "the reply is never sent")] Reply<i64>),
}

impl Actor for Counter {
    type Message = Message;

    fn handle(
        &mut self,
        message: &Message,
        _context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        match message {
            Message::Add(amount) => self.total += amount,
            Message::Panic | Message::Ruin(_) => panic!("poison"),
            Message::Fail => return Err(Failure::new("cannot go on")),
            Message::Total(reply) => {
                let _ = reply.send(self.total);
            }
            Message::Forget(_) => {}
            Message::Keep(reply) => self.kept.push(reply.take()),
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn an_actor_answers() {
    let runtime = runtime().await;
    let counter = runtime.spawn("counter", Counter::default).await.expect("it starts");
    for amount in 1..=10 {
        counter.send(Message::Add(amount)).await.expect("it lives");
    }
    assert_eq!(counter.ask(SOON, Message::Total).await, Ok(55));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_loses_no_queued_message_and_quarantines_the_poison() {
    let runtime = runtime().await;
    let counter = runtime.spawn("counter", Counter::default).await.expect("it starts");
    counter.send(Message::Panic).await.expect("it lives");
    counter.send(Message::Add(1)).await.expect("it restarts");
    counter.send(Message::Add(2)).await.expect("it restarts");
    assert_eq!(counter.ask(SOON, Message::Total).await, Ok(3), "fresh state, queued messages");
    let info = counter.info();
    assert_eq!((info.generation, info.n_restarts()), (3, 2), "delivered twice, then given up");
    let letters = runtime.dead_letters();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].reason, DeadReason::Poison { cause: ExitReason::panic("poison") });
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn asks_are_answered_as_documented() {
    let runtime = runtime().await;
    let counter = runtime.spawn("counter", Counter::default).await.expect("it starts");
    assert_eq!(counter.ask(SOON, Message::Forget).await, Err(AskError::NoReply));
    counter.send(Message::Fail).await.expect("it lives");
    assert_eq!(counter.ask(SOON, Message::Total).await, Ok(0), "asked during the restart");
    assert_eq!(counter.ask(SOON, Message::Keep).await, Err(AskError::TimedOut(SOON)));
    let poison = DeadReason::Poison { cause: ExitReason::panic("poison") };
    assert_eq!(counter.ask(SOON, Message::Ruin).await, Err(AskError::Dead(poison)));
    runtime.supervisor().terminate_child("counter").await.expect("it stops");
    assert_eq!(
        counter.ask(SOON, Message::Total).await,
        Err(AskError::Dead(DeadReason::Stopped)),
        "at once"
    );
    asks_that_cannot_wait_are_answered_at_once(&runtime).await;
    end(runtime).await;
}

/// Of an agent that is away for an hour, and whose mailbox has room for one question.
async fn asks_that_cannot_wait_are_answered_at_once(runtime: &Runtime) {
    const HOUR: Duration = Duration::from_secs(3600);
    let spec = ChildSpec::worker("away").backoff(Backoff::new(HOUR, HOUR));
    let mailbox = MailboxSpec {
        capacity: 1,
        overflow: Overflow::RejectNewest,
        deliveries_max: 1,
        ..MailboxSpec::default()
    };
    let away = runtime.spawn_with(spec, mailbox, Counter::default).await.expect("it starts");
    away.send(Message::Panic).await.expect("it lives");
    sleep(Duration::from_millis(1)).await;
    let since = Instant::now();
    let stop = async {
        assert_eq!(away.ask(SOON, Message::Total).await, Err(AskError::Full));
        runtime.supervisor().terminate_child("away").await.expect("it stops");
    };
    let (waits, ()) = tokio::join!(away.ask(SOON, Message::Total), stop);
    assert_eq!(waits, Err(AskError::Dead(DeadReason::Stopped)));
    assert!(since.elapsed() < Duration::from_millis(100), "nobody waits for the deadline");
}

/// Asks for a crash of its own while the next message is already behind the one that it handles.
struct Saboteur;

enum Order {
    AskForACrash,
    Deliveries(Reply<u32>),
}

impl Actor for Saboteur {
    type Message = Order;

    fn handle(&mut self, message: &Order, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        match message {
            Order::AskForACrash => assert!(context.me().crash_on_purpose()),
            Order::Deliveries(reply) => drop(reply.send(context.delivery())),
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_on_purpose_meets_the_next_message_also_within_a_batch() {
    let runtime = runtime().await;
    let saboteur = runtime.spawn("saboteur", || Saboteur).await.expect("it starts");
    saboteur.send(Order::AskForACrash).await.expect("it lives");
    assert_eq!(saboteur.ask(SOON, Order::Deliveries).await, Ok(2));
    assert_eq!(saboteur.ask(SOON, Order::Deliveries).await, Ok(1), "one crash, and no more");
    assert_eq!(saboteur.info().n_restarts(), 1);
    end(runtime).await;
}

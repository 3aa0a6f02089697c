//! Greenroom: a supervised actor with a bounded mailbox that survives its crashes.

use std::sync::Arc;
use std::time::Duration;

use greenroom_core::mailbox::MailboxSpec;
use greenroom_core::supervision::{ChildSpec, Intensity, Strategy, SupervisorSpec};
use greenroom_runtime::{Actor, AgentRef, Context, Failure, Reply, Runtime};
use tokio::time::Instant;

use crate::{DEADLINE, SENDERS};

#[derive(Default)]
struct Counter {
    n: u64,
}

enum Message {
    Add(u64),
    Total(Reply<u64>),
    Crash,
}

impl Actor for Counter {
    type Message = Message;

    fn handle(&mut self, message: &Message, _: &mut Context<'_, Self>) -> Result<(), Failure> {
        match message {
            Message::Add(n) => self.n += n,
            Message::Total(reply) => drop(reply.send(self.n)),
            Message::Crash => panic!("on purpose"),
        }
        Ok(())
    }
}

async fn total(counter: &AgentRef<Message>) -> u64 {
    counter.ask(DEADLINE, Message::Total).await.expect("it answers")
}

async fn counter(mailbox: MailboxSpec) -> (Runtime, AgentRef<Message>) {
    let runtime = Runtime::start().await.expect("it starts");
    let often = Intensity::new(u32::MAX - 1, Duration::from_secs(1));
    let spec = ChildSpec::worker("counter").intensity(often);
    let counter = runtime.spawn_with(spec, mailbox, Counter::default).await.expect("it starts");
    (runtime, counter)
}

pub(crate) async fn storm(n_messages: u64, capacity: usize) -> Duration {
    let (runtime, counter) = counter(MailboxSpec { capacity, ..MailboxSpec::default() }).await;
    let begun_at = Instant::now();
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let counter = counter.clone();
            spawn(async move {
                for _ in 0..n_messages / SENDERS {
                    counter.send(Message::Add(1)).await.expect("it takes messages");
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.expect("senders do not panic");
    }
    assert_eq!(total(&counter).await, n_messages);
    let took = begun_at.elapsed();
    runtime.shutdown().await;
    took
}

pub(crate) async fn asks(n: u32) -> Vec<Duration> {
    let (runtime, counter) = counter(MailboxSpec::default()).await;
    let mut taken = Vec::new();
    for _ in 0..n {
        let begun_at = Instant::now();
        assert_eq!(total(&counter).await, 0);
        taken.push(begun_at.elapsed());
    }
    runtime.shutdown().await;
    taken
}

pub(crate) async fn crashes(n: u32) -> Vec<Duration> {
    let once = MailboxSpec { deliveries_max: 1, ..MailboxSpec::default() };
    let (runtime, counter) = counter(once).await;
    let mut taken = Vec::new();
    for _ in 0..n {
        counter.send(Message::Add(1)).await.expect("it takes messages");
        assert_eq!(total(&counter).await, 1, "the one before began afresh");
        let begun_at = Instant::now();
        counter.send(Message::Crash).await.expect("it takes messages");
        assert_eq!(total(&counter).await, 0);
        taken.push(begun_at.elapsed());
    }
    runtime.shutdown().await;
    taken
}

pub(crate) async fn children(n: u32) -> Duration {
    let runtime = Runtime::start().await.expect("it starts");
    let children = (0..n)
        .map(|i| {
            let id = format!("child-{i}");
            let (_, start) = runtime.child(id.clone(), MailboxSpec::default(), Counter::default);
            (ChildSpec::worker(id), start)
        })
        .collect();
    let begun_at = Instant::now();
    let spec = SupervisorSpec::new(Strategy::OneForOne);
    runtime.supervise("parent", spec, children).await.expect("they start");
    runtime.supervisor().terminate_child("parent").await.expect("they stop");
    let took = begun_at.elapsed();
    runtime.shutdown().await;
    took
}

pub(crate) async fn idle(n: u32, memory: fn() -> u64) -> (Duration, u64) {
    let runtime = Runtime::start().await.expect("it starts");
    let begun_at = Instant::now();
    let mut agents = Vec::with_capacity(n as usize);
    for i in 0..n {
        let agent = runtime.spawn(format!("idle-{i}"), Counter::default).await;
        agents.push(agent.expect("it starts"));
    }
    let took = begun_at.elapsed();
    let after = memory();
    assert_eq!(total(&agents[n as usize / 2]).await, 0, "they live");
    drop(Arc::new(agents));
    runtime.shutdown().await;
    (took, after)
}

#[expect(clippy::disallowed_methods, reason = "a sender of a benchmark is nobody's task")]
pub(crate) fn spawn<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    tokio::spawn(work)
}

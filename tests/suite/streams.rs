//! Streams that an actor follows: what comes, how it ends, and that the stream waits for the actor.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use greenroom::runtime::EffectError;
use greenroom::{Actor, AgentRef, Context, Failure, Reply, Runtime};

use crate::support::{end, runtime};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

type Numbers = BoxStream<'static, usize>;

/// Follows what it is given and notes what comes.
struct Reader {
    log: Arc<Mutex<Vec<String>>>,
    kept: Option<Reply<()>>,
    /// How far the stream ever was ahead, and how far it is.
    n_ahead_max: Arc<AtomicUsize>,
    n_given: Arc<AtomicUsize>,
    n_read: usize,
}

enum Message {
    Follow(Mutex<Option<Numbers>>, Option<Reply<()>>),
    Next(Result<Option<usize>, EffectError>),
    Crash,
}

impl Actor for Reader {
    type Message = Message;

    fn handle(
        &mut self,
        message: &Message,
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        match message {
            Message::Follow(numbers, reply) => {
                self.kept = reply.as_ref().map(Reply::take);
                let numbers = numbers.lock().expect("no test panics here").take();
                context.follow("numbers", SECOND, numbers.expect("given once"), Message::Next);
            }
            Message::Next(item) => {
                self.n_read += 1;
                let n_ahead = self.n_given.load(Ordering::Relaxed).saturating_sub(self.n_read);
                self.n_ahead_max.fetch_max(n_ahead, Ordering::Relaxed);
                self.log.lock().expect("no test panics here").push(match item {
                    Ok(Some(number)) => number.to_string(),
                    Ok(None) => "end".into(),
                    Err(error) => error.to_string(),
                });
            }
            Message::Crash => panic!("told to"),
        }
        Ok(())
    }
}

struct Bench {
    runtime: Runtime,
    reader: AgentRef<Message>,
    log: Arc<Mutex<Vec<String>>>,
    n_ahead_max: Arc<AtomicUsize>,
    n_given: Arc<AtomicUsize>,
}

impl Bench {
    async fn new() -> Self {
        let runtime = runtime().await;
        let log = Arc::<Mutex<Vec<String>>>::default();
        let (n_ahead_max, n_given) = (Arc::<AtomicUsize>::default(), Arc::default());
        let shared = (Arc::clone(&log), Arc::clone(&n_ahead_max), Arc::clone(&n_given));
        let factory = move || {
            let (log, n_ahead_max, n_given) = shared.clone();
            Reader { log, kept: None, n_ahead_max, n_given, n_read: 0 }
        };
        let reader = runtime.spawn("reader", factory).await.expect("it starts");
        Self { runtime, reader, log, n_ahead_max, n_given }
    }

    fn follow(&self, numbers: Numbers) {
        let message = Message::Follow(Mutex::new(Some(numbers)), None);
        self.reader.try_send(message).map_err(|_| "full").expect("room");
    }

    fn log(&self) -> String {
        std::mem::take(&mut *self.log.lock().expect("no test panics here")).join(" ")
    }

    async fn end(self) {
        assert_eq!(self.runtime.n_tasks(), 0, "the stream is over");
        end(self.runtime).await;
    }
}

/// Numbers from 1, so many seconds apart.
fn slow(seconds: &'static [u32]) -> Numbers {
    let numbers = stream::iter((1..).zip(seconds));
    numbers.then(|(i, s)| tokio::time::sleep(*s * SECOND / 2).map(move |()| i)).boxed()
}

#[tokio::test(start_paused = true)]
async fn items_come_one_by_one_and_then_the_end() {
    let bench = Bench::new().await;
    bench.follow(slow(&[1, 1, 1]));
    tokio::time::sleep(SECOND + SECOND / 4).await;
    assert_eq!(bench.log(), "1 2");
    tokio::time::sleep(SECOND).await;
    assert_eq!(bench.log(), "3 end");
    bench.follow(stream::empty().boxed());
    tokio::time::sleep(SECOND).await;
    assert_eq!(bench.log(), "end");
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_item_that_does_not_come_and_a_panic_are_the_end() {
    let bench = Bench::new().await;
    bench.follow(slow(&[1, 3, 1]));
    tokio::time::sleep(HOUR).await;
    assert_eq!(bench.log(), "1 not done within 1s");
    bench.follow(stream::iter(1..).map(|i| if i < 3 { i } else { panic!("inside") }).boxed());
    tokio::time::sleep(SECOND).await;
    assert_eq!(bench.log(), "1 2 panicked: inside");
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_never_more_than_one_item_ahead() {
    let bench = Bench::new().await;
    let counting = Arc::clone(&bench.n_given);
    let eager = stream::iter(0..10_000).inspect(move |_| {
        counting.fetch_add(1, Ordering::Relaxed);
    });
    bench.follow(eager.boxed());
    tokio::time::sleep(SECOND).await;
    let read = bench.log();
    assert_eq!(read.split(' ').count(), 10_001);
    let expect: Vec<_> = (0..10_000).map(|i| i.to_string()).collect();
    assert_eq!(read, expect.join(" ") + " end");
    assert!(bench.n_ahead_max.load(Ordering::Relaxed) <= 1);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_its_asker() {
    let bench = Bench::new().await;
    let follow = |reply| Message::Follow(Mutex::new(Some(slow(&[1; 100]))), Some(reply));
    let gone = tokio::time::timeout(SECOND * 6 / 5, bench.reader.ask(HOUR, follow)).await;
    assert!(gone.is_err());
    tokio::time::sleep(HOUR).await;
    assert_eq!(bench.log(), "1 2 cancelled");
    let late = bench.reader.ask(SECOND * 6 / 5, follow).await;
    assert!(late.is_err());
    tokio::time::sleep(HOUR).await;
    assert_eq!(bench.log(), "1 2 not done within 200ms");
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_its_incarnation() {
    let bench = Bench::new().await;
    bench.follow(slow(&[1; 100]));
    tokio::time::sleep(SECOND * 6 / 5).await;
    bench.reader.send(Message::Crash).await.expect("it lives");
    tokio::time::sleep(SECOND / 100).await;
    assert_eq!(bench.runtime.n_tasks(), 0, "at once");
    tokio::time::sleep(HOUR).await;
    assert_eq!(bench.log(), "1 2");
    bench.end().await;
}

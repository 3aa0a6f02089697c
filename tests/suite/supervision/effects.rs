//! Effects: what comes back, what does not, and what ends with whom.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use greenroom_core::mailbox::MailboxSpec;
use greenroom_runtime::{Actor, AgentRef, AskError, Context, EffectError, Failure, Reply, Runtime};

use super::{HOUR, SECOND, SOON, Trace, n_alive_tasks, settle, worker};
use crate::support::{end, runtime};

type Hook = Box<dyn Fn(&mut Context<'_, Lab>) + Send>;

/// An actor that does what its messages say, and notes what its effects answer.
struct Lab {
    trace: Trace,
    kept: Vec<Reply<()>>,
}

enum Message {
    Do(Hook),
    /// Does it, and keeps the asker waiting.
    Question(Hook, Reply<()>),
    Got(&'static str, Result<u32, EffectError>),
    Ping(Reply<u64>),
    Crash,
}

impl Actor for Lab {
    type Message = Message;

    fn handle(
        &mut self,
        message: &Message,
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        match message {
            Message::Do(hook) => hook(context),
            Message::Question(hook, reply) => {
                self.kept.push(reply.take());
                hook(context);
            }
            Message::Got(name, outcome) => {
                let generation = context.generation();
                self.trace.push(match outcome {
                    Ok(value) => format!("{name}{generation}={value}"),
                    Err(error) => format!("{name}{generation}: {error}"),
                });
            }
            Message::Ping(reply) => {
                let _ = reply.send(context.generation());
            }
            Message::Crash => panic!("told to"),
        }
        Ok(())
    }
}

struct Bench {
    runtime: Runtime,
    lab: AgentRef<Message>,
    trace: Trace,
}

impl Bench {
    async fn new() -> Self {
        let (runtime, trace) = (runtime().await, Trace::default());
        let lab = spawn(&runtime, "lab", &trace).await;
        Self { runtime, lab, trace }
    }

    fn run(&self, hook: impl Fn(&mut Context<'_, Lab>) + Send + 'static) {
        self.lab.try_send(Message::Do(Box::new(hook))).expect("room");
    }

    async fn end(self) {
        end(self.runtime).await;
        assert_eq!(n_alive_tasks(), 0, "actors were left behind");
    }
}

async fn spawn(runtime: &Runtime, name: &'static str, trace: &Trace) -> AgentRef<Message> {
    let trace = trace.clone();
    let mailbox = MailboxSpec { deliveries_max: 1, ..MailboxSpec::default() };
    let factory = move || Lab { trace: trace.clone(), kept: Vec::new() };
    runtime.spawn_with(worker(name), mailbox, factory).await.expect("it starts")
}

/// Counts when it is dropped: the proof that a future is gone, not only unheard.
#[derive(Clone, Default)]
struct Dropped(Arc<AtomicUsize>);

struct Guard(Dropped);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Dropped {
    /// Work that takes ten seconds.
    fn work(&self) -> impl Future<Output = u32> + Send + 'static {
        let guard = Guard(self.clone());
        async move {
            let _guard = guard;
            tokio::time::sleep(10 * SECOND).await;
            10
        }
    }

    fn n(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

#[tokio::test(start_paused = true)]
async fn sup_k01_the_outcomes_of_effects_are_messages_and_a_panic_is_one() {
    let bench = Bench::new().await;
    let kept = Arc::new(std::sync::Mutex::new(None));
    let keep = Arc::clone(&kept);
    bench.run(move |context| {
        let token = context.cancellation();
        *keep.lock().expect("no test panics here") = Some(token.clone());
        context.effect("ok", HOUR, async { 1 }, |result| Message::Got("ok", result));
        context.effect("panics", HOUR, async { panic!("inside") }, |result| {
            Message::Got("panics", result)
        });
        let slow = async {
            tokio::time::sleep(HOUR).await;
            2
        };
        context.effect("slow", SECOND, slow, |result| Message::Got("slow", result));
        let never = std::future::pending();
        context.cancellable("never", HOUR, token, never, |result| Message::Got("never", result));
    });
    settle().await;
    assert_eq!(bench.trace.take(), "ok1=1 panics1: panicked: inside");
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(bench.trace.take(), "slow1: not done within 1s");
    kept.lock().expect("no test panics here").take().expect("the hook has run").cancel();
    settle().await;
    assert_eq!(bench.trace.take(), "never1: cancelled");
    assert_eq!(bench.lab.info().generation, 1, "none of it is a crash");
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn effects_of_an_old_incarnation_are_dropped_and_never_reach_the_new_one() {
    let bench = Bench::new().await;
    let dropped = Dropped::default();
    let counting = dropped.clone();
    bench.run(move |context| {
        context.effect("effect", HOUR, counting.work(), |result| Message::Got("effect", result));
        context
            .shielded("shielded", HOUR, counting.work(), |result| Message::Got("shielded", result));
        context.after(10 * SECOND, Message::Got("timer", Ok(0)));
    });
    tokio::time::sleep(5 * SECOND).await;
    bench.lab.send(Message::Crash).await.expect("it lives");
    settle().await;
    assert_eq!(dropped.n(), 2, "the work ends with the incarnation, not at its deadline");
    assert_eq!(bench.runtime.n_tasks(), 0);
    tokio::time::sleep(HOUR).await;
    assert_eq!(bench.trace.take(), "");
    assert_eq!(bench.lab.ask(SOON, Message::Ping).await, Ok(2));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_waits_at_the_crash_is_not_given_to_the_next_incarnation() {
    let bench = Bench::new().await;
    let lab = bench.lab.clone();
    bench.run(move |context| {
        let lab = lab.clone();
        context.effect("effect", HOUR, async { 1 }, move |result| {
            // Both wait when the actor wakes up, and the control lane comes first.
            let _ = lab.control(Message::Crash);
            Message::Got("effect", result)
        });
    });
    settle().await;
    assert_eq!(bench.lab.ask(SOON, Message::Ping).await, Ok(2));
    assert_eq!(bench.trace.take(), "");
    bench.end().await;
}

/// What a message does when it is dropped: it looks at its agent, which takes the mailbox's lock.
struct LooksBack(AgentRef<Message>);

impl Drop for LooksBack {
    fn drop(&mut self) {
        let _ = self.0.info();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn an_outcome_that_comes_after_the_next_incarnation_began_is_dropped_outside_the_lock() {
    let bench = Bench::new().await;
    let (open, gate) = mpsc::channel::<()>();
    let (entered, mut has_entered) = tokio::sync::mpsc::unbounded_channel();
    let gate = Arc::new(std::sync::Mutex::new(gate));
    let lab = bench.lab.clone();
    bench.run(move |context| {
        let (gate, entered, back) = (Arc::clone(&gate), entered.clone(), LooksBack(lab.clone()));
        context.effect("late", HOUR, async { 1 }, move |_: Result<u32, _>| {
            let _ = entered.send(());
            let _ = gate.lock().expect("no test panics here").recv();
            Message::Do(Box::new(move |context| {
                let _ = &back;
                context.stop();
            }))
        });
    });
    has_entered.recv().await.expect("the outcome is being made");
    bench.lab.send(Message::Crash).await.expect("it lives");
    assert_eq!(bench.lab.ask(HOUR, Message::Ping).await, Ok(2));
    drop(open);
    let over = tokio::time::timeout(60 * SECOND, async {
        while bench.runtime.n_tasks() > 0 {
            tokio::task::yield_now().await;
        }
    });
    over.await.expect("the effect ends");
    assert_eq!(bench.lab.ask(HOUR, Message::Ping).await, Ok(2), "it was not told to stop");
    end(bench.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn sup_k02_blocking_work_stalls_neither_its_actor_nor_a_sibling() {
    let bench = Bench::new().await;
    let sibling = spawn(&bench.runtime, "sibling", &bench.trace).await;
    let (release, blocked) = mpsc::channel::<u32>();
    let blocked = Arc::new(std::sync::Mutex::new(blocked));
    bench.run(move |context| {
        let blocked = Arc::clone(&blocked);
        // It ends by itself, so that the test fails when somebody is stalled, and does not hang.
        let work = move || {
            let blocked = blocked.lock().expect("no test panics here");
            blocked.recv_timeout(10 * SECOND).unwrap_or(0)
        };
        context.blocking("blocks", HOUR, work, |result| Message::Got("blocks", result));
    });
    for _ in 0..100 {
        assert_eq!(sibling.ask(HOUR, Message::Ping).await, Ok(1));
        assert_eq!(bench.lab.ask(HOUR, Message::Ping).await, Ok(1));
    }
    assert_eq!(bench.trace.take(), "");
    release.send(7).expect("it is waited for");
    settle().await;
    assert_eq!(bench.trace.take(), "blocks1=7");
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn blocking_work_that_panics_or_takes_too_long_is_an_outcome() {
    let bench = Bench::new().await;
    let (release, blocked) = mpsc::channel::<u32>();
    let blocked = Arc::new(std::sync::Mutex::new(blocked));
    bench.run(move |context| {
        let blocked = Arc::clone(&blocked);
        context.blocking(
            "panics",
            HOUR,
            || panic!("inside"),
            |result| Message::Got("panics", result),
        );
        let work = move || blocked.lock().expect("no test panics here").recv().unwrap_or(0);
        context.blocking("slow", SECOND, work, |result| Message::Got("slow", result));
    });
    // Virtual time does not move by itself while a thread is at work.
    while bench.lab.info().n_handled < 1 {
        tokio::task::yield_now().await;
    }
    tokio::time::advance(2 * SECOND).await;
    while bench.lab.info().n_handled < 3 {
        tokio::task::yield_now().await;
    }
    let trace = bench.trace.take();
    assert!(trace.contains("panics1: panicked: inside"), "{trace}");
    assert!(trace.contains("slow1: not done within 1s"), "{trace}");
    release.send(0).expect("the thread runs to its end");
    bench.end().await;
}

fn question(dropped: &Dropped, is_shielded: bool) -> impl FnOnce(Reply<()>) -> Message {
    let dropped = dropped.clone();
    let hook: Hook = Box::new(move |context| {
        let work = dropped.work();
        if is_shielded {
            context.shielded("work", HOUR, work, |result| Message::Got("work", result));
        } else {
            context.effect("work", HOUR, work, |result| Message::Got("work", result));
        }
    });
    move |reply| Message::Question(hook, reply)
}

#[tokio::test(start_paused = true)]
async fn an_asker_that_goes_away_cancels_the_effects_of_its_question() {
    let bench = Bench::new().await;
    let dropped = Dropped::default();
    let gone = tokio::time::timeout(SECOND, bench.lab.ask(HOUR, question(&dropped, false))).await;
    assert!(gone.is_err());
    settle().await;
    assert_eq!((dropped.n(), bench.trace.take().as_str()), (1, "work1: cancelled"));
    let late = bench.lab.ask(SECOND, question(&dropped, false)).await;
    assert_eq!(late, Err(AskError::TimedOut(SECOND)), "its own deadline is the same");
    settle().await;
    assert_eq!((dropped.n(), bench.trace.take().as_str()), (2, "work1: not done within 1s"));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_shielded_effect_survives_its_asker() {
    let bench = Bench::new().await;
    let dropped = Dropped::default();
    let gone = tokio::time::timeout(SECOND, bench.lab.ask(HOUR, question(&dropped, true))).await;
    assert!(gone.is_err());
    settle().await;
    assert_eq!(dropped.n(), 0);
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(bench.trace.take(), "work1=10");
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_question_withdrawn_before_it_is_handled_starts_nothing() {
    let bench = Bench::new().await;
    let dropped = Dropped::default();
    bench.lab.try_send(Message::Crash).expect("room");
    {
        let mut ask = Box::pin(bench.lab.ask(HOUR, question(&dropped, false)));
        let now = tokio::time::timeout(Duration::ZERO, &mut ask).await;
        assert!(now.is_err(), "queued behind the crash");
    }
    tokio::time::sleep(HOUR).await;
    assert_eq!(bench.trace.take(), "");
    assert!(bench.runtime.dead_letter_counts().get("cancelled").copied().unwrap_or(0) <= 1);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_timer_comes_once_and_on_time() {
    let bench = Bench::new().await;
    bench.run(|context| context.after(10 * SECOND, Message::Got("timer", Ok(0))));
    tokio::time::sleep(9 * SECOND).await;
    assert_eq!(bench.trace.take(), "");
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(bench.trace.take(), "timer1=0");
    tokio::time::sleep(HOUR).await;
    assert_eq!(bench.trace.take(), "");
    bench.end().await;
}

/// Effects under way before the user lane waits, and the most that may be under way at all.
const EFFECTS_MAX: usize = 1024;
const UNDER_WAY_MAX: usize = 4 * EFFECTS_MAX;

fn fill(n_effects: usize, context: &mut Context<'_, Lab>) {
    for _ in 0..n_effects {
        let work = tokio::time::sleep(10 * SECOND);
        context.effect("open", HOUR, work, |_| Message::Do(Box::new(|_| {})));
    }
}

#[tokio::test(start_paused = true)]
async fn with_too_much_under_way_no_work_is_taken_until_some_of_it_is_done() {
    let bench = Bench::new().await;
    bench.run(|context| fill(EFFECTS_MAX - 1, context));
    assert_eq!(bench.lab.ask(SECOND, Message::Ping).await, Ok(1), "one more is allowed");
    bench.run(|context| fill(1, context));
    settle().await;
    let waiting = bench.lab.ask(SECOND, Message::Ping).await;
    assert_eq!(waiting, Err(AskError::TimedOut(SECOND)), "the user lane waits");
    bench.run(|context| {
        context.effect("late", HOUR, async { 1 }, |result| Message::Got("late", result))
    });
    bench.lab.control(Message::Got("control", Ok(0))).expect("room");
    settle().await;
    assert_eq!(bench.trace.take(), "control1=0", "control does not wait");
    for _ in 0..64 - bench.lab.info().n_queued {
        bench.lab.try_send(Message::Do(Box::new(|_| {}))).expect("room");
    }
    let full = bench.lab.try_send(Message::Do(Box::new(|_| {})));
    assert!(full.is_err(), "and senders wait in turn");
    assert_eq!(bench.lab.ask(HOUR, Message::Ping).await, Ok(1), "the effects are done");
    settle().await;
    assert_eq!(bench.trace.take(), "late1=1");
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_starts_more_than_may_be_under_way_fails_and_all_of_it_ends() {
    let bench = Bench::new().await;
    let n_run = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&n_run);
    bench.run(move |context| {
        fill(UNDER_WAY_MAX, context);
        let counting = Arc::clone(&counting);
        let work = move || counting.fetch_add(1, Ordering::Relaxed) as u32;
        context.blocking("refused", HOUR, work, |result| Message::Got("refused", result));
    });
    settle().await;
    assert_eq!(bench.lab.ask(SOON, Message::Ping).await, Ok(2), "it crashed");
    assert_eq!(bench.runtime.n_tasks(), 0, "and its effects ended");
    tokio::time::sleep(HOUR).await;
    assert_eq!((bench.trace.take().as_str(), n_run.load(Ordering::Relaxed)), ("", 0));
    assert_eq!(bench.runtime.dead_letter_counts().get("poison"), Some(&1));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn timers_come_on_time_and_take_no_place_of_work() {
    let bench = Bench::new().await;
    bench.run(|context| {
        for _ in 0..EFFECTS_MAX {
            context.after(10 * SECOND, Message::Got("timer", Ok(0)));
        }
    });
    assert_eq!(bench.lab.ask(SECOND, Message::Ping).await, Ok(1), "timers are no work");
    bench.run(|context| {
        fill(EFFECTS_MAX, context);
        context.after(SECOND, Message::Got("short", Ok(0)));
    });
    tokio::time::sleep(SECOND / 2).await;
    assert_eq!(bench.trace.take(), "");
    tokio::time::sleep(SECOND).await;
    assert_eq!(bench.trace.take(), "short1=0", "also while no work is taken");
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(bench.trace.take().split(' ').count(), EFFECTS_MAX);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_the_outcome_becomes_a_message_is_not_lost() {
    let bench = Bench::new().await;
    bench.run(|context| context.effect("bad", HOUR, async { 1 }, |_| panic!("in the conversion")));
    settle().await;
    // There is no message to deliver, so the only honest outcome is a crash that the supervisor sees.
    assert_eq!(bench.lab.ask(SOON, Message::Ping).await, Ok(2));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_fault_on_purpose_strikes_with_and_without_a_message() {
    let bench = Bench::new().await;
    assert!(bench.lab.crash_on_purpose());
    settle().await;
    assert_eq!(bench.lab.ask(SOON, Message::Ping).await, Ok(2), "crashed between messages");
    assert_eq!(bench.runtime.dead_letters(), []);
    assert!(bench.lab.crash_on_purpose());
    bench.lab.try_send(Message::Got("struck", Ok(0))).expect("room");
    settle().await;
    assert_eq!(bench.lab.ask(SOON, Message::Ping).await, Ok(3), "crashed on the message");
    let letters = bench.runtime.dead_letters();
    assert_eq!(letters.len(), 1, "which was delivered as often as allowed: once");
    assert_eq!(bench.trace.take(), "");
    bench.runtime.supervisor().terminate_child("lab").await.expect("it stops");
    assert!(!bench.lab.crash_on_purpose(), "there is nobody to crash");
    bench.end().await;
}

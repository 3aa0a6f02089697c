//! The leak check: whatever is left behind is named, and nothing else is.

use std::any::Any;
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::sync::mpsc;
use std::time::Duration;

use futures_util::FutureExt;
use greenroom_core::alive::{Alive, Living, LivingKind};
use greenroom_core::supervision::{ChildSpec, Strategy, SupervisorSpec};
use greenroom_runtime::{Actor, Context, Failure, Runtime};
use greenroom_testkit::LeakCheck;

use crate::support::{end, runtime};

const SOON: Duration = Duration::from_secs(5);
const HOUR: Duration = Duration::from_secs(3600);

/// Starts work that does not end by itself.
struct Hoarder;

enum Start {
    Effect,
    Timer,
    Done,
}

impl Actor for Hoarder {
    type Message = Start;

    fn handle(&mut self, message: &Start, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        match message {
            Start::Effect => context.effect("summarise", HOUR, pending::<()>(), |_| Start::Done),
            Start::Timer => context.after(HOUR, Start::Done),
            Start::Done => {}
        }
        Ok(())
    }
}

/// What a check says of this runtime, or nothing.
async fn verdict(check: LeakCheck, runtime: &Runtime) -> Option<String> {
    let finished = AssertUnwindSafe(check.finish(runtime)).catch_unwind().await;
    finished.err().map(text)
}

fn text(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => (*panic.downcast::<&str>().expect("a panic has a text")).to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_left_behind_is_named() {
    let check = LeakCheck::begin();
    let runtime = runtime().await;
    let hoarder = runtime.spawn("hoarder", || Hoarder).await.expect("it starts");
    hoarder.send(Start::Effect).await.expect("it lives");
    hoarder.send(Start::Effect).await.expect("it lives");
    hoarder.send(Start::Timer).await.expect("it lives");
    let children = vec![(
        ChildSpec::worker("inner"),
        runtime.child("inner", Default::default(), || Hoarder).1,
    )];
    runtime
        .supervise("desk", SupervisorSpec::new(Strategy::OneForOne), children)
        .await
        .expect("it starts");
    let said = verdict(check, &runtime).await.expect("nothing was shut down");
    for name in [
        "the test leaves something behind: actor `hoarder`, actor `inner`, supervisor `desk`, ",
        "supervisor `runs-0`, ",
        "supervisor `runtime`, supervisor `team`, ",
        "task `summarise` (2 of them), timer `timer`",
    ] {
        assert!(said.contains(name), "{name} is not in: {said}");
    }
    // With the orderly end, nothing of it is left.
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn what_ends_by_itself_is_no_leak() {
    let check = LeakCheck::begin();
    let runtime = runtime().await;
    let hoarder = runtime.spawn("hoarder", || Hoarder).await.expect("it starts");
    for _ in 0..10 {
        hoarder.send(Start::Effect).await.expect("it lives");
        assert!(hoarder.crash_on_purpose());
    }
    tokio::time::sleep(SOON).await;
    let of_hoarder = |living: &Living| living.kind == LivingKind::Actor;
    let hoarders: Vec<_> = runtime.alive().into_iter().filter(of_hoarder).collect();
    let one = Living { kind: LivingKind::Actor, name: "hoarder".to_owned(), n: 1 };
    assert_eq!(hoarders, [one], "ten lives are over");
    runtime.shutdown().await;
    assert_eq!(runtime.alive(), [] as [Living; 0]);
    check.finish(&runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_task_of_somebody_else_is_a_leak_unless_it_was_there_before() {
    let before = tokio::task::JoinSet::from_iter([pending::<()>()]);
    let check = LeakCheck::begin();
    let runtime = runtime().await;
    runtime.shutdown().await;
    check.finish(&runtime).await;

    let check = LeakCheck::begin();
    let after = tokio::task::JoinSet::from_iter([pending::<()>()]);
    let said = verdict(check, &runtime).await.expect("there is a task more");
    assert!(said.ends_with(": 1 task that the runtime did not start"), "{said}");
    let said = verdict(LeakCheck::of_everything(), &runtime).await.expect("there are two");
    assert!(said.ends_with(": 2 tasks that the runtime did not start"), "{said}");
    drop((before, after));
    LeakCheck::of_everything().finish(&runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_check_that_is_forgotten_fails() {
    let forgotten = std::panic::catch_unwind(|| drop(LeakCheck::begin()));
    let said = text(forgotten.expect_err("nothing was checked"));
    assert_eq!(said, "a leak check was begun and not finished");
}

/// A thread cannot be stopped, so what runs on it is left when its actor is gone. In real time: virtual time
/// stands still while a thread works.
#[tokio::test]
async fn work_on_a_thread_that_does_not_end_is_named() {
    let runtime = runtime().await;
    let (release, released) = mpsc::channel::<()>();
    let blocker = runtime.spawn("blocker", || Blocker).await.expect("it starts");
    blocker.send(Block(std::sync::Mutex::new(Some(released)))).await.expect("it lives");
    let is_blocking = |living: &Living| living.kind == LivingKind::Blocking;
    for _ in 0..1000 {
        if runtime.alive().iter().any(is_blocking) {
            break;
        }
        tokio::task::yield_now().await;
    }
    runtime.supervisor().terminate_child("blocker").await.expect("it stops");
    let left: Vec<_> = runtime.alive().into_iter().filter(is_blocking).collect();
    let export = Living { kind: LivingKind::Blocking, name: "export".to_owned(), n: 1 };
    assert_eq!(left, [export], "the thread outlives its actor");
    drop(release);
    end(runtime).await;
}

struct Blocker;

/// Blocks a thread until the other end is dropped.
struct Block(std::sync::Mutex<Option<mpsc::Receiver<()>>>);

impl Actor for Blocker {
    type Message = Block;

    fn handle(&mut self, message: &Block, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        if let Some(released) = message.0.lock().expect("no test panics here").take() {
            let wait = move || released.recv().is_err();
            context.blocking("export", HOUR, wait, |_| Block(std::sync::Mutex::new(None)));
        }
        Ok(())
    }
}

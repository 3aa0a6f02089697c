//! The examples of `docs/from-asyncio.md`: for every pattern that people bring from Python its form here. In virtual
//! time: what takes four seconds takes none.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use greenroom::core::supervision::ChildSpec;
use greenroom::runtime::{AskError, EffectError, SendErrorKind};
use greenroom::{
    Actor, AgentRef, Branch, BranchError, Context, Failure, FanOut, Gathered, MailboxSpec, Reply,
    Runtime, Verdict,
};
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep};

use crate::support::{end, runtime};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A source that needs so many seconds to answer. Zero seconds are a failure.
struct Source {
    seconds: u32,
}

enum Search {
    Passages(Reply<String>),
    Done(Reply<String>, Result<String, EffectError>),
}

impl Actor for Source {
    type Message = Search;

    fn handle(&mut self, message: &Search, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        match message {
            Search::Passages(reply) => {
                let (reply, seconds) = (reply.take(), self.seconds);
                let work = async move {
                    assert!(seconds > 0, "nothing there");
                    sleep(seconds * SECOND).await;
                    format!("found in {seconds} s")
                };
                context.effect("search", MINUTE, work, |found| Search::Done(reply, found));
            }
            Search::Done(reply, Ok(found)) => drop(reply.send(found.clone())),
            Search::Done(_, Err(_)) => {}
        }
        Ok(())
    }
}

async fn sources(runtime: &Runtime, seconds: &[u32]) -> Vec<AgentRef<Search>> {
    let mut sources = Vec::new();
    for (i, seconds) in seconds.iter().copied().enumerate() {
        let id = format!("source-{i}");
        sources.push(runtime.spawn(id, move || Source { seconds }).await.expect("it starts"));
    }
    sources
}

fn branches(sources: &[AgentRef<Search>]) -> Vec<Branch<String>> {
    sources.iter().map(|source| source.branch(MINUTE, Search::Passages)).collect()
}

/// The same from inside: an agent that asks its sources and answers with what is there after 2.5 seconds.
struct Librarian {
    sources: Vec<AgentRef<Search>>,
    asker: Option<Reply<Vec<String>>>,
}

enum Question {
    Ask(Reply<Vec<String>>),
    Found(Gathered<String>),
}

impl Actor for Librarian {
    type Message = Question;

    fn handle(
        &mut self,
        message: &Question,
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        match message {
            Question::Ask(reply) => {
                self.asker = Some(reply.take());
                let branches = self.sources.iter().map(|s| s.branch(MINUTE, Search::Passages));
                context.fan_out(FanOut::gather().deadline(2500 * MS), branches, Question::Found);
            }
            Question::Found(found) => {
                if let Some(asker) = self.asker.take() {
                    let _ = asker.send(found.values().cloned().collect());
                }
            }
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn three_sources_answer_together_in_four_seconds_and_in_two_and_a_half_with_what_is_there() {
    let runtime = runtime().await;
    let sources = sources(&runtime, &[3, 2, 4]).await;

    let begun = Instant::now();
    let branches = sources.iter().map(|source| source.branch(MINUTE, Search::Passages));
    let found = runtime.fan_out(FanOut::gather(), branches).await;
    assert_eq!(found.into_values(), ["found in 3 s", "found in 2 s", "found in 4 s"]);
    assert_eq!(begun.elapsed().as_secs(), 4);

    let begun = Instant::now();
    let branches = sources.iter().map(|source| source.branch(MINUTE, Search::Passages));
    let found = runtime.fan_out(FanOut::gather().deadline(2500 * MS), branches).await;
    assert_eq!(found.verdict(), Verdict::Partial);
    assert_eq!(found.results()[0], Err(BranchError::Late));
    assert_eq!(found.into_values(), ["found in 2 s"]);
    assert_eq!(begun.elapsed().as_millis(), 2500);

    let (begun, below) = (Instant::now(), sources.clone());
    let librarian = move || Librarian { sources: below.clone(), asker: None };
    let librarian = runtime.spawn("librarian", librarian).await.expect("it starts");
    assert_eq!(librarian.ask(MINUTE, Question::Ask).await, Ok(vec!["found in 2 s".to_owned()]));
    assert_eq!(begun.elapsed().as_millis(), 2500);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn gather_all_and_task_groups() {
    let runtime = runtime().await;
    let sources = sources(&runtime, &[2, 0, 4]).await;

    // asyncio.gather(..., return_exceptions=True), asyncio.wait(..., ALL_COMPLETED)
    let found = runtime.fan_out(FanOut::gather(), branches(&sources)).await;
    assert_eq!(found.results()[1], Err(BranchError::Ask(AskError::NoReply)));
    assert_eq!(found.into_values(), ["found in 2 s", "found in 4 s"]);

    // async with asyncio.TaskGroup(), asyncio.gather(...), asyncio.wait(..., FIRST_EXCEPTION)
    let begun = Instant::now();
    let found = runtime.fan_out(FanOut::all(), branches(&sources)).await;
    assert_eq!(found.results()[0], Err(BranchError::Cancelled));
    assert_eq!(found.into_all(), Err(BranchError::Ask(AskError::NoReply)));
    assert!(begun.elapsed() < SECOND);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn waiting_for_the_first() {
    let runtime = runtime().await;
    let sources = sources(&runtime, &[3, 2, 4]).await;

    // asyncio.wait(..., return_when=FIRST_COMPLETED): the losers are cancelled
    let found = runtime.fan_out(FanOut::race(), branches(&sources)).await;
    assert_eq!(found.ended(), [1]);
    // ... and these are not
    let losers = branches(&sources).into_iter().map(Branch::shielded);
    let found = runtime.fan_out(FanOut::race(), losers).await;
    assert_eq!(found.results()[0], Err(BranchError::Detached));

    // the first that succeeds, and the first two of three
    let found = runtime.fan_out(FanOut::first(), branches(&sources)).await;
    assert_eq!(found.into_first(), Ok("found in 2 s".to_owned()));
    let found = runtime.fan_out(FanOut::at_least(2), branches(&sources)).await;
    assert_eq!(found.into_values(), ["found in 3 s", "found in 2 s"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn timeouts() {
    let runtime = runtime().await;
    let sources = sources(&runtime, &[3]).await;

    // await asyncio.wait_for(source.search(), timeout=2)
    let found = sources[0].ask(2 * SECOND, Search::Passages).await;
    assert_eq!(found, Err(AskError::TimedOut(2 * SECOND)));

    // async with asyncio.timeout(2): several steps under one deadline
    let steps = Branch::future("steps", 2 * SECOND, async {
        sleep(SECOND).await;
        sleep(5 * SECOND).await;
    });
    let done = runtime.fan_out(FanOut::all(), [steps]).await;
    assert_eq!(done.into_first(), Err(BranchError::TimedOut(2 * SECOND)));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn shielding() {
    let runtime = runtime().await;
    let saved = Arc::new(Notify::new());

    // await asyncio.shield(save()), cancelled from outside after a second
    let done = Arc::clone(&saved);
    let save = Branch::future("save", MINUTE, async move {
        sleep(5 * SECOND).await;
        done.notify_one();
    });
    let saving = runtime.fan_out(FanOut::all(), [save.shielded()]);
    assert!(tokio::time::timeout(SECOND, saving).await.is_err());
    saved.notified().await;
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_bounded_number_at_once() {
    let runtime = runtime().await;
    let numbers = 1..=10_u32;

    // semaphore = asyncio.Semaphore(3), then gather
    let begun = Instant::now();
    let squares = numbers.map(|n| {
        let work = async move {
            sleep(SECOND).await;
            n * n
        };
        Branch::future("square", MINUTE, work)
    });
    let squares = runtime.fan_out(FanOut::gather().width(3), squares).await;
    assert_eq!(squares.into_values(), [1, 4, 9, 16, 25, 36, 49, 64, 81, 100]);
    assert_eq!(begun.elapsed().as_secs(), 4);

    // a semaphore that several fan-outs share
    let licences = Arc::new(Semaphore::new(1));
    let begun = Instant::now();
    let render = || {
        let licences = Arc::clone(&licences);
        Branch::future("render", MINUTE, async move {
            let _licence = licences.acquire().await;
            sleep(SECOND).await;
        })
    };
    let here = runtime.fan_out(FanOut::all(), [render(), render()]);
    let there = runtime.fan_out(FanOut::all(), [render()]);
    let _ = tokio::join!(here, there);
    assert_eq!(begun.elapsed().as_secs(), 3);
    end(runtime).await;
}

/// Shows every answer the moment it is there.
struct Reader {
    shown: Arc<Mutex<Vec<String>>>,
}

enum Page {
    Read(Vec<AgentRef<Search>>),
    One(Result<String, AskError>),
}

impl Actor for Reader {
    type Message = Page;

    fn handle(&mut self, message: &Page, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        match message {
            // for next in asyncio.as_completed(searches): show(await next)
            Page::Read(sources) => {
                for source in sources {
                    context.ask(source, MINUTE, Search::Passages, Page::One);
                }
            }
            Page::One(Ok(found)) => self.shown.lock().expect("it is whole").push(found.clone()),
            Page::One(Err(_)) => {}
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn answers_as_they_complete() {
    let runtime = runtime().await;
    let sources = sources(&runtime, &[3, 2, 4]).await;
    let shown = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&shown);
    let reader = move || Reader { shown: Arc::clone(&kept) };
    let reader = runtime.spawn("reader", reader).await.expect("it starts");
    reader.send(Page::Read(sources.clone())).await.expect("it lives");
    sleep(7 * SECOND / 2).await;
    assert_eq!(*shown.lock().expect("it is whole"), ["found in 2 s", "found in 3 s"]);
    sleep(SECOND).await;

    // the same outside of an agent
    let mut answers: stream::FuturesUnordered<_> =
        sources.iter().map(|source| source.ask(MINUTE, Search::Passages)).collect();
    let mut found = Vec::new();
    while let Some(answer) = answers.next().await {
        found.push(answer.expect("it answers"));
    }
    assert_eq!(found, ["found in 2 s", "found in 3 s", "found in 4 s"]);
    drop(answers);
    end(runtime).await;
}

/// Prints lines; while it does, further ones wait in its mailbox.
#[derive(Default)]
struct Printer {
    printed: Vec<String>,
}

enum Print {
    Line(String),
    All(Reply<Vec<String>>),
}

impl Actor for Printer {
    type Message = Print;

    fn handle(&mut self, message: &Print, _: &mut Context<'_, Self>) -> Result<(), Failure> {
        match message {
            Print::Line(line) => self.printed.push(line.clone()),
            Print::All(reply) => drop(reply.send(self.printed.clone())),
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_with_a_bound() {
    let runtime = runtime().await;

    // queue = asyncio.Queue(maxsize=2), and a task that reads it
    let queue = MailboxSpec { capacity: 2, ..MailboxSpec::default() };
    let printer = runtime.spawn_with(ChildSpec::worker("printer"), queue, Printer::default).await;
    let printer = printer.expect("it starts");

    // queue.put_nowait(line) raises QueueFull: here the line comes back
    printer.try_send(Print::Line("one".into())).expect("there is room");
    printer.try_send(Print::Line("two".into())).expect("there is room");
    let refused = printer.try_send(Print::Line("three".into())).expect_err("it is full");
    assert_eq!(refused.kind, SendErrorKind::Full);

    // await queue.put(line) waits for room
    printer.send(refused.message).await.expect("it lives");
    let printed = printer.ask(SECOND, Print::All).await;
    assert_eq!(printed, Ok(vec!["one".into(), "two".into(), "three".into()]));
    end(runtime).await;
}

/// An agent with a little of everything.
#[derive(Default)]
struct Desk {
    waiting: Vec<Reply<()>>,
    lines: Vec<String>,
    asker: Option<Reply<Vec<String>>>,
    seen: Arc<Mutex<Vec<String>>>,
}

enum Job {
    Count(String, Reply<usize>),
    Counted(Reply<usize>, Result<usize, EffectError>),
    Wait(Reply<()>),
    Open,
    Read(Reply<Vec<String>>),
    Line(Result<Option<String>, EffectError>),
    Ring,
    Rang,
    Write(Reply<()>),
    Written(Result<(), EffectError>),
    Left(Reply<Option<Duration>>),
}

/// Cleans up when it is dropped: after an end, a cancellation, a deadline and a panic.
struct Draft(Arc<Mutex<Vec<String>>>);

impl Drop for Draft {
    fn drop(&mut self) {
        self.0.lock().expect("it is whole").push("cleaned up".into());
    }
}

impl Actor for Desk {
    type Message = Job;

    fn handle(&mut self, message: &Job, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        match message {
            // await asyncio.to_thread(count, text)
            Job::Count(text, reply) => {
                let (text, reply) = (text.clone(), reply.take());
                let count = move || text.split_whitespace().count();
                context.blocking("count", MINUTE, count, |n| Job::Counted(reply, n));
            }
            Job::Counted(reply, Ok(n)) => drop(reply.send(*n)),
            Job::Counted(_, Err(_)) => {}
            // await event.wait()
            Job::Wait(reply) => self.waiting.push(reply.take()),
            // event.set()
            Job::Open => {
                for reply in self.waiting.drain(..) {
                    let _ = reply.send(());
                }
            }
            // async for line in lines(): ...
            Job::Read(reply) => {
                self.asker = Some(reply.take());
                let lines = stream::iter(["a", "b", "c"]).map(str::to_owned);
                context.follow("lines", MINUTE, lines, Job::Line);
            }
            Job::Line(Ok(Some(line))) => self.lines.push(line.clone()),
            Job::Line(Ok(None)) => {
                if let Some(asker) = self.asker.take() {
                    let _ = asker.send(std::mem::take(&mut self.lines));
                }
            }
            Job::Line(Err(_)) => {}
            // loop.call_later(5, ring)
            Job::Ring => context.after(5 * SECOND, Job::Rang),
            Job::Rang => self.note("rang"),
            // try: await write() except CancelledError: ... finally: clean_up()
            Job::Write(reply) => {
                self.waiting.push(reply.take());
                let draft = Draft(Arc::clone(&self.seen));
                let write = async move {
                    let _draft = draft;
                    sleep(10 * SECOND).await;
                };
                context.effect("write", MINUTE, write, Job::Written);
            }
            Job::Written(Err(EffectError::Cancelled)) => self.note("was cancelled"),
            Job::Written(_) => self.note("has written"),
            // deadline.get() of a ContextVar
            Job::Left(reply) => {
                let left = context.deadline().map(|deadline| deadline - Instant::now());
                let _ = reply.send(left);
            }
        }
        Ok(())
    }
}

impl Desk {
    fn note(&self, what: &str) {
        self.seen.lock().expect("it is whole").push(what.into());
    }
}

async fn desk(runtime: &Runtime) -> (AgentRef<Job>, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::<Mutex<Vec<String>>>::default();
    let kept = Arc::clone(&seen);
    let desk = move || Desk { seen: Arc::clone(&kept), ..Desk::default() };
    (runtime.spawn("desk", desk).await.expect("it starts"), seen)
}

#[tokio::test(start_paused = true)]
async fn work_on_threads() {
    let runtime = runtime().await;
    let (desk, _) = desk(&runtime).await;
    let n = desk.ask(MINUTE, |reply| Job::Count("one two three".into(), reply)).await;
    assert_eq!(n, Ok(3));

    // await asyncio.gather(*(asyncio.to_thread(count, text) for text in texts))
    let texts = ["one", "one two", "one two three"];
    let counts = texts
        .map(|text| Branch::blocking("count", MINUTE, move || text.split_whitespace().count()));
    let counts = runtime.fan_out(FanOut::all().width(2), counts).await;
    assert_eq!(counts.into_all(), Ok(vec![1, 2, 3]));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_waits_for_its_reader() {
    let runtime = runtime().await;
    let (desk, _) = desk(&runtime).await;
    let lines = desk.ask(MINUTE, Job::Read).await;
    assert_eq!(lines, Ok(vec!["a".to_owned(), "b".into(), "c".into()]));

    // outside of an agent: a channel with a bound
    let (lines, mut reader) = tokio::sync::mpsc::channel(1);
    let writer = Branch::future("writer", MINUTE, async move {
        let mut n_written = 0;
        // It waits while a line waits, and ends when nobody reads.
        while lines.send(n_written).await.is_ok() {
            n_written += 1;
        }
        n_written
    });
    let reading = async move {
        let first = reader.recv().await;
        sleep(SECOND).await;
        first
    };
    let (written, first) = tokio::join!(runtime.fan_out(FanOut::all(), [writer]), reading);
    assert_eq!((written.into_values(), first), (vec![2], Some(0)));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_several_wait_for() {
    let runtime = runtime().await;
    let (desk, _) = desk(&runtime).await;
    let waiting = (0..3).map(|_| desk.branch(MINUTE, Job::Wait));
    let waiting = runtime.fan_out(FanOut::all(), waiting);
    let open = async {
        sleep(SECOND).await;
        desk.send(Job::Open).await.expect("it lives");
    };
    let (waited, ()) = tokio::join!(waiting, open);
    assert_eq!(waited.verdict(), Verdict::Complete);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn cancellation_and_clean_up() {
    let runtime = runtime().await;
    let (desk, seen) = desk(&runtime).await;

    // task = asyncio.create_task(write()), then task.cancel(): whoever asked goes away
    assert!(tokio::time::timeout(SECOND, desk.ask(MINUTE, Job::Write)).await.is_err());
    sleep(MS).await;
    assert_eq!(*seen.lock().expect("it is whole"), ["cleaned up", "was cancelled"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn timers_and_what_travels_along() {
    let runtime = runtime().await;
    let (desk, seen) = desk(&runtime).await;
    desk.send(Job::Ring).await.expect("it lives");
    sleep(6 * SECOND).await;
    assert_eq!(*seen.lock().expect("it is whole"), ["rang"]);
    assert_eq!(desk.ask(9 * SECOND, Job::Left).await, Ok(Some(9 * SECOND)));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn who_is_there_and_what_runs() {
    let runtime = runtime().await;
    let sources = sources(&runtime, &[3, 2]).await;
    let found = runtime.fan_out(FanOut::gather(), branches(&sources));
    let look = async {
        sleep(SECOND).await;
        // asyncio.all_tasks()
        let agents: Vec<_> = runtime.agents().iter().map(|agent| agent.id.to_string()).collect();
        assert_eq!(agents, ["source-0", "source-1"]);
        assert_eq!(runtime.n_tasks(), 4, "two branches, and the two searches that they wait for");
    };
    let (found, ()) = tokio::join!(found, look);
    assert_eq!(found.into_values().len(), 2);
    assert_eq!(runtime.n_tasks(), 0);
    end(runtime).await;
}

//! A tree of agents, each of which fans out to those below it: a cancellation reaches every one of them.

use std::future::Future;
use std::pin::Pin;

use super::*;

/// Levels below the root, and how many agents each agent of the tree asks.
const DEPTH: u32 = 5;
const WIDTH: usize = 3;
/// 1 + 3 + 9 + 27 + 81 + 243.
const N_AGENTS: usize = 364;

/// How soon every descendant must know.
const SOON: Duration = Duration::from_millis(100);

/// Works ten seconds itself, and asks those below it meanwhile.
struct Node {
    below: Vec<AgentRef<Visit>>,
    seen: Seen,
    waiting: Option<Reply<u64>>,
}

enum Visit {
    Go(Reply<u64>),
    Done(Gathered<u64>),
}

impl Actor for Node {
    type Message = Visit;

    fn handle(&mut self, message: &Visit, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        match message {
            Visit::Go(reply) => {
                self.waiting = Some(reply.take());
                let seen = self.seen.clone();
                let own = Branch::future("own", HOUR, async move {
                    seen.n_running.fetch_add(1, Ordering::Relaxed);
                    let running = Running(seen);
                    tokio::time::sleep(10 * SECOND).await;
                    running.0.n_finished.fetch_add(1, Ordering::Relaxed);
                    1
                });
                let below = self.below.iter().map(|agent| agent.branch(HOUR, Visit::Go));
                context.fan_out(FanOut::all(), below.chain([own]), Visit::Done);
            }
            Visit::Done(outcome) => {
                if let (Some(reply), Ok(counts)) = (self.waiting.take(), outcome.all()) {
                    let _ = reply.send(counts.into_iter().sum());
                }
            }
        }
        Ok(())
    }
}

type Planted<'a> = Pin<Box<dyn Future<Output = AgentRef<Visit>> + 'a>>;

/// A tree of so many levels below this agent.
fn plant<'a>(runtime: &'a Runtime, id: String, depth: u32, seen: &'a Seen) -> Planted<'a> {
    Box::pin(async move {
        let mut below = Vec::new();
        for i in 0..if depth == 0 { 0 } else { WIDTH } {
            below.push(plant(runtime, format!("{id}-{i}"), depth - 1, seen).await);
        }
        let seen = seen.clone();
        let factory = move || Node { below: below.clone(), seen: seen.clone(), waiting: None };
        runtime.spawn(id, factory).await.expect("it starts")
    })
}

struct Tree {
    runtime: Runtime,
    root: AgentRef<Visit>,
    seen: Seen,
}

impl Tree {
    async fn new() -> Self {
        let (runtime, seen) = (runtime().await, Seen::default());
        let root = plant(&runtime, "root".into(), DEPTH, &seen).await;
        Self { runtime, root, seen }
    }

    /// Every agent is at work, or none is, and nothing is left in the latter case.
    #[track_caller]
    fn check(&self, n_running: usize) {
        assert_eq!(self.seen.n_running(), n_running);
        if n_running == 0 {
            assert_eq!(self.runtime.n_tasks(), 0);
            assert_eq!(self.seen.n_finished(), 0);
        }
    }

    async fn end(self) {
        end(self.runtime).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_tree_answers() {
    let tree = Tree::new().await;
    assert_eq!(tree.root.ask(HOUR, Visit::Go).await, Ok(N_AGENTS as u64));
    tree.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_question_that_is_dropped_reaches_every_descendant_within_100_ms() {
    let tree = Tree::new().await;
    let question = tree.root.ask(HOUR, Visit::Go);
    assert!(tokio::time::timeout(SECOND, question).await.is_err());
    tree.check(N_AGENTS);
    tokio::time::sleep(SOON).await;
    tree.check(0);
    tree.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_question_reaches_every_descendant_within_100_ms() {
    let tree = Tree::new().await;
    let late = tree.root.ask(SECOND, Visit::Go).await;
    assert_eq!(late, Err(AskError::TimedOut(SECOND)));
    tokio::time::sleep(SOON).await;
    tree.check(0);
    tree.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_root_reaches_every_descendant_within_100_ms() {
    let tree = Tree::new().await;
    let stop = async {
        tokio::time::sleep(SECOND).await;
        tree.check(N_AGENTS);
        tree.runtime.supervisor().terminate_child("root").await.expect("it stops");
        tokio::time::sleep(SOON).await;
        tree.check(0);
    };
    let (answer, ()) = tokio::join!(tree.root.ask(HOUR, Visit::Go), stop);
    assert!(answer.is_err());
    tree.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_deep_in_the_tree_cancels_all_of_it_within_100_ms() {
    let tree = Tree::new().await;
    let crash = async {
        tokio::time::sleep(SECOND).await;
        tree.check(N_AGENTS);
        tree.runtime.supervisor().terminate_child("root-1-0-2-1-0").await.expect("it stops");
        tokio::time::sleep(SOON).await;
        tree.check(0);
    };
    let (answer, ()) = tokio::join!(tree.root.ask(HOUR, Visit::Go), crash);
    assert_eq!(answer, Err(AskError::NoReply), "every level gives up: all or nothing");
    tree.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_winner_of_a_race_cancels_the_loser_and_all_below_it_within_100_ms() {
    let tree = Tree::new().await;
    let quick = Branch::future("quick", HOUR, async {
        tokio::time::sleep(SECOND).await;
        0
    });
    let branches = [tree.root.branch(HOUR, Visit::Go), quick];
    let outcome = tree.runtime.fan_out(FanOut::race(), branches).await;
    assert_eq!(outcome.into_first(), Ok(0));
    tokio::time::sleep(SOON).await;
    tree.check(0);
    tree.end().await;
}

/// Asks its neighbour by a fan-out and says what came of it.
struct Relay {
    next: Arc<Mutex<Option<AgentRef<Pass>>>>,
    waiting: Option<Reply<String>>,
}

enum Pass {
    On(Reply<String>),
    Back(Gathered<String>),
}

impl Actor for Relay {
    type Message = Pass;

    fn handle(&mut self, message: &Pass, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        match message {
            Pass::On(reply) => {
                self.waiting = Some(reply.take());
                let next = self.next.lock().expect("no test panics here").clone();
                let branch = next.expect("it has a neighbour").branch(HOUR, Pass::On);
                context.fan_out(FanOut::all(), [branch], Pass::Back);
            }
            Pass::Back(outcome) => {
                let told = match outcome.first() {
                    Ok(told) => told.clone(),
                    Err(error) => error.to_string(),
                };
                if let Some(reply) = self.waiting.take() {
                    let _ = reply.send(told);
                }
            }
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_cycle_through_fan_outs_is_named() {
    let runtime = runtime().await;
    let (to_a, to_b) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(None)));
    let spawn = async |id: &str, next: &Arc<Mutex<Option<AgentRef<Pass>>>>| {
        let next = Arc::clone(next);
        let factory = move || Relay { next: Arc::clone(&next), waiting: None };
        runtime.spawn(id.to_owned(), factory).await.expect("it starts")
    };
    let (a, b) = (spawn("a", &to_b).await, spawn("b", &to_a).await);
    *to_a.lock().expect("no test panics here") = Some(a.clone());
    *to_b.lock().expect("no test panics here") = Some(b);
    let answer = a.ask(HOUR, Pass::On).await;
    assert_eq!(answer, Ok("the question would wait for itself: a -> b -> a".to_owned()));
    end(runtime).await;
}

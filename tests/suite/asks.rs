//! Asks: what a question takes along to the next one, and questions that would wait for themselves.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenroom_core::fanout::FanOut;
use greenroom_runtime::{
    Actor, AgentRef, AskError, CancellationToken, Context, EffectError, Failure, Gathered, Reply,
    Runtime,
};
use tokio::time::Instant;

use crate::support::{end, end_beside, runtime};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

type Answer = Result<u32, AskError>;
type Hook = Box<dyn Fn(&mut Context<'_, Node>) + Send>;
type AskHook = Box<dyn Fn(&mut Context<'_, Node>, Reply<Answer>) + Send>;

/// An actor that does what its messages say.
struct Node;

enum Message {
    Do(Hook),
    Ask(AskHook, Reply<Answer>),
}

impl Actor for Node {
    type Message = Message;

    fn handle(
        &mut self,
        message: &Message,
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        match message {
            Message::Do(hook) => hook(context),
            Message::Ask(hook, reply) => hook(context, reply.take()),
        }
        Ok(())
    }
}

type Nodes = Vec<AgentRef<Message>>;

async fn nodes<const N: usize>(runtime: &Runtime, names: [&str; N]) -> Nodes {
    let mut nodes = Vec::new();
    for name in names {
        nodes.push(runtime.spawn(name, || Node).await.expect("it starts"));
    }
    nodes
}

fn then(hook: impl Fn(&mut Context<'_, Node>) + Send + 'static) -> Message {
    Message::Do(Box::new(hook))
}

/// A message that is asked with this hook.
fn ask(
    hook: impl Fn(&mut Context<'_, Node>, Reply<Answer>) + Send + 'static,
) -> impl FnOnce(Reply<Answer>) -> Message + Send + 'static {
    move |reply| Message::Ask(Box::new(hook), reply)
}

fn flat(answer: &Result<Answer, AskError>) -> Answer {
    answer.clone().and_then(|answer| answer)
}

/// Passes an answer on.
fn pass(reply: Reply<Answer>) -> impl FnOnce(Result<Answer, AskError>) -> Message + Send {
    move |answer| {
        then(move |_| {
            let _ = reply.send(flat(&answer));
        })
    }
}

/// Asks the first of the route to ask the next; the last one answers.
fn relay(route: Nodes) -> impl Fn(&mut Context<'_, Node>, Reply<Answer>) + Send + 'static {
    move |context, reply| {
        let Some((next, rest)) = route.split_first() else {
            let _ = reply.send(Ok(1));
            return;
        };
        context.ask(next, HOUR, ask(relay(rest.to_vec())), pass(reply));
    }
}

/// The answer to a question that takes this route, from outside.
async fn along(route: Nodes) -> Answer {
    let (first, rest) = route.split_first().expect("somebody is asked");
    flat(&first.ask(HOUR, ask(relay(rest.to_vec()))).await)
}

#[tokio::test(start_paused = true)]
async fn a_question_that_comes_back_to_whoever_waits_for_it_is_refused_by_name() {
    let runtime = runtime().await;
    let nodes = nodes(&runtime, ["a", "b", "c", "d"]).await;
    let check = async |route: &[usize], expect: Result<u32, &str>| {
        let since = Instant::now();
        let answer = along(route.iter().map(|i| nodes[*i].clone()).collect()).await;
        if let Err(AskError::Cycle { path }) = &answer {
            assert_eq!(path.first(), path.last(), "it ends where it begins");
        }
        let answer = answer.map_err(|error| error.to_string());
        let expect = expect.map_err(|path| format!("the question would wait for itself: {path}"));
        assert_eq!(answer, expect, "{route:?}");
        assert!(since.elapsed() < SECOND, "at once");
    };
    check(&[0, 0], Err("a -> a")).await;
    check(&[0, 1, 0], Err("a -> b -> a")).await;
    check(&[0, 1, 2, 3, 1], Err("b -> c -> d -> b")).await;
    check(&[0, 1, 2, 3, 0], Err("a -> b -> c -> d -> a")).await;
    check(&[0, 1, 2, 3], Ok(1)).await;
    // After all that, nobody waits any more.
    check(&[3, 2, 1, 0], Ok(1)).await;
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_cycle_is_seen_across_several_steps_of_one_answer_and_inside_an_effect() {
    let runtime = runtime().await;
    let nodes = nodes(&runtime, ["a", "b"]).await;
    let back = nodes[0].clone();
    let late = ask(move |context: &mut Context<'_, Node>, reply: Reply<Answer>| {
        let back = back.clone();
        context.effect("slow", HOUR, tokio::time::sleep(SECOND), move |_| {
            then(move |context| {
                let origin = context.origin();
                let (back, reply) = (back.clone(), reply.take());
                let inside =
                    async move { back.ask_from(&origin, HOUR, ask(relay(Vec::new()))).await };
                context.effect("inside", HOUR, inside, |outcome| {
                    pass(reply)(outcome.expect("it ends"))
                });
            })
        });
    });
    let late = Mutex::new(Some(late));
    let b = nodes[1].clone();
    let first = ask(move |context, reply| {
        let late = late.lock().expect("no test panics here").take().expect("asked once");
        context.ask(&b, HOUR, late, pass(reply));
    });
    let answer = flat(&nodes[0].ask(HOUR, first).await);
    let path = vec!["a".into(), "b".into(), "a".into()];
    assert_eq!(answer, Err(AskError::Cycle { path }));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_cycle_through_a_branch_of_a_fan_out_fails_that_branch_alone() {
    let runtime = runtime().await;
    let nodes = nodes(&runtime, ["a", "b", "c"]).await;
    let (seen, all) = (Arc::new(Mutex::new(Vec::new())), nodes.clone());
    let note = Arc::clone(&seen);
    let question = ask(move |context, reply| {
        let back = all[1].branch(HOUR, ask(relay(vec![all[0].clone()])));
        let forth = all[2].branch(HOUR, ask(relay(Vec::new())));
        let note = Arc::clone(&note);
        context.fan_out(FanOut::gather(), [back, forth], move |gathered: Gathered<Answer>| {
            *note.lock().expect("no test panics here") = gathered.into_values();
            then(move |_| drop(reply.send(Ok(1))))
        });
    });
    assert_eq!(nodes[0].ask(HOUR, question).await, Ok(Ok(1)));
    let path = vec!["a".into(), "b".into(), "a".into()];
    let expect = [Err(AskError::Cycle { path }), Ok(1)];
    assert_eq!(*seen.lock().expect("no test panics here"), expect);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn questions_that_only_look_like_a_cycle_are_answered() {
    let (runtime, other) = (runtime().await, runtime().await);
    let all = nodes(&runtime, ["a", "b"]).await;
    let (a, b) = (all[0].clone(), all[1].clone());
    // Two questions that know nothing of each other.
    let slowly = |to: &AgentRef<Message>| {
        let to = to.clone();
        ask(move |context: &mut Context<'_, Node>, reply: Reply<Answer>| {
            let to = to.clone();
            context.effect("slow", HOUR, tokio::time::sleep(SECOND), move |_| {
                then(move |context| {
                    context.ask(&to, HOUR, ask(relay(Vec::new())), pass(reply.take()));
                })
            });
        })
    };
    let (left, right) = tokio::join!(a.ask(HOUR, slowly(&b)), b.ask(HOUR, slowly(&a)));
    assert_eq!((flat(&left), flat(&right)), (Ok(1), Ok(1)));
    // One that was answered: whoever asked it waits no more.
    let back = a.clone();
    let heard = Arc::new(Mutex::new(None));
    let note = Arc::clone(&heard);
    let answered = ask(move |context, reply| {
        let _ = reply.send(Ok(2));
        let note = Arc::clone(&note);
        context.ask(&back, HOUR, ask(relay(Vec::new())), move |answer| {
            *note.lock().expect("no test panics here") = Some(flat(&answer));
            then(|_| {})
        });
    });
    let answered = Mutex::new(Some(answered));
    let to = b.clone();
    let first = ask(move |context, reply| {
        let answered = answered.lock().expect("no test panics here").take().expect("asked once");
        context.ask(&to, HOUR, answered, pass(reply));
    });
    assert_eq!(flat(&a.ask(HOUR, first).await), Ok(2));
    tokio::time::sleep(SECOND).await;
    assert_eq!(heard.lock().expect("no test panics here").take(), Some(Ok(1)));
    let last = Arc::clone(&heard);
    // One further up that was answered: `b` asks on for `a`, and `x` has its answer.
    let x = nodes(&runtime, ["x"]).await.remove(0);
    let (to, back) = (b.clone(), x.clone());
    let early = ask(move |context, reply| {
        let back = back.clone();
        let later = ask(move |context: &mut Context<'_, Node>, reply: Reply<Answer>| {
            let back = back.clone();
            context.effect("slow", HOUR, tokio::time::sleep(SECOND), move |_| {
                then(move |context| {
                    context.ask(&back, HOUR, ask(relay(Vec::new())), pass(reply.take()));
                })
            });
        });
        let note = Arc::clone(&heard);
        context.ask(&to, HOUR, later, move |answer| {
            *note.lock().expect("no test panics here") = Some(flat(&answer));
            then(|_| {})
        });
        let _ = reply.send(Ok(3));
    });
    let early = Mutex::new(Some(early));
    let to = a.clone();
    let first = ask(move |context, reply| {
        let early = early.lock().expect("no test panics here").take().expect("asked once");
        context.ask(&to, HOUR, early, pass(reply));
    });
    assert_eq!(flat(&x.ask(HOUR, first).await), Ok(3));
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(last.lock().expect("no test panics here").take(), Some(Ok(1)));
    // Two agents of one name, in two runtimes.
    let twin = nodes(&other, ["a"]).await.remove(0);
    assert_eq!(along(vec![a.clone(), twin, b.clone()]).await, Ok(1));
    // An ask outside the context begins anew: the way to write one that is meant to come back.
    let (to, back) = (b.clone(), a.clone());
    let outside = ask(move |context, reply| {
        let (to, back) = (to.clone(), back.clone());
        let work = async move { to.ask(HOUR, ask(relay(vec![back]))).await };
        context.effect("outside", HOUR, work, |outcome| pass(reply)(outcome.expect("it ends")));
    });
    assert_eq!(flat(&a.ask(HOUR, outside).await), Ok(1));
    end_beside(runtime).await;
    end(other).await;
}

#[tokio::test(start_paused = true)]
async fn a_very_long_way_is_bounded_and_still_known_at_its_beginning() {
    let runtime = runtime().await;
    let mut route = Nodes::new();
    for i in 0..140 {
        route.push(runtime.spawn(format!("n{i}"), || Node).await.expect("it starts"));
    }
    assert_eq!(along(route.clone()).await, Ok(1));
    route.push(route[3].clone());
    let Err(AskError::Cycle { path }) = along(route).await else { panic!("it is seen") };
    assert_eq!((path.first(), path.last()), (Some(&"n3".into()), Some(&"n3".into())));
    assert_eq!(path.len(), 128 - 3 + 2, "those that fit, the one that asks, and the first again");
    end(runtime).await;
}

/// What somebody noticed, in order.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn push(&self, what: impl Into<String>) {
        self.0.lock().expect("no test panics here").push(what.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("no test panics here"))
    }

    /// The time that is left for the question being handled.
    fn left(&self, name: &str, context: &Context<'_, Node>) {
        let left = context.deadline().map(|at| (at - Instant::now()).as_secs());
        self.push(format!("{name} has {left:?}"));
    }

    fn outcome<T>(
        &self,
        name: &'static str,
    ) -> impl FnOnce(Result<T, EffectError>) -> Message + Send + use<T> {
        let notes = self.clone();
        move |outcome| {
            if let Err(error) = outcome {
                notes.push(format!("{name}: {error}"));
            }
            then(move |context| notes.left(&format!("after {name}"), context))
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_question_holds_for_every_step_and_every_agent_of_its_answer() {
    let runtime = runtime().await;
    let nodes = nodes(&runtime, ["a", "b"]).await;
    let notes = Notes::default();
    let (b, note) = (nodes[1].clone(), notes.clone());
    // `a` works for four seconds, and then asks `b` for an hour; `b` works for an hour.
    let first = ask(move |context, reply| {
        note.left("a", context);
        let (b, note) = (b.clone(), note.clone());
        context.effect("slow", HOUR, tokio::time::sleep(4 * SECOND), move |_| {
            then(move |context| {
                note.left("a, later,", context);
                let note = note.clone();
                let second = ask(move |context, reply| {
                    note.left("b", context);
                    let keep = reply;
                    context.blocking("block", 2 * SECOND, || (), note.outcome("short"));
                    let work = tokio::time::sleep(HOUR);
                    let outcome = note.outcome("work");
                    context.effect("work", HOUR, work, move |done| {
                        drop(keep);
                        outcome(done)
                    });
                });
                context.ask(&b, HOUR, second, pass(reply.take()));
            })
        });
    });
    let since = Instant::now();
    let answer = nodes[0].ask(10 * SECOND, first).await;
    assert!(matches!(answer, Err(AskError::TimedOut(_)) | Ok(Err(AskError::TimedOut(_)))));
    assert_eq!(since.elapsed(), 10 * SECOND);
    tokio::time::sleep(SECOND).await;
    let expect = [
        "a has Some(10)",
        "a, later, has Some(6)",
        "b has Some(6)",
        "after short has Some(6)",
        "work: not done within 6s",
        "after work has None",
    ];
    assert_eq!(notes.take(), expect);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_smaller_deadline_of_its_own_stays_and_work_that_is_not_for_the_asker_is_not_limited() {
    let runtime = runtime().await;
    let node = nodes(&runtime, ["a"]).await.remove(0);
    let notes = Notes::default();
    let note = notes.clone();
    let question = ask(move |context, reply| {
        let wait = || tokio::time::sleep(2 * SECOND);
        context.effect("own", SECOND, wait(), note.outcome("own"));
        context.shielded("shielded", HOUR, tokio::time::sleep(20 * SECOND), note.outcome("shield"));
        let token = CancellationToken::new();
        context.cancellable("token", HOUR, token, wait(), note.outcome("token"));
        let tick = note.clone();
        context.after(3 * SECOND, then(move |context| tick.left("tick", context)));
        // Answered: what is started now is the actor's own.
        let note = note.clone();
        context.effect("answer", HOUR, tokio::time::sleep(4 * SECOND), move |_| {
            then(move |context| {
                let _ = reply.send(Ok(7));
                note.left("answered", context);
                context.effect("work", HOUR, tokio::time::sleep(30 * SECOND), note.outcome("work"));
            })
        });
    });
    assert_eq!(node.ask(10 * SECOND, question).await, Ok(Ok(7)));
    tokio::time::sleep(60 * SECOND).await;
    let expect = [
        "own: not done within 1s",
        "after own has Some(9)",
        "after token has None",
        "tick has None",
        "answered has None",
        "after shield has None",
        "after work has None",
    ];
    assert_eq!(notes.take(), expect);
    end(runtime).await;
}

/// Notes when it is dropped.
struct Gone(Notes, &'static str, Instant);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.push(format!("{} after {:?}", self.1, self.2.elapsed()));
    }
}

/// Works for an hour, asks the first of the route to do the same, and answers nobody.
fn work(
    notes: Notes,
    begun: Instant,
    route: Vec<(&'static str, Option<AgentRef<Message>>)>,
) -> impl Fn(&mut Context<'_, Node>, Reply<Answer>) + Send + 'static {
    move |context, reply| {
        let Some(((name, next), rest)) = route.split_first() else { return };
        let gone = Gone(notes.clone(), name, begun);
        let hour = async move {
            let _gone = gone;
            tokio::time::sleep(HOUR).await;
        };
        context.effect("work", HOUR, hour, |_| then(|_| {}));
        if let Some(next) = next {
            let below = work(notes.clone(), begun, rest.to_vec());
            context.ask(next, HOUR, ask(below), pass(reply));
        } else {
            context.after(HOUR, then(move |_| drop(reply.take())));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_the_asker_cancels_the_work_of_every_agent_below_it() {
    let runtime = runtime().await;
    let nodes = nodes(&runtime, ["a", "b", "c"]).await;
    let (notes, begun) = (Notes::default(), Instant::now());
    let route = vec![("a", Some(nodes[1].clone())), ("b", Some(nodes[2].clone())), ("c", None)];
    let question = nodes[0].ask(HOUR, ask(work(notes.clone(), begun, route)));
    let asked = tokio::time::timeout(SECOND, question).await;
    assert!(asked.is_err(), "it was dropped");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut gone = notes.take();
    gone.sort();
    assert_eq!(gone, ["a after 1s", "b after 1s", "c after 1s"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_tries_again_after_its_asker_has_gone_does_so_at_its_own_pace() {
    fn attempt(n_attempts: &Arc<AtomicU32>, context: &mut Context<'_, Node>) {
        let n_attempts = Arc::clone(n_attempts);
        assert!(n_attempts.fetch_add(1, Ordering::Relaxed) < 1000, "it spins");
        context.effect("try", HOUR, tokio::time::sleep(SECOND), move |_| {
            then(move |context| attempt(&n_attempts, context))
        });
    }
    let runtime = runtime().await;
    let node = nodes(&runtime, ["a"]).await.remove(0);
    let n_attempts = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&n_attempts);
    let kept = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&kept);
    let question = ask(move |context, reply| {
        *keep.lock().expect("no test panics here") = Some(reply);
        attempt(&count, context);
    });
    assert_eq!(node.ask(3 * SECOND, question).await, Err(AskError::TimedOut(3 * SECOND)));
    tokio::time::sleep(10 * SECOND).await;
    let n_attempts = n_attempts.load(Ordering::Relaxed);
    assert!((10..20).contains(&n_attempts), "{n_attempts} in 13 seconds, each of one");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_question_without_time_is_not_asked() {
    let runtime = runtime().await;
    let node = nodes(&runtime, ["a"]).await.remove(0);
    let unasked = ask(|_, _| panic!("it was handled"));
    assert_eq!(node.ask(Duration::ZERO, unasked).await, Err(AskError::TimedOut(Duration::ZERO)));
    assert_eq!(node.info().n_admitted, 0);
    end(runtime).await;
}

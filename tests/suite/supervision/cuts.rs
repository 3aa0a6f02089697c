//! Everything is cut off at every point at which a run can wait: what the journal holds then is whole.

use std::sync::Arc;

use futures_util::FutureExt;
use greenroom_core::agent::{self, AgentSpec};
use greenroom_core::ids::{RunId, StreamId};
use greenroom_core::journal::{Event, Journal, MemoryJournal, Recorded};
use greenroom_core::router::{self, RouterSpec};
use greenroom_core::time::Timestamp;
use greenroom_runtime::{Runtime, SystemClock};
use greenroom_testkit::ScriptedModel;

use crate::teams::{QUESTION, calculator, docs, extract};

/// Far more tasks are polled than a run needs.
const TICKS_MAX: usize = 20_000;

/// What a cut leaves.
struct Cut {
    journal: MemoryJournal,
    n_calls: usize,
    /// The run, if it was over before it was cut.
    over: Option<RunId>,
}

/// Runs a team for so many polls of tasks, and then drops all of it where it stands.
fn cut_after(n_ticks: usize) -> Cut {
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        // After each task, the one that counts has its turn.
        .event_interval(1)
        .build()
        .expect("a runtime");
    let journal = MemoryJournal::new();
    let model = ScriptedModel::answering(extract);
    let calls = model.calls();
    let stored = journal.clone();
    let over = tokio.block_on(async move {
        let work = async move {
            let clock = SystemClock::starting_at(Timestamp::from_millis(1000));
            let runtime = Runtime::builder().seed(42).journal(stored).clock(clock).start().await;
            let runtime = runtime.expect("it starts");
            let team = runtime.team().model(model).source(docs()).tools(calculator()).start().await;
            let run = team.expect("it starts").ask(QUESTION).await.expect("accepted");
            let id = run.id();
            run.outcome().await;
            id
        };
        let mut work = Box::pin(work);
        for _ in 0..n_ticks {
            if let Some(id) = work.as_mut().now_or_never() {
                return Some(id);
            }
            tokio::task::yield_now().await;
        }
        None
    });
    // Every task is dropped at the point at which it waits.
    drop(tokio);
    Cut { journal, n_calls: calls.n_begun(), over }
}

fn streams(journal: &MemoryJournal, run: RunId) -> Vec<(StreamId, Vec<Recorded>)> {
    let streams = journal.streams(run).now_or_never().expect("in memory").expect("in memory");
    let load = |stream: &StreamId| journal.load(stream).now_or_never().expect("in memory");
    streams.into_iter().map(|stream| (stream.clone(), load(&stream).expect("in memory"))).collect()
}

/// A stream folds into a machine that is done or knows what to do next.
fn goes_on(stream: &StreamId, events: &[Recorded]) -> bool {
    if stream.path().is_empty() {
        let mut machine = router::Machine::new(Arc::new(RouterSpec::new([])));
        events.iter().for_each(|recorded| machine.apply(&recorded.event));
        machine.outcome().is_some() || !machine.decide().is_empty() || !machine.resume().is_empty()
    } else {
        let mut machine = agent::Machine::new(Arc::new(AgentSpec::new("any")), 7);
        events.iter().for_each(|recorded| machine.apply(&recorded.event));
        let resume = machine.resume();
        let has_work = !resume.events.is_empty() || !resume.commands.is_empty();
        machine.is_done() || !machine.decide().is_empty() || has_work
    }
}

#[test]
fn sup_k03_a_run_that_is_cut_at_every_point_leaves_a_journal_that_is_whole() {
    let whole = cut_after(TICKS_MAX);
    let run = whole.over.expect("the run is over");
    let complete = streams(&whole.journal, run);
    assert!(complete.len() >= 4, "a router, a planner, a researcher and a writer: {complete:#?}");

    let mut lengths = std::collections::BTreeSet::new();
    let mut n_ticks = 0;
    loop {
        let cut = cut_after(n_ticks);
        let left = streams(&cut.journal, run);
        let mut n_intents = 0;
        for (stream, events) in &left {
            let full = complete.iter().find(|(id, _)| id == stream).map(|(_, events)| events);
            let full = full.unwrap_or_else(|| panic!("{stream} is not in the whole journal"));
            assert!(full.starts_with(events), "{stream} after {n_ticks} polls: {events:#?}");
            assert!(goes_on(stream, events), "{stream} after {n_ticks} polls: {events:#?}");
            let is_intent = |r: &&Recorded| matches!(r.event, Event::ModelCalled { .. });
            n_intents += events.iter().filter(is_intent).count();
        }
        assert!(cut.n_calls <= n_intents, "a model was called before that was stored");
        lengths.insert(left.iter().map(|(_, events)| events.len()).sum::<usize>());
        n_ticks += 1;
        if cut.over.is_some() {
            break;
        }
        assert!(n_ticks < TICKS_MAX, "the run does not end");
    }
    assert!(n_ticks > 100, "only {n_ticks} points");
    let n_events: usize = complete.iter().map(|(_, events)| events.len()).sum();
    assert!(lengths.len() > n_events / 2, "{} of {n_events} lengths were seen", lengths.len());
}

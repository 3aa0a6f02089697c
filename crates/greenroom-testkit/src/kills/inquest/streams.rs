//! What the streams of the runs say: whether they can be read, what was spent, who answered, and whether
//! anything happened twice.

use std::collections::{BTreeMap, BTreeSet};

use greenroom_core::approval::{Ask, Decision};
use greenroom_core::budget::Usage;
use greenroom_core::ids::{RunId, StreamId};
use greenroom_core::journal::{Event, Recorded};
use greenroom_core::tool::{EffectClass, idempotency_key};

use crate::kills::invariant::{Invariant, Violation};
use crate::kills::stored::{Intent, Stored, place};
use crate::kills::witness::{Note, Noted};

/// I5: every stream can be read.
pub(super) fn unreadable(stored: &Stored, violations: &mut Vec<Violation>) {
    let errors = stored.unreadable.iter();
    violations.extend(errors.map(|error| Violation::new(Invariant::I5, error.to_string())));
}

/// The streams of a run, the root first.
fn run(stored: &Stored, run: RunId) -> impl Iterator<Item = &Recorded> {
    let of_run = stored.streams.iter().filter(move |(stream, _)| stream.run() == Some(run));
    of_run.flat_map(|(_, events)| events)
}

/// I6: every call of a model that somebody saw is counted, no more calls were made than the budget allows, and
/// the outcome counts all that was spent.
pub(super) fn limits(notes: &[Noted], stored: &Stored, violations: &mut Vec<Violation>) {
    let seen = seen(notes, stored);
    for head in &stored.heads {
        let (mut spent, mut bounds, mut told) = (Usage::default(), Vec::new(), None);
        for Recorded { event, .. } in run(stored, head.run) {
            event.spend(&mut spent);
            match event {
                Event::RunBound { budget, .. } => bounds.push(budget),
                Event::RunFinished { outcome } => told = Some(outcome.usage),
                Event::TaskFinished { result: Ok(report) } if told.is_none() => {
                    told = Some(report.usage);
                }
                _ => {}
            }
        }
        let mut found = |what| violations.push(Violation::new(Invariant::I6, what));
        let run = head.run;
        let (n_asked, n_called) = seen.get(&run.to_string()).copied().unwrap_or_default();
        if n_asked > spent.model_calls || n_called > spent.tool_calls {
            let what = format!("run {run} made {n_asked} calls of models and {n_called} of tools");
            found(format!("{what}, and counted {spent:?}"));
        }
        if bounds.len() > 1 {
            found(format!("run {run} was given a budget and a deadline {} times", bounds.len()));
        }
        if let Some(budget) = bounds.first() {
            let limits = (budget.model_calls_max, budget.tool_calls_max);
            if spent.model_calls > limits.0 || spent.tool_calls > limits.1 {
                found(format!("run {run} spent {spent:?}, and was given {limits:?} calls"));
            }
        }
        if let Some(told) = told
            && (told.model_calls < spent.model_calls || told.tokens() < spent.tokens())
        {
            found(format!("run {run} says that it spent {told:?}, and spent {spent:?}"));
        }
    }
}

/// How many calls of models and of tools each run was seen to make. Those of a plan are no agent's and count as
/// tasks; those that are never made again are counted by I3. What an actor made again that was restarted in the same
/// process is in the account of that process.
fn seen(notes: &[Noted], stored: &Stored) -> BTreeMap<String, (u64, u64)> {
    let intents = stored.intents();
    let mut seen: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut made = BTreeSet::new();
    for Noted { life, note, .. } in notes {
        let (Note::Asked { key, .. } | Note::Called { key, .. }) = note else { continue };
        if !made.insert((life, key)) {
            continue;
        }
        let run = key.split('/').next().unwrap_or_default();
        let (n_asked, n_called) = seen.entry(run.to_owned()).or_default();
        match note {
            Note::Asked { .. } => *n_asked += 1,
            Note::Called { effect: EffectClass::AtMostOnce, .. } => {}
            _ if matches!(intents.get(place(key)), Some(Intent::Agent { .. })) => *n_called += 1,
            _ => {}
        }
    }
    seen
}

/// I6: boots without a result are counted on.
pub(super) fn boots(stored: &Stored, violations: &mut Vec<Violation>) {
    for head in &stored.heads {
        let root = StreamId::root(head.run);
        // Whoever waits for people has killed nobody, and begins to count anew.
        let waits = |recorded: &Recorded| {
            matches!(recorded.event, Event::PersonAsked { .. } | Event::WorkPaused)
        };
        if run(stored, head.run).any(waits) {
            continue;
        }
        let mut before = None;
        for recorded in stored.streams.get(&root).into_iter().flatten() {
            match &recorded.event {
                Event::RunClaimed { boot, n_results, .. } => {
                    let expected = before
                        .filter(|(_, results)| results == n_results)
                        .map(|(boot, _): (u32, u64)| boot + 1);
                    if expected.is_some_and(|expected| expected != *boot) {
                        let what = format!("run {}: boot {boot} after {before:?}", head.run);
                        violations.push(Violation::new(Invariant::I6, what));
                    }
                    before = Some((*boot, *n_results));
                }
                Event::RunReleased | Event::RunQuarantined { .. } => before = None,
                _ => {}
            }
        }
    }
}

/// I6: an answer of a person that counted is stored, and no call is made against one or without one.
pub(super) fn approvals(notes: &[Noted], stored: &Stored, violations: &mut Vec<Violation>) {
    let (mut asked, mut answers) = (BTreeSet::new(), BTreeMap::new());
    let mut keys = BTreeMap::new();
    for (stream, event) in stored.events() {
        match event {
            Event::PersonAsked { call, tool, arguments, ask, .. } => {
                let key = idempotency_key(stream, call, tool, arguments).to_string();
                keys.insert((stream, call), key.clone());
                if *ask == Ask::Approval && !asked.insert(key.clone()) {
                    let what = format!("a person was asked twice about {key}");
                    violations.push(Violation::new(Invariant::I6, what));
                }
            }
            Event::PersonAnswered { call, decision, .. } => {
                if let Some(key) = keys.get(&(stream, call)) {
                    answers.entry(key.clone()).or_insert(*decision == Decision::Approved);
                }
            }
            _ => {}
        }
    }
    for Noted { note, .. } in notes {
        let (key, is_wrong) = match note {
            Note::Called { key, .. } if asked.contains(key) => {
                (key, answers.get(key) != Some(&true))
            }
            Note::Decided { key, is_approved } => (key, answers.get(key) != Some(is_approved)),
            _ => continue,
        };
        if is_wrong {
            let stored = answers.get(key);
            let what = format!("{note:?}, and the answer that is stored is {stored:?}");
            violations.push(Violation::new(Invariant::I6, what));
        }
    }
}

/// I7: nothing that happens once is stored twice, and nothing follows an end.
pub(super) fn doubled(stored: &Stored, violations: &mut Vec<Violation>) {
    for (stream, events) in &stored.streams {
        let mut seen = BTreeSet::new();
        let mut is_over = false;
        for Recorded { seq, event, .. } in events {
            let once = match event {
                Event::RunAccepted { .. } => Some("acceptance".to_owned()),
                Event::TaskStarted { .. } => Some("start".to_owned()),
                Event::GatheringEnded => Some("end of its gathering".to_owned()),
                Event::ModelReplied { turn, .. } => Some(format!("reply of turn {turn}")),
                Event::ToolStarted { call, .. } => Some(format!("intent of {call}")),
                Event::ToolFinished { call, .. } => Some(format!("outcome of {call}")),
                Event::TaskReported { task, .. } => Some(format!("report of {task}")),
                Event::RunFinished { .. } | Event::TaskFinished { .. } => Some("end".to_owned()),
                _ => None,
            };
            if let Some(once) = once.filter(|once| !seen.insert(once.clone())) {
                let what = format!("{stream} has a second {once}");
                violations.push(Violation::new(Invariant::I7, what));
            }
            if is_over {
                let what = format!("{stream} goes on after its end, at {seq}");
                violations.push(Violation::new(Invariant::I7, what));
            }
            is_over |= event.is_terminal();
        }
    }
}

//! What became of runs, from what a witness saw of their processes and what the journal holds in the end.

mod calls;
mod streams;

use std::collections::{BTreeMap, BTreeSet};

use greenroom_core::journal::Journal;
use greenroom_core::message::{Message, ToolOutcome};
use greenroom_core::tool::ToolErrorKind;

use super::history::unpaired;
use super::invariant::{Invariant, Violation};
use super::stored::Stored;
use super::witness::{Note, Noted, Witness};

/// What a run comes to when nobody kills it. Its models and tools must answer the same always.
#[derive(Debug, Clone, PartialEq)]
pub struct Calm {
    says: BTreeSet<String>,
    /// What models were asked, by their keys without the run.
    asked: BTreeMap<String, Vec<Message>>,
}

impl Calm {
    /// What this witness saw, of processes that lived to their ends.
    #[must_use]
    pub fn of(witness: &Witness) -> Self {
        let (mut says, mut asked) = (BTreeSet::new(), BTreeMap::new());
        for Noted { note, .. } in witness.notes() {
            match note {
                Note::Answered { says: text, .. } => drop(says.insert(text)),
                Note::Asked { key, messages } => {
                    drop(asked.insert(without_run(&key).to_owned(), messages));
                }
                _ => {}
            }
        }
        Self { says, asked }
    }
}

/// A key without the run that it begins with.
fn without_run(key: &str) -> &str {
    key.split_once('/').map_or("", |(_, rest)| rest)
}

/// Looks into what became of runs after their processes died, and says what is wrong. An empty answer means
/// that every [`Invariant`] holds.
///
/// It is held when a last process has come to its end: every run that was accepted must be finished. With
/// `calm`, what people and models were told must be what they are told when nobody dies; the outcome of a call
/// may be that it is in doubt.
pub async fn inquest(
    witness: &Witness,
    journal: &dyn Journal,
    calm: Option<&Calm>,
) -> Vec<Violation> {
    let stored = match Stored::read(journal).await {
        Ok(stored) => stored,
        Err(error) => return vec![Violation::new(Invariant::I5, error.to_string())],
    };
    let notes = witness.notes();
    let mut violations = Vec::new();
    lost(&notes, &stored, &mut violations);
    lives(&notes, &mut violations);
    calls::repeated(&notes, &mut violations);
    calls::unannounced(&notes, &stored, &mut violations);
    streams::unreadable(&stored, &mut violations);
    streams::limits(&notes, &stored, &mut violations);
    streams::boots(&stored, &mut violations);
    streams::approvals(&notes, &stored, &mut violations);
    streams::doubled(&stored, &mut violations);
    conversations(&notes, &mut violations);
    if let Some(calm) = calm {
        compare(&notes, calm, &mut violations);
    }
    violations
}

/// I1: what was accepted has an outcome, and nobody was told of another one.
fn lost(notes: &[Noted], stored: &Stored, violations: &mut Vec<Violation>) {
    let mut told = BTreeMap::new();
    for Noted { note, .. } in notes {
        match note {
            Note::Accepted { run } => match stored.heads.iter().find(|head| head.run == *run) {
                None => {
                    let what = format!("run {run} was accepted, and the journal does not know it");
                    violations.push(Violation::new(Invariant::I1, what));
                }
                Some(head) if head.status.is_none() => {
                    let what = format!("run {run} was accepted, and is not finished");
                    violations.push(Violation::new(Invariant::I1, what));
                }
                Some(_) => {}
            },
            Note::Answered { run, says } => {
                let before = told.entry(*run).or_insert(says);
                if *before != says {
                    let what = format!("run {run} said {before:?}, and later {says:?}");
                    violations.push(Violation::new(Invariant::I4, what));
                }
            }
            _ => {}
        }
    }
}

/// I8: no process does anything once the next one has begun.
fn lives(notes: &[Noted], violations: &mut Vec<Violation>) {
    let mut now = (0, None);
    for noted in notes {
        let is_birth = matches!(noted.note, Note::Born { .. });
        if is_birth && noted.life > now.0 {
            now = (noted.life, Some(noted.process));
        } else if is_birth || noted.life < now.0 || now.1.is_some_and(|now| now != noted.process) {
            let Noted { life, process, note } = noted;
            let what = format!("life {life} in process {process} beside life {}: {note:?}", now.0);
            violations.push(Violation::new(Invariant::I8, what));
        }
    }
}

/// I-H: what models were asked is in order.
fn conversations(notes: &[Noted], violations: &mut Vec<Violation>) {
    for Noted { note, .. } in notes {
        let Note::Asked { key, messages } = note else { continue };
        if let Some(why) = unpaired(messages) {
            violations.push(Violation::new(Invariant::History, format!("{key}: {why}")));
        }
    }
}

/// I4: what was said, and what models were asked, is the same.
fn compare(notes: &[Noted], calm: &Calm, violations: &mut Vec<Violation>) {
    for Noted { note, .. } in notes {
        match note {
            Note::Answered { run, says } if !calm.says.contains(says) => {
                let what = format!("run {run} said {says:?} instead of {:?}", calm.says);
                violations.push(Violation::new(Invariant::I4, what));
            }
            Note::Asked { key, messages } => {
                let expected = calm.asked.get(without_run(key));
                if expected.is_none_or(|expected| !is_same(messages, expected)) {
                    let what = format!("{key} was asked {messages:?} instead of {expected:?}");
                    violations.push(Violation::new(Invariant::I4, what));
                }
            }
            _ => {}
        }
    }
}

/// Whether two conversations are the same, except for outcomes that are in doubt.
fn is_same(messages: &[Message], calm: &[Message]) -> bool {
    let is_alike = |(message, calm): (&Message, &Message)| match (message, calm) {
        (
            Message::Tool { call, name, outcome: ToolOutcome::Error(error) },
            Message::Tool { call: calm_call, name: calm_name, .. },
        ) if error.kind == ToolErrorKind::InDoubt => (call, name) == (calm_call, calm_name),
        _ => message == calm,
    };
    messages.len() == calm.len() && messages.iter().zip(calm).all(is_alike)
}

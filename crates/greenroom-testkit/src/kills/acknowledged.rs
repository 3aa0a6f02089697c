//! What a journal confirmed, and whether it is there after a crash, a full disk or an error of the disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use greenroom_core::ids::StreamId;
use greenroom_core::journal::{Journal, JournalError, JournalErrorKind, Recorded};

use super::invariant::{Invariant, Violation};

/// What became of an append, as far as anybody was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Confirmed,
    Refused,
    /// Nobody was told, or was told that nobody knows.
    Unknown,
}

type Offer = (Arc<[Recorded]>, Fate);

/// The appends that were made to a journal, with their answers.
#[derive(Debug, Clone, Default)]
pub struct Acknowledged {
    streams: BTreeMap<StreamId, Vec<Offer>>,
}

impl Acknowledged {
    /// Nothing was appended yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An append with its answer; `None` when the process died before there was one.
    pub fn offered(
        &mut self,
        stream: &StreamId,
        events: Arc<[Recorded]>,
        answer: Option<&Result<(), JournalError>>,
    ) {
        let fate = match answer {
            Some(Ok(())) => Fate::Confirmed,
            Some(Err(error)) if error.kind != JournalErrorKind::Fatal => Fate::Refused,
            _ => Fate::Unknown,
        };
        self.streams.entry(stream.clone()).or_default().push((events, fate));
    }

    /// How many appends were confirmed.
    #[must_use]
    pub fn n_confirmed(&self) -> usize {
        let fates = self.streams.values().flatten();
        fates.filter(|(_, fate)| *fate == Fate::Confirmed).count()
    }

    /// What is wrong in a journal whose disk kept what was synced.
    ///
    /// What was confirmed is there (`I1`); what was not is there wholly or not at all, nothing else is, and
    /// everything can be read (`I5`).
    pub async fn check(&self, journal: &dyn Journal) -> Vec<Violation> {
        self.violations(journal, false).await
    }

    /// What is wrong in a journal whose disk damaged what it had. A stream may be refused by its name, and
    /// its last appends may be missing; what is read of it is still what was written (`I5`).
    pub async fn check_damaged(&self, journal: &dyn Journal) -> Vec<Violation> {
        self.violations(journal, true).await
    }

    async fn violations(&self, journal: &dyn Journal, is_damaged: bool) -> Vec<Violation> {
        let mut violations = Vec::new();
        for (stream, appends) in &self.streams {
            let read = match journal.load(stream).await {
                Ok(read) => read,
                Err(error) if is_damaged && error.stream.as_ref() == Some(stream) => continue,
                Err(error) => {
                    violations.push(Violation::new(Invariant::I5, error.to_string()));
                    continue;
                }
            };
            let outcomes = outcomes(appends);
            let is_fine = |outcome: &Outcome| match is_damaged {
                false => outcome.is_whole && outcome.events == read,
                true => outcome.events == read,
            };
            if !outcomes.iter().any(is_fine) {
                violations.push(finding(stream, &outcomes, &read));
            }
        }
        violations
    }
}

/// What a stream may hold.
#[derive(Debug, Clone, Default)]
struct Outcome {
    events: Vec<Recorded>,
    /// Whether everything that was confirmed is in it.
    is_whole: bool,
}

impl Outcome {
    fn with(&self, append: &[Recorded]) -> Self {
        let snapshot = append.iter().rposition(|recorded| recorded.event.is_snapshot());
        let mut events = if snapshot.is_some() { Vec::new() } else { self.events.clone() };
        events.extend_from_slice(&append[snapshot.unwrap_or(0)..]);
        Self { events, is_whole: false }
    }
}

/// Everything that a stream may hold after these appends, as far as an end may be missing.
fn outcomes(appends: &[Offer]) -> Vec<Outcome> {
    let mut outcomes = vec![Outcome::default()];
    // Those that hold all that was confirmed so far.
    let mut whole = vec![0];
    for (append, fate) in appends {
        if *fate == Fate::Refused {
            continue;
        }
        let further: Vec<_> = whole.iter().map(|i| outcomes[*i].with(append)).collect();
        let begin = outcomes.len();
        outcomes.extend(further);
        let reached = begin..outcomes.len();
        match fate {
            Fate::Confirmed => whole = reached.collect(),
            _ => whole.extend(reached),
        }
    }
    for i in whole {
        outcomes[i].is_whole = true;
    }
    outcomes
}

fn finding(stream: &StreamId, outcomes: &[Outcome], read: &[Recorded]) -> Violation {
    let n_read = read.last().map_or(0, |last| last.seq + 1);
    let lengths = outcomes.iter().filter(|outcome| outcome.is_whole);
    let lengths = lengths.map(|outcome| outcome.events.last().map_or(0, |last| last.seq + 1));
    let n_confirmed = lengths.min().unwrap_or(0);
    let is_prefix = outcomes.iter().any(|outcome| outcome.events == read);
    if is_prefix && n_read < n_confirmed {
        let what = format!("{stream} has {n_read} events, and {n_confirmed} were confirmed");
        return Violation::new(Invariant::I1, what);
    }
    let what = format!("{stream} has {n_read} events that are not what was written");
    Violation::new(Invariant::I5, what)
}

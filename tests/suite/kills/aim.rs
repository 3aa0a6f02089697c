//! When a process is killed: at random, and in each part of its life often enough.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use greenroom_core::random::SplitMix64;
use greenroom_testkit::kills::{Note, Noted, Witness};

/// The parts of a process's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// It has not opened its journal, or not read it.
    Boot,
    /// It looks for runs, or begins them, and has called nothing.
    Recovery,
    Work,
    /// It has told somebody of an outcome.
    End,
}

impl Part {
    pub(super) const ALL: [Self; 4] = [Self::Boot, Self::Recovery, Self::Work, Self::End];

    /// The part in which the next process is to be killed: in the middle of its work, most of the time.
    pub(super) fn aimed_at(random: &mut SplitMix64) -> Self {
        match (random.unit() * 12.0) as u32 {
            0 | 1 => Self::Boot,
            2 | 3 => Self::Recovery,
            4 => Self::End,
            _ => Self::Work,
        }
    }

    /// The part in which a process was killed, by what was seen of it. There were so many lives before it.
    pub(super) fn reached(witness: &Witness, n_lives: u64) -> Self {
        let of_it = |noted: &Noted| (noted.life > n_lives).then(|| Self::of(&noted.note));
        witness.notes().iter().filter_map(of_it).max().unwrap_or(Self::Boot)
    }

    fn of(note: &Note) -> Self {
        match note {
            Note::Born { .. } | Note::Accepted { .. } => Self::Recovery,
            Note::Answered { .. } => Self::End,
            _ => Self::Work,
        }
    }
}

/// How many processes were killed in which part of their lives.
#[derive(Debug, Default)]
pub(super) struct Parts(BTreeMap<Part, usize>);

impl Parts {
    pub(super) fn add(&mut self, part: Part) {
        *self.0.entry(part).or_default() += 1;
    }

    pub(super) fn n(&self, part: Part) -> usize {
        self.0.get(&part).copied().unwrap_or(0)
    }
}

impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [boot, recovery, work, end] = Part::ALL.map(|part| self.n(part));
        write!(f, "{boot} in a boot, {recovery} in a recovery, {work} at work, {end} at the end")
    }
}

/// How long the parts of a life take that nobody ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spans {
    pub(super) boot: Duration,
    /// From the opened journal to the end.
    pub(super) rest: Duration,
}

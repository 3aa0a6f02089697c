//! In which order runs are recovered: many at once, and those that may have killed a process one by one.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

use super::{RecoverySpec, Verdict};
use crate::ids::RunId;

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Look at a run, and say [`Line::judged`].
    Look(RunId),
    /// Continue a run, and say [`Line::started`].
    Start(RunId),
    /// Continue a run, watch it, and say [`Line::acquitted`] once it has got further, has ended, or has
    /// had its probation.
    Try(RunId),
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Waiting,
    Looking,
    Starting,
    Suspected,
    OnTrial,
}

/// The runs that are being recovered.
#[derive(Debug, Default)]
pub struct Line {
    places: BTreeMap<RunId, Place>,
    waiting: VecDeque<RunId>,
    suspects: VecDeque<RunId>,
    n_at_work: usize,
    is_trying: bool,
}

impl Line {
    /// An empty line.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an unfinished run that nobody works on, and tells whether it did: one that is in the line already keeps its
    /// place.
    pub fn add(&mut self, run: RunId) -> bool {
        let Entry::Vacant(place) = self.places.entry(run) else { return false };
        place.insert(Place::Waiting);
        self.waiting.push_back(run);
        true
    }

    /// What can be done now; each answer is given once. `may_try` says whether everything that was started
    /// has shown that it does not kill its process: only then is a suspect tried, and nothing else is begun
    /// meanwhile.
    pub fn next(&mut self, spec: &RecoverySpec, may_try: bool) -> Vec<Next> {
        let mut next = Vec::new();
        while !self.is_trying
            && self.n_at_work < spec.width.max(1)
            && let Some(run) = self.waiting.pop_front()
        {
            self.n_at_work += 1;
            self.places.insert(run, Place::Looking);
            next.push(Next::Look(run));
        }
        if may_try
            && !self.is_trying
            && self.is_quiet()
            && let Some(run) = self.suspects.pop_front()
        {
            self.is_trying = true;
            self.places.insert(run, Place::OnTrial);
            next.push(Next::Try(run));
        }
        next
    }

    /// A run was looked at. The answer is what follows at once; a suspect waits for its turn.
    #[must_use]
    pub fn judged(&mut self, run: RunId, verdict: &Verdict, spec: &RecoverySpec) -> Option<Next> {
        if self.places.get(&run) != Some(&Place::Looking) {
            return None;
        }
        match verdict {
            // Its next death would be the last one, and must not be blamed on anybody else.
            Verdict::Claim { boot, .. } if *boot > 1 && *boot >= spec.boots_max => {
                self.n_at_work -= 1;
                self.places.insert(run, Place::Suspected);
                self.suspects.push_back(run);
                None
            }
            Verdict::Claim { .. } => {
                self.places.insert(run, Place::Starting);
                Some(Next::Start(run))
            }
            Verdict::Over | Verdict::Quarantine { .. } | Verdict::Park(_) => {
                self.n_at_work -= 1;
                self.places.remove(&run);
                None
            }
        }
    }

    /// A run was started, or could not be.
    pub fn started(&mut self, run: RunId) {
        if self.places.get(&run) == Some(&Place::Starting) {
            self.n_at_work -= 1;
            self.places.remove(&run);
        }
    }

    /// A run on trial has shown that it does not kill its process, or could not be started.
    pub fn acquitted(&mut self, run: RunId) {
        if self.places.get(&run) == Some(&Place::OnTrial) {
            self.is_trying = false;
            self.places.remove(&run);
        }
    }

    /// Whether nothing is looked at or started any more, suspects left out.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.n_at_work == 0 && self.waiting.is_empty()
    }

    /// Runs that wait for their trial, or are in it.
    #[must_use]
    pub fn n_suspects(&self) -> usize {
        self.suspects.len() + usize::from(self.is_trying)
    }
}

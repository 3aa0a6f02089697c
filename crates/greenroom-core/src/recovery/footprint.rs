//! What the streams of a run say to somebody who may have to continue it.

use std::time::Duration;

use super::cut_off::CutOff;
use super::{Change, Config, OnChange, Owner, Parked, RecoverySpec, Verdict};
use crate::approval::pending;
use crate::budget::{Budget, Usage};
use crate::ids::{RunId, StreamId};
use crate::journal::{Event, Recorded};
use crate::time::Timestamp;

/// How a run sleeps: nobody can go on before a person does something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Nap {
    /// Since when.
    pub since: Timestamp,
    /// When it wakes although nobody has: the first question expires.
    pub until: Timestamp,
}

/// Whether a run sleeps, by what its root stream says.
#[must_use]
pub fn is_asleep(root: &[Recorded]) -> bool {
    let last = root.iter().rev().find_map(|recorded| match recorded.event {
        Event::RunAsleep { .. } => Some(true),
        Event::RunAwake { .. } => Some(false),
        _ => None,
    });
    last.unwrap_or(false)
}

/// How a process takes a run over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The process: what its runtime calls itself.
    pub by: String,
    /// When it does.
    pub at: Timestamp,
    /// The boot, and ...
    pub boot: u32,
    /// ... the changes that it was [judged](Footprint::judge) by.
    pub changes: Vec<Change>,
}

/// A fold of all streams of a run, the root stream first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Footprint {
    owner: Option<Owner>,
    config: Config,
    budget: Budget,
    deadline: Timestamp,
    top_k: Option<usize>,
    spent: Usage,
    cut_off: CutOff,
    n_results: u64,
    /// Calls that wait for a person.
    n_waiting: usize,
    is_paused: bool,
    nap: Option<Nap>,
    /// How long it has slept before.
    slept: Duration,
    n_root_events: u64,
    /// The last boot that got the run no further, and the results that there were when it began.
    boot: u32,
    n_results_at_boot: u64,
    is_quarantined: bool,
    is_over: bool,
}

impl Footprint {
    /// What the root stream says.
    #[must_use]
    pub fn of_root(root: &[Recorded]) -> Self {
        let mut footprint = Self { boot: 1, ..Self::default() };
        footprint.n_root_events = root.last().map_or(0, |last| last.seq + 1);
        for recorded in root {
            footprint.fold_root(recorded);
        }
        footprint.add_stream(root);
        footprint
    }

    /// Adds what another stream of the run says.
    pub fn add_stream(&mut self, events: &[Recorded]) {
        // Which stream it is does not matter to the number.
        self.n_waiting += pending(&StreamId::root(RunId::from_bits(0)), events).len();
        self.cut_off.add_stream(events);
        for recorded in events {
            self.n_results += u64::from(recorded.event.is_result());
            recorded.event.spend(&mut self.spent);
        }
    }

    fn fold_root(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::RunAccepted { goal, .. } => self.top_k = Some(goal.top_k),
            Event::RunBound { owner, config, budget, deadline } => {
                self.owner = Some(owner.clone());
                self.config = config.clone();
                (self.budget, self.deadline) = (*budget, *deadline);
            }
            Event::RunClaimed { boot, n_results, .. } => {
                (self.boot, self.n_results_at_boot) = (*boot, *n_results);
                self.is_quarantined = false;
            }
            // An orderly end says nothing against the run.
            Event::RunReleased => self.boot = 0,
            Event::RunAsleep { until } => {
                let since = self.nap.map_or(recorded.at, |nap| nap.since);
                self.nap = Some(Nap { since, until: *until });
            }
            Event::RunAwake { slept } => {
                self.nap = None;
                self.slept = self.slept.saturating_add(*slept);
            }
            Event::WorkPaused => self.is_paused = true,
            Event::WorkResumed => self.is_paused = false,
            Event::RunQuarantined { .. } => self.is_quarantined = true,
            event => self.is_over |= event.is_terminal(),
        }
    }

    /// The team or agent of the run; `None` when the stream does not say.
    #[must_use]
    pub fn owner(&self) -> Option<&Owner> {
        self.owner.as_ref()
    }

    /// What the run may spend in all.
    #[must_use]
    pub fn budget(&self) -> Budget {
        self.budget
    }

    /// What it has spent, calls without a result included, each as often as it was made.
    #[must_use]
    pub fn spent(&self) -> Usage {
        self.spent
    }

    /// When it must have an outcome, unless it sleeps or has slept.
    #[must_use]
    pub fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// How much of its time is left. None goes by while it sleeps.
    #[must_use]
    pub fn time_left(&self, now: Timestamp) -> Duration {
        let now = self.nap.map_or(now, |nap| nap.since);
        self.deadline.after(self.slept).since(now)
    }

    /// Whether it is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// How it sleeps; `None` when it does not.
    #[must_use]
    pub fn nap(&self) -> Option<Nap> {
        self.nap
    }

    /// What its team or agent was made of when it began.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The most passages that one search of it may return; `None` when nobody set it.
    #[must_use]
    pub fn top_k(&self) -> Option<usize> {
        self.top_k
    }

    /// Results of calls and tasks that are in its streams.
    #[must_use]
    pub fn n_results(&self) -> u64 {
        self.n_results
    }

    /// The place of the root stream's next event.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.n_root_events
    }

    /// What is to be done with the run.
    ///
    /// | the run | verdict |
    /// |---|---|
    /// | has its outcome | over |
    /// | does not say whose it is | parked: unreadable |
    /// | was quarantined | parked |
    /// | belongs to nobody here (`now` is `None`) | parked: unknown |
    /// | is configured otherwise, and the policy is not to continue | parked: changed |
    /// | has outlived as many boots as it may without a result | quarantined |
    /// | is none of these | claimed |
    #[must_use]
    pub fn judge(&self, now: Option<&Config>, spec: &RecoverySpec) -> Verdict {
        if self.is_over {
            return Verdict::Over;
        }
        if self.owner.is_none() {
            let why = "its root stream does not say whose it is".to_owned();
            return Verdict::Park(Parked::Unreadable(why));
        }
        if self.is_quarantined {
            return Verdict::Park(Parked::Quarantined { n_boots: self.boot });
        }
        let Some(now) = now else { return Verdict::Park(Parked::Unknown) };
        let changes = self.config.changes(now);
        if !changes.is_empty() && spec.on_change != OnChange::Continue {
            return Verdict::Park(Parked::Changed(changes));
        }
        // Whoever waits for people has killed nobody.
        let is_harmless = self.n_waiting > 0 || self.is_paused;
        let has_moved = self.n_results > self.n_results_at_boot || is_harmless;
        if !has_moved && self.boot >= spec.boots_max.max(1) {
            return Verdict::Quarantine { n_boots: self.boot };
        }
        Verdict::Claim { boot: if has_moved { 1 } else { self.boot + 1 }, changes }
    }

    /// As [`Footprint::judge`], when a person wants the run to be continued: what stands against it is its
    /// end, nobody to continue it, and changes that the policy refuses.
    #[must_use]
    pub fn judge_by_hand(&self, now: Option<&Config>, spec: &RecoverySpec) -> Verdict {
        let freed = Self { is_quarantined: false, boot: 0, ..self.clone() };
        let on_change = match spec.on_change {
            OnChange::Refuse => OnChange::Refuse,
            OnChange::Ask | OnChange::Continue => OnChange::Continue,
        };
        freed.judge(now, &spec.on_change(on_change))
    }

    /// The event by which a process takes the run over.
    #[must_use]
    pub fn claim(&self, claim: Claim) -> Event {
        let Claim { by, at, boot, changes } = claim;
        let again = self.cut_off.again(at, &self.budget, &self.spent);
        Event::RunClaimed { by, boot, n_results: self.n_results, changes, again }
    }
}

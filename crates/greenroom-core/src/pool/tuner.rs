//! When a pool grows and when it shrinks. The rule is at [`crate::pool`].

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Decision, Reason, Tuning};

/// Waits that are kept, of the jobs given out last.
const SAMPLES_MAX: usize = 1024;
/// Decisions that are kept.
const DECISIONS_MAX: usize = 32;
/// How many times `hold` can become longer.
const HOLD_FACTOR_MAX: u32 = 16;

/// What a job waited.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Duration,
    wait: Duration,
    /// The part of it in which no worker had room.
    wait_full: Duration,
}

/// What a look sees.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// Workers that are to stay.
    pub(super) size: usize,
    pub(super) n_starting: usize,
    pub(super) concurrency: usize,
    pub(super) n_leases: usize,
    /// What the job that waits longest has waited while no worker had room.
    pub(super) oldest_full: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Grown,
    Shrunk,
}

#[derive(Debug)]
pub(super) struct Tuner {
    tuning: Tuning,
    samples: VecDeque<Sample>,
    /// The most jobs that workers had at once, by look.
    peaks: VecDeque<(Duration, usize)>,
    /// … and since the last look.
    peak: usize,
    /// The most jobs that waited at once since the last change.
    depth_max: usize,
    changed: Option<(Duration, Change)>,
    hold: Duration,
    decisions: VecDeque<Decision>,
}

impl Tuner {
    pub(super) fn new(tuning: Tuning) -> Self {
        Self {
            tuning,
            samples: VecDeque::new(),
            peaks: VecDeque::new(),
            peak: 0,
            depth_max: 0,
            changed: None,
            hold: tuning.hold,
            decisions: VecDeque::new(),
        }
    }

    /// A job was given out.
    pub(super) fn leased(&mut self, at: Duration, wait: Duration, wait_full: Duration) {
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample { at, wait, wait_full });
    }

    /// What there is after an event.
    pub(super) fn note(&mut self, n_leases: usize, n_waiting: usize) {
        self.peak = self.peak.max(n_leases);
        self.depth_max = self.depth_max.max(n_waiting);
    }

    /// Decides whether the number of workers is to change.
    pub(super) fn look(
        &mut self,
        now: Duration,
        seen: Seen,
        bounds: &RangeInclusive<usize>,
    ) -> Option<Decision> {
        self.peaks.push_back((now, self.peak));
        self.peak = seen.n_leases;
        let kept = self.hold_max();
        while self.peaks.front().is_some_and(|(at, _)| now.saturating_sub(*at) > kept) {
            self.peaks.pop_front();
        }
        let wait = self.wait_full(now).max(seen.oldest_full);
        let grown = self.grown(now, wait, seen, *bounds.end());
        let (to, reason) = grown.or_else(|| self.shrunk(now, wait, seen, *bounds.start()))?;
        Some(self.changed(Decision { at: now, from: seen.size, to, reason }))
    }

    fn grown(
        &self,
        now: Duration,
        wait: Duration,
        seen: Seen,
        most: usize,
    ) -> Option<(usize, Reason)> {
        let is_cool = self.is_quiet(now, self.tuning.cool_down);
        if wait <= self.tuning.grow_above || seen.n_starting > 0 || !is_cool {
            return None;
        }
        let wanted = self.depth_max.div_ceil(seen.concurrency);
        let step = (seen.size / 2).min(wanted).max(1);
        let to = (seen.size + step).min(most);
        (to > seen.size).then_some((to, Reason::Waits { wait }))
    }

    fn shrunk(
        &self,
        now: Duration,
        wait: Duration,
        seen: Seen,
        least: usize,
    ) -> Option<(usize, Reason)> {
        if wait >= self.tuning.shrink_below || !self.is_quiet(now, self.hold) {
            return None;
        }
        let held = self.peaks.iter().filter(|(at, _)| now.saturating_sub(*at) <= self.hold);
        let n_leases_max = held.map(|(_, peak)| *peak).max().unwrap_or(0);
        let needed = (n_leases_max * 5).div_ceil(seen.concurrency * 4);
        let step = (seen.size / 4).max(1);
        let to = needed.max(seen.size.saturating_sub(step)).max(least);
        (to < seen.size).then_some((to, Reason::Idle { n_leases_max }))
    }

    /// Records a change of size that was decided here.
    fn changed(&mut self, decision: Decision) -> Decision {
        let change = if decision.to > decision.from { Change::Grown } else { Change::Shrunk };
        match (self.changed, change) {
            (Some((at, Change::Shrunk)), Change::Grown)
                if decision.at.saturating_sub(at) < 2 * self.hold =>
            {
                self.hold = (2 * self.hold).min(self.hold_max());
            }
            (Some((_, Change::Shrunk)), Change::Shrunk) => {
                self.hold = (self.hold / 2).max(self.tuning.hold);
            }
            _ => {}
        }
        self.changed = Some((decision.at, change));
        self.depth_max = 0;
        self.record(decision);
        decision
    }

    /// Takes note of a change of size that was not decided here: what was seen before says nothing now.
    pub(super) fn resized(&mut self, decision: Decision) {
        self.changed = Some((decision.at, Change::Grown));
        self.depth_max = 0;
        self.record(decision);
    }

    /// Keeps a decision, for those who look.
    pub(super) fn record(&mut self, decision: Decision) {
        if self.decisions.len() == DECISIONS_MAX {
            self.decisions.pop_front();
        }
        self.decisions.push_back(decision);
    }

    fn is_quiet(&self, now: Duration, span: Duration) -> bool {
        self.changed.is_none_or(|(at, _)| now.saturating_sub(at) >= span)
    }

    fn hold_max(&self) -> Duration {
        self.tuning.hold.saturating_mul(HOLD_FACTOR_MAX)
    }

    /// The 95th percentile of what jobs waited while no worker had room, since the last change of size.
    fn wait_full(&self, now: Duration) -> Duration {
        let changed_at = self.changed.map(|(at, _)| at);
        let counts = |sample: &&Sample| changed_at.is_none_or(|at| sample.at > at);
        let recent = self.recent(now).filter(counts);
        percentile(recent.map(|sample| sample.wait_full).collect(), 95).unwrap_or_default()
    }

    /// What so many of a hundred jobs of the last window waited at most.
    pub(super) fn wait(&self, now: Duration, percent: usize) -> Option<Duration> {
        percentile(self.recent(now).map(|sample| sample.wait).collect(), percent)
    }

    pub(super) fn decisions(&self) -> Vec<Decision> {
        self.decisions.iter().copied().collect()
    }

    fn recent(&self, now: Duration) -> impl Iterator<Item = &Sample> {
        let window = self.tuning.window;
        self.samples.iter().filter(move |sample| now.saturating_sub(sample.at) <= window)
    }
}

/// The nearest-rank percentile.
fn percentile(mut waits: Vec<Duration>, percent: usize) -> Option<Duration> {
    waits.sort_unstable();
    let rank = (waits.len() * percent).div_ceil(100).max(1);
    waits.get(rank - 1).copied()
}

//! The end of a process that is to be replaced: nothing new is accepted, and what runs is finished or left
//! where the next process can go on.

use std::time::Duration;

use greenroom_core::ids::RunId;
use tokio::time::Instant;

use super::Runtime;

/// How often runs are looked at while they are waited for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long the journal may take in the end.
const FLUSH_MAX: Duration = Duration::from_secs(5);

/// How a runtime is, for those who send it work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether it takes work.
    pub state: HealthState,
    /// The runs that are at work, asleep, or being started.
    pub n_runs: usize,
}

/// Whether a runtime takes work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HealthState {
    /// It accepts runs.
    Ready,
    /// Its journal refused what was to be stored last. Runs are not accepted, and those at work begin nothing,
    /// until it takes something again.
    Failing,
    /// It has as many runs at work as it may have, and refuses more until one is over or asleep.
    Full,
    /// It accepts no run any more, and ends those it has.
    Draining,
    /// Everything has ended.
    Stopped,
}

/// What became of the runs that were at work when a drain began.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DrainReport {
    /// How many were finished.
    pub n_finished: usize,
    /// Those that were left at a point of their journals, with nothing under way.
    pub parked: Vec<RunId>,
    /// Those that had a call under way at the end, which was cut off.
    pub cut_off: Vec<RunId>,
}

impl Runtime {
    /// How the runtime is. It says [`Draining`](HealthState::Draining) from before the first run is refused
    /// for that.
    #[must_use]
    pub fn health(&self) -> Health {
        let runs = self.runs();
        let state = match runs {
            _ if self.tasks().over().is_cancelled() => HealthState::Stopped,
            runs if runs.draining.is_cancelled() => HealthState::Draining,
            runs if runs.pace.is_refused() => HealthState::Failing,
            runs if !runs.has_room() => HealthState::Full,
            _ => HealthState::Ready,
        };
        Health { state, n_runs: runs.n_places() }
    }

    /// Ends the runtime for another process to go on: no run is accepted from here on, those at work have
    /// until the end of the grace, and then everything is [shut down](Runtime::shutdown). It completes
    /// sooner when there is nothing left to wait for.
    ///
    /// | time | the runs |
    /// |---|---|
    /// | the first half of the grace, unless all that are left sleep | go on, and may finish |
    /// | the second half | begin no call of a model or a tool and no task; what is under way ends, and its outcome is journalled |
    /// | the end | what is still under way is cut off, and the next process treats it as after a crash |
    ///
    /// A run that waits for a person, or for its next try, has nothing under way. Runs that were left go on
    /// with [`Runtime::recover`] in a process that has their journal; here the failures of their outcomes are
    /// of the kind [`Parked`](greenroom_core::report::TaskFailureKind::Parked). Actors of the application's
    /// own are stopped with the rest.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the runtime as far as it got: it accepts nothing, and ends nothing any more
    /// by itself. Draining again, or shutting down, goes on from there.
    pub async fn drain(&self, grace: Duration) -> DrainReport {
        let runs = self.runs();
        let begun_at = Instant::now();
        runs.draining.cancel();
        let n_at_first = runs.n_places();
        if !wait(begun_at.checked_add(grace / 2), || runs.n_at_work() == 0).await {
            runs.pace.parking.cancel();
            let mut last = None;
            // A message between two agents is seen at neither of them, so one look proves nothing.
            wait(begun_at.checked_add(grace), || {
                let now = runs.at_rest();
                let is_settled = now.values().all(Option::is_some) && last.as_ref() == Some(&now);
                last = Some(now);
                is_settled
            })
            .await;
        }
        let left = runs.at_rest();
        self.shutdown().await;
        // Appends were confirmed as they were made, so there is nothing here to tell anybody.
        let _ = tokio::time::timeout(FLUSH_MAX, self.journal().flush()).await;
        let n_finished = n_at_first.saturating_sub(left.len());
        let (parked, cut_off): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|(_, at_rest)| at_rest.is_some());
        let ids = |runs: Vec<(RunId, _)>| runs.into_iter().map(|(run, _)| run).collect();
        DrainReport { n_finished, parked: ids(parked), cut_off: ids(cut_off) }
    }
}

/// Waits until something is so, at the longest until an instant, if time reaches as far; whether it is.
async fn wait(until: Option<Instant>, mut is_so: impl FnMut() -> bool) -> bool {
    loop {
        if is_so() {
            return true;
        }
        let next = Instant::now() + LOOK_EVERY;
        match until {
            Some(until) if Instant::now() >= until => return false,
            until => tokio::time::sleep_until(until.map_or(next, |until| next.min(until))).await,
        }
    }
}

#[cfg(test)]
mod tests;

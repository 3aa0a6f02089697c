//! The loop of recovery: the shell of the line of core. It reads, claims and starts as effects.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use greenroom_core::ids::RunId;
use greenroom_core::journal::{Event, JournalError, JournalErrorKind, RunHead, Runs};
use greenroom_core::recovery::{Line, Next, Parked, ParkedRun, RecoverySpec, Verdict};
use tokio_util::sync::CancellationToken;

use super::{Recovered, Seen, append, look, take_over};
use crate::actor::address::Reply;
use crate::actor::effect::EffectError;
use crate::actor::{Actor, Context, Failure};
use crate::runtime::error::RunError;
use crate::runtime::{Runtime, WeakRuntime};

/// How long one step with one run may take.
const STEP_MAX: Duration = Duration::from_secs(60);

pub(crate) enum RecoveryMessage {
    /// Somebody wants to know what a round does.
    Round(Reply<Recovered>),
    Due,
    /// There may be something to do before the next round is due.
    Look,
    Listed(Result<Result<Vec<RunHead>, JournalError>, EffectError>),
    Looked(RunId, Box<Result<Result<Seen, JournalError>, EffectError>>),
    Started(RunId, Result<Result<CancellationToken, RunError>, EffectError>),
    /// A run on trial is watched no more: it has got further, has ended, or has had its time.
    Acquitted(RunId),
    /// A suspect waits for its trial.
    Nudge,
    Quarantined,
}

/// Looks for unfinished runs, again and again.
pub(crate) struct Recovery {
    runtime: WeakRuntime,
    spec: RecoverySpec,
    line: Line,
    /// The runs in the line that are to be looked at and had no stream but their root, which had so many events.
    alone: BTreeMap<RunId, u64>,
    /// What was seen of runs that are about to be started, and how they were judged.
    judged: BTreeMap<RunId, (Seen, Verdict)>,
    on_trial: Option<RunId>,
    unproven: Unproven,
    waiting: Vec<Reply<Recovered>>,
    resumed: Vec<RunId>,
    is_listing: bool,
    is_nudged: bool,
}

/// What was started and has not shown yet that it does not kill its process: it has got no further, has not
/// ended, and has not had its probation.
#[derive(Default)]
struct Unproven {
    moved: Vec<CancellationToken>,
    /// When the last one was started, in the time of the clock.
    last: Duration,
}

impl Unproven {
    fn add(&mut self, moved: CancellationToken, now: Duration) {
        self.moved.push(moved);
        self.last = now;
    }

    fn is_empty(&mut self, now: Duration, probation: Duration) -> bool {
        if now.saturating_sub(self.last) >= probation {
            self.moved.clear();
        }
        // One that has not moved is enough, and each that has is looked at once.
        while self.moved.pop_if(|moved| moved.is_cancelled()).is_some() {}
        self.moved.is_empty()
    }
}

impl Recovery {
    pub(crate) fn new(runtime: WeakRuntime, spec: RecoverySpec) -> Self {
        Self {
            runtime,
            spec,
            line: Line::new(),
            alone: BTreeMap::new(),
            judged: BTreeMap::new(),
            on_trial: None,
            unproven: Unproven::default(),
            waiting: Vec::new(),
            resumed: Vec::new(),
            is_listing: false,
            is_nudged: false,
        }
    }

    fn list(&mut self, runtime: &Runtime, context: &Context<'_, Self>) {
        if !std::mem::replace(&mut self.is_listing, true) {
            let listed = runtime.journal().runs(Runs::Unfinished);
            context.shielded("recover", STEP_MAX, listed, RecoveryMessage::Listed);
        }
    }

    fn listed(&mut self, heads: &[RunHead], runtime: &Runtime) {
        let n_changes = runtime.bindings().n_changes();
        for head in heads {
            let is_free = !runtime.runs().has(head.run);
            if is_free && !runtime.recovery().is_aside(head.run, n_changes) {
                let is_alone = head.n_root_events == head.n_events;
                if self.line.add(head.run) && is_alone {
                    self.alone.insert(head.run, head.n_events);
                }
            }
        }
    }

    /// Does what can be done now, and answers those who wait once a round is over.
    fn advance(&mut self, runtime: &Runtime, context: &Context<'_, Self>) {
        let now = runtime.clock().elapsed();
        let may_try = self.unproven.is_empty(now, self.spec.probation);
        for next in self.line.next(&self.spec, may_try) {
            self.perform(next, runtime, context);
        }
        if self.line.n_suspects() > 0 && !may_try && !self.is_nudged {
            self.is_nudged = true;
            context.after(self.spec.probation / 10, RecoveryMessage::Nudge);
        }
        if self.line.is_quiet() && !self.is_listing {
            let resumed = std::mem::take(&mut self.resumed);
            let (parked, n_suspects) = (runtime.parked(), self.line.n_suspects());
            let round = Recovered { resumed, parked, n_suspects };
            for reply in self.waiting.drain(..) {
                let _ = reply.send(round.clone());
            }
        }
    }

    fn perform(&mut self, next: Next, runtime: &Runtime, context: &Context<'_, Self>) {
        match next {
            Next::Look(run) => {
                let (journal, alone) = (runtime.journal(), self.alone.remove(&run));
                let looked = async move { look(&*journal, run, alone).await };
                let message = move |looked| RecoveryMessage::Looked(run, Box::new(looked));
                context.shielded("recover", STEP_MAX, looked, message);
            }
            Next::Start(run) => self.start(run, runtime, context),
            Next::Try(run) => {
                self.on_trial = Some(run);
                self.start(run, runtime, context);
            }
        }
    }

    fn start(&mut self, run: RunId, runtime: &Runtime, context: &Context<'_, Self>) {
        let Some((seen, Verdict::Claim { boot, changes })) = self.judged.remove(&run) else {
            return self.given_up(run);
        };
        let runtime = runtime.clone();
        let started = async move { take_over(&runtime, run, &seen, boot, changes).await };
        let message = move |started| RecoveryMessage::Started(run, started);
        context.shielded("recover", STEP_MAX, started, message);
    }

    fn looked(
        &mut self,
        run: RunId,
        looked: &Result<Result<Seen, JournalError>, EffectError>,
        runtime: &Runtime,
        context: &Context<'_, Self>,
    ) {
        let n_changes = runtime.bindings().n_changes();
        let (owner, verdict) = match looked {
            Ok(Ok(seen)) => {
                let footprint = &seen.footprint;
                let found = footprint.owner().and_then(|owner| runtime.bindings().find(owner));
                let now = found.as_ref().map(|found| found.config());
                let verdict = footprint.judge(now, &self.spec);
                self.judged.insert(run, (seen.clone(), verdict.clone()));
                (footprint.owner().cloned(), verdict)
            }
            // What another round may read is not given up.
            Ok(Err(error)) if error.kind == JournalErrorKind::Unavailable => (None, Verdict::Over),
            Ok(Err(error)) => (None, Verdict::Park(Parked::Unreadable(error.to_string()))),
            Err(_) => (None, Verdict::Over),
        };
        let next = self.line.judged(run, &verdict, &self.spec);
        if let (Ok(Ok(seen)), None) = (looked, &next) {
            // Whoever waits for a trial does not keep its events in memory meanwhile.
            seen.root.take();
        }
        match verdict {
            Verdict::Park(why) => {
                self.judged.remove(&run);
                runtime.recovery().park(ParkedRun::new(run, owner, why), n_changes);
            }
            Verdict::Quarantine { n_boots } => {
                self.quarantine(run, n_boots, runtime, context);
                let why = Parked::Quarantined { n_boots };
                runtime.recovery().park(ParkedRun::new(run, owner, why), n_changes);
            }
            Verdict::Over => {
                self.judged.remove(&run);
                runtime.recovery().unpark(run);
            }
            Verdict::Claim { .. } => runtime.recovery().unpark(run),
        }
        if let Some(next) = next {
            self.perform(next, runtime, context);
        }
    }

    fn quarantine(
        &mut self,
        run: RunId,
        n_boots: u32,
        runtime: &Runtime,
        context: &Context<'_, Self>,
    ) {
        let Some((seen, _)) = self.judged.remove(&run) else { return };
        let runtime = runtime.clone();
        let event = Event::RunQuarantined { n_boots };
        let stored = async move { append(&runtime, run, &seen, event).await };
        // A journal that does not take it is judged to the same by the next process.
        context.shielded("recover", STEP_MAX, stored, |_| RecoveryMessage::Quarantined);
    }

    fn started(
        &mut self,
        run: RunId,
        started: &Result<Result<CancellationToken, RunError>, EffectError>,
        runtime: &Runtime,
        context: &Context<'_, Self>,
    ) {
        // A run that could not be started is unfinished, and another round finds it.
        let Ok(Ok(moved)) = started else { return self.given_up(run) };
        self.resumed.push(run);
        self.line.started(run);
        if self.on_trial == Some(run) {
            let (moved, probation) = (moved.clone(), self.spec.probation);
            let watched = async move { moved.cancelled().await };
            let message = move |_| RecoveryMessage::Acquitted(run);
            context.shielded("probation", probation, watched, message);
        } else {
            self.unproven.add(moved.clone(), runtime.clock().elapsed());
        }
    }

    fn given_up(&mut self, run: RunId) {
        self.line.started(run);
        self.acquitted(run);
    }

    fn acquitted(&mut self, run: RunId) {
        self.on_trial.take_if(|on_trial| *on_trial == run);
        self.line.acquitted(run);
    }
}

impl Actor for Recovery {
    type Message = RecoveryMessage;

    fn started(&mut self, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        context.after(self.spec.interval, RecoveryMessage::Due);
        Ok(())
    }

    fn handle(
        &mut self,
        message: &RecoveryMessage,
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        let Some(runtime) = self.runtime.upgrade() else { return Ok(()) };
        match message {
            RecoveryMessage::Round(reply) => {
                self.waiting.push(reply.take());
                self.list(&runtime, context);
            }
            RecoveryMessage::Due => {
                context.after(self.spec.interval, RecoveryMessage::Due);
                self.list(&runtime, context);
            }
            RecoveryMessage::Look => self.list(&runtime, context),
            RecoveryMessage::Listed(listed) => {
                self.is_listing = false;
                // A journal that cannot be read now is asked again in the next round.
                if let Ok(Ok(heads)) = listed {
                    self.listed(heads, &runtime);
                }
            }
            RecoveryMessage::Looked(run, looked) => self.looked(*run, looked, &runtime, context),
            RecoveryMessage::Started(run, result) => self.started(*run, result, &runtime, context),
            RecoveryMessage::Acquitted(run) => self.acquitted(*run),
            RecoveryMessage::Nudge => self.is_nudged = false,
            RecoveryMessage::Quarantined => {}
        }
        self.advance(&runtime, context);
        Ok(())
    }
}

impl fmt::Debug for RecoveryMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Round(_) => "Round",
            Self::Due => "Due",
            Self::Look => "Look",
            Self::Listed(_) => "Listed",
            Self::Looked(..) => "Looked",
            Self::Started(..) => "Started",
            Self::Acquitted(_) => "Acquitted",
            Self::Nudge => "Nudge",
            Self::Quarantined => "Quarantined",
        })
    }
}

//! What an application asks of recovery.

use std::time::Duration;

use greenroom_core::ids::{AgentId, RunId};
use greenroom_core::journal::JournalError;
use greenroom_core::mailbox::MailboxSpec;
use greenroom_core::recovery::{Owner, Parked, ParkedRun, RecoverySpec, Verdict};
use greenroom_core::supervision::{AdminError, ChildSpec};

use super::actor::{Recovery, RecoveryMessage};
use super::{look, take_over};
use crate::actor::address::{AgentRef, AskError};
use crate::run::control::ControlError;
use crate::runtime::Runtime;
use crate::runtime::error::{RunError, StartError};

/// How long one round of recovery may take: as long as a request to a supervisor.
const ROUND_MAX: Duration = Duration::from_secs(600);

/// What one round of recovery did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Recovered {
    /// The runs that go on, in the order in which they were started.
    pub resumed: Vec<RunId>,
    /// The runs that are left alone, with the reasons.
    pub parked: Vec<ParkedRun>,
    /// Runs that will be started one after the other, each watched for a while, because processes died while
    /// they were at work.
    pub n_suspects: usize,
}

/// Why a run is not continued by hand.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// It is at work here, and could not be told to go on.
    #[error("the run could not be told to go on")]
    Told(#[source] ControlError),
    /// It has its outcome.
    #[error("the run is over")]
    Over,
    /// The journal has no such run, or nobody here can continue it, or its changes are refused.
    #[error("the run cannot be continued: {0}")]
    Parked(Parked),
    /// Its streams cannot be read.
    #[error("the run cannot be read")]
    Journal(#[source] JournalError),
    /// It cannot be started.
    #[error("the run could not be continued")]
    Run(#[source] RunError),
}

impl Runtime {
    /// Continues the unfinished runs of the journal that nobody works on, and goes on looking for such runs
    /// until the runtime ends. Completes after the first round.
    ///
    /// A run is continued by the team or agent whose name it bears, so call this once they are started; one
    /// that is started later is given its runs in the next round. Its budget, its deadline and the rest of a
    /// wait hold on. What each run comes to is told by [`Team::attach`](crate::Team::attach) and
    /// [`Agent::attach`](crate::Agent::attach).
    ///
    /// One process at a time uses a journal. Another call starts another round, by the spec of the first.
    ///
    /// # Errors
    ///
    /// [`StartError`] when the runtime is stopping, or a round takes more than ten minutes.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses the report; recovery goes on.
    pub async fn recover(&self, spec: RecoverySpec) -> Result<Recovered, StartError> {
        let actor = self.recovery().actor.get_or_try_init(|| self.start_recovery(spec)).await?;
        let round = actor.ask(ROUND_MAX, RecoveryMessage::Round).await;
        round.map_err(|error: AskError| StartError::new("recovery", error))
    }

    async fn start_recovery(
        &self,
        spec: RecoverySpec,
    ) -> Result<AgentRef<RecoveryMessage>, StartError> {
        let spec = *self.recovery().spec.get_or_init(|| spec);
        let runtime = self.downgrade();
        let child = ChildSpec::worker(AgentId::new("recovery"));
        let factory = move || Recovery::new(runtime.clone(), spec);
        let started = self.resident(child, "recovery", MailboxSpec::default(), factory).await;
        let slot = started.map_err(|error: AdminError| StartError::new("recovery", error))?;
        Ok(AgentRef::new(slot))
    }

    /// The unfinished runs that recovery leaves alone, in the order of their ids.
    #[must_use]
    pub fn parked(&self) -> Vec<ParkedRun> {
        self.recovery().parked()
    }

    /// Lets recovery look for runs now.
    pub(crate) fn look_again(&self) {
        if let Some(actor) = self.recovery().actor.get() {
            // With a full mailbox it is about to look anyway.
            let _ = actor.try_send(RecoveryMessage::Look);
        }
    }

    /// Continues a run because a person says so: one that was paused, asleep or not, or one that recovery left
    /// alone, which was quarantined, or whose team or agent has changed, unless the policy that recovery was
    /// started with refuses changes.
    ///
    /// # Errors
    ///
    /// [`ResumeError`] when the run is over, or there is nobody who could continue it. A run that is at work
    /// and not paused just goes on.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave the run claimed and not started; the next round starts it.
    pub async fn resume(&self, run: RunId) -> Result<(), ResumeError> {
        if self.runs().has(run) {
            return self.set_paused(run, false).await.map_err(ResumeError::Told);
        }
        let spec = self.recovery().spec.get().copied().unwrap_or_default();
        let mut seen = look(&*self.journal(), run, None).await.map_err(ResumeError::Journal)?;
        let footprint = &seen.footprint;
        let found = footprint.owner().and_then(|owner: &Owner| self.bindings().find(owner));
        match footprint.judge_by_hand(found.as_ref().map(|found| found.config()), &spec) {
            Verdict::Over => Err(ResumeError::Over),
            Verdict::Claim { boot, changes } => {
                if footprint.is_paused()
                    && let Some(place) = self.runs().hold(run)
                {
                    self.write_paused(run, false).await.map_err(ResumeError::Told)?;
                    drop(place);
                    seen = look(&*self.journal(), run, None).await.map_err(ResumeError::Journal)?;
                }
                take_over(self, run, &seen, boot, changes).await.map_err(ResumeError::Run)?;
                self.recovery().unpark(run);
                Ok(())
            }
            Verdict::Quarantine { n_boots } => {
                Err(ResumeError::Parked(Parked::Quarantined { n_boots }))
            }
            Verdict::Park(why) => Err(ResumeError::Parked(why)),
        }
    }
}

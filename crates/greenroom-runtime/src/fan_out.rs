//! Fan-out: the shell around the machine of [`greenroom_core::fanout`]. It runs branches as tasks of their own,
//! tells the machine how they end, and does what the machine says.
//!
//! An actor fans out in its handler and gets the outcome as a message; an application awaits it. Both drive the
//! same machine, so a form means the same in both.

pub(crate) mod branch;
mod drive;
pub(crate) mod gathered;

use std::future::Future;

use greenroom_core::fanout::{BRANCHES_MAX, FanOut, Verdict};

use crate::actor::question::{Origin, Tie};
use crate::actor::{Actor, Context};
use crate::fan_out::branch::{Branch, Launch};
use crate::fan_out::drive::drive;
use crate::fan_out::gathered::Gathered;
use crate::runtime::Runtime;

impl<A: Actor> Context<'_, A> {
    /// Starts several branches of work that the hook does not wait for. When enough of them have ended, what
    /// they gave comes back as one message: see the tables at [`greenroom_core::fanout`].
    ///
    /// When the message being handled is an ask, the fan-out has no more time than the ask has left, and is
    /// cancelled when its asker goes away; the message comes all the same, with what there is by then.
    ///
    /// | what happens first | a branch that runs | one that runs and is shielded | the message |
    /// |---|---|---|---|
    /// | enough have ended, or can never end | is cancelled | goes on alone | comes |
    /// | the asker goes away | is cancelled | goes on alone | comes, with [`Verdict::Cancelled`] |
    /// | the asker's deadline | is cancelled | goes on alone | comes, with [`Verdict::Partial`] or [`Verdict::Late`] |
    /// | the incarnation ends | is cancelled | goes on alone | does not come |
    /// | the runtime ends | is cancelled | is cancelled | does not come |
    ///
    /// A fan-out counts as as many effects as it has branches that may run at once, until its message is
    /// handled; a shielded branch counts until it has ended. A fan-out of more than 1,024 branches starts none
    /// of them, and its message says [`Verdict::Refused`].
    pub fn fan_out<R, E>(
        &self,
        form: FanOut,
        branches: impl IntoIterator<Item = Branch<R, E>>,
        into_message: impl FnOnce(Gathered<R, E>) -> A::Message + Send + 'static,
    ) where
        R: Send + 'static,
        E: Send + 'static,
    {
        let effects = self.effects;
        let mut branches = bounded(branches);
        let n_places = form.width_of(branches.len().min(BRANCHES_MAX)).max(1);
        let Some(places) = effects.places(n_places) else { return };
        for branch in branches.iter_mut().filter(|branch| branch.is_shielded()) {
            let Some(place) = effects.places(1) else { return };
            branch.hold(place);
        }
        let (origin, home) = (self.origin(), effects.home());
        let launch = Launch { tasks: effects.tasks.clone(), origin: origin.clone() };
        effects.tasks.spawn("fan-out", async move {
            let outcome = tokio::select! {
                biased;
                () = home.token.cancelled() => return,
                outcome = drive(launch, form, branches) => outcome,
            };
            let is_done = matches!(outcome.verdict(), Verdict::Complete | Verdict::Impossible);
            let inherited = Tie::Origin(origin).inherited(is_done);
            home.deliver(places, inherited, || into_message(outcome));
        });
    }
}

impl Runtime {
    /// Runs several branches of work and gives what became of each once enough of them have ended: see the
    /// tables at [`greenroom_core::fanout`]. Nothing is started before the future is polled.
    ///
    /// At the end of the runtime every branch is cancelled, and the verdict is
    /// [`Verdict::Cancelled`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels every branch that runs, but for the shielded ones: they go on alone. What
    /// branches had given by then is lost.
    pub fn fan_out<R, E>(
        &self,
        form: FanOut,
        branches: impl IntoIterator<Item = Branch<R, E>>,
    ) -> impl Future<Output = Gathered<R, E>> + Send + 'static
    where
        R: Send + 'static,
        E: Send + 'static,
    {
        let launch = Launch { tasks: self.tasks().clone(), origin: Origin::outside() };
        drive(launch, form, bounded(branches))
    }
}

/// The branches, and of too many only one too many: enough for the machine to refuse them.
fn bounded<R, E>(branches: impl IntoIterator<Item = Branch<R, E>>) -> Vec<Branch<R, E>> {
    branches.into_iter().take(BRANCHES_MAX + 1).collect()
}

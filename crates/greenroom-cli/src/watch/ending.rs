//! The end of a run that somebody asked for: it is cancelled, or left to the next process.

use std::pin::Pin;
use std::time::Duration;

use greenroom_core::ids::RunId;
use greenroom_core::report::Outcome;
use greenroom_runtime::{DrainReport, Run};

use crate::console::Console;
use crate::session::{DRAIN_MAX, Session};
use crate::signals::Signal;

/// How long a cancelled run may take to end.
const CANCEL_MAX: Duration = Duration::from_secs(5);

/// What was asked, and what came of it.
pub(super) struct Ending<'a> {
    session: &'a Session,
    asked: Option<Signal>,
    drain: Option<Pin<Box<dyn Future<Output = DrainReport> + Send + 'a>>>,
    report: DrainReport,
}

impl<'a> Ending<'a> {
    /// Nobody has asked.
    pub(super) fn new(session: &'a Session) -> Self {
        Self { session, asked: None, drain: None, report: DrainReport::default() }
    }

    /// Whether this was asked first.
    pub(super) fn is(&self, signal: Signal) -> bool {
        self.asked == Some(signal)
    }

    /// Whether somebody has asked.
    pub(super) fn has_begun(&self) -> bool {
        self.asked.is_some()
    }

    /// Does what a signal asks, and tells how long that may take; `None` for a second one, whose sender has
    /// no patience left.
    pub(super) fn begin(
        &mut self,
        signal: Signal,
        run: &Run<Outcome>,
        console: &Console,
    ) -> Option<Duration> {
        if self.asked.replace(signal).is_some() {
            return None;
        }
        match signal {
            Signal::Interrupt => {
                console.note("cancelling; press Ctrl-C again to leave at once");
                run.cancel();
                Some(CANCEL_MAX)
            }
            Signal::Terminate => {
                console.note("asked to end; what is under way may end first");
                self.drain = Some(Box::pin(self.session.drain()));
                Some(DRAIN_MAX + CANCEL_MAX)
            }
        }
    }

    /// Completes when everything has ended that was to be drained; never, when nothing is.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(super) async fn drained(&mut self) {
        match &mut self.drain {
            Some(drain) => self.report = drain.await,
            None => std::future::pending().await,
        }
        self.drain = None;
    }

    /// Whether the run was left to the next process.
    pub(super) async fn left(mut self, run: RunId) -> bool {
        if self.drain.is_some() {
            self.drained().await;
        }
        self.report.parked.contains(&run) || self.report.cut_off.contains(&run)
    }
}

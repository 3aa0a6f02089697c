//! A caller's hold on its job.

use greenroom_core::pool::{Event, JobId};

use super::Shared;

/// Withdraws a job when its caller goes away.
pub(in crate::pool) struct Ticket<'a, J: Send + Sync + 'static, R: Send + 'static> {
    pub(super) shared: &'a Shared<J, R>,
    pub(super) job: Option<JobId>,
}

impl<J: Send + Sync + 'static, R: Send + 'static> Ticket<'_, J, R> {
    /// The job is over.
    pub(in crate::pool) fn settle(mut self) {
        self.job = None;
    }
}

impl<J: Send + Sync + 'static, R: Send + 'static> Drop for Ticket<'_, J, R> {
    fn drop(&mut self) {
        if let Some(job) = self.job {
            self.shared.tell(Event::Withdraw(job));
        }
    }
}

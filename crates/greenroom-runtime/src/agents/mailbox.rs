//! The mailboxes of the agents that come with the runtime.

use greenroom_core::mailbox::MailboxSpec;

/// The default, but nothing is kept once it is a dead letter: the messages of a run belong to its router,
/// which gives the task out again, and what they hold is to be let go.
pub(crate) fn internal_mailbox() -> MailboxSpec {
    MailboxSpec { keeps_dead_letters: false, ..MailboxSpec::default() }
}

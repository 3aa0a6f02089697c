//! How a mailbox is to behave. It decides nothing.

use std::time::Duration;

/// How a mailbox behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxSpec {
    /// Messages that may wait in the user lane. Default 64, and never less than 1.
    pub capacity: usize,
    /// Messages that may wait in the control lane, on top of `capacity`. Default 16.
    pub control_capacity: usize,
    /// What happens to a message that finds the user lane full.
    pub overflow: Overflow,
    /// How long a sender waits for room when the policy is [`Overflow::Wait`], before it gets its message
    /// back. Default one minute. A sender that names a deadline of its own, and whoever asks, waits until
    /// that.
    pub wait_max: Duration,
    /// How often a message may be delivered before it is quarantined: a message in flight at a crash is
    /// delivered again until then. Default 2, and never less than 1.
    pub deliveries_max: u32,
    /// Whether the runtime keeps what nobody handled, to be sent again. Default true: of all its agents
    /// together, the runtime keeps a bounded number of messages, the newest. Not for messages that are
    /// large, secret, or hold what has to be let go at once.
    pub keeps_dead_letters: bool,
}

impl Default for MailboxSpec {
    fn default() -> Self {
        Self {
            capacity: 64,
            control_capacity: 16,
            overflow: Overflow::Wait,
            wait_max: Duration::from_secs(60),
            deliveries_max: 2,
            keeps_dead_letters: true,
        }
    }
}

/// What happens to a message that finds the user lane full.
///
/// | policy | the sender | the queue |
/// |---|---|---|
/// | `Wait` | waits for room, at most [`wait_max`](MailboxSpec::wait_max) or until its deadline; then gets its message back | unchanged |
/// | `RejectNewest` | gets its message back | unchanged |
/// | `DropOldest` | is done | the oldest becomes a dead letter |
/// | `StopAgent` | gets its message back | unchanged; the incarnation ends abnormally, and its supervisor decides what follows |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Overflow {
    /// The sender waits.
    #[default]
    Wait,
    /// The sender gets its message back at once.
    RejectNewest,
    /// The oldest message makes room.
    DropOldest,
    /// The incarnation is ended: its owner would rather have a fresh one than a late one.
    StopAgent,
}

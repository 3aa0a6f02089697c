//! The words of the governor: its limits, what it is asked, and what it answers.

use std::fmt;
use std::time::Duration;

use crate::ids::RunId;
use crate::model::ModelError;
use crate::resilience::breaker::BreakerSpec;
use crate::resilience::budget::RetryBudgetSpec;
use crate::resilience::concurrency::ConcurrencySpec;
use crate::resilience::rate::RateSpec;

/// The limits of one provider account.
#[derive(Debug, Clone, PartialEq)]
pub struct GovernorSpec {
    /// Calls under way at once.
    pub concurrency: ConcurrencySpec,
    /// Requests per minute. Default none but what the provider tells.
    pub requests: Option<RateSpec>,
    /// Tokens per minute, sent and received together. Default none but what the provider tells.
    pub tokens: Option<RateSpec>,
    /// Calls that may wait. Default 1024.
    pub queue_max: usize,
    /// How long a call may wait, when its own deadline is later. Default 60 s.
    pub wait_max: Duration,
    /// The breaker of each model. `None` for none.
    pub breaker: Option<BreakerSpec>,
    /// The retries of the whole account. `None` for no bound.
    pub retry_budget: Option<RetryBudgetSpec>,
    /// Whether calls are refused at home when the provider refuses most. Default no: the breaker and the
    /// concurrency limit do enough for most accounts.
    pub is_throttled: bool,
    /// Whether 503 may say that there is too much to do: a burst holds the account back as a 429 does, and the
    /// breaker hears only of those beside which nothing is answered. Default yes.
    pub holds_on_bursts: bool,
    /// Over how long calls are spread after the account was held back. Default 2 s.
    pub spread: Duration,
}

impl Default for GovernorSpec {
    fn default() -> Self {
        Self {
            concurrency: ConcurrencySpec::default(),
            requests: None,
            tokens: None,
            queue_max: 1024,
            wait_max: Duration::from_secs(60),
            breaker: Some(BreakerSpec::default()),
            retry_budget: Some(RetryBudgetSpec::default()),
            is_throttled: false,
            holds_on_bursts: true,
            spread: Duration::from_secs(2),
        }
    }
}

/// A call that asks to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The run that it belongs to.
    pub run: Option<RunId>,
    /// How far below the root of its run.
    pub depth: u32,
    /// Whether it is not the first try of its call.
    pub is_retry: bool,
    /// How many tokens it may use, by estimate.
    pub tokens: u64,
    /// The model.
    pub model: ModelKey,
    /// When its answer is of no use any more.
    pub give_up_at: Duration,
}

/// A model of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelKey(pub(in crate::resilience) usize);

/// One call's place, in the queue or under way. Tickets are in the order of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub(super) u64);

/// A call that is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub why: Refusal,
    /// When a try makes sense, when that is known.
    pub retry_after: Option<Duration>,
}

/// Why a call is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Its deadline has passed.
    TooLate,
    /// The breaker of its model is open.
    BreakerOpen,
    /// The provider refuses too many.
    Throttled,
    /// The account is held back for longer than the call can wait.
    HeldBack,
    /// Too many calls wait already.
    QueueFull,
    /// The account has no retries left.
    NoRetriesLeft,
}

/// How a call that was made ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CallEnd<'a> {
    /// With a reply that used so many tokens.
    Replied {
        /// Tokens sent and received.
        tokens: u64,
    },
    /// With an error.
    Failed(&'a ModelError),
    /// Nobody waits for it any more. What it used is not known: it keeps what it had reserved.
    Cancelled,
    /// It was let through, and never sent.
    NotSent,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLate => "the deadline of the call has passed",
            Self::BreakerOpen => "the model fails too often, and is not asked for a while",
            Self::Throttled => "the provider refuses most calls, so this one was not made",
            Self::HeldBack => {
                "the provider holds the account back for longer than the call can wait"
            }
            Self::QueueFull => "too many calls wait for this account",
            Self::NoRetriesLeft => "the account has no retries left",
        })
    }
}

/// What a governor knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Calls that wait.
    pub n_waiting: usize,
    /// Calls under way.
    pub n_in_flight: usize,
    /// How many may be under way.
    pub concurrency_max: usize,
    /// What is in the retry budget, when there is one.
    pub retries_level: Option<u32>,
    /// Calls that were refused at home.
    pub n_refused: u64,
}

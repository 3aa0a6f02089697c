//! What a run may spend, what it has spent, and the ledger that keeps the two apart.
//!
//! Spending is reserved before it happens, so that agents working in parallel cannot jointly overspend.

mod ledger;
mod money;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use ledger::{Admission, Estimate, Hold, Ledger, Spent};
pub use money::{BadAmount, Price, Usd};

/// What model calls cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Requests made.
    pub model_calls: u64,
    /// Tokens sent.
    pub input_tokens: u64,
    /// Tokens received.
    pub output_tokens: u64,
    /// Tools called.
    pub tool_calls: u64,
    /// Tokens sent that the provider had in its cache, as far as it said so. Part of the tokens sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// Tokens sent that the provider put into its cache, as far as it said so. Part of the tokens sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_written_tokens: Option<u64>,
    /// Tokens received that were reasoning, as far as the provider said so. Part of the tokens received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
    /// Requests whose tokens are an estimate of ours, because the provider gave no count to believe.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub estimated_calls: u64,
    /// What it cost, as far as prices are known; `None` when none is. In billionths of a dollar.
    #[serde(default, rename = "cost_nano_usd", skip_serializing_if = "Option::is_none")]
    pub cost: Option<Usd>,
    /// Requests whose cost is in the sum. That of all others is not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priced_calls: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// The sum of what is known; unknown only when both are.
fn sum<T>(left: Option<T>, right: Option<T>, plus: fn(T, T) -> T) -> Option<T> {
    match (left, right) {
        (Some(left), Some(right)) => Some(plus(left, right)),
        (known, None) | (None, known) => known,
    }
}

impl Usage {
    /// Whether nothing was used.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Adds `other`, saturating.
    pub fn add(&mut self, other: Self) {
        self.model_calls = self.model_calls.saturating_add(other.model_calls);
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.tool_calls = self.tool_calls.saturating_add(other.tool_calls);
        self.cached_tokens = sum(self.cached_tokens, other.cached_tokens, u64::saturating_add);
        self.cache_written_tokens =
            sum(self.cache_written_tokens, other.cache_written_tokens, u64::saturating_add);
        self.reasoning_tokens =
            sum(self.reasoning_tokens, other.reasoning_tokens, u64::saturating_add);
        self.estimated_calls = self.estimated_calls.saturating_add(other.estimated_calls);
        self.priced_calls = self.priced_calls.saturating_add(other.priced_calls);
        self.cost = sum(self.cost, other.cost, Usd::plus);
    }

    /// Takes a call of a model back that had been counted and was not made.
    pub(crate) fn take_call_back(&mut self) {
        self.model_calls = self.model_calls.saturating_sub(1);
    }

    /// The use of one reply with its cost, when the price is known and the cost was not.
    #[must_use]
    pub fn priced(self, price: Option<Price>) -> Self {
        let cost = self.cost.or_else(|| price.map(|price| price.cost(&self)));
        Self { cost, priced_calls: u64::from(cost.is_some()), ..self }
    }

    /// Tokens sent and received.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}

/// The limits of a run. Every field has a finite default: nothing is unbounded by omission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Tokens, sent and received together. Default 1,000,000.
    pub tokens_max: u64,
    /// Requests to models. Default 200.
    pub model_calls_max: u64,
    /// Tool calls, searches included. Default 500.
    pub tool_calls_max: u64,
    /// Tasks in a plan. Default 16.
    pub tasks_max: u32,
    /// Time from acceptance to outcome. Default 10 minutes.
    pub wall_max: Duration,
    /// Money, for models. Default no limit but that on tokens. With one, a model whose price is not known is
    /// not called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub money_max: Option<Usd>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            tokens_max: 1_000_000,
            model_calls_max: 200,
            tool_calls_max: 500,
            tasks_max: 16,
            wall_max: Duration::from_secs(600),
            money_max: None,
        }
    }
}

/// Which limit of a [`Budget`] was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Limit {
    /// [`Budget::tokens_max`].
    Tokens,
    /// [`Budget::model_calls_max`].
    ModelCalls,
    /// [`Budget::tool_calls_max`].
    ToolCalls,
    /// [`Budget::wall_max`], or the deadline of the request.
    Deadline,
    /// [`Budget::money_max`].
    Money,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tokens => "token budget",
            Self::ModelCalls => "model-call budget",
            Self::ToolCalls => "tool-call budget",
            Self::Deadline => "deadline",
            Self::Money => "money budget",
        })
    }
}

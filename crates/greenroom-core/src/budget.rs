//! What a run may spend, what it has spent, and the ledger that keeps the two apart.
//!
//! Spending is reserved before it happens, so that agents working in parallel cannot jointly overspend.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

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
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// The sum of what is known; unknown only when both are.
fn sum(left: Option<u64>, right: Option<u64>) -> Option<u64> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.saturating_add(right)),
        (known, None) | (None, known) => known,
    }
}

impl Usage {
    /// Adds `other`, saturating.
    pub fn add(&mut self, other: Self) {
        self.model_calls = self.model_calls.saturating_add(other.model_calls);
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.tool_calls = self.tool_calls.saturating_add(other.tool_calls);
        self.cached_tokens = sum(self.cached_tokens, other.cached_tokens);
        self.cache_written_tokens = sum(self.cache_written_tokens, other.cache_written_tokens);
        self.reasoning_tokens = sum(self.reasoning_tokens, other.reasoning_tokens);
        self.estimated_calls = self.estimated_calls.saturating_add(other.estimated_calls);
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
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            tokens_max: 1_000_000,
            model_calls_max: 200,
            tool_calls_max: 500,
            tasks_max: 16,
            wall_max: Duration::from_secs(600),
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
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tokens => "token budget",
            Self::ModelCalls => "model-call budget",
            Self::ToolCalls => "tool-call budget",
            Self::Deadline => "deadline",
        })
    }
}

/// The account of one run: limits, what is spent, what is reserved.
///
/// The overshoot is at most one call: a reservation takes the caller's estimate of tokens, and the
/// settlement may exceed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    budget: Budget,
    spent: Usage,
    reserved_calls: u64,
    reserved_tokens: u64,
}

impl Ledger {
    /// An account that has already spent `spent`, which is not zero when a run resumes.
    #[must_use]
    pub fn new(budget: Budget, spent: Usage) -> Self {
        Self { budget, spent, reserved_calls: 0, reserved_tokens: 0 }
    }

    /// What has been spent, reservations excluded.
    #[must_use]
    pub fn spent(&self) -> Usage {
        self.spent
    }

    /// Reserves one model call of an estimated number of tokens.
    ///
    /// # Errors
    ///
    /// The [`Limit`] that the call would exceed; nothing is reserved then.
    pub fn reserve_model_call(&mut self, tokens_estimated: u64) -> Result<(), Limit> {
        if self.spent.model_calls + self.reserved_calls >= self.budget.model_calls_max {
            return Err(Limit::ModelCalls);
        }
        let tokens = self.spent.tokens().saturating_add(self.reserved_tokens);
        if tokens.saturating_add(tokens_estimated) > self.budget.tokens_max {
            return Err(Limit::Tokens);
        }
        self.reserved_calls += 1;
        self.reserved_tokens = self.reserved_tokens.saturating_add(tokens_estimated);
        Ok(())
    }

    /// Ends a reservation. `usage` is `None` when the call failed or was cancelled before it cost
    /// anything that is known; the call itself still counts.
    pub fn settle_model_call(&mut self, tokens_estimated: u64, usage: Option<Usage>) {
        self.reserved_calls = self.reserved_calls.saturating_sub(1);
        self.reserved_tokens = self.reserved_tokens.saturating_sub(tokens_estimated);
        let usage = usage.unwrap_or_default();
        self.spent.add(Usage { model_calls: 1, tool_calls: 0, ..usage });
    }

    /// Spends one tool call.
    ///
    /// # Errors
    ///
    /// [`Limit::ToolCalls`] when none is left.
    pub fn spend_tool_call(&mut self) -> Result<(), Limit> {
        if self.spent.tool_calls >= self.budget.tool_calls_max {
            return Err(Limit::ToolCalls);
        }
        self.spent.tool_calls += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parallel_reservations_cannot_jointly_overspend() {
        let budget = Budget { tokens_max: 100, ..Budget::default() };
        let mut ledger = Ledger::new(budget, Usage::default());
        assert_eq!(ledger.reserve_model_call(60), Ok(()));
        assert_eq!(ledger.reserve_model_call(60), Err(Limit::Tokens));
        let usage = Usage { input_tokens: 20, output_tokens: 10, ..Usage::default() };
        ledger.settle_model_call(60, Some(usage));
        assert_eq!(ledger.reserve_model_call(60), Ok(()));
        assert_eq!(ledger.spent().tokens(), 30);
        assert_eq!(ledger.spent().model_calls, 1);
    }

    #[test]
    fn limits_are_exact() {
        let budget = Budget { model_calls_max: 1, tool_calls_max: 1, ..Budget::default() };
        let mut ledger = Ledger::new(budget, Usage::default());
        assert_eq!(ledger.reserve_model_call(0), Ok(()));
        assert_eq!(ledger.reserve_model_call(0), Err(Limit::ModelCalls));
        ledger.settle_model_call(0, None);
        assert_eq!(ledger.reserve_model_call(0), Err(Limit::ModelCalls));
        assert_eq!(ledger.spend_tool_call(), Ok(()));
        assert_eq!(ledger.spend_tool_call(), Err(Limit::ToolCalls));
    }
}

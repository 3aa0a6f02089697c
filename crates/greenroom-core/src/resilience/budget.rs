//! Retry budgets: how many retries an account can afford, so that retries cannot become a storm.
//!
//! A limit per call cannot do that: when a provider is down, every caller retries as often as it may,
//! and the provider gets a multiple of the load that it could not bear. A budget is shared by all
//! callers and filled by successes only.
//!
//! [`RetryBudget`] is the one that the governor uses. [`finagle`] and [`grpc`] are two others that are
//! well known, for those who want the behaviour that they have elsewhere.

use crate::model::ModelErrorKind;

pub mod finagle;
pub mod grpc;

/// What retries cost and what fills the budget. The rule and the numbers are the AWS SDKs'.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryBudgetSpec {
    /// The most that the budget holds, and what it holds at first. Default 500.
    pub capacity: u32,
    /// What a retry costs. Default 5.
    pub cost: u32,
    /// What a retry costs after a timeout, which is dearer for everybody. Default 10.
    pub cost_timeout: u32,
    /// What a call that succeeds at its first try adds. Default 1.
    pub refill: u32,
}

impl Default for RetryBudgetSpec {
    fn default() -> Self {
        Self { capacity: 500, cost: 5, cost_timeout: 10, refill: 1 }
    }
}

/// A bucket that retries are paid from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryBudget {
    spec: RetryBudgetSpec,
    level: u32,
}

/// What a retry took from the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paid(u32);

impl RetryBudget {
    /// A full budget.
    #[must_use]
    pub fn new(spec: RetryBudgetSpec) -> Self {
        Self { level: spec.capacity, spec }
    }

    /// What is in it.
    #[must_use]
    pub fn level(&self) -> u32 {
        self.level
    }

    /// Pays for a retry after a failure of this kind; `None` when there is not enough left.
    pub fn pay(&mut self, failure: ModelErrorKind) -> Option<Paid> {
        let cost = match failure {
            ModelErrorKind::Timeout => self.spec.cost_timeout,
            _ => self.spec.cost,
        };
        self.level = self.level.checked_sub(cost)?;
        Some(Paid(cost))
    }

    /// A call succeeded: a retry gets back what it paid, and a first try adds a little.
    pub fn succeeded(&mut self, paid: Option<Paid>) {
        let refill = paid.map_or(self.spec.refill, |Paid(cost)| cost);
        self.level = self.level.saturating_add(refill).min(self.spec.capacity);
    }

    /// A retry that was paid for was never made.
    pub fn not_made(&mut self, paid: Option<Paid>) {
        if paid.is_some() {
            self.succeeded(paid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelErrorKind::{Timeout, Unavailable};

    #[test]
    fn rt05_retries_cost_and_only_the_last_cost_comes_back() {
        let mut budget = RetryBudget::new(RetryBudgetSpec::default());
        let mut levels = Vec::new();
        for _ in 0..4 {
            budget.pay(Unavailable).expect("there is enough");
            levels.push(budget.level());
        }
        assert_eq!(levels, [495, 490, 485, 480]);

        let spec = RetryBudgetSpec { capacity: 100, ..RetryBudgetSpec::default() };
        let mut budget = RetryBudget::new(spec);
        budget.pay(Timeout).expect("there is enough");
        let last = budget.pay(Timeout);
        assert_eq!((budget.level(), last), (80, Some(Paid(10))));
        budget.succeeded(last);
        assert_eq!(budget.level(), 90);
    }

    #[test]
    fn rt05_first_tries_fill_up_to_the_capacity() {
        let mut budget = RetryBudget::new(RetryBudgetSpec::default());
        budget.succeeded(None);
        assert_eq!(budget.level(), 500);
        budget.pay(Unavailable).expect("there is enough");
        budget.succeeded(None);
        assert_eq!(budget.level(), 496);
    }

    #[test]
    fn rt05_a_budget_for_one_retry_allows_one() {
        let mut budget =
            RetryBudget::new(RetryBudgetSpec { capacity: 5, ..RetryBudgetSpec::default() });
        let paid = budget.pay(Unavailable);
        assert!(paid.is_some());
        assert_eq!(budget.pay(Unavailable), None);
        budget.not_made(paid);
        assert_eq!(budget.pay(Timeout), None, "a timeout costs more than there is");
        assert_eq!(budget.pay(Unavailable), paid);
        budget.not_made(None);
        assert_eq!(budget.level(), 0, "nothing paid, nothing back");
    }
}

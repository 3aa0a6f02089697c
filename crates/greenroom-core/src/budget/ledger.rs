//! The account of one run: what may be spent, what is spent, what is reserved, and by whom.

use serde::{Deserialize, Serialize};

use super::{Budget, Limit, Price, Usage, Usd};
use crate::ids::AgentId;

/// What a reply is taken to have at most when the request does not limit it, in tokens.
const OUTPUT_TOKENS_MAX: u64 = 32_768;

/// How many times its estimate the tokens of a request may be. The estimate is one for four bytes.
const INPUT_MARGIN: u64 = 2;

/// A call of a model before it is made, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Estimate {
    /// Tokens that are to be sent, by estimate.
    pub input_tokens: u64,
    /// The most tokens that the reply may have, when the request says so.
    pub output_tokens_max: Option<u64>,
    /// The price of the model, when it is known.
    pub price: Option<Price>,
}

/// Tokens and money together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Amount {
    tokens: u64,
    money: Usd,
}

impl Amount {
    fn plus(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_add(other.tokens),
            money: self.money.plus(other.money),
        }
    }
}

impl Estimate {
    /// What the call costs at least: a reply may be empty.
    fn least(&self) -> Amount {
        let usage = Usage { input_tokens: self.input_tokens, ..Usage::default() };
        let money = self.price.map_or(Usd::ZERO, |price| price.cost(&usage));
        Amount { tokens: self.input_tokens, money }
    }

    /// What it costs at most, as far as anybody can tell.
    fn most(&self) -> Amount {
        let input = self.input_tokens.saturating_mul(INPUT_MARGIN);
        let output = self.output_tokens_max.unwrap_or(OUTPUT_TOKENS_MAX);
        let money = self.price.map_or(Usd::ZERO, |price| price.cost_max(input, output));
        Amount { tokens: input.saturating_add(output), money }
    }
}

/// A call's place in the account, to be handed back with what the call cost.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a call that is not settled holds its place for ever"]
pub struct Hold {
    most: Amount,
}

/// Whether a call may be made.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Admission {
    /// Now.
    Now(Hold),
    /// Not beside those that are under way: ask again when one of them is settled.
    Wait,
}

/// What one agent has spent on one model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// The agent.
    pub agent: AgentId,
    /// The model, as it was named.
    pub model: String,
    /// What the calls cost.
    pub usage: Usage,
}

/// The account of one run.
///
/// What a call costs is known only afterwards, so a limit that is kept by estimates alone is overshot by
/// every call that is under way when it is reached. This one is overshot by one call at most:
///
/// | the call | is |
/// |---|---|
/// | costs too much at least, on top of what is spent | refused |
/// | fits at most, on top of what is spent and of what all calls under way cost at most | made |
/// | is the only one | made: it may overshoot, and no other will |
/// | else | to wait until one of the others is settled |
///
/// So a run that is far from its limits calls its models side by side, and one after another near them. At
/// most, a call costs twice the estimate of what is sent and the whole limit on its reply, or 32,768 tokens.
///
/// With a limit on money, a model whose price is not known is not called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    budget: Budget,
    spent: Usage,
    spending: Vec<Spent>,
    n_held: u64,
    /// What the calls under way cost at most.
    held: Amount,
}

impl Ledger {
    /// An account that has already spent `spent`, which is not zero when a run resumes.
    #[must_use]
    pub fn new(budget: Budget, spent: Usage) -> Self {
        Self { budget, spent, spending: Vec::new(), n_held: 0, held: Amount::default() }
    }

    /// What has been spent, reservations excluded.
    #[must_use]
    pub fn spent(&self) -> Usage {
        self.spent
    }

    /// What each agent has spent on each model since the account was opened, in the order of their first
    /// calls.
    #[must_use]
    pub fn spending(&self) -> &[Spent] {
        &self.spending
    }

    /// Reserves one model call, or tells to wait.
    ///
    /// # Errors
    ///
    /// The [`Limit`] that the call would exceed whatever the calls under way cost; nothing is reserved then.
    pub fn reserve_model_call(&mut self, call: &Estimate) -> Result<Admission, Limit> {
        if self.spent.model_calls + self.n_held >= self.budget.model_calls_max {
            return Err(Limit::ModelCalls);
        }
        if self.budget.money_max.is_some() && call.price.is_none() {
            return Err(Limit::Money);
        }
        let spent =
            Amount { tokens: self.spent.tokens(), money: self.spent.cost.unwrap_or_default() };
        self.check(spent.plus(call.least()))?;
        let most = call.most();
        if self.n_held > 0 && self.check(spent.plus(self.held).plus(most)).is_err() {
            return Ok(Admission::Wait);
        }
        self.n_held += 1;
        self.held = self.held.plus(most);
        Ok(Admission::Now(Hold { most }))
    }

    fn check(&self, total: Amount) -> Result<(), Limit> {
        if total.tokens > self.budget.tokens_max {
            return Err(Limit::Tokens);
        }
        match self.budget.money_max {
            Some(money_max) if total.money > money_max => Err(Limit::Money),
            _ => Ok(()),
        }
    }

    /// Ends a reservation. `usage` is `None` when the call failed or was cancelled before it cost
    /// anything that is known; the call itself still counts.
    #[expect(clippy::needless_pass_by_value, reason = "a hold is settled once")]
    pub fn settle_model_call(
        &mut self,
        hold: Hold,
        agent: &AgentId,
        model: &str,
        usage: Option<Usage>,
    ) {
        self.n_held = self.n_held.saturating_sub(1);
        let Hold { most: Amount { tokens, money } } = hold;
        self.held = Amount {
            tokens: self.held.tokens.saturating_sub(tokens),
            money: self.held.money.minus(money),
        };
        let cost = Usage { model_calls: 1, tool_calls: 0, ..usage.unwrap_or_default() };
        self.spent.add(cost);
        let known = |spent: &&mut Spent| spent.agent == *agent && spent.model == model;
        match self.spending.iter_mut().find(known) {
            Some(spent) => spent.usage.add(cost),
            None => {
                let (agent, model) = (agent.clone(), model.to_owned());
                if self.spending.capacity() == 0 {
                    // An agent with one model is the rule.
                    self.spending.reserve_exact(1);
                }
                self.spending.push(Spent { agent, model, usage: cost });
            }
        }
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
mod tests;

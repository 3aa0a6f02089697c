//! Limits of requests and tokens per minute: our own, and those that the provider tells.
//!
//! A limit is a bucket that fills evenly and never above its brim: what was not used in one minute
//! cannot be used in the next. Tokens are reserved before a call is sent, by estimate, and settled by
//! what it used.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use super::governor::ModelKey;
use crate::model::{LimitHint, RateLimitHints};

/// So many in so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateSpec {
    /// How many; also the most that can be used at once.
    pub limit: u64,
    /// In which time.
    pub per: Duration,
}

impl RateSpec {
    /// So many a minute.
    #[must_use]
    pub const fn per_minute(limit: u64) -> Self {
        Self { limit, per: Duration::from_secs(60) }
    }
}

/// What rounding may lack of a whole.
const EPSILON: f64 = 1e-6;

/// One limit: a bucket that fills evenly.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    limit: f64,
    per: Duration,
    /// What was there at `at`; less than zero when more was used than reserved.
    level: f64,
    at: Duration,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn new(spec: RateSpec) -> Self {
        let limit = spec.limit.max(1) as f64;
        let per = spec.per.max(Duration::from_nanos(1));
        Self { limit, per, level: limit, at: Duration::ZERO }
    }

    /// What can be taken at `now`; less than zero when it was overdrawn.
    #[must_use]
    pub fn level(&self, now: Duration) -> f64 {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        (self.level + passed * self.rate()).min(self.limit)
    }

    /// How long until `n` can be taken. More than the bucket ever holds can be taken once it is full.
    #[must_use]
    pub fn wait(&self, n: u64, now: Duration) -> Duration {
        let missing = (n as f64).min(self.limit) - self.level(now);
        if missing <= EPSILON {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(missing / self.rate()).unwrap_or(Duration::MAX)
    }

    /// Takes `n`, also when they are not there yet: the next ones wait the longer for it.
    pub fn take(&mut self, n: u64, now: Duration) {
        self.add(-(n as f64), now);
    }

    /// Gives `n` back.
    pub fn give_back(&mut self, n: u64, now: Duration) {
        self.add(n as f64, now);
    }

    /// What a provider tells of its own limit.
    ///
    /// What is left is taken at its word only when it is less than we thought: it does not know yet of
    /// the calls on their way. The time in which the bucket fills follows from what is used and when it
    /// will be full again, once enough is used for rounding not to matter.
    fn learn(&mut self, hint: LimitHint, now: Duration) {
        self.add(0.0, now);
        if let Some(limit) = hint.limit.filter(|limit| *limit > 0) {
            self.limit = limit as f64;
            self.level = self.level.min(self.limit);
        }
        if let Some(remaining) = hint.remaining {
            self.level = self.level.min(remaining as f64);
            let used = self.limit - remaining as f64;
            if let Some(reset) = hint.reset.filter(|_| used >= self.limit / 10.0) {
                let per = (reset.as_secs_f64() * self.limit / used).clamp(1.0, 86_400.0);
                self.per = Duration::from_secs_f64(per);
            }
        }
    }

    fn add(&mut self, n: f64, now: Duration) {
        self.level = (self.level(now) + n).min(self.limit);
        self.at = self.at.max(now);
    }

    /// Per second.
    fn rate(&self) -> f64 {
        self.limit / self.per.as_secs_f64()
    }
}

/// A limit of ours, and the provider's own beside it: all must have room. What the provider tells with replies of one
/// model does not take the place of what it tells with those of another.
#[derive(Debug, Clone, Default)]
struct Limit {
    ours: Option<Bucket>,
    theirs: BTreeMap<ModelKey, Bucket>,
}

impl Limit {
    fn ours(spec: Option<RateSpec>) -> Self {
        Self { ours: spec.map(Bucket::new), theirs: BTreeMap::new() }
    }

    fn wait(&self, n: u64, now: Duration) -> Duration {
        let buckets = self.ours.iter().chain(self.theirs.values());
        buckets.map(|bucket| bucket.wait(n, now)).max().unwrap_or_default()
    }

    fn for_each(&mut self, change: impl FnMut(&mut Bucket)) {
        self.ours.iter_mut().chain(self.theirs.values_mut()).for_each(change);
    }

    fn learn(&mut self, model: ModelKey, hint: LimitHint, now: Duration) {
        let theirs = match (self.theirs.entry(model), hint.limit) {
            (Entry::Occupied(theirs), _) => theirs.into_mut(),
            (Entry::Vacant(theirs), Some(limit)) => {
                theirs.insert(Bucket::new(RateSpec::per_minute(limit)))
            }
            (Entry::Vacant(_), None) => return,
        };
        theirs.learn(hint, now);
    }
}

/// What a call that is under way has reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a reservation that is never settled lowers the limit for as long as it takes to fill"]
pub struct Reserved {
    tokens: u64,
}

/// The limits of one account.
#[derive(Debug, Clone, Default)]
pub struct RateLimits {
    requests: Limit,
    tokens: Limit,
}

impl RateLimits {
    /// Limits of ours; without any, only the provider's own count, once it tells them.
    #[must_use]
    pub fn new(requests: Option<RateSpec>, tokens: Option<RateSpec>) -> Self {
        Self { requests: Limit::ours(requests), tokens: Limit::ours(tokens) }
    }

    /// How long until a call of so many tokens may be sent.
    #[must_use]
    pub fn wait(&self, tokens: u64, now: Duration) -> Duration {
        self.requests.wait(1, now).max(self.tokens.wait(tokens, now))
    }

    /// Reserves a call of so many tokens.
    pub fn reserve(&mut self, tokens: u64, now: Duration) -> Reserved {
        self.requests.for_each(|bucket| bucket.take(1, now));
        self.tokens.for_each(|bucket| bucket.take(tokens, now));
        Reserved { tokens }
    }

    /// Ends a call: what it used beyond its reservation is taken, and the rest given back. A call that
    /// failed used none.
    pub fn settle(&mut self, reserved: Reserved, tokens_used: u64, now: Duration) {
        self.tokens.for_each(|bucket| {
            bucket.give_back(reserved.tokens, now);
            bucket.take(tokens_used, now);
        });
    }

    /// A call was never sent after all.
    pub fn cancel(&mut self, reserved: Reserved, now: Duration) {
        self.requests.for_each(|bucket| bucket.give_back(1, now));
        self.settle(reserved, 0, now);
    }

    /// Learns what the provider tells with a reply of a model; it holds for the account. Our own limits stay as they
    /// are.
    pub fn learn(&mut self, model: ModelKey, hints: &RateLimitHints, now: Duration) {
        self.requests.learn(model, hints.requests, now);
        self.tokens.learn(model, hints.tokens, now);
    }
}

#[cfg(test)]
mod tests;

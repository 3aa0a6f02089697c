//! The usual order of everything.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use greenroom_core::model::ChatModel;
use greenroom_core::resilience::{CacheSpec, HedgeSpec, RetrySpec, StallSpec};

use super::{Bounded, Cached, Fallback, Governor, Hedged, Retried, Timed};

/// What surrounds a model. The default is what most want: retries, the account's governor, timers.
#[must_use]
pub struct ResilienceSpec {
    /// Answers that are kept. Default none.
    pub cache: Option<CacheSpec>,
    /// The time of a whole call. Default 10 minutes.
    pub total: Duration,
    /// Tries of one call, when nobody above tries again. Default 4.
    pub retry: RetrySpec,
    /// Calls that are made twice when they are slow to begin. Default none.
    pub hedge: Option<HedgeSpec>,
    /// When a call has stalled.
    pub stall: StallSpec,
    /// Other models, each with the governor of its account, in the order in which they are asked.
    pub fallbacks: Vec<(Arc<dyn ChatModel>, Governor)>,
}

impl Default for ResilienceSpec {
    fn default() -> Self {
        Self {
            cache: None,
            total: Duration::from_secs(600),
            retry: RetrySpec::default(),
            hedge: None,
            stall: StallSpec::default(),
            fallbacks: Vec::new(),
        }
    }
}

impl ResilienceSpec {
    /// Another model, of this or another account, to be asked when those before it are given up.
    pub fn fallback(mut self, model: impl ChatModel, governor: &Governor) -> Self {
        self.fallbacks.push((Arc::new(model), governor.clone()));
        self
    }
}

/// Surrounds a model with everything, in the order that the module explains. `governor` is that of the
/// model's account, and is the same for all models of the account.
#[must_use]
pub fn resilient(
    model: impl ChatModel,
    governor: &Governor,
    spec: ResilienceSpec,
) -> Arc<dyn ChatModel> {
    let clock = governor.clock();
    let ResilienceSpec { cache, total, retry, hedge, stall, fallbacks } = spec;
    let lane = |model: Arc<dyn ChatModel>, governor: &Governor| -> Arc<dyn ChatModel> {
        let timed = Timed::new(model, stall, governor.clock());
        let governed = governor.govern(timed);
        match hedge {
            Some(hedge) => {
                let hedged = Hedged::new(governed, hedge, governor.clock());
                Arc::new(Retried::new(hedged, retry, governor.clock()))
            }
            None => Arc::new(Retried::new(governed, retry, governor.clock())),
        }
    };
    let first = lane(Arc::new(model), governor);
    let others: Vec<_> =
        fallbacks.into_iter().map(|(model, governor)| lane(model, &governor)).collect();
    let model: Arc<dyn ChatModel> = if others.is_empty() {
        first
    } else {
        Arc::new(Fallback::new(first, others, clock.clone()))
    };
    let bounded = Bounded::new(model, total, clock.clone());
    match cache {
        Some(cache) => Arc::new(Cached::new(bounded, cache, clock)),
        None => Arc::new(bounded),
    }
}

impl fmt::Debug for ResilienceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResilienceSpec")
            .field("total", &self.total)
            .field("retry", &self.retry)
            .field("n_fallbacks", &self.fallbacks.len())
            .finish_non_exhaustive()
    }
}

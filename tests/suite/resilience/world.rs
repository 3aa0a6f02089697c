//! What these tests share: a clock, an account, and callers that ask.

use std::sync::Arc;
use std::time::Duration;

use greenroom_core::ids::RunId;
use greenroom_core::model::{Caller, ChatRequest, ModelError, ModelErrorKind};
use greenroom_core::time::{Clock, Timestamp};
use greenroom_models::resilience::{ConcurrencySpec, Governor, GovernorSpec};
use greenroom_runtime::SystemClock;

pub(super) use crate::support::{ask, request};

pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A clock in virtual time.
pub(super) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::starting_at(Timestamp::from_millis(1_700_000_000_000)))
}

/// An account with so many places, and nothing else that limits.
pub(super) fn plain(n_places: u32) -> GovernorSpec {
    GovernorSpec {
        concurrency: ConcurrencySpec::fixed(n_places),
        breaker: None,
        retry_budget: None,
        holds_on_bursts: false,
        ..GovernorSpec::default()
    }
}

pub(super) fn governor(spec: GovernorSpec) -> Governor {
    Governor::new(spec, clock())
}

/// A request of a run, at a depth.
pub(super) fn of_run(run: u128, depth: u32) -> ChatRequest {
    let caller = Caller { run: Some(RunId::from_bits(run)), depth, ..Caller::default() };
    ChatRequest { caller, ..request() }
}

pub(super) fn error(kind: ModelErrorKind) -> ModelError {
    ModelError::new(kind, "scripted", "as the script says")
}

//! Model calls that fail: which are tried again, when, and how often.

use std::time::Duration;

use super::simulation::{Simulation, spec};
use crate::agent::{AgentSpec, TurnLimits};
use crate::model::{ChatReply, ModelError, ModelErrorKind};
use crate::report::TaskFailureKind;

fn error(kind: ModelErrorKind) -> ModelError {
    ModelError::new(kind, "m", "no")
}

fn with_attempts(attempts_max: u32) -> AgentSpec {
    AgentSpec { limits: TurnLimits { attempts_max, ..TurnLimits::default() }, ..spec() }
}

/// The waits before the calls of a model that fails for ever, in milliseconds.
fn waits_ms(limits: TurnLimits, retry_after: Option<Duration>) -> Vec<u128> {
    let model = move |_, _| Err(ModelError { retry_after, ..error(ModelErrorKind::RateLimited) });
    let done = Simulation::new(AgentSpec { limits, ..spec() }, &model).run();
    done.delays.iter().map(Duration::as_millis).collect()
}

#[test]
fn waits_are_a_share_that_the_seed_decides_of_what_doubles_up_to_the_cap() {
    let limits = TurnLimits { attempts_max: 8, ..TurnLimits::default() };
    assert_eq!(waits_ms(limits, None), [0, 42, 317, 772, 2531, 5607, 1008, 6130]);
    let mut full = 500;
    for wait in &waits_ms(limits, None)[1..] {
        assert!(*wait <= full, "{wait} of {full}");
        full = (full * 2).min(8000);
    }
    let longest =
        TurnLimits { retry_delay_min: Duration::MAX, retry_delay_max: Duration::MAX, ..limits };
    assert_eq!(waits_ms(longest, None).len(), 8, "no overflow");
}

#[test]
fn rt03_the_providers_wait_is_kept_to_the_millisecond_up_to_two_minutes() {
    let waits =
        |span| waits_ms(TurnLimits { attempts_max: 2, ..TurnLimits::default() }, Some(span));
    assert_eq!(waits(Duration::from_millis(20_001)), [0, 20_001]);
    assert_eq!(waits(Duration::from_secs(120)), [0, 120_000]);
    assert_eq!(waits(Duration::from_millis(120_001)), [0], "too long to wait for");
    assert_eq!(waits(Duration::ZERO), [0, 42], "no wait is no answer");
}

#[track_caller]
fn check(attempts_max: u32, n_failures: u32, kind: ModelErrorKind, expect: Result<u32, u32>) {
    let model = |_, attempt| match attempt {
        attempt if attempt <= n_failures => Err(error(kind)),
        _ => Ok(ChatReply::text("ok")),
    };
    let done = Simulation::new(with_attempts(attempts_max), &model).run();
    let n_calls = done.requests.len() as u32;
    let outcome = done.result().as_ref().map(|_| n_calls).map_err(|_| n_calls);
    assert_eq!(outcome, expect);
    let usage = match done.result() {
        Ok(report) => report.usage,
        Err(failure) => failure.usage,
    };
    assert_eq!(usage.model_calls, u64::from(n_calls), "failed calls count");
}

#[test]
fn the_limit_on_tries_is_exact() {
    use ModelErrorKind::Unavailable;
    check(0, 0, Unavailable, Err(0));
    check(1, 0, Unavailable, Ok(1));
    check(1, 1, Unavailable, Err(1));
    check(2, 1, Unavailable, Ok(2));
    check(4, 3, Unavailable, Ok(4));
    check(4, 4, Unavailable, Err(4));
}

#[test]
fn what_cannot_succeed_is_not_tried_again() {
    use ModelErrorKind::{Auth, ContextLength, Incomplete, InvalidRequest, Quota, Timeout};
    for kind in [Auth, ContextLength, InvalidRequest, Quota] {
        check(4, 1, kind, Err(1));
    }
    for kind in [Timeout, Incomplete] {
        check(4, 1, kind, Ok(2));
    }
}

#[test]
fn a_failure_says_what_happened() {
    let model = |_, _| Err(error(ModelErrorKind::Timeout));
    let done = Simulation::new(with_attempts(2), &model).run();
    let failure = done.result().as_ref().expect_err("the model fails");
    assert_eq!(failure.kind, TaskFailureKind::Model);
    assert_eq!(failure.model_error, Some(ModelErrorKind::Timeout));
    assert_eq!(failure.message, "timed out after 2 of 2 tries: model m: no");
}

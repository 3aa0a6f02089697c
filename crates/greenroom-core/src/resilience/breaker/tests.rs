//! The rows CB01 to CB13 with their configuration, and a slow reference model.

use std::time::Duration;

use proptest::prelude::*;

use super::State::{Closed, Disabled, ForcedOpen, HalfOpen, Open};
use super::*;

/// Configuration C1 of the rows.
const C1: BreakerSpec = BreakerSpec {
    window: Duration::from_secs(20),
    calls_min: 5,
    failure_rate_max: 0.5,
    slow: Some(Duration::from_secs(4)),
    slow_rate_max: 0.5,
    open: Duration::from_secs(5),
    n_probes: 4,
    half_open_max: Duration::from_secs(30),
};

const FAST: Duration = Duration::from_millis(100);
const SLOW: Duration = Duration::from_secs(5);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A breaker and the letters of the rows: F fail, S success, X ignored; lower case is slow.
struct Driven {
    breaker: Breaker,
    transitions: Vec<Transition>,
}

impl Driven {
    fn new() -> Self {
        Self { breaker: Breaker::new(C1), transitions: Vec::new() }
    }

    fn half_open() -> Self {
        let mut driven = Self::new();
        driven.all("FFFFF", at(0));
        assert_eq!(driven.breaker.state(), Open);
        driven.transitions.clear();
        driven
    }

    #[track_caller]
    fn one(&mut self, letter: char, now: Duration) {
        let pass = self.breaker.admit(now).expect("the call is made");
        let result = match letter.to_ascii_uppercase() {
            'F' => CallResult::Failure,
            'S' => CallResult::Success,
            _ => CallResult::Ignored,
        };
        let took = if letter.is_lowercase() { SLOW } else { FAST };
        self.transitions.extend(self.breaker.finish(pass, result, took, now));
    }

    #[track_caller]
    fn all(&mut self, letters: &str, now: Duration) {
        letters.chars().for_each(|letter| self.one(letter, now));
    }

    fn opened_by(&self) -> Vec<Cause> {
        self.transitions.iter().map(|transition| transition.cause).collect()
    }
}

#[test]
fn cb01_three_of_five_failures_open_and_the_next_call_is_refused() {
    let mut driven = Driven::new();
    driven.all("FFFS", at(0));
    assert_eq!((driven.breaker.state(), driven.breaker.failure_rate(at(0))), (Closed, None));
    driven.one('S', at(0));
    assert_eq!((driven.breaker.state(), driven.breaker.failure_rate(at(0))), (Open, Some(0.6)));
    assert_eq!(driven.opened_by(), [Cause::FailureRate(0.6)]);
    assert!(driven.breaker.admit(at(0)).is_err());
    assert_eq!(driven.breaker.n_refused(), 1);
}

#[test]
fn cb02_the_limit_itself_opens() {
    let mut driven = Driven::new();
    for (second, letter) in (0..).zip("SSSFF".chars()) {
        driven.one(letter, at(second));
    }
    assert_eq!((driven.breaker.state(), driven.breaker.failure_rate(at(4))), (Closed, Some(0.4)));
    driven.one('F', at(5));
    assert_eq!(driven.opened_by(), [Cause::FailureRate(0.5)]);
}

#[test]
fn cb02_what_is_older_than_the_window_does_not_count() {
    let mut driven = Driven::new();
    driven.all("FF", at(0));
    driven.all("SSS", at(19));
    driven.all("F", at(20));
    assert_eq!(driven.breaker.failure_rate(at(20)), None, "four calls are left");
    driven.all("F", at(20));
    assert_eq!((driven.breaker.state(), driven.breaker.failure_rate(at(20))), (Closed, Some(0.4)));
}

#[test]
fn cb03_slow_calls_open_too() {
    let mut driven = Driven::new();
    driven.all("fsFSs", at(0));
    assert_eq!((driven.breaker.state(), driven.opened_by()), (Open, vec![Cause::SlowRate(0.6)]));
}

#[test]
fn cb04_an_open_breaker_refuses_until_its_time_is_over_and_counts_afresh() {
    let mut driven = Driven::half_open();
    assert_eq!(driven.breaker.admit(at(0)), Err(Refused { retry_after: Some(at(5)) }));
    assert_eq!(driven.breaker.admit(at(3)), Err(Refused { retry_after: Some(at(2)) }));
    assert_eq!(driven.breaker.n_refused(), 2);
    let pass = driven.breaker.admit(at(6)).expect("a probe");
    assert_eq!((driven.breaker.state(), driven.breaker.n_refused()), (HalfOpen, 0));
    assert_eq!(driven.breaker.failure_rate(at(6)), None);
    driven.breaker.finish(pass, CallResult::Ignored, FAST, at(6));
}

#[test]
fn cb05_half_open_admits_exactly_its_probes_and_a_place_given_back_once_more() {
    let mut driven = Driven::half_open();
    let mut passes: Vec<_> =
        (0..4).map(|_| driven.breaker.admit(at(6)).expect("a probe")).collect();
    assert!(driven.breaker.admit(at(6)).is_err());
    let pass = passes.pop().expect("there are four");
    driven.breaker.finish(pass, CallResult::Ignored, FAST, at(6));
    let _one_more = driven.breaker.admit(at(6)).expect("a place was given back");
    assert!(driven.breaker.admit(at(6)).is_err());
}

#[track_caller]
fn check_probes(letters: &str, state: State, cause: Cause) {
    let mut driven = Driven::half_open();
    driven.all(letters, at(6));
    assert_eq!((driven.breaker.state(), driven.opened_by()), (state, vec![cause]), "{letters}");
}

#[test]
fn cb06_probes_that_fail_open_again() {
    check_probes("FFFS", Open, Cause::FailureRate(0.75));
}

#[test]
fn cb07_probes_that_succeed_close_and_count_afresh() {
    check_probes("FSSS", Closed, Cause::Recovered);
    let mut driven = Driven::half_open();
    driven.all("FSSS", at(6));
    assert_eq!(driven.breaker.failure_rate(at(6)), None);
    driven.all("SSSS", at(6));
    assert_eq!(driven.breaker.failure_rate(at(6)), None, "the probes are not in the window");
}

#[test]
fn cb08_probes_that_are_slow_open_again() {
    check_probes("sssS", Open, Cause::SlowRate(0.75));
}

#[test]
fn cb09_an_ignored_probe_is_not_counted_and_gives_its_place_back() {
    check_probes("SSSXF", Closed, Cause::Recovered);
}

#[test]
fn cb10_states_by_hand_stay_and_closed_never_becomes_half_open() {
    let mut breaker = Breaker::new(C1);
    let illegal = IllegalTransition { from: Closed, to: HalfOpen };
    assert_eq!(breaker.become_by_hand(HalfOpen, at(0)), Err(illegal));
    breaker.become_by_hand(ForcedOpen, at(0)).expect("always possible");
    assert_eq!(breaker.admit(at(1_000_000)), Err(Refused { retry_after: None }));
    assert_eq!(breaker.state(), ForcedOpen);
    breaker.become_by_hand(Disabled, at(0)).expect("always possible");
    for _ in 0..100 {
        let pass = breaker.admit(at(1)).expect("everything passes");
        breaker.finish(pass, CallResult::Failure, SLOW, at(1));
    }
    assert_eq!((breaker.state(), breaker.failure_rate(at(1))), (Disabled, None));
    breaker.become_by_hand(Closed, at(2)).expect("always possible");
    assert_eq!((breaker.state(), breaker.failure_rate(at(2))), (Closed, None));
}

#[test]
fn cb11_cancelled_probes_wedge_nothing_and_hung_ones_end() {
    let mut driven = Driven::half_open();
    for _ in 0..100 {
        driven.one('X', at(6));
    }
    let hung: Vec<_> = (0..4).map(|_| driven.breaker.admit(at(6)).expect("a probe")).collect();
    assert!(driven.breaker.admit(at(35)).is_err());
    assert_eq!(driven.breaker.state(), HalfOpen);
    assert_eq!(driven.breaker.admit(at(36)), Err(Refused { retry_after: Some(at(5)) }));
    assert_eq!(driven.breaker.state(), Open);
    let probe = driven.breaker.admit(at(41)).expect("a probe again");
    for pass in hung {
        let late = driven.breaker.finish(pass, CallResult::Failure, FAST, at(41));
        assert_eq!(late, None, "a probe of the last time decides nothing now");
    }
    driven.breaker.finish(probe, CallResult::Success, FAST, at(41));
    driven.all("SSS", at(41));
    assert_eq!(driven.breaker.state(), Closed);
}

#[test]
fn cb12_only_what_the_provider_is_at_fault_for_counts() {
    use ModelErrorKind::*;
    let result = |kind| CallResult::of(&ModelError::new(kind, "m", "no"));
    for kind in [Unavailable, Timeout, Incomplete] {
        assert_eq!(result(kind), CallResult::Failure, "{kind}");
    }
    for kind in [RateLimited, Auth, InvalidRequest, ContextLength, Quota] {
        assert_eq!(result(kind), CallResult::Ignored, "{kind}");
    }
}

/// The same rules over a log of everything, without slots, passes or generations.
struct Reference {
    state: State,
    since: u64,
    log: Vec<(u64, CallResult)>,
    n_out: u32,
}

impl Reference {
    fn go(&mut self, to: State, now: u64) {
        (self.state, self.since, self.n_out) = (to, now, 0);
        if to != Open {
            self.log.clear();
        }
    }

    fn admit(&mut self, now: u64) -> bool {
        if self.state == Open && now >= self.since + 5 {
            self.go(HalfOpen, now);
        }
        if self.state == HalfOpen && now >= self.since + 30 {
            self.go(Open, now);
        }
        let n_done = self.log.len() as u32;
        match self.state {
            Closed | Disabled => true,
            HalfOpen => self.n_out + n_done < 4,
            Open | ForcedOpen => false,
        }
    }

    fn finish(&mut self, result: CallResult, now: u64) {
        if result == CallResult::Ignored || !matches!(self.state, Closed | HalfOpen) {
            return;
        }
        self.log.push((now, result));
        // Slots are a second long, so the window is the current second and the 19 before it.
        let counted = self.log.iter().filter(|(then, _)| self.state == HalfOpen || then + 20 > now);
        let counted: Vec<_> = counted.map(|(_, result)| *result).collect();
        let n_failed = counted.iter().filter(|result| **result == CallResult::Failure).count();
        if counted.len() < if self.state == HalfOpen { 4 } else { 5 } {
            return;
        }
        if n_failed * 2 >= counted.len() {
            self.go(Open, now);
        } else if self.state == HalfOpen {
            self.go(Closed, now);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Calls begin and end in any order; time goes on by whole seconds.
    #[test]
    fn cb13_the_breaker_is_the_reference_model(
        ops in prop::collection::vec((0_u8..12, 0_u64..3), 10_000),
    ) {
        let mut breaker = Breaker::new(C1);
        let mut reference = Reference { state: Closed, since: 0, log: Vec::new(), n_out: 0 };
        let mut out: Vec<(Pass, u64)> = Vec::new();
        let (mut now, mut n_changes) = (0, 0_u64);
        for (op, dt) in ops {
            now += dt * u64::from(op % 4 == 0) * 2;
            let before = reference.state;
            match op {
                0..=4 => {
                    let admitted = breaker.admit(at(now));
                    let expected = reference.admit(now);
                    n_changes += u64::from(reference.state != before);
                    prop_assert_eq!(admitted.is_ok(), expected);
                    if let Ok(pass) = admitted {
                        reference.n_out += u32::from(reference.state == HalfOpen);
                        out.push((pass, n_changes));
                    }
                }
                5..=10 => {
                    if out.is_empty() { continue; }
                    let (pass, begun) = out.remove(usize::from(op) % out.len());
                    let result = match op {
                        5 | 6 => CallResult::Failure,
                        7 => CallResult::Ignored,
                        _ => CallResult::Success,
                    };
                    let is_current = begun == n_changes;
                    if is_current && reference.state == HalfOpen { reference.n_out -= 1; }
                    if is_current { reference.finish(result, now); }
                    breaker.finish(pass, result, FAST, at(now));
                    n_changes += u64::from(reference.state != before);
                }
                _ => {
                    let to = [Closed, Open, HalfOpen, ForcedOpen, Disabled][dt as usize + 2 * usize::from(now % 2 == 0)];
                    // By hand, and back at once from the states that never end.
                    for to in [to, if matches!(to, ForcedOpen | Disabled) { Closed } else { to }] {
                        if breaker.become_by_hand(to, at(now)).is_ok() {
                            reference.go(to, now);
                            n_changes += 1;
                        }
                    }
                }
            }
            prop_assert_eq!(breaker.state(), reference.state);
        }
    }
}

//! An account in a simulated world: who goes when, who is refused, what everybody gets back.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::ids::RunId;
use crate::model::LimitHint;
use crate::resilience::{BreakerSpec, ConcurrencySpec, RateSpec, RetryBudgetSpec};

const LATE: Duration = Duration::from_secs(1_000_000);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// One place, and nothing else that limits.
fn plain(n_places: u32) -> GovernorSpec {
    GovernorSpec {
        concurrency: ConcurrencySpec::fixed(n_places),
        breaker: None,
        retry_budget: None,
        holds_on_bursts: false,
        ..GovernorSpec::default()
    }
}

fn governor(spec: GovernorSpec) -> Governor {
    let mut governor = Governor::new(spec, 7);
    governor.model("m");
    governor
}

fn ask(run: u128, depth: u32) -> Ask {
    Ask {
        run: Some(RunId::from_bits(run)),
        depth,
        is_retry: false,
        tokens: 100,
        model: ModelKey(0),
        give_up_at: LATE,
    }
}

fn error(kind: ModelErrorKind) -> ModelError {
    ModelError::new(kind, "m", "no")
}

/// The tickets that are made at `now`.
fn made(governor: &mut Governor, now: Duration) -> Vec<Ticket> {
    let settled = governor.poll(now).into_iter();
    settled.map(|(ticket, made)| made.map(|()| ticket).expect("nobody is refused")).collect()
}

/// Asks and is made at once.
#[track_caller]
fn go(governor: &mut Governor, now: Duration) -> Ticket {
    let ticket = governor.ask(ask(1, 0), now).expect("it is taken");
    assert_eq!(made(governor, now), [ticket]);
    ticket
}

const REPLIED: CallEnd<'static> = CallEnd::Replied { tokens: 100 };

#[test]
fn rl04_a_flood_of_one_run_makes_no_other_wait() {
    let mut governor = governor(plain(1));
    let mut of_run = BTreeMap::new();
    for _ in 0..500 {
        of_run.insert(governor.ask(ask(0, 0), at(0)).expect("it is taken"), 0);
    }
    for run in 1..=100 {
        of_run.insert(governor.ask(ask(run, 0), at(0)).expect("it is taken"), run);
    }
    let mut order = Vec::new();
    while let [ticket] = made(&mut governor, at(1))[..] {
        order.push(of_run[&ticket]);
        governor.finish(ticket, REPLIED, at(1));
    }
    assert_eq!(order.len(), 600);
    let mut places: Vec<_> = (1..=100)
        .map(|run| order.iter().position(|of| *of == run).expect("every run is served"))
        .collect();
    places.sort_unstable();
    assert!(places[99] <= 3 * places[50], "{} and {}", places[99], places[50]);
    assert_eq!(order[..102].iter().filter(|run| **run == 0).count(), 2, "one of the flood a round");
}

#[test]
fn rl04_a_run_that_asks_one_by_one_is_not_behind_one_that_asks_all_at_once() {
    let mut governor = governor(plain(1));
    let mut of_run = BTreeMap::new();
    for _ in 0..100 {
        of_run.insert(governor.ask(ask(0, 0), at(0)).expect("it is taken"), 0);
    }
    let mut order = Vec::new();
    for _ in 0..100 {
        let has_asked = governor.queue.runs.contains_key(&Some(RunId::from_bits(1)));
        if !has_asked {
            of_run.insert(governor.ask(ask(1, 0), at(0)).expect("it is taken"), 1);
        }
        let [ticket] = made(&mut governor, at(0))[..] else { panic!("one is made") };
        order.push(of_run[&ticket]);
        governor.finish(ticket, REPLIED, at(0));
    }
    let n_first = order.iter().filter(|run| **run == 0).count();
    assert!((49..=51).contains(&n_first), "{n_first}");
}

#[test]
fn rl04_large_calls_take_more_of_a_runs_share() {
    let mut governor = governor(plain(1));
    let mut of_run = BTreeMap::new();
    for _ in 0..200 {
        let large = Ask { tokens: 9000, ..ask(0, 0) };
        of_run.insert(governor.ask(large, at(0)).expect("it is taken"), 0);
        let small = Ask { tokens: 1000, ..ask(1, 0) };
        of_run.insert(governor.ask(small, at(0)).expect("it is taken"), 1);
    }
    let mut n_of = [0, 0];
    for _ in 0..120 {
        let [ticket] = made(&mut governor, at(0))[..] else { panic!("one is made") };
        n_of[of_run[&ticket]] += 1;
        governor.finish(ticket, REPLIED, at(0));
    }
    assert_eq!(n_of, [20, 100], "10,000 a call against 2,000");
}

#[test]
fn rl06_a_parent_passes_its_children_and_no_other_run() {
    let mut governor = governor(plain(1));
    let busy = go(&mut governor, at(0));
    let children: Vec<_> =
        (0..20).map(|_| governor.ask(ask(1, 2), at(0)).expect("it is taken")).collect();
    let other = governor.ask(ask(2, 5), at(0)).expect("it is taken");
    let parent = governor.ask(ask(1, 1), at(0)).expect("it is taken");
    governor.finish(busy, REPLIED, at(1));
    let mut order = made(&mut governor, at(1));
    for _ in 0..2 {
        governor.finish(*order.last().expect("one was made"), REPLIED, at(1));
        order.extend(made(&mut governor, at(1)));
    }
    order.sort_unstable();
    assert_eq!(order, [children[0], other, parent], "one round, the parent first of its run");
}

/// Calls come at `back_at` after a refusal at 0 that asked for 2 s; when is each let through?
fn passed_at(n_calls: u128, n_places: u32, back_at: Duration) -> Vec<Duration> {
    let mut governor = governor(plain(n_places));
    let refused = go(&mut governor, at(0));
    let retry_after = Some(at(2));
    let limited = ModelError { retry_after, ..error(ModelErrorKind::RateLimited) };
    governor.finish(refused, CallEnd::Failed(&limited), at(0));
    for run in 0..n_calls {
        governor.ask(ask(run, 0), back_at).expect("it is taken");
    }
    let (mut now, mut passed) = (back_at, Vec::new());
    while let Some(wake_at) = governor.wake_at(now) {
        now = now.max(wake_at);
        for ticket in made(&mut governor, now) {
            passed.push(now);
            governor.finish(ticket, REPLIED, now);
        }
    }
    passed
}

#[test]
fn rl05_after_a_refusal_nobody_passes_and_then_all_do_one_by_one() {
    for (n_calls, n_places, back_at) in [
        (1000, 1000, ms(0)),
        (1000, 1000, at(2)),
        (100, 10, ms(500)),
        (2, 100, ms(1)),
        (50, 20, at(3)),
    ] {
        let passed = passed_at(n_calls, n_places, back_at);
        assert_eq!(passed.len() as u128, n_calls);
        let first = *passed.first().expect("somebody passes");
        assert_eq!(first, back_at.max(at(2)));
        let spread = *passed.last().expect("somebody passes") - first;
        assert!(spread >= at(1), "{n_calls} calls within {spread:?}");
        let herd = passed.chunk_by(|left, right| left == right).map(<[_]>::len).max();
        assert!(herd <= Some(n_calls as usize / 2), "{herd:?} of {n_calls} at once");
    }
}

#[test]
fn rl05_without_a_wait_the_account_is_held_back_for_longer_each_time() {
    let mut governor = governor(plain(100));
    let limited = error(ModelErrorKind::RateLimited);
    let mut now = at(0);
    let mut waits = Vec::new();
    for _ in 0..8 {
        let ticket = go(&mut governor, now);
        governor.finish(ticket, CallEnd::Failed(&limited), now);
        waits.push((governor.gate.closed_until() - now).as_secs());
        now = governor.gate.closed_until();
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    let ticket = go(&mut governor, now);
    governor.finish(ticket, REPLIED, now);
    let later = now + at(10);
    let ticket = go(&mut governor, later);
    governor.finish(ticket, CallEnd::Failed(&limited), later);
    assert_eq!(governor.gate.closed_until(), later + at(1), "a success forgets");
}

#[test]
fn rl05_calls_that_were_sent_together_are_one_refusal() {
    let mut governor = governor(plain(100));
    let tickets: Vec<_> = (0..50).map(|_| go(&mut governor, at(0))).collect();
    let limited = error(ModelErrorKind::RateLimited);
    for (i, ticket) in (0..).zip(tickets) {
        governor.finish(ticket, CallEnd::Failed(&limited), ms(100 + i));
    }
    assert_eq!(governor.gate.closed_until(), ms(1100));
}

/// So many of a hundred calls that are under way fail, before any is answered.
fn after_strikes(n_strikes: usize) -> Governor {
    let mut governor = governor(GovernorSpec { holds_on_bursts: true, ..plain(100) });
    let tickets: Vec<_> = (0..100).map(|_| go(&mut governor, at(0))).collect();
    let down = error(ModelErrorKind::Unavailable);
    for ticket in &tickets[..n_strikes] {
        governor.finish(*ticket, CallEnd::Failed(&down), at(1));
    }
    governor
}

#[test]
fn rl05_a_burst_of_503_holds_the_account_back_and_an_odd_one_does_not() {
    for n_odd in [1, 5, 9] {
        assert_eq!(after_strikes(n_odd).gate.closed_until(), at(0), "{n_odd} of a hundred");
    }
    for n_many in [10, 50, 100] {
        assert_eq!(after_strikes(n_many).gate.closed_until(), at(2), "{n_many} of a hundred");
    }
    // Alone, three in a row are a burst, and two with an answer in between are none.
    let mut governor = governor(GovernorSpec { holds_on_bursts: true, ..plain(1) });
    let down = error(ModelErrorKind::Unavailable);
    let strike = |governor: &mut Governor, now| {
        let ticket = go(governor, now);
        governor.finish(ticket, CallEnd::Failed(&down), now);
    };
    for second in 1..=4 {
        strike(&mut governor, at(second));
        strike(&mut governor, at(second));
        let answered = go(&mut governor, at(second));
        governor.finish(answered, REPLIED, at(second));
    }
    assert_eq!(governor.gate.closed_until(), at(0));
    for _ in 0..3 {
        strike(&mut governor, at(10));
    }
    assert_eq!(governor.gate.closed_until(), at(11));
    strike(&mut governor, at(11));
    assert_eq!(governor.gate.closed_until(), at(13), "and for longer each time");
}

#[test]
fn fi02_whoever_cannot_wait_for_so_long_is_told_at_once() {
    let mut governor = governor(plain(1));
    let refused = go(&mut governor, at(0));
    let patient = governor.ask(Ask { give_up_at: at(100_000), ..ask(2, 0) }, at(0)).expect("taken");
    let hurried = governor.ask(Ask { give_up_at: at(60), ..ask(3, 0) }, at(0)).expect("taken");
    let retry_after = Some(at(86_400));
    let limited = ModelError { retry_after, ..error(ModelErrorKind::RateLimited) };
    governor.finish(refused, CallEnd::Failed(&limited), at(1));
    let told = Refused { why: Refusal::HeldBack, retry_after };
    assert_eq!(governor.poll_held_back(at(1)), [(hurried, told)]);
    assert_eq!(governor.ask(Ask { give_up_at: at(60), ..ask(4, 0) }, at(1)), Err(told));
    assert_eq!(governor.wake_at(at(1)), Some(at(86_401)));
    assert_eq!(made(&mut governor, at(86_401)), [patient]);
}

#[test]
fn to02_a_call_that_is_too_late_is_never_made() {
    let mut governor = governor(plain(1));
    let late = Refused { why: Refusal::TooLate, retry_after: None };
    assert_eq!(governor.ask(Ask { give_up_at: at(5), ..ask(1, 0) }, at(5)), Err(late));
    let busy = go(&mut governor, at(5));
    let waits = governor.ask(Ask { give_up_at: at(6), ..ask(1, 0) }, at(5)).expect("taken");
    governor.finish(busy, REPLIED, at(6));
    assert_eq!(governor.poll(at(6)), [(waits, Err(late))]);
    assert_eq!(governor.status().n_in_flight, 0);
}

#[test]
fn ls01_beyond_the_queue_calls_are_refused_with_a_wait() {
    let mut governor = governor(GovernorSpec { queue_max: 2, ..plain(1) });
    go(&mut governor, at(0));
    let first = governor.ask(ask(1, 0), at(0)).expect("taken");
    governor.ask(ask(1, 0), at(0)).expect("taken");
    let full = Refused { why: Refusal::QueueFull, retry_after: Some(at(1)) };
    assert_eq!(governor.ask(ask(1, 0), at(0)), Err(full));
    governor.withdraw(first);
    assert!(governor.ask(ask(1, 0), at(0)).is_ok());
    assert_eq!(governor.status().n_refused, 1);
}

#[test]
fn rt10_retries_are_paid_for_and_refused_when_nothing_is_left() {
    let budget = RetryBudgetSpec { capacity: 10, ..RetryBudgetSpec::default() };
    let mut governor = governor(GovernorSpec { retry_budget: Some(budget), ..plain(100) });
    let retry = || Ask { is_retry: true, ..ask(1, 0) };
    let first = governor.ask(retry(), at(0)).expect("paid");
    let second = governor.ask(retry(), at(0)).expect("paid");
    let none_left = Refused { why: Refusal::NoRetriesLeft, retry_after: None };
    assert_eq!(governor.ask(retry(), at(0)), Err(none_left));
    governor.withdraw(second);
    let second = governor.ask(retry(), at(0)).expect("what was not made is paid back");
    assert_eq!(made(&mut governor, at(0)), [first, second]);
    governor.finish(first, REPLIED, at(0));
    assert_eq!(governor.status().retries_level, Some(5));
    governor.finish(second, CallEnd::Failed(&error(ModelErrorKind::Timeout)), at(0));
    assert_eq!(governor.ask(retry(), at(0)), Err(none_left), "after a timeout a retry costs ten");
    assert!(governor.ask(ask(1, 0), at(0)).is_ok(), "first tries are free");
}

#[test]
fn cb12_each_model_has_a_breaker_and_waiting_calls_feel_it() {
    let breaker = BreakerSpec { calls_min: 2, ..BreakerSpec::default() };
    let mut governor = governor(GovernorSpec { breaker: Some(breaker), ..plain(2) });
    let other = governor.model("other");
    assert_eq!(governor.model("m"), ModelKey(0), "the same name is the same breaker");
    let tickets = [go(&mut governor, at(0)), go(&mut governor, at(0))];
    let waits = governor.ask(ask(1, 0), at(0)).expect("taken");
    let transitions = tickets.map(|ticket| {
        let failed = error(ModelErrorKind::Unavailable);
        governor.finish(ticket, CallEnd::Failed(&failed), at(0)).map(|transition| transition.to)
    });
    assert_eq!(transitions, [None, Some(State::Open)]);
    let open = Refused { why: Refusal::BreakerOpen, retry_after: Some(at(10)) };
    assert_eq!(governor.poll(at(0)), [(waits, Err(open))]);
    assert_eq!(governor.ask(ask(1, 0), at(0)), Err(open));
    assert_eq!(governor.breaker_state(other), Some(State::Closed));
    let fine = governor.ask(Ask { model: other, ..ask(1, 0) }, at(0)).expect("taken");
    assert_eq!(made(&mut governor, at(0)), [fine]);
}

/// Calls that are under way together, with a breaker that opens after two failures.
fn together(n_calls: u32) -> (Governor, Vec<Ticket>) {
    let breaker = BreakerSpec { calls_min: 2, ..BreakerSpec::default() };
    let spec = GovernorSpec { breaker: Some(breaker), holds_on_bursts: true, ..plain(n_calls) };
    let mut governor = governor(spec);
    let tickets = (0..n_calls).map(|_| go(&mut governor, at(0))).collect();
    (governor, tickets)
}

/// These calls are refused with 503, and tell what becomes of the breaker.
fn refused(governor: &mut Governor, tickets: &[Ticket], now: Duration) -> Option<State> {
    let full = error(ModelErrorKind::Unavailable);
    let end = CallEnd::Failed(&full);
    tickets
        .iter()
        .fold(None, |_, ticket| governor.finish(*ticket, end, now).map(|change| change.to))
}

#[test]
fn cb12_what_is_refused_beside_an_answer_is_no_failure() {
    for is_shown in [true, false] {
        let (mut governor, tickets) = together(20);
        let (taken, too_many) = tickets.split_at(5);
        assert_eq!(refused(&mut governor, too_many, ms(10)), None);
        match is_shown {
            true => governor.shown(taken[0], at(1)),
            false => assert_eq!(governor.finish(taken[0], REPLIED, at(1)), None),
        }
        // Nothing is left over that would count when another one fails.
        for ticket in &taken[1..4] {
            assert_eq!(governor.finish(*ticket, REPLIED, at(2)), None);
        }
        let timeout = error(ModelErrorKind::Timeout);
        assert_eq!(governor.finish(taken[4], CallEnd::Failed(&timeout), at(3)), None);
        assert_eq!(governor.breaker_state(ModelKey(0)), Some(State::Closed));
    }
}

#[test]
fn cb12_what_is_refused_while_nothing_is_answered_is_a_failure() {
    // All of them are: as soon as nobody is left who could say otherwise.
    let (mut governor, tickets) = together(20);
    assert_eq!(refused(&mut governor, &tickets[..19], ms(10)), None);
    assert_eq!(refused(&mut governor, &tickets[19..], ms(10)), Some(State::Open));
    // What is sent later does not speak for what was refused before.
    let (mut governor, tickets) = together(3);
    assert_eq!(refused(&mut governor, &tickets[..2], ms(10)), None);
    go(&mut governor, at(2));
    let other = error(ModelErrorKind::Auth);
    let change = governor.finish(tickets[2], CallEnd::Failed(&other), at(2));
    assert_eq!(change.map(|change| change.to), Some(State::Open));
    // One that hangs speaks for them no longer than the breaker looks back.
    let (mut governor, tickets) = together(4);
    assert_eq!(refused(&mut governor, &tickets[..2], ms(10)), None);
    assert_eq!(refused(&mut governor, &tickets[2..3], at(31)), Some(State::Open));
}

#[test]
fn rl01_calls_wait_for_tokens_and_hints_are_heeded() {
    let tokens = Some(RateSpec::per_minute(600));
    let mut governor = governor(GovernorSpec { tokens, ..plain(100) });
    for _ in 0..6 {
        go(&mut governor, at(0));
    }
    let waits = governor.ask(ask(1, 0), at(0)).expect("taken");
    assert_eq!(governor.wake_at(at(0)), Some(at(10)));
    let requests = LimitHint { limit: Some(60), remaining: Some(0), reset: None };
    governor.learn(ModelKey(0), &RateLimitHints { requests, ..RateLimitHints::default() }, at(10));
    assert_eq!(governor.wake_at(at(10)), Some(at(11)));
    assert_eq!(made(&mut governor, at(11)), [waits]);
}

#[test]
fn rl02_what_is_told_with_one_model_is_not_forgotten_for_what_is_told_with_another() {
    let mut governor = governor(plain(9));
    let other = governor.model("other");
    let told = |limit, remaining| {
        let requests =
            LimitHint { limit: Some(limit), remaining: Some(remaining), reset: Some(at(20)) };
        RateLimitHints { requests, ..RateLimitHints::default() }
    };
    governor.learn(ModelKey(0), &told(1, 0), at(0));
    governor.learn(other, &told(6_000, 5_999), at(0));
    let waits = governor.ask(ask(1, 0), at(0)).expect("taken");
    assert_eq!((made(&mut governor, at(0)), governor.wake_at(at(0))), (vec![], Some(at(20))));
    assert_eq!(made(&mut governor, at(20)), [waits]);
}

#[test]
fn rl01_a_call_that_is_never_sent_costs_nothing_and_a_cancelled_one_its_estimate() {
    let tokens = Some(RateSpec::per_minute(200));
    let mut by_tokens = governor(GovernorSpec { tokens, ..plain(100) });
    for end in [CallEnd::NotSent, CallEnd::Failed(&error(ModelErrorKind::Auth)), CallEnd::Cancelled]
    {
        let ticket = go(&mut by_tokens, at(0));
        by_tokens.finish(ticket, end, at(0));
    }
    go(&mut by_tokens, at(0));
    by_tokens.ask(ask(1, 0), at(0)).expect("taken");
    assert_eq!(by_tokens.wake_at(at(0)), Some(at(30)), "200 are used");
    let requests = Some(RateSpec::per_minute(2));
    let mut by_requests = governor(GovernorSpec { requests, ..plain(100) });
    for end in [CallEnd::NotSent, CallEnd::NotSent, REPLIED, CallEnd::Cancelled] {
        let ticket = go(&mut by_requests, at(0));
        by_requests.finish(ticket, end, at(0));
    }
    by_requests.ask(ask(1, 0), at(0)).expect("taken");
    assert_eq!(by_requests.wake_at(at(0)), Some(at(30)), "two were sent");
}

#[test]
fn ls03_a_throttled_account_refuses_at_home() {
    let mut governor = governor(GovernorSpec { is_throttled: true, ..plain(100) });
    let overloaded = error(ModelErrorKind::Unavailable);
    let mut n_made = 0;
    for i in 0..1000 {
        if let Ok(ticket) = governor.ask(ask(i, 0), at(0)) {
            n_made += 1;
            made(&mut governor, at(0));
            governor.finish(ticket, CallEnd::Failed(&overloaded), at(0));
        }
    }
    assert!(n_made < 50, "{n_made}");
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Ask { run: u128, depth: u32 },
    Finish { which: usize, how: u8 },
    Withdraw { which: usize },
    Wait { millis: u64 },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0_u128..4, 0_u32..3).prop_map(|(run, depth)| Op::Ask { run, depth }),
        3 => (any::<prop::sample::Index>(), 0_u8..5)
            .prop_map(|(which, how)| Op::Finish { which: which.index(64), how }),
        1 => (0_usize..64).prop_map(|which| Op::Withdraw { which }),
        2 => (0_u64..3000).prop_map(|millis| Op::Wait { millis }),
    ]
}

proptest! {
    /// Whatever happens: places are never exceeded, nobody is lost, and when all is over nothing is kept.
    #[test]
    fn bh02_every_place_comes_back(ops in prop::collection::vec(op(), 1..300)) {
        let mut governor = governor(GovernorSpec {
            concurrency: ConcurrencySpec { start: 3, max: 5, ..ConcurrencySpec::default() },
            requests: Some(RateSpec::per_minute(600)),
            ..GovernorSpec::default()
        });
        let (mut now, mut waiting, mut under_way) = (at(0), Vec::new(), Vec::new());
        for op in ops {
            match op {
                Op::Ask { run, depth } => {
                    waiting.extend(governor.ask(ask(run, depth), now).ok());
                }
                Op::Finish { which, how } if !under_way.is_empty() => {
                    let ticket = under_way.swap_remove(which % under_way.len());
                    let kind = [
                        ModelErrorKind::Unavailable,
                        ModelErrorKind::RateLimited,
                        ModelErrorKind::Auth,
                    ];
                    let failed = error(kind[usize::from(how) % 3]);
                    let end = match how {
                        0..=2 => CallEnd::Failed(&failed),
                        3 => CallEnd::Cancelled,
                        _ => REPLIED,
                    };
                    governor.shown(ticket, now);
                    governor.finish(ticket, end, now);
                }
                Op::Withdraw { which } if !waiting.is_empty() => {
                    governor.withdraw(waiting.swap_remove(which % waiting.len()));
                }
                Op::Wait { millis } => now += ms(millis),
                _ => {}
            }
            let limit = governor.status().concurrency_max;
            let n_before = governor.status().n_in_flight;
            for (ticket, is_made) in governor.poll(now) {
                waiting.retain(|waits| *waits != ticket);
                if is_made.is_ok() {
                    under_way.push(ticket);
                }
            }
            let status = governor.status();
            prop_assert!(status.n_in_flight <= limit.max(n_before));
            prop_assert_eq!((status.n_waiting, status.n_in_flight), (waiting.len(), under_way.len()));
            let nobody_could_go = status.n_waiting == 0
                || status.n_in_flight >= status.concurrency_max
                || governor.wake_at(now).is_some_and(|at| at > now);
            prop_assert!(nobody_could_go);
        }
        waiting.iter().for_each(|ticket| governor.withdraw(*ticket));
        under_way.iter().for_each(|ticket| { governor.finish(*ticket, CallEnd::Cancelled, now); });
        prop_assert!(governor.queue.runs.is_empty() && governor.queue.len() == 0);
        prop_assert_eq!(governor.status().n_in_flight, 0);
    }
}

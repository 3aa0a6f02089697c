//! What a run may spend, and that it spends no more.

use proptest::prelude::*;

use super::*;

fn estimate(input_tokens: u64, output_tokens_max: u64) -> Estimate {
    Estimate { input_tokens, output_tokens_max: Some(output_tokens_max), price: None }
}

fn hold(ledger: &mut Ledger, call: &Estimate) -> Hold {
    match ledger.reserve_model_call(call) {
        Ok(Admission::Now(hold)) => hold,
        other => panic!("{other:?}"),
    }
}

fn settle(ledger: &mut Ledger, hold: Hold, usage: Option<Usage>) {
    ledger.settle_model_call(hold, &"a".into(), "m", usage);
}

#[test]
fn a_call_waits_for_those_that_it_may_not_fit_beside() {
    let budget = Budget { tokens_max: 100, ..Budget::default() };
    let mut ledger = Ledger::new(budget, Usage::default());
    let first = hold(&mut ledger, &estimate(20, 20));
    assert_eq!(ledger.reserve_model_call(&estimate(20, 20)), Ok(Admission::Wait));
    let second = hold(&mut ledger, &estimate(10, 20));
    settle(&mut ledger, second, None);
    settle(&mut ledger, first, Some(Usage { input_tokens: 30, ..Usage::default() }));
    assert_eq!((ledger.spent().tokens(), ledger.spent().model_calls), (30, 2));
    // Alone, a call may cost more than there is.
    let third = hold(&mut ledger, &estimate(70, 1000));
    assert_eq!(ledger.reserve_model_call(&estimate(0, 0)), Ok(Admission::Wait));
    settle(&mut ledger, third, None);
    assert_eq!(ledger.reserve_model_call(&estimate(71, 0)), Err(Limit::Tokens));
}

#[test]
fn limits_are_exact() {
    let budget = Budget { model_calls_max: 1, tool_calls_max: 1, ..Budget::default() };
    let mut ledger = Ledger::new(budget, Usage::default());
    let only = hold(&mut ledger, &Estimate::default());
    assert_eq!(ledger.reserve_model_call(&Estimate::default()), Err(Limit::ModelCalls));
    settle(&mut ledger, only, None);
    assert_eq!(ledger.reserve_model_call(&Estimate::default()), Err(Limit::ModelCalls));
    assert_eq!(ledger.spend_tool_call(), Ok(()));
    assert_eq!(ledger.spend_tool_call(), Err(Limit::ToolCalls));
}

#[test]
fn money_is_a_limit_of_its_own() {
    let cent = Usd::from_nanos(10_000_000);
    let budget = Budget { money_max: Some(cent), ..Budget::default() };
    let mut ledger = Ledger::new(budget, Usage::default());
    // A dollar for a million tokens: a cent is 10,000 tokens.
    let price = Some(Price::flat(Usd::from_nanos(1_000_000_000), Usd::from_nanos(1_000_000_000)));
    let call = Estimate { price, ..estimate(1000, 2000) };
    let (first, second) = (hold(&mut ledger, &call), hold(&mut ledger, &call));
    assert_eq!(ledger.reserve_model_call(&call), Ok(Admission::Wait));
    assert_eq!(ledger.reserve_model_call(&estimate(0, 0)), Err(Limit::Money), "no price");
    let usage =
        Usage { input_tokens: 9000, cost: Some(Usd::from_nanos(9_000_000)), ..Usage::default() };
    settle(&mut ledger, first, Some(usage));
    settle(&mut ledger, second, None);
    let last = hold(&mut ledger, &call);
    settle(&mut ledger, last, Some(usage));
    assert_eq!(ledger.spent().cost, Some(Usd::from_nanos(18_000_000)), "one call too much");
    assert_eq!(ledger.reserve_model_call(&call), Err(Limit::Money));
}

#[test]
fn what_is_spent_is_told_by_agent_and_model_and_what_is_not_known_is_not_nothing() {
    let mut ledger = Ledger::new(Budget::default(), Usage::default());
    let usage = Usage { output_tokens: 5, ..Usage::default() };
    let price = Price::flat(Usd::ZERO, Usd::from_nanos(1_400_000));
    let spent = [
        ("a", "m", Some(usage.priced(Some(price)))),
        ("b", "m", Some(usage.priced(None))),
        ("a", "m", Some(usage)),
        ("a", "n", None),
    ];
    for (agent, model, usage) in spent {
        let hold = hold(&mut ledger, &Estimate::default());
        ledger.settle_model_call(hold, &agent.into(), model, usage);
    }
    let told: Vec<_> = ledger
        .spending()
        .iter()
        .map(|Spent { agent, model, usage }| {
            let Usage { model_calls, output_tokens, cost, priced_calls, .. } = *usage;
            (agent.as_str(), model.as_str(), model_calls, output_tokens, cost, priced_calls)
        })
        .collect();
    let seven = Some(Usd::from_nanos(7));
    assert_eq!(
        told,
        [("a", "m", 2, 10, seven, 1), ("b", "m", 1, 5, None, 0), ("a", "n", 1, 0, None, 0)]
    );
    let total = ledger.spent();
    assert_eq!((total.cost, total.priced_calls, total.model_calls), (seven, 1, 4));
}

/// What agents do side by side.
#[derive(Debug, Clone)]
enum Step {
    /// An agent wants to make a call that sends so much, and of which so much of the most is used.
    Ask { input: u64, output_max: u64, used_percent: u64 },
    /// The n-th call under way ends; it may fail.
    End { n: usize, is_failure: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ask =
        (0..400_u64, 0..2000_u64, 0..=100_u64).prop_map(|(input, output_max, used_percent)| {
            Step::Ask { input, output_max, used_percent }
        });
    let end = (0..8_usize, any::<bool>()).prop_map(|(n, is_failure)| Step::End { n, is_failure });
    prop::collection::vec(prop_oneof![2 => ask, 1 => end], 1..200)
}

proptest! {
    /// However agents call side by side, what is spent exceeds no limit by more than one call.
    #[test]
    fn the_overshoot_is_at_most_one_call(
        steps in steps(),
        tokens_max in 0..20_000_u64,
        nanos_max in 0..30_000_u64,
        rates in (0..4000_u64, 0..4000_u64),
    ) {
        let money_max = Some(Usd::from_nanos(nanos_max));
        let budget = Budget { tokens_max, money_max, ..Budget::default() };
        let price = Price::flat(Usd::from_nanos(rates.0 * 1000), Usd::from_nanos(rates.1 * 1000));
        let mut ledger = Ledger::new(budget, Usage::default());
        let mut open = Vec::new();
        let mut largest = Amount::default();
        for step in steps {
            match step {
                Step::Ask { input, output_max, used_percent } => {
                    let call = Estimate { price: Some(price), ..estimate(input, output_max) };
                    match ledger.reserve_model_call(&call) {
                        Ok(Admission::Now(hold)) => open.push((hold, call, used_percent)),
                        Ok(Admission::Wait) => prop_assert!(!open.is_empty(), "nobody is waited for"),
                        Err(_) => {}
                    }
                }
                Step::End { n, is_failure } if !open.is_empty() => {
                    let (hold, call, used_percent) = open.remove(n % open.len());
                    let usage = Usage {
                        input_tokens: call.input_tokens * INPUT_MARGIN * used_percent / 100,
                        output_tokens: call.output_tokens_max.unwrap_or(0) * used_percent / 100,
                        ..Usage::default()
                    };
                    let usage = Usage { cost: Some(price.cost(&usage)), ..usage };
                    largest.tokens = largest.tokens.max(usage.tokens());
                    largest.money = largest.money.max(usage.cost.unwrap_or_default());
                    settle(&mut ledger, hold, (!is_failure).then_some(usage));
                }
                Step::End { .. } => {}
            }
            let spent = ledger.spent();
            prop_assert!(spent.tokens() <= tokens_max + largest.tokens);
            let money = spent.cost.unwrap_or_default();
            prop_assert!(money <= Usd::from_nanos(nanos_max).plus(largest.money));
        }
        // Nothing stays reserved.
        while let Some((hold, ..)) = open.pop() {
            settle(&mut ledger, hold, None);
        }
        prop_assert_eq!((ledger.n_held, ledger.held), (0, Amount::default()));
    }
}

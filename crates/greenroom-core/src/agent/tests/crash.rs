//! Crashes: whatever happened before one is neither lost nor done again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::simulation::{Crash, Model, Simulation, call, spec, tool_spec};
use crate::agent::{AgentSpec, Command, Machine, TurnLimits};
use crate::ids::CallId;
use crate::journal::Event;
use crate::message::ToolOutcome;
use crate::model::{ChatReply, ModelError, ModelErrorKind};
use crate::tool::{EffectClass, ToolErrorKind};

/// What a model does on one turn: fail so often, then call these tools, or answer when there are none.
#[derive(Debug, Clone)]
struct Turn {
    n_failures: u32,
    calls: Vec<(&'static str, u8)>,
}

fn script(tools: &'static [&'static str]) -> impl Strategy<Value = Vec<Turn>> {
    let call = (proptest::sample::select(tools), 0_u8..3);
    let turn = (0_u32..3, proptest::collection::vec(call, 0..4));
    let turn = turn.prop_map(|(n_failures, calls)| Turn { n_failures, calls });
    proptest::collection::vec(turn, 1..5)
}

fn reply(script: &[Turn], turn: u32, attempt: u32) -> Result<ChatReply, ModelError> {
    let Some(turn) = script.get(turn as usize - 1) else { return Ok(ChatReply::text("end")) };
    if attempt <= turn.n_failures {
        return Err(ModelError::new(ModelErrorKind::Unavailable, "m", "down"));
    }
    if turn.calls.is_empty() {
        return Ok(ChatReply::text("answer"));
    }
    Ok(ChatReply::calls(turn.calls.iter().map(|(tool, n)| call(tool, json!(n)))))
}

fn limits() -> TurnLimits {
    TurnLimits { attempts_max: 3, turns_max: 4, calls_per_turn_max: 3, ..TurnLimits::default() }
}

/// How many events of each sort were recorded.
fn counts(journal: &[Event]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for event in journal {
        let sort = match event {
            Event::ModelCalled { .. } => "called",
            Event::ModelReplied { .. } => "replied",
            Event::ModelFailed { .. } => "failed",
            Event::ToolStarted { .. } => "started",
            Event::ToolFinished { .. } => "finished",
            _ => "other",
        };
        *counts.entry(sort).or_default() += 1;
    }
    counts
}

/// Calls that were recorded as finished, each of them once.
fn finished(journal: &[Event]) -> BTreeMap<&CallId, &ToolOutcome> {
    let mut finished = BTreeMap::new();
    for event in journal {
        if let Event::ToolFinished { call, outcome } = event {
            assert_eq!(finished.insert(call, outcome), None, "{call} has finished twice");
        }
    }
    finished
}

fn is_in_doubt(outcome: &ToolOutcome) -> bool {
    matches!(outcome, ToolOutcome::Error(error) if error.kind == ToolErrorKind::InDoubt)
}

fn crashes() -> impl Strategy<Value = (Vec<usize>, bool)> {
    (proptest::collection::vec(1_usize..40, 1..5), any::<bool>())
}

fn run<'a>(
    model: &'a Model<'a>,
    order: &[usize],
    crashes: &[usize],
    is_after_effects: bool,
) -> Simulation<'a> {
    let mut simulation = Simulation::new(AgentSpec { limits: limits(), ..spec() }, model);
    simulation.order = order.to_vec();
    let crashes = crashes.iter().map(|&n_events| Crash { n_events, is_after_effects });
    simulation.crashes = crashes.collect();
    simulation.run()
}

proptest! {
    #[test]
    fn a_run_with_crashes_ends_as_one_without(
        script in script(&["look", "put", "book", "break", "panic", "fly"]),
        order in proptest::collection::vec(0_usize..4, 0..12),
        (crashes, is_after_effects) in crashes(),
    ) {
        let model = |turn, attempt| reply(&script, turn, attempt);
        let calm = run(&model, &order, &[], false);
        let every: Vec<_> = (1..=calm.journal.len()).collect();
        for crashes in every.chunks(1).chain([&crashes[..], &every[..]]) {
            let rough = run(&model, &order, crashes, is_after_effects);
            prop_assert_eq!(rough.result(), calm.result());
            prop_assert_eq!(counts(&rough.journal), counts(&calm.journal));
            prop_assert_eq!(finished(&rough.journal), finished(&calm.journal));
            prop_assert_eq!(rough.machine().messages(), calm.machine().messages());
        }
    }

    #[test]
    fn a_call_that_must_not_be_repeated_is_made_once_or_is_in_doubt(
        script in script(&["look", "pay"]),
        order in proptest::collection::vec(0_usize..4, 0..12),
        (crashes, is_after_effects) in crashes(),
    ) {
        let model = |turn, attempt| reply(&script, turn, attempt);
        let done = run(&model, &order, &crashes, is_after_effects);
        let finished = finished(&done.journal);
        let mut paid = BTreeSet::new();
        for event in &done.journal {
            let Event::ToolStarted { call, tool, .. } = event else { continue };
            if tool != "pay" {
                prop_assert!(!is_in_doubt(finished[call]), "{} may be made again", call);
                continue;
            }
            let n_effects = done.effects.iter().filter(|made| *made == call).count();
            prop_assert!(n_effects <= 1, "{} took effect {} times", call, n_effects);
            prop_assert!(n_effects == 1 || is_in_doubt(finished[call]));
            prop_assert!(paid.insert(call), "{} was started twice", call);
        }
    }

    #[test]
    fn the_replay_of_a_prefix_is_a_prefix_of_the_replay(
        script in script(&["look", "put", "pay", "fly"]),
        order in proptest::collection::vec(0_usize..4, 0..12),
    ) {
        let model = |turn, attempt| reply(&script, turn, attempt);
        let done = run(&model, &order, &[], false);
        let replay = |n_events: usize| {
            let mut machine =
                Machine::new(Arc::new(AgentSpec { limits: limits(), ..spec() }), 7);
            done.journal[..n_events].iter().for_each(|event| machine.apply(event));
            machine
        };
        let all = replay(done.journal.len());
        for n_events in 0..done.journal.len() {
            let prefix = replay(n_events);
            prop_assert!(all.messages().starts_with(prefix.messages()));
            // What is decided is recorded next, in that order, though results may come in between.
            let mut rest = done.journal[n_events..].iter();
            for decided in prefix.decide() {
                prop_assert!(rest.any(|event| *event == decided), "{:?}", decided);
            }
        }
    }
}

#[test]
fn a_finished_call_is_kept_when_the_agent_crashes_among_parallel_calls() {
    let script = [Turn { n_failures: 0, calls: vec![("put", 0), ("pay", 0), ("pay", 1)] }];
    let model = |turn, attempt| reply(&script, turn, attempt);
    // Started, called, replied, three calls started, the first and the second of them finished.
    let done = run(&model, &[0, 0, 0], &[8], true);
    assert_eq!(
        done.outcomes(),
        [("1-1", None), ("1-2", None), ("1-3", Some(ToolErrorKind::InDoubt))]
    );
    assert_eq!(done.effects, ["1-1", "1-2", "1-3"].map(CallId::from));
}

#[test]
fn the_effect_that_was_recorded_counts_and_not_the_one_declared_later() {
    let script = [Turn { n_failures: 0, calls: vec![("pay", 0), ("put", 0)] }];
    let model = |turn, attempt| reply(&script, turn, attempt);
    let done = run(&model, &[], &[], false);
    let is_begun = |event: &Event| matches!(event, Event::ToolFinished { .. });
    let n_events = done.journal.iter().position(is_begun).expect("the tools finish");
    // A later build declares both the other way round.
    let tools = [("pay", EffectClass::ReadOnly), ("put", EffectClass::AtMostOnce)];
    let tools = tools.map(|(name, effect)| tool_spec(name, effect));
    let mut machine = Machine::new(Arc::new(AgentSpec { tools: Arc::from(tools), ..spec() }), 7);
    done.journal[..n_events].iter().for_each(|event| machine.apply(event));
    let resume = machine.resume();
    assert!(
        matches!(&resume.events[..], [Event::ToolFinished { call, .. }] if call.as_str() == "1-1")
    );
    assert!(
        matches!(&resume.commands[..], [Command::CallTool { call, .. }] if call.as_str() == "1-2")
    );
}

//! Footprints, verdicts and the line.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::budget::{Budget, Usage};
use crate::journal::{Event, Recorded};
use crate::message::ToolOutcome;
use crate::model::ChatReply;
use crate::time::Timestamp;
use crate::tool::{EffectClass, ToolError, ToolErrorKind};

fn stored(events: impl IntoIterator<Item = Event>) -> Vec<Recorded> {
    Recorded::sequence(0, Timestamp::from_millis(1), events).to_vec()
}

fn config(model: &str) -> Config {
    let mut config = Config::new();
    config.name("model", model);
    config.text("instructions", "be brief");
    config
}

fn bound() -> Event {
    Event::RunBound {
        owner: Owner::Agent("clerk".into()),
        config: config("m"),
        budget: Budget { model_calls_max: 3, ..Budget::default() },
        deadline: Timestamp::from_millis(9_000),
    }
}

fn claimed(boot: u32, n_results: u64) -> Event {
    Event::RunClaimed { by: "b".into(), boot, n_results, changes: vec![], again: Usage::default() }
}

fn called() -> Event {
    Event::ModelCalled { turn: 1, attempt: 1, delay: Duration::ZERO }
}

fn replied() -> Event {
    let usage = Usage { input_tokens: 10, output_tokens: 5, ..Usage::default() };
    Event::ModelReplied { turn: 1, reply: ChatReply { usage, ..ChatReply::text("hi") } }
}

fn judge(events: impl IntoIterator<Item = Event>) -> Verdict {
    let events = [bound()].into_iter().chain(events);
    Footprint::of_root(&stored(events)).judge(Some(&config("m")), &RecoverySpec::default())
}

#[track_caller]
fn check_boot(events: impl IntoIterator<Item = Event>, expect: u32) {
    assert_eq!(judge(events), Verdict::Claim { boot: expect, changes: vec![] });
}

#[test]
fn sup_e07_boots_are_counted_until_something_comes_in() {
    check_boot([called()], 2);
    check_boot([called(), claimed(2, 0)], 3);
    check_boot([called(), claimed(2, 0), replied()], 1);
    check_boot([called(), replied(), claimed(1, 1)], 2);
    check_boot([called(), replied(), claimed(1, 1), called(), claimed(2, 1)], 3);
    assert_eq!(judge([called(), claimed(2, 0), claimed(3, 0)]), Verdict::Quarantine { n_boots: 3 });
}

#[test]
fn notes_are_paid_for_and_are_progress() {
    let (turn, attempt) = (2, 1);
    let usage = Usage { input_tokens: 7, output_tokens: 3, ..Usage::default() };
    let result = Ok(ChatReply { usage, ..ChatReply::text("notes") });
    let asked = || [called(), replied(), Event::CompactionStarted { turn, attempt }];
    let noted = Event::CompactionFinished { turn, attempt, result };
    let spent = Footprint::of_root(&stored(asked().into_iter().chain([noted.clone()]))).spent();
    let expect = Usage { model_calls: 2, input_tokens: 17, output_tokens: 8, ..Usage::default() };
    assert_eq!(spent, expect);
    check_boot(asked().into_iter().chain([claimed(2, 1), noted]), 1);
}

#[test]
fn an_orderly_end_counts_as_no_death() {
    check_boot([called(), claimed(3, 0), Event::RunReleased], 1);
}

#[test]
fn a_call_in_doubt_is_no_progress() {
    let error = ToolError::new(ToolErrorKind::InDoubt, "cut off");
    let outcome = ToolOutcome::Error(error);
    check_boot([claimed(2, 0), Event::ToolFinished { call: "1-1".into(), outcome }], 3);
}

#[test]
fn what_was_quarantined_stays_so_until_a_person_says_otherwise() {
    let events = [bound(), claimed(3, 0), Event::RunQuarantined { n_boots: 3 }];
    let seen = Footprint::of_root(&stored(events));
    let spec = RecoverySpec::default();
    let parked = Verdict::Park(Parked::Quarantined { n_boots: 3 });
    assert_eq!(seen.judge(Some(&config("m")), &spec), parked);
    let claim = Verdict::Claim { boot: 1, changes: vec![] };
    assert_eq!(seen.judge_by_hand(Some(&config("m")), &spec), claim);
}

#[test]
fn a_changed_configuration_is_named_and_treated_by_the_policy() {
    let seen = Footprint::of_root(&stored([bound()]));
    let mut now = config("other");
    now.text("tool pay", "pays");
    let spec = RecoverySpec::default();
    let Verdict::Park(why) = seen.judge(Some(&now), &spec) else { panic!("it is parked") };
    let text = "its configuration has changed: model is different, tool pay is new";
    assert_eq!(why.to_string(), text);
    let Verdict::Claim { changes, .. } = seen.judge_by_hand(Some(&now), &spec) else {
        panic!("a person may continue it")
    };
    assert_eq!(changes.len(), 2);
    let refuses = spec.on_change(OnChange::Refuse);
    assert!(matches!(seen.judge_by_hand(Some(&now), &refuses), Verdict::Park(_)));
    let continues = spec.on_change(OnChange::Continue);
    assert!(matches!(seen.judge(Some(&now), &continues), Verdict::Claim { boot: 2, .. }));
    assert_eq!(now.changes(&config("other"))[0].to_string(), "tool pay is gone");
}

#[test]
fn nobody_continues_what_belongs_to_nobody_or_is_over() {
    let spec = RecoverySpec::default();
    let seen = Footprint::of_root(&stored([bound()]));
    assert_eq!(seen.judge(None, &spec), Verdict::Park(Parked::Unknown));
    let seen = Footprint::of_root(&stored([called()]));
    assert!(matches!(seen.judge(None, &spec), Verdict::Park(Parked::Unreadable(_))));
    let result = Ok(crate::report::Report::text("done"));
    assert_eq!(judge([Event::TaskFinished { result }]), Verdict::Over);
}

#[test]
fn what_was_spent_is_the_sum_of_all_streams() {
    let started = Event::ToolStarted {
        call: "1-1".into(),
        tool: "pay".into(),
        arguments: serde_json::json!({}),
        effect: EffectClass::AtMostOnce,
    };
    let mut seen = Footprint::of_root(&stored([bound(), called(), replied(), started]));
    seen.add_stream(&stored([called(), replied(), called()]));
    let spent = seen.spent();
    assert_eq!((spent.model_calls, spent.tokens(), spent.tool_calls), (3, 30, 1));
    assert_eq!((seen.n_results(), seen.next_seq()), (2, 4));
    assert_eq!((seen.budget().model_calls_max, seen.deadline().as_millis()), (3, 9_000));
}

/// What taking the run over counts, of these streams, a second after everything in them.
#[track_caller]
fn check_again(streams: &[&[Event]], expect: (u64, u64)) {
    check_again_at(1_001, streams, expect);
}

#[track_caller]
fn check_again_at(millis: u64, streams: &[&[Event]], expect: (u64, u64)) {
    let mut seen = Footprint::of_root(&stored([bound()]));
    streams.iter().for_each(|events| seen.add_stream(&stored(events.to_vec())));
    let at = Timestamp::from_millis(millis);
    let claim = Claim { by: "b".into(), at, boot: 2, changes: vec![] };
    let claimed = seen.claim(claim);
    let Event::RunClaimed { again, .. } = &claimed else { panic!("{claimed:?}") };
    assert_eq!((again.model_calls, again.tool_calls), expect);
    let mut spent = Usage::default();
    claimed.spend(&mut spent);
    assert_eq!(spent, *again);
}

#[test]
fn calls_that_are_made_again_count_each_time() {
    let call = |id: &str, effect| Event::ToolStarted {
        call: id.into(),
        tool: "t".into(),
        arguments: serde_json::json!({}),
        effect,
    };
    let done = |id: &str| Event::ToolFinished {
        call: id.into(),
        outcome: ToolOutcome::Ok(serde_json::Value::Null),
    };
    let waits = |delay| Event::ModelCalled { turn: 1, attempt: 2, delay };
    let noting = Event::CompactionStarted { turn: 1, attempt: 1 };
    let limit = Event::LimitReached { limit: crate::budget::Limit::Deadline, is_refusal: false };
    check_again(&[], (0, 0));
    check_again(&[&[called()]], (1, 0));
    check_again(&[&[called(), replied()]], (0, 0));
    check_again(&[&[called(), limit]], (0, 0));
    check_again(&[&[called(), replied(), noting]], (1, 0));
    // A wait that is not over has made no call.
    check_again(&[&[waits(Duration::from_secs(1))]], (1, 0));
    check_again(&[&[waits(Duration::from_millis(1_001))]], (0, 0));
    // Nor does a clock that was set back unmake one that did not wait.
    check_again_at(0, &[&[called()]], (1, 0));
    // What may not be made again is not, and what has its outcome neither.
    let [look, put, book, pay] = [
        EffectClass::ReadOnly,
        EffectClass::Idempotent,
        EffectClass::Reconcilable,
        EffectClass::AtMostOnce,
    ]
    .map(|effect| call(&format!("{effect:?}"), effect));
    check_again(&[&[look.clone(), put.clone(), book, pay]], (0, 3));
    check_again(&[&[look, put, done("ReadOnly")]], (0, 1));
    // Three calls are allowed: when all were cut off, none is made again.
    check_again(&[&[called()], &[called()]], (1, 0));
    check_again(&[&[called()], &[called()], &[called()]], (0, 0));
}

/// What is stored must be readable by every later version.
#[test]
fn the_events_of_recovery_are_written_as_they_always_were() {
    let change = Change { part: "model".into(), kind: ChangeKind::Different };
    let events = [
        Event::RunClaimed {
            by: "b".into(),
            boot: 2,
            n_results: 7,
            changes: vec![change],
            again: Usage { model_calls: 1, ..Usage::default() },
        },
        claimed(1, 0),
        Event::RunReleased,
        Event::RunQuarantined { n_boots: 3 },
    ];
    let golden = r#"[{"kind":"run_claimed","by":"b","boot":2,"n_results":7,"changes":[{"part":"model","kind":"different"}],"again":{"model_calls":1,"input_tokens":0,"output_tokens":0,"tool_calls":0}},{"kind":"run_claimed","by":"b","boot":1,"n_results":0},{"kind":"run_released"},{"kind":"run_quarantined","n_boots":3}]"#;
    assert_eq!(serde_json::to_string(&events).expect("it is text"), golden);
    assert_eq!(serde_json::from_str::<Vec<Event>>(golden).expect("it reads back"), events);
    let text = serde_json::to_string(&bound()).expect("it is text");
    assert!(
        text.starts_with(r#"{"kind":"run_bound","owner":{"agent":"clerk"},"config":{"instructions":"6e10697e9729abc8","model":"m"},"#),
        "{text}"
    );
}

fn id(n: u128) -> RunId {
    RunId::from_bits(n)
}

proptest! {
    /// Whatever is judged how: every run is dealt with, no more than the width are at work, and of the
    /// suspects one at a time.
    #[test]
    fn every_run_has_its_turn_and_suspects_go_alone(
        boots in proptest::collection::vec(0_u32..5, 0..40),
        width in 0_usize..4,
        picks in proptest::collection::vec(any::<prop::sample::Index>(), 200),
    ) {
        let spec = RecoverySpec { width, ..RecoverySpec::default() };
        let mut line = Line::new();
        prop_assert!((0..boots.len()).all(|i| line.add(id(i as u128))));
        prop_assert!(!(0..boots.len()).any(|i| line.add(id(i as u128))));
        let (mut under_way, mut dealt_with): (Vec<Next>, BTreeSet<RunId>) = Default::default();
        let (mut picks, mut may_try) = (picks.into_iter().cycle(), false);
        loop {
            under_way.extend(line.next(&spec, may_try));
            // Nothing that was started is under way for ever.
            may_try |= under_way.is_empty();
            under_way.extend(line.next(&spec, may_try));
            if under_way.is_empty() {
                break;
            }
            let n_trials = under_way.iter().filter(|next| matches!(next, Next::Try(_))).count();
            prop_assert!(n_trials == 0 || (may_try && under_way.len() == 1), "it is not alone");
            prop_assert!(under_way.len() <= width.max(1));
            let i = picks.next().expect("it goes round").index(under_way.len());
            match under_way.remove(i) {
                Next::Look(run) => {
                    let boot = boots[run.bits() as usize];
                    let verdict = match boot {
                        0 => Verdict::Over,
                        4 => Verdict::Quarantine { n_boots: 3 },
                        boot => Verdict::Claim { boot, changes: vec![] },
                    };
                    let next = line.judged(run, &verdict, &spec);
                    prop_assert_eq!(next == Some(Next::Start(run)), boot == 1 || boot == 2);
                    under_way.extend(next);
                    if matches!(boot, 0 | 4) {
                        prop_assert!(dealt_with.insert(run));
                    }
                }
                Next::Start(run) => {
                    line.started(run);
                    may_try = false;
                    prop_assert!(dealt_with.insert(run));
                }
                Next::Try(run) => {
                    prop_assert_eq!(boots[run.bits() as usize], 3);
                    line.acquitted(run);
                    prop_assert!(dealt_with.insert(run));
                }
            }
        }
        prop_assert_eq!(dealt_with.len(), boots.len());
        prop_assert!(line.is_quiet() && line.n_suspects() == 0);
    }
}

/// The time of a run stands still while it sleeps, also when it was told twice to go to sleep.
#[test]
fn no_time_of_a_run_goes_by_while_it_sleeps() {
    let at = |seconds: u64| Timestamp::from_millis(1_000 * seconds);
    let bound = Event::RunBound {
        owner: Owner::Team("team".into()),
        config: Config::new(),
        budget: Budget::default(),
        deadline: at(100),
    };
    let asleep = Event::RunAsleep { until: at(5_000) };
    let mut root: Vec<Recorded> = Vec::new();
    let mut seen = |seconds, event| {
        root.push(Recorded { seq: root.len() as u64, at: at(seconds), event });
        Footprint::of_root(&root)
    };
    let left = |seen: &Footprint, seconds| seen.time_left(at(seconds)).as_secs();
    let seen_awake = seen(0, bound);
    assert_eq!((seen_awake.nap(), left(&seen_awake, 40)), (None, 60));
    let seen_asleep = seen(10, asleep.clone());
    assert_eq!(seen_asleep.nap(), Some(Nap { since: at(10), until: at(5_000) }));
    assert_eq!(left(&seen_asleep, 4_000), 90);
    assert_eq!(seen(20, asleep).nap(), Some(Nap { since: at(10), until: at(5_000) }));
    let seen_again = seen(4_010, Event::RunAwake { slept: Duration::from_secs(4_000) });
    assert_eq!((seen_again.nap(), left(&seen_again, 4_020)), (None, 80));
}

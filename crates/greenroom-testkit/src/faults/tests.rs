//! Plans by themselves: who is struck, when, how often, and what is said of it.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use greenroom_core::ids::{AgentId, CallId};
use greenroom_core::model::{ChatEvent, ChatRequest, ModelError, ModelErrorKind};
use greenroom_core::tool::{ToolContext, ToolError, ToolErrorKind, tool};
use serde_json::json;
use tokio::time::Instant;

use super::pattern::Pattern;
use super::*;
use crate::{ScriptedModel, ScriptedReply, ScriptedTool};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_star_stands_for_any_text() {
    let matches = |pattern: &str, name| Pattern::new(pattern).matches(name);
    for (pattern, name) in [
        ("ledger", "ledger"),
        ("*", ""),
        ("*", "ledger"),
        ("research-*", "research-t1"),
        ("research-*", "research-"),
        ("*-t1", "research-t1"),
        ("re*-t1", "research-t1"),
        ("a*b*c", "aXbYc"),
        ("a*b*c", "abbc"),
        ("a*bc*bc", "abcbc"),
        ("**a**", "bab"),
    ] {
        assert!(matches(pattern, name), "{pattern} {name}");
    }
    for (pattern, name) in [
        ("ledger", "ledger2"),
        ("", "ledger"),
        ("research-*", "writer"),
        ("*-t1", "research-t12"),
        ("re*-t1", "research-t2"),
        ("ab*ba", "aba"),
        ("a*bc*bc", "abc"),
    ] {
        assert!(!matches(pattern, name), "{pattern} {name}");
    }
}

/// Which of the first occurrences, counted from 1, a rule strikes at one agent's messages.
fn struck(plan: &FaultPlan, agent: &str, n: u64) -> Vec<u64> {
    let agent = AgentId::from(agent);
    let point = Point::Message { agent: &agent, delivery: 1 };
    (1..=n).filter(|_| plan.strike(&point).is_some()).collect()
}

#[track_caller]
fn check(rule: FaultRule, expect: &[u64]) {
    assert_eq!(struck(&FaultPlan::new(7).rule(rule), "a", 10), expect);
}

#[test]
fn a_rule_strikes_when_it_says() {
    check(FaultRule::crash("a"), &[1]);
    check(FaultRule::crash("a").at(3), &[3]);
    check(FaultRule::crash("a").at(0), &[1]);
    check(FaultRule::crash("a").at(3).times(2), &[3, 4]);
    check(FaultRule::crash("a").at(9).times(5), &[9, 10]);
    check(FaultRule::crash("a").times(0), &[]);
    check(FaultRule::crash("a").chance(0.0).times(9), &[]);
    check(FaultRule::crash("a").chance(f64::NAN).times(9), &[]);
    check(FaultRule::crash("a").chance(7.0).times(9), &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
    check(FaultRule::crash("b"), &[]);
    check(FaultRule::failing_start("a"), &[]);
    check(FaultRule::lost_reply("a"), &[]);
}

#[test]
fn each_target_is_counted_by_itself_and_the_first_rule_that_is_due_strikes() {
    let plan = FaultPlan::new(7)
        .rule(FaultRule::crash("*").at(2))
        .rule(FaultRule::failing_handler("a").at(2).times(2));
    let agent = AgentId::from("a");
    let point = Point::Message { agent: &agent, delivery: 1 };
    let faults: Vec<_> = (0..5).map(|_| plan.strike(&point)).collect();
    assert_eq!(faults, [None, Some(Fault::Panic), Some(Fault::Fail), Some(Fault::Fail), None]);
    assert_eq!(struck(&plan, "b", 5), [2]);
    assert_eq!(plan.n_injected(), 4);
}

#[test]
fn chance_depends_on_the_seed_and_the_place_alone() {
    let plan = |seed| FaultPlan::new(seed).rule(FaultRule::crash("*").chance(0.3).times(1000));
    let alone = struck(&plan(7), "a", 1000);
    let both = plan(7);
    let (agent_a, agent_b) = (AgentId::from("a"), AgentId::from("b"));
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for n in 1..=1000 {
        if both.strike(&Point::Message { agent: &agent_b, delivery: 1 }).is_some() {
            b.push(n);
        }
        if both.strike(&Point::Message { agent: &agent_a, delivery: 1 }).is_some() {
            a.push(n);
        }
    }
    assert_eq!(a, alone, "what others do changes nothing");
    assert_ne!(a, b);
    assert_ne!(struck(&plan(8), "a", 1000), alone);
    assert!((250..350).contains(&alone.len()), "{}", alone.len());
}

#[test]
fn the_record_is_bounded_and_says_the_seed() {
    let plan = FaultPlan::new(42).rule(FaultRule::crash("a").times(2000));
    assert_eq!(struck(&plan, "a", 1500).len(), 1500);
    assert_eq!((plan.injected().len(), plan.n_injected()), (1024, 1500));
    assert_eq!(plan.injected()[2].to_string(), "panic at message 3 of a");
    let plan = FaultPlan::new(42)
        .rule(FaultRule::slow_start("a*", SECOND).at(2))
        .rule(FaultRule::crash("a").chance(0.5).times(3));
    assert_eq!(
        plan.to_string(),
        "fault plan with seed 42: 0 injected\n  \
         rule: delay of 1s at start 2 of a*\n  \
         rule: panic at message 1 of a and later, with a chance of 0.5, at most 3 times"
    );
    assert!(format!("{plan:?}").starts_with("FaultPlan { seed: 42, rules: ["), "{plan:?}");
}

#[test]
fn clones_share_the_record_and_a_further_rule_begins_a_new_one() {
    let plan = FaultPlan::new(7).rule(FaultRule::crash("a"));
    let given_away = plan.clone();
    struck(&given_away, "a", 1);
    assert_eq!((plan.n_injected(), given_away.n_injected()), (1, 1));
    assert_eq!(plan.rule(FaultRule::crash("b")).n_injected(), 0);
}

#[test]
fn a_rule_that_never_struck_is_named_with_the_seed() {
    let plan = FaultPlan::new(7).rule(FaultRule::crash("a")).rule(FaultRule::tool_panic("add"));
    struck(&plan, "a", 1);
    let assertion = std::panic::catch_unwind(|| plan.assert_every_rule_struck());
    let text = *assertion.expect_err("a rule is idle").downcast::<String>().expect("a text");
    assert!(text.starts_with("these never struck: panic at tool call 1 of add\n"), "{text}");
    assert!(text.contains("seed 7"), "{text}");
    let plan = FaultPlan::new(7).rule(FaultRule::crash("a"));
    struck(&plan, "a", 1);
    plan.assert_every_rule_struck();
}

#[tokio::test(start_paused = true)]
async fn a_tool_is_struck_before_it_is_called() {
    let tool = ScriptedTool::echo("add");
    let calls = tool.calls();
    let plan = FaultPlan::new(7)
        .rule(FaultRule::tool_error("add", ToolErrorKind::Denied))
        .rule(FaultRule::slow_tool("add", SECOND).at(2))
        .rule(FaultRule::tool_panic("add").at(3))
        .rule(FaultRule::hanging_tool("add").at(4));
    let tools = plan.tools([Arc::new(tool) as Arc<dyn DynTool>]);
    assert_eq!(tools[0].spec().name, "add");
    let call = || tools[0].call_json(json!({}), ToolContext::new(CallId::from("c"), "k"));
    let refused = call().await.expect_err("it is struck");
    assert_eq!(refused, ToolError::new(ToolErrorKind::Denied, "a fault was injected (seed 7)"));
    let called_at = Instant::now();
    assert_eq!(call().await, Ok(json!({})));
    assert_eq!(called_at.elapsed(), SECOND);
    let panic = std::panic::AssertUnwindSafe(call()).catch_unwind().await.expect_err("it panics");
    assert_eq!(panic.downcast_ref::<String>().expect("a text"), "a fault was injected (seed 7)");
    assert!(tokio::time::timeout(60 * SECOND, call()).await.is_err(), "it hangs");
    assert_eq!(call().await, Ok(json!({})), "nothing is left of the plan");
    assert_eq!(calls.n_begun(), 2, "the others never reached the tool");
    plan.assert_every_rule_struck();
}

/// A tool that may be struck waits for people as it did, and looks its calls up.
#[tokio::test]
async fn a_tool_under_a_plan_is_the_same_tool() {
    let pay = tool("pay", "Pays.", |(): ()| async { Ok(()) });
    let pay = pay.requires_approval().reconcilable(async |_| Ok(Some(json!("paid"))));
    let tools = FaultPlan::new(7).tools([Arc::new(pay) as Arc<dyn DynTool>]);
    assert!(tools[0].approval().is_needed(&json!({})));
    let context = ToolContext::new(CallId::from("c"), "k");
    assert_eq!(tools[0].lookup(context).await, Ok(Some(json!("paid"))));
}

#[tokio::test(start_paused = true)]
async fn a_model_is_struck_before_it_is_asked() {
    let model = ScriptedModel::answering(|_| ScriptedReply::text("yes")).named("m");
    let calls = model.calls();
    let plan = FaultPlan::new(7)
        .rule(FaultRule::model_error("m", ModelErrorKind::RateLimited))
        .rule(FaultRule::slow_model("m", SECOND).at(2))
        .rule(FaultRule::model_panic("m").at(3))
        .rule(FaultRule::hanging_model("m").at(4));
    let model = plan.model(model);
    assert_eq!(model.name(), "m");
    let ask = || model.stream(ChatRequest::default()).collect::<Vec<_>>();
    let unpolled = model.stream(ChatRequest::default());
    drop(unpolled);
    let error = ModelError::new(ModelErrorKind::RateLimited, "m", "a fault was injected (seed 7)");
    assert_eq!(ask().await, [Err(error)]);
    let asked_at = Instant::now();
    let is_finished =
        |event: Option<&Result<_, _>>| matches!(event, Some(Ok(ChatEvent::Finished(_))));
    assert!(is_finished(ask().await.last()));
    assert_eq!(asked_at.elapsed(), SECOND);
    let panic = std::panic::AssertUnwindSafe(ask()).catch_unwind().await.expect_err("it panics");
    assert_eq!(panic.downcast_ref::<String>().expect("a text"), "a fault was injected (seed 7)");
    assert!(tokio::time::timeout(60 * SECOND, ask()).await.is_err(), "it hangs");
    assert!(is_finished(ask().await.last()), "nothing is left of the plan");
    assert_eq!(calls.n_begun(), 2, "the others never reached the model");
    plan.assert_every_rule_struck();
}

//! The page on testing: its code, compiled and run.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use greenroom_core::agent::TurnLimits;
use greenroom_core::journal::{Journal, MemoryJournal};
use greenroom_core::message::{Message, ToolCall};
use greenroom_core::model::{ChatEvent, ChatModel as _, ChatRequest, ModelErrorKind};
use greenroom_core::recovery::RecoverySpec;
use greenroom_models::cassette::{Cassette, CassetteMode};
use greenroom_models::http::{Providers, Settings};
use greenroom_models::resilience::{Governor, GovernorSpec, ResilienceSpec, resilient};
use greenroom_runtime::{Actor, Context, Failure, RunError, Runtime};
use greenroom_testkit::kills::{Mutant, MutantJournal, PointedJournal, Points, Witness, inquest};
use greenroom_testkit::provider::{Answer, ProviderServer, WireFault};
use greenroom_testkit::{
    Death, FaultPlan, FaultRule, LeakCheck, ManualClock, MortalJournal, ScriptedModel,
    ScriptedReply, ScriptedTool, conformance,
};
use serde_json::json;
use tokio::time::Instant;

use crate::recovery::{call, n_replies, process};
use crate::support::{Asked, NotedJournal};

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[tokio::test(start_paused = true)]
async fn a_slow_model_is_given_up_after_its_time() {
    let model = ScriptedModel::new([ScriptedReply::hang("")]);
    let runtime = Runtime::builder().seed(7).start().await.expect("it starts");
    let agent = runtime.agent("a").model(model).model_timeout(Duration::from_secs(60));
    let agent = agent.limits(TurnLimits { attempts_max: 1, ..TurnLimits::default() });
    let started_at = Instant::now();
    assert!(agent.build().expect("it is complete").run("hello").await.is_err());
    assert_eq!(started_at.elapsed(), Duration::from_secs(60));
    runtime.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_scripted_model_calls_a_scripted_tool() -> Outcome {
    let runtime = Runtime::builder().seed(7).start().await?;
    let call = ToolCall { id: "c1".into(), name: "add".into(), arguments: json!({ "a": 1 }) };
    let model = ScriptedModel::new([ScriptedReply::calls([call]), ScriptedReply::text("done")]);
    let calls = model.calls();
    let tool = ScriptedTool::echo("add");
    let agent = runtime.agent("adder").model(model).tool(tool).build()?;
    assert_eq!(agent.run("1 + 1?").await?, "done");
    assert_eq!(calls.n_begun(), 2);
    runtime.shutdown().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_plan_strikes_everything_at_once() -> Outcome {
    let call = ToolCall { id: "c1".into(), name: "add".into(), arguments: json!({ "a": 1 }) };
    let model = ScriptedModel::new([ScriptedReply::calls([call]), ScriptedReply::text("done")]);
    let tool = ScriptedTool::echo("add");
    let plan = FaultPlan::new(7)
        .rule(FaultRule::crash("adder").at(2))
        .rule(FaultRule::slow_start("adder", Duration::from_secs(2)))
        .rule(FaultRule::tool_panic("add"))
        .rule(FaultRule::model_error("*", ModelErrorKind::RateLimited).chance(0.1).times(5));
    let runtime = Runtime::builder().seed(7).faults(plan.clone()).start().await?;
    let agent = runtime.agent("adder").model(plan.model(model)).tool(plan.tool(tool)).build()?;
    assert_eq!(agent.run("1 + 1?").await?, "done", "{plan}");
    let struck: Vec<_> = plan.injected().iter().map(ToString::to_string).collect();
    for fault in [
        "delay of 2s at start 1 of adder",
        "panic at message 2 of adder",
        "panic at tool call 1 of add",
    ] {
        assert!(struck.iter().any(|injected| injected == fault), "{plan}");
    }
    runtime.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn a_provider_on_this_machine_fails_as_it_is_told_to() -> Outcome {
    let plan = FaultPlan::new(7)
        .rule(FaultRule::provider("*", WireFault::FailsInStream { status: 529, is_shown: false }))
        .rule(FaultRule::provider("*", Answer::refusal(503, "", "try later")).at(2));
    let builder = ProviderServer::builder().answers([Answer::text("64.")]);
    let server = builder.faults(plan.clone()).start();
    let settings = Settings::new().with_key("openai", "sk-test");
    let providers = Providers::new(settings.with_base_url("openai", server.url("/v1")))?;
    let clock = ManualClock::skipping(Duration::from_secs(30));
    let account = Governor::new(GovernorSpec::default(), Arc::new(clock));
    let model = resilient(providers.model("openai:gpt-5")?, &account, ResilienceSpec::default());
    let messages = Arc::new(vec![Message::user("8 * 8?")]);
    let events = model.stream(ChatRequest { messages, ..ChatRequest::default() });
    let events: Vec<_> = events.collect().await;
    let Some(Ok(ChatEvent::Finished(reply))) = events.last() else { panic!("{plan}") };
    assert_eq!((reply.text.as_str(), server.requests().len()), ("64.", 3));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_cassette_replays_what_was_recorded() -> Outcome {
    let directory = tempfile::TempDir::new()?;
    let path = directory.path().join("clerk.jsonl");
    let runtime = Runtime::builder().seed(7).start().await?;
    let model = ScriptedModel::new([ScriptedReply::text("64.")]);
    let cassette = Cassette::open(&path, CassetteMode::Record)?;
    let agent = runtime.agent("clerk").model(cassette.model(model)).build()?;
    assert_eq!(agent.run("8 * 8?").await?, "64.");
    let cassette = Cassette::open(&path, CassetteMode::Replay)?;
    let agent = runtime.agent("clerk-2").model(cassette.player("scripted")).build()?;
    assert_eq!(agent.run("8 * 8?").await?, "64.");
    assert_eq!(cassette.unused(), [] as [usize; 0]);
    runtime.shutdown().await;
    Ok(())
}

#[derive(Default)]
struct Ledger;

impl Actor for Ledger {
    type Message = ();

    fn handle(&mut self, (): &(), _: &mut Context<'_, Self>) -> Result<(), Failure> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_behind() -> Outcome {
    let leaks = LeakCheck::begin();
    let runtime = Runtime::start().await?;
    runtime.spawn("ledger", Ledger::default).await?;
    runtime.shutdown().await;
    leaks.finish(&runtime).await;
    Ok(())
}

/// A model that pays, and then says so.
fn payer() -> ScriptedModel {
    ScriptedModel::answering(|request: &ChatRequest| match n_replies(&request.messages) {
        0 => ScriptedReply::calls([call("pay", 1)]),
        _ => ScriptedReply::text("paid"),
    })
}

#[test]
fn a_run_survives_the_death_of_its_process() -> Outcome {
    let (journal, witness, pay) =
        (MemoryJournal::new(), Witness::in_memory(), ScriptedTool::echo("pay"));
    process(async {
        let (model, pay) = (payer(), pay.clone());
        let mortal = MortalJournal::new(journal.clone(), Some(Death { at: 5, is_stored: true }));
        let life = witness.born(&mortal).await?;
        let runtime = Runtime::builder().journal(mortal.clone()).seed(7).start().await?;
        let agent = runtime.agent("clerk").model(life.model(model)).tool(life.tool(pay)).build()?;
        let ended = mortal.outlive(async {
            let run = agent.start("Pay what is due.").await?;
            life.accepted(run.id());
            Ok::<_, RunError>(run.outcome().await)
        });
        assert!(ended.await.is_none(), "it dies at its fifth append");
        Ok::<_, Box<dyn std::error::Error>>(())
    })?;
    process(async {
        let (model, pay) = (payer(), pay.clone());
        let life = witness.born(&journal).await?;
        let runtime = Runtime::builder().journal(journal.clone()).seed(8).start().await?;
        let agent = runtime.agent("clerk").model(life.model(model)).tool(life.tool(pay)).build()?;
        for run in runtime.recover(RecoverySpec::default()).await?.resumed {
            let attached = agent.attach(run).await?.ok_or("it is at work")?;
            life.answered(run, attached.outcome().await?.text);
        }
        assert_eq!(inquest(&witness, &journal, None).await, []);
        Ok(())
    })
}

#[tokio::test(start_paused = true)]
async fn a_seam_runs_its_suite() {
    conformance::journal("memory", Arc::new(MemoryJournal::new())).await;
}

/// A journal around another one flushes it.
#[tokio::test]
async fn journals_of_the_testkit_flush_what_they_are_around() {
    let inner = NotedJournal::default();
    let around: [Box<dyn Journal>; 3] = [
        Box::new(MortalJournal::new(inner.clone(), None)),
        Box::new(MutantJournal::new(inner.clone(), Mutant::RetryInDoubt)),
        Box::new(PointedJournal::new(inner.clone(), Points::default())),
    ];
    for journal in around {
        assert_eq!(journal.flush().await, Ok(()));
        assert_eq!(inner.take(), [Asked::Flush]);
    }
}

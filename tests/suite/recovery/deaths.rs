//! A process dies at every append of a run, before and after it is stored, and the next ones finish the run.
//!
//! This is the harness in virtual time, mode D1 and mode D5: thousands of deaths a minute. The world (models
//! and tools, with their counters) outlives every process, as the real one does.

use std::collections::BTreeSet;
use std::time::Duration;

use greenroom_core::ids::RunId;
use greenroom_core::journal::{Journal, MemoryJournal, Runs};
use greenroom_core::message::{Message, ToolOutcome};
use greenroom_core::model::{ChatReply, ChatRequest};
use greenroom_core::recovery::RecoverySpec;
use greenroom_core::report::{Outcome, Report, Status};
use greenroom_core::tool::{EffectClass, ToolContext, ToolErrorKind};
use greenroom_runtime::{Agent, Runtime, Team};
use greenroom_testkit::{Calls, Death, MortalJournal, ScriptedModel, ScriptedTool};
use serde_json::Value;

use super::{call, n_replies, process, runtime};
use crate::teams::{ANSWER, QUESTION, calculator, docs, extract};

type ToolCalls = Calls<(ToolContext, Value)>;

/// What is outside of the processes of one test.
struct World {
    journal: MemoryJournal,
    model: ScriptedModel,
    tools: Vec<ScriptedTool>,
    n_lives: u64,
}

impl World {
    /// A model that looks and puts, then pays, then says so.
    fn of_an_agent() -> Self {
        let model =
            ScriptedModel::answering(|request: &ChatRequest| match n_replies(&request.messages) {
                0 => ChatReply::calls([call("look", 1), call("put", 2)]),
                1 => ChatReply::calls([call("pay", 3)]),
                _ => ChatReply::text("all done"),
            });
        let tools = [
            ("look", EffectClass::ReadOnly),
            ("put", EffectClass::Idempotent),
            ("pay", EffectClass::AtMostOnce),
        ];
        let second = Duration::from_secs(1);
        let tools =
            tools.map(|(name, effect)| ScriptedTool::echo(name).effect(effect).delay(second));
        let (journal, model) = (MemoryJournal::new(), model.latency(second));
        Self { journal, model, tools: tools.into(), n_lives: 0 }
    }

    fn of_a_team() -> Self {
        let model = ScriptedModel::answering(extract).latency(Duration::from_secs(1));
        Self { journal: MemoryJournal::new(), model, tools: Vec::new(), n_lives: 0 }
    }

    fn calls(&self, tool: usize) -> ToolCalls {
        self.tools[tool].calls()
    }

    fn agent(&self, runtime: &Runtime) -> Agent {
        let agent = runtime.agent("clerk").model(self.model.clone());
        let [look, put, pay] = &self.tools[..] else { panic!("an agent's world has three tools") };
        agent.tool(look.clone()).tool(put.clone()).tool(pay.clone()).build().expect("complete")
    }

    async fn team(&self, runtime: &Runtime) -> Team {
        let team = runtime.team().model(self.model.clone()).source(docs()).tools(calculator());
        team.start().await.expect("the team starts")
    }

    /// The run that is to be finished, when one was accepted.
    async fn run(&self) -> Option<RunId> {
        let heads = self.journal.runs(Runs::Newest(1)).await.expect("memory answers");
        heads.first().map(|head| head.run)
    }

    /// One life of the process, until its death or the end of the run.
    fn live<T>(
        &mut self,
        death: Option<Death>,
        life: impl AsyncFnOnce(&Self, &Runtime, Option<RunId>) -> T,
    ) -> Option<(T, u64)> {
        self.n_lives += 1;
        let journal = MortalJournal::new(self.journal.clone(), death);
        process(async {
            let run = self.run().await;
            let runtime = runtime(journal.clone(), self.n_lives, 20 * self.n_lives).await;
            let ended = async {
                let ended = life(self, &runtime, run).await;
                runtime.shutdown().await;
                ended
            };
            tokio::select! {
                biased;
                () = journal.died() => None,
                ended = ended => Some((ended, journal.n_appends())),
            }
        })
    }

    fn agent_lives(&mut self, death: Option<Death>) -> Option<(Report, u64)> {
        self.live(death, async |world, runtime, run| {
            let agent = world.agent(runtime);
            let run = match run {
                Some(run) => {
                    recover(runtime).await;
                    agent.attach(run).await.expect("memory answers").expect("it is known")
                }
                None => agent.start("go").await.expect("accepted"),
            };
            run.outcome().await.expect("it comes to its end")
        })
    }

    fn team_lives(&mut self, death: Option<Death>) -> Option<(Outcome, u64)> {
        self.live(death, async |world, runtime, run| {
            let team = world.team(runtime).await;
            let run = match run {
                Some(run) => {
                    recover(runtime).await;
                    team.attach(run).await.expect("memory answers").expect("it is known")
                }
                None => team.ask(QUESTION).await.expect("accepted"),
            };
            run.outcome().await
        })
    }
}

/// So many deaths are on purpose here: nothing is to be quarantined.
async fn recover(runtime: &Runtime) {
    let spec = RecoverySpec::default().boots_max(1_000);
    runtime.recover(spec).await.expect("a round ends");
}

/// Both ways of dying at an append.
fn deaths(at: u64) -> [Death; 2] {
    [false, true].map(|is_stored| Death { at, is_stored })
}

/// The conversation that the model saw last, without what came of paying, which may be in doubt.
fn transcript(calls: &Calls<ChatRequest>) -> Vec<Message> {
    let request = calls.last().expect("the model was asked");
    let in_doubt = |message: &&Message| {
        matches!(message, Message::Tool { outcome: ToolOutcome::Error(error), .. }
            if error.kind == ToolErrorKind::InDoubt)
    };
    let is_of_pay =
        |message: &&Message| matches!(message, Message::Tool { name, .. } if name == "pay");
    let messages = request.messages.iter();
    messages.filter(|message| !is_of_pay(message) && !in_doubt(message)).cloned().collect()
}

fn keys(calls: &ToolCalls) -> BTreeSet<String> {
    calls.requests().into_iter().map(|(context, _)| context.idempotency_key.to_string()).collect()
}

/// I1, I2, I3, I4, I6 and I9 of an agent's run that lived through these deaths.
#[track_caller]
fn check_agent(world: &World, report: &Report, calm: &(World, Report), n_deaths: usize, why: &str) {
    let (calm, expected) = calm;
    assert_eq!(report, expected, "{why}: the report, its usage included");
    assert_eq!(transcript(&world.model.calls()), transcript(&calm.model.calls()), "{why}");
    let n_more = |ours: usize, calm: usize| {
        assert!(ours >= calm && ours <= calm + n_deaths, "{why}: {ours} calls instead of {calm}");
    };
    n_more(world.model.calls().n_begun(), calm.model.calls().n_begun());
    n_more(world.calls(0).n_begun(), 1);
    n_more(world.calls(1).n_begun(), 1);
    assert!(world.calls(2).n_begun() <= 1, "{why}: paid twice");
    assert_eq!(keys(&world.calls(1)).len(), 1, "{why}: one call, one key");
}

#[test]
fn d1_an_agent_survives_a_death_at_every_append() {
    let mut calm = World::of_an_agent();
    let (report, n_appends) = calm.agent_lives(None).expect("nobody dies");
    let calm = (calm, report);
    assert_eq!(n_appends, 13, "accepted; 3 times a model; 3 tools, 2 at once; finished");
    for at in 1..=n_appends {
        for death in deaths(at) {
            let mut world = World::of_an_agent();
            assert_eq!(world.agent_lives(Some(death)), None, "{death:?}");
            let (report, _) = world.agent_lives(None).expect("nobody dies");
            check_agent(&world, &report, &calm, 1, &format!("{death:?}"));
        }
    }
}

/// I7: recovery dies as well, three deep.
#[test]
fn d1_recovery_itself_survives_its_deaths() {
    let mut calm = World::of_an_agent();
    let (report, n_appends) = calm.agent_lives(None).expect("nobody dies");
    let calm = (calm, report);
    for first in (1..n_appends).flat_map(deaths) {
        for second in (1..=3).flat_map(deaths) {
            let mut world = World::of_an_agent();
            assert_eq!(world.agent_lives(Some(first)), None);
            let third = Death { at: 2, is_stored: second.is_stored };
            let n_deaths = [second, third]
                .into_iter()
                .filter(|death| world.agent_lives(Some(*death)).is_none());
            let n_deaths = 1 + n_deaths.count();
            let (report, _) = world.agent_lives(None).expect("nobody dies");
            check_agent(&world, &report, &calm, n_deaths, &format!("{first:?}, then {second:?}"));
        }
    }
}

/// D5: every process stores one event of the run and is gone.
#[test]
fn d5_a_run_that_is_evicted_after_every_event_comes_to_the_same() {
    let mut calm = World::of_an_agent();
    let (report, _) = calm.agent_lives(None).expect("nobody dies");
    let calm = (calm, report);
    let mut world = World::of_an_agent();
    let report = (0..100).find_map(|n| {
        // The first append is the acceptance, and later on the claim.
        let death = Death { at: if n == 0 { 1 } else { 2 }, is_stored: true };
        world.agent_lives(Some(death))
    });
    let (report, _) = report.expect("it gets further with each process");
    let n_deaths = usize::try_from(world.n_lives).expect("a few") - 1;
    assert!(n_deaths > 6, "{n_deaths}");
    check_agent(&world, &report, &calm, n_deaths, "evicted");
}

#[test]
fn d1_a_team_survives_a_death_at_every_append() {
    let mut calm = World::of_a_team();
    let (expected, n_appends) = calm.team_lives(None).expect("nobody dies");
    assert_eq!((expected.status, expected.answer.as_str()), (Status::Completed, ANSWER));
    assert!(n_appends > 15, "{n_appends}");
    let n_calls = calm.model.calls().n_begun();
    for at in 1..=n_appends {
        for death in deaths(at) {
            let mut world = World::of_a_team();
            assert_eq!(world.team_lives(Some(death)), None, "{death:?}");
            let (outcome, _) = world.team_lives(None).expect("nobody dies");
            assert_eq!(outcome, expected, "{death:?}");
            // Research and calculation go side by side, so two calls may be cut off by one death.
            let n_begun = world.model.calls().n_begun();
            assert!(n_begun <= n_calls + 2, "{death:?}: {n_begun} calls instead of {n_calls}");
        }
    }
}

#[test]
fn d5_a_team_that_is_evicted_after_every_event_comes_to_the_same() {
    let mut calm = World::of_a_team();
    let (expected, _) = calm.team_lives(None).expect("nobody dies");
    let mut world = World::of_a_team();
    let outcome = (0..200).find_map(|n| {
        let death = Death { at: if n == 0 { 1 } else { 2 }, is_stored: true };
        world.team_lives(Some(death))
    });
    assert_eq!(outcome.expect("it gets further with each process").0, expected);
    assert!(world.n_lives > 15, "{}", world.n_lives);
}

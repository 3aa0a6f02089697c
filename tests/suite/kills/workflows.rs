//! What runs while processes die: a single agent, one whose calls wait for people, a team, and a team whose
//! agents are given tasks with calls of their own. The same in virtual time and in real processes.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use greenroom_core::budget::{Budget, Usage};
use greenroom_core::ids::RunId;
use greenroom_core::journal::Runs;
use greenroom_core::model::{ChatReply, ChatRequest};
use greenroom_core::recovery::{OnChange, RecoverySpec};
use greenroom_core::report::{Goal, Report};
use greenroom_core::router::{Plan, PlannedTask};
use greenroom_core::tool::{
    Approval, DynTool, EffectClass, ToolContext, idempotency_key, tool_with,
};
use greenroom_runtime::{Actor, Agent, Context, Failure, Runtime, Task, Team};
use greenroom_testkit::ScriptedModel;
use greenroom_testkit::kills::{Note, Witness, WitnessedTool};
use greenroom_tools::CalculateTool;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::recovery::{call, n_replies};
use crate::teams::{QUESTION, docs, extract};

/// Something to be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workflow {
    Agent,
    Approval,
    Team,
    Delegation,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
struct Amount {
    n: u64,
}

/// A reply with what it cost.
fn costing(reply: ChatReply) -> ChatReply {
    ChatReply { usage: Usage { input_tokens: 100, output_tokens: 10, ..Usage::default() }, ..reply }
}

/// Three turns: look and put side by side, then pay, then the answer.
fn three_turns(request: &ChatRequest) -> ChatReply {
    costing(match n_replies(&request.messages) {
        0 => ChatReply::calls([call("look", 1), call("put", 2)]),
        1 => ChatReply::calls([call("pay", 3)]),
        _ => ChatReply::text("all done"),
    })
}

/// Two calls that wait for a person, one after the other and beside one that does not.
fn asking(request: &ChatRequest) -> ChatReply {
    costing(match n_replies(&request.messages) {
        0 => ChatReply::calls([call("pay", 1), call("look", 2), call("wire", 3)]),
        1 => ChatReply::calls([call("pay", 4)]),
        _ => ChatReply::text("all done"),
    })
}

fn planning(_: &ChatRequest) -> ChatReply {
    let tasks = vec![
        PlannedTask::new("t1", "research", "Do the first."),
        PlannedTask::new("t2", "research", "Do the second.").needing(["t1"]),
        PlannedTask::new("t3", "weather", "What is the weather?"),
        PlannedTask::new("t4", "research", "Do the third."),
    ];
    costing(ChatReply::text(serde_json::to_string(&Plan { tasks }).expect("a plan is JSON")))
}

/// A member of the application's own.
struct Weather;

impl Actor for Weather {
    type Message = Task;

    fn handle(&mut self, task: &Task, _: &mut Context<'_, Self>) -> Result<(), Failure> {
        // Nobody waits any more once the run was cancelled.
        let _ = task.reply.send(Ok(Report::text("The weather in Lisbon is sunny.")));
        Ok(())
    }
}

/// How long a model thinks and a tool works, and how long a run may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace(pub(crate) Duration, pub(crate) Duration);

impl Pace {
    /// Of runs that may take as long as any, unless they are told otherwise.
    pub(crate) const fn of(step: Duration) -> Self {
        Self(step, Duration::from_secs(600))
    }
}

impl Workflow {
    pub(crate) const ALL: [Self; 4] = [Self::Agent, Self::Approval, Self::Team, Self::Delegation];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|workflow| format!("{workflow:?}") == name)
    }

    /// One life of a process: it begins what is missing of so many runs, continues what is not finished, and
    /// ends once everything is.
    pub(crate) async fn live(
        self,
        runtime: &Runtime,
        witness: &Witness,
        pace: Pace,
        n_runs: usize,
    ) -> Result<(), Box<dyn Error>> {
        let world = World { witness, pace };
        let crew = match self {
            Self::Agent => Crew::Agent(world.agent(runtime)?),
            Self::Approval => Crew::Agent(world.asking_agent(runtime)?),
            Self::Team => Crew::Team(world.team(runtime).await?),
            Self::Delegation => Crew::Team(world.delegating_team(runtime).await?),
        };
        // A process that dies again and again on purpose is no reason for a quarantine.
        let spec = RecoverySpec::default().boots_max(1_000_000).on_change(OnChange::Continue);
        runtime.recover(spec).await?;
        // One that nobody was told of is there all the same.
        for _ in runtime.journal().runs(Runs::Newest(n_runs)).await?.len()..n_runs {
            witness.accepted(crew.start(pace.1).await?);
        }
        let mut n_looks = 0;
        loop {
            let unfinished = runtime.journal().runs(Runs::Unfinished).await?;
            if unfinished.is_empty() {
                break;
            }
            for head in unfinished {
                answer(runtime, witness, head.run).await?;
            }
            // People look oftener than the slowest work gets on.
            tokio::time::sleep(pace.0.min(Duration::from_secs(1))).await;
            n_looks += 1;
            if n_looks > 12_000 {
                return Err("a run does not come to its end".into());
            }
        }
        for head in runtime.journal().runs(Runs::Newest(usize::MAX)).await? {
            witness.answered(head.run, crew.outcome(head.run).await?);
        }
        Ok(())
    }
}

/// The person: pays are approved, wires are not.
async fn answer(runtime: &Runtime, witness: &Witness, run: RunId) -> Result<(), Box<dyn Error>> {
    for waiting in runtime.pending(run).await.unwrap_or_default() {
        let is_approved = waiting.tool == "pay";
        witness.points().pass("before-answer");
        let told = match is_approved {
            true => runtime.approve(&waiting, "ann").await,
            false => runtime.deny(&waiting, "no", "ann").await,
        };
        witness.points().pass("after-answer");
        if told.is_ok() {
            let (stream, call) = (&waiting.stream, &waiting.call);
            let key = idempotency_key(stream, call, &waiting.tool, &waiting.arguments).to_string();
            witness.note(Note::Decided { key, is_approved });
        }
    }
    Ok(())
}

/// What is the same however often a process dies: a call that is made again counts again, and what the one
/// that was cut off cost is not known. The inquest counts the calls.
fn known(usage: Usage) -> Usage {
    Usage { model_calls: 0, tool_calls: 0, ..usage }
}

/// Whoever takes runs.
enum Crew {
    Agent(Agent),
    Team(Team),
}

impl Crew {
    async fn start(&self, wall_max: Duration) -> Result<RunId, Box<dyn Error>> {
        let budget = Budget { wall_max, ..Budget::default() };
        Ok(match self {
            Self::Agent(agent) => agent.start("go").await?.id(),
            Self::Team(team) => team.submit(Goal { budget, ..Goal::new(QUESTION) }).await?.id(),
        })
    }

    async fn outcome(&self, run: RunId) -> Result<String, Box<dyn Error>> {
        const UNKNOWN: &str = "a run that is over is known";
        Ok(match self {
            Self::Agent(agent) => match agent.attach(run).await?.ok_or(UNKNOWN)?.outcome().await {
                Ok(report) => format!("{}, for {:?}", report.text, known(report.usage)),
                Err(failure) => format!("failed: {failure}"),
            },
            Self::Team(team) => {
                let outcome = team.attach(run).await?.ok_or(UNKNOWN)?.outcome().await;
                format!("{}: {}, for {:?}", outcome.status, outcome.answer, known(outcome.usage))
            }
        })
    }
}

/// What is outside of the processes, as one of them sees it.
struct World<'a> {
    witness: &'a Witness,
    pace: Pace,
}

impl World<'_> {
    /// Enough for calls that are made again after a death, which count.
    fn budget(&self) -> Budget {
        let Pace(_, wall_max) = self.pace;
        Budget { model_calls_max: 20, tool_calls_max: 20, wall_max, ..Budget::default() }
    }

    fn model(
        &self,
        answer: impl Fn(&ChatRequest) -> ChatReply + Send + Sync + 'static,
    ) -> impl greenroom_core::model::ChatModel {
        self.witness.model(ScriptedModel::answering(answer).latency(self.pace.0))
    }

    /// A tool that works for a while, and gives back what it was given.
    fn tool(&self, name: &'static str, effect: EffectClass, approval: Approval) -> WitnessedTool {
        let pace = self.pace.0;
        let work = move |amount: Amount, _: ToolContext| async move {
            tokio::time::sleep(pace).await;
            Ok(amount)
        };
        let tool = tool_with(name, "Does what it is called.", work).approval(approval);
        match effect {
            EffectClass::ReadOnly => self.witness.tool(tool.read_only()),
            EffectClass::Idempotent => self.witness.tool(tool.idempotent()),
            _ => self.witness.tool(tool),
        }
    }

    fn tools(&self) -> [WitnessedTool; 3] {
        let tool = |name, effect| self.tool(name, effect, Approval::none());
        [
            tool("look", EffectClass::ReadOnly),
            tool("put", EffectClass::Idempotent),
            tool("pay", EffectClass::AtMostOnce),
        ]
    }

    fn agent(&self, runtime: &Runtime) -> Result<Agent, Box<dyn Error>> {
        let agent = runtime.agent("clerk").model(self.model(three_turns));
        let [look, put, pay] = self.tools();
        Ok(agent.tool(look).tool(put).tool(pay).budget(self.budget()).build()?)
    }

    fn asking_agent(&self, runtime: &Runtime) -> Result<Agent, Box<dyn Error>> {
        let agent = runtime.agent("teller").model(self.model(asking));
        let asked = |name| self.tool(name, EffectClass::AtMostOnce, Approval::always());
        let [look, ..] = self.tools();
        let agent = agent.tool(look).tool(asked("pay")).tool(asked("wire"));
        Ok(agent.budget(self.budget()).build()?)
    }

    async fn team(&self, runtime: &Runtime) -> Result<Team, Box<dyn Error>> {
        let team = runtime.team().model(self.model(extract)).source(docs());
        let calculator: Arc<dyn DynTool> = Arc::new(self.witness.tool(CalculateTool));
        Ok(team.tools([calculator]).start().await?)
    }

    async fn delegating_team(&self, runtime: &Runtime) -> Result<Team, Box<dyn Error>> {
        let weather = runtime.spawn("weather", || Weather).await?;
        let tools = self.tools().map(|tool| Arc::new(tool) as Arc<dyn DynTool>);
        let team = runtime.team().named("delegating").model(self.model(extract));
        let team = team.role_model("plan", self.model(planning));
        let team = team.role_model("research", self.model(three_turns)).tools(tools);
        let team = team.specialist("weather", "Knows the weather.", &weather, |task| task);
        Ok(team.start().await?)
    }
}

//! The same with agents: supervised, journalled in memory, with budgets and deadlines, and a model that is governed, timed
//! and checked.

use std::sync::Arc;

use greenroom_core::model::ChatModel;
use greenroom_core::report::{Goal, Status};
use greenroom_models::http::{Accounts, Providers, Settings};
use greenroom_models::resilience::{ConcurrencySpec, GovernorSpec, ResilienceSpec};
use greenroom_runtime::{Agent, RunEvent, Runtime, SystemClock, Team};
use greenroom_testkit::provider::Certificate;
use greenroom_testkit::{ScriptedRetriever, passage};
use greenroom_tools::CalculateTool;

use super::provider::{ANSWER, PASSAGE, QUESTION, TEAM, TELL, TOKENS};
use super::work::Work;
use crate::measure::{millis_since, now};

/// More than ever are under way: the loop by hand limits nothing either. That it asks is part of what it costs.
const AT_ONCE_MAX: u32 = 20_000;

pub(crate) struct Green {
    agent: Agent,
    team: Team,
}

fn model(url: &str) -> Arc<dyn ChatModel> {
    let settings = Settings::new().with_roots_pem(Certificate::Sound.pem());
    let providers = Providers::new(settings).expect("the settings are fine");
    let spec = GovernorSpec {
        concurrency: ConcurrencySpec::fixed(AT_ONCE_MAX),
        queue_max: AT_ONCE_MAX as usize,
        ..GovernorSpec::default()
    };
    let mut accounts =
        Accounts::new(providers, Arc::new(SystemClock::new())).with_spec("endpoint", spec);
    accounts.model(&format!("{url}#m"), ResilienceSpec::default()).expect("a model")
}

impl Green {
    pub(crate) async fn new(url: &str) -> Self {
        let runtime = Runtime::builder().runs_max(AT_ONCE_MAX as usize);
        let runtime = runtime.start().await.expect("it starts");
        let model = model(url);
        let agent = runtime.agent("bench").model(Arc::clone(&model)).tool(CalculateTool).build();
        let docs =
            ScriptedRetriever::new("docs").on("mailbox", [passage("docs/mailbox.md", 1, PASSAGE)]);
        let team = runtime.team().model(model).source(docs).start().await;
        Self { agent: agent.expect("complete"), team: team.expect("it starts") }
    }
}

impl Work for Green {
    async fn run(&self) {
        assert_eq!(self.agent.run(QUESTION).await.as_deref(), Ok(ANSWER));
    }

    async fn stream(&self) -> f64 {
        let begun = now();
        let mut run = self.agent.start(TELL).await.expect("it starts");
        let (mut n_tokens, mut first_ms) = (0, None);
        while let Some(event) = run.next_event().await {
            if let RunEvent::TextDelta { text, .. } = event {
                first_ms.get_or_insert_with(|| millis_since(begun));
                n_tokens += text.split_whitespace().count();
            }
        }
        assert_eq!(n_tokens, TOKENS);
        first_ms.expect("there was a first token")
    }

    async fn team(&self) {
        let run = self.team.submit(Goal::new(TEAM)).await.expect("it starts");
        let outcome = run.outcome().await;
        assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
        assert_eq!(outcome.answer, format!("{PASSAGE} [1]"));
    }
}

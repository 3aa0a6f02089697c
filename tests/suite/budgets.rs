//! Budgets: what runs may spend, who spent it, and that agents side by side spend no more.

use std::sync::Arc;
use std::time::Duration;

use greenroom_core::budget::{Budget, Limit, Price, Spent, Usage, Usd};
use greenroom_core::ids::StreamId;
use greenroom_core::journal::{Event, Journal, MemoryJournal};
use greenroom_core::message::ToolCall;
use greenroom_core::model::{
    ChatModel, ChatReply, ChatRequest, ModelError, ModelErrorKind, converse,
};
use greenroom_core::report::{Goal, Outcome, Status};
use greenroom_core::router::{Plan, PlannedTask};
use greenroom_models::Extractive;
use greenroom_models::cassette::{Cassette, CassetteMode};
use greenroom_models::resilience::{
    CacheSpec, Governor, GovernorSpec, HedgeSpec, ResilienceSpec, resilient,
};
use greenroom_retrieval::{Corpus, CorpusOptions, Embedding};
use greenroom_runtime::{Run, Runtime, SystemClock};
use greenroom_testkit::{
    Calls, Delayed, FaultPlan, FaultRule, HashedEmbedder, ScriptedModel, ScriptedTool,
};
use serde_json::json;
use tokio::time::Instant;

use crate::support::{end, runtime};
use crate::teams::docs;

const SECOND: Duration = Duration::from_secs(1);

/// A dollar for a million tokens.
fn price() -> Price {
    let dollar = Usd::from_nanos(1_000_000_000);
    Price::flat(dollar, dollar)
}

fn cents(n: u64) -> Usd {
    Usd::from_nanos(n * 10_000_000)
}

/// Plans eight tasks; every reply takes a second and 20,000 tokens, which are two cents.
fn spender() -> (ScriptedModel, Calls<ChatRequest>) {
    let model = ScriptedModel::answering(|request: &ChatRequest| {
        let tasks = (1..=8).map(|n| PlannedTask::new(&format!("t{n}"), "research", "Why?"));
        let text = match &request.output {
            Some(_) => serde_json::to_string(&Plan { tasks: tasks.collect() }).expect("JSON"),
            None => "Because.".to_owned(),
        };
        let usage = Usage { model_calls: 1, output_tokens: 20_000, ..Usage::default() };
        ChatReply { usage, ..ChatReply::text(text) }
    });
    let calls = model.calls();
    (model.latency(SECOND), calls)
}

async fn run(runtime: &Runtime, model: ScriptedModel, budget: Budget) -> (Run<Outcome>, Outcome) {
    let team = runtime.team().model(model).source(docs()).start().await.expect("it starts");
    let run = team.submit(Goal { budget, ..Goal::new("Why?") }).await.expect("accepted");
    let outcome = run.outcome().await;
    (run, outcome)
}

fn spent(run: &Run<Outcome>) -> Usage {
    let mut total = Usage::default();
    run.spending().into_iter().for_each(|spent| total.add(spent.usage));
    total
}

#[tokio::test(start_paused = true)]
async fn agents_side_by_side_overshoot_a_limit_on_money_by_one_call_at_most() {
    let runtime = runtime().await;
    let (model, calls) = spender();
    let budget = Budget { money_max: Some(cents(5)), ..Budget::default() };
    let (run, outcome) = run(&runtime, model.priced(price()), budget).await;
    assert_eq!(outcome.limit, Some(Limit::Money), "{outcome:#?}");
    // Of eight agents that would each spend two cents, two get to ask after the planner.
    assert_eq!((calls.n_begun(), calls.n_in_flight_max()), (3, 1));
    assert_eq!(spent(&run).cost, Some(cents(6)));
    assert_eq!((outcome.usage.cost, outcome.usage.priced_calls), (Some(cents(6)), 3));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn far_from_its_limits_a_run_asks_its_models_side_by_side() {
    let runtime = runtime().await;
    let (model, calls) = spender();
    let (run, outcome) = run(&runtime, model, Budget::default()).await;
    assert_eq!((outcome.limit, calls.n_in_flight_max()), (None, 8));
    let usage = spent(&run);
    assert_eq!((usage.cost, usage.priced_calls), (None, 0), "unknown is not nothing");
    assert_eq!(usage.model_calls, calls.n_begun() as u64);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_others_is_made_when_they_cost_less_than_they_might() {
    let runtime = runtime().await;
    let (model, calls) = spender();
    // Eight replies of the most that is assumed do not fit beside each other; of 20,000 tokens they do.
    let budget = Budget { tokens_max: 250_000, ..Budget::default() };
    let begun = Instant::now();
    let (run, outcome) = run(&runtime, model, budget).await;
    assert_eq!(outcome.limit, None, "{outcome:#?}");
    // Ten calls of a second each, and nobody waits for longer than the one before.
    assert!(begun.elapsed() <= 11 * SECOND, "{:?}", begun.elapsed());
    assert!(calls.n_in_flight_max() < 8, "{}", calls.n_in_flight_max());
    assert!(spent(&run).tokens() <= 250_000);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn with_a_limit_on_money_a_model_without_a_price_is_not_asked() {
    let runtime = runtime().await;
    let (model, calls) = spender();
    let budget = Budget { money_max: Some(cents(500)), ..Budget::default() };
    let (_, outcome) = run(&runtime, model, budget).await;
    assert_eq!((outcome.status, outcome.limit), (Status::Failed, Some(Limit::Money)));
    assert_eq!(calls.n_begun(), 0);
    end(runtime).await;
}

/// A call that a limit forbids is not made, and counts nowhere; one that was made counts, also when an agent that crashed
/// may not make it again.
#[tokio::test(start_paused = true)]
async fn a_call_that_was_refused_counts_nowhere() {
    for crashes in [false, true] {
        let plan = FaultPlan::new(7);
        let plan = if crashes { plan.rule(FaultRule::crash("clerk").at(1)) } else { plan };
        let journal = MemoryJournal::new();
        let runtime = Runtime::builder().seed(7).journal(journal.clone()).faults(plan.clone());
        let runtime = runtime.start().await.expect("a runtime starts");
        let call = ToolCall { id: "1".into(), name: "look".into(), arguments: json!({}) };
        let model = ScriptedModel::answering(move |_| ChatReply::calls([call.clone()]));
        let (model, calls) = (model.clone(), model.calls());
        let agent = runtime.agent("clerk").model(model).tool(ScriptedTool::echo("look"));
        let agent = agent.budget(Budget { model_calls_max: 1, ..Budget::default() }).build();
        let run = agent.expect("complete").start("go").await.expect("it starts");
        let failure = run.outcome().await.expect_err("it has no answer");
        assert_eq!(failure.limit, Some(Limit::ModelCalls), "{failure:?}");
        let mut stored = Usage::default();
        let events = journal.load(&StreamId::root(run.id())).await.expect("memory answers");
        events.iter().for_each(|recorded| recorded.event.spend(&mut stored));
        let of_account: u64 = run.spending().iter().map(|spent| spent.usage.model_calls).sum();
        let told = [failure.usage.model_calls, stored.model_calls, of_account];
        assert_eq!((told, calls.n_begun()), ([1; 3], 1), "{crashes}");
        plan.assert_every_rule_struck();
        end(runtime).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_spent_is_told_by_agent_and_model() {
    let runtime = runtime().await;
    let (model, _) = spender();
    let (writer, _) = spender();
    let team = runtime.team().model(model.named("small").priced(price()));
    let team = team.role_model("answer", writer.named("large")).source(docs());
    let run = team.start().await.expect("it starts").ask("Why?").await.expect("accepted");
    let outcome = run.outcome().await;
    let told = run.spending();
    let of = |agent: &str| told.iter().find(|spent| spent.agent.as_str() == agent).expect(agent);
    assert_eq!((of("planner").model.as_str(), of("planner").usage.cost), ("small", Some(cents(2))));
    let writer = of("writer");
    assert_eq!((writer.model.as_str(), writer.usage.cost), ("large", None));
    assert!(writer.usage.tokens() > 0);
    assert!(
        told.iter().filter(|spent| spent.agent.as_str().starts_with("research-t")).count() == 8
    );
    // The journal tells the same as the account.
    assert_eq!(spent(&run).tokens(), outcome.usage.tokens());
    assert_eq!(spent(&run).cost, outcome.usage.cost);
    end(runtime).await;
}

/// What the library says.
const LARGE: &str = "The default capacity of a mailbox is 64 messages.";

/// A corpus of one text with vectors, and the directory that it is in.
async fn library(embedding: Embedding) -> (tempfile::TempDir, Corpus) {
    let dir = tempfile::TempDir::new().expect("a directory");
    std::fs::write(dir.path().join("mailbox.md"), LARGE).expect("it can be written");
    let options = CorpusOptions::new([dir.path()]).embedding(embedding);
    let corpus = Corpus::open(options).await.expect("it opens");
    (dir, corpus)
}

#[tokio::test(start_paused = true)]
async fn the_vectors_of_questions_are_paid_for_by_the_run_that_asks() {
    let runtime = runtime().await;
    let (_dir, corpus) = library(Embedding::new(HashedEmbedder::new("e").price(price()))).await;
    let team = runtime.team().model(Extractive::new()).source(corpus.clone()).start().await;
    let run = team.expect("it starts").ask("How large is a mailbox?").await.expect("accepted");
    let outcome = run.outcome().await;
    let told = run.spending();
    let of_embedder: Vec<_> = told.iter().filter(|spent| spent.model == "e").collect();
    let [Spent { agent, usage, .. }] = of_embedder.as_slice() else { panic!("{told:?}") };
    assert!(agent.as_str().starts_with("research-t"), "{agent}");
    assert!(usage.model_calls > 0 && usage.input_tokens > 0);
    assert_eq!(usage.cost, Some(price().cost(usage)));
    // The journal tells the same as the account, and embedding the passages was nobody's.
    assert_eq!(outcome.usage.cost, usage.cost);
    assert_eq!(spent(&run).tokens(), outcome.usage.tokens());
    assert_eq!(spent(&run).model_calls, outcome.usage.model_calls);
    assert_eq!(corpus.report().embedding_usage.model_calls, 1);
    end(runtime).await;
}

/// How a run of one question ended within a budget, how many calls of models its account has, and how often its
/// question was embedded.
async fn searched(
    embedder: HashedEmbedder,
    model: impl ChatModel,
    budget: Budget,
) -> (Outcome, u64, usize) {
    searched_with(Embedding::new(embedder.clone()), embedder, model, budget).await
}

async fn searched_with(
    embedding: Embedding,
    embedder: HashedEmbedder,
    model: impl ChatModel,
    budget: Budget,
) -> (Outcome, u64, usize) {
    let journal = MemoryJournal::new();
    let runtime = Runtime::builder().seed(7).journal(journal.clone()).start().await;
    let runtime = runtime.expect("a runtime starts");
    let (_dir, corpus) = library(embedding).await;
    let n_before = embedder.n_requests();
    let team = runtime.team().model(model).source(corpus).start().await.expect("it starts");
    let goal = Goal { budget, ..Goal::new("How large is a mailbox?") };
    let run = team.submit(goal).await.expect("accepted");
    let outcome = run.outcome().await;
    let n_calls = spent(&run).model_calls;
    let mut stored = Usage::default();
    for stream in journal.streams(run.id()).await.expect("memory answers") {
        let events = journal.load(&stream).await.expect("memory answers");
        events.iter().for_each(|recorded| recorded.event.spend(&mut stored));
    }
    assert_eq!(stored.model_calls, n_calls, "the journal tells the same as the account");
    end(runtime).await;
    (outcome, n_calls, embedder.n_requests() - n_before)
}

#[tokio::test(start_paused = true)]
async fn the_vector_of_a_question_is_reserved_before_it_is_asked_for() {
    let embedder = || HashedEmbedder::new("e").price(price());
    let all = searched(embedder(), Extractive::new(), Budget::default()).await;
    let (Outcome { status, usage, .. }, n_calls, n_embedded) = all;
    assert_eq!((usage.model_calls, n_embedded), (n_calls, 1));
    // The plan and the first turn of the research leave nothing: the search is by words alone.
    let budget = Budget { model_calls_max: 2, ..Budget::default() };
    let (_, n_made, n_embedded) = searched(embedder(), Extractive::new(), budget).await;
    assert_eq!((n_made, n_embedded), (2, 0));
    // Without a price nobody knows whether it fits.
    let budget = Budget { money_max: Some(cents(1)), ..Budget::default() };
    let (outcome, n_made, n_embedded) =
        searched(HashedEmbedder::new("e"), Extractive::new(), budget).await;
    assert_eq!((outcome.status, n_made, n_embedded), (status, n_calls - 1, 0));
    // A call counts when it begins, whatever comes of it.
    let failing = embedder().failing_after(1, ModelErrorKind::Auth);
    let (outcome, n_made, n_embedded) =
        searched(failing, Extractive::new(), Budget::default()).await;
    assert_eq!((outcome.usage.model_calls, n_made, n_embedded), (n_calls, n_calls, 1));
    // Also when nothing is found for it.
    let failing = embedder().failing_after(1, ModelErrorKind::Auth);
    let strict = Embedding::new(failing.clone()).strict();
    let (outcome, n_made, n_embedded) =
        searched_with(strict, failing, Extractive::new(), Budget::default()).await;
    assert_eq!((outcome.usage.model_calls, n_embedded), (n_made, 1));
}

/// Also when no agent asks that has a model.
#[tokio::test(start_paused = true)]
async fn a_search_that_was_planned_is_paid_for() {
    let model = ScriptedModel::answering(|request: &ChatRequest| {
        let task = PlannedTask::new("t1", "retrieval", "How large is a mailbox?");
        match &request.output {
            Some(_) => {
                ChatReply::text(serde_json::to_string(&Plan { tasks: vec![task] }).expect("JSON"))
            }
            None => ChatReply::text("Because."),
        }
    });
    let embedder = HashedEmbedder::new("e").price(price());
    let (outcome, n_calls, n_embedded) =
        searched(embedder, model.priced(Price::FREE), Budget::default()).await;
    assert_eq!((outcome.usage.model_calls, n_embedded), (n_calls, 1));
    assert!(outcome.usage.cost.is_some_and(|cost| cost > Usd::ZERO), "{:?}", outcome.usage);
}

#[tokio::test(start_paused = true)]
async fn a_price_passes_through_everything_that_surrounds_a_model() {
    let account = Governor::new(GovernorSpec::default(), Arc::new(SystemClock::new()));
    let spec = || ResilienceSpec {
        cache: Some(CacheSpec::default()),
        hedge: Some(HedgeSpec::default()),
        ..ResilienceSpec::default()
    };
    let (model, _) = spender();
    let model = Delayed::new(model.priced(price()), SECOND);
    let surrounded = resilient(model, &account, spec());
    assert_eq!(surrounded.price(), Some(price()));
    // A reply from the cache costs nothing, and that is known.
    let usage = || async {
        let reply = converse(&*surrounded, ChatRequest::default(), |_| {}).await;
        reply.expect("a reply").usage.priced(surrounded.price())
    };
    assert_eq!((usage().await.cost, usage().await.cost), (Some(cents(2)), Some(Usd::ZERO)));

    // Another model answers at its own price, and before nobody knows which will.
    let down = |_: &ChatRequest| ModelError::new(ModelErrorKind::Quota, "m", "used up");
    let first = || ScriptedModel::answering(down).priced(Price::FREE);
    let second = || spender().0;
    let spec = ResilienceSpec::default().fallback(second().priced(price()), &account);
    let both = resilient(first(), &account, spec);
    assert_eq!(both.price(), Some(price()));
    let reply = converse(&*both, ChatRequest::default(), |_| {}).await.expect("a reply");
    assert_eq!(reply.usage.cost, Some(cents(2)));
    let spec = ResilienceSpec::default().fallback(second(), &account);
    let folder = tempfile::tempdir().expect("a folder");
    let tape =
        Cassette::open(folder.path().join("tape"), CassetteMode::Record).expect("a cassette");
    assert_eq!(tape.model(second().priced(price())).price(), Some(price()));
    assert_eq!(resilient(first(), &account, spec).price(), None, "unknown is not nothing");
}

/// Also when the passages themselves are what a task asks for.
#[tokio::test(start_paused = true)]
async fn the_vector_of_a_task_is_paid_for_by_its_run_as_well() {
    let runtime = runtime().await;
    let (_dir, corpus) = library(Embedding::new(HashedEmbedder::new("e").price(price()))).await;
    let model = ScriptedModel::answering(|request: &ChatRequest| {
        let task = PlannedTask::new("t1", "retrieval", "How large is a mailbox?");
        ChatReply::text(match &request.output {
            Some(_) => serde_json::to_string(&Plan { tasks: vec![task] }).expect("JSON"),
            None => format!("{LARGE} [1]"),
        })
    });
    let team = runtime.team().model(model).source(corpus).start().await;
    let run = team.expect("it starts").ask("How large is a mailbox?").await.expect("accepted");
    let outcome = run.outcome().await;
    assert_eq!(outcome.status, Status::Completed, "{outcome:#?}");
    let told = run.spending();
    let of_embedder: Vec<_> = told.iter().filter(|spent| spent.model == "e").collect();
    let [Spent { agent, usage, .. }] = of_embedder.as_slice() else { panic!("{told:?}") };
    assert_eq!((agent.as_str(), usage.model_calls), ("retrieval", 1));
    assert_eq!(usage.cost, Some(price().cost(usage)));
    // The journal tells the same as the account.
    assert_eq!(outcome.usage.cost, usage.cost);
    assert_eq!(spent(&run).tokens(), outcome.usage.tokens());
    assert_eq!(spent(&run).model_calls, outcome.usage.model_calls);
    let stored = runtime.journal().load(&StreamId::root(run.id())).await.expect("in memory");
    let noted = stored.iter().filter_map(|recorded| match &recorded.event {
        Event::SearchSpent { call, model, usage } => Some((call.as_str(), model.as_str(), *usage)),
        _ => None,
    });
    assert_eq!(noted.collect::<Vec<_>>(), [("t1", "e", *usage)]);
    end(runtime).await;
}

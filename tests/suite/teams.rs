//! Teams: from a question to a cited answer, whatever fails on the way.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use greenroom_core::budget::{Budget, Limit};
use greenroom_core::ids::StreamId;
use greenroom_core::journal::{Event, Journal, MemoryJournal};
use greenroom_core::model::{ChatEvent, ChatModel, ChatReply, ChatRequest};
use greenroom_core::report::{Goal, Outcome, Report, Status, TaskFailureKind};
use greenroom_core::retriever::RetrieveErrorKind;
use greenroom_core::router;
use greenroom_core::time::Timestamp;
use greenroom_core::tool::{DynTool, EffectClass};
use greenroom_models::Extractive;
use greenroom_runtime::{Run, RunEvent, Runtime, SystemClock, Team};
use greenroom_testkit::{Calls, ScriptedModel, ScriptedRetriever, ScriptedTool, passage};
use greenroom_tools::CalculateTool;
use tokio::time::Instant;

use crate::support::{end, runtime};

pub(crate) const QUESTION: &str =
    "What is the default capacity of a mailbox, and what is 12% of 64?";
pub(crate) const ANSWER: &str =
    "The default capacity of a mailbox is 64 messages. [1]\n\n12% of 64 = 7.68";

/// The offline model, answering after a second and counting its calls.
fn model() -> (ScriptedModel, Calls<ChatRequest>) {
    let model = ScriptedModel::answering(extract).latency(Duration::from_secs(1));
    let calls = model.calls();
    (model, calls)
}

pub(crate) fn extract(request: &ChatRequest) -> ChatReply {
    let events = Extractive::new().stream(request.clone()).collect::<Vec<_>>();
    let events = events.now_or_never().expect("the offline model never waits");
    match events.into_iter().last() {
        Some(Ok(ChatEvent::Finished(reply))) => reply,
        other => panic!("not a reply: {other:?}"),
    }
}

pub(crate) fn docs() -> ScriptedRetriever {
    let text = "A mailbox is bounded.\nThe default capacity of a mailbox is 64 messages.";
    ScriptedRetriever::new("docs").on("mailbox", [passage("docs/mailbox.md", 1, text)])
}

pub(crate) fn calculator() -> [Arc<dyn DynTool>; 1] {
    [Arc::new(CalculateTool)]
}

async fn team(runtime: &Runtime) -> (Team, Calls<ChatRequest>) {
    let (model, calls) = model();
    let team = runtime.team().model(model).source(docs()).tools(calculator()).start().await;
    (team.expect("the team starts"), calls)
}

async fn ask(team: &Team, question: &str) -> Outcome {
    team.ask(question).await.expect("accepted").outcome().await
}

/// Servers do their work in tasks, which move between threads.
#[tokio::test(start_paused = true)]
async fn whatever_is_awaited_of_a_runtime_can_be_awaited_in_a_task() {
    fn movable<T: Send>(future: T) -> T {
        future
    }
    let runtime = movable(Runtime::builder().seed(7).start()).await.expect("a runtime starts");
    let team = runtime
        .team()
        .model(Extractive::new())
        .source(docs())
        .tools([Arc::new(CalculateTool) as Arc<dyn DynTool>]);
    let team = movable(team.start()).await.expect("it starts");
    let run = movable(team.submit(Goal::new(QUESTION))).await.expect("it starts");
    assert_eq!(movable(run.outcome()).await.status, Status::Completed);
    let agent = runtime.agent("clerk").model(Extractive::new()).tool(CalculateTool);
    let agent = agent.build().expect("complete");
    let mut run = movable(agent.start("What is 12% of 64?")).await.expect("it starts");
    while movable(run.next_event()).await.is_some() {}
    movable(agent.run("What is 12% of 64?")).await.expect("an answer");
    movable(runtime.drain(Duration::ZERO)).await;
    movable(runtime.shutdown()).await;
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_question_gets_a_cited_answer_from_several_agents() {
    let runtime = runtime().await;
    let (team, calls) = team(&runtime).await;
    let outcome = ask(&team, QUESTION).await;
    assert_eq!((outcome.status, outcome.answer.as_str()), (Status::Completed, ANSWER));
    let citation = &outcome.citations[0];
    assert_eq!(
        (citation.source.as_str(), citation.start_line, citation.end_line),
        ("docs/mailbox.md", 2, 2)
    );
    assert_eq!(citation.quote, "The default capacity of a mailbox is 64 messages.");
    assert_eq!(outcome.usage.model_calls, calls.n_begun() as u64);
    assert_eq!(outcome.usage.tool_calls, 2, "one search, one calculation");
    end(runtime).await;
}

/// Crashes an agent when `is_due` says so, and lets the run finish.
async fn with_a_crash(
    run: &mut Run<Outcome>,
    is_due: impl Fn(&RunEvent) -> Option<String>,
) -> Vec<RunEvent> {
    let (mut events, mut crashed) = (Vec::new(), false);
    while let Some(event) = run.next_event().await {
        if let Some(agent) = is_due(&event).filter(|_| !crashed) {
            crashed = run.crash_on_purpose(&agent.into());
            assert!(crashed, "there is somebody to crash");
        }
        events.push(event);
    }
    assert!(crashed, "the crash was due");
    events
}

/// Whoever crashes whenever, the outcome is the same and no model call whose result was there is made
/// again: at most the one call in flight is.
#[tokio::test(start_paused = true)]
async fn every_agent_can_crash_at_every_step_without_changing_the_outcome() {
    let steps = ["turn 1", "search", "turn 2"];
    let agents = ["planner", "research-t1", "writer"];
    let mut n_crashes = 0;
    for agent in agents {
        for step in steps.iter().take(if agent == "research-t1" { 3 } else { 1 }) {
            let runtime = runtime().await;
            let (team, calls) = team(&runtime).await;
            let mut run = team.ask(QUESTION).await.expect("accepted");
            let events = with_a_crash(&mut run, |event| match event {
                RunEvent::Step { agent: by, step: taken }
                    if by.as_str() == agent && taken.starts_with(step) =>
                {
                    Some(agent.to_owned())
                }
                _ => None,
            })
            .await;
            let outcome = run.outcome().await;
            assert_eq!(outcome.status, Status::Completed, "{agent} at {step}: {events:#?}");
            assert_eq!(outcome.answer, ANSWER, "{agent} at {step}");
            assert!(calls.n_begun() <= 5, "{agent} at {step}: {} calls", calls.n_begun());
            let restarted = run.agents().into_iter().find(|info| info.id.as_str() == agent);
            assert_eq!(restarted.expect("it took part").n_restarts(), 1);
            n_crashes += 1;
            end(runtime).await;
        }
    }
    assert_eq!(n_crashes, 5);
}

#[tokio::test(start_paused = true)]
async fn a_crashed_router_goes_on_and_its_agents_do_not_start_over() {
    let runtime = runtime().await;
    let (team, calls) = team(&runtime).await;
    let mut run = team.ask(QUESTION).await.expect("accepted");
    let events = with_a_crash(&mut run, |event| match event {
        RunEvent::Step { agent, .. } if agent.as_str() == "research-t1" => Some("router".into()),
        _ => None,
    })
    .await;
    let outcome = run.outcome().await;
    assert_eq!((outcome.status, outcome.answer.as_str()), (Status::Completed, ANSWER));
    assert_eq!(calls.n_begun(), 4, "no model call was repeated: {events:#?}");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_restarted_agent_keeps_is_told() {
    let runtime = runtime().await;
    let (team, _) = team(&runtime).await;
    let mut run = team.ask("What is the default capacity of a mailbox?").await.expect("accepted");
    let events = with_a_crash(&mut run, |event| match event {
        RunEvent::Step { agent, step } if step.starts_with("turn 2") => Some(agent.to_string()),
        _ => None,
    })
    .await;
    let resumed = events.iter().find_map(|event| match event {
        RunEvent::AgentResumed { n_calls_kept, n_calls_open, .. } => {
            Some((*n_calls_kept, *n_calls_open))
        }
        _ => None,
    });
    assert_eq!(resumed, Some((2, 1)), "one model call and one search kept, one call open");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn sup_k05_a_run_that_crashes_again_and_again_ends_and_harms_no_other() {
    let runtime = runtime().await;
    let (team, _) = team(&runtime).await;
    let mut doomed = team.ask(QUESTION).await.expect("accepted");
    let healthy = team.ask(QUESTION).await.expect("accepted");
    while let Some(event) = doomed.next_event().await {
        if let RunEvent::AgentStarted { agent, .. } = &event
            && agent.as_str() == "router"
        {
            let _ = doomed.crash_on_purpose(agent);
        }
    }
    let outcome = doomed.outcome().await;
    assert_eq!(outcome.status, Status::Failed);
    assert_eq!(outcome.failure.map(|failure| failure.kind), Some(TaskFailureKind::AgentLost));
    assert_eq!(healthy.outcome().await.answer, ANSWER);
    assert_eq!(ask(&team, QUESTION).await.answer, ANSWER, "and new ones are served");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn the_outcome_is_a_fold_of_the_journal() {
    let runtime = runtime().await;
    let (team, _) = team(&runtime).await;
    let run = team.ask(QUESTION).await.expect("accepted");
    let outcome = run.outcome().await;
    let events = runtime.journal().load(&StreamId::root(run.id())).await.expect("it is there");
    let mut machine = router::Machine::new(Arc::new(router::RouterSpec::new([])));
    for recorded in &events {
        machine.apply(&recorded.event);
    }
    assert_eq!(machine.outcome(), Some(&outcome));
    assert_eq!(machine.goal().map(|goal| goal.question.as_str()), Some(QUESTION));
    end(runtime).await;
}

/// Everything that a run writes, as JSON.
async fn journal_of_a_run() -> String {
    let journal = MemoryJournal::new();
    let runtime = Runtime::builder()
        .seed(42)
        .journal(journal.clone())
        .clock(SystemClock::starting_at(Timestamp::from_millis(1_000)))
        .start()
        .await
        .expect("a runtime starts");
    let (team, _) = team(&runtime).await;
    let run = team.ask(QUESTION).await.expect("accepted");
    run.outcome().await;
    let mut written = String::new();
    for stream in journal.streams(run.id()).await.expect("in memory") {
        let events = journal.load(&stream).await.expect("in memory");
        written += &format!("{stream}\n{}\n", serde_json::to_string(&events).expect("JSON"));
    }
    end(runtime).await;
    written
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_and_script_write_the_same_journal() {
    let first = journal_of_a_run().await;
    assert!(first.contains("task_assigned") && first.contains("model_replied"), "{first}");
    assert_eq!(first, journal_of_a_run().await);
}

#[tokio::test(start_paused = true)]
async fn several_sources_are_asked_at_once_and_a_broken_one_costs_nothing() {
    let runtime = runtime().await;
    let text = "The default capacity of a mailbox is 64 messages.";
    let slow = |name: &str| {
        let found = [passage(format!("{name}.md"), 1, text)];
        ScriptedRetriever::new(name).on("mailbox", found).delay(Duration::from_secs(3))
    };
    let broken = ScriptedRetriever::new("broken").failing(RetrieveErrorKind::Unavailable);
    let hanging = ScriptedRetriever::new("hanging").hanging();
    let (model, _) = model();
    let team = runtime
        .team()
        .model(model)
        .source(slow("a"))
        .source(slow("b"))
        .source(broken)
        .source(hanging)
        .tool_timeout(Duration::from_secs(4))
        .start()
        .await
        .expect("the team starts");
    let started = Instant::now();
    let outcome = ask(&team, "What is the default capacity of a mailbox?").await;
    assert!(outcome.answer.starts_with(text), "{}", outcome.answer);
    let mut sources: Vec<_> = outcome.passages.iter().map(|p| p.source.as_str()).collect();
    sources.sort_unstable();
    assert_eq!(sources, ["a.md", "b.md"]);
    let n_searches = u32::try_from(outcome.usage.tool_calls).expect("few");
    assert_eq!(
        started.elapsed().as_secs(),
        4 + u64::from(4 * n_searches) + u64::from(n_searches - 1),
        "the sources wait side by side, each at most four seconds"
    );
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn subsystems_start_side_by_side_and_a_failing_one_is_named() {
    let runtime = runtime().await;
    let started = Instant::now();
    let open = |name: &'static str| async move {
        tokio::time::sleep(Duration::from_secs(3)).await;
        Ok::<_, std::io::Error>(ScriptedRetriever::new(name))
    };
    let team = runtime.team().model(Extractive::new());
    let team = team.source_when("a", open("a")).source_when("b", open("b"));
    team.start().await.expect("both start");
    assert_eq!(started.elapsed(), Duration::from_secs(3));

    let fail = async { Err::<ScriptedRetriever, _>(std::io::Error::other("disk on fire")) };
    let team = runtime.team().model(Extractive::new()).source_when("archive", fail);
    let error = team.start().await.expect_err("it does not start");
    assert_eq!(error.subsystem, "source archive");
    assert_eq!(error.cause.to_string(), "disk on fire");
    end(runtime).await;
}

/// What a search had to do without is shown to those who watch.
#[tokio::test(start_paused = true)]
async fn a_task_for_sources_of_which_some_are_there_says_which_are_not() {
    let runtime = runtime().await;
    let plan = r#"{"tasks":[{"id":"t1","to":"retrieval","question":"a mailbox"}]}"#;
    let model = ScriptedModel::answering(move |_| ChatReply::text(plan));
    let broken = ScriptedRetriever::new("broken").failing(RetrieveErrorKind::Unavailable);
    let team = runtime.team().model(model).source(docs()).source(broken).start().await;
    let mut run = team.expect("it starts").ask("Why?").await.expect("accepted");
    let mut told = Vec::new();
    while let Some(event) = run.next_event().await {
        match event {
            RunEvent::Step { agent, step } if agent.as_str() == "retrieval" => told.push(step),
            _ => {}
        }
    }
    assert!(matches!(&told[..], [step] if step.starts_with("without source broken")), "{told:?}");
    assert_eq!(run.outcome().await.passages.len(), 1);
    end(runtime).await;
}

/// A search that could not be made is not one that found nothing.
#[tokio::test(start_paused = true)]
async fn a_task_for_sources_that_cannot_be_asked_fails_and_says_why() {
    use RetrieveErrorKind::{Timeout, Unavailable};
    // One that did not answer in time is asked once more.
    let kinds = [(Unavailable, TaskFailureKind::Tool, 1), (Timeout, TaskFailureKind::TimedOut, 2)];
    for (kind, expect, n_tries) in kinds {
        let runtime = runtime().await;
        let plan = r#"{"tasks":[{"id":"t1","to":"retrieval","question":"Why?"}]}"#;
        let model = ScriptedModel::answering(move |_| ChatReply::text(plan));
        let broken = ScriptedRetriever::new("broken").failing(kind);
        let searches = broken.calls();
        let team = runtime.team().model(model).source(broken).start().await.expect("it starts");
        let outcome = ask(&team, "Why?").await;
        let failure = outcome.failure.expect("there is no evidence");
        assert_eq!((outcome.status, failure.kind), (Status::Failed, expect));
        assert!(failure.message.contains("broken"), "{failure}");
        assert_eq!(searches.n_begun(), n_tries);
        end(runtime).await;
    }
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_the_answer_is_made_of_what_is_there() {
    let runtime = runtime().await;
    let (model, _) = model();
    let hanging = ScriptedRetriever::new("docs").hanging();
    let team = runtime.team().model(model).source(hanging).tools(calculator());
    let team = team.start().await.expect("the team starts");
    let budget = Budget { wall_max: Duration::from_secs(20), ..Budget::default() };
    let goal = Goal { budget, ..Goal::new(QUESTION) };
    let started = Instant::now();
    let outcome = team.submit(goal).await.expect("accepted").outcome().await;
    assert_eq!((outcome.status, outcome.limit), (Status::Partial, Some(Limit::Deadline)));
    assert!(outcome.answer.contains("12% of 64 = 7.68"), "{}", outcome.answer);
    assert!(outcome.missing.iter().any(|gap| gap.question.contains("mailbox")), "{outcome:#?}");
    assert_eq!(
        started.elapsed(),
        Duration::from_secs(17),
        "four fifths of 20 s, and a second to write"
    );
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_never_outlives_its_deadline() {
    let runtime = runtime().await;
    let (quick, _) = model();
    let slow = ScriptedModel::answering(extract).latency(Duration::from_secs(3600));
    let team = runtime.team().model(quick).role_model("answer", slow).source(docs());
    let team = team.tools(calculator()).start().await.expect("the team starts");
    let budget = Budget { wall_max: Duration::from_secs(20), ..Budget::default() };
    let started = Instant::now();
    let goal = Goal { budget, ..Goal::new(QUESTION) };
    let outcome = team.submit(goal).await.expect("accepted").outcome().await;
    assert_eq!((outcome.status, outcome.limit), (Status::Partial, Some(Limit::Deadline)));
    assert!(outcome.answer.contains("7.68"), "the findings stand for it: {}", outcome.answer);
    assert_eq!(started.elapsed(), Duration::from_secs(20));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn cancelling_a_run_ends_its_agents_and_their_calls() {
    let runtime = runtime().await;
    let (team, calls) = team(&runtime).await;
    let run = team.ask(QUESTION).await.expect("accepted");
    calls.until_begun(2).await;
    assert_eq!(calls.n_in_flight(), 1, "research is asking its model");
    let started = Instant::now();
    run.cancel();
    assert_eq!(run.outcome().await.status, Status::Cancelled);
    while calls.n_in_flight() > 0 {
        assert!(started.elapsed() < Duration::from_millis(100), "the call goes on");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_budget_ends_a_run_with_what_is_there() {
    let runtime = runtime().await;
    let (team, calls) = team(&runtime).await;
    let budget = Budget { model_calls_max: 2, ..Budget::default() };
    let outcome = team.submit(Goal { budget, ..Goal::new(QUESTION) }).await.expect("accepted");
    let outcome = outcome.outcome().await;
    assert_eq!(outcome.status, Status::Partial, "{outcome:#?}");
    assert_eq!(outcome.limit, Some(Limit::ModelCalls));
    assert!(outcome.answer.contains("7.68"), "{}", outcome.answer);
    assert_eq!(calls.n_begun(), 2, "not one call more");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_panics_fails_its_own_task_and_no_other() {
    let runtime = runtime().await;
    let (model, _) = model();
    let broken = ScriptedTool::panicking("calculate", "bug").effect(EffectClass::ReadOnly);
    let tools = [Arc::new(broken) as Arc<dyn DynTool>];
    let team = runtime.team().model(model).source(docs()).tools(tools);
    let team = team.start().await.expect("the team starts");
    let outcome = ask(&team, QUESTION).await;
    assert_eq!(outcome.status, Status::Partial);
    assert!(outcome.answer.starts_with("The default capacity of a mailbox is 64"));
    assert!(outcome.missing.iter().any(|gap| gap.why.contains("panicked")), "{outcome:#?}");
    let tools = team.agents().into_iter().find(|info| info.id.as_str() == "tools");
    assert_eq!(tools.expect("it lives").n_restarts(), 0);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_task_uses_what_another_one_found() {
    let runtime = runtime().await;
    let (team, _) = team(&runtime).await;
    let run =
        team.ask("What is 4 times the default capacity of a mailbox?").await.expect("accepted");
    let outcome = run.outcome().await;
    assert!(outcome.answer.contains("256"), "{outcome:#?}");
    let events = runtime.journal().load(&StreamId::root(run.id())).await.expect("in memory");
    let assigned = events.iter().filter_map(|recorded| match &recorded.event {
        Event::TaskAssigned { task, .. } => Some((task.id.as_str(), task.to.as_str())),
        _ => None,
    });
    let assigned: Vec<_> = assigned.collect();
    assert_eq!(
        assigned,
        [("plan", "plan"), ("t1", "research"), ("t2", "tools"), ("answer", "answer")]
    );
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_question_that_the_sources_do_not_answer_is_said_to_be_missing() {
    let runtime = runtime().await;
    let (team, _) = team(&runtime).await;
    let outcome = ask(&team, "Who won the football match in Lisbon?").await;
    assert_eq!(outcome.status, Status::Partial);
    assert_eq!(outcome.citations, []);
    assert_eq!(outcome.missing.len(), 1, "{outcome:#?}");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_empty_question_is_refused_before_anything_is_journalled() {
    let journal = MemoryJournal::new();
    let runtime = Runtime::builder().journal(journal.clone()).start().await.expect("it starts");
    let (team, _) = team(&runtime).await;
    assert_eq!(
        team.ask(" \n").await.expect_err("refused"),
        greenroom_runtime::RunError::EmptyQuestion
    );
    assert_eq!(journal.n_events(), 0);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_specialist_is_given_tasks_and_its_report_is_used() {
    struct Weather;
    impl greenroom_runtime::Actor for Weather {
        type Message = greenroom_runtime::Task;

        fn handle(
            &mut self,
            task: &greenroom_runtime::Task,
            _context: &mut greenroom_runtime::Context<'_, Self>,
        ) -> Result<(), greenroom_runtime::Failure> {
            let report = Report::text("The weather in Lisbon is sunny.");
            assert!(task.reply.send(Ok(report)).is_ok(), "somebody waits");
            Ok(())
        }
    }
    let runtime = runtime().await;
    let weather = runtime.spawn("weather", || Weather).await.expect("it starts");
    let (model, _) = model();
    let team = runtime.team().model(model).source(docs());
    let team = team.specialist("weather", "Knows the weather of cities.", &weather, |task| task);
    let team = team.start().await.expect("the team starts");
    let outcome = ask(&team, "What is the weather in Lisbon?").await;
    assert_eq!(outcome.answer, "The weather in Lisbon is sunny.", "{outcome:#?}");
    assert_eq!(outcome.status, Status::Completed);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn two_hundred_runs_at_once_all_finish() {
    let runtime = runtime().await;
    let (team, calls) = team(&runtime).await;
    let runs = (0..200).map(|_| ask(&team, QUESTION));
    let outcomes = futures_util::future::join_all(runs).await;
    assert!(outcomes.iter().all(|outcome| outcome.answer == ANSWER));
    assert_eq!(calls.n_begun(), 800);
    end(runtime).await;
}

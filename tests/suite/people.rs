//! People and runs: approvals, calls in doubt, messages, pauses, cancellation; in one process and across
//! several.

use std::time::Duration;

use greenroom_core::approval::{AnswerRefusal, Ask, Decision, InDoubt, PendingCall};
use greenroom_core::budget::{Budget, Limit};
use greenroom_core::ids::RunId;
use greenroom_core::journal::MemoryJournal;
use greenroom_core::message::{Message, ToolOutcome};
use greenroom_core::model::{ChatReply, ChatRequest};
use greenroom_core::report::TaskFailureKind;
use greenroom_core::tool::{Approval, FnTool, ToolContext, tool_with};
use greenroom_runtime::{Agent, AgentOutcome, ControlError, Run, Runtime};
use greenroom_testkit::{Calls, ScriptedModel, ScriptedReply, ScriptedTool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;

use crate::recovery::{call, n_replies, process, recover, runtime, unfinished};

mod asleep;
mod paused;
mod room;

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
struct Payment {
    n: u64,
}

/// What is outside of the processes: a model that thinks for a second, what was paid, and what was looked at.
struct World {
    journal: MemoryJournal,
    model: ScriptedModel,
    paid: ScriptedTool,
    looked: ScriptedTool,
    in_doubt: InDoubt,
}

impl World {
    /// The model calls tools in its first turn, and then says what the outcomes were.
    fn new(calls: &'static [(&'static str, u64)]) -> Self {
        let model = ScriptedModel::answering(move |request: &ChatRequest| {
            match n_replies(&request.messages) {
                0 => ChatReply::calls(calls.iter().map(|(name, n)| call(name, *n))),
                _ => ChatReply::text(outcomes(&request.messages)),
            }
        });
        let model = model.latency(Duration::from_secs(1));
        let (paid, looked) = (ScriptedTool::echo("paid"), ScriptedTool::echo("look"));
        Self { journal: MemoryJournal::new(), model, paid, looked, in_doubt: InDoubt::TellModel }
    }

    fn n_paid(&self) -> usize {
        self.paid.calls().n_begun()
    }

    /// A tool that pays, which takes two seconds and needs approval.
    fn pay(
        &self,
    ) -> FnTool<Payment, impl Fn(Payment, ToolContext) -> Paid + Send + Sync + 'static> {
        let paid = self.paid.clone();
        tool_with("pay", "Pays.", move |payment: Payment, context| -> Paid {
            let paid = paid.clone();
            Box::pin(async move {
                use greenroom_core::tool::DynTool;
                let output = paid.call_json(json!({ "n": payment.n }), context).await;
                tokio::time::sleep(Duration::from_secs(2)).await;
                output
            })
        })
    }

    fn agent(&self, runtime: &Runtime) -> Agent {
        self.agent_with(runtime, Approval::always())
    }

    fn agent_with(&self, runtime: &Runtime, approval: Approval) -> Agent {
        let agent = runtime.agent("clerk").model(self.model.clone()).in_doubt(self.in_doubt);
        let agent = agent.tool(self.pay().approval(approval)).tool(self.looked.clone());
        agent.build().expect("complete")
    }

    /// A process in which the run is recovered.
    fn next<T>(&self, n_life: u64, life: impl AsyncFnOnce(&Runtime, Run<AgentOutcome>) -> T) -> T {
        let run = unfinished(&self.journal)[0];
        process(async {
            let runtime = runtime(self.journal.clone(), n_life, 100 * n_life).await;
            let agent = self.agent(&runtime);
            recover(&runtime).await;
            let run = agent.attach(run).await.expect("memory answers").expect("it is known");
            life(&runtime, run).await
        })
    }
}

type Paid =
    greenroom_core::BoxFuture<'static, Result<serde_json::Value, greenroom_core::tool::ToolError>>;

/// The outcomes of tools in a conversation, as words.
fn outcomes(messages: &[Message]) -> String {
    let words = messages.iter().filter_map(|message| match message {
        Message::Tool { outcome: ToolOutcome::Ok(value), .. } => Some(value["n"].to_string()),
        Message::Tool { outcome: ToolOutcome::Error(error), .. } => Some(error.kind.to_string()),
        _ => None,
    });
    words.collect::<Vec<_>>().join(", ")
}

async fn text(run: &Run<AgentOutcome>) -> String {
    run.outcome().await.expect("an answer").text
}

/// Waits until calls wait for a person.
async fn pending(runtime: &Runtime, run: RunId) -> Vec<PendingCall> {
    for _ in 0..100 {
        let pending = runtime.pending(run).await.expect("memory answers");
        if !pending.is_empty() {
            return pending;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nothing waits for a person");
}

fn refused(refusal: AnswerRefusal) -> Result<(), ControlError> {
    Err(ControlError::Refused(refusal))
}

#[test]
fn a_call_waits_for_its_approval_and_its_siblings_do_not() {
    let world = World::new(&[("pay", 1), ("look", 2), ("pay", 3)]);
    process(async {
        let runtime = runtime(world.journal.clone(), 1, 0).await;
        let run = world.agent(&runtime).start("go").await.expect("accepted");
        let waiting = pending(&runtime, run.id()).await;
        assert_eq!(waiting.len(), 2, "each waits for itself");
        assert_eq!(waiting[0].shown(), r#"pay {"n":1}"#);
        assert_eq!((waiting[0].ask, waiting[0].run()), (Ask::Approval, Some(run.id())));
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        assert_eq!((world.n_paid(), world.looked.calls().n_begun()), (0, 1), "a look is free");
        assert_eq!(runtime.approve(&waiting[0], "ann").await, Ok(()));
        assert_eq!(runtime.deny(&waiting[1], "too much", "ann").await, Ok(()));
        assert_eq!(text(&run).await, "1, 2, denied");
        assert_eq!(world.n_paid(), 1);
        runtime.shutdown().await;
    });
}

/// SEC-E, through the whole runtime: bound to the exact call and arguments, single-use, with an end.
#[test]
fn sec_e_an_answer_counts_for_what_was_asked_once_and_in_time() {
    let world = World::new(&[("pay", 1), ("pay", 2)]);
    process(async {
        let runtime = runtime(world.journal.clone(), 1, 0).await;
        let approval = Approval::always().expires_in(Duration::from_secs(60));
        let run = world.agent_with(&runtime, approval).start("go").await.expect("accepted");
        let [first, second] = &pending(&runtime, run.id()).await[..] else { panic!("two wait") };
        // Other arguments, another tool, another call with these arguments, a longer time.
        let mut others = [first.clone(), first.clone(), first.clone(), first.clone()];
        others[0].arguments = json!({ "n": 1_000_000 });
        others[1].tool = "look".into();
        others[2].call = second.call.clone();
        others[3].expires_at = first.expires_at.after(Duration::from_secs(1));
        for other in &others {
            assert_eq!(runtime.approve(other, "eve").await, refused(AnswerRefusal::Changed));
        }
        let output = Decision::Output { output: json!({ "n": 7 }) };
        assert_eq!(runtime.answer(first, output, "eve").await, refused(AnswerRefusal::Unfit));
        // Two approvers race: one of them counts.
        let (one, two) =
            tokio::join!(runtime.approve(first, "ann"), runtime.deny(first, "no", "bob"));
        assert_eq!((one, two), (Ok(()), refused(AnswerRefusal::NotPending)));
        assert_eq!(runtime.approve(first, "eve").await, refused(AnswerRefusal::NotPending));
        tokio::time::sleep(Duration::from_millis(60_500)).await;
        assert_eq!(runtime.approve(second, "ann").await, refused(AnswerRefusal::NotPending));
        assert_eq!(text(&run).await, "1, denied");
        assert_eq!(runtime.approve(second, "ann").await, Err(ControlError::Over));
        assert_eq!(world.n_paid(), 1);
        runtime.shutdown().await;
    });
}

/// U04: an answer costs no model call, however many processes it took.
#[test]
fn u04_a_waiting_call_survives_processes_and_is_made_once_it_is_approved() {
    let world = World::new(&[("pay", 1)]);
    let asked = process(async {
        let runtime = runtime(world.journal.clone(), 1, 0).await;
        let run = world.agent(&runtime).start("go").await.expect("accepted");
        pending(&runtime, run.id()).await.remove(0)
    });
    // Ten processes die while it waits: waiting kills nobody.
    for n_life in 2..12 {
        world.next(n_life, async |runtime, run| {
            assert_eq!(pending(runtime, run.id()).await, std::slice::from_ref(&asked));
            tokio::time::sleep(Duration::from_secs(60)).await;
        });
    }
    assert_eq!((world.n_paid(), world.model.calls().n_begun()), (0, 1));
    world.next(12, async |runtime, run| {
        assert_eq!(runtime.approve(&asked, "ann").await, Ok(()));
        assert_eq!(text(&run).await, "1");
        runtime.shutdown().await;
    });
    assert_eq!((world.n_paid(), world.model.calls().n_begun()), (1, 2));
}

#[test]
fn a_run_that_nobody_has_at_work_is_answered_in_the_journal() {
    let world = World::new(&[("pay", 1)]);
    let asked = process(async {
        let runtime = runtime(world.journal.clone(), 1, 0).await;
        let run = world.agent(&runtime).start("go").await.expect("accepted");
        pending(&runtime, run.id()).await.remove(0)
    });
    // A day later an answer counts no more.
    process(async {
        let runtime = runtime(world.journal.clone(), 2, 86_400 + 60).await;
        assert_eq!(runtime.approve(&asked, "ann").await, refused(AnswerRefusal::Expired));
        runtime.shutdown().await;
    });
    // A process that has no such agent: the command line, for example.
    process(async {
        let runtime = runtime(world.journal.clone(), 2, 10).await;
        let run = asked.run().expect("it is of a run");
        assert_eq!(runtime.pending(run).await, Ok(vec![asked.clone()]));
        assert_eq!(runtime.pending(RunId::from_bits(1)).await, Err(ControlError::Unknown));
        assert_eq!(runtime.approve(&asked, "ann").await, Ok(()));
        assert_eq!(runtime.approve(&asked, "bob").await, refused(AnswerRefusal::NotPending));
        runtime.shutdown().await;
    });
    world.next(3, async |runtime, run| {
        assert_eq!(text(&run).await, "1");
        runtime.shutdown().await;
    });
    assert_eq!(world.n_paid(), 1);
}

#[test]
fn a_question_expires_although_its_process_died() {
    let world = World::new(&[("pay", 1)]);
    let asked = process(async {
        let runtime = runtime(world.journal.clone(), 1, 0).await;
        let run = world.agent(&runtime).start("go").await.expect("accepted");
        pending(&runtime, run.id()).await.remove(0)
    });
    // A day later less a minute.
    let n_life = 24 * 36;
    world.next(n_life - 1, async |runtime, run| {
        let begun = Instant::now();
        assert_eq!(text(&run).await, "denied");
        assert!(begun.elapsed() < Duration::from_secs(200), "{:?}", begun.elapsed());
        assert_eq!(runtime.approve(&asked, "ann").await, Err(ControlError::Over));
        runtime.shutdown().await;
    });
    assert_eq!(world.n_paid(), 0);
}

/// U23 and I3: a call that was approved and cut off is in doubt, and the approval makes it no second time.
#[test]
fn u23_an_approval_is_used_up_by_the_call_that_it_was_for() {
    for in_doubt in [InDoubt::TellModel, InDoubt::AskPerson] {
        let world = World { in_doubt, ..World::new(&[("pay", 1)]) };
        process(async {
            let runtime = runtime(world.journal.clone(), 1, 0).await;
            let run = world.agent(&runtime).start("go").await.expect("accepted");
            let asked = pending(&runtime, run.id()).await.remove(0);
            assert_eq!(runtime.approve(&asked, "ann").await, Ok(()));
            // The process dies while it pays.
            tokio::time::sleep(Duration::from_secs(1)).await;
        });
        let said = world.next(2, async |runtime, run| {
            if in_doubt == InDoubt::AskPerson {
                let asked = pending(runtime, run.id()).await.remove(0);
                assert_eq!(asked.ask, Ask::InDoubt);
                tokio::time::sleep(Duration::from_secs(60)).await;
                let output = Decision::Output { output: json!({ "n": 5 }) };
                assert_eq!(runtime.answer(&asked, output, "ann").await, Ok(()));
            }
            let said = text(&run).await;
            runtime.shutdown().await;
            said
        });
        let expect = if in_doubt == InDoubt::AskPerson { "5" } else { "in doubt" };
        assert_eq!((said.as_str(), world.n_paid()), (expect, 1));
    }
}

#[test]
fn a_deadline_waits_along_with_an_agent_that_waits_for_a_person() {
    let world = World::new(&[("pay", 1)]);
    process(async {
        let runtime = runtime(world.journal.clone(), 1, 0).await;
        let run = world.agent(&runtime).start("go").await.expect("accepted");
        let asked = pending(&runtime, run.id()).await.remove(0);
        // The run has ten minutes, and spends three hours waiting.
        tokio::time::sleep(Duration::from_secs(3 * 3_600)).await;
        assert_eq!(runtime.approve(&asked, "ann").await, Ok(()));
        assert_eq!(text(&run).await, "1");
        runtime.shutdown().await;
    });
}

/// … and counts again once the agent has its answer: this model is silent from then on.
#[test]
fn a_deadline_counts_again_once_a_person_has_answered() {
    let world = World::new(&[]);
    let model = ScriptedModel::answering(|request| match n_replies(&request.messages) {
        0 => ChatReply::calls([call("pay", 1)]).into(),
        _ => ScriptedReply::hang(""),
    });
    process(async {
        let runtime = runtime(world.journal.clone(), 1, 0).await;
        let (wall_max, day) = (Duration::from_secs(600), Duration::from_secs(86_400));
        let agent = runtime.agent("clerk").model(model).model_timeout(day);
        let agent = agent.tool(world.pay().approval(Approval::always()));
        let agent = agent.budget(Budget { wall_max, ..Budget::default() });
        let run = agent.build().expect("complete").start("go").await.expect("accepted");
        let asked = pending(&runtime, run.id()).await.remove(0);
        tokio::time::sleep(Duration::from_secs(3 * 3_600)).await;
        assert_eq!(runtime.approve(&asked, "ann").await, Ok(()));
        let begun = Instant::now();
        let failure = run.outcome().await.expect_err("it is late");
        assert_eq!(failure.limit, Some(Limit::Deadline));
        // While it waits it looks at the clock every minute.
        let took = begun.elapsed();
        assert!(took + Duration::from_secs(2) > wall_max, "{took:?}");
        assert!(took <= wall_max + Duration::from_secs(60), "{took:?}");
        runtime.shutdown().await;
    });
}

#[test]
fn a_message_is_read_in_the_next_turn_and_once() {
    let world = World::new(&[("look", 1)]);
    process(async {
        let runtime = runtime(world.journal.clone(), 1, 0).await;
        let run = world.agent(&runtime).start("go").await.expect("accepted");
        tokio::time::sleep(Duration::from_millis(500)).await;
        for _ in 0..3 {
            assert_eq!(runtime.steer(run.id(), "m1", "be quick").await, Ok(()));
        }
        assert_eq!(text(&run).await, "1");
        assert_eq!(runtime.steer(run.id(), "m2", "late").await, Err(ControlError::NotAtWork));
        runtime.shutdown().await;
    });
    assert_eq!(n_said(&world.model.calls(), "be quick"), 1);
    let next = world.model.calls().requests().pop().expect("the model was asked again");
    assert_eq!(next.messages.last(), Some(&Message::user("be quick")), "behind the outcomes");
}

/// How often the last request says this.
fn n_said(calls: &Calls<ChatRequest>, what: &str) -> usize {
    let last = calls.last().expect("the model was asked");
    last.messages.iter().filter(|message| **message == Message::user(what)).count()
}

#[test]
fn a_message_that_was_taken_survives_the_process() {
    // Whoever does not know whether it was taken sends it again.
    for is_sent_again in [false, true] {
        let world = World::new(&[("look", 1)]);
        process(async {
            let runtime = runtime(world.journal.clone(), 1, 0).await;
            let run = world.agent(&runtime).start("go").await.expect("accepted");
            assert_eq!(runtime.steer(run.id(), "m1", "be quick").await, Ok(()));
        });
        world.next(2, async |runtime, run| {
            if is_sent_again {
                assert_eq!(runtime.steer(run.id(), "m1", "be quick").await, Ok(()));
            }
            assert_eq!(text(&run).await, "1");
            runtime.shutdown().await;
        });
        assert_eq!(n_said(&world.model.calls(), "be quick"), 1, "{is_sent_again}");
    }
}

#[test]
fn a_paused_run_begins_nothing_until_it_is_resumed_whatever_dies() {
    let world = World::new(&[("look", 1)]);
    process(async {
        let runtime = runtime(world.journal.clone(), 1, 0).await;
        let run = world.agent(&runtime).start("go").await.expect("accepted");
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(runtime.pause(run.id()).await, Ok(()));
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        let n_begun = (world.model.calls().n_begun(), world.looked.calls().n_begun());
        assert_eq!(n_begun, (1, 0), "what was under way has ended");
    });
    for n_life in 2..8 {
        world.next(n_life, async |_, _| tokio::time::sleep(Duration::from_secs(600)).await);
    }
    assert_eq!((world.model.calls().n_begun(), world.looked.calls().n_begun()), (1, 0));
    world.next(8, async |runtime, run| {
        assert_eq!(runtime.resume(run.id()).await, Ok(()));
        assert_eq!(text(&run).await, "1");
        runtime.shutdown().await;
    });
}

#[test]
fn a_run_is_cancelled_wherever_it_is() {
    let world = World::new(&[("pay", 1)]);
    let run = process(async {
        let runtime = runtime(world.journal.clone(), 1, 0).await;
        let agent = world.agent(&runtime);
        let run = agent.start("go").await.expect("accepted");
        let asked = pending(&runtime, run.id()).await.remove(0);
        assert_eq!(runtime.cancel(run.id()).await, Ok(()));
        let failure = run.outcome().await.expect_err("it is cancelled");
        assert_eq!(failure.kind, TaskFailureKind::Cancelled);
        // SEC-E: approving after a cancellation does nothing.
        assert_eq!(runtime.approve(&asked, "ann").await, Err(ControlError::Over));
        agent.start("again").await.expect("accepted").id()
    });
    process(async {
        let runtime = runtime(world.journal.clone(), 2, 10).await;
        assert_eq!(runtime.cancel(run).await, Ok(()));
        assert_eq!(runtime.cancel(run).await, Err(ControlError::Over));
        assert_eq!(runtime.cancel(RunId::from_bits(1)).await, Err(ControlError::Unknown));
        runtime.shutdown().await;
    });
    assert_eq!(unfinished(&world.journal), []);
    assert_eq!(world.n_paid(), 0);
}

#[test]
fn a_tool_that_can_tell_is_asked_before_the_call_is_made_again() {
    for was_made in [false, true] {
        let world = World::new(&[("pay", 1)]);
        let agent = |runtime: &Runtime| {
            let (paid, key_of) =
                (world.paid.calls(), |context: &ToolContext| context.idempotency_key.clone());
            let pay = world.pay().reconcilable(move |context| {
                let made = paid.requests();
                let made = made.iter().find(|(known, _)| key_of(known) == key_of(&context));
                let output = made.filter(|_| was_made).map(|(_, arguments)| arguments.clone());
                async move { Ok(output) }
            });
            runtime.agent("clerk").model(world.model.clone()).tool(pay).build().expect("complete")
        };
        process(async {
            let runtime = runtime(world.journal.clone(), 1, 0).await;
            let _run = agent(&runtime).start("go").await.expect("accepted");
            tokio::time::sleep(Duration::from_millis(1_500)).await;
        });
        let run = unfinished(&world.journal)[0];
        process(async {
            let runtime = runtime(world.journal.clone(), 2, 10).await;
            let agent = agent(&runtime);
            recover(&runtime).await;
            let run = agent.attach(run).await.expect("memory answers").expect("it is known");
            assert_eq!(text(&run).await, "1");
            runtime.shutdown().await;
        });
        let keys = world.paid.calls().requests();
        assert_eq!(keys.len(), if was_made { 1 } else { 2 });
        assert!(keys.iter().all(|(context, _)| *context == keys[0].0), "one call has one key");
    }
}

/// A message for the model is not lost when it comes before the agent has read its stream.
#[test]
fn a_message_reaches_an_agent_that_has_just_been_started() {
    let world = World::new(&[("look", 1)]);
    process(async {
        let runtime = runtime(world.journal.clone(), 1, 0).await;
        let run = world.agent(&runtime).start("go").await.expect("accepted");
        assert_eq!(runtime.steer(run.id(), "m", "be quick").await, Ok(()));
        assert_eq!(text(&run).await, "1");
        runtime.shutdown().await;
    });
    let last = world.model.calls().last().expect("the model was asked");
    assert!(last.messages.contains(&Message::user("be quick")));
}

//! Addresses and questions across restarts, of agents and of their supervisors.

use std::sync::atomic::Ordering;
use std::time::Duration;

use greenroom_core::mailbox::MailboxSpec;
use greenroom_core::supervision::{ExitReason, Strategy, SupervisorSpec};
use greenroom_runtime::{Actor, AgentRef, AskError, Context, DeadReason, Failure, Reply};
use tokio::time::Instant;

use super::{Do, HOUR, SECOND, Stage, settle, worker};
use crate::support::{end, runtime};

#[tokio::test(start_paused = true)]
async fn sup_i02_an_address_works_after_any_number_of_restarts() {
    let stage = Stage::new().await;
    let spec = SupervisorSpec::new(Strategy::OneForOne).intensity(100, HOUR);
    let tree = stage.tree(spec, ["a"], worker).await;
    for generation in 2..20 {
        tree.agents[0].send(Do::Crash).await.expect("it lives");
        let since = Instant::now();
        assert_eq!(tree.agents[0].ask(HOUR, Do::Generation).await, Ok(generation));
        assert!(since.elapsed() <= Duration::from_millis(100));
    }
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_h12_the_mailboxes_survive_a_restart_of_their_supervisor() {
    let stage = Stage::new().await;
    let spec = SupervisorSpec::new(Strategy::OneForOne).intensity(0, HOUR);
    let tree = stage.tree(spec, ["a", "b"], worker).await;
    // All in one go: the supervisor's restart happens while these wait.
    tree.agents[0].try_send(Do::Crash).expect("room");
    for what in ["1", "2", "3"] {
        tree.agents[0].try_send(Do::Note(what)).expect("room");
    }
    let answer = tree.agents[0].ask(HOUR, Do::Generation).await;
    assert_eq!(answer, Ok(2), "asked before, answered after");
    assert_eq!(stage.trace.take(), "-b +a +b 1 2 3");
    let dead: Vec<_> =
        stage.runtime.dead_letters().into_iter().map(|letter| letter.reason).collect();
    assert_eq!(dead, [DeadReason::Poison { cause: ExitReason::panic("told to") }]);
    assert_eq!(tree.generations().await, [2, 2]);
    for script in &tree.scripts {
        assert_eq!(script.n_alive.load(Ordering::Relaxed), 1, "neither orphaned nor doubled");
    }
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_h12_a_child_added_later_ends_with_the_incarnation_of_its_supervisor() {
    let stage = Stage::new().await;
    let spec = SupervisorSpec::new(Strategy::OneForOne).intensity(0, HOUR);
    let tree = stage.tree(spec, ["a"], worker).await;
    let script = super::Script::default();
    let (added, start) = stage.child("added", &script);
    tree.supervisor.start_child(worker("added"), start).await.expect("it starts");
    tree.agents[0].send(Do::Crash).await.expect("it lives");
    settle().await;
    assert_eq!(
        tree.state("added").await,
        None,
        "as in OTP, only the initial children are made anew"
    );
    assert_eq!(script.n_alive.load(Ordering::Relaxed), 0, "it is not orphaned");
    let since = Instant::now();
    assert_eq!(added.ask(HOUR, Do::Generation).await, Err(AskError::Dead(DeadReason::Stopped)));
    assert!(since.elapsed() < SECOND, "told at once");
    stage.end().await;
}

/// Takes the reply and answers later, or never.
struct Slow;

enum SlowMessage {
    Later(Reply<&'static str>),
    Done(Reply<&'static str>),
    Crash,
    Stop,
    CrashAfterReply(Reply<u32>),
}

impl Actor for Slow {
    type Message = SlowMessage;

    fn handle(
        &mut self,
        message: &SlowMessage,
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        match message {
            SlowMessage::Later(reply) => {
                let reply = reply.take();
                let work = tokio::time::sleep(10 * SECOND);
                context.shielded("later", HOUR, work, move |_| SlowMessage::Done(reply));
            }
            SlowMessage::Done(reply) => {
                let _ = reply.send("done");
            }
            SlowMessage::Crash => panic!("told to"),
            SlowMessage::Stop => context.stop(),
            SlowMessage::CrashAfterReply(reply) => {
                let _ = reply.send(context.delivery());
                panic!("after the reply");
            }
        }
        Ok(())
    }
}

async fn slow() -> (greenroom_runtime::Runtime, AgentRef<SlowMessage>) {
    let runtime = runtime().await;
    let mailbox = MailboxSpec { deliveries_max: 1, ..MailboxSpec::default() };
    let spec = worker("slow");
    let agent = runtime.spawn_with(spec, mailbox, || Slow).await.expect("it starts");
    (runtime, agent)
}

async fn check_interrupted(how: SlowMessage) {
    let (runtime, agent) = slow().await;
    let since = Instant::now();
    let ask = agent.ask(HOUR, SlowMessage::Later);
    let interrupt = async {
        settle().await;
        agent.send(how).await.expect("it lives");
    };
    let (answer, ()) = tokio::join!(ask, interrupt);
    assert_eq!(answer, Err(AskError::NoReply));
    assert!(since.elapsed() < Duration::from_millis(100), "told at once");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn sup_i05_k04_whoever_waits_for_a_dying_agent_is_told_at_once() {
    check_interrupted(SlowMessage::Crash).await;
    check_interrupted(SlowMessage::Stop).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_given_before_a_crash_counts() {
    let (runtime, agent) = slow().await;
    assert_eq!(agent.ask(HOUR, SlowMessage::CrashAfterReply).await, Ok(1));
    settle().await;
    assert_eq!(agent.ask(HOUR, SlowMessage::Later).await, Ok("done"));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_queued_question_to_an_agent_that_is_terminated_fails_at_once() {
    let (runtime, agent) = slow().await;
    let since = Instant::now();
    let supervisor = runtime.supervisor();
    let ask = agent.ask(HOUR, SlowMessage::Later);
    let (answer, terminated) = tokio::join!(ask, supervisor.terminate_child("slow"));
    terminated.expect("it stops");
    // Whether it was handled before the stop or not, there is an answer now.
    assert!(
        matches!(answer, Err(AskError::NoReply | AskError::Dead(DeadReason::Stopped))),
        "{answer:?}"
    );
    assert!(since.elapsed() < SECOND);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_question_that_kills_its_agent_tells_the_asker_why() {
    let stage = Stage::new().await;
    let (agent, _) = stage.spawn(worker("a"), "a").await;
    assert!(agent.crash_on_purpose(), "it strikes with the next message");
    let answer = agent.ask(HOUR, Do::Generation).await;
    let cause = ExitReason::panic("a fault was injected");
    assert_eq!(answer, Err(AskError::Dead(DeadReason::Poison { cause })));
    assert_eq!(agent.ask(HOUR, Do::Generation).await, Ok(2));
    stage.end().await;
}

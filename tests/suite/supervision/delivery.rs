//! What becomes of messages, questions and names when agents end.

use std::time::Duration;

use greenroom_core::mailbox::MailboxSpec;
use greenroom_core::supervision::{
    AdminError, Backoff, ChildSpec, ChildState, Restart, Strategy, SupervisorSpec,
};
use greenroom_runtime::{Actor, AgentRef, AskError, Context, DeadReason, Failure, Reply};
use tokio::time::Instant;

use super::{Do, HOUR, SECOND, SOON, Script, Stage, settle, worker};

#[tokio::test(start_paused = true)]
async fn sup_i01_messages_of_one_sender_are_handled_in_their_order() {
    let stage = Stage::new().await;
    let (agent, _) = stage.spawn(worker("a"), "a").await;
    for what in ["1", "2", "3", "4", "5"] {
        agent.send(Do::Note(what)).await.expect("it lives");
    }
    for what in ["first", "second"] {
        agent.control(Do::Note(what)).expect("room");
    }
    settle().await;
    assert_eq!(stage.trace.take(), "first second 1 2 3 4 5", "and so in the control lane");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_i04_what_was_not_handled_is_delivered_again_or_reported() {
    let stage = Stage::new().await;
    let spec = |name| ChildSpec::worker(name).restart(Restart::Temporary);
    for (spec, handled, n_dead) in [(worker("kept"), "+a 1 2 3", 1), (spec("lost"), "", 4)] {
        let before = stage.runtime.dead_letters().len();
        let (agent, _) = stage.spawn(spec, "a").await;
        agent.try_send(Do::Crash).expect("room");
        for what in ["1", "2", "3"] {
            agent.try_send(Do::Note(what)).expect("room");
        }
        settle().await;
        assert_eq!(stage.trace.take(), handled);
        let letters = stage.runtime.dead_letters().split_off(before);
        assert_eq!(letters.len(), n_dead, "{letters:?}");
        let is_reported = |letter: &&greenroom_runtime::DeadLetter| letter.to == *agent.id();
        assert_eq!(letters.iter().filter(is_reported).count(), n_dead, "by name");
        assert!(letters[1..].iter().all(|letter| letter.reason == DeadReason::Stopped));
    }
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_i07_new_work_of_a_failed_agent_and_its_group_waits_for_the_decision() {
    let stage = Stage::new().await;
    let spec = SupervisorSpec::new(Strategy::OneForAll).intensity(3, HOUR);
    let child = |name| worker(name).backoff(Backoff::new(HOUR, HOUR).jitter(0.0));
    let tree = stage.tree(spec, ["a", "b"], child).await;
    tree.agents[0].send(Do::Crash).await.expect("it lives");
    settle().await;
    assert_eq!(stage.trace.take(), "-b", "the group is stopped, and waits");
    for agent in &tree.agents {
        agent.try_send(Do::Note("work")).expect("it is taken");
    }
    tokio::time::sleep(HOUR / 2).await;
    assert_eq!(stage.trace.take(), "", "nobody handles it before the decision is carried out");
    tokio::time::sleep(HOUR).await;
    let trace = stage.trace.take();
    assert_eq!(trace.matches("work").count(), 2, "{trace}");
    assert!(trace.starts_with("+a"), "{trace}");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_i08_a_name_is_free_once_its_holder_is_gone() {
    let stage = Stage::new().await;
    let (agent, script) = stage.spawn(worker("a"), "a").await;
    let supervisor = stage.runtime.supervisor();
    let again = |script: &Script| {
        let (agent, start) = stage.child("a", script);
        let supervisor = supervisor.clone();
        async move { (agent, supervisor.start_child(worker("a"), start).await) }
    };
    let (_, taken) = again(&Script::default()).await;
    assert!(matches!(taken, Err(AdminError::AlreadyStarted { .. })), "{taken:?}");
    // While the old one is being stopped, and is not gone.
    let heir = Script::default();
    let (stopped, (_, early)) = tokio::join!(supervisor.terminate_child("a"), again(&heir));
    stopped.expect("it stops");
    assert!(
        matches!(early, Err(AdminError::AlreadyStarted { .. } | AdminError::AlreadyPresent)),
        "{early:?}"
    );
    assert_eq!(script.n_alive.load(std::sync::atomic::Ordering::Relaxed), 0, "it is gone");
    let (heir, started) = again(&heir).await;
    started.expect("the name is free");
    assert_eq!(heir.ask(SOON, Do::Generation).await, Ok(1), "it is another agent");
    let old = agent.ask(SOON, Do::Generation).await;
    assert_eq!(old, Err(AskError::Dead(DeadReason::Stopped)), "the old address is not its own");
    stage.end().await;
}

/// Asks its child, and tells how long the answer took.
struct Parent {
    child: AgentRef<ChildMessage>,
    asked_at: Option<Instant>,
    told: Option<Reply<(Result<(), AskError>, Duration)>>,
}

enum ParentMessage {
    Ask(Reply<(Result<(), AskError>, Duration)>),
    Told(Result<(), AskError>),
}

impl Actor for Parent {
    type Message = ParentMessage;

    fn handle(
        &mut self,
        message: &ParentMessage,
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        match message {
            ParentMessage::Ask(reply) => {
                self.told = Some(reply.take());
                self.asked_at = Some(Instant::now());
                context.ask(&self.child, HOUR, ChildMessage::Wait, ParentMessage::Told);
            }
            ParentMessage::Told(answer) => {
                if let (Some(reply), Some(asked_at)) = (self.told.take(), self.asked_at) {
                    let _ = reply.send((answer.clone(), asked_at.elapsed()));
                }
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Child {
    kept: Vec<Reply<()>>,
}

enum ChildMessage {
    Wait(Reply<()>),
    Crash,
    Fail,
    Stop,
}

impl Actor for Child {
    type Message = ChildMessage;

    fn handle(
        &mut self,
        message: &ChildMessage,
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        match message {
            ChildMessage::Wait(reply) => self.kept.push(reply.take()),
            ChildMessage::Crash => panic!("told to"),
            ChildMessage::Fail => return Err(Failure::new("told to")),
            ChildMessage::Stop => context.stop(),
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn sup_k04_a_parent_that_waits_for_its_child_is_told_within_a_tenth_of_a_second() {
    let stage = Stage::new().await;
    let mailbox = MailboxSpec { deliveries_max: 1, ..MailboxSpec::default() };
    let check = async |how: Option<ChildMessage>| {
        let spec = worker("child");
        let started = stage.runtime.spawn_with(spec, mailbox, Child::default).await;
        let child = started.expect("it starts");
        let of_parent = child.clone();
        let factory = move || Parent { child: of_parent.clone(), asked_at: None, told: None };
        let parent = stage.runtime.spawn("parent", factory).await.expect("it starts");
        let supervisor = stage.runtime.supervisor();
        let end = async {
            settle().await;
            match how {
                Some(how) => child.send(how).await.expect("it lives"),
                None => drop(supervisor.terminate_child("child").await.expect("it stops")),
            }
        };
        let (told, ()) = tokio::join!(parent.ask(SECOND, ParentMessage::Ask), end);
        let (answer, after) = told.expect("the parent answers");
        assert_eq!(answer, Err(AskError::NoReply));
        assert!(after < Duration::from_millis(100), "{after:?}");
        for name in ["parent", "child"] {
            let _ = supervisor.terminate_child(name).await;
        }
    };
    check(Some(ChildMessage::Crash)).await;
    check(Some(ChildMessage::Fail)).await;
    check(Some(ChildMessage::Stop)).await;
    check(None).await;
    stage.end().await;
}

/// Starts that never end.
struct Hanging;

impl greenroom_runtime::Start for Hanging {
    fn start(&self, _supervisor: ractor::ActorCell) -> greenroom_runtime::StartFuture {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_to_a_supervisor_has_a_bound() {
    let stage = Stage::new().await;
    let supervisor = stage.runtime.supervisor();
    let since = Instant::now();
    let start = std::sync::Arc::new(Hanging);
    let hung = supervisor.within(SECOND).start_child(worker("hung"), start.clone()).await;
    assert_eq!(hung, Err(AdminError::TimedOut(SECOND)));
    assert_eq!(since.elapsed(), SECOND);
    let state = stage.seen("hung").await.map(|child| child.state);
    assert_eq!(state, Some(ChildState::Starting), "it goes on");
    supervisor.terminate_child("hung").await.expect("it is cut off");
    let since = Instant::now();
    let hung = supervisor.start_child(worker("hung"), start).await;
    assert_eq!(hung, Err(AdminError::TimedOut(since.elapsed())), "also when none is named");
    assert_eq!(since.elapsed(), Duration::from_secs(600));
    supervisor.terminate_child("hung").await.expect("it is cut off");
    stage.end().await;
}

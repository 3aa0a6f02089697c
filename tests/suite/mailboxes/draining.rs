//! Draining: an agent stops once it has done what it was sent.

use std::time::Duration;

use greenroom_core::mailbox::{MailboxSpec, Overflow};
use greenroom_core::supervision::{AdminError, ChildSpec, Restart, Strategy, SupervisorSpec};
use greenroom_runtime::{AgentState, DeadReason, Drained, SendErrorKind};
use tokio::time::Instant;

use super::{Clerk, Desk, HOUR, Message, SECOND, Seen, poll_once, settle, try_number, two};
use crate::support::{end, runtime};

async fn drained(desk: &Desk, deadline: Duration) -> Result<Drained, AdminError> {
    desk.runtime.supervisor().drain_child(&desk.clerk, deadline).await
}

#[tokio::test(start_paused = true)]
async fn a_drained_agent_does_what_waits_and_takes_nothing_new() {
    let desk = Desk::away(two(Overflow::Wait)).await;
    for number in [1, 2] {
        desk.clerk.send(Message::Number(number)).await.expect("room");
    }
    let mut waits = Box::pin(desk.clerk.send(Message::Number(3)));
    assert!(poll_once(&mut waits).is_pending());
    let since = Instant::now();
    let meanwhile = async {
        settle().await;
        let refused = waits.await.expect_err("nothing new is taken");
        assert_eq!(refused.kind, SendErrorKind::Stopped);
        assert!(matches!(refused.message, Message::Number(3)));
        assert_eq!(try_number(&desk.clerk, 4), Err(SendErrorKind::Stopped));
        desk.clerk.control(Message::Number(100)).expect("control is taken");
    };
    let (drained, ()) = tokio::join!(drained(&desk, 2 * HOUR), meanwhile);
    assert_eq!(drained, Ok(Drained::Done));
    assert!(since.elapsed() <= HOUR, "as soon as it is done");
    assert_eq!(*desk.seen.lock().expect("no test panics here"), [100, 1, 2]);
    assert_eq!(desk.clerk.info().state, AgentState::Stopped);
    assert_eq!(desk.reasons(), []);
    end(desk.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_drained_agent_takes_nothing_new_whatever_its_policy() {
    for overflow in [Overflow::RejectNewest, Overflow::DropOldest, Overflow::StopAgent] {
        let desk = Desk::away(two(overflow)).await;
        assert_eq!(try_number(&desk.clerk, 1), Ok(()));
        let meanwhile = async {
            settle().await;
            assert_eq!(try_number(&desk.clerk, 2), Err(SendErrorKind::Stopped), "{overflow:?}");
        };
        let (drained, ()) = tokio::join!(drained(&desk, 2 * HOUR), meanwhile);
        assert_eq!(drained, Ok(Drained::Done));
        assert_eq!(*desk.seen.lock().expect("no test panics here"), [1]);
        end(desk.runtime).await;
    }
}

#[tokio::test(start_paused = true)]
async fn draining_waits_for_work_under_way_and_for_what_a_crash_left() {
    let desk = Desk::new(MailboxSpec::default()).await;
    desk.clerk.try_send(Message::Work(1, 10 * SECOND)).expect("room");
    settle().await;
    let since = Instant::now();
    assert_eq!(drained(&desk, HOUR).await, Ok(Drained::Done));
    assert!(since.elapsed() >= 9 * SECOND, "{:?}", since.elapsed());
    assert_eq!(*desk.seen.lock().expect("no test panics here"), [1], "its outcome was handled");
    end(desk.runtime).await;

    let desk = Desk::new(MailboxSpec { deliveries_max: 2, ..MailboxSpec::default() }).await;
    desk.clerk.try_send(Message::Poison(1)).expect("room");
    desk.clerk.try_send(Message::Number(2)).expect("room");
    assert_eq!(drained(&desk, 3 * HOUR).await, Ok(Drained::Done));
    assert_eq!(*desk.seen.lock().expect("no test panics here"), [1, 1, 2]);
    assert_eq!(desk.reasons().len(), 1, "the poison");
    end(desk.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn draining_ends_at_its_deadline_and_what_is_left_are_dead_letters() {
    let desk = Desk::away(two(Overflow::Wait)).await;
    for number in [1, 2] {
        desk.clerk.send(Message::Number(number)).await.expect("room");
    }
    let since = Instant::now();
    assert_eq!(drained(&desk, SECOND).await, Ok(Drained::TimedOut { n_left: 2 }));
    assert!(since.elapsed() < 2 * SECOND);
    assert_eq!(desk.reasons(), [DeadReason::Stopped, DeadReason::Stopped]);
    assert_eq!(desk.clerk.info().state, AgentState::Stopped);
    assert_eq!(drained(&desk, SECOND).await, Err(AdminError::NotFound), "its spec is gone");
    end(desk.runtime).await;
    // One that has nothing to do, and is away.
    let desk = Desk::away(two(Overflow::Wait)).await;
    let since = Instant::now();
    assert_eq!(drained(&desk, HOUR).await, Ok(Drained::Done));
    assert!(since.elapsed() < SECOND);
    end(desk.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_given_up_while_it_is_drained_has_stopped() {
    let runtime = runtime().await;
    let spec = ChildSpec::worker("clerk").restart(Restart::Temporary);
    let factory = || Clerk { seen: Seen::default() };
    let clerk = runtime.spawn_with(spec, two(Overflow::Wait), factory).await.expect("it starts");
    clerk.try_send(Message::Poison(1)).expect("room");
    clerk.try_send(Message::Number(2)).expect("room");
    let drained = runtime.supervisor().drain_child(&clerk, HOUR).await;
    assert_eq!(drained, Ok(Drained::Stopped));
    let reasons: Vec<_> = runtime.dead_letters().into_iter().map(|letter| letter.reason).collect();
    assert_eq!(reasons.len(), 2, "nothing vanished: {reasons:?}");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_child_of_another_supervisor_is_not_drained() {
    let desk = Desk::new(two(Overflow::Wait)).await;
    let spec = SupervisorSpec::new(Strategy::OneForOne);
    let other = desk.runtime.supervise("other", spec, Vec::new()).await.expect("it starts");
    assert_eq!(other.drain_child(&desk.clerk, SECOND).await, Err(AdminError::NotFound));
    assert_eq!(try_number(&desk.clerk, 1), Ok(()), "it goes on");
    end(desk.runtime).await;
}

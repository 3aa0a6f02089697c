//! Who ends with whom: fan-outs whose asker, incarnation, future or runtime goes away.

use super::*;

/// Branches of ten seconds, the second of them shielded.
fn pair(seen: &Seen) -> Branches {
    vec![seen.branch(10, false), seen.branch(10, false).shielded()]
}

#[tokio::test(start_paused = true)]
async fn dropping_the_future_cancels_all_but_the_shielded() {
    let (runtime, seen) = (runtime().await, Seen::default());
    let fan_out = runtime.fan_out(FanOut::gather(), pair(&seen));
    assert!(tokio::time::timeout(SECOND, fan_out).await.is_err());
    settle().await;
    assert_eq!((seen.n_running(), runtime.n_tasks()), (1, 1));
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!((seen.n_started(), seen.n_finished(), runtime.n_tasks()), (2, 1, 0));
    end(runtime).await;
}

/// A question whose asker stops waiting after half a second, by its deadline or before it. The branches: one that is
/// done by then, two that run and of which the second is shielded, and one that waits.
async fn impatient(is_late: bool) -> String {
    let (runtime, seen) = (runtime().await, Seen::default());
    let (asker, log) = asker(&runtime).await;
    let mut branches = pair(&seen);
    branches.insert(0, seen.branch(0, false));
    branches.extend([seen.branch(1, false), seen.branch(1, false)]);
    let deadline = if is_late { SECOND / 2 } else { HOUR };
    let question = asker.ask(deadline, fan(FanOut::gather().width(3), branches));
    let answer = tokio::time::timeout(SECOND / 2, question).await;
    assert!(answer.is_ok_and(|answer| answer.is_err()) == is_late);
    settle().await;
    let told: Vec<_> = log.lock().expect("no test panics here").iter().map(told).collect();
    assert_eq!((seen.n_running(), runtime.n_tasks()), (1, 1));
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!((seen.n_started(), seen.n_finished(), runtime.n_tasks()), (4, 2, 0));
    end(runtime).await;
    told.join("; ")
}

#[tokio::test(start_paused = true)]
async fn an_asker_that_goes_away_cancels_all_but_the_shielded_and_the_actor_is_told() {
    let expect =
        "cancelled: 0, cancelled, still running, and nobody waits for it, cancelled, not started";
    assert_eq!(impatient(false).await, expect);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_the_asker_is_that_of_the_fan_out() {
    let late = "not done by the deadline";
    let expect =
        format!("partial: 0, {late}, still running, and nobody waits for it, {late}, not started");
    assert_eq!(impatient(true).await, expect);
}

#[tokio::test(start_paused = true)]
async fn a_shielded_question_outlives_the_one_that_it_was_asked_for() {
    let (runtime, seen) = (runtime().await, Seen::default());
    let (first, _) = asker(&runtime).await;
    let second = runtime.spawn("second", Asker::default).await.expect("it starts");
    let below = fan(FanOut::gather(), seen.branches(&[10]));
    let question = second.branch(HOUR, below).shielded();
    let late = first.ask(SECOND, |reply| Message::Relay(Mutex::new(Some(question)), reply)).await;
    assert_eq!(late, Err(AskError::TimedOut(SECOND)));
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!((seen.n_finished(), runtime.n_tasks()), (1, 0));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn what_an_outcome_leads_to_serves_the_same_asker() {
    let (runtime, seen) = (runtime().await, Seen::default());
    let (asker, log) = asker(&runtime).await;
    let (first, second) = (seen.branches(&[1]), seen.branches(&[10]));
    let twice =
        |reply| Message::Twice(FanOut::gather(), Mutex::new(first), Mutex::new(second), reply);
    assert!(tokio::time::timeout(2 * SECOND, asker.ask(HOUR, twice)).await.is_err());
    settle().await;
    let told: Vec<_> = log.lock().expect("no test panics here").iter().map(told).collect();
    assert_eq!(told, ["cancelled: cancelled"]);
    assert_eq!((seen.n_finished(), seen.n_running(), runtime.n_tasks()), (1, 0, 0));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_incarnation_cancels_all_but_the_shielded_and_tells_nobody() {
    let (runtime, seen) = (runtime().await, Seen::default());
    let (asker, log) = asker(&runtime).await;
    let question = asker.ask(HOUR, fan(FanOut::gather(), pair(&seen)));
    let crash = async {
        settle().await;
        asker.send(Message::Crash).await.expect("it lives");
    };
    let (answer, ()) = tokio::join!(question, crash);
    assert_eq!(answer, Err(AskError::NoReply));
    settle().await;
    assert_eq!((seen.n_running(), runtime.n_tasks()), (1, 1));
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!((seen.n_finished(), runtime.n_tasks()), (1, 0));
    assert_eq!(asker.ask(SECOND, Message::Ping).await, Ok(()));
    assert_eq!(log.lock().expect("no test panics here").len(), 0);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_shielded_loser_goes_on_and_ends_at_its_own_deadline() {
    let (runtime, seen) = (runtime().await, Seen::default());
    let never = Branch::future("never", 5 * SECOND, std::future::pending()).shielded();
    let branches = vec![seen.branch(1, false), never.fallible()];
    let outcome = runtime.fan_out(FanOut::first(), branches).await;
    assert_eq!(outcome.results(), [Ok(1), Err(BranchError::Detached)]);
    tokio::time::sleep(3 * SECOND).await;
    assert_eq!(runtime.n_tasks(), 1);
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(runtime.n_tasks(), 0);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_outlives_the_runtime_shielded_or_not() {
    let (runtime, seen) = (runtime().await, Seen::default());
    let (asker, _) = asker(&runtime).await;
    let outside = runtime.fan_out(FanOut::gather(), pair(&seen));
    let inside = asker.ask(HOUR, fan(FanOut::gather(), pair(&seen)));
    let shutdown = async {
        settle().await;
        assert_eq!(seen.n_running(), 4);
        let begun = tokio::time::Instant::now();
        end(runtime.clone()).await;
        assert!(begun.elapsed() < SECOND, "it waits for none of them");
    };
    let (outcome, answer, ()) = tokio::join!(outside, inside, shutdown);
    assert_eq!(outcome.verdict(), Verdict::Cancelled);
    assert!(answer.is_err());
    assert_eq!((seen.n_running(), seen.n_finished()), (0, 0));
    let late = runtime.fan_out(FanOut::gather(), pair(&seen)).await;
    assert_eq!(late.verdict(), Verdict::Cancelled, "nor does anything begin after it");
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_fans_out_goes_on_answering() {
    let (runtime, seen) = (runtime().await, Seen::default());
    let (asker, _) = asker(&runtime).await;
    let question = asker.ask(HOUR, fan(FanOut::gather(), seen.branches(&[5, 5])));
    let pings = async {
        for _ in 0..4 {
            tokio::time::sleep(SECOND).await;
            assert_eq!(asker.ask(SECOND / 100, Message::Ping).await, Ok(()));
            assert_eq!(seen.n_running(), 2);
        }
    };
    let (answer, ()) = tokio::join!(question, pings);
    assert_eq!(answer.map(Gathered::into_values), Ok(vec![5, 5]));
    end(runtime).await;
}

/// A fan-out for which nobody waits.
fn bare(form: FanOut, branches: Branches) -> Message {
    Message::Fan(form, Mutex::new(branches), None)
}

/// Whether the user lane is served.
async fn takes_work(asker: &AgentRef<Message>) -> bool {
    asker.ask(SECOND / 10, Message::Ping).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn a_fan_out_counts_as_as_many_effects_as_may_run_at_once() {
    let (runtime, seen) = (runtime().await, Seen::default());
    let (asker, _) = asker(&runtime).await;
    let wide = bare(FanOut::gather().width(1000), seen.branches(&[10; 1024]));
    asker.send(wide).await.expect("it lives");
    assert!(takes_work(&asker).await, "24 more may be under way");
    asker.send(bare(FanOut::gather().width(24), seen.branches(&[10; 30]))).await.expect("it lives");
    settle().await;
    assert!(!takes_work(&asker).await, "1,024 are");
    tokio::time::sleep(21 * SECOND).await;
    assert!(takes_work(&asker).await, "they are done");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_shielded_branch_counts_until_it_has_ended() {
    let (runtime, seen) = (runtime().await, Seen::default());
    let (asker, log) = asker(&runtime).await;
    let branches = (0..1024).map(|_| seen.branch(10, false).shielded()).collect();
    let late = asker.ask(SECOND, fan(FanOut::gather(), branches)).await;
    assert_eq!(late, Err(AskError::TimedOut(SECOND)));
    settle().await;
    assert_eq!(log.lock().expect("no test panics here").len(), 1, "the fan-out is over");
    assert!(!takes_work(&asker).await, "its branches are not");
    tokio::time::sleep(10 * SECOND).await;
    assert!(takes_work(&asker).await);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_fans_out_without_measure_fails() {
    let (runtime, seen) = (runtime().await, Seen::default());
    let (asker, _) = asker(&runtime).await;
    for _ in 0..2 {
        asker.send(bare(FanOut::gather(), seen.branches(&[10; 1000]))).await.expect("it lives");
    }
    settle().await;
    // The user lane waits from here on; the control lane does not.
    for n_running in [3024, 4048, 0] {
        let more = bare(FanOut::gather(), seen.branches(&[10; 1024]));
        asker.control(more).map_err(|_| "full").expect("room");
        settle().await;
        assert_eq!((seen.n_running(), runtime.n_tasks() > 0), (n_running, n_running > 0));
    }
    assert_eq!(asker.info().generation, 2, "no more than 4,096 may be under way");
    end(runtime).await;
}

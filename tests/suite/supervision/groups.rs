//! Strategies: who is restarted along with whom, and in which order.

use std::sync::atomic::Ordering;

use greenroom_core::supervision::{ChildState, Strategy, SupervisorSpec};

use super::{Do, HOUR, Stage, settle, worker};

const FIVE: [&str; 5] = ["a", "b", "c", "d", "e"];

fn often(strategy: Strategy) -> SupervisorSpec {
    SupervisorSpec::new(strategy).intensity(100, HOUR)
}

#[track_caller]
fn check_trace(stage: &Stage, expect: &str) {
    assert_eq!(stage.trace.take(), expect);
}

#[tokio::test(start_paused = true)]
async fn sup_d01_one_for_one_restarts_the_failed_child_only() {
    let stage = Stage::new().await;
    let tree = stage.tree(often(Strategy::OneForOne), FIVE, worker).await;
    tree.agents[2].send(Do::Crash).await.expect("it lives");
    settle().await;
    check_trace(&stage, "+c");
    assert_eq!(tree.generations().await, [1, 1, 2, 1, 1]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_d02_d04_one_for_all_stops_in_reverse_and_starts_in_order() {
    let stage = Stage::new().await;
    let tree = stage.tree(often(Strategy::OneForAll), FIVE, worker).await;
    tree.agents[2].send(Do::Crash).await.expect("it lives");
    settle().await;
    check_trace(&stage, "-e -d -b -a +a +b +c +d +e");
    assert_eq!(tree.generations().await, [2; 5]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_d03_d04_rest_for_one_leaves_earlier_children_alone() {
    let stage = Stage::new().await;
    let tree = stage.tree(often(Strategy::RestForOne), FIVE, worker).await;
    tree.agents[2].send(Do::Fail).await.expect("it lives");
    settle().await;
    check_trace(&stage, "-e -d +c +d +e");
    assert_eq!(tree.generations().await, [1, 1, 2, 2, 2]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_d05_one_for_all_begins_again_when_a_sibling_does_not_start() {
    let stage = Stage::new().await;
    let tree = stage.tree(often(Strategy::OneForAll), ["a", "b", "c"], worker).await;
    tree.scripts[1].n_bad_starts.store(2, Ordering::Relaxed);
    tree.agents[2].send(Do::Crash).await.expect("it lives");
    settle().await;
    check_trace(&stage, "-b -a +a !b -a +a !b -a +a +b +c");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_d06_rest_for_one_tries_again_from_the_child_that_did_not_start() {
    let stage = Stage::new().await;
    let tree = stage.tree(often(Strategy::RestForOne), ["a", "b", "c"], worker).await;
    tree.scripts[1].n_bad_starts.store(2, Ordering::Relaxed);
    tree.agents[0].send(Do::Crash).await.expect("it lives");
    settle().await;
    check_trace(&stage, "-c -b +a !b !b +b +c");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_d08_two_deaths_in_the_same_instant_are_one_round_each_counted_once() {
    for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
        let stage = Stage::new().await;
        // For one for all the second is a death for the group's sake, and one restart has to do.
        let restarts_max = if strategy == Strategy::OneForAll { 1 } else { 2 };
        let spec = SupervisorSpec::new(strategy).intensity(restarts_max, HOUR);
        let tree = stage.tree(spec, FIVE, worker).await;
        tree.agents[1].try_send(Do::Crash).expect("it lives");
        tree.agents[3].try_send(Do::Crash).expect("it lives");
        settle().await;
        let expect = match strategy {
            // They are restarted independently, in the order in which their ends are heard of.
            Strategy::OneForOne => "+d +b",
            Strategy::OneForAll => "-e -c -a +a +b +c +d +e",
            Strategy::RestForOne => "-e -c +b +c +d +e",
        };
        check_trace(&stage, expect);
        for child in tree.supervisor.which_children().await {
            assert_eq!(child.state, ChildState::Running, "{strategy:?} {}", child.id);
            assert!(child.n_restarts <= 1, "{strategy:?} {}", child.id);
        }
        // A supervisor that gave up would be back with all its children.
        assert_eq!(stage.seen("tree").await.map(|tree| tree.n_restarts), Some(0), "{strategy:?}");
        stage.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn sup_c05_a_temporary_sibling_stopped_for_the_group_does_not_come_back() {
    use greenroom_core::supervision::Restart;
    let stage = Stage::new().await;
    let child = |name| {
        let restart = if name == "b" { Restart::Temporary } else { Restart::Permanent };
        worker(name).restart(restart)
    };
    let tree = stage.tree(often(Strategy::OneForAll), ["a", "b", "c"], child).await;
    let before = tree.agents[1].send(Do::Note("b works")).await;
    assert!(before.is_ok());
    tree.agents[0].send(Do::Crash).await.expect("it lives");
    settle().await;
    check_trace(&stage, "b works -c -b +a +c");
    assert!(tree.agents[1].send(Do::Note("late")).await.is_err(), "it is gone for good");
    assert_eq!(tree.state("b").await, None);
    stage.end().await;
}

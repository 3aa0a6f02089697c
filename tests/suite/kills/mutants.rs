//! What a broken runtime would do, and whether the inquest finds it.

use std::collections::BTreeSet;

use greenroom_testkit::kills::{Invariant, Mutant};

use super::deaths::{Scene, deaths};
use super::workflows::Workflow;

/// The invariants that do not hold when the runtime has a mistake and its process dies at some append.
fn caught(mutant: Mutant) -> BTreeSet<Invariant> {
    let (calm, n_appends) = Scene::calm(Workflow::Agent);
    let mut caught = BTreeSet::new();
    for death in deaths(n_appends) {
        let mut scene = Scene::new(Workflow::Agent, Some(mutant));
        scene.live(Some(death));
        scene.live(None);
        caught.extend(scene.inquest(Some(&calm)).into_iter().map(|found| found.invariant));
    }
    caught
}

#[test]
fn the_harness_catches_ack_before_sync() {
    let caught = caught(Mutant::AckBeforeSync);
    assert!(caught.contains(&Invariant::I3), "{caught:?}");
}

#[test]
fn the_harness_catches_skip_intent() {
    let caught = caught(Mutant::SkipIntent);
    assert!(caught.is_superset(&BTreeSet::from([Invariant::I3, Invariant::I9])), "{caught:?}");
}

#[test]
fn the_harness_catches_retry_in_doubt() {
    assert_eq!(caught(Mutant::RetryInDoubt), BTreeSet::from([Invariant::I3]));
}

#[test]
fn the_harness_catches_reset_budget_on_boot() {
    // People are told of it, too: I4.
    assert_eq!(caught(Mutant::ResetBudget), BTreeSet::from([Invariant::I4, Invariant::I6]));
}

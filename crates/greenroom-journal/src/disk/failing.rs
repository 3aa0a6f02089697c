//! D4: every operation of the disk fails, with an error or for want of room, once or from then on.

use greenroom_testkit::kills::Violation;

use super::platter::{Loss, Platter};
use super::script::{Stage, dir, wrong_at_boot};
use super::vfs::{Disk, Failure};
use crate::Durability;

/// What is wrong after an operation has failed: with what a process reads meanwhile, with the next one, and
/// with the next one after a loss of power. `None` when there was nothing to fail.
async fn failing(disk: &Disk, at: u64, failure: Failure) -> Option<Vec<Violation>> {
    let dir = dir();
    let stage = Stage::new(disk, Durability::Durable, &dir);
    disk.clear(Some((at, failure)));
    let acknowledged = stage.play(|store| store).await;
    let has_failed = || disk.n_calls().1 > 0;
    let stays = matches!(failure, Failure::Errors | Failure::StaysFull);
    let mut found = Vec::new();
    if stays || !has_failed() {
        found = stage.look(&acknowledged).await;
    }
    if !has_failed() {
        return None;
    }
    let mut platter = Platter::new(false);
    disk.ops().iter().for_each(|op| platter.follow(op));
    for loss in [Loss::Nothing, Loss::All] {
        let files = platter.after(loss);
        found.extend(wrong_at_boot(&files, Durability::Durable, &acknowledged).await);
    }
    Some(found)
}

#[tokio::test]
async fn d4_an_error_of_any_operation_loses_nothing_that_was_confirmed() {
    let (disk, dir) = (Disk::new("d4"), dir());
    let stage = Stage::new(&disk, Durability::Durable, &dir);
    let calm = stage.play(|store| store).await;
    assert_eq!((calm.n_confirmed(), stage.look(&calm).await), (8, vec![]));
    let (n_calls, _) = disk.n_calls();
    let mut n_failures = 0;
    for at in 1..=n_calls {
        for failure in [Failure::Error, Failure::Errors, Failure::Full, Failure::StaysFull] {
            let Some(found) = failing(&disk, at, failure).await else { continue };
            n_failures += 1;
            assert_eq!(found, [], "{failure:?} of operation {at}");
        }
    }
    println!("D4: {n_failures} failures of {n_calls} operations");
    assert!(n_failures > 2 * n_calls, "each fails in two ways, writes in more: {n_failures}");
}

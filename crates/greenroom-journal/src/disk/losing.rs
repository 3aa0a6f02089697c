//! D3: the power goes after every operation. What was not synced is lost, torn or written in another order.

use std::collections::BTreeSet;
use std::sync::Arc;

use greenroom_core::ids::StreamId;
use greenroom_core::journal::{JournalError, JournalErrorKind, Recorded};
use greenroom_core::random::SplitMix64;
use greenroom_core::time::Timestamp;
use greenroom_testkit::kills::{Acknowledged, Invariant, Violation};

use super::platter::{Loss, Platter};
use super::script::{Stage, appends, dir, next_boot, wrong_at_boot};
use super::vfs::{Disk, Op};
use crate::Durability;
use crate::store::Store;
use crate::writer::{Answer, Backend};

/// Losses of power that were survived, or not.
#[derive(Debug, Default)]
struct Tally {
    n_losses: usize,
    violations: Vec<String>,
    invariants: BTreeSet<Invariant>,
}

impl Tally {
    fn count(&mut self, found: &[Violation], when: &str) {
        self.n_losses += 1;
        self.invariants.extend(found.iter().map(|violation| violation.invariant));
        let found = found.iter().map(|violation| format!("{when}: {violation}"));
        self.violations.extend(found);
    }
}

/// What was appended when so many appends had been answered, and the next one was under way.
fn known(n_answered: usize) -> Acknowledged {
    let mut acknowledged = Acknowledged::new();
    for (i, (stream, events)) in appends().into_iter().flatten().enumerate() {
        if i <= n_answered {
            let answer = (i < n_answered).then_some(Ok(()));
            acknowledged.offered(&stream, events, answer.as_ref());
        }
    }
    acknowledged
}

/// The ways to lose power after an operation.
fn losses(op: &Op, seed: usize) -> Vec<Loss> {
    let mut losses = vec![Loss::All, Loss::Nothing];
    losses.extend((0..4).map(|i| Loss::Some(seed as u64 * 4 + i)));
    if let Op::Write(_, _, data) = op {
        // The places are others in each write; there are more writes than bytes in the header of a frame.
        losses.extend([seed, 7 * seed, 509 * seed].map(|n| Loss::Torn(n % data.len())));
    }
    losses
}

/// All that was not synced is lost, and nothing else is.
fn all(_: &Op, _: usize) -> Vec<Loss> {
    vec![Loss::All]
}

/// Loses power after every operation of a script, and looks at what is left.
async fn lose_power(
    ops: &[Op],
    durability: Durability,
    forgets_names: bool,
    losses: fn(&Op, usize) -> Vec<Loss>,
) -> Tally {
    let mut tally = Tally::default();
    let mut platter = Platter::new(forgets_names);
    let mut n_answered = 0;
    for (i, op) in ops.iter().enumerate() {
        platter.follow(op);
        if let Op::Answered(n) = op {
            n_answered = *n;
        }
        for loss in losses(op, i) {
            let when = format!("{loss:?} after operation {i}, {n_answered} answered");
            let found = wrong_at_boot(&platter.after(loss), durability, &known(n_answered)).await;
            tally.count(&found, &when);
        }
    }
    tally
}

/// The operations of a script on a disk that works.
async fn played<B: Backend>(
    name: &'static str,
    durability: Durability,
    onto: impl Fn(Store) -> B,
) -> Vec<Op> {
    let (disk, dir) = (Disk::new(name), dir());
    let acknowledged = Stage::new(&disk, durability, &dir).play(onto).await;
    assert_eq!(acknowledged.n_confirmed(), 8, "the disk works");
    disk.ops()
}

#[tokio::test]
async fn d3_a_loss_of_power_after_any_operation_loses_nothing_that_was_confirmed() {
    let ops = played("d3", Durability::Durable, |store| store).await;
    let n_syncs = ops.iter().filter(|op| matches!(op, Op::Sync(_))).count();
    assert!(n_syncs > 10, "{n_syncs}");
    let tally = lose_power(&ops, Durability::Durable, false, losses).await;
    assert_eq!(tally.violations, [] as [String; 0]);
    println!("D3: {} losses of power after {} operations", tally.n_losses, ops.len());
    assert!(tally.n_losses > 1_000, "{}", tally.n_losses);
}

/// What is not synced may be lost, and nothing else: the mode does what the page says.
#[tokio::test]
async fn the_harness_catches_an_ack_before_its_sync() {
    let ops = played("d3-relaxed", Durability::Relaxed, |store| store).await;
    let tally = lose_power(&ops, Durability::Relaxed, false, losses).await;
    assert_eq!(tally.invariants, BTreeSet::from([Invariant::I1]), "{:#?}", tally.violations);
}

#[tokio::test]
async fn the_harness_catches_a_directory_that_is_not_synced() {
    let ops = played("d3-names", Durability::Durable, |store| store).await;
    let tally = lose_power(&ops, Durability::Durable, true, all).await;
    assert!(tally.invariants.contains(&Invariant::I1), "{:#?}", tally.violations);
}

/// A store that makes room for a snapshot before it stores it.
struct TornSnapshots(Store);

impl Backend for TornSnapshots {
    fn check(&mut self) -> Result<(), JournalError> {
        self.0.check()
    }

    fn append(
        &mut self,
        group: &[(StreamId, Arc<[Recorded]>)],
    ) -> Result<Vec<Answer>, JournalError> {
        for (stream, events) in group {
            if let Some(first) = events.iter().find(|recorded| recorded.event.is_snapshot()) {
                self.0.forget_before(stream, first.seq);
            }
        }
        self.0.append(group)
    }

    fn flush(&mut self) -> Result<(), JournalError> {
        self.0.flush()
    }

    fn purge(&mut self, before: Timestamp, n_max: usize) -> Result<usize, JournalError> {
        self.0.purge(before, n_max)
    }
}

#[tokio::test]
async fn the_harness_catches_a_snapshot_that_is_not_atomic() {
    let ops = played("d3-snapshots", Durability::Durable, TornSnapshots).await;
    let tally = lose_power(&ops, Durability::Durable, false, all).await;
    assert_eq!(tally.invariants, BTreeSet::from([Invariant::I5]), "{:#?}", tally.violations);
}

/// Bits that turn over while the power is off: a journal or a stream is refused by its name, or what is read
/// of it is what was written.
#[tokio::test]
async fn d3_a_flipped_bit_is_never_read_as_something_else() {
    let ops = played("d3-flips", Durability::Durable, |store| store).await;
    let mut random = SplitMix64::new(7);
    let mut platter = Platter::new(false);
    let (mut n_refused, mut n_opened) = (0, 0);
    for op in &ops {
        platter.follow(op);
        let Op::Answered(n_answered) = *op else { continue };
        for _ in 0..30 {
            let mut files = platter.after(Loss::Nothing);
            let n_bytes: usize = files.values().map(Vec::len).sum();
            let mut place = random.bits() as usize % n_bytes;
            for bytes in files.values_mut() {
                match bytes.get_mut(place) {
                    Some(byte) => {
                        *byte ^= 1 << (random.bits() % 8);
                        break;
                    }
                    None => place -= bytes.len(),
                }
            }
            match next_boot(&files, Durability::Durable) {
                (_dir, Ok(journal)) => {
                    let found = known(n_answered).check_damaged(&journal).await;
                    assert_eq!(found, [], "{n_answered} answered");
                    n_opened += 1;
                }
                (_dir, Err(error)) => {
                    assert_eq!(error.kind, JournalErrorKind::Corrupt, "{error}");
                    n_refused += 1;
                }
            }
        }
    }
    println!("D3: {} bits flipped, {n_refused} files refused", n_refused + n_opened);
    assert!(n_refused > 20 && n_opened > 20, "{n_refused} refused, {n_opened} opened");
}

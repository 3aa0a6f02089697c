//! What a drain makes of looks that are told to it, at runs that do nothing else.

use std::any::Any;
use std::sync::{Arc, Mutex};

use greenroom_core::ids::StreamId;
use greenroom_core::journal::Event;
use greenroom_core::time::Timestamp;

use super::*;
use crate::actor::address::AgentRef;
use crate::agents::turn::TurnMessage;
use crate::run::door::Door;
use crate::run::live::{Control, LiveRun};
use crate::runtime::WeakRuntime;

const SECOND: Duration = Duration::from_secs(1);
const RUN: RunId = RunId::from_bits(7);

/// A run that is seen in these ways, one look after the other; the last one lasts.
struct Seen {
    looks: Mutex<Vec<Option<u64>>>,
    door: Arc<Door>,
}

impl LiveRun for Seen {
    fn run(&self) -> RunId {
        RUN
    }

    fn door(&self) -> &Arc<Door> {
        &self.door
    }

    fn is_over(&self) -> bool {
        false
    }

    fn begins_to_close(&self) -> bool {
        false
    }

    fn control(&self, _: Control) -> bool {
        false
    }

    fn turn(&self, _: &StreamId) -> Option<AgentRef<TurnMessage>> {
        None
    }

    fn turns(&self) -> Vec<AgentRef<TurnMessage>> {
        Vec::new()
    }

    fn at_rest(&self) -> Option<u64> {
        let mut looks = self.looks.lock().expect("nothing panics while it is held");
        if looks.len() > 1 { looks.remove(0) } else { looks[0] }
    }

    fn lie_down(&self, _: Timestamp, _: WeakRuntime) {}

    fn get_up(&self) {}

    fn conclude(&self, _: Event) {}

    fn release(&self) {}

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// Drains a runtime that has a run, which is seen like this, within 10 s. `expect` is how many looks after half of that it
/// took, and whether the run is then told to be at rest.
async fn check(looks: &[Option<u64>], expect: (u32, bool)) {
    let runtime = Runtime::builder().seed(7).start().await.expect("a runtime starts");
    let place = runtime.admit(RUN).expect("there is room");
    place.show(Arc::new(Seen { looks: Mutex::new(looks.to_vec()), door: Arc::default() }));
    let begun_at = Instant::now();
    let report = runtime.drain(10 * SECOND).await;
    let (n_looks, is_at_rest) = expect;
    let took = begun_at.elapsed();
    let wanted = 5 * SECOND + n_looks * LOOK_EVERY;
    assert!(took >= wanted && took < wanted + LOOK_EVERY, "{took:?} and not {wanted:?}: {looks:?}");
    let (parked, cut_off) = if is_at_rest { (vec![RUN], vec![]) } else { (vec![], vec![RUN]) };
    assert_eq!(report, DrainReport { n_finished: 0, parked, cut_off });
}

/// Agents are looked at one after the other. What one of them sent meanwhile to another that had been looked at is seen at
/// neither, but the next look finds that it has been taken.
#[tokio::test(start_paused = true)]
async fn a_run_is_at_rest_when_two_looks_see_the_same() {
    check(&[Some(3)], (1, true)).await;
    check(&[Some(3), None, Some(4)], (3, true)).await;
    check(&[Some(3), Some(4), Some(5)], (3, true)).await;
    check(&[Some(3), Some(4), None], (250, false)).await;
}

/// Neither does a run that is only being started.
#[tokio::test(start_paused = true)]
async fn a_run_that_is_being_started_is_waited_for() {
    let runtime = Runtime::builder().seed(7).start().await.expect("a runtime starts");
    let place = runtime.admit(RUN).expect("there is room");
    let begun_at = Instant::now();
    let started = async {
        tokio::time::sleep(7 * SECOND).await;
        place.show(Arc::new(Seen { looks: Mutex::new(vec![Some(1)]), door: Arc::default() }));
        std::future::pending::<()>().await;
    };
    let report = tokio::select! {
        report = runtime.drain(10 * SECOND) => report,
        () = started => unreachable!("it is pending"),
    };
    assert!(begun_at.elapsed() >= 7 * SECOND, "{:?}", begun_at.elapsed());
    assert_eq!(report, DrainReport { n_finished: 0, parked: vec![RUN], cut_off: vec![] });
}

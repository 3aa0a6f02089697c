//! What is read of a run: what is known already is not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use greenroom_core::BoxFuture;
use greenroom_core::budget::Budget;
use greenroom_core::ids::{RunId, StreamId};
use greenroom_core::journal::{Journal, JournalError, MemoryJournal, Recorded, RunHead, Runs};
use greenroom_testkit::{ScriptedModel, ScriptedReply};

use super::{attached, call, clerk, process, recover, runtime, unfinished};

/// A journal that counts what is read.
#[derive(Clone, Default)]
struct Counting {
    inner: MemoryJournal,
    read: Arc<Mutex<Vec<StreamId>>>,
    n_lists: Arc<AtomicUsize>,
}

impl Counting {
    /// The streams that were read since the last time, in that order.
    fn read(&self) -> Vec<StreamId> {
        std::mem::take(&mut self.read.lock().expect("nothing panics while it is held"))
    }
}

impl Journal for Counting {
    fn append(
        &self,
        stream: &StreamId,
        events: Arc<[Recorded]>,
    ) -> BoxFuture<'static, Result<(), JournalError>> {
        self.inner.append(stream, events)
    }

    fn load(&self, stream: &StreamId) -> BoxFuture<'static, Result<Vec<Recorded>, JournalError>> {
        self.read.lock().expect("nothing panics while it is held").push(stream.clone());
        self.inner.load(stream)
    }

    fn streams(&self, run: RunId) -> BoxFuture<'static, Result<Vec<StreamId>, JournalError>> {
        self.n_lists.fetch_add(1, Ordering::Relaxed);
        self.inner.streams(run)
    }

    fn runs(&self, which: Runs) -> BoxFuture<'static, Result<Vec<RunHead>, JournalError>> {
        self.inner.runs(which)
    }
}

#[test]
fn a_new_run_reads_nothing_and_one_that_goes_on_is_read_once() {
    let journal = Counting::default();
    let model = ScriptedModel::new([
        ScriptedReply::calls([call("look", 1)]),
        ScriptedReply::hang(""),
        ScriptedReply::text("here I am"),
    ]);
    process(async {
        let runtime = runtime(journal.clone(), 1, 0).await;
        clerk(&runtime, &model, Budget::default()).start("hello?").await.expect("accepted");
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    });
    assert_eq!((journal.read(), model.calls().n_begun()), (vec![], 2));
    let run = unfinished(&journal.inner)[0];
    let outcome = process(async {
        let runtime = runtime(journal.clone(), 2, 1).await;
        let clerk = clerk(&runtime, &model, Budget::default());
        assert_eq!(recover(&runtime).await, [run]);
        let outcome = attached(&clerk, run).await.outcome().await;
        runtime.shutdown().await;
        outcome
    });
    assert_eq!(outcome.map(|report| report.text).as_deref(), Ok("here I am"));
    assert_eq!(
        (journal.read(), journal.n_lists.load(Ordering::Relaxed)),
        (vec![StreamId::root(run)], 1)
    );
}

#[test]
fn an_agent_that_crashes_reads_what_was_stored_meanwhile() {
    let journal = Counting::default();
    let model = ScriptedModel::new([
        ScriptedReply::calls([call("look", 1)]),
        ScriptedReply::hang(""),
        ScriptedReply::text("here I am"),
    ]);
    let outcome = process(async {
        let runtime = runtime(journal.clone(), 1, 0).await;
        let run =
            clerk(&runtime, &model, Budget::default()).start("hello?").await.expect("accepted");
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        assert!(run.crash_on_purpose(&"clerk".into()));
        let (id, outcome) = (run.id(), run.outcome().await);
        assert_eq!(journal.read(), [StreamId::root(id)]);
        runtime.shutdown().await;
        outcome
    });
    assert_eq!(outcome.map(|report| report.text).as_deref(), Ok("here I am"));
    assert_eq!(
        model.calls().n_begun(),
        3,
        "the call of the tool was not made again by asking for it"
    );
}

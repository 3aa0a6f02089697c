//! Those who watch a run: one that is too slow, and one that goes away. Row FI41.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join;
use futures_util::stream;
use greenroom_core::model::{ChatEvent, ChatModel, ChatReply, ChatRequest, ChatStream};
use greenroom_core::time::Clock as _;
use greenroom_runtime::{RunEvent, SystemClock};

use crate::support::{end, runtime};

/// A model that says a word so often.
struct Talker {
    n_words: usize,
    n_said: Arc<AtomicUsize>,
}

impl ChatModel for Talker {
    fn name(&self) -> &str {
        "talker"
    }

    fn stream(&self, _: ChatRequest) -> ChatStream {
        let (n_words, n_said) = (self.n_words, Arc::clone(&self.n_said));
        let text = "word ".repeat(n_words);
        Box::pin(stream::unfold(0, move |n| {
            let (n_said, text) = (Arc::clone(&n_said), text.clone());
            async move {
                tokio::task::yield_now().await;
                match n {
                    n if n < n_words => {
                        n_said.fetch_add(1, Ordering::SeqCst);
                        Some((Ok(ChatEvent::TextDelta("word ".into())), n + 1))
                    }
                    n if n == n_words => {
                        Some((Ok(ChatEvent::Finished(ChatReply::text(text))), n + 1))
                    }
                    _ => None,
                }
            }
        }))
    }
}

impl Talker {
    fn new(n_words: usize) -> Self {
        Self { n_words, n_said: Arc::default() }
    }
}

#[tokio::test(start_paused = true)]
async fn fi41_a_reader_that_is_too_slow_holds_nothing_up_and_is_told_what_it_missed() {
    const N_WORDS: usize = 20_000;
    let runtime = runtime().await;
    let agent = runtime.agent("clerk").model(Talker::new(N_WORDS)).build().expect("complete");
    let mut run = agent.start("talk").await.expect("accepted");
    let mut quick = run.subscribe().expect("it can be watched");
    let read = async move {
        let mut n_read = 0;
        while let Some(event) = quick.next().await {
            assert!(!matches!(event, RunEvent::Missed { .. }), "the quick one misses nothing");
            n_read += usize::from(matches!(event, RunEvent::TextDelta { .. }));
        }
        n_read
    };
    // Nobody reads the events of the handle itself, and the run comes to its end all the same.
    let (outcome, n_read) = join(run.outcome(), read).await;
    let report = outcome.expect("an answer");
    assert_eq!(report.text.len(), 5 * N_WORDS);
    assert_eq!(n_read, N_WORDS);
    let (mut n_kept, mut n_missed) = (0_usize, 0);
    let mut is_first = true;
    while let Some(event) = run.next_event().await {
        match event {
            RunEvent::Missed { n_events } => {
                assert!(is_first, "the gap is told before what is behind it");
                n_missed += n_events;
            }
            _ => n_kept += 1,
        }
        is_first = false;
    }
    assert!(n_kept <= 1_024, "what waits for a reader has a bound: {n_kept}");
    assert!(n_kept + n_missed as usize > N_WORDS, "{n_kept} kept and {n_missed} missed");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn fi41_a_run_goes_on_when_its_reader_goes_away() {
    let runtime = runtime().await;
    let talker = Talker::new(100);
    let n_said = Arc::clone(&talker.n_said);
    let agent = runtime.agent("clerk").model(talker).build().expect("complete");
    let mut run = agent.start("talk").await.expect("accepted");
    while let Some(event) = run.next_event().await {
        if matches!(event, RunEvent::TextDelta { .. }) {
            break;
        }
    }
    let id = run.id();
    drop(run);
    let again = agent.attach(id).await.expect("memory answers").expect("it is at work");
    assert_eq!(again.outcome().await.expect("an answer").text.len(), 500);
    assert_eq!(n_said.load(Ordering::SeqCst), 100);
    end(runtime).await;
}

/// FI39: the machine's clock is read once. An hour of the runtime's time passes here in a moment of the machine's,
/// which is the same as if the machine's clock were set back by an hour.
#[tokio::test(start_paused = true)]
async fn fi39_a_clock_that_is_set_back_moves_no_timer_and_no_deadline() {
    let clock = SystemClock::new();
    let (begun, elapsed) = (clock.now(), clock.elapsed());
    let hour = Duration::from_secs(3_600);
    clock.sleep(hour).await;
    assert_eq!(clock.now().since(begun), hour);
    assert_eq!(clock.elapsed() - elapsed, hour);
}

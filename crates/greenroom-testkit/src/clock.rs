//! A clock that a test moves by hand, for what paused time cannot do: waits beside real connections.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use greenroom_core::BoxFuture;
use greenroom_core::time::{Clock, Timestamp};
use tokio::sync::watch;

/// When the clock begins: in November 2023.
const BEGIN: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// Waits that are kept for [`ManualClock::skipped`].
const KEPT_MAX: usize = 4096;

/// A clock that moves when a test says so, and not while threads and sockets work. Clones are handles of one clock.
///
/// Paused time of tokio moves on whenever its runtime is idle, and a runtime that waits for a socket is. Give this
/// clock to whatever has timers, and to the [`provider`](crate::provider) as well.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use greenroom_core::time::Clock;
/// use greenroom_testkit::ManualClock;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let clock = ManualClock::new();
/// let minute = clock.sleep(Duration::from_secs(60));
/// clock.advance(Duration::from_secs(60));
/// minute.await;
///
/// // Short waits, such as those before a retry, pass by themselves and are recorded.
/// let clock = ManualClock::skipping(Duration::from_secs(30));
/// clock.sleep(Duration::from_secs(2)).await;
/// assert_eq!(clock.skipped(), [Duration::from_secs(2)]);
/// # });
/// ```
#[derive(Clone)]
pub struct ManualClock {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    n_asleep: watch::Sender<usize>,
    skip_max: Duration,
}

#[derive(Default)]
struct State {
    elapsed: Duration,
    /// Who waits, by when the wait ends.
    asleep: BTreeMap<(Duration, u64), Waker>,
    n_sleeps: u64,
    skipped: Vec<Duration>,
}

impl ManualClock {
    /// A clock that only moves by hand.
    #[must_use]
    pub fn new() -> Self {
        Self::skipping(Duration::ZERO)
    }

    /// A clock that also moves by itself over every wait that is no longer than this.
    #[must_use]
    pub fn skipping(skip_max: Duration) -> Self {
        let (state, n_asleep) = (Mutex::default(), watch::Sender::new(0));
        Self { shared: Arc::new(Shared { state, n_asleep, skip_max }) }
    }

    /// Moves the clock on, and wakes everybody whose wait is over.
    pub fn advance(&self, span: Duration) {
        let to = self.state().elapsed.saturating_add(span);
        self.shared.move_to(to);
    }

    /// Moves the clock to the end of the wait that ends first; `None` when nobody waits.
    pub fn advance_to_next(&self) -> Option<Duration> {
        let next = self.state().asleep.keys().next().map(|(at, _)| *at)?;
        self.shared.move_to(next);
        Some(next)
    }

    /// Waits until so many waits are going on. Put a timeout around it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn until_asleep(&self, n: usize) {
        let mut n_asleep = self.shared.n_asleep.subscribe();
        let seen = n_asleep.wait_for(|n_asleep| *n_asleep >= n).await;
        seen.expect("the sender lives as long as this handle");
    }

    /// The waits that passed by themselves, in order: the first 4,096 of them.
    #[must_use]
    pub fn skipped(&self) -> Vec<Duration> {
        self.state().skipped.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("ManualClock")
            .field("elapsed", &state.elapsed)
            .field("n_asleep", &state.asleep.len())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds this lock")
    }

    fn move_to(&self, to: Duration) {
        let mut state = self.state();
        state.elapsed = state.elapsed.max(to);
        let now = state.elapsed;
        let later = state.asleep.split_off(&(now, u64::MAX));
        let woken = std::mem::replace(&mut state.asleep, later);
        self.n_asleep.send_replace(state.asleep.len());
        drop(state);
        woken.into_values().for_each(Waker::wake);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        BEGIN.after(self.elapsed())
    }

    fn elapsed(&self) -> Duration {
        self.state().elapsed
    }

    fn sleep(&self, span: Duration) -> BoxFuture<'static, ()> {
        let mut state = self.state();
        state.n_sleeps += 1;
        let key = (state.elapsed.saturating_add(span), state.n_sleeps);
        drop(state);
        Box::pin(Sleep { shared: Arc::clone(&self.shared), span, key })
    }
}

struct Sleep {
    shared: Arc<Shared>,
    span: Duration,
    /// When it ends, and its number.
    key: (Duration, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.shared.state();
        if state.elapsed >= self.key.0 {
            return Poll::Ready(());
        }
        if self.span <= self.shared.skip_max {
            if state.skipped.len() < KEPT_MAX {
                state.skipped.push(self.span);
            }
            drop(state);
            self.shared.move_to(self.key.0);
            return Poll::Ready(());
        }
        state.asleep.insert(self.key, context.waker().clone());
        let n_asleep = state.asleep.len();
        // Told while the state is held, so that the counts come in their order.
        self.shared.n_asleep.send_replace(n_asleep);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if state.asleep.remove(&self.key).is_some() {
            let n_asleep = state.asleep.len();
            self.shared.n_asleep.send_replace(n_asleep);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn waits_end_in_their_order_and_not_before_their_time() {
        let clock = ManualClock::new();
        let (mut late, mut early) = (pin!(clock.sleep(2 * SECOND)), pin!(clock.sleep(SECOND)));
        assert_eq!(((&mut late).now_or_never(), (&mut early).now_or_never()), (None, None));
        assert_eq!(clock.advance_to_next(), Some(SECOND));
        assert_eq!(((&mut late).now_or_never(), (&mut early).now_or_never()), (None, Some(())));
        assert_eq!((clock.advance_to_next(), clock.advance_to_next()), (Some(2 * SECOND), None));
        assert_eq!(late.now_or_never(), Some(()));
        assert_eq!((clock.elapsed(), clock.now().since(BEGIN)), (2 * SECOND, 2 * SECOND));
    }

    #[test]
    fn short_waits_pass_by_themselves_and_a_dropped_one_is_none() {
        let clock = ManualClock::skipping(SECOND);
        assert_eq!(clock.sleep(SECOND).now_or_never(), Some(()));
        assert_eq!((clock.elapsed(), clock.skipped()), (SECOND, vec![SECOND]));
        assert_eq!(clock.sleep(2 * SECOND).now_or_never(), None, "and it is dropped");
        assert_eq!((clock.advance_to_next(), clock.until_asleep(1).now_or_never()), (None, None));
    }
}

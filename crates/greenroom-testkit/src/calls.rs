//! What was asked of a scripted thing: every request whole, and how many were in flight together.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;

/// The calls that a scripted model, retriever or tool has received. Clones are handles of one record.
pub struct Calls<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    log: Mutex<Log<T>>,
    n_begun: watch::Sender<usize>,
}

struct Log<T> {
    requests: Vec<T>,
    n_in_flight: usize,
    n_in_flight_max: usize,
}

impl<T: Clone> Calls<T> {
    /// The requests, in the order in which they began.
    #[must_use]
    pub fn requests(&self) -> Vec<T> {
        self.log().requests.clone()
    }

    /// The latest request, when there was one.
    #[must_use]
    pub fn last(&self) -> Option<T> {
        self.log().requests.last().cloned()
    }
}

impl<T> Calls<T> {
    pub(crate) fn new() -> Self {
        let log = Log { requests: Vec::new(), n_in_flight: 0, n_in_flight_max: 0 };
        let shared = Shared { log: Mutex::new(log), n_begun: watch::Sender::new(0) };
        Self { shared: Arc::new(shared) }
    }

    /// How many calls have begun.
    #[must_use]
    pub fn n_begun(&self) -> usize {
        self.log().requests.len()
    }

    /// How many calls have begun and neither ended nor been dropped.
    #[must_use]
    pub fn n_in_flight(&self) -> usize {
        self.log().n_in_flight
    }

    /// The most calls that were ever in flight together.
    #[must_use]
    pub fn n_in_flight_max(&self) -> usize {
        self.log().n_in_flight_max
    }

    /// Waits until `n` calls have begun. Put a timeout around it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn until_begun(&self, n: usize) {
        let mut begun = self.shared.n_begun.subscribe();
        let seen = begun.wait_for(|n_begun| *n_begun >= n).await;
        seen.expect("the sender lives as long as this handle");
    }

    /// Records that a call begins: its number, counted from 1, and what ends it when dropped.
    pub(crate) fn begin(&self, request: T) -> (usize, InFlight<T>) {
        let mut log = self.log();
        log.requests.push(request);
        log.n_in_flight += 1;
        log.n_in_flight_max = log.n_in_flight_max.max(log.n_in_flight);
        let n_begun = log.requests.len();
        drop(log);
        self.shared.n_begun.send_modify(|n| *n = n_begun.max(*n));
        (n_begun, InFlight(self.clone()))
    }

    fn log(&self) -> MutexGuard<'_, Log<T>> {
        self.shared.log.lock().expect("nothing panics while it holds this lock")
    }
}

impl<T> Clone for Calls<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> fmt::Debug for Calls<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let log = self.log();
        f.debug_struct("Calls")
            .field("n_begun", &log.requests.len())
            .field("n_in_flight", &log.n_in_flight)
            .field("n_in_flight_max", &log.n_in_flight_max)
            .finish_non_exhaustive()
    }
}

/// One call in flight.
pub(crate) struct InFlight<T>(Calls<T>);

impl<T> Drop for InFlight<T> {
    fn drop(&mut self) {
        self.0.log().n_in_flight -= 1;
    }
}

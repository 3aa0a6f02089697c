//! What a provider has seen: requests, connections, and how they ended.

use std::sync::{Mutex, MutexGuard};

use serde_json::Value;
use tokio::sync::watch;

/// Requests that are kept; later ones only count.
const KEPT_MAX: usize = 16_384;

/// A request that came.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Received {
    /// The method, for example `POST`.
    pub method: String,
    /// What the first line names: a path, or a whole address when the client takes this for a proxy.
    pub path: String,
    /// The headers, with their names in small letters.
    pub headers: Vec<(String, String)>,
    /// The body, as far as it is JSON.
    pub body: Value,
    /// How long the body was, in bytes.
    pub body_len: usize,
    /// Which connection it came on, counted from 1.
    pub connection: usize,
}

impl Received {
    /// The first header of a name, which is in small letters.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The model that is asked; empty when none is named.
    #[must_use]
    pub fn model(&self) -> &str {
        self.body["model"].as_str().unwrap_or_default()
    }
}

/// What a provider has counted so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ProviderCounts {
    /// Connections that were made.
    pub n_connections: usize,
    /// Requests that were read to their end.
    pub n_requests: usize,
    /// Requests that are being answered.
    pub n_in_flight: usize,
    /// The most that ever were answered together.
    pub n_in_flight_max: usize,
    /// Requests that were refused because the capacity was used up.
    pub n_over_capacity: usize,
    /// Answers that were sent to their end, a fault's included.
    pub n_answered: usize,
    /// Connections on which the server has gone silent, until the client gives up.
    pub n_silent: usize,
    /// Answers that the client did not wait for: it closed the connection.
    pub n_given_up: usize,
}

#[derive(Debug)]
pub(super) struct Record {
    requests: Mutex<Vec<Received>>,
    counts: watch::Sender<ProviderCounts>,
}

impl Record {
    pub(super) fn new() -> Self {
        Self { requests: Mutex::default(), counts: watch::Sender::new(ProviderCounts::default()) }
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut ProviderCounts)) -> ProviderCounts {
        self.counts.send_modify(change);
        self.counts()
    }

    pub(super) fn counts(&self) -> ProviderCounts {
        *self.counts.borrow()
    }

    pub(super) async fn until(&self, is_so: impl Fn(&ProviderCounts) -> bool) -> ProviderCounts {
        let mut counts = self.counts.subscribe();
        let seen = counts.wait_for(|counts| is_so(counts)).await;
        *seen.expect("the sender lives as long as this record")
    }

    /// Keeps a request, and gives it its number, counted from 1.
    pub(super) fn keep(&self, request: &Received) -> usize {
        let mut requests = self.requests();
        if requests.len() < KEPT_MAX {
            requests.push(request.clone());
        }
        // Counted while the list is held, so that whoever sees the count finds the request.
        self.count(|counts| {
            counts.n_requests += 1;
            counts.n_in_flight += 1;
            counts.n_in_flight_max = counts.n_in_flight_max.max(counts.n_in_flight);
        })
        .n_requests
    }

    pub(super) fn requests(&self) -> MutexGuard<'_, Vec<Received>> {
        self.requests.lock().expect("nothing panics while it holds this lock")
    }
}

//! Clients side by side, because a client makes one HTTP/2 connection to a host and no second one.
//!
//! A server allows so many requests on a connection, 100 as a rule. What is more waits inside the client, where nobody sees
//! it: as if the provider were slow. So each client is given 100 requests at once, and what is more goes to the next.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Client;
use rustls::ClientConfig;

use super::client::{client, tls};
use super::error::SetupError;
use super::settings::Settings;

/// What RFC 9113 wants a server to allow at least, and most do.
const REQUESTS_OF_LANE_MAX: usize = 100;
/// 10,000 requests at once. What is more is shared out among all.
const LANES_MAX: usize = 100;

/// The clients. The first one that has room is used, so that no more connections are made than are needed.
pub(super) struct Lanes {
    settings: Arc<Settings>,
    tls: ClientConfig,
    lanes: Mutex<Vec<Lane>>,
}

#[derive(Clone)]
struct Lane {
    client: Client,
    n_requests: Arc<AtomicUsize>,
}

/// A client for one request, which is counted until this is dropped.
pub(super) struct Claim(Lane);

impl Lanes {
    pub(super) fn new(settings: Arc<Settings>) -> Result<Self, SetupError> {
        let tls = tls(&settings)?;
        let first = Lane::new(client(&settings, tls.clone())?);
        Ok(Self { settings, tls, lanes: Mutex::new(vec![first]) })
    }

    pub(super) fn claim(&self) -> Claim {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = |lane: &&Lane| lane.n() < REQUESTS_OF_LANE_MAX;
        if let Some(lane) = lanes.iter().find(has_room) {
            return Claim::new(lane);
        }
        if lanes.len() < LANES_MAX {
            // What could be set up once can be set up again; if not, the others take it.
            lanes.extend(client(&self.settings, self.tls.clone()).map(Lane::new));
        }
        Claim::new(lanes.iter().min_by_key(|lane| lane.n()).expect("there is the first one"))
    }
}

impl Lane {
    fn new(client: Client) -> Self {
        Self { client, n_requests: Arc::default() }
    }

    fn n(&self) -> usize {
        self.n_requests.load(Ordering::Relaxed)
    }
}

impl Claim {
    fn new(lane: &Lane) -> Self {
        lane.n_requests.fetch_add(1, Ordering::Relaxed);
        Self(lane.clone())
    }

    pub(super) fn client(&self) -> &Client {
        &self.0.client
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.n_requests.fetch_sub(1, Ordering::Relaxed);
    }
}

//! The settings of a provider.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use greenroom_core::time::Clock;

use super::answer::Answer;
use super::record::Received;
use super::server::{ProviderServer, Source};
use super::tls::Certificate;
use crate::FaultPlan;

/// Settings of a [`ProviderServer`]. By default it has no answers, wants no key, knows every model, takes any number
/// of requests at once and answers at once.
#[must_use]
pub struct ProviderBuilder {
    pub(super) source: Source,
    pub(super) models: Vec<String>,
    pub(super) key: Option<String>,
    pub(super) capacity: Option<(usize, Answer)>,
    pub(super) latency: Duration,
    pub(super) pace: Duration,
    pub(super) clock: Option<Arc<dyn Clock>>,
    pub(super) faults: Option<FaultPlan>,
    pub(super) certificate: Option<Certificate>,
}

impl ProviderBuilder {
    pub(super) fn new() -> Self {
        Self {
            source: Source::script([]),
            models: Vec::new(),
            key: None,
            capacity: None,
            latency: Duration::ZERO,
            pace: Duration::ZERO,
            clock: None,
            faults: None,
            certificate: None,
        }
    }

    /// Gives these answers in order, to requests for replies. Requests for embeddings take none of them: they get
    /// vectors that follow from the texts. A call beyond the script is refused with 400.
    pub fn answers(mut self, answers: impl IntoIterator<Item = impl Into<Answer>>) -> Self {
        self.source = Source::script(answers.into_iter().map(Into::into));
        self
    }

    /// Answers by a function of the request, embeddings included: a reply is then turned into vectors.
    pub fn answering(
        mut self,
        answer: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        self.source = Source::Function(Box::new(answer));
        self
    }

    /// Knows these models and no others: they are listed, and for others it says 404.
    pub fn models(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.models = names.into_iter().map(Into::into).collect();
        self
    }

    /// Wants this key, and says 401 without it.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Takes so many requests at once, and gives this answer to more.
    pub fn capacity(mut self, n_requests: usize, beyond: Answer) -> Self {
        self.capacity = Some((n_requests, beyond));
        self
    }

    /// Waits before each answer.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Waits between the pieces of a reply that is streamed.
    pub fn pace(mut self, pace: Duration) -> Self {
        self.pace = pace;
        self
    }

    /// Waits on this clock. Default: in the time of the machine, whatever the test's runtime does.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Goes wrong as the plan says of providers; see [`FaultRule::provider`](crate::FaultRule::provider).
    pub fn faults(mut self, plan: FaultPlan) -> Self {
        self.faults = Some(plan);
        self
    }

    /// Speaks TLS with this certificate.
    pub fn tls(mut self, certificate: Certificate) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// Starts the server, on a port of 127.0.0.1 that is free.
    ///
    /// # Panics
    ///
    /// When this machine has no port or no thread to spare. And when the server is dropped: if a function that
    /// answers has panicked.
    #[must_use]
    pub fn start(self) -> ProviderServer {
        ProviderServer::start(self)
    }
}

impl fmt::Debug for ProviderBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderBuilder")
            .field("models", &self.models)
            .field("latency", &self.latency)
            .field("faults", &self.faults)
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

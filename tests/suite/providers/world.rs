//! What these tests share: a provider, an account, and models of four wires that ask it.

use std::sync::Arc;
use std::time::Duration;

use greenroom_core::model::{
    Caller, ChatModel, ChatReply, ChatRequest, ModelError, ModelErrorKind,
};
use greenroom_models::http::{HttpEmbedder, HttpModel, Providers, Settings, VENDORS};
use greenroom_models::resilience::{
    EmbedderSpec, Governor, GovernorSpec, ResilienceSpec, ResilientEmbedder, resilient,
};
use greenroom_testkit::provider::{Answer, ProviderBuilder, ProviderServer, WireFault};
use greenroom_testkit::{FaultPlan, FaultRule, ManualClock};

pub(super) use crate::support::{ask, request};

/// A model of each wire.
pub(crate) const MODELS: [&str; 4] = ["openai:m", "openai-responses:m", "anthropic:m", "ollama:m"];

pub(crate) const KEY: &str = "sk-canary-0123456789";

/// What the provider says when nothing goes wrong.
pub(super) const TEXT: &str = "Grüße an alle";

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Longer than any wait before a retry, and shorter than every stall timer.
const SKIP_MAX: Duration = Duration::from_secs(50);

pub(super) struct World {
    pub(super) clock: ManualClock,
    pub(super) governor: Governor,
    pub(super) server: ProviderServer,
    providers: Providers,
}

impl World {
    /// A provider whose waits before retries pass by themselves.
    pub(super) fn new(builder: ProviderBuilder) -> Self {
        Self::with_clock(ManualClock::skipping(SKIP_MAX), builder)
    }

    pub(super) fn with_clock(clock: ManualClock, builder: ProviderBuilder) -> Self {
        let shared = Arc::new(clock.clone());
        let server = builder.clock(shared.clone()).start();
        let governor = Governor::new(GovernorSpec::default(), shared);
        Self { providers: providers(&server), clock, governor, server }
    }

    /// A provider that does what a rule says, and else says [`TEXT`].
    pub(super) fn ruled(rule: FaultRule) -> Self {
        let builder = ProviderServer::builder().answering(|_| Answer::text(TEXT));
        Self::new(builder.faults(FaultPlan::new(7).rule(rule)))
    }

    pub(super) fn bare(&self, name: &str) -> HttpModel {
        self.providers.model(name).expect(name)
    }

    /// A model of this provider with everything around it.
    pub(super) fn model(&self, name: &str) -> Arc<dyn ChatModel> {
        resilient(self.bare(name), &self.governor, ResilienceSpec::default())
    }

    /// An embedder of this provider with everything around it.
    pub(super) fn embedder(&self, name: &str) -> ResilientEmbedder<HttpEmbedder> {
        let embedder = self.providers.embedder(name).expect(name);
        ResilientEmbedder::new(embedder, &self.governor, EmbedderSpec::default())
    }

    pub(super) async fn ask(&self, name: &str) -> Result<ChatReply, ModelError> {
        ask(&*self.model(name), request()).await
    }

    pub(super) fn n_requests(&self) -> usize {
        self.server.requests().len()
    }

    /// Moves the clock to one wait after the other, whenever so many are waiting; never ends.
    pub(super) async fn pass_time(&self, n_asleep: usize) {
        loop {
            self.clock.until_asleep(n_asleep).await;
            self.clock.advance_to_next();
            tokio::task::yield_now().await;
        }
    }
}

/// Providers that are all at this server, with a key for each.
pub(crate) fn providers(server: &ProviderServer) -> Providers {
    let mut settings = Settings::new();
    for vendor in VENDORS {
        let path = if vendor.wire.is_below_v1() { "/v1" } else { "" };
        settings = settings.with_key(vendor.name, KEY).with_base_url(vendor.name, server.url(path));
    }
    Providers::new(settings).expect("the settings are fine")
}

/// A request that somebody above makes again, so nothing below does.
pub(super) fn one_try() -> ChatRequest {
    ChatRequest { caller: Caller { attempt: 1, ..Caller::default() }, ..request() }
}

/// The first call is struck; the second try is answered.
pub(super) async fn check_recovers(fault: impl Into<WireFault>) {
    let fault = fault.into();
    for name in MODELS {
        let world = World::ruled(FaultRule::provider("m", fault.clone()));
        let reply = world.ask(name).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((reply.text.as_str(), world.n_requests()), (TEXT, 2), "{name}: {fault}");
        assert_eq!(world.governor.status().n_in_flight, 0);
    }
}

/// Every call is struck, and the caller is told after so many of them.
pub(super) async fn check_fails(
    fault: impl Into<WireFault>,
    kind: ModelErrorKind,
    n_calls: usize,
) -> Vec<ModelError> {
    let fault = fault.into();
    let mut errors = Vec::new();
    for name in MODELS {
        let world = World::ruled(FaultRule::provider("m", fault.clone()).times(u32::MAX));
        let error = world.ask(name).await.expect_err(name);
        assert_eq!((error.kind, world.n_requests()), (kind, n_calls), "{name}: {fault}: {error}");
        assert_eq!(world.governor.status().n_in_flight, 0);
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        errors.push(error);
    }
    errors
}

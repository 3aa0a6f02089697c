//! A model of a provider.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{FutureExt as _, stream};
use greenroom_core::budget::Price;
use greenroom_core::model::{
    ChatEvent, ChatModel, ChatOptions, ChatReply, ChatRequest, ChatStream, ModelError,
};
use reqwest::Response;

use super::exchange::{Accepted, Endpoint, Unaccepted};
use super::lanes::Claim;
use crate::wire::{Decoder, Limits, OutputStyle, Quirks, Wire, is_of_force};

/// A model of a provider, asked over HTTP. Cheap to clone.
///
/// Each request carries the whole conversation, put in order (see [`greenroom_core::history`]). A request is
/// made once: trying again, waiting and limiting belong to the decorators around a model.
#[derive(Clone)]
pub struct HttpModel(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    endpoint: Endpoint,
    model: String,
    wire: Wire,
    quirks: Quirks,
    /// Whether the provider was found to refuse forced calls of this model.
    refuses_force: Arc<AtomicBool>,
    options: ChatOptions,
    output_tokens_max: Option<u32>,
    limits: Limits,
    price: Option<Price>,
}

impl HttpModel {
    pub(super) fn new(endpoint: Endpoint, model: String, wire: Wire, quirks: Quirks) -> Self {
        let (options, limits) = (ChatOptions::default(), Limits::default());
        let (output_tokens_max, price) = (None, None);
        Self(Arc::new(Inner {
            endpoint,
            model,
            wire,
            quirks,
            refuses_force: Arc::default(),
            options,
            output_tokens_max,
            limits,
            price,
        }))
    }

    /// The model, by its provider's name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.model
    }

    /// Sets options for every request that leaves them open.
    #[must_use]
    pub fn with_options(mut self, options: ChatOptions) -> Self {
        Arc::make_mut(&mut self.0).options = options;
        self
    }

    /// Sets the limit on output tokens for every request that has none. Default: none, and 8,192 (32,768 for
    /// a model that is to think) at Anthropic, whose wire demands one.
    #[must_use]
    pub fn with_output_tokens_max(mut self, tokens: u32) -> Self {
        Arc::make_mut(&mut self.0).output_tokens_max = Some(tokens);
        self
    }

    /// Sets how the model is asked for a shape of its output. Default: what its vendor is known to take.
    #[must_use]
    pub fn with_output_style(mut self, style: OutputStyle) -> Self {
        Arc::make_mut(&mut self.0).quirks.output = style;
        self
    }

    /// Sets what its tokens cost. Default: what [`PRICES`](super::PRICES) says of it, and else unknown.
    #[must_use]
    pub fn with_price(mut self, price: Option<Price>) -> Self {
        Arc::make_mut(&mut self.0).price = price;
        self
    }

    /// Sets how long a reply may be. Default: see [`Limits`].
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        Arc::make_mut(&mut self.0).limits = limits;
        self
    }
}

impl HttpModel {
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }
}

impl fmt::Debug for HttpModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpModel")
            .field("name", &self.0.endpoint.name)
            .field("url", &self.0.endpoint.url.as_str())
            .field("wire", &self.0.wire)
            .finish_non_exhaustive()
    }
}

impl ChatModel for HttpModel {
    fn name(&self) -> &str {
        &self.0.endpoint.name
    }

    fn price(&self) -> Option<Price> {
        self.0.price
    }

    fn stream(&self, request: ChatRequest) -> ChatStream {
        let exchange = Exchange {
            model: Arc::clone(&self.0),
            phase: Phase::New(request),
            ready: Vec::new(),
            failure: None,
            request_id: None,
            n_bytes_sent: 0,
            was_shown: false,
        };
        // Boxed once more, so that what is moved for each event is small.
        Box::pin(stream::unfold(Box::new(exchange), |mut exchange| async move {
            let event = exchange.next().await?;
            Some((event, exchange))
        }))
    }
}

/// One request being answered. It is dropped with its stream, and its connection with it.
struct Exchange {
    model: Arc<Inner>,
    phase: Phase,
    /// What is to be told, the next event last.
    ready: Vec<ChatEvent>,
    /// What is told after it.
    failure: Option<ModelError>,
    request_id: Option<String>,
    n_bytes_sent: usize,
    /// Whether a part of the reply was told.
    was_shown: bool,
}

enum Phase {
    /// Nothing is sent before somebody asks for the first event.
    New(ChatRequest),
    Reading {
        response: Response,
        decoder: Decoder,
        _claim: Claim,
    },
    Over,
}

impl Exchange {
    async fn next(&mut self) -> Option<Result<ChatEvent, ModelError>> {
        loop {
            if let Some(event) = self.ready.pop() {
                return Some(Ok(event));
            }
            if let Some(error) = self.failure.take() {
                return Some(Err(error));
            }
            match &mut self.phase {
                Phase::New(request) => {
                    let request = std::mem::take(request);
                    self.phase = Phase::Over;
                    self.send(request).await;
                }
                Phase::Reading { .. } => self.read().await,
                Phase::Over => return None,
            }
        }
    }

    async fn send(&mut self, request: ChatRequest) {
        let model = Arc::clone(&self.model);
        let ChatRequest { options, output_tokens_max, .. } = request;
        let request = ChatRequest {
            options: options.or(&model.options),
            output_tokens_max: output_tokens_max.or(model.output_tokens_max),
            ..request
        };
        let key = request.caller.idempotency_key.as_deref();
        match self.sent(&model, &request, key).await {
            Ok(accepted) => {
                self.request_id.clone_from(&accepted.meta.request_id);
                self.ready.push(ChatEvent::Meta(accepted.meta));
                let decoder = model.wire.decoder_within(&model.endpoint.name, model.limits);
                let Accepted { response, claim: _claim, .. } = accepted;
                self.phase = Phase::Reading { response, decoder, _claim };
            }
            Err((meta, error)) => {
                self.ready.extend(meta.map(ChatEvent::Meta));
                self.failure = Some(error);
            }
        }
    }

    /// A request that makes the model call a tool, and is refused for that, is sent once more without.
    async fn sent(
        &mut self,
        model: &Inner,
        request: &ChatRequest,
        key: Option<&str>,
    ) -> Result<Accepted, Unaccepted> {
        let body = |quirks| model.wire.written(&model.model, request, quirks);
        let mut quirks = model.quirks;
        quirks.no_forced_calls |= model.refuses_force.load(Ordering::Relaxed);
        let first = body(quirks);
        self.n_bytes_sent = first.len();
        let refused = match model.endpoint.send(first, key).await {
            Err(refused) if is_of_force(&refused.1) => refused,
            sent => return sent,
        };
        let again = body(Quirks { no_forced_calls: true, ..quirks });
        if again == body(quirks) {
            return Err(refused);
        }
        model.refuses_force.store(true, Ordering::Relaxed);
        self.n_bytes_sent = again.len();
        // Another body is another request, to whoever keeps to keys.
        let key = key.map(|key| format!("{key}/unforced"));
        model.endpoint.send(again, key.as_deref()).await
    }

    async fn read(&mut self) {
        let Phase::Reading { response, decoder, .. } = &mut self.phase else { return };
        let read = match response.chunk().await {
            Ok(Some(bytes)) => decoder.push(&bytes, &mut self.ready),
            Ok(None) => decoder.end(&mut self.ready),
            Err(_) => Err(self.model.endpoint.broken()),
        };
        if decoder.is_finished() {
            // The end of the body is often there already, and a body that was read to its end gives its
            // connection back. Nobody waits for it.
            let _ = response.chunk().now_or_never();
        }
        if decoder.is_finished() || read.is_err() {
            self.phase = Phase::Over;
        }
        for event in &mut self.ready {
            match event {
                ChatEvent::Finished(reply) => estimate(reply, self.n_bytes_sent),
                _ => self.was_shown = true,
            }
        }
        self.ready.reverse();
        if let Err(error) = read {
            let error = self.model.endpoint.shown(error, self.request_id.as_deref());
            self.failure = Some(ModelError { is_partial: self.was_shown, ..error });
        }
    }
}

/// Estimates the tokens that were sent, where the provider counted none.
fn estimate(reply: &mut ChatReply, n_bytes_sent: usize) {
    let ChatReply { usage, .. } = reply;
    if usage.estimated_calls > 0 && usage.input_tokens == 0 {
        usage.input_tokens = n_bytes_sent.div_ceil(4) as u64;
    }
}

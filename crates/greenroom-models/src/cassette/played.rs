//! Models and embedders whose calls go through a cassette.

use std::fmt;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use greenroom_core::BoxFuture;
use greenroom_core::budget::Price;
use greenroom_core::embedder::{Embedder, Embeddings, TellLimits};
use greenroom_core::model::{ChatModel, ChatRequest, ChatStream, ModelError, ModelErrorKind};

use super::Cassette;
use super::line::{self, Embedded, Line, Told};

/// A model whose calls go through a [`Cassette`].
pub struct TapedModel {
    cassette: Cassette,
    name: Arc<str>,
    /// `None` when there are only recordings.
    model: Option<Arc<dyn ChatModel>>,
}

/// An embedder whose calls go through a [`Cassette`].
pub struct TapedEmbedder {
    cassette: Cassette,
    name: Arc<str>,
    embedder: Option<Arc<dyn Embedder>>,
}

impl TapedModel {
    pub(super) fn new(cassette: Cassette, name: String, model: Option<Arc<dyn ChatModel>>) -> Self {
        Self { cassette, name: name.into(), model }
    }
}

impl TapedEmbedder {
    pub(super) fn new(
        cassette: Cassette,
        name: String,
        embedder: Option<Arc<dyn Embedder>>,
    ) -> Self {
        Self { cassette, name: name.into(), embedder }
    }
}

impl ChatModel for TapedModel {
    fn name(&self) -> &str {
        &self.name
    }

    fn price(&self) -> Option<Price> {
        self.model.as_ref()?.price()
    }

    fn stream(&self, request: ChatRequest) -> ChatStream {
        let (cassette, name) = (self.cassette.clone(), self.name.to_string());
        // A cassette that only replays asks nobody, whoever is there.
        let model = self.model.clone().filter(|_| cassette.is_recording());
        Box::pin(
            stream::once(async move {
                let said = line::of_chat(&request);
                let asked = Line::Chat { model: name, request: said, events: Vec::new() };
                match (cassette.find(&asked), model) {
                    (Ok(Line::Chat { events, .. }), _) => {
                        stream::iter(events.into_iter().map(Told::event)).boxed()
                    }
                    (_, Some(model)) => recorded(model.stream(request), cassette, asked),
                    (Ok(_), None) => failed(&cassette, &asked, "it is no reply"),
                    (Err(why), None) => failed(&cassette, &asked, &why),
                }
            })
            .flatten(),
        )
    }
}

fn failed(cassette: &Cassette, asked: &Line, why: &str) -> ChatStream {
    let error = cassette.error(asked.model(), why);
    stream::once(std::future::ready(Err(error))).boxed()
}

/// A reply that is recorded once it is whole.
fn recorded(inner: ChatStream, cassette: Cassette, asked: Line) -> ChatStream {
    let state = Some((inner, cassette, asked));
    Box::pin(stream::unfold(state, |state| async {
        let (mut inner, cassette, mut line) = state?;
        let event = inner.next().await?;
        let told = Told::of(&event);
        let is_last = told.as_ref().is_some_and(Told::is_last);
        if let Line::Chat { events, .. } = &mut line {
            events.extend(told);
        }
        if !is_last {
            return Some((event, Some((inner, cassette, line))));
        }
        // A recording that is lost must be seen where it is lost.
        Some((cassette.record(line).and(event), None))
    }))
}

impl Embedder for TapedEmbedder {
    fn name(&self) -> &str {
        &self.name
    }

    fn price(&self) -> Option<Price> {
        self.embedder.as_ref()?.price()
    }

    fn embed(&self, texts: Arc<[String]>) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
        self.embed_telling(texts, Arc::new(|_| {}))
    }

    fn embed_telling(
        &self,
        texts: Arc<[String]>,
        tell: TellLimits,
    ) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
        let (cassette, name) = (self.cassette.clone(), self.name.to_string());
        let embedder = self.embedder.clone().filter(|_| cassette.is_recording());
        Box::pin(async move {
            if texts.is_empty() {
                return Ok(Embeddings::default());
            }
            let request = line::of_texts(&texts);
            let nothing = Embedded::Vectors { vectors: Vec::new(), usage: Default::default() };
            let asked =
                Line::Embed { model: name.clone(), request: request.clone(), outcome: nothing };
            match (cassette.find(&asked), embedder) {
                (Ok(Line::Embed { outcome, .. }), _) => outcome.outcome(),
                (_, Some(embedder)) => {
                    let made = embedder.embed_telling(texts, tell).await;
                    let outcome = Embedded::of(&made);
                    cassette.record(Line::Embed { model: name, request, outcome })?;
                    made
                }
                (Ok(_), None) => Err(cassette.error(&name, "it is no embedding")),
                (Err(why), None) => Err(cassette.error(&name, &why)),
            }
        })
    }
}

impl Cassette {
    /// The recording of a request, or why there is none.
    fn find(&self, asked: &Line) -> Result<Line, String> {
        if !self.replays() {
            return Err(String::new());
        }
        self.state().tape.take(asked.clone())
    }

    fn is_recording(&self) -> bool {
        self.state().file.is_some()
    }

    fn error(&self, model: &str, why: &str) -> ModelError {
        let message = format!("cassette {}: {why}", self.shared.path.display());
        ModelError::new(ModelErrorKind::InvalidRequest, model, message)
    }
}

impl fmt::Debug for TapedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TapedModel({})", self.name)
    }
}

impl fmt::Debug for TapedEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TapedEmbedder({})", self.name)
    }
}

//! An embedder that needs neither weights nor a network, and understands nothing.

use std::collections::VecDeque;
use std::fmt;
use std::future;
use std::sync::{Arc, Mutex, PoisonError};

use greenroom_core::BoxFuture;
use greenroom_core::budget::{Price, Usage};
use greenroom_core::embedder::{Embedder, Embeddings};
use greenroom_core::model::{ModelError, ModelErrorKind};
use greenroom_core::random::SplitMix64;

/// How many numbers a vector has, unless somebody says so.
pub(crate) const DIMENSIONS: usize = 64;

/// The letters of a piece of a word.
const PIECE: usize = 3;

/// An embedder for tests: a text's vector is the sum of random directions, one for each three letters in a row of
/// its words.
///
/// It is no model of meaning. Texts that are spelled alike are near each other, so that a word with a slip
/// finds the right one, and a word's synonym finds nothing. The same text has the same vector always. It
/// counts what it is asked.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
///
/// use greenroom_core::embedder::Embedder as _;
/// use greenroom_testkit::HashedEmbedder;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let embedder = HashedEmbedder::new("hashed");
/// let found = embedder.embed(Arc::from(["mailbox".to_owned()])).await.expect("it always answers");
/// assert_eq!((found.vectors.len(), found.vectors[0].len()), (1, 64));
/// assert_eq!(embedder.asked(), ["mailbox"]);
/// # }
/// ```
#[derive(Clone)]
pub struct HashedEmbedder {
    name: String,
    dimensions: usize,
    price: Option<Price>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    asked: Vec<String>,
    n_requests: usize,
    outcomes: VecDeque<Next>,
    always: Option<Next>,
}

/// What becomes of a request.
#[derive(Clone)]
enum Next {
    Answers,
    Fails(ModelErrorKind),
    Hangs,
}

impl HashedEmbedder {
    /// An embedder that always answers.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let state = Arc::default();
        Self { name: name.into(), dimensions: DIMENSIONS, price: None, state }
    }

    /// Gives vectors of so many numbers.
    #[must_use]
    pub fn dimensions(mut self, dimensions: usize) -> Self {
        self.dimensions = dimensions;
        self
    }

    /// Has a price.
    #[must_use]
    pub fn price(mut self, price: Price) -> Self {
        self.price = Some(price);
        self
    }

    /// Answers so many requests, and fails the one behind them.
    #[must_use]
    pub fn failing_after(self, n_requests: usize, kind: ModelErrorKind) -> Self {
        self.then(n_requests, Next::Fails(kind))
    }

    /// Answers so many requests, and never the one behind them.
    #[must_use]
    pub fn hanging_after(self, n_requests: usize) -> Self {
        self.then(n_requests, Next::Hangs)
    }

    fn then(self, n_requests: usize, next: Next) -> Self {
        let mut state = self.state();
        state.outcomes.extend(std::iter::repeat_n(Next::Answers, n_requests));
        state.outcomes.push_back(next);
        drop(state);
        self
    }

    /// From now on fails every request.
    pub fn fail(&self, kind: ModelErrorKind) {
        self.state().always = Some(Next::Fails(kind));
    }

    /// From now on never answers.
    pub fn hang(&self) {
        self.state().always = Some(Next::Hangs);
    }

    /// From now on answers again.
    pub fn recover(&self) {
        self.state().always = None;
    }

    /// Every text that it was asked for, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.state().asked.clone()
    }

    /// How many requests there were.
    #[must_use]
    pub fn n_requests(&self) -> usize {
        self.state().n_requests
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self, texts: &[String]) -> Next {
        let mut state = self.state();
        state.n_requests += 1;
        state.asked.extend(texts.iter().cloned());
        let next = state.outcomes.pop_front();
        state.always.clone().or(next).unwrap_or(Next::Answers)
    }
}

impl Embedder for HashedEmbedder {
    fn name(&self) -> &str {
        &self.name
    }

    fn price(&self) -> Option<Price> {
        self.price
    }

    fn embed(&self, texts: Arc<[String]>) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
        let this = self.clone();
        Box::pin(async move {
            if texts.is_empty() {
                return Ok(Embeddings::default());
            }
            match this.next(&texts) {
                Next::Answers => {}
                Next::Fails(kind) => {
                    return Err(ModelError::new(kind, this.name, "as the test says"));
                }
                Next::Hangs => return future::pending().await,
            }
            let vectors = texts.iter().map(|text| hashed(text, this.dimensions)).collect();
            let n_tokens = texts.iter().map(|text| text.len().div_ceil(4) as u64).sum();
            let usage = Usage { model_calls: 1, input_tokens: n_tokens, ..Usage::default() };
            Ok(Embeddings { vectors, usage: usage.priced(this.price) })
        })
    }
}

impl fmt::Debug for HashedEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashedEmbedder({})", self.name)
    }
}

/// The vector of a text, of length 1. A text without words has one of its own.
pub(crate) fn hashed(text: &str, dimensions: usize) -> Vec<f32> {
    let mut sum = vec![0.0_f64; dimensions];
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    for word in words {
        let letters: Vec<char> = format!(" {} ", word.to_lowercase()).chars().collect();
        for piece in letters.windows(PIECE) {
            let seed = piece.iter().fold(7, |seed: u64, letter| {
                seed.wrapping_mul(0x100_0000_01b3).wrapping_add(u64::from(*letter))
            });
            let mut random = SplitMix64::new(seed);
            sum.iter_mut().for_each(|number| *number += random.unit() - 0.5);
        }
    }
    let length = sum.iter().map(|number| number * number).sum::<f64>().sqrt();
    if length == 0.0 {
        sum[0] = 1.0;
        return sum.into_iter().map(|number| number as f32).collect();
    }
    sum.into_iter().map(|number| (number / length) as f32).collect()
}

//! A source of passages that a test writes.

use std::fmt;
use std::future;
use std::sync::Arc;
use std::time::Duration;

use greenroom_core::BoxFuture;
use greenroom_core::retriever::{Passage, Query, RetrieveError, RetrieveErrorKind, Retriever};

use crate::calls::Calls;

/// A passage of a source that starts at a line and scores 1. Its last line follows from the text.
#[must_use]
pub fn passage(source: impl Into<String>, start_line: u32, text: impl Into<String>) -> Passage {
    let text = text.into();
    let n_newlines = u32::try_from(text.matches('\n').count()).unwrap_or(u32::MAX);
    Passage {
        source: source.into(),
        start_line,
        end_line: start_line.saturating_add(n_newlines),
        heading: Vec::new(),
        score: 1.0,
        text,
        also_at: Vec::new(),
        ranks: None,
    }
}

#[derive(Debug, Clone)]
enum Fault {
    Error(RetrieveError),
    Hang,
    Panic(String),
}

type Fits = dyn Fn(&str) -> bool + Send + Sync;

/// A retriever that answers queries by rules, and records them.
///
/// The passages of every rule that fits the query are found, best score first, rules in order where
/// scores are equal.
///
/// # Examples
///
/// ```
/// use greenroom_testkit::{ScriptedRetriever, passage};
///
/// let docs = ScriptedRetriever::new("docs")
///     .on("capacity", [passage("docs/mailboxes.md", 12, "The default capacity is 64.")]);
/// # let _ = docs;
/// ```
#[derive(Clone)]
pub struct ScriptedRetriever {
    name: Arc<str>,
    description: Arc<str>,
    rules: Vec<(Arc<Fits>, Vec<Passage>)>,
    delay: Duration,
    fault: Option<Fault>,
    calls: Calls<Query>,
}

impl ScriptedRetriever {
    /// A source that holds nothing yet.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            description: "Passages that a test wrote.".into(),
            rules: Vec::new(),
            delay: Duration::ZERO,
            fault: None,
            calls: Calls::new(),
        }
    }

    /// Sets what the planner is told of the source.
    #[must_use]
    pub fn description(mut self, description: impl Into<Arc<str>>) -> Self {
        self.description = description.into();
        self
    }

    /// Finds passages for every query that contains a word, in any case.
    #[must_use]
    pub fn on(self, word: impl Into<String>, passages: impl IntoIterator<Item = Passage>) -> Self {
        let word = word.into().to_lowercase();
        self.when(move |query| query.to_lowercase().contains(&word), passages)
    }

    /// Finds passages for every query that a function accepts.
    #[must_use]
    pub fn when(
        mut self,
        fits: impl Fn(&str) -> bool + Send + Sync + 'static,
        passages: impl IntoIterator<Item = Passage>,
    ) -> Self {
        self.rules.push((Arc::new(fits), passages.into_iter().collect()));
        self
    }

    /// Waits in tokio's time before each answer, failures and panics included.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Fails every search with an error of a kind.
    #[must_use]
    pub fn failing(mut self, kind: RetrieveErrorKind) -> Self {
        let (source_name, message) = (self.name.to_string(), "as the script says".to_owned());
        self.fault = Some(Fault::Error(RetrieveError { kind, source_name, message }));
        self
    }

    /// Never answers a search.
    #[must_use]
    pub fn hanging(mut self) -> Self {
        self.fault = Some(Fault::Hang);
        self
    }

    /// Panics in every search with a message.
    #[must_use]
    pub fn panicking(mut self, message: impl Into<String>) -> Self {
        self.fault = Some(Fault::Panic(message.into()));
        self
    }

    /// The record of the searches; stays valid when the retriever is given away.
    #[must_use]
    pub fn calls(&self) -> Calls<Query> {
        self.calls.clone()
    }

    fn found(&self, query: &Query) -> Vec<Passage> {
        let rules = self.rules.iter().filter(|(fits, _)| fits(&query.text));
        let mut found: Vec<_> = rules.flat_map(|(_, passages)| passages.iter().cloned()).collect();
        found.sort_by(|left, right| right.score.total_cmp(&left.score));
        found.truncate(query.top_k);
        found
    }
}

impl fmt::Debug for ScriptedRetriever {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedRetriever")
            .field("name", &self.name)
            .field("n_rules", &self.rules.len())
            .field("fault", &self.fault)
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

impl Retriever for ScriptedRetriever {
    fn name(&self) -> &str {
        &self.name
    }

    fn description(&self) -> &str {
        &self.description
    }

    fn search(&self, query: Query) -> BoxFuture<'static, Result<Vec<Passage>, RetrieveError>> {
        let retriever = self.clone();
        Box::pin(async move {
            let (_, _in_flight) = retriever.calls.begin(query.clone());
            if !retriever.delay.is_zero() {
                tokio::time::sleep(retriever.delay).await;
            }
            match &retriever.fault {
                None => Ok(retriever.found(&query)),
                Some(Fault::Error(error)) => Err(error.clone()),
                Some(Fault::Hang) => future::pending().await,
                Some(Fault::Panic(message)) => panic!("{message}"),
            }
        })
    }
}

#[cfg(test)]
mod tests;

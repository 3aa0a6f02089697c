//! Retrieval agents: they own sources, ask several at once, and fuse the rankings.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use greenroom_core::budget::Usage;
use greenroom_core::ids::AgentId;
use greenroom_core::retriever::{
    Found as FoundInSource, ModelAsk, Passage, Query, RetrieveError, RetrieveErrorKind, Retriever,
    SearchCost, fuse,
};

use crate::actor::address::Reply;
use crate::actor::effect::EffectError;
use crate::actor::{Actor, Context, Failure};
use crate::run::account::Account;

/// What a retrieval agent answers: passages, and the sources that could not be asked.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Found {
    /// Best first.
    pub(crate) passages: Vec<Passage>,
    /// What went wrong; the other sources were asked all the same.
    pub(crate) errors: Vec<RetrieveError>,
    /// What the sources asked of models.
    pub(crate) costs: Vec<SearchCost>,
}

/// Who pays for what a search asks of models.
#[derive(Clone)]
pub(crate) struct Payer {
    pub(crate) account: Arc<Account>,
    pub(crate) agent: AgentId,
}

/// A question for a retrieval agent.
pub(crate) struct Search {
    pub(crate) query: Query,
    pub(crate) payer: Payer,
    pub(crate) reply: Reply<Found>,
}

/// The messages of a retrieval agent.
pub(crate) enum RetrievalMessage {
    Search(Search),
    Answered { search: u64, source: usize, result: Result<Paid, EffectError> },
}

type SourceResult = Result<FoundInSource, RetrieveError>;

/// What a source answered, and what it had asked of a model for that: also when it found nothing out.
pub(crate) struct Paid {
    answer: SourceResult,
    cost: Option<Box<SearchCost>>,
}

/// A search under way.
struct Open {
    top_k: usize,
    reply: Reply<Found>,
    answers: Vec<Option<SourceResult>>,
    costs: Vec<SearchCost>,
}

/// Owns sources. It keeps no run's state: whoever asks journals the question and the answer.
pub(crate) struct RetrievalAgent {
    sources: Arc<[Arc<dyn Retriever>]>,
    source_timeout: Duration,
    open: BTreeMap<u64, Open>,
    n_searches: u64,
}

impl RetrievalAgent {
    pub(crate) fn new(sources: Arc<[Arc<dyn Retriever>]>, source_timeout: Duration) -> Self {
        Self { sources, source_timeout, open: BTreeMap::new(), n_searches: 0 }
    }

    fn search(&mut self, search: &Search, context: &Context<'_, Self>) {
        self.n_searches += 1;
        let id = self.n_searches;
        let (top_k, reply) = (search.query.top_k, search.reply.take());
        let answers = self.sources.iter().map(|_| None).collect();
        self.open.insert(id, Open { top_k, reply, answers, costs: Vec::new() });
        for (i, source) in self.sources.iter().enumerate() {
            let (query, payer) = (search.query.clone(), search.payer.clone());
            context.effect(
                "search",
                self.source_timeout,
                paid(Arc::clone(source), query, payer),
                move |result| RetrievalMessage::Answered { search: id, source: i, result },
            );
        }
        self.answer_if_complete(id);
    }

    fn answer_if_complete(&mut self, id: u64) {
        let is_complete = self.open.get(&id).is_some_and(|o| o.answers.iter().all(Option::is_some));
        if !is_complete {
            return;
        }
        let Some(open) = self.open.remove(&id) else { return };
        let (mut rankings, mut errors) = (Vec::new(), Vec::new());
        for answer in open.answers.into_iter().flatten() {
            match answer {
                Ok(FoundInSource { passages, without, .. }) => {
                    rankings.push(passages);
                    errors.extend(without);
                }
                Err(error) => errors.push(error),
            }
        }
        // A single ranking keeps its own scores, which say more than its ranks.
        let passages = match rankings.len() {
            1 => rankings.pop().unwrap_or_default(),
            _ => fuse(rankings, open.top_k),
        };
        // An asker that has gone needs no answer.
        let _ = open.reply.send(Found { passages, errors, costs: open.costs });
    }

    fn failure(&self, source: usize, error: &EffectError) -> RetrieveError {
        let kind = match error {
            EffectError::TimedOut(_) => RetrieveErrorKind::Timeout,
            _ => RetrieveErrorKind::Unavailable,
        };
        let source_name = self.sources[source].name().to_owned();
        RetrieveError { kind, source_name, message: error.to_string() }
    }
}

/// Searches a source once there is room for what that asks of a model: by words alone, when a limit of the run is
/// in the way.
async fn paid(source: Arc<dyn Retriever>, mut query: Query, payer: Payer) -> Paid {
    let Some(ModelAsk { model, estimate }) = source.asks(&query) else {
        return Paid::of(source.find(query).await);
    };
    let reserved = payer.account.reserve(estimate, &payer.agent, &model).await;
    query.by_words = reserved.is_err();
    let mut paid = Paid::of(source.find(query).await);
    if let Ok(reservation) = reserved {
        // A call counts when it begins, whatever comes of it.
        let usage = Usage { model_calls: 1, ..Usage::default() }.priced(estimate.price);
        let cost = paid.cost.get_or_insert_with(|| Box::new(SearchCost { model, usage }));
        reservation.settle(cost.usage);
    }
    paid
}

impl Paid {
    fn of(mut answer: SourceResult) -> Self {
        let cost = answer.as_mut().ok().and_then(|found| found.cost.take()).map(Box::new);
        Self { answer, cost }
    }
}

impl Actor for RetrievalAgent {
    type Message = RetrievalMessage;

    fn handle(
        &mut self,
        message: &RetrievalMessage,
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        match message {
            RetrievalMessage::Search(search) => self.search(search, context),
            RetrievalMessage::Answered { search, source, result } => {
                let (answer, cost) = match result {
                    Ok(Paid { answer, cost }) => (answer.clone(), cost.clone()),
                    Err(error) => (Err(self.failure(*source, error)), None),
                };
                if let Some(open) = self.open.get_mut(search) {
                    open.answers[*source] = Some(answer);
                    open.costs.extend(cost.map(|cost| *cost));
                }
                self.answer_if_complete(*search);
            }
        }
        Ok(())
    }
}

impl fmt::Debug for RetrievalMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Search(_) => "Search",
            Self::Answered { .. } => "Answered",
        })
    }
}

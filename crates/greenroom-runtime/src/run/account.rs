//! The account of a run as its agents use it: calls that have to wait for others do, and whatever ends a
//! call gives its place back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use greenroom_core::budget::{Admission, Estimate, Hold, Ledger, Limit, Spent, Usage};
use greenroom_core::ids::AgentId;
use greenroom_core::model::{ChatModel, ChatReply, ChatRequest, ModelError, converse};
use tokio::sync::Notify;

/// Why a call of a model has no reply.
#[derive(Debug, Clone)]
pub(crate) enum Unanswered {
    /// It was not made: a limit of the run was reached.
    Limit(Limit),
    Model(ModelError),
}

/// The ledger of a run, and the bell that is rung when a call is settled.
pub(crate) struct Account {
    ledger: Mutex<Ledger>,
    settled: Notify,
}

impl Account {
    pub(crate) fn new(ledger: Ledger) -> Self {
        Self { ledger: Mutex::new(ledger), settled: Notify::new() }
    }

    /// Asks a model once there is room for the call, and settles what it did cost. How long that takes is for
    /// the caller to bound.
    pub(crate) async fn ask(
        self: &Arc<Self>,
        agent: &AgentId,
        model: &dyn ChatModel,
        request: ChatRequest,
        on_text: impl FnMut(String),
    ) -> Result<ChatReply, Unanswered> {
        let call = Estimate {
            input_tokens: request.input_tokens_estimated(),
            output_tokens_max: request.output_tokens_max.map(u64::from),
            price: model.price(),
        };
        let reservation = self.reserve(call, agent, model.name()).await;
        let reservation = reservation.map_err(Unanswered::Limit)?;
        let reply = converse(model, request, on_text).await.map_err(Unanswered::Model)?;
        let usage = reply.usage.priced(call.price);
        reservation.settle(usage);
        Ok(ChatReply { usage, ..reply })
    }

    /// Reserves a call once there is room for it.
    pub(crate) async fn reserve(
        self: &Arc<Self>,
        call: Estimate,
        agent: &AgentId,
        model: &str,
    ) -> Result<Reservation, Limit> {
        loop {
            // Made before the ledger is asked, so that no bell is missed in between.
            let settled = self.settled.notified();
            let admission = self.lock().reserve_model_call(&call)?;
            if let Admission::Now(hold) = admission {
                let (account, agent) = (Arc::clone(self), agent.clone());
                let (hold, model, usage) = (Some(hold), model.to_owned(), None);
                return Ok(Reservation { account, hold, agent, model, usage });
            }
            settled.await;
        }
    }

    pub(crate) fn spend_tool_call(&self) -> Result<(), Limit> {
        self.lock().spend_tool_call()
    }

    /// What has been spent.
    pub(crate) fn spent(&self) -> Usage {
        self.lock().spent()
    }

    /// What each agent has spent on each model.
    pub(crate) fn spending(&self) -> Vec<Spent> {
        self.lock().spending().to_vec()
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A model call's place in the budget. Whatever ends the call (an answer, a timeout, a crash of the
/// agent) gives the reservation back.
pub(crate) struct Reservation {
    account: Arc<Account>,
    hold: Option<Hold>,
    agent: AgentId,
    model: String,
    usage: Option<Usage>,
}

impl Reservation {
    pub(crate) fn settle(mut self, usage: Usage) {
        self.usage = Some(usage);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(hold) = self.hold.take() {
            let mut ledger = self.account.lock();
            ledger.settle_model_call(hold, &self.agent, &self.model, self.usage);
        }
        self.account.settled.notify_waiters();
    }
}

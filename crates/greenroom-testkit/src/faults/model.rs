//! A model that a plan strikes.

use std::future;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use greenroom_core::budget::Price;
use greenroom_core::fault::Fault;
use greenroom_core::model::{ChatModel, ChatRequest, ChatStream, ModelError, ModelErrorKind};

use super::rule::Harm;
use super::{FaultPlan, FaultSite};

/// A model with what a plan says of it; made by [`FaultPlan::model`]. A call that is struck and does not go
/// on never reaches the model.
#[derive(Debug, Clone)]
pub struct FaultyModel<M> {
    plan: FaultPlan,
    model: Arc<M>,
}

impl<M: ChatModel> FaultyModel<M> {
    pub(super) fn new(plan: FaultPlan, model: M) -> Self {
        Self { plan, model: Arc::new(model) }
    }

    async fn suffer(plan: &FaultPlan, name: &str) -> Result<(), ModelError> {
        let error = |kind| Err(ModelError::new(kind, name, plan.text()));
        match plan.decide(FaultSite::Model, name) {
            None => Ok(()),
            Some(Harm::Plain(Fault::Delay(span))) => {
                tokio::time::sleep(span).await;
                Ok(())
            }
            Some(Harm::Plain(Fault::Hang)) => future::pending().await,
            Some(Harm::Plain(Fault::Panic)) => panic!("{}", plan.text()),
            Some(Harm::ModelError(kind)) => error(kind),
            Some(_) => error(ModelErrorKind::Unavailable),
        }
    }
}

impl<M: ChatModel> ChatModel for FaultyModel<M> {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn price(&self) -> Option<Price> {
        self.model.price()
    }

    fn stream(&self, request: ChatRequest) -> ChatStream {
        let (plan, model) = (self.plan.clone(), Arc::clone(&self.model));
        let stream = stream::once(async move {
            match Self::suffer(&plan, model.name()).await {
                Ok(()) => model.stream(request),
                Err(error) => stream::once(future::ready(Err(error))).boxed(),
            }
        });
        Box::pin(stream.flatten())
    }
}

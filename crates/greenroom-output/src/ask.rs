//! Asking a model for a value, without an agent.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use greenroom_core::budget::Usage;
use greenroom_core::model::converse;
use greenroom_core::model::{ChatModel, ChatReply, ChatRequest, ModelError, ModelErrorKind};
use greenroom_core::output::{OutputCheck, OutputSchema, Unfit, judge, objection};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::shape::shape;

/// What a model is to answer with: a value of this type.
///
/// # Panics
///
/// When the schema of the type is none, which only one that is written by hand can be.
///
/// # Examples
///
/// ```
/// use greenroom_core::model::ChatRequest;
/// use greenroom_output::output;
/// use greenroom_testkit::{ScriptedModel, ScriptedReply};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), greenroom_output::OutputError> {
/// let model = ScriptedModel::new([ScriptedReply::text("[2, 3, 5]")]);
/// let request = ChatRequest::user("The first three primes?");
/// let primes = output::<Vec<u32>>().ask(&model, request).await?;
/// assert_eq!(primes.value, [2, 3, 5]);
/// # Ok(())
/// # }
/// ```
pub fn output<T: DeserializeOwned + JsonSchema>() -> Output<T> {
    let (schema, check) = shape::<T>();
    Output { schema, check, repairs_max: 2, value: PhantomData }
}

/// A question whose answer is a value. Cheap to keep and to use again; the schema is made once.
#[must_use]
pub struct Output<T> {
    schema: Arc<OutputSchema>,
    check: OutputCheck,
    repairs_max: u32,
    value: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for Output<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("name", &self.schema.name)
            .field("repairs_max", &self.repairs_max)
            .finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned> Output<T> {
    /// How often a reply is sent back with what is wrong with it. Default 2.
    pub fn repairs_max(mut self, repairs_max: u32) -> Self {
        self.repairs_max = repairs_max;
        self
    }

    /// Asks. The request is made at most once more than there are repairs; one that is refused for another
    /// reason than its reply is not made again here: that is for the decorators around the model, and so is
    /// a deadline.
    ///
    /// # Errors
    ///
    /// [`OutputError`], whose kind says why there is no value.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the request that is under way.
    pub async fn ask(
        &self,
        model: &dyn ChatModel,
        request: ChatRequest,
    ) -> Result<Answer<T>, OutputError> {
        let request = ChatRequest { output: Some(Arc::clone(&self.schema)), ..request };
        let mut usage = Usage::default();
        let mut next = request.clone();
        let mut last = None;
        for n_left in (0..=self.repairs_max).rev() {
            let (reply, unfit) = match converse(model, next, |_| {}).await {
                Ok(reply) => {
                    usage.add(Usage { model_calls: 1, ..reply.usage });
                    match self.read(&reply) {
                        Ok(value) => return Ok(Answer { value, usage }),
                        Err(unfit) => (Some(reply.text), unfit),
                    }
                }
                Err(error) => {
                    usage.model_calls += 1;
                    if error.kind != ModelErrorKind::InvalidReply || n_left == 0 {
                        return Err(OutputError::of_model(error, usage));
                    }
                    (None, Unfit::Misfit(error.message))
                }
            };
            if n_left == 0 || !unfit.may_be_repaired(last.as_ref()) {
                return Err(OutputError::of_reply(&unfit, usage));
            }
            next = request.clone();
            Arc::make_mut(&mut next.messages).extend(objection(reply.as_deref(), &unfit));
            last = Some(unfit);
        }
        unreachable!("the last try answers")
    }

    fn read(&self, reply: &ChatReply) -> Result<T, Unfit> {
        let value: Value = judge(reply, &self.check)?;
        serde_json::from_value(value).map_err(|error| Unfit::Misfit(error.to_string()))
    }
}

/// A value, and what it cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer<T> {
    /// The value.
    pub value: T,
    /// What all tries cost together.
    pub usage: Usage,
}

/// Why a model gave no value.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{kind}: {message}")]
#[non_exhaustive]
pub struct OutputError {
    /// What policy reads.
    pub kind: OutputErrorKind,
    /// What people read.
    pub message: String,
    /// What all tries cost together, as far as it is known.
    pub usage: Usage,
    /// The model's own error, when it failed.
    pub source: Option<ModelError>,
}

impl OutputError {
    fn of_model(error: ModelError, usage: Usage) -> Self {
        let (kind, message) = (OutputErrorKind::Model, error.kind.to_string());
        Self { kind, message, usage, source: Some(error) }
    }

    fn of_reply(unfit: &Unfit, usage: Usage) -> Self {
        let kind = match unfit {
            Unfit::Withheld => OutputErrorKind::Refused,
            Unfit::CutOff => OutputErrorKind::CutOff,
            Unfit::Empty => OutputErrorKind::Empty,
            _ => OutputErrorKind::Misfit,
        };
        Self { kind, message: unfit.to_string(), usage, source: None }
    }
}

/// The kinds of [`OutputError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OutputErrorKind {
    /// The model failed.
    Model,
    /// The model, or its provider, refused to answer.
    Refused,
    /// The limit on output tokens cut the text off, twice in a row or on the last try.
    CutOff,
    /// The model answered with nothing, twice in a row or on the last try.
    Empty,
    /// The text does not have the shape, after all repairs.
    Misfit,
}

impl fmt::Display for OutputErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Model => "the model failed",
            Self::Refused => "refused by the model",
            Self::CutOff => "output cut off",
            Self::Empty => "empty output",
            Self::Misfit => "output invalid",
        })
    }
}

#[cfg(test)]
mod tests;

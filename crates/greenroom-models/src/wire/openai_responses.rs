//! OpenAI's Responses, without their storage: each request carries the whole conversation.

mod decode;
mod encode;

pub(super) use decode::Decode;
pub(super) use encode::encode;

/// The name under which thoughts are kept; only this wire takes them back.
const NAME: &str = "openai_responses";

#[cfg(test)]
pub(super) mod tests;

//! Anthropic's messages.

mod decode;
mod encode;

pub(super) use decode::Decode;
pub(super) use encode::encode;

/// The name under which thoughts are kept; only this wire takes them back.
const NAME: &str = "anthropic";

#[cfg(test)]
pub(super) mod tests;

//! Ollama's own chat.

mod decode;
mod encode;

pub(super) use decode::Decode;
pub(super) use encode::encode;

#[cfg(test)]
pub(super) mod tests;

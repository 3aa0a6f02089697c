//! OpenAI's chat completions, and the dialects of the vendors that speak them.

mod decode;
mod encode;

pub(super) use decode::Decode;
pub(super) use encode::{encode, written};

#[cfg(test)]
pub(super) mod tests;

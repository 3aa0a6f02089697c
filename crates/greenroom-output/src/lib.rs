//! Typed answers: from a type to a schema, from a model's text to a value of the type.
//!
//! [`shape`] gives what an agent needs to answer with a value; [`output`] asks a model directly. Both validate
//! a text against the whole schema before they read it, so that the model is told every fault with its place
//! and not only the first one. The validator is a heavy dependency, and this crate is its only owner. It opens
//! nothing: a schema that refers to a file or an address is refused.
//!
//! How a provider is told of a schema is not known here, see `greenroom-models`.

mod ask;
mod find;
mod shape;

pub use ask::{Answer, Output, OutputError, OutputErrorKind, output};
pub use shape::shape;

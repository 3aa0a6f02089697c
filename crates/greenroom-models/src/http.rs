//! The models of providers, over HTTP.
//!
//! [`Providers`] turns the name of a model into a [`ChatModel`](greenroom_core::model::ChatModel) or an
//! [`Embedder`](greenroom_core::embedder::Embedder). It holds the connections that all of its
//! models share. What goes over the wire is known to [`wire`](crate::wire) alone.
//!
//! | promise | how |
//! |---|---|
//! | nothing is read from the environment | keys and addresses come in [`Settings`], as values |
//! | a key goes to its own vendor only | redirects are not followed; a bare address gets no vendor's key |
//! | a key is never shown | [`Secret`](greenroom_core::secret::Secret); errors are cleaned of it |
//! | nothing is sent before the first poll | the request is made by the stream |
//! | dropping the stream ends the request | the response goes with it, and its connection |
//! | nothing is unpacked | no compression is asked for, and a compressed reply is refused |
//!
//! The only timeout here is that of connecting. Silence, slowness and retries belong to the decorators.

mod accounts;
mod catalogue;
mod client;
mod embedder;
mod error;
mod exchange;
mod lanes;
mod model;
mod name;
mod prices;
mod providers;
mod settings;
mod vendors;

pub use accounts::Accounts;
pub use embedder::HttpEmbedder;
pub use error::{SetupError, SetupErrorKind};
pub use model::HttpModel;
pub use name::{ModelName, NameError, nearest};
pub use prices::{Listed, PRICES, listed_price};
pub use providers::Providers;
pub use settings::Settings;
pub use vendors::{KeyNeed, VENDORS, Vendor, vendor};

#[cfg(test)]
mod tests;

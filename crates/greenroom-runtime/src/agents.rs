//! The agents that come with the runtime.

pub(crate) mod mailbox;
pub(crate) mod retrieval;
pub(crate) mod router;
pub(crate) mod single;
pub(crate) mod tools;
pub(crate) mod turn;

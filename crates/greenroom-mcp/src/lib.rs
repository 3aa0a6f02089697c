//! The tools of MCP servers: programs that speak the Model Context Protocol on their standard input and output.
//!
//! It starts servers, asks what tools they have, and makes each one a [`DynTool`](greenroom_core::tool::DynTool). It
//! takes no part in anything else of the protocol: a server is offered no files, no model and no person. Nothing here
//! retries a call; nothing that a server says of itself decides what repeating a call would do.
#![cfg(target_os = "linux")]

mod server;

mod client;
mod config;
mod tool;

mod connection;
mod names;
mod output;
mod pace;
mod stdio;

mod error;

pub use client::McpClient;
pub use config::{McpConfig, McpConfigError, McpConfigErrorKind};
pub use error::{McpError, McpErrorKind};
pub use server::{McpServer, Protocol};
pub use tool::McpTool;

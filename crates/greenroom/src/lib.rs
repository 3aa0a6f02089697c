//! Teams of LLM agents in which every agent is a supervised actor.
//!
//! This crate re-exports what an application needs; it has no logic of its own. Start at [`Runtime`].

pub use greenroom_core as core;
#[cfg(feature = "journal")]
pub use greenroom_journal as journal;
#[cfg(all(feature = "mcp", target_os = "linux"))]
pub use greenroom_mcp as mcp;
pub use greenroom_models as models;
#[cfg(feature = "retrieval")]
pub use greenroom_retrieval as retrieval;
pub use greenroom_runtime as runtime;
pub use greenroom_tools as tools;

pub use greenroom_core::approval::{Decision, InDoubt, PendingCall};
pub use greenroom_core::embedder::Embedder;
pub use greenroom_core::fanout::{FanOut, Verdict};
pub use greenroom_core::mailbox::{MailboxSpec, Overflow};
pub use greenroom_core::model::{ChatModel, ChatRequest};
pub use greenroom_core::pool::{PoolSpec, Priority};
pub use greenroom_core::recovery::{OnChange, Parked, ParkedRun, RecoverySpec};
pub use greenroom_core::report::{Goal, Outcome, Report, Status, TaskFailure, TaskFailureKind};
pub use greenroom_core::retriever::{Citation, Passage, Query, Retriever};
pub use greenroom_core::schemars::{self, JsonSchema};
pub use greenroom_core::tool::{Approval, Tool, tool, tool_with};
pub use greenroom_core::watchdog::{OnStuck, WatchdogSpec};
#[cfg(feature = "journal")]
pub use greenroom_journal::{Durability, SqliteJournal, SqliteOptions};
#[cfg(all(feature = "mcp", target_os = "linux"))]
pub use greenroom_mcp::{McpClient, McpConfig, McpServer, McpTool};
pub use greenroom_models::Extractive;
#[cfg(feature = "http")]
pub use greenroom_models::http::{Providers, Settings};
pub use greenroom_output::{Answer, Output, OutputError, OutputErrorKind, output};
#[cfg(feature = "retrieval")]
pub use greenroom_retrieval::{Corpus, CorpusOptions, Embedding};
pub use greenroom_runtime::{
    Actor, Agent, AgentRef, Branch, BranchError, Context, ControlError, Down, DrainReport, Failure,
    Feed, Gathered, Health, HealthState, Job, JobReply, PanicLocations, Persistent, PersistentSpec,
    Pool, PoolError, Recovered, Reply, ResumeError, Run, RunEvent, Runtime, Task, Team, Told,
    VirtualActors, VirtualRef, VirtualSpec, WatchId,
};
pub use greenroom_tools::builtin;

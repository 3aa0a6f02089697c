//! A server in use: it is started again when it is gone, and held to what it said of its tools at first.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use greenroom_core::tool::{ToolError, ToolErrorKind};
use rmcp::model::{JsonObject, Tool};
use serde_json::Value;
use tokio::time::{Instant, timeout};

use crate::connection::{Connection, Tools};
use crate::error::{McpError, McpErrorKind};
use crate::names::{exposed, is_server};
use crate::output::output;
use crate::pace::Pace;
use crate::server::McpServer;
use crate::tool::McpTool;

/// A connected MCP server. Its tools go on working without this handle; the server ends with the last of them.
///
/// | the server | calls at work | later calls |
/// |---|---|---|
/// | ends, or writes too long a message | fail at once | start it again: the first at once, then with growing pauses |
/// | does not answer | time out, and it is told that they are cancelled | are made |
/// | answers what nobody asked, or what was cancelled | go on | are made |
/// | describes a tool otherwise than at first | go on | of that tool are refused |
#[derive(Clone)]
#[must_use]
pub struct McpClient {
    shared: Arc<Shared>,
}

/// What a server's handle and its tools have in common.
pub(crate) struct Shared {
    server: McpServer,
    /// What it said of its tools when it was connected.
    pinned: Tools,
    origin: Instant,
    pace: Mutex<Pace>,
    state: tokio::sync::Mutex<State>,
}

struct State {
    connection: Option<Arc<Connection>>,
    /// What it says of its tools now.
    tools: Tools,
    /// How many of its changes that holds.
    n_changes: u64,
    is_closed: bool,
}

impl McpClient {
    pub(crate) async fn connect(server: McpServer) -> Result<Self, McpError> {
        let fail = |kind, why: &str| Err(McpError::new(&server.name, kind, why));
        if !is_server(&server.name) {
            return fail(
                McpErrorKind::BadName,
                "1 to 32 letters, digits, `-` and single `_`, none of them at an end",
            );
        }
        let (connection, pinned) = Connection::open(&server).await?;
        let mut names = BTreeMap::new();
        for tool in pinned.keys() {
            if let Some(other) = names.insert(exposed(&server.name, tool), tool) {
                let why = format!("{other:?} and {tool:?} would have one name");
                return fail(McpErrorKind::BadTools, &why);
            }
        }
        let connection = Some(Arc::new(connection));
        let state = State { connection, tools: pinned.clone(), n_changes: 0, is_closed: false };
        let shared = Shared {
            server,
            pinned,
            origin: Instant::now(),
            pace: Mutex::default(),
            state: tokio::sync::Mutex::new(state),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The server's tools, in the order of their names.
    #[must_use]
    pub fn tools(&self) -> Vec<McpTool> {
        let tools = self.shared.pinned.values();
        tools.map(|tool| McpTool::new(Arc::clone(&self.shared), tool)).collect()
    }

    /// A tool by the name that the server gives it.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<McpTool> {
        let tool = self.shared.pinned.get(name)?;
        Some(McpTool::new(Arc::clone(&self.shared), tool))
    }

    /// Ends the server: its input is closed, and what is left of it two seconds later is killed; at once, if calls are
    /// at work. Those fail, and all later ones.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future kills the server.
    pub async fn close(&self) {
        let mut state = self.shared.state.lock().await;
        state.is_closed = true;
        let connection = state.connection.take();
        drop(state);
        if let Some(connection) = connection {
            connection.close().await;
        }
    }
}

impl fmt::Debug for McpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpClient")
            .field("server", &self.shared.server)
            .field("tools", &self.shared.pinned.keys())
            .finish()
    }
}

impl Shared {
    pub(crate) fn server(&self) -> &McpServer {
        &self.server
    }

    /// Calls a tool by the name that the server gives it.
    pub(crate) async fn call(
        &self,
        tool: &str,
        arguments: JsonObject,
        may_repeat: bool,
    ) -> Result<Value, ToolError> {
        let connection = self.connected(tool).await?;
        let limits = self.server.limits;
        let Ok(answer) =
            timeout(limits.call_timeout, connection.call(tool, arguments, may_repeat)).await
        else {
            let message = format!("the server did not answer in {:?}", limits.call_timeout);
            return Err(ToolError::new(ToolErrorKind::TimedOut, message));
        };
        let is_gone = connection.is_over();
        let answer = match answer {
            Err(error) if is_gone => return Err(error),
            answer => answer,
        };
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).answered();
        output(answer?, limits.output_len_max)
    }

    /// A connection to a server that says of a tool what it said at first.
    async fn connected(&self, tool: &str) -> Result<Arc<Connection>, ToolError> {
        let mut state = self.state.lock().await;
        if state.is_closed {
            return Err(ToolError::failed("the MCP server was closed"));
        }
        state.connection.take_if(|connection| connection.is_over());
        let connection = match &state.connection {
            Some(connection) => {
                let connection = Arc::clone(connection);
                let n_changes = connection.n_changes();
                if n_changes != state.n_changes {
                    state.tools = self.list(&connection).await?;
                    state.n_changes = n_changes;
                }
                connection
            }
            None => {
                let (connection, tools) = self.reconnect().await?;
                let connection = Arc::new(connection);
                (state.connection, state.tools) = (Some(Arc::clone(&connection)), tools);
                state.n_changes = 0;
                connection
            }
        };
        unchanged(self.pinned.get(tool), state.tools.get(tool))?;
        Ok(connection)
    }

    async fn reconnect(&self) -> Result<(Connection, Tools), ToolError> {
        let now = self.origin.elapsed();
        let started = self.pace.lock().unwrap_or_else(PoisonError::into_inner).start(now);
        started.map_err(|early| {
            let message = format!(
                "the MCP server is gone, and is started again in {early:?} at the earliest"
            );
            ToolError::failed(message)
        })?;
        Connection::open(&self.server).await.map_err(|error| ToolError::failed(error.to_string()))
    }

    async fn list(&self, connection: &Connection) -> Result<Tools, ToolError> {
        let listed = timeout(self.server.limits.connect_timeout, connection.tools()).await;
        // What is not known is not trusted.
        let unknown =
            |why: &str| ToolError::failed(format!("the server's tools have changed: {why}"));
        let tools = listed.map_err(|_| unknown("it does not say how"))?;
        tools.map_err(|(_, why)| unknown(&why))
    }
}

/// Whether a tool is what it was when people chose it.
fn unchanged(pinned: Option<&Tool>, now: Option<&Tool>) -> Result<(), ToolError> {
    let (Some(pinned), Some(now)) = (pinned, now) else {
        return Err(ToolError::new(
            ToolErrorKind::NotFound,
            "the server has no such tool any more",
        ));
    };
    let is_same = pinned.title == now.title
        && pinned.description == now.description
        && pinned.input_schema == now.input_schema
        && pinned.output_schema == now.output_schema
        && pinned.annotations == now.annotations;
    if is_same {
        return Ok(());
    }
    let message = "the server now describes the tool otherwise than when it was connected; \
                   it can be used once somebody has looked at it and connects anew";
    Err(ToolError::new(ToolErrorKind::Denied, message))
}

//! One life of a server: from its start to its end, with the calls that are made of it meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use greenroom_core::tool::{ToolError, ToolErrorKind};
use greenroom_tools::program::Program;
use rmcp::RoleClient;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ClientCapabilities, ClientConfig, Implementation,
    JsonObject, ListToolsRequest, PaginatedRequestParams, ProtocolVersion, ServerResult, Tool,
};
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, RunningService, ServiceError,
    serve_client_with_lifecycle,
};
use tokio::time::timeout;

use crate::error::{McpError, McpErrorKind};
use crate::output::{error_text, refusal};
use crate::server::{McpServer, Protocol};
use crate::stdio::{Life, Stdio};

/// The most tools of a server.
const N_TOOLS_MAX: usize = 512;
/// The most pages that they are listed on.
const N_PAGES_MAX: usize = 64;
/// The most bytes that a tool's description and schema have together, as JSON.
const TOOL_LEN_MAX: usize = 64 << 10;

const GONE: &str = "it is gone";

/// The tools of a server, by the names that it gives them.
pub(crate) type Tools = BTreeMap<String, Tool>;

/// A server that runs and has answered. It is killed when this is dropped.
pub(crate) struct Connection {
    service: RunningService<RoleClient, ClientConfig>,
    life: Arc<Life>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.life.kill();
    }
}

impl Connection {
    /// Starts a server, and asks for its tools.
    pub(crate) async fn open(server: &McpServer) -> Result<(Self, Tools), McpError> {
        let fail = |kind, why: String| McpError::new(&server.name, kind, why);
        let started = Program::start(server.to_command())
            .map_err(|error| fail(McpErrorKind::NotStarted, error.to_string()))?;
        let (stdio, life) = Stdio::new(started, server.limits.message_len_max);
        let opening = async {
            let service = serve_client_with_lifecycle(client(), stdio, mode(server.protocol));
            let service = Box::pin(service).await.map_err(|error| explain(&error))?;
            let connection = Self { service, life: Arc::clone(&life) };
            let tools = connection.tools().await?;
            Ok((connection, tools))
        };
        let limit = server.limits.connect_timeout;
        let (kind, why) = match timeout(limit, opening).await {
            Ok(Ok(opened)) => return Ok(opened),
            Ok(Err(failed)) => failed,
            Err(_) => (McpErrorKind::TimedOut, format!("it has not told its tools in {limit:?}")),
        };
        life.bury().await;
        Err(fail(kind, if kind == McpErrorKind::Ended { life.why() } else { life.told(why) }))
    }

    /// Whether it can be used no more.
    pub(crate) fn is_over(&self) -> bool {
        self.life.is_over() || self.service.is_transport_closed()
    }

    /// How often the server has said that its tools have changed.
    pub(crate) fn n_changes(&self) -> u64 {
        self.life.n_changes()
    }

    /// Asks for the tools.
    pub(crate) async fn tools(&self) -> Result<Tools, (McpErrorKind, String)> {
        let bad = |why: String| (McpErrorKind::BadTools, why);
        let mut tools = Tools::new();
        let mut cursor = None;
        for _ in 0..N_PAGES_MAX {
            // The library would answer from its cache, for as long as the server once said.
            let request = ListToolsRequest {
                method: Default::default(),
                params: Some(PaginatedRequestParams::default().with_cursor(cursor.take())),
                extensions: Default::default(),
            };
            let page = match self.service.send_request(request.into()).await {
                Ok(ServerResult::ListToolsResult(page)) => page,
                Ok(_) | Err(ServiceError::UnexpectedResponse) => {
                    return Err((McpErrorKind::Protocol, "this is no list of tools".to_owned()));
                }
                Err(ServiceError::McpError(error)) => {
                    return Err((McpErrorKind::Protocol, error_text(&error.message)));
                }
                Err(_) => return Err((McpErrorKind::Ended, GONE.to_owned())),
            };
            for tool in page.tools {
                check(&tool).map_err(bad)?;
                let name = tool.name.to_string();
                if tools.insert(name.clone(), tool).is_some() {
                    return Err(bad(format!("two are called {name:?}")));
                }
            }
            if tools.len() > N_TOOLS_MAX {
                return Err(bad(format!("there are more than {N_TOOLS_MAX}")));
            }
            match page.next_cursor {
                Some(next) => cursor = Some(next),
                None => return Ok(tools),
            }
        }
        Err(bad(format!("they are on more than {N_PAGES_MAX} pages")))
    }

    /// Calls a tool. Dropping the future tells the server that nobody waits any more.
    pub(crate) async fn call(
        &self,
        tool: &str,
        arguments: JsonObject,
        may_repeat: bool,
    ) -> Result<CallToolResponse, ToolError> {
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let error = match self.service.call_tool_once(params).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        Err(match error {
            ServiceError::McpError(error) => refusal(&error),
            ServiceError::UnexpectedResponse => {
                ToolError::failed("the server's answer is no result of a call")
            }
            _ => {
                self.life.bury().await;
                // What it did before its end is not known.
                let kind = if may_repeat { ToolErrorKind::Failed } else { ToolErrorKind::InDoubt };
                ToolError::new(kind, format!("the MCP server is gone: {}", self.life.why()))
            }
        })
    }

    /// Lets the server end in its own way, for a while; at once, if calls are at work.
    pub(crate) async fn close(self: Arc<Self>) {
        match Arc::try_unwrap(self) {
            Ok(mut connection) => {
                let _ = connection.service.close().await;
            }
            Err(connection) => connection.life.kill(),
        }
    }
}

fn client() -> ClientConfig {
    let ours = Implementation::new("greenroom", env!("CARGO_PKG_VERSION"));
    // The library would offer the version that has no handshake in the handshake.
    ClientConfig::new(ClientCapabilities::default(), ours)
        .with_protocol_version(ProtocolVersion::V_2025_11_25)
}

fn mode(protocol: Protocol) -> ClientLifecycleMode {
    match protocol {
        Protocol::Handshake => ClientLifecycleMode::Initialize,
        Protocol::Stateless => ClientLifecycleMode::Discover {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        },
    }
}

/// Why no connection came about. The error's own text may hold all that the server wrote.
fn explain(error: &ClientInitializeError) -> (McpErrorKind, String) {
    use ClientInitializeError as Failed;
    let why = match error {
        Failed::ConnectionClosed(_) | Failed::TransportError { .. } => {
            return (McpErrorKind::Ended, GONE.to_owned());
        }
        Failed::JsonRpcError(error) => error_text(&error.message),
        Failed::ConflictInitResponseId(..) | Failed::UncorrelatedErrorResponse { .. } => {
            "it answered another request than the first".to_owned()
        }
        Failed::NoCompatibleProtocolVersion { server_supported, .. } => {
            let versions: Vec<_> = server_supported.iter().map(ToString::to_string).collect();
            error_text(&format!("it speaks only {}", versions.join(", ")))
        }
        _ => "its first answer is not one".to_owned(),
    };
    (McpErrorKind::Protocol, why)
}

/// Whether a tool is of a size that can be told to models.
fn check(tool: &Tool) -> Result<(), String> {
    let schema = serde_json::to_string(&tool.input_schema).map_or(usize::MAX, |json| json.len());
    let description = tool.description.as_ref().map_or(0, |text| text.len());
    let name = error_text(&tool.name.chars().take(64).collect::<String>());
    if tool.name.is_empty() {
        return Err("one has no name".to_owned());
    }
    if schema.saturating_add(description).saturating_add(tool.name.len()) > TOOL_LEN_MAX {
        return Err(format!("{name:?} has more than {TOOL_LEN_MAX} bytes"));
    }
    Ok(())
}

//! The MCP servers of a file that the command line names: they are shown, started, and asked for their tools.
//!
//! A file is read only when it is named, because it runs commands.

use std::path::Path;
use std::sync::Arc;

use greenroom_core::tool::DynTool;

use crate::console::Console;
use crate::exit::{Exit, Failure, Problem};

/// Starts the servers of a file side by side, and gives their tools.
#[cfg(target_os = "linux")]
pub(crate) async fn tools(
    file: &Path,
    console: &Console,
) -> Result<Vec<Arc<dyn DynTool>>, Failure> {
    use greenroom_mcp::{McpClient, McpConfig};

    let bad = |code, why: String| {
        Failure::from(Problem::new(Exit::Config, code, format!("{}: {why}", file.display())))
    };
    let text = std::fs::read_to_string(file).map_err(|error| bad("GR0610", error.to_string()))?;
    let lookup = |name: &str| std::env::var_os(name)?.into_string().ok();
    let config = McpConfig::parse(&text, lookup);
    let config = config.map_err(|error| bad(error.kind.code(), error.to_string()))?;
    for place in &config.unknown {
        console.notice("GR0611", &format!("{}: {place} means nothing here", file.display()));
    }
    let connecting = config.servers.into_iter().map(|server| {
        console.note(&format!("starting {server}"));
        server.connect()
    });
    let clients = futures_util::future::try_join_all(connecting).await;
    let clients = clients.map_err(|error| bad(error.kind.code(), error.to_string()))?;
    Ok(clients.iter().flat_map(McpClient::tools).map(Into::into).collect())
}

/// There are none here.
#[cfg(not(target_os = "linux"))]
pub(crate) async fn tools(_: &Path, _: &Console) -> Result<Vec<Arc<dyn DynTool>>, Failure> {
    let why = "MCP servers are supported on Linux only";
    Err(Problem::new(Exit::Config, "GR0602", why).into())
}

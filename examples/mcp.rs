//! An agent with the tools of an MCP server.
//!
//! The server is this program itself, so that nothing has to be installed. Yours is another command, such as
//! `npx -y @modelcontextprotocol/server-filesystem DIR`.
use std::io::Write;

use greenroom::{Extractive, McpServer, Runtime};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return serve();
    }
    let server = McpServer::command("sums", std::env::current_exe()?).arg("serve");
    println!("starting {}", server.name());
    let sums = server.connect().await?;
    println!("{:?}", sums.tools());
    let runtime = Runtime::start().await?;
    let agent = runtime.agent("clerk").model(Extractive::new()).tools(sums.tools()).build()?;
    println!("{}", agent.run("What is 19 plus 23?").await?);
    sums.close().await;
    Ok(())
}

/// What servers do, without a library.
fn serve() -> Result<(), Box<dyn std::error::Error>> {
    for line in std::io::stdin().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let arguments = &request["params"]["arguments"];
        let result = match request["method"].as_str() {
            Some("initialize") => json!({
                "protocolVersion": "2025-11-25",
                "capabilities": { "tools": {} },
                "serverInfo": { "name": "sums", "version": "1" },
            }),
            Some("tools/list") => {
                let integer = json!({ "type": "integer" });
                let schema = json!({
                    "type": "object", "required": ["a", "b"], "properties": { "a": integer, "b": integer },
                });
                json!({ "tools": [{ "name": "add", "description": "Adds.", "inputSchema": schema }] })
            }
            Some("tools/call") => {
                let sum = arguments["a"].as_i64().zip(arguments["b"].as_i64()).map(|(a, b)| a + b);
                let text = sum.map_or("no numbers".to_owned(), |sum| sum.to_string());
                json!({ "content": [{ "type": "text", "text": text }], "isError": sum.is_none() })
            }
            _ => continue,
        };
        let answer = json!({ "jsonrpc": "2.0", "id": request["id"], "result": result });
        writeln!(std::io::stdout(), "{answer}")?;
    }
    Ok(())
}

//! An agent with one tool and a typed answer.
use greenroom::{Extractive, JsonSchema, Runtime, schemars, tool};

#[derive(serde::Deserialize, JsonSchema)]
struct Add {
    a: i64,
    b: i64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let add = tool("add", "Adds two integers.", |Add { a, b }| async move { Ok(a + b) });
    let runtime = Runtime::start().await?;
    let agent = runtime.agent("sum").model(Extractive::new()).tool(add).output::<i64>().build()?;
    println!("{}", agent.run("What is 19 plus 23?").await?);
    Ok(())
}

//! A run that outlives its process. Start it with `cargo run --example durable -- 10`, kill it while it adds,
//! and start it again: it goes on where it was, asks its model nothing twice, and prints 42.
use std::time::Duration;

use greenroom::{Extractive, JsonSchema, RecoverySpec, Runtime, SqliteJournal, schemars, tool};

#[derive(serde::Deserialize, JsonSchema)]
struct Add {
    a: i64,
    b: i64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(0), |seconds| seconds.parse())?;
    let add = tool("add", "Adds two integers.", move |Add { a, b }| async move {
        println!("adding {a} and {b} takes {seconds} seconds");
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        Ok(a + b)
    });
    let store = std::env::temp_dir().join("greenroom-example-durable");
    let runtime = Runtime::builder().journal(SqliteJournal::open(store)?).start().await?;
    let agent = runtime.agent("sum").model(Extractive::new()).tool(add.read_only());
    let agent = agent.output::<i64>().build()?;
    let round = runtime.recover(RecoverySpec::default()).await?;
    let mut run = None;
    if let Some(unfinished) = round.resumed.first() {
        println!("going on with run {unfinished}");
        run = agent.attach(*unfinished).await?;
    }
    let run = match run {
        Some(run) => run,
        None => agent.start("What is 19 plus 23?").await?,
    };
    println!("{}", run.outcome().await?.value.unwrap_or_default());
    runtime.shutdown().await;
    Ok(())
}

//! The whole team inside a program of your own: a router with research, retrieval and tool agents.
//!
//! `cargo run --example embed -- "What is a mailbox, and what is 12% of 64?"`

use std::error::Error;

use greenroom::{Corpus, CorpusOptions, Extractive, RunEvent, Runtime, builtin};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let question = std::env::args().nth(1);
    let question = question.unwrap_or("What is a mailbox, and what is 12% of 64?".into());

    let runtime = Runtime::start().await?;
    let team = runtime
        .team()
        .model(Extractive::new())
        .source_when("docs", Corpus::open(CorpusOptions::new(["docs"])))
        .tools(builtin(None))
        .start()
        .await?;

    let mut run = team.ask(question).await?;
    while let Some(event) = run.next_event().await {
        if let RunEvent::Step { agent, step } = event {
            eprintln!("{agent}: {step}");
        }
    }
    let outcome = run.outcome().await;
    println!("{}\n", outcome.answer);
    for (n, citation) in (1..).zip(&outcome.citations) {
        let greenroom::Citation { source, start_line, quote, .. } = citation;
        println!("[{n}] {source}:{start_line} \"{quote}\"");
    }
    runtime.shutdown().await;
    Ok(())
}

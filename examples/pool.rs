//! A pool of an actor of your own: workers that are given jobs, die of some, and are as many as are needed.

use std::error::Error;
use std::time::Duration;

use greenroom::{Actor, Context, Failure, Job, PoolError, PoolSpec, Priority, Runtime};

/// Counts words, and cannot stand the digit zero.
#[derive(Default)]
struct Parser;

enum Message {
    Parse(Job<String, usize>),
}

impl Actor for Parser {
    type Message = Message;

    fn handle(&mut self, message: &Message, _: &mut Context<'_, Self>) -> Result<(), Failure> {
        match message {
            Message::Parse(job) => {
                let text = job.payload();
                assert!(!text.contains('0'), "a zero");
                // A caller that has gone needs no answer.
                let _ = job.reply().send(text.split_whitespace().count());
            }
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let deadline = Duration::from_secs(5);
    let runtime = Runtime::start().await?;
    let spec = PoolSpec::new(2..=16);
    let pool = runtime.pool("parsers", spec, Parser::default, Message::Parse).await?;
    let n_words = pool.ask(deadline, "to be or not".to_owned()).await?;
    let urgent = "that is the question".to_owned();
    let n_more = pool.submit(urgent).key("hamlet").priority(Priority::High).await?;
    println!("{n_words} and {n_more} words");

    match pool.ask(deadline, "agent 007".to_owned()).await {
        Err(PoolError::Quarantined { n_deliveries, cause }) => {
            println!("given out {n_deliveries} times, and quarantined: {cause}");
        }
        other => println!("{other:?}"),
    }
    println!("{} workers, {} jobs left", pool.info().size(), pool.drain(deadline).await);
    runtime.shutdown().await;
    Ok(())
}

//! An actor of your own: supervised, crashing and coming back, and given tasks by a team's router.

use std::error::Error;
use std::time::Duration;

use greenroom::{Actor, Context, Extractive, Failure, Reply, Report, Runtime, Task};

/// Counts coins. A crash loses the count; the address and what waits in the mailbox stay.
#[derive(Default)]
struct Ledger {
    n_coins: i64,
}

enum Message {
    Deposit(i64),
    Balance(Reply<i64>),
    Audit(Task),
}

impl Actor for Ledger {
    type Message = Message;

    fn handle(&mut self, message: &Message, _: &mut Context<'_, Self>) -> Result<(), Failure> {
        match message {
            Message::Deposit(amount) if *amount < 0 => panic!("a deposit of {amount}"),
            Message::Deposit(amount) => self.n_coins += amount,
            // An answer that nobody waits for any more comes back, and is dropped.
            Message::Balance(reply) => drop(reply.send(self.n_coins)),
            Message::Audit(task) => {
                let found = format!("The ledger holds {} coins.", self.n_coins);
                drop(task.reply.send(Ok(Report::text(found))));
            }
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let runtime = Runtime::start().await?;
    let ledger = runtime.spawn("ledger", Ledger::default).await?;
    ledger.send(Message::Deposit(-1)).await?; // crashes it twice, and is then a dead letter
    ledger.send(Message::Deposit(42)).await?; // waits meanwhile, and is not lost
    let n_coins = ledger.ask(Duration::from_secs(5), Message::Balance).await?;
    println!("{n_coins} coins after {} restarts", ledger.info().n_restarts());
    println!("dead letters: {:?}", runtime.dead_letter_counts());

    let team = runtime
        .team()
        .model(Extractive::new())
        .specialist("ledger", "Knows how many coins the ledger holds.", &ledger, Message::Audit)
        .start()
        .await?;
    let run = team.ask("How many coins does the ledger hold?").await?;
    println!("{}", run.outcome().await.answer);
    runtime.shutdown().await;
    Ok(())
}

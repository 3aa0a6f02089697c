//! An actor whose state is in the journal: it answers once its event is stored, and has it after a crash. With a
//! directory as argument, the journal is there, and the next process goes on from it.

use std::error::Error;
use std::time::Duration;

use greenroom::{
    Actor, Context, Durability, Failure, Persistent, PersistentSpec, Reply, Runtime, SqliteJournal,
    SqliteOptions, VirtualSpec,
};
use serde::{Deserialize, Serialize};

/// A purse. Its state is a fold of events.
#[derive(Default)]
struct Purse {
    n_coins: u64,
}

enum Message {
    Put(u64, Reply<u64>),
    Count(Reply<u64>),
}

#[derive(Serialize, Deserialize)]
enum Happened {
    CoinsPut(u64),
}

impl Actor for Purse {
    type Message = Message;

    fn handle(
        &mut self,
        message: &Message,
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        match message {
            // A crash came between storing and answering: only the answer is missing.
            Message::Put(_, reply) if context.was_persisted() => drop(reply.send(self.n_coins)),
            Message::Put(n_coins, reply) => {
                let reply = reply.clone();
                context.persist(Happened::CoinsPut(*n_coins), move |purse, _| {
                    let _ = reply.send(purse.n_coins);
                });
            }
            Message::Count(reply) => drop(reply.send(self.n_coins)),
        }
        Ok(())
    }
}

impl Persistent for Purse {
    type Event = Happened;
    type Snapshot = u64;

    fn apply(&mut self, event: &Happened) {
        match event {
            Happened::CoinsPut(n_coins) => self.n_coins += n_coins,
        }
    }

    fn snapshot(&self) -> u64 {
        self.n_coins
    }

    fn restore(&mut self, snapshot: u64) {
        self.n_coins = snapshot;
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let second = Duration::from_secs(1);
    let journal = match std::env::args_os().nth(1) {
        Some(dir) => SqliteJournal::open(dir)?,
        None => SqliteOptions::new("").durability(Durability::Ephemeral).open()?,
    };
    let runtime = Runtime::builder().journal(journal).start().await?;
    let purse = runtime.spawn_persistent(PersistentSpec::new("purse"), Purse::default).await?;
    let n_coins = purse.ask(second, |reply| Message::Put(42, reply)).await?;
    println!("{n_coins} coins");
    let _ = purse.crash_on_purpose();
    let n_coins = purse.ask(second, Message::Count).await?;
    println!("{n_coins} coins after {} restart", purse.info().n_restarts());

    // A purse for everybody, of which at most a thousand are in memory.
    let spec = VirtualSpec::idle_after(Duration::from_secs(300)).live_max(1_000);
    let purses = runtime.virtual_actors("purses", spec, |_name| Purse::default()).await?;
    purses.ask("ann", second, |reply| Message::Put(7, reply)).await?;
    let _ = purses.get("ann").passivate(); // as if she had been away for five minutes
    let n_coins = purses.ask("ann", second, Message::Count).await?;
    println!("{n_coins} coins of Ann's");
    runtime.shutdown().await;
    Ok(())
}

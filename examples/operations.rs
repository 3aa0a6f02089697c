//! Looking at a running system: its tree, what happened in it, and a handler that blocks its thread.

use std::error::Error;
use std::sync::mpsc;
use std::time::Duration;

use greenroom::core::supervision::ChildSpec;
use greenroom::core::watchdog::Found;
use greenroom::{
    Actor, Context, Down, Failure, MailboxSpec, PanicLocations, Runtime, Told, WatchdogSpec,
};

struct Ledger;

enum Message {
    Deposit(i64),
    Audit,
}

impl Actor for Ledger {
    type Message = Message;

    fn handle(
        &mut self,
        message: &Message,
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        match message {
            Message::Deposit(amount) if *amount < 0 => panic!("a deposit of {amount}"),
            Message::Deposit(_) => context.set_step("counting coins"),
            // What no handler should do: it keeps its thread, and waits.
            Message::Audit => {
                let (_never, receiver) = mpsc::channel::<()>();
                let _ = receiver.recv_timeout(Duration::from_millis(300));
            }
        }
        Ok(())
    }

    fn message_name(message: &Message) -> &'static str {
        match message {
            Message::Deposit(_) => "Deposit",
            Message::Audit => "Audit",
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let locations = PanicLocations::install();
    let spec = WatchdogSpec::default().handler_max(Duration::from_millis(50));
    let runtime = Runtime::builder().watchdog(spec).panic_locations(&locations).start().await?;
    let mut events = runtime.supervision_events();
    let mut findings = runtime.findings();

    let mailbox = MailboxSpec { deliveries_max: 1, ..MailboxSpec::default() };
    let ledger = runtime.spawn_with(ChildSpec::worker("ledger"), mailbox, || Ledger).await?;
    ledger.send(Message::Deposit(-1)).await?;
    ledger.send(Message::Deposit(42)).await?;
    ledger.send(Message::Audit).await?;
    // Where a panic takes long to print, it is found first.
    while let Some(Told::Fact(finding)) = findings.next().await {
        println!("{}: {:?}", finding.agent, finding.what);
        if matches!(finding.what, Found::Blocked { message: "Audit" }) {
            break;
        }
    }
    println!("{}", runtime.tree().await);

    println!("{:?}", runtime.health());
    let left = runtime.drain(Duration::from_secs(25)).await;
    println!("{} runs finished, {} parked", left.n_finished, left.parked.len());
    let Down { id, reason, .. } = ledger.down().await;
    println!("{id} has ended: {reason}");
    while let Some(Told::Fact(fact)) = events.next().await {
        println!("{}: {} {:?}", fact.supervisor, fact.event.id, fact.event.fact);
    }
    Ok(())
}

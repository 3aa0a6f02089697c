//! Supervision of real actors in virtual time. A name that begins with `sup_` and a number covers that row
//! of the conformance list that the machine in core is tested against, here with ractor underneath.

mod addresses;
mod checked;
mod cuts;
mod delivery;
mod effects;
mod ending;
mod groups;
mod lasting;
mod limits;
mod restarts;
mod starting;
mod stress;

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenroom_core::mailbox::MailboxSpec;
use greenroom_core::supervision::{ChildInfo, ChildSpec, ChildState, SupervisorSpec};
use greenroom_runtime::{Actor, AgentRef, Context, Failure, Reply, Runtime, Start, SupervisorRef};

use crate::support::{end, runtime};

/// Long enough for whatever needs no time.
const SOON: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// What happened, in order: `+a` a started, `!a` its start failed, `-a` it was stopped in an orderly way.
#[derive(Clone, Default)]
struct Trace(Arc<Mutex<Vec<String>>>);

impl Trace {
    fn push(&self, what: impl Into<String>) {
        self.0.lock().expect("no test panics here").push(what.into());
    }

    /// What happened since the last call.
    fn take(&self) -> String {
        std::mem::take(&mut *self.0.lock().expect("no test panics here")).join(" ")
    }
}

/// What all incarnations of one probe share.
#[derive(Clone, Default)]
struct Script {
    /// How many of the next starts fail.
    n_bad_starts: Arc<AtomicU32>,
    /// Incarnations whose state has not been dropped.
    n_alive: Arc<AtomicUsize>,
}

struct Probe {
    name: &'static str,
    trace: Trace,
    script: Script,
}

enum Do {
    Crash,
    Fail,
    Stop,
    Note(&'static str),
    Generation(Reply<u64>),
}

impl Actor for Probe {
    type Message = Do;

    fn started(&mut self, _context: &mut Context<'_, Self>) -> Result<(), Failure> {
        let n_bad = &self.script.n_bad_starts;
        if n_bad.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
            self.trace.push(format!("!{}", self.name));
            return Err(Failure::new("a bad start"));
        }
        self.trace.push(format!("+{}", self.name));
        Ok(())
    }

    fn handle(&mut self, message: &Do, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        match message {
            Do::Crash => panic!("told to"),
            Do::Fail => return Err(Failure::new("told to")),
            Do::Stop => context.stop(),
            Do::Note(what) => self.trace.push(*what),
            Do::Generation(reply) => {
                let _ = reply.send(context.generation());
            }
        }
        Ok(())
    }

    fn stopped(&mut self) {
        self.trace.push(format!("-{}", self.name));
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.script.n_alive.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A runtime with the trace of its probes.
struct Stage {
    runtime: Runtime,
    trace: Trace,
}

/// A supervisor of probes.
struct Tree {
    supervisor: SupervisorRef,
    agents: Vec<AgentRef<Do>>,
    scripts: Vec<Script>,
}

impl Stage {
    async fn new() -> Self {
        Self { runtime: runtime().await, trace: Trace::default() }
    }

    fn factory(
        &self,
        name: &'static str,
        script: &Script,
    ) -> impl Fn() -> Probe + Send + Sync + 'static {
        let (trace, script) = (self.trace.clone(), script.clone());
        move || {
            script.n_alive.fetch_add(1, Ordering::Relaxed);
            Probe { name, trace: trace.clone(), script: script.clone() }
        }
    }

    /// A probe to be started by hand, whose messages are delivered once.
    fn child(&self, name: &'static str, script: &Script) -> (AgentRef<Do>, Arc<dyn Start>) {
        self.runtime.child(name, once(), self.factory(name, script))
    }

    /// A probe below the team's supervisor.
    async fn spawn(&self, spec: ChildSpec, name: &'static str) -> (AgentRef<Do>, Script) {
        let script = Script::default();
        let factory = self.factory(name, &script);
        let agent = self.runtime.spawn_with(spec, once(), factory).await.expect("it starts");
        self.trace.take();
        (agent, script)
    }

    /// A supervisor `tree` of probes with these names, all up and with an empty trace.
    async fn tree<const N: usize>(
        &self,
        spec: SupervisorSpec,
        names: [&'static str; N],
        child: impl Fn(&'static str) -> ChildSpec,
    ) -> Tree {
        let (mut agents, mut scripts, mut children) = (Vec::new(), Vec::new(), Vec::new());
        for name in names {
            let script = Script::default();
            let (agent, start) = self.child(name, &script);
            agents.push(agent);
            scripts.push(script);
            children.push((child(name), start));
        }
        let supervisor = self.runtime.supervise("tree", spec, children).await.expect("it starts");
        self.trace.take();
        Tree { supervisor, agents, scripts }
    }

    /// How the team's supervisor sees its child.
    async fn seen(&self, id: &str) -> Option<ChildInfo> {
        seen(&self.runtime.supervisor(), id).await
    }

    async fn end(self) {
        end(self.runtime).await;
        assert_eq!(n_alive_tasks(), 0, "actors were left behind");
    }
}

impl Tree {
    async fn state(&self, id: &str) -> Option<ChildState> {
        seen(&self.supervisor, id).await.map(|child| child.state)
    }

    async fn generations(&self) -> Vec<u64> {
        let mut generations = Vec::new();
        for agent in &self.agents {
            generations.push(agent.ask(SOON, Do::Generation).await.expect("it answers"));
        }
        generations
    }
}

async fn seen(supervisor: &SupervisorRef, id: &str) -> Option<ChildInfo> {
    supervisor.which_children().await.into_iter().find(|child| child.id.as_str() == id)
}

fn once() -> MailboxSpec {
    MailboxSpec { deliveries_max: 1, ..MailboxSpec::default() }
}

fn worker(name: &'static str) -> ChildSpec {
    ChildSpec::worker(name)
}

/// Lets everything happen that needs no time. Time is virtual: it moves only when nobody has work left.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// Tasks of this test's tokio runtime, ractor's included.
fn n_alive_tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

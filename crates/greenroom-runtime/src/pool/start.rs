//! How a pool is started: its supervisor, below it the supervisor of its workers and its own actor.
//!
//! ```text
//! parsers (one for one)
//! ├── parsers-workers (dynamic)
//! │   ├── parsers-1
//! │   └── parsers-2 …
//! └── parsers                   the pool's own actor
//! ```

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenroom_core::ids::AgentId;
use greenroom_core::mailbox::MailboxSpec;
use greenroom_core::pool::{Event, Machine, PoolSpec};
use greenroom_core::supervision::{
    AdminError, ChildSpec, ExitReason, Restart, Strategy, SupervisorSpec,
};
use tokio::sync::oneshot;

use super::actor::{PoolActor, Staff};
use super::shared::Shared;
use super::{Job, Pool, PoolStartError};
use crate::actor::Actor;
use crate::runtime::Runtime;
use crate::supervisor::{SupervisorRef, SupervisorStart};

/// How often the pool's own actor and the supervisor of its workers may fail, in a minute, before the pool is
/// given up. As for the agents of an application.
const RESTARTS_MAX: u32 = 30;

/// Starts a pool below a runtime's team; completes when its least number of workers is up.
pub(crate) async fn start<A, J, R>(
    runtime: &Runtime,
    id: AgentId,
    spec: PoolSpec,
    factory: impl Fn() -> A + Send + Sync + 'static,
    build: impl Fn(Job<J, R>) -> A::Message + Send + Sync + 'static,
) -> Result<Pool<J, R>, PoolStartError>
where
    A: Actor,
    J: Send + Sync + 'static,
    R: Send + 'static,
{
    let machine = Machine::new(spec.clone())?;
    let workers = SupervisorRef::new(AgentId::new(format!("{id}-workers")));
    let (ready, is_ready) = oneshot::channel();
    let dead_letters = runtime.house().dead_letters;
    let shared = Arc::new(Shared::new(id.clone(), spec, machine, dead_letters, ready));
    shared.tell(Event::Start);
    let staff = Arc::new(Staff {
        shared: Arc::clone(&shared),
        runtime: runtime.downgrade(),
        supervisor: workers.clone(),
        factory: Arc::new(factory),
        build: Box::new(build),
        slots: Mutex::new(BTreeMap::new()),
    });
    let parent = runtime.supervisor();
    let child = ChildSpec::supervisor(id.clone()).restart(Restart::Temporary);
    parent.start_child(child, Arc::new(tree(runtime, &staff, workers))).await?;
    let pool = Pool { shared, parent };
    match is_ready.await.unwrap_or(Err(AdminError::ShuttingDown)) {
        Ok(()) => Ok(pool),
        Err(error) => {
            pool.drain(Duration::ZERO).await;
            Err(error.into())
        }
    }
}

fn tree<A, J, R>(
    runtime: &Runtime,
    staff: &Arc<Staff<A, J, R>>,
    workers: SupervisorRef,
) -> SupervisorStart
where
    A: Actor,
    J: Send + Sync + 'static,
    R: Send + 'static,
{
    let id = staff.shared.id().clone();
    let (tasks, seed) = (runtime.tasks().clone(), runtime.next_random());
    let (told, of_all) = (Arc::clone(&staff.shared), runtime.observer());
    let workers_spec = ChildSpec::supervisor(workers.id().clone());
    let workers = SupervisorStart {
        handle: workers,
        spec: SupervisorSpec::dynamic(),
        children: Vec::new(),
        tasks: tasks.clone(),
        observer: Arc::new(move |supervisor, event| {
            of_all(supervisor, event);
            told.observe(event);
        }),
        archive: None,
        seed,
        on_closed: None,
    };
    let actor = Arc::clone(staff);
    let factory = move || PoolActor { staff: Arc::clone(&actor) };
    let (slot, mut start) =
        runtime.agent_start(id.clone(), "pool", MailboxSpec::default(), factory);
    runtime.show(&slot);
    let over = Arc::clone(&staff.shared);
    start.on_closed = Some(Arc::new(move |_: &ExitReason| {
        over.abandon();
    }));
    SupervisorStart {
        handle: SupervisorRef::new(id.clone()),
        spec: SupervisorSpec::new(Strategy::OneForOne)
            .intensity(RESTARTS_MAX, Duration::from_secs(60)),
        children: vec![(workers_spec, Arc::new(workers)), (ChildSpec::worker(id), Arc::new(start))],
        tasks,
        observer: runtime.observer(),
        archive: None,
        seed,
        on_closed: None,
    }
}

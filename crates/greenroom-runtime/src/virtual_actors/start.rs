//! The start of a virtual actor, and what its incarnations tell the family.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use greenroom_core::directory::Activation;
use greenroom_core::ids::AgentId;
use greenroom_core::supervision::ExitReason;
use ractor::ActorCell;

use super::family::Family;
use crate::actor::Actor;
use crate::actor::shell::Tenancy;
use crate::persist::Persistence;
use crate::supervisor::{AgentStart, Ignored, Start, StartFuture};

/// One activation of a key, as its incarnations know it.
pub(crate) struct Tenant<M> {
    pub(super) family: Arc<Family<M>>,
    pub(super) id: AgentId,
    pub(super) activation: Activation,
}

impl<M: Send + 'static> Tenancy for Tenant<M> {
    fn rested(&self) {
        self.family.rested(&self.id, self.activation);
    }

    fn busy(&self) {
        self.family.busy(&self.id, self.activation);
    }
}

/// Starts the incarnations of one activation.
pub(super) struct VirtualStart<A: Actor> {
    agent: AgentStart<A>,
    persistence: Arc<Persistence<A>>,
    tenant: Arc<Tenant<A::Message>>,
    /// An incarnation has come up. Before that, whoever activates hears of a failure and tries again.
    is_up: Arc<AtomicBool>,
}

impl<A: Actor> VirtualStart<A> {
    pub(super) fn new(
        agent: AgentStart<A>,
        persistence: Persistence<A>,
        tenant: Tenant<A::Message>,
    ) -> Self {
        let (persistence, tenant) = (Arc::new(persistence), Arc::new(tenant));
        Self { agent, persistence, tenant, is_up: Arc::default() }
    }
}

impl<A: Actor> Start for VirtualStart<A> {
    fn start(&self, supervisor: ActorCell) -> StartFuture {
        if self.agent.slot.is_passive() {
            // It crashed while it was being unloaded, and nothing waits for it.
            return Box::pin(std::future::ready(Ok(Err(Ignored))));
        }
        let shell = self.agent.shell().journalled(Arc::clone(&self.persistence));
        let tenant: Arc<dyn Tenancy> = Arc::clone(&self.tenant) as Arc<dyn Tenancy>;
        let started = shell.let_to(tenant).start(supervisor);
        let is_up = Arc::clone(&self.is_up);
        Box::pin(async move {
            let started = started.await;
            if matches!(started, Ok(Ok(_))) {
                is_up.store(true, Ordering::Relaxed);
            }
            started
        })
    }

    fn closed(&self, reason: &ExitReason) {
        if self.is_up.swap(false, Ordering::Relaxed) {
            self.tenant.family.ended(&self.tenant.id, self.tenant.activation, reason);
        }
    }
}

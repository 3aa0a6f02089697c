//! What can be seen of a runtime: its agents, its tree, and what happens in it.

use greenroom_core::supervision::ChildInfo;
use greenroom_core::watchdog::Finding;

use super::Runtime;
use crate::feed::Feed;
use crate::inspect::AgentInfo;
use crate::inspect::facts::Supervised;
use crate::inspect::tree::Node;

impl Runtime {
    /// The application's own agents, in the order of their ids.
    #[must_use]
    pub fn agents(&self) -> Vec<AgentInfo> {
        self.inner.registry.agents()
    }

    /// Everything that runs, as a tree: supervisors with what is below them, agents with what they do. It
    /// takes at most about 40 ms, whatever hangs: a supervisor that does not answer is marked, and the agents
    /// that it starts with are shown as their slots are.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does no harm.
    pub async fn tree(&self) -> Node {
        crate::inspect::tree::tree(&self.inner.root).await
    }

    /// Every start, exit, restart and escalation from now on.
    #[must_use]
    pub fn supervision_events(&self) -> Feed<Supervised> {
        self.inner.facts.supervision.read(self.inner.tasks.over())
    }

    /// What the [watchdog](crate::RuntimeBuilder::watchdog) finds from now on; nothing without one.
    #[must_use]
    pub fn findings(&self) -> Feed<Finding> {
        self.inner.facts.findings.read(self.inner.tasks.over())
    }

    /// The last 256 findings.
    #[must_use]
    pub fn recent_findings(&self) -> Vec<Finding> {
        self.inner.facts.recent_findings()
    }

    /// The supervisors below the root, with their states.
    pub async fn which_children(&self) -> Vec<ChildInfo> {
        self.inner.root.which_children().await
    }
}

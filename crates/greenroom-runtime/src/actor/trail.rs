//! Trails: which agents wait for the answer to a question. A question that would come back to one of them
//! is refused by name, because its answer could depend on itself.
//!
//! Debug builds only. In release builds the types are empty and the functions do nothing; such a question
//! ends at its deadline, if it does not end well.

pub(crate) use imp::{Here, Trail};

#[cfg(debug_assertions)]
mod imp {
    use std::fmt;
    use std::sync::{Arc, Weak};

    use greenroom_core::ids::AgentId;

    use crate::actor::question::Question;
    use crate::actor::slot::{AnySlot, Slot};

    /// Askers that a trail tells apart; longer ones forget the newest.
    const STEPS_MAX: usize = 128;

    /// The agent that asks, if it is one.
    #[derive(Clone, Default)]
    pub(crate) struct Here(Option<Agent>);

    /// An agent. It is told from others by its slot, because names repeat: in two runtimes, and in two runs.
    #[derive(Clone)]
    struct Agent {
        id: AgentId,
        /// It keeps the slot's place in memory, so that no later slot has the same one.
        slot: Weak<dyn AnySlot>,
    }

    impl Agent {
        fn is<M>(&self, slot: &Arc<Slot<M>>) -> bool {
            std::ptr::addr_eq(self.slot.as_ptr(), Arc::as_ptr(slot))
        }
    }

    impl Here {
        pub(crate) fn of<M: Send + 'static>(slot: &Arc<Slot<M>>) -> Self {
            let any: Weak<dyn AnySlot> = Arc::downgrade(slot) as Weak<dyn AnySlot>;
            Self(Some(Agent { id: slot.id().clone(), slot: any }))
        }

        /// The way from an agent that waits to itself, when it is `to` that waits.
        pub(crate) fn cycle<M: Send + 'static>(
            &self,
            handled: Option<&Arc<Question>>,
            to: &Arc<Slot<M>>,
        ) -> Option<Vec<AgentId>> {
            let here = self.0.as_ref()?;
            let mut path = vec![to.id().clone(), here.id.clone()];
            if here.is(to) {
                path.reverse();
                return Some(path);
            }
            let mut question = handled;
            // A question that is over keeps nobody waiting, nor does whatever it was asked for.
            while let Some(step) = question.filter(|q| q.is_open()).and_then(|q| q.trail.0.as_ref())
            {
                path.push(step.agent.id.clone());
                if step.agent.is(to) {
                    path.reverse();
                    return Some(path);
                }
                question = step.before.as_ref();
            }
            None
        }
    }

    /// Who asked a question, and the question that it was handling then.
    pub(crate) struct Trail(Option<Step>);

    struct Step {
        agent: Agent,
        before: Option<Arc<Question>>,
        len: usize,
    }

    impl Trail {
        pub(crate) fn new(here: &Here, handled: Option<&Arc<Question>>) -> Self {
            let Some(agent) = here.0.clone() else { return Self(None) };
            let before = handled.filter(|question| question.is_open()).cloned();
            let last = before.as_ref().and_then(|question| question.trail.0.as_ref());
            let len = last.map_or(1, |step| step.len + 1);
            if len > STEPS_MAX {
                return Self(last.map(Step::again));
            }
            Self(Some(Step { agent, before, len }))
        }
    }

    impl Step {
        fn again(&self) -> Self {
            Self { agent: self.agent.clone(), before: self.before.clone(), len: self.len }
        }
    }

    impl fmt::Debug for Trail {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_list().entries(self.0.iter().map(|step| &step.agent.id)).finish()
        }
    }
}

#[cfg(not(debug_assertions))]
mod imp {
    use std::sync::Arc;

    use greenroom_core::ids::AgentId;

    use crate::actor::question::Question;
    use crate::actor::slot::Slot;

    #[derive(Clone, Default)]
    pub(crate) struct Here;

    impl Here {
        pub(crate) fn of<M>(_slot: &Arc<Slot<M>>) -> Self {
            Self
        }

        pub(crate) fn cycle<M>(
            &self,
            _handled: Option<&Arc<Question>>,
            _to: &Arc<Slot<M>>,
        ) -> Option<Vec<AgentId>> {
            None
        }
    }

    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Trail;

    impl Trail {
        pub(crate) fn new(_here: &Here, handled: Option<&Arc<Question>>) -> Self {
            handled.map_or(Self, |question| question.trail)
        }
    }
}

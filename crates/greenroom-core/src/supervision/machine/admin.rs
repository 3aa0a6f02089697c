//! What the administration asks for. The table of answers is at [`crate::supervision`].

use super::Machine;
use crate::ids::AgentId;
use crate::supervision::table::{Child, StartRequest, State, Then};
use crate::supervision::{
    Admin, AdminError, AutoShutdown, ChildInfo, ChildKey, ChildSpec, ChildState, Command, Done,
    RequestId, SpecError, Target,
};

/// How many requests may wait for one child to be gone.
const WAITERS_MAX: usize = 64;

impl Machine {
    pub(super) fn administer(&mut self, request: RequestId, admin: Admin) {
        let reply = match admin {
            Admin::StartChild(spec) => self.start_child(request, spec),
            Admin::TerminateChild(target) => self.terminate_child(request, &target),
            Admin::RestartChild(id) => self.restart_child(request, &id),
            Admin::DeleteChild(id) => self.delete_child(&id),
            Admin::SetSignificant { id, significant } => self.set_significant(&id, significant),
            Admin::SetAutoShutdown(auto_shutdown) => self.set_auto_shutdown(auto_shutdown),
        };
        if let Some(reply) = reply.transpose() {
            self.reply(request, reply);
        }
    }

    /// Replies `None` when the reply comes later.
    fn start_child(
        &mut self,
        request: RequestId,
        spec: ChildSpec,
    ) -> Result<Option<Done>, AdminError> {
        spec.check(self.spec.auto_shutdown)?;
        if let Ok(child) = self.find(&spec.id) {
            let (key, generation) = (child.key, child.generation);
            return Err(match child.state {
                State::Running { .. } | State::Stopping(_) | State::Abandoned(_) => {
                    AdminError::AlreadyStarted { key, generation }
                }
                _ => AdminError::AlreadyPresent,
            });
        }
        let children_max = self.spec.children_max;
        if self.table.len() >= children_max {
            return Err(AdminError::MaxChildren { children_max });
        }
        let key = self.table.insert(spec, Some(StartRequest { id: request, is_new: true }));
        self.recall_child(key);
        self.out.push(Command::Keep { key, request });
        self.start_in_turn(key);
        Ok(None)
    }

    fn terminate_child(
        &mut self,
        request: RequestId,
        target: &Target,
    ) -> Result<Option<Done>, AdminError> {
        let key = match target {
            Target::Id(id) => self.find(id)?.key,
            // Like the pid of a dead process under OTP: it is as terminated as was asked for.
            Target::Key(key) if self.table.get(*key).is_none() => {
                let was_here = self.table.has_issued(*key);
                return if was_here { Ok(Some(Done::Done)) } else { Err(AdminError::NotFound) };
            }
            Target::Key(key) => *key,
        };
        let Some(child) = self.table.get(key) else { return Err(AdminError::NotFound) };
        let is_new = child.request.is_some_and(|request| request.is_new);
        let then = if is_new || child.is_temporary() || self.spec.dynamic {
            Then::Drop
        } else {
            Then::Stop
        };
        match child.state {
            State::Stopped => return Ok(Some(Done::Done)),
            State::Abandoned(_) => return Err(AdminError::Stuck),
            State::Waiting | State::Backoff(_) => {
                self.cancel_start(key, then);
                return Ok(Some(Done::Done));
            }
            State::Stopping(_) if child.waiters.len() >= WAITERS_MAX => {
                return Err(AdminError::Busy);
            }
            State::Stopping(mut stopping) => {
                // Of two reasons to stop a child, the one that lets it rest wins.
                stopping.then = if stopping.then == Then::Start { then } else { stopping.then };
                self.fail_request(key, AdminError::Interrupted);
                self.table.set_state(key, State::Stopping(stopping));
            }
            State::Starting | State::Running { .. } => self.stop(key, then),
        }
        self.table.edit(key, |child| child.waiters.push(request));
        Ok(None)
    }

    /// Stops a child that is not up, but would have been started.
    fn cancel_start(&mut self, key: ChildKey, then: Then) {
        if let Some(State::Backoff(timer)) = self.table.get(key).map(|child| child.state) {
            self.disarm(Some(timer));
        }
        self.fail_request(key, AdminError::Interrupted);
        self.skip_pause(key);
        if then == Then::Drop { self.drop_child(key) } else { self.settle(key) }
    }

    fn restart_child(
        &mut self,
        request: RequestId,
        id: &AgentId,
    ) -> Result<Option<Done>, AdminError> {
        let key = self.find_stopped(id)?;
        self.table.edit(key, |child| {
            child.n_failures = 0;
            child.request = Some(StartRequest { id: request, is_new: false });
        });
        self.start_in_turn(key);
        Ok(None)
    }

    fn delete_child(&mut self, id: &AgentId) -> Result<Option<Done>, AdminError> {
        let key = self.find_stopped(id)?;
        self.drop_child(key);
        Ok(Some(Done::Done))
    }

    fn set_significant(
        &mut self,
        id: &AgentId,
        significant: bool,
    ) -> Result<Option<Done>, AdminError> {
        let child = self.find(id)?;
        let key = child.key;
        let spec = ChildSpec { significant, ..child.spec.clone() };
        spec.check(self.spec.auto_shutdown)?;
        self.table.edit(key, |child| child.spec.significant = significant);
        Ok(Some(Done::Done))
    }

    fn set_auto_shutdown(
        &mut self,
        auto_shutdown: AutoShutdown,
    ) -> Result<Option<Done>, AdminError> {
        if auto_shutdown == AutoShutdown::Never
            && self.table.tally().significant > 0
            && let Some(child) = self.table.iter().find(|child| child.spec.significant)
        {
            return Err(SpecError::SignificantUnderNever { id: child.spec.id.clone() }.into());
        }
        self.spec.auto_shutdown = auto_shutdown;
        Ok(Some(Done::Done))
    }

    fn find(&self, id: &AgentId) -> Result<&Child, AdminError> {
        let child = self.table.key(id).and_then(|key| self.table.get(key));
        child.ok_or(AdminError::NotFound)
    }

    fn find_stopped(&self, id: &AgentId) -> Result<ChildKey, AdminError> {
        if self.spec.dynamic {
            return Err(AdminError::Dynamic);
        }
        let child = self.find(id)?;
        match child.state {
            State::Stopped => Ok(child.key),
            State::Waiting | State::Backoff(_) | State::Starting => Err(AdminError::Restarting),
            State::Running { .. } | State::Stopping(_) | State::Abandoned(_) => {
                Err(AdminError::Running)
            }
        }
    }

    /// A child that waits for the pause of its round is in backoff, to the eye.
    pub(super) fn info(&self, info: ChildInfo) -> ChildInfo {
        let state = match info.state {
            ChildState::Waiting if self.is_pausing_for(info.key) => ChildState::Backoff,
            state => state,
        };
        ChildInfo { state, ..info }
    }
}

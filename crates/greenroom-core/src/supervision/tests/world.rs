//! A world in virtual time that does what the machine commands, with children that behave as told.
//!
//! It checks what must hold whatever happens: never two incarnations of a child at once, every
//! request answered once, nothing after the exit, no timer left, true counts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;
use crate::ids::AgentId;

/// What a start does.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum StartOutcome {
    Up,
    Fail,
    Ignore,
    Hang,
}

/// How the children of one name behave.
#[derive(Debug, Clone)]
pub(super) struct Behaviour {
    /// What the next starts do; later ones do the last of them.
    pub(super) starts: VecDeque<StartOutcome>,
    pub(super) start_after: Duration,
    /// How long it takes to end when asked; `None` when it does not.
    pub(super) stop_after: Option<Duration>,
    /// How long it takes to be gone when killed; `None` when it cannot be killed.
    pub(super) kill_after: Option<Duration>,
    /// Whether an aborted start comes up all the same.
    pub(super) abort_loses: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            starts: [StartOutcome::Up].into(),
            start_after: Duration::ZERO,
            stop_after: Some(Duration::ZERO),
            kill_after: Some(Duration::ZERO),
            abort_loses: false,
        }
    }
}

impl Behaviour {
    pub(super) fn starts(outcomes: impl IntoIterator<Item = StartOutcome>) -> Self {
        Self { starts: outcomes.into_iter().collect(), ..Self::default() }
    }
}

#[derive(Debug, Clone, Copy)]
struct Live {
    generation: Generation,
    is_up: bool,
    is_abandoned: bool,
}

pub(super) struct World {
    pub(super) machine: Machine,
    pub(super) now: Duration,
    pub(super) trace: Vec<String>,
    pub(super) reports: Vec<SupervisionEvent>,
    pub(super) exit: Option<ExitReason>,
    pub(super) is_ready: bool,
    pub(super) arms: Vec<Duration>,
    pub(super) counted: Vec<(Duration, Counted)>,
    behaviours: BTreeMap<AgentId, Behaviour>,
    queue: BTreeMap<(Duration, u64), Event>,
    queue_next: u64,
    timers: BTreeMap<TimerId, (Duration, u64)>,
    ids: BTreeMap<ChildKey, AgentId>,
    live: BTreeMap<ChildKey, Live>,
    forgotten: BTreeSet<ChildKey>,
    asked: BTreeMap<RequestId, Option<AgentId>>,
    replies: BTreeMap<RequestId, Result<Done, AdminError>>,
}

impl World {
    pub(super) fn new(spec: SupervisorSpec, children: impl IntoIterator<Item = ChildSpec>) -> Self {
        let children: Vec<_> = children.into_iter().collect();
        let keys = (0..).map(ChildKey);
        Self {
            ids: keys.zip(children.iter().map(|child| child.id.clone())).collect(),
            machine: Machine::new(spec, children, 1).unwrap(),
            now: Duration::ZERO,
            trace: Vec::new(),
            reports: Vec::new(),
            exit: None,
            is_ready: false,
            arms: Vec::new(),
            counted: Vec::new(),
            behaviours: BTreeMap::new(),
            queue: BTreeMap::new(),
            queue_next: 0,
            timers: BTreeMap::new(),
            live: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            asked: BTreeMap::new(),
            replies: BTreeMap::new(),
        }
    }

    pub(super) fn booted(
        spec: SupervisorSpec,
        children: impl IntoIterator<Item = ChildSpec>,
    ) -> Self {
        let mut world = Self::new(spec, children);
        world.boot();
        assert!(world.is_ready);
        world.take_trace();
        world
    }

    pub(super) fn boot(&mut self) {
        self.send(Event::Start);
        self.settle();
    }

    pub(super) fn behave(&mut self, id: &str, behaviour: Behaviour) {
        self.behaviours.insert(id.into(), behaviour);
    }

    /// Starts, stops, kills and aborts since last asked: `+a`, `-a`, `!a` and `~a`.
    pub(super) fn take_trace(&mut self) -> String {
        std::mem::take(&mut self.trace).join(" ")
    }

    /// Lets a child end by itself.
    pub(super) fn end(&mut self, id: &str, reason: ExitReason) {
        let key = self.key(id);
        let generation = self.live[&key].generation;
        self.schedule(Duration::ZERO, Event::Exited { key, generation, reason });
        self.settle();
    }

    pub(super) fn end_if_up(&mut self, id: &str, reason: ExitReason) {
        let key = self.machine.child(&id.into()).map(|child| child.key);
        if let Some((key, live)) = key.and_then(|key| Some((key, self.live.get(&key)?)))
            && live.is_up
        {
            let generation = live.generation;
            self.schedule(Duration::ZERO, Event::Exited { key, generation, reason });
            self.settle();
        }
    }

    #[track_caller]
    pub(super) fn check_all_answered(&self) {
        let open: Vec<_> = self.asked.keys().filter(|id| !self.replies.contains_key(id)).collect();
        assert!(open.is_empty(), "never answered: {open:?}");
    }

    /// Lets all of this happen at the same instant, in this order, before anything that follows.
    pub(super) fn schedule_all(&mut self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            self.schedule(Duration::ZERO, event);
        }
        self.settle();
    }

    pub(super) fn shut_down(&mut self) {
        self.send(Event::Shutdown { reason: ExitReason::Shutdown });
        self.settle();
    }

    /// Asks, and lets happen what takes no time.
    pub(super) fn ask(&mut self, admin: Admin) -> RequestId {
        let request = RequestId(self.asked.len() as u64);
        let id = match &admin {
            Admin::StartChild(spec) => Some(spec.id.clone()),
            _ => None,
        };
        self.asked.insert(request, id);
        self.send(Event::Admin { request, admin });
        self.settle();
        request
    }

    /// Asks what must be answered at once.
    #[track_caller]
    pub(super) fn answer(&mut self, admin: Admin) -> Result<Done, AdminError> {
        let request = self.ask(admin);
        self.reply(request).expect("an answer")
    }

    pub(super) fn reply(&self, request: RequestId) -> Option<Result<Done, AdminError>> {
        self.replies.get(&request).cloned()
    }

    pub(super) fn start(&mut self, spec: ChildSpec) -> Result<Done, AdminError> {
        self.answer(Admin::StartChild(spec))
    }

    pub(super) fn terminate(&mut self, id: &str) -> Result<Done, AdminError> {
        self.answer(Admin::TerminateChild(id.into()))
    }

    pub(super) fn restart(&mut self, id: &str) -> Result<Done, AdminError> {
        self.answer(Admin::RestartChild(id.into()))
    }

    pub(super) fn delete(&mut self, id: &str) -> Result<Done, AdminError> {
        self.answer(Admin::DeleteChild(id.into()))
    }

    #[track_caller]
    pub(super) fn key(&self, id: &str) -> ChildKey {
        self.machine.child(&id.into()).expect("the child").key
    }

    #[track_caller]
    pub(super) fn state(&self, id: &str) -> ChildState {
        self.machine.child(&id.into()).expect("the child").state
    }

    /// The generations of the children that are up, in start order.
    pub(super) fn up(&self) -> Vec<(String, u64)> {
        let children = self.machine.which_children();
        let up = children.iter().filter(|child| child.state == ChildState::Running);
        up.map(|child| (child.id.to_string(), child.generation.0)).collect()
    }

    pub(super) fn facts(&self, id: &str) -> Vec<Fact> {
        let about = self.reports.iter().filter(|report| report.id.as_str() == id);
        about.map(|report| report.fact.clone()).collect()
    }

    pub(super) fn n_live(&self) -> usize {
        self.live.values().filter(|live| !live.is_abandoned).count()
    }

    pub(super) fn n_timers(&self) -> usize {
        self.timers.len()
    }

    pub(super) fn has_forgotten(&self, key: ChildKey) -> bool {
        self.forgotten.contains(&key)
    }

    /// Lets happen what takes no time.
    pub(super) fn settle(&mut self) {
        self.run_for(Duration::ZERO);
    }

    /// Lets this much time pass.
    pub(super) fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        for _ in 0..1_000_000 {
            let Some(((at, _), _)) = self.queue.first_key_value() else { break };
            if *at > end {
                break;
            }
            let ((at, _), event) = self.queue.pop_first().unwrap();
            self.now = at;
            self.deliver(event);
        }
        self.now = end;
    }

    /// Lets time pass until nothing is left to happen, and tells how much did.
    pub(super) fn run_out(&mut self) -> Duration {
        let start = self.now;
        for _ in 0..1_000_000 {
            let Some(((at, _), event)) = self.queue.pop_first() else { break };
            let before = std::mem::replace(&mut self.now, at);
            if !self.deliver(event) {
                self.now = before;
            }
        }
        self.now - start
    }

    /// Delivers an event, unless it can no longer happen.
    fn deliver(&mut self, event: Event) -> bool {
        match &event {
            Event::Started { key, generation } => match self.live.get_mut(key) {
                Some(live) if live.generation == *generation && !live.is_up => live.is_up = true,
                _ => return false,
            },
            Event::Exited { key, generation, .. }
            | Event::StartFailed { key, generation, .. }
            | Event::Ignored { key, generation } => {
                let is_live = self.live.get(key).is_some_and(|live| live.generation == *generation);
                if !is_live {
                    return false;
                }
                self.live.remove(key);
            }
            Event::TimerFired(timer) if self.timers.remove(timer).is_none() => return false,
            _ => {}
        }
        self.send(event);
        true
    }

    /// Gives the machine an event as it is, and does what it commands.
    pub(super) fn send(&mut self, event: Event) {
        let commands = self.machine.on(self.now, event);
        for command in commands {
            self.perform(command);
        }
        assert_eq!(self.timers.len(), self.machine.n_timers());
        if self.machine.count_children().specs < 100 {
            self.check_counts();
        }
    }

    fn check_counts(&self) {
        let children = self.machine.which_children();
        let is_active = |state| matches!(state, ChildState::Running | ChildState::Stopping);
        let active = children.iter().filter(|child| {
            is_active(child.state) && self.live.get(&child.key).is_some_and(|live| live.is_up)
        });
        let is_supervisor = |child: &&ChildInfo| child.kind == ChildKind::Supervisor;
        let supervisors = children.iter().filter(is_supervisor).count();
        let expect =
            counts(children.len(), active.count(), supervisors, children.len() - supervisors);
        assert_eq!(self.machine.count_children(), expect, "{children:?}");
        assert!(self.timers.len() <= children.len() + 1);
    }

    fn schedule(&mut self, after: Duration, event: Event) -> (Duration, u64) {
        let at = (self.now.saturating_add(after), self.queue_next);
        self.queue_next += 1;
        self.queue.insert(at, event);
        at
    }

    fn perform(&mut self, command: Command) {
        if self.exit.is_some() {
            let is_refusal =
                matches!(&command, Command::Reply { reply: Err(AdminError::ShuttingDown), .. });
            assert!(is_refusal, "{command:?} after the exit");
        }
        match command {
            Command::Ready => assert!(!std::mem::replace(&mut self.is_ready, true)),
            Command::Keep { key, request } => {
                let id = self.asked[&request].clone().expect("a request to start");
                assert!(self.ids.insert(key, id).is_none(), "{key:?} used twice");
            }
            Command::Forget { key } => assert!(self.forgotten.insert(key), "forgotten twice"),
            Command::Count(counted) => {
                self.trace.push(format!("#{}", counted.child));
                self.counted.push((self.now, counted));
            }
            Command::Spawn { key, generation } => self.spawn(key, generation),
            Command::AbortSpawn { key, generation } => self.abort(key, generation),
            Command::Stop { key, generation } => self.stop(key, generation),
            Command::Kill { key, generation } => self.kill(key, generation),
            Command::Arm { timer, after } => {
                self.arms.push(after);
                let at = self.schedule(after, Event::TimerFired(timer));
                assert!(self.timers.insert(timer, at).is_none(), "a timer used twice");
            }
            Command::Disarm(timer) => {
                let at = self.timers.remove(&timer).expect("a timer that is armed");
                self.queue.remove(&at);
            }
            Command::Reply { request, reply } => {
                assert!(self.asked.contains_key(&request));
                assert!(self.replies.insert(request, reply).is_none(), "answered twice");
            }
            Command::Report(report) => {
                if report.fact == Fact::Abandoned
                    && let Some(live) = self.live.get_mut(&report.key)
                {
                    live.is_abandoned = true;
                }
                assert_eq!(report.id, self.ids[&report.key]);
                self.reports.push(report);
            }
            Command::Exit(reason) => {
                assert!(self.timers.is_empty(), "a timer outlives the supervisor");
                assert_eq!(self.n_live(), 0, "a child outlives the supervisor");
                self.check_all_answered();
                self.exit = Some(reason);
            }
        }
    }

    fn behaviour(&mut self, key: ChildKey) -> &mut Behaviour {
        self.behaviours.entry(self.ids[&key].clone()).or_default()
    }

    fn spawn(&mut self, key: ChildKey, generation: Generation) {
        let id = self.ids[&key].clone();
        self.trace.push(format!("+{id}"));
        assert!(!self.forgotten.contains(&key), "{id} is started after it was forgotten");
        for live in self.live.keys() {
            assert_ne!(self.ids[live], id, "two incarnations of {id} at once");
        }
        self.live.insert(key, Live { generation, is_up: false, is_abandoned: false });
        let behaviour = self.behaviour(key);
        let after = behaviour.start_after;
        let outcome = match behaviour.starts.len() {
            1 => behaviour.starts[0].clone(),
            _ => behaviour.starts.pop_front().unwrap(),
        };
        let event = match outcome {
            StartOutcome::Up => Event::Started { key, generation },
            StartOutcome::Ignore => Event::Ignored { key, generation },
            StartOutcome::Fail => Event::StartFailed { key, generation, cause: crash() },
            StartOutcome::Hang => return,
        };
        self.schedule(after, event);
    }

    fn abort(&mut self, key: ChildKey, generation: Generation) {
        self.trace.push(format!("~{}", self.ids[&key]));
        assert!(!self.live[&key].is_up, "the start that is aborted is over");
        let behaviour = self.behaviour(key).clone();
        if behaviour.abort_loses {
            self.schedule(Duration::ZERO, Event::Started { key, generation });
        } else if let Some(after) = behaviour.kill_after {
            let cause = ExitReason::Cancelled;
            self.schedule(after, Event::StartFailed { key, generation, cause });
        }
    }

    fn stop(&mut self, key: ChildKey, generation: Generation) {
        self.trace.push(format!("-{}", self.ids[&key]));
        assert!(self.live[&key].is_up, "what is asked to stop is up");
        if let Some(after) = self.behaviour(key).stop_after {
            let reason = ExitReason::Shutdown;
            self.schedule(after, Event::Exited { key, generation, reason });
        }
    }

    fn kill(&mut self, key: ChildKey, generation: Generation) {
        self.trace.push(format!("!{}", self.ids[&key]));
        assert!(self.live[&key].is_up, "what is killed is up");
        if let Some(after) = self.behaviour(key).kill_after {
            let reason = ExitReason::Killed;
            self.schedule(after, Event::Exited { key, generation, reason });
        }
    }
}

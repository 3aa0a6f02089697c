//! The machine against a second supervisor, written from OTP's documentation and source.
//!
//! The reference is as simple as OTP's, because it is as deaf: its starts and stops happen within the
//! call, so there is nothing in between. In a world where starts and stops take no time, both must
//! start and stop the same children in the same order, answer the same, and end for the same reason.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::{Strategy as Generate, *};

use super::world::{Behaviour, StartOutcome};
use super::{Strategy, *};

const IDS: [&str; 5] = ["a", "b", "c", "d", "e"];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Pid {
    Undefined,
    Up,
    Restarting,
}

#[derive(Debug, Clone)]
struct OtpChild {
    id: &'static str,
    restart: Restart,
    significant: bool,
    pid: Pid,
}

struct Otp {
    /// `simple_one_for_one`, but that the children have names.
    dynamic: bool,
    strategy: Strategy,
    intensity: Intensity,
    auto_shutdown: AutoShutdown,
    children: Vec<OtpChild>,
    restarts: Vec<Duration>,
    scripts: BTreeMap<&'static str, VecDeque<StartOutcome>>,
    trace: Vec<String>,
    exit: Option<ExitReason>,
}

impl Otp {
    /// Calls the start function.
    fn start(&mut self, id: &'static str) -> StartOutcome {
        self.trace.push(format!("+{id}"));
        let script = self.scripts.get_mut(id).unwrap();
        if script.len() > 1 { script.pop_front().unwrap() } else { script[0].clone() }
    }

    fn index(&self, id: &str) -> Option<usize> {
        self.children.iter().position(|child| child.id == id)
    }

    /// `start_children`, from an index on: `Err` is the index of the one that failed.
    fn start_children(&mut self, from: usize) -> Result<(), usize> {
        let mut index = from;
        while index < self.children.len() {
            let child = self.children[index].clone();
            match self.start(child.id) {
                StartOutcome::Up => self.children[index].pid = Pid::Up,
                StartOutcome::Ignore if child.restart == Restart::Temporary => {
                    self.children.remove(index);
                    continue;
                }
                StartOutcome::Ignore => self.children[index].pid = Pid::Undefined,
                _ => return Err(index),
            }
            index += 1;
        }
        Ok(())
    }

    /// `terminate_children`, from an index on.
    fn terminate_children(&mut self, from: usize) {
        for index in (from..self.children.len()).rev() {
            let child = &mut self.children[index];
            if child.pid == Pid::Up {
                self.trace.push(format!("-{}", child.id));
            }
            child.pid = Pid::Undefined;
            if child.restart == Restart::Temporary {
                self.children.remove(index);
            }
        }
    }

    fn stop(&mut self, reason: ExitReason) {
        if self.dynamic {
            let stops = self.children.iter().map(|child| format!("-{}", child.id));
            self.trace.extend(stops);
        } else {
            self.terminate_children(0);
        }
        self.exit = Some(reason);
    }

    fn boot(&mut self) {
        if let Err(index) = self.start_children(0) {
            let child = self.children[index].id.into();
            self.stop(ExitReason::StartFailed { child, cause: Box::new(crash()) });
        }
    }

    /// `del_child`.
    fn del_child(&mut self, index: usize) {
        if self.dynamic || self.children[index].restart == Restart::Temporary {
            self.children.remove(index);
        } else {
            self.children[index].pid = Pid::Undefined;
        }
    }

    /// OTP's `simple_one_for_one` keeps a dynamic child that ignores a restart under the pid
    /// `undefined`, and every other child too: it is dropped here, as one that ignores its start is.
    fn del_child_that_ignored(&mut self, index: usize) {
        self.children[index].pid = Pid::Undefined;
        if self.dynamic {
            self.children.remove(index);
        }
    }

    /// The `EXIT` of a child.
    fn exited(&mut self, id: &str, reason: &ExitReason, now: Duration) {
        let Some(index) = self.index(id) else { return };
        let child = self.children[index].clone();
        if child.pid != Pid::Up {
            return;
        }
        self.children[index].pid = Pid::Undefined;
        match (child.restart, reason.is_abnormal()) {
            (Restart::Permanent, _) | (Restart::Transient, true) => self.restart(index, now),
            _ => {
                self.del_child(index);
                let is_up = |other: &OtpChild| other.significant && other.pid != Pid::Undefined;
                let stops = match self.auto_shutdown {
                    AutoShutdown::Never => false,
                    AutoShutdown::AnySignificant => true,
                    AutoShutdown::AllSignificant => !self.children.iter().any(is_up),
                };
                if child.significant && stops {
                    self.stop(ExitReason::Shutdown);
                }
            }
        }
    }

    /// `restart`, with the tries that OTP sends itself as messages.
    fn restart(&mut self, mut index: usize, now: Duration) {
        loop {
            let period = self.intensity.period;
            self.restarts.retain(|at| *at + period >= now);
            self.restarts.push(now);
            if self.restarts.len() > self.intensity.restarts_max as usize {
                let child = self.children[index].id.into();
                self.del_child(index);
                return self.stop(ExitReason::IntensityExceeded { child });
            }
            let result = match self.strategy {
                Strategy::OneForOne => match self.start(self.children[index].id) {
                    StartOutcome::Up => {
                        self.children[index].pid = Pid::Up;
                        return;
                    }
                    StartOutcome::Ignore => return self.del_child_that_ignored(index),
                    _ => Err(index),
                },
                Strategy::OneForAll => {
                    self.children[index].pid = Pid::Undefined;
                    self.terminate_children(0);
                    self.start_children(0)
                }
                Strategy::RestForOne => {
                    self.children[index].pid = Pid::Undefined;
                    self.terminate_children(index);
                    self.start_children(index)
                }
            };
            let Err(failed) = result else { return };
            self.children[failed].pid = Pid::Restarting;
            index = failed;
        }
    }

    fn start_child(&mut self, spec: &ChildSpec, id: &'static str) -> &'static str {
        if spec.check(self.auto_shutdown).is_err() {
            return "invalid";
        }
        if let Some(index) = self.index(id) {
            let is_up = self.children[index].pid == Pid::Up;
            return if is_up { "already started" } else { "already present" };
        }
        let child = OtpChild {
            id,
            restart: spec.restart,
            significant: spec.significant,
            pid: Pid::Undefined,
        };
        match self.start(id) {
            StartOutcome::Up => {
                self.children.push(OtpChild { pid: Pid::Up, ..child });
                "started"
            }
            StartOutcome::Ignore => {
                if child.restart != Restart::Temporary && !self.dynamic {
                    self.children.push(child);
                }
                "ignored"
            }
            _ => "start failed",
        }
    }

    fn terminate_child(&mut self, id: &str) -> &'static str {
        let Some(index) = self.index(id) else { return "not found" };
        if self.children[index].pid == Pid::Up {
            self.trace.push(format!("-{id}"));
        }
        self.del_child(index);
        "done"
    }

    fn restart_child(&mut self, id: &'static str) -> &'static str {
        if self.dynamic {
            return "dynamic";
        }
        let Some(index) = self.index(id) else { return "not found" };
        if self.children[index].pid == Pid::Up {
            return "running";
        }
        match self.start(id) {
            StartOutcome::Up => {
                self.children[index].pid = Pid::Up;
                "started"
            }
            StartOutcome::Ignore => "ignored",
            _ => "start failed",
        }
    }

    fn delete_child(&mut self, id: &str) -> &'static str {
        if self.dynamic {
            return "dynamic";
        }
        let Some(index) = self.index(id) else { return "not found" };
        if self.children[index].pid == Pid::Up {
            return "running";
        }
        self.children.remove(index);
        "done"
    }
}

fn words(reply: &Result<Done, AdminError>) -> &'static str {
    match reply {
        Ok(Done::Started { .. }) => "started",
        Ok(Done::Ignored) => "ignored",
        Ok(Done::Done) => "done",
        Err(AdminError::NotFound) => "not found",
        Err(AdminError::AlreadyStarted { .. }) => "already started",
        Err(AdminError::AlreadyPresent) => "already present",
        Err(AdminError::Dynamic) => "dynamic",
        Err(AdminError::Running) => "running",
        Err(AdminError::StartFailed { .. }) => "start failed",
        Err(AdminError::Invalid(_)) => "invalid",
        Err(error) => panic!("not an answer of OTP's: {error}"),
    }
}

#[derive(Debug, Clone)]
enum Op {
    Exit(usize, ExitReason),
    Start(usize, Restart, bool),
    Terminate(usize),
    Restart(usize),
    Delete(usize),
    Wait(u64),
    Shutdown,
}

fn restarts() -> impl Generate<Value = Restart> {
    prop_oneof![Just(Restart::Permanent), Just(Restart::Transient), Just(Restart::Temporary)]
}

fn ops() -> impl Generate<Value = Op> {
    let id = || 0..IDS.len();
    let reasons = prop_oneof![
        Just(ExitReason::Normal),
        Just(ExitReason::Shutdown),
        Just(ExitReason::Killed),
        Just(crash())
    ];
    prop_oneof![
        8 => (id(), reasons).prop_map(|(id, reason)| Op::Exit(id, reason)),
        3 => (id(), restarts(), any::<bool>())
            .prop_map(|(id, restart, significant)| Op::Start(id, restart, significant)),
        2 => id().prop_map(Op::Terminate),
        2 => id().prop_map(Op::Restart),
        1 => id().prop_map(Op::Delete),
        3 => (0..6_u64).prop_map(Op::Wait),
        1 => Just(Op::Shutdown),
    ]
}

fn scripts() -> impl Generate<Value = Vec<Vec<StartOutcome>>> {
    let outcome = prop_oneof![
        12 => Just(StartOutcome::Up),
        2 => Just(StartOutcome::Fail),
        1 => Just(StartOutcome::Ignore)
    ];
    // Most starts succeed, so that most cases get past the boot.
    let script = proptest::collection::vec(outcome, 1..12);
    proptest::collection::vec(script, IDS.len())
}

#[derive(Debug, Clone)]
struct Case {
    dynamic: bool,
    strategy: Strategy,
    restarts_max: u32,
    auto_shutdown: AutoShutdown,
    children: Vec<(Restart, bool)>,
    scripts: Vec<Vec<StartOutcome>>,
    ops: Vec<Op>,
}

fn cases() -> impl Generate<Value = Case> {
    let strategy = proptest::sample::select(STRATEGIES.to_vec());
    let policies =
        vec![AutoShutdown::Never, AutoShutdown::AnySignificant, AutoShutdown::AllSignificant];
    let children = proptest::collection::vec((restarts(), any::<bool>()), 0..IDS.len());
    (
        (proptest::bool::weighted(0.25), strategy, 0..6_u32, proptest::sample::select(policies)),
        (children, scripts(), proptest::collection::vec(ops(), 0..40)),
    )
        .prop_map(
            |((dynamic, strategy, restarts_max, auto_shutdown), (children, scripts, ops))| {
                let strategy = if dynamic { Strategy::OneForOne } else { strategy };
                let children = if dynamic { Vec::new() } else { children };
                Case { dynamic, strategy, restarts_max, auto_shutdown, children, scripts, ops }
            },
        )
}

fn build(case: &Case) -> (World, Otp) {
    let intensity = Intensity::new(case.restarts_max, secs(5));
    let mut specs = Vec::new();
    let mut children = Vec::new();
    for (id, (restart, significant)) in IDS.into_iter().zip(&case.children) {
        let mut spec = worker(id).restart(*restart);
        spec.significant = *significant
            && *restart != Restart::Permanent
            && case.auto_shutdown != AutoShutdown::Never;
        let (restart, significant) = (*restart, spec.significant);
        children.push(OtpChild { id, restart, significant, pid: Pid::Undefined });
        specs.push(spec);
    }
    let spec = SupervisorSpec { dynamic: case.dynamic, ..SupervisorSpec::new(case.strategy) }
        .intensity(case.restarts_max, secs(5))
        .auto_shutdown(case.auto_shutdown);
    let mut world = World::new(spec, specs);
    let mut scripts = BTreeMap::new();
    for (id, script) in IDS.into_iter().zip(&case.scripts) {
        world.behave(id, Behaviour::starts(script.iter().cloned()));
        scripts.insert(id, script.iter().cloned().collect());
    }
    let otp = Otp {
        dynamic: case.dynamic,
        strategy: case.strategy,
        intensity,
        auto_shutdown: case.auto_shutdown,
        children,
        restarts: Vec::new(),
        scripts,
        trace: Vec::new(),
        exit: None,
    };
    (world, otp)
}

fn perform(op: &Op, world: &mut World, otp: &mut Otp) -> Result<(), TestCaseError> {
    let (answer, expect) = match op {
        Op::Exit(id, reason) => {
            let id = IDS[*id];
            otp.exited(id, reason, world.now);
            let info = world.machine.child(&id.into());
            if info.is_some_and(|child| child.state == ChildState::Running) {
                world.end(id, reason.clone());
            }
            return Ok(());
        }
        Op::Wait(seconds) => {
            world.run_for(secs(*seconds));
            return Ok(());
        }
        Op::Shutdown => {
            world.shut_down();
            otp.stop(ExitReason::Shutdown);
            return Ok(());
        }
        Op::Start(id, restart, significant) => {
            let id = IDS[*id];
            let spec = ChildSpec { significant: *significant, ..worker(id).restart(*restart) };
            let expect = otp.start_child(&spec, id);
            (world.start(spec), expect)
        }
        Op::Terminate(id) => (world.terminate(IDS[*id]), otp.terminate_child(IDS[*id])),
        Op::Restart(id) => (world.restart(IDS[*id]), otp.restart_child(IDS[*id])),
        Op::Delete(id) => (world.delete(IDS[*id]), otp.delete_child(IDS[*id])),
    };
    prop_assert_eq!(words(&answer), expect);
    Ok(())
}

fn compare(case: &Case) -> Result<(), TestCaseError> {
    let (mut world, mut otp) = build(case);
    world.boot();
    otp.boot();
    let mut ops = case.ops.iter();
    loop {
        prop_assert_eq!(world.take_trace(), std::mem::take(&mut otp.trace).join(" "));
        prop_assert_eq!(&world.exit, &otp.exit);
        if otp.exit.is_some() {
            return Ok(());
        }
        let children = world.machine.which_children();
        let is_up = |child: &ChildInfo| child.state == ChildState::Running;
        let ours: Vec<_> =
            children.iter().map(|child| (child.id.to_string(), is_up(child))).collect();
        let theirs: Vec<_> =
            otp.children.iter().map(|child| (child.id.to_owned(), child.pid == Pid::Up)).collect();
        prop_assert_eq!(ours, theirs);
        let Some(op) = ops.next() else { return Ok(()) };
        perform(op, &mut world, &mut otp)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_machine_decides_as_otp_does(case in cases()) {
        compare(&case)?;
    }
}

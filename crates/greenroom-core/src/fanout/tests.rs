//! The machine against its table, and against a reference that only counts.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Runs a fan-out of `n` branches, none shielded, that end in the order given, `+1` well and `-1` badly, and
/// tells all commands: `s0` starts, `c0` cancels, the verdict is last.
fn told(form: FanOut, n: usize, ends: &[&str]) -> String {
    let mut machine = Machine::new(form, vec![false; n]);
    let mut commands = machine.on(Event::Begin);
    for end in ends {
        commands.extend(machine.on(event(end)));
    }
    commands.iter().map(tell).collect::<Vec<_>>().join(" ")
}

fn event(text: &str) -> Event {
    match text {
        "late" => Event::Deadline,
        "gone" => Event::Cancelled,
        _ => Event::Ended {
            member: text[1..].parse().expect("a position"),
            is_ok: text.starts_with('+'),
        },
    }
}

fn tell(command: &Command) -> String {
    match command {
        Command::Start(i) => format!("s{i}"),
        Command::Cancel(i) => format!("c{i}"),
        Command::Finish(verdict) => verdict.to_string(),
    }
}

#[track_caller]
fn check(form: FanOut, n: usize, ends: &[&str], expect: &str) {
    assert_eq!(told(form, n, ends), expect);
}

#[test]
fn each_form_is_over_as_its_row_says() {
    check(FanOut::gather(), 3, &["-1", "+2"], "s0 s1 s2");
    check(FanOut::gather(), 3, &["-1", "+2", "-0"], "s0 s1 s2 complete");
    check(FanOut::all(), 3, &["+2", "+0", "+1"], "s0 s1 s2 complete");
    check(FanOut::all(), 3, &["+2", "-0"], "s0 s1 s2 c1 impossible");
    check(FanOut::first(), 3, &["-1", "+2"], "s0 s1 s2 c0 complete");
    check(FanOut::first(), 2, &["-1", "-0"], "s0 s1 impossible");
    check(FanOut::at_least(2), 4, &["+3", "-0", "+1"], "s0 s1 s2 s3 c2 complete");
    check(FanOut::at_least(2), 3, &["-0", "-2"], "s0 s1 s2 c1 impossible");
    check(FanOut::race(), 3, &["-1"], "s0 s1 s2 c0 c2 complete");
    check(FanOut::race(), 3, &["+0"], "s0 s1 s2 c1 c2 complete");
}

#[test]
fn a_deadline_keeps_what_is_there_and_says_whether_it_is_something() {
    check(FanOut::gather(), 3, &["+1", "late"], "s0 s1 s2 c0 c2 partial");
    check(FanOut::gather(), 3, &["-1", "late"], "s0 s1 s2 c0 c2 late");
    check(FanOut::all(), 2, &["late"], "s0 s1 c0 c1 late");
    check(FanOut::gather(), 2, &["+0", "gone"], "s0 s1 c1 cancelled");
}

#[test]
fn a_width_lets_the_next_one_in_at_every_end() {
    check(FanOut::gather().width(2), 4, &["+1", "-2"], "s0 s1 s2 s3");
    check(FanOut::gather().width(1), 2, &["+0", "+1"], "s0 s1 complete");
    check(FanOut::gather().width(0), 2, &["+0"], "s0 s1");
    check(FanOut::all().width(1), 3, &["-0"], "s0 impossible");
}

#[test]
fn what_needs_no_branch_is_over_at_once() {
    for form in [FanOut::gather(), FanOut::all(), FanOut::first(), FanOut::race()] {
        check(form, 0, &[], "complete");
    }
    check(FanOut::at_least(0), 2, &[], "complete");
    check(FanOut::at_least(1), 0, &[], "impossible");
    check(FanOut::at_least(3), 2, &[], "impossible");
}

#[test]
fn too_many_branches_are_refused_and_none_is_started() {
    let starts: Vec<_> = (0..BRANCHES_MAX).map(|i| format!("s{i}")).collect();
    assert_eq!(told(FanOut::gather(), BRANCHES_MAX, &[]), starts.join(" "));
    assert_eq!(told(FanOut::gather(), BRANCHES_MAX + 1, &["+0", "late"]), "refused");
}

#[test]
fn a_shield_holds_while_its_branch_runs() {
    let mut machine = Machine::new(FanOut::gather().width(2), vec![true, false, true]);
    machine.on(Event::Begin);
    let commands = machine.on(Event::Cancelled);
    assert_eq!(commands, [Command::Cancel(1), Command::Finish(Verdict::Cancelled)]);
    assert_eq!(machine.members(), [Member::Detached, Member::Cancelled, Member::NotStarted]);
}

/// The verdict of a form, from the ends alone and in other words than the machine's.
fn verdict(kind: usize, k: u32, n: usize, ends: &[bool]) -> Option<Verdict> {
    let n_ok = ends.iter().filter(|is_ok| **is_ok).count();
    let n_failed = ends.len() - n_ok;
    let k = k as usize;
    let (is_complete, is_impossible) = match kind {
        0 => (ends.len() == n, false),
        1 => (n_ok == n, n_failed > 0),
        2 => (n_ok > 0 || n == 0, n_failed == n),
        3 => (n_ok >= k, n_failed + k > n),
        _ => (!ends.is_empty() || n == 0, false),
    };
    let is_complete = is_complete.then_some(Verdict::Complete);
    is_complete.or(is_impossible.then_some(Verdict::Impossible))
}

fn form(kind: usize, k: u32) -> FanOut {
    match kind {
        0 => FanOut::gather(),
        1 => FanOut::all(),
        2 => FanOut::first(),
        3 => FanOut::at_least(k),
        _ => FanOut::race(),
    }
}

/// A driver that obeys, and that knows of each branch only what it was told.
#[derive(Default)]
struct Driver {
    running: BTreeSet<usize>,
    started: Vec<usize>,
    cancelled: Vec<usize>,
    ends: Vec<bool>,
    ok: BTreeSet<usize>,
    failed: BTreeSet<usize>,
    verdict: Option<Verdict>,
}

impl Driver {
    fn obey(&mut self, commands: Vec<Command>) {
        for command in commands {
            assert_eq!(self.verdict, None, "nothing comes after the end");
            match command {
                Command::Start(i) => {
                    self.started.push(i);
                    assert!(self.running.insert(i), "{i} was started twice");
                }
                Command::Cancel(i) => {
                    self.cancelled.push(i);
                    assert!(self.running.remove(&i), "{i} does not run");
                }
                Command::Finish(verdict) => self.verdict = Some(verdict),
            }
        }
    }

    /// What must be so at every moment.
    fn check(&self, machine: &Machine, kind: usize, k: u32, width: usize) {
        let n = machine.members().len();
        assert!(self.started.iter().copied().eq(0..self.started.len()), "in the order given");
        assert!(self.running.len() <= width, "{} run", self.running.len());
        assert_eq!(self.verdict, machine.verdict());
        if self.verdict.is_none() {
            assert_eq!(verdict(kind, k, n, &self.ends), None, "it is over and does not say so");
            // Nobody waits while there is room, so something runs: it cannot wait for ever.
            assert_eq!(self.running.len(), width.min(n - self.ends.len()));
            assert!(!self.running.is_empty());
        }
    }

    /// Every branch is in the one state that its story calls for.
    fn check_members(&self, machine: &Machine, shields: &[bool]) {
        for (i, member) in machine.members().iter().enumerate() {
            let expect = if self.ok.contains(&i) {
                Member::Succeeded
            } else if self.failed.contains(&i) {
                Member::Failed
            } else if i >= self.started.len() {
                Member::NotStarted
            } else if shields[i] {
                Member::Detached
            } else {
                Member::Cancelled
            };
            assert_eq!(*member, expect, "branch {i}");
            assert_eq!(expect == Member::Cancelled, self.cancelled.contains(&i), "branch {i}");
            assert_eq!(expect == Member::Detached, self.running.contains(&i), "branch {i}");
        }
        assert!(self.cancelled.is_sorted());
    }
}

proptest! {
    /// Whatever ends, in whatever order, and whenever it is late or cancelled.
    #[test]
    fn it_agrees_with_the_reference(
        (kind, k, width) in (0..5_usize, 0..5_u32, 0..6_usize),
        shields in prop::collection::vec(any::<bool>(), 0..9),
        steps in prop::collection::vec((0..40_u8, any::<prop::sample::Index>(), any::<bool>()), 0..40),
    ) {
        let n = shields.len();
        let mut machine = Machine::new(form(kind, k).width(width), shields.clone());
        let width = width.max(1);
        let mut driver = Driver::default();
        prop_assert_eq!(machine.on(Event::Ended { member: 0, is_ok: true }), [], "not begun");
        driver.obey(machine.on(Event::Begin));
        prop_assert_eq!(driver.verdict, verdict(kind, k, n, &[]));
        driver.check(&machine, kind, k, width);
        for (what, which, is_ok) in steps {
            let was_over = driver.verdict.is_some();
            let expect = match what {
                0 => {
                    driver.obey(machine.on(Event::Deadline));
                    let has_some = !driver.ok.is_empty();
                    Some(if has_some { Verdict::Partial } else { Verdict::Late })
                }
                1 => {
                    driver.obey(machine.on(Event::Cancelled));
                    Some(Verdict::Cancelled)
                }
                2 => {
                    // A branch that does not run, and one that does not exist.
                    let stray = which.index(n + 2);
                    if !driver.running.contains(&stray) {
                        driver.obey(machine.on(Event::Ended { member: stray, is_ok }));
                    }
                    None
                }
                _ if was_over || driver.running.is_empty() => None,
                _ => {
                    let at = which.index(driver.running.len());
                    let member = *driver.running.iter().nth(at).expect("one of them");
                    driver.running.remove(&member);
                    driver.ends.push(is_ok);
                    let ended = if is_ok { &mut driver.ok } else { &mut driver.failed };
                    ended.insert(member);
                    driver.obey(machine.on(Event::Ended { member, is_ok }));
                    verdict(kind, k, n, &driver.ends)
                }
            };
            if !was_over {
                prop_assert_eq!(driver.verdict, expect);
            }
            driver.check(&machine, kind, k, width);
        }
        driver.obey(machine.on(Event::Cancelled));
        prop_assert!(driver.verdict.is_some());
        driver.check_members(&machine, &shields);
    }
}

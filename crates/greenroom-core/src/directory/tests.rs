//! The directory, by examples and against a model made of a list.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const NOBODY: [usize; 0] = [];

fn key(n: usize) -> AgentId {
    format!("key/{n}").into()
}

/// A directory with these keys live and busy; the residents are their numbers.
fn with(n_live: usize) -> (Directory<usize>, Vec<Activation>) {
    let mut directory = Directory::new(10 * SECOND);
    let mut activations = Vec::new();
    for n in 0..n_live {
        directory.activate(key(n), |activation| {
            activations.push(activation);
            n
        });
    }
    (directory, activations)
}

#[test]
fn a_key_that_is_not_live_is_not_there() {
    let (mut directory, activations) = with(1);
    assert_eq!((directory.find(&key(0)), directory.find(&key(1))), (Some(&0), None));
    assert_eq!(directory.gone(&key(0), activations[0], true), Some(0));
    assert_eq!(directory.gone(&key(0), activations[0], true), None, "once");
    assert_eq!(directory.find(&key(0)), None);
    let census = Census { n_activations: 1, n_passivations: 1, ..Census::default() };
    assert_eq!(directory.census(), census);
}

#[test]
fn a_live_key_is_not_activated_again_and_old_news_is_ignored() {
    let (mut directory, activations) = with(1);
    assert_eq!(directory.activate(key(0), |_| 7), &0);
    directory.gone(&key(0), activations[0], false);
    assert_eq!(directory.activate(key(0), |_| 7), &7);
    assert_eq!(directory.rested(&key(0), activations[0], SECOND), NOBODY);
    assert_eq!(directory.gone(&key(0), activations[0], true), None);
    let census = Census { n_live: 1, n_activations: 2, ..Census::default() };
    assert_eq!(directory.census(), census);
}

#[test]
fn whoever_is_idle_for_long_enough_is_asked_and_nobody_else() {
    let (mut directory, activations) = with(3);
    assert_eq!((directory.next_due(), directory.due(100 * SECOND)), (None, vec![]), "all busy");
    assert_eq!(directory.rested(&key(1), activations[1], SECOND), NOBODY);
    assert_eq!(directory.rested(&key(0), activations[0], 2 * SECOND), NOBODY);
    assert_eq!(directory.rested(&key(2), activations[2], 3 * SECOND), NOBODY);
    assert_eq!(directory.busy(&key(2), activations[2]), NOBODY);
    assert_eq!(directory.next_due(), Some(11 * SECOND));
    assert_eq!(directory.due(11 * SECOND), [1]);
    assert_eq!(directory.rested(&key(0), activations[0], 5 * SECOND), NOBODY, "used again");
    assert_eq!(directory.due(14 * SECOND), NOBODY);
    assert_eq!(directory.due(15 * SECOND), [0]);
    assert_eq!((directory.next_due(), directory.census().n_idle), (None, 0));
}

#[test]
fn for_each_that_waits_the_one_that_is_idle_longest_leaves() {
    let (mut directory, activations) = with(3);
    for n in [2, 0, 1] {
        assert_eq!(directory.rested(&key(n), activations[n], SECOND), NOBODY);
    }
    assert_eq!(directory.wait(), [2]);
    assert!(directory.has_prospect());
    assert_eq!(directory.wait(), [0]);
    assert_eq!(directory.busy(&key(2), activations[2]), [1], "one that stays is replaced");
    assert_eq!(directory.wait(), NOBODY);
    assert!(!directory.has_prospect(), "nobody is idle");
    assert_eq!(directory.rested(&key(2), activations[2], SECOND), [2], "and is asked once it is");
    directory.waited();
    directory.gone(&key(0), activations[0], true);
    assert_eq!(directory.rested(&key(2), activations[2], SECOND), [2], "it had not heard");
    assert_eq!(directory.census().n_waiting, 2);
}

#[test]
fn whoever_leaves_because_of_its_idleness_makes_room_too() {
    let (mut directory, activations) = with(2);
    assert_eq!(directory.rested(&key(0), activations[0], Duration::ZERO), NOBODY);
    assert_eq!(directory.rested(&key(1), activations[1], SECOND), NOBODY);
    assert_eq!(directory.due(10 * SECOND), [0]);
    assert_eq!(directory.wait(), NOBODY, "one leaves already");
    assert_eq!(directory.wait(), [1]);
}

/// What the directory should know, in the simplest form.
#[derive(Default)]
struct Model {
    /// Live keys, with their activations.
    live: Vec<(usize, Activation)>,
    /// Those that are idle, longest first.
    idle: Vec<usize>,
    leaving: Vec<usize>,
    n_waiting: usize,
}

impl Model {
    fn forget(&mut self, n: usize) {
        self.idle.retain(|other| *other != n);
        self.leaving.retain(|other| *other != n);
    }

    fn make_room(&mut self) -> Vec<usize> {
        let mut asked = Vec::new();
        while self.leaving.len() < self.n_waiting && !self.idle.is_empty() {
            asked.push(self.idle.remove(0));
            self.leaving.extend(asked.last());
        }
        asked
    }
}

proptest! {
    #[test]
    fn it_agrees_with_a_list(steps in prop::collection::vec((0..6_u8, 0..5_usize), 1..300)) {
        let (mut directory, mut model) = (Directory::new(10 * SECOND), Model::default());
        for (i, (step, n)) in (0_u32..).zip(steps) {
            let live = model.live.iter().find(|(other, _)| *other == n).map(|(_, of)| *of);
            match (step, live) {
                (0, None) => {
                    directory.activate(key(n), |activation| {
                        model.live.push((n, activation));
                        n
                    });
                }
                (0 | 1, Some(activation)) => {
                    model.forget(n);
                    model.idle.push(n);
                    let asked = directory.rested(&key(n), activation, SECOND * i);
                    prop_assert_eq!(asked, model.make_room());
                }
                (2, Some(activation)) => {
                    model.forget(n);
                    prop_assert_eq!(directory.busy(&key(n), activation), model.make_room());
                }
                (3, _) => {
                    model.n_waiting += 1;
                    prop_assert_eq!(directory.wait(), model.make_room());
                }
                (4, _) => {
                    model.n_waiting = model.n_waiting.saturating_sub(1);
                    directory.waited();
                }
                (5, Some(activation)) => {
                    model.forget(n);
                    model.live.retain(|(other, _)| *other != n);
                    prop_assert_eq!(directory.gone(&key(n), activation, true), Some(n));
                }
                _ => {}
            }
            let census = directory.census();
            prop_assert_eq!(census.n_live, model.live.len());
            prop_assert_eq!(census.n_idle, model.idle.len());
            prop_assert_eq!(directory.has_prospect(), model.leaving.len() >= model.n_waiting);
            for n in 0..5 {
                let is_live = model.live.iter().any(|(other, _)| *other == n);
                prop_assert_eq!(directory.find(&key(n)).is_some(), is_live);
            }
        }
    }
}

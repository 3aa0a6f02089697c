//! Processes that die in virtual time: at every append of every workflow, before and after it is stored, and
//! again while the next one recovers.
//!
//! A process is a runtime of tokio that is dropped with everything in it. The journal and the witness are left.

use std::time::Duration;

use greenroom_core::journal::{Event, Journal, MemoryJournal};
use greenroom_testkit::kills::{Calm, Mutant, MutantJournal, Violation, Witness, inquest};
use greenroom_testkit::{Death, EvictingJournal, MortalJournal};

use super::workflows::{Pace, Workflow};
use crate::recovery::{process, runtime, stored, unfinished};

const PACE: Pace = Pace::of(Duration::from_secs(1));

/// A journal and a witness, and the processes that come and go between them.
pub(crate) struct Scene {
    workflow: Workflow,
    pace: Pace,
    journal: MemoryJournal,
    witness: Witness,
    mutant: Option<Mutant>,
    n_lives: u64,
    /// What the clock of the next process shows at first.
    seconds: u64,
}

impl Scene {
    pub(crate) fn new(workflow: Workflow, mutant: Option<Mutant>) -> Self {
        let (journal, witness) = (MemoryJournal::new(), Witness::in_memory());
        Self { workflow, pace: PACE, journal, witness, mutant, n_lives: 0, seconds: 0 }
    }

    /// One life of the process, until its death or the end of its runs. How many appends it made, when it
    /// came to its end.
    pub(crate) fn live(&mut self, death: Option<Death>) -> Option<u64> {
        self.n_lives += 1;
        self.seconds += 3;
        let mortal = MortalJournal::new(self.journal.clone(), death);
        let lived = match self.mutant {
            Some(mutant) => self.live_with(&mortal, MutantJournal::new(mortal.clone(), mutant)),
            None => self.live_with(&mortal, mortal.clone()),
        };
        lived.map(|()| mortal.n_appends())
    }

    fn live_with(&self, mortal: &MortalJournal, journal: impl Journal) -> Option<()> {
        process(async {
            let witness = self.witness.born(&self.journal).await.expect("memory answers");
            let runtime = runtime(journal, self.n_lives, self.seconds).await;
            let life = async {
                let lived = self.workflow.live(&runtime, &witness, self.pace, 1).await;
                lived.expect("it comes to its end");
                runtime.shutdown().await;
            };
            mortal.outlive(life).await
        })
    }

    pub(crate) fn inquest(&self, calm: Option<&Calm>) -> Vec<Violation> {
        process(inquest(&self.witness, &self.journal, calm))
    }

    /// What a run comes to when nobody dies, and how many appends it takes.
    pub(crate) fn calm(workflow: Workflow) -> (Calm, u64) {
        let mut scene = Self::new(workflow, None);
        let n_appends = scene.live(None).expect("nobody dies");
        let calm = Calm::of(&scene.witness);
        assert_eq!(scene.inquest(Some(&calm)), [], "{workflow:?}");
        (calm, n_appends)
    }
}

/// Every death at an append.
pub(crate) fn deaths(n_appends: u64) -> impl Iterator<Item = Death> {
    (1..=n_appends).flat_map(|at| [false, true].map(|is_stored| Death { at, is_stored }))
}

/// D1: a death at every append, of every workflow.
#[test]
fn d1_every_workflow_survives_a_death_at_every_append() {
    for workflow in Workflow::ALL {
        let (calm, n_appends) = Scene::calm(workflow);
        assert!(n_appends > 12, "{workflow:?}: {n_appends}");
        for death in deaths(n_appends) {
            let mut scene = Scene::new(workflow, None);
            assert_eq!(scene.live(Some(death)), None, "{workflow:?}: {death:?}");
            scene.live(None).expect("nobody dies");
            assert_eq!(scene.inquest(Some(&calm)), [], "{workflow:?}: {death:?}");
        }
    }
}

/// I7: recovery dies as well, three deep.
#[test]
fn d1_recovery_itself_survives_its_deaths() {
    for workflow in Workflow::ALL {
        let (calm, n_appends) = Scene::calm(workflow);
        for first in deaths(n_appends).step_by(9) {
            for second in deaths(3) {
                let third = Death { at: 2, is_stored: second.is_stored };
                let mut scene = Scene::new(workflow, None);
                for death in [first, second, third] {
                    scene.live(Some(death));
                }
                scene.live(None).expect("nobody dies");
                let found = scene.inquest(Some(&calm));
                assert_eq!(found, [], "{workflow:?}: {first:?}, then {second:?}");
            }
        }
    }
}

/// D5: every process stores one event of the run and is gone.
#[test]
fn d5_a_run_that_is_evicted_after_every_event_comes_to_the_same() {
    for workflow in Workflow::ALL {
        let (calm, n_appends) = Scene::calm(workflow);
        let mut scene = Scene::new(workflow, None);
        // The first append is the acceptance, and later on the claim.
        let ended = (0..300).find_map(|n| {
            scene.live(Some(Death { at: if n == 0 { 1 } else { 2 }, is_stored: true }))
        });
        assert!(ended.is_some(), "{workflow:?}: it gets further with each process");
        assert!(scene.n_lives * 2 > n_appends, "{workflow:?}: {} lives", scene.n_lives);
        assert_eq!(scene.inquest(Some(&calm)), [], "{workflow:?}");
    }
}

/// D5, of shells: the actor behind each append is stopped once it is stored, and a new one begins with nothing but the
/// stream. The run comes to what it comes to when nobody is evicted.
#[test]
fn d5_a_run_whose_actors_are_evicted_after_every_append_comes_to_the_same() {
    for workflow in Workflow::ALL {
        let (calm, n_appends) = Scene::calm(workflow);
        let mut scene = Scene::new(workflow, None);
        scene.pace = Pace(EvictingJournal::PAUSE, Duration::from_secs(86_400));
        let evicting = EvictingJournal::new(scene.journal.clone());
        scene.live_with(&MortalJournal::new(evicting.clone(), None), evicting.clone());
        let n_evicted = evicting.n_evicted();
        assert!(n_evicted + 1 >= n_appends, "{workflow:?}: {n_evicted} of {n_appends}");
        assert_eq!(scene.inquest(Some(&calm)), [], "{workflow:?}");
    }
}

/// I7: the time to gather ends once, however many processes come after it.
#[test]
fn a_gathering_that_is_over_stays_so() {
    let (_, n_appends) = Scene::calm(Workflow::Team);
    let mut scene = Scene::new(Workflow::Team, None);
    scene.live(Some(Death { at: n_appends / 2, is_stored: true }));
    let run = unfinished(&scene.journal)[0];
    // Of its ten minutes less than the half minute is left that is kept for writing. Each process claims the
    // run and stores one event.
    for _ in 0..12 {
        scene.seconds = 572;
        scene.live(Some(Death { at: 2, is_stored: true }));
    }
    let events = stored(&scene.journal, run);
    let n_ends = events.iter().filter(|event| matches!(event, Event::GatheringEnded)).count();
    assert_eq!(n_ends, 1);
    scene.live(None).expect("nobody dies");
    assert_eq!(scene.inquest(None), []);
}

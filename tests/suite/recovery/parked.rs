//! Runs that are not continued: poison, changed configurations, strangers.

use std::sync::Arc;
use std::time::Duration;

use greenroom_core::ids::RunId;
use greenroom_core::journal::{Event, MemoryJournal};
use greenroom_core::recovery::{OnChange, Owner, Parked, RecoverySpec};
use greenroom_core::tool::tool;
use greenroom_runtime::{Agent, ResumeError, Runtime};
use greenroom_testkit::{ScriptedModel, ScriptedReply};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Notify;

use super::{call, n_replies, process, recover, runtime, stored, unfinished};

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

/// An agent whose only tool ends the process.
fn bomber(runtime: &Runtime, death: &Arc<Notify>) -> Agent {
    let death = Arc::clone(death);
    let bomb = tool("bomb", "Ends the process.", move |Nothing {}| {
        let death = Arc::clone(&death);
        async move {
            death.notify_one();
            std::future::pending::<()>().await;
            Ok(())
        }
    });
    let model = ScriptedModel::answering(|request| match n_replies(&request.messages) {
        0 => ScriptedReply::calls([call("bomb", 1)]),
        _ => ScriptedReply::text("harmless"),
    });
    runtime.agent("bomber").model(model).tool(bomb.read_only()).build().expect("complete")
}

/// An agent that takes its time.
fn clerk(runtime: &Runtime, seconds: u64) -> Agent {
    let model = ScriptedModel::answering(|_| ScriptedReply::text("done"));
    let model = model.latency(Duration::from_secs(seconds));
    runtime.agent("clerk").model(model).build().expect("complete")
}

/// D8: a run that kills every process is quarantined after three that it got no further in; the others, which
/// died with it each time, come to their ends.
#[test]
fn sup_e07_d8_a_run_that_kills_every_process_is_quarantined_and_the_others_go_on() {
    let journal = MemoryJournal::new();
    let (poison, innocents) = process(async {
        let death = Arc::new(Notify::new());
        let runtime = runtime(journal.clone(), 1, 0).await;
        let (bomber, clerk) = (bomber(&runtime, &death), clerk(&runtime, 5));
        let mut innocents = Vec::new();
        for _ in 0..3 {
            innocents.push(clerk.start("hello?").await.expect("accepted").id());
        }
        let poison = bomber.start("go").await.expect("accepted").id();
        death.notified().await;
        (poison, innocents)
    });
    let mut n_deaths = 1;
    let parked = loop {
        let ended = process(async {
            let death = Arc::new(Notify::new());
            let runtime = runtime(journal.clone(), 1 + n_deaths, 100 * n_deaths).await;
            let (_bomber, clerk) = (bomber(&runtime, &death), clerk(&runtime, 5));
            let life = async {
                recover(&runtime).await;
                for run in &innocents {
                    // One that waits for its trial is not at work yet.
                    while clerk.attach(*run).await.expect("memory answers").is_none() {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                    let run = clerk.attach(*run).await.expect("memory answers").expect("known");
                    assert_eq!(run.outcome().await.expect("an answer").text, "done");
                }
                tokio::time::sleep(Duration::from_secs(60)).await;
                let parked = runtime.parked();
                runtime.shutdown().await;
                parked
            };
            tokio::select! {
                biased;
                () = death.notified() => None,
                parked = life => Some(parked),
            }
        });
        match ended {
            Some(parked) => break parked,
            None => n_deaths += 1,
        }
        assert!(n_deaths < 10, "it is never quarantined");
    };
    // The first process had a reply of the model; three more got no further.
    assert_eq!(n_deaths, 4);
    assert_eq!(parked.len(), 1);
    assert_eq!((parked[0].run, &parked[0].why), (poison, &Parked::Quarantined { n_boots: 3 }));
    assert_eq!(parked[0].owner, Some(Owner::Agent("bomber".into())));
    assert_eq!(unfinished(&journal), [poison]);
    assert!(matches!(stored(&journal, poison).last(), Some(Event::RunQuarantined { n_boots: 3 })));
}

/// A clerk that is told this.
fn told(runtime: &Runtime, instructions: &str) -> Agent {
    let model = ScriptedModel::answering(|_| ScriptedReply::text("done"));
    let model = model.latency(Duration::from_secs(1));
    runtime.agent("clerk").model(model).instructions(instructions).build().expect("complete")
}

fn begun(journal: &MemoryJournal) -> RunId {
    process(async {
        let runtime = runtime(journal.clone(), 1, 0).await;
        told(&runtime, "Be brief.").start("hello?").await.expect("accepted").id()
    })
}

#[test]
fn a_changed_configuration_is_named_and_a_person_may_continue() {
    let journal = MemoryJournal::new();
    let run = begun(&journal);
    process(async {
        let runtime = runtime(journal.clone(), 2, 1).await;
        let clerk = told(&runtime, "Be verbose.");
        assert_eq!(recover(&runtime).await, []);
        let parked = runtime.parked();
        assert_eq!(
            parked[0].why.to_string(),
            "its configuration has changed: instructions is different"
        );
        assert_eq!(runtime.resume(run).await, Ok(()));
        assert_eq!(runtime.resume(run).await, Ok(()), "it is at work");
        let attached = clerk.attach(run).await.expect("memory answers").expect("it is at work");
        assert_eq!(attached.outcome().await.expect("an answer").text, "done");
        assert_eq!(runtime.resume(run).await, Err(ResumeError::Over));
        assert_eq!(runtime.parked(), []);
        runtime.shutdown().await;
    });
    let claims = stored(&journal, run).into_iter().filter_map(|event| match event {
        Event::RunClaimed { changes, .. } => Some(changes.len()),
        _ => None,
    });
    assert_eq!(claims.collect::<Vec<_>>(), [1], "what changed is in the journal");
}

#[test]
fn the_old_configuration_continues_what_another_one_left_alone() {
    let journal = MemoryJournal::new();
    let run = begun(&journal);
    for (n_life, instructions) in [(2, "Be verbose."), (3, "Be silent.")] {
        process(async {
            let runtime = runtime(journal.clone(), n_life, n_life).await;
            let _clerk = told(&runtime, instructions);
            let spec = RecoverySpec::default().on_change(OnChange::Refuse);
            let round = runtime.recover(spec).await.expect("a round ends");
            assert_eq!((round.resumed, round.parked.len()), (vec![], 1));
            let refused = runtime.resume(run).await;
            assert!(matches!(refused, Err(ResumeError::Parked(Parked::Changed(_)))), "{refused:?}");
            runtime.shutdown().await;
        });
    }
    process(async {
        let runtime = runtime(journal.clone(), 4, 4).await;
        let _clerk = told(&runtime, "Be brief.");
        assert_eq!(recover(&runtime).await, [run]);
        runtime.shutdown().await;
    });
}

#[test]
fn a_policy_continues_what_has_changed() {
    let journal = MemoryJournal::new();
    let run = begun(&journal);
    process(async {
        let runtime = runtime(journal.clone(), 2, 1).await;
        let clerk = told(&runtime, "Be verbose.");
        let spec = RecoverySpec::default().on_change(OnChange::Continue);
        let round = runtime.recover(spec).await.expect("a round ends");
        assert_eq!(round.resumed, [run]);
        let run = clerk.attach(run).await.expect("memory answers").expect("it is at work");
        assert_eq!(run.outcome().await.expect("an answer").text, "done");
        runtime.shutdown().await;
    });
}

#[test]
fn the_runs_of_strangers_are_listed_and_left_alone() {
    let journal = MemoryJournal::new();
    let run = begun(&journal);
    for n_life in 2..9 {
        process(async {
            let runtime = runtime(journal.clone(), n_life, n_life).await;
            assert_eq!(recover(&runtime).await, []);
            let parked = runtime.parked();
            assert_eq!((parked[0].run, &parked[0].why), (run, &Parked::Unknown));
            let resumed = runtime.resume(run).await;
            assert_eq!(resumed, Err(ResumeError::Parked(Parked::Unknown)));
            runtime.shutdown().await;
        });
    }
    // Nobody who could not continue it counts as a process that died over it.
    process(async {
        let runtime = runtime(journal.clone(), 9, 9).await;
        let _clerk = told(&runtime, "Be brief.");
        assert_eq!(recover(&runtime).await, [run]);
        runtime.shutdown().await;
    });
}

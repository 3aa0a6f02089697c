//! Who is next: fair between runs, and parents before children within one.
//!
//! A run's turn comes by what it was given, in tokens, and not by how much it asks for: self-clocked fair
//! queueing (Golestani, "A Self-Clocked Fair Queueing Scheme for Broadband Applications", 1994). Each
//! run's next call has a tag: the tag of the call that the run was given last, or of the call that
//! anybody was given last if that is later, plus what the call costs. The least tag goes first. A run
//! that floods the queue pays with its own tags, a run that comes new waits for one round, and nobody
//! has to be remembered once its calls are through.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Ask, Ticket};
use crate::ids::RunId;
use crate::resilience::budget::Paid;

/// What a request weighs beside its tokens, in tokens: a run of many small calls is not free.
const REQUEST_WEIGHT: u64 = 1000;

/// A call that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) ask: Ask,
    /// What it paid, when it is a retry.
    pub(super) paid: Option<Paid>,
}

impl Waiting {
    fn cost(&self) -> u64 {
        self.ask.tokens.saturating_add(REQUEST_WEIGHT)
    }
}

/// The calls of one run.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// From which the tag of the next call is counted.
    base: u64,
    tag: u64,
    /// Boxed: a map makes room for eleven at once, and a run waits with one as a rule.
    waiting: BTreeMap<(u32, Ticket), Box<Waiting>>,
}

/// The queue of an account.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) runs: HashMap<Option<RunId>, Run>,
    /// By tag, then by who asked first.
    ready: BTreeSet<(u64, Ticket, Option<RunId>)>,
    places: BTreeMap<Ticket, (Option<RunId>, u32)>,
    /// The tag of the call that was given last.
    clock: u64,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn push(&mut self, ticket: Ticket, waiting: Waiting) {
        let (id, depth) = (waiting.ask.run, waiting.ask.depth);
        self.places.insert(ticket, (id, depth));
        let clock = self.clock;
        self.change(id, |run| {
            if run.waiting.is_empty() {
                run.base = run.base.max(clock);
            }
            run.waiting.insert((depth, ticket), Box::new(waiting));
        });
    }

    pub(super) fn peek(&self) -> Option<&Waiting> {
        let (_, _, id) = self.ready.first()?;
        self.runs.get(id)?.waiting.first_key_value().map(|(_, waiting)| &**waiting)
    }

    pub(super) fn oldest(&self) -> Option<Ticket> {
        self.places.first_key_value().map(|(ticket, _)| *ticket)
    }

    pub(super) fn pop(&mut self) -> Option<(Ticket, Waiting)> {
        let (tag, _, id) = *self.ready.first()?;
        self.clock = self.clock.max(tag);
        let ((_, ticket), waiting) = self.change(id, |run| {
            run.base = tag;
            run.waiting.pop_first()
        })?;
        self.places.remove(&ticket);
        Some((ticket, *waiting))
    }

    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Waiting> {
        let (id, depth) = self.places.remove(&ticket)?;
        self.change(id, |run| run.waiting.remove(&(depth, ticket))).map(|waiting| *waiting)
    }

    pub(super) fn remove_those(
        &mut self,
        is_one: impl Fn(&Waiting) -> bool,
    ) -> Vec<(Ticket, Waiting)> {
        let all = self.runs.values().flat_map(|run| &run.waiting);
        let tickets: Vec<_> =
            all.filter(|(_, waiting)| is_one(waiting)).map(|((_, ticket), _)| *ticket).collect();
        tickets.into_iter().filter_map(|ticket| Some((ticket, self.remove(ticket)?))).collect()
    }

    /// Changes a run's calls, and then its place among the runs.
    fn change<T>(&mut self, id: Option<RunId>, change: impl FnOnce(&mut Run) -> T) -> T {
        let run = self.runs.entry(id).or_default();
        if let Some(((_, ticket), _)) = run.waiting.first_key_value() {
            self.ready.remove(&(run.tag, *ticket, id));
        }
        let changed = change(run);
        match run.waiting.first_key_value() {
            Some(((_, ticket), waiting)) => {
                run.tag = run.base.saturating_add(waiting.cost());
                self.ready.insert((run.tag, *ticket, id));
            }
            // Its base is not later than the clock, so nothing is forgotten.
            None => drop(self.runs.remove(&id)),
        }
        changed
    }
}

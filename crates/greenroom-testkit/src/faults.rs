//! Fault plans: what goes wrong in a test, to whom, and when; the same for the same seed.
//!
//! A plan decides and records. What it says of agents the runtime does, because the plan is a
//! [`Faults`]; what it says of tools and models is done by the wrappers that the plan makes of them.
//!
//! Chance is drawn from the seed, the rule, the target and how often the target has come to that point, and
//! from nothing else. So it does not matter how threads are scheduled.

mod model;
mod pattern;
mod record;
mod rule;
mod tool;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use greenroom_core::fault::{Fault, Faults, INJECTED, Point};
use greenroom_core::model::ChatModel;
use greenroom_core::random::SplitMix64;
use greenroom_core::tool::DynTool;

pub use model::FaultyModel;
pub use record::Injected;
pub use rule::{FaultRule, FaultSite};
pub use tool::FaultyTool;

use crate::provider::WireFault;
use record::Record;
use rule::Harm;

/// A seeded plan of faults, with the record of those it has injected. Clones share the record.
///
/// | for | how |
/// |---|---|
/// | agents | [`RuntimeBuilder::faults`](https://docs.rs/greenroom-runtime) |
/// | tools | [`FaultPlan::tool`], [`FaultPlan::tools`] |
/// | models | [`FaultPlan::model`] |
/// | providers on this machine | [`ProviderBuilder::faults`](crate::provider::ProviderBuilder::faults) |
///
/// When several rules are due at once, the one that was given first strikes; the others count the
/// occurrence as passed.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use greenroom_testkit::{FaultPlan, FaultRule, ScriptedModel, ScriptedReply};
///
/// let plan = FaultPlan::new(7)
///     .rule(FaultRule::crash("research-*").at(3))
///     .rule(FaultRule::slow_start("ledger", Duration::from_secs(2)))
///     .rule(FaultRule::lost_reply("ledger").chance(0.1).times(5));
/// let model = plan.model(ScriptedModel::new([ScriptedReply::text("64 [1].")]));
/// # let _ = model;
/// assert_eq!(plan.n_injected(), 0, "{plan}");
/// ```
#[derive(Clone)]
#[must_use]
pub struct FaultPlan {
    seed: u64,
    rules: Arc<[FaultRule]>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// How often each target has come to each site.
    n_occurred: BTreeMap<(FaultSite, String), u64>,
    /// How often each rule has struck each target.
    n_struck: BTreeMap<(usize, String), u32>,
    record: Record,
}

impl FaultPlan {
    /// A plan without rules.
    pub fn new(seed: u64) -> Self {
        Self { seed, rules: Arc::default(), state: Arc::default() }
    }

    /// The plan with one more rule and an empty record.
    pub fn rule(self, rule: FaultRule) -> Self {
        let rules = self.rules.iter().cloned().chain([rule]);
        Self { rules: rules.collect(), state: Arc::default(), ..self }
    }

    /// The tool, with what the plan says of tools of its name.
    pub fn tool(&self, tool: impl DynTool) -> FaultyTool {
        self.faulty(Arc::new(tool))
    }

    /// The tools, each with what the plan says of tools of its name.
    #[must_use]
    pub fn tools(
        &self,
        tools: impl IntoIterator<Item = Arc<dyn DynTool>>,
    ) -> Vec<Arc<dyn DynTool>> {
        tools.into_iter().map(|tool| Arc::new(self.faulty(tool)) as Arc<dyn DynTool>).collect()
    }

    fn faulty(&self, tool: Arc<dyn DynTool>) -> FaultyTool {
        FaultyTool::new(self.clone(), tool)
    }

    /// The model, with what the plan says of models of its name.
    pub fn model<M: ChatModel>(&self, model: M) -> FaultyModel<M> {
        FaultyModel::new(self.clone(), model)
    }

    /// What chance is drawn from.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The faults that were injected, in order: the first 1,024 of them.
    #[must_use]
    pub fn injected(&self) -> Vec<Injected> {
        self.state().record.kept.clone()
    }

    /// How many faults were injected.
    #[must_use]
    pub fn n_injected(&self) -> u64 {
        self.state().record.n_injected
    }

    /// Fails when a rule has never struck: the test has then not tested what it says.
    ///
    /// # Panics
    ///
    /// When there is such a rule, naming it and the seed.
    #[track_caller]
    pub fn assert_every_rule_struck(&self) {
        let state = self.state();
        let has_struck = |rule: usize| state.n_struck.keys().any(|(struck, _)| *struck == rule);
        let idle = self.rules.iter().enumerate().filter(|(rule, _)| !has_struck(*rule));
        let idle: Vec<_> = idle.map(|(_, rule)| rule.to_string()).collect();
        drop(state);
        assert!(idle.is_empty(), "these never struck: {}\n{self}", idle.join("; "));
    }

    /// What a provider is to do wrong when this model is asked.
    pub(crate) fn of_provider(&self, model: &str) -> Option<WireFault> {
        match self.decide(FaultSite::Provider, model)? {
            Harm::Wire(fault) => Some(*fault),
            _ => None,
        }
    }

    /// The text of the panics and errors that the plan injects.
    fn text(&self) -> String {
        format!("{INJECTED} (seed {})", self.seed)
    }

    /// Counts that a target has come to a site, and tells what is to go wrong there.
    fn decide(&self, site: FaultSite, target: &str) -> Option<Harm> {
        let mut state = self.state();
        let n_occurred = state.n_occurred.entry((site, target.to_owned())).or_default();
        *n_occurred += 1;
        let occurrence = *n_occurred;
        let (i, rule) = self.rules.iter().enumerate().find(|(i, rule)| {
            let n_struck = state.n_struck.get(&(*i, target.to_owned())).copied();
            rule.is_about(site, target)
                && n_struck.unwrap_or(0) < rule.times
                && occurrence >= rule.first
                && self.chance(*i, target, occurrence) < rule.chance
        })?;
        *state.n_struck.entry((i, target.to_owned())).or_default() += 1;
        let fault = rule.harm.to_string();
        state.record.push(Injected { site, target: target.to_owned(), occurrence, fault });
        Some(rule.harm.clone())
    }

    /// A number in [0, 1) that only the seed and the place determine.
    fn chance(&self, rule: usize, target: &str, occurrence: u64) -> f64 {
        // FNV-1a, which spreads short names well enough to seed with.
        let name = target.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut bits = self.seed;
        for part in [rule as u64, name, occurrence] {
            bits = SplitMix64::new(bits ^ part).bits();
        }
        SplitMix64::new(bits).unit()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds this lock")
    }
}

impl Faults for FaultPlan {
    fn strike(&self, point: &Point<'_>) -> Option<Fault> {
        let site = match point {
            Point::Start { .. } => FaultSite::Start,
            Point::Message { .. } => FaultSite::Message,
            Point::Reply { .. } => FaultSite::Reply,
            _ => return None,
        };
        self.decide(site, point.agent().as_str()).map(Harm::of_agent)
    }
}

/// The seed, the rules and the record: what a failing test prints.
impl fmt::Display for FaultPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        write!(f, "fault plan with seed {}: {} injected", self.seed, state.record.n_injected)?;
        for rule in &*self.rules {
            write!(f, "\n  rule: {rule}")?;
        }
        for injected in &state.record.kept {
            write!(f, "\n  injected: {injected}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for FaultPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultPlan")
            .field("seed", &self.seed)
            .field("rules", &self.rules)
            .field("injected", &self.state().record.kept)
            .finish()
    }
}

#[cfg(test)]
mod tests;

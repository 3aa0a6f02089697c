//! The accounts of an application: one governor for each, whoever asks.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use greenroom_core::embedder::Embedder;
use greenroom_core::model::ChatModel;
use greenroom_core::resilience::governor::Status;
use greenroom_core::secret::Secret;
use greenroom_core::time::Clock;

use super::error::SetupError;
use super::exchange::Endpoint;
use super::name::ModelName;
use super::providers::Providers;
use super::vendors::UNNAMED;
use crate::resilience::{
    EmbedderSpec, Governor, GovernorSpec, ResilienceSpec, ResilientEmbedder, resilient,
};

/// Models by name, each under the governor of its account.
///
/// An account is a host and a key. Models of one account share one governor, whichever wire they are
/// asked over, so that its limits hold for all agents together.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
///
/// use greenroom_core::time::Clock;
/// use greenroom_models::http::{Accounts, Providers, Settings, SetupError};
/// use greenroom_models::resilience::ResilienceSpec;
///
/// fn models(clock: Arc<dyn Clock>) -> Result<(), SetupError> {
///     let providers = Providers::new(Settings::new().with_key("openai", "sk-…"))?;
///     let mut accounts = Accounts::new(providers, clock);
///     let planner = accounts.model("openai:gpt-5", ResilienceSpec::default())?;
///     let writer = accounts.model("openai-responses:gpt-5-mini", ResilienceSpec::default())?;
///     # let _ = (planner, writer);
///     Ok(())
/// }
/// ```
pub struct Accounts {
    providers: Providers,
    clock: Arc<dyn Clock>,
    specs: BTreeMap<String, GovernorSpec>,
    governors: Vec<(Account, Governor)>,
}

/// Whose limits a call counts against.
#[derive(Clone, PartialEq, Eq)]
struct Account {
    origin: String,
    key: Option<Secret>,
}

impl Accounts {
    /// Accounts that nobody has used yet.
    #[must_use]
    pub fn new(providers: Providers, clock: Arc<dyn Clock>) -> Self {
        Self { providers, clock, specs: BTreeMap::new(), governors: Vec::new() }
    }

    /// Sets the limits of the account of a vendor, by the name that stands before the colon; `endpoint` is
    /// that of models that are named by an address. Of two vendors that share an account, the limits of the
    /// one that is asked first hold.
    #[must_use]
    pub fn with_spec(mut self, vendor: impl Into<String>, spec: GovernorSpec) -> Self {
        self.specs.insert(vendor.into(), spec);
        self
    }

    /// The model of a name, with everything around it that [`resilient`] puts there. Nothing is connected.
    ///
    /// # Errors
    ///
    /// As [`Providers::model`].
    pub fn model(
        &mut self,
        name: &str,
        spec: ResilienceSpec,
    ) -> Result<Arc<dyn ChatModel>, SetupError> {
        let model = self.providers.model(name)?;
        let vendor = vendor_of(name)?;
        let governor = self.governor(model.endpoint(), vendor);
        Ok(resilient(model, &governor, spec))
    }

    /// The embedder of a name, under the governor of the account that the models of the same host and key
    /// are under. `dimensions` shortens its vectors.
    ///
    /// # Errors
    ///
    /// As [`Providers::embedder`].
    pub fn embedder(
        &mut self,
        name: &str,
        dimensions: Option<u32>,
        spec: EmbedderSpec,
    ) -> Result<Arc<dyn Embedder>, SetupError> {
        let mut embedder = self.providers.embedder(name)?;
        if let Some(dimensions) = dimensions {
            embedder = embedder.with_dimensions(dimensions);
        }
        let governor = self.governor(embedder.endpoint(), vendor_of(name)?);
        Ok(Arc::new(ResilientEmbedder::new(embedder, &governor, spec)))
    }

    /// What each account does now, by its host.
    #[must_use]
    pub fn status(&self) -> Vec<(String, Status)> {
        let each = self.governors.iter();
        each.map(|(account, governor)| (account.origin.clone(), governor.status())).collect()
    }

    fn governor(&mut self, endpoint: &Endpoint, vendor: &str) -> Governor {
        let account = Account { origin: endpoint.origin(), key: endpoint.secret.clone() };
        let known = self.governors.iter().find(|(known, _)| *known == account);
        if let Some((_, governor)) = known {
            return governor.clone();
        }
        let spec = self.specs.get(vendor).cloned().unwrap_or_default();
        let governor = Governor::new(spec, Arc::clone(&self.clock));
        self.governors.push((account, governor.clone()));
        governor
    }
}

/// The vendor of a name, as [`Accounts::with_spec`] calls it.
fn vendor_of(name: &str) -> Result<&'static str, SetupError> {
    let name: ModelName = name.parse()?;
    Ok(name.vendor().map_or(UNNAMED.name, |vendor| vendor.name))
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origins = self.governors.iter().map(|(account, _)| &account.origin);
        f.debug_struct("Accounts").field("origins", &origins.collect::<Vec<_>>()).finish()
    }
}

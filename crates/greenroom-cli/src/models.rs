//! The models of a team, by role: offline ones, and those of providers under the governors of their accounts.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use greenroom_core::agent::TurnLimits;
use greenroom_core::budget::{Budget, Spent};
use greenroom_core::model::{ChatModel, ModelErrorKind};
use greenroom_core::report::{Outcome, TaskFailure};
use greenroom_models::Extractive;
use greenroom_models::http::{Accounts, ModelName, Providers, SetupError, SetupErrorKind, nearest};
use greenroom_models::resilience::{EmbedderSpec, GovernorSpec, RateSpec, ResilienceSpec};
use greenroom_retrieval::Embedding;
use greenroom_runtime::{SystemClock, TeamBuilder};
use greenroom_testkit::Delayed;

use crate::config::{Config, OFFLINE, Origin, Role};
use crate::exit::{Exit, Failure, Problem};

/// How many names are listed when a model does not exist.
const NAMES_MAX: usize = 12;

/// Who answers for each role.
pub(crate) struct Models {
    roles: Vec<(Role, Arc<dyn ChatModel>)>,
    embedding: Option<Embedding>,
    /// What the embedder is called, and what its price is looked up by, when that is not known.
    unpriced_embedder: Option<(String, String)>,
    providers: Option<Providers>,
    limits: TurnLimits,
}

impl Models {
    /// The models that are in force. Nothing is connected.
    ///
    /// # Errors
    ///
    /// A name that is none, a key that is missing, an address that cannot be used: each with what to do.
    pub(crate) fn new(config: &Config) -> Result<Self, Failure> {
        let names = Role::ALL.map(|role| (role, config.model(role)));
        let mut accounts = Lazy { config, accounts: None };
        let mut roles: Vec<(Role, Arc<dyn ChatModel>)> = Vec::new();
        for (role, name) in names {
            if name.value == OFFLINE {
                roles.push((role, Arc::new(Extractive::new())));
                continue;
            }
            let what = format!("the model of the {}", role.name());
            let unusable = |error| unusable(&error, &what, &name.origin);
            let accounts = accounts.get().map_err(unusable)?;
            let model = accounts.model(&name.value, ResilienceSpec::default()).map_err(unusable)?;
            roles.push((role, model));
        }
        let asks_models = accounts.accounts.is_some();
        let embedder = config.embedder().map(|(name, file)| {
            let dimensions = file.dimensions.as_ref().map(|dimensions| dimensions.value);
            let made = accounts.get().and_then(|accounts| {
                accounts.embedder(&name.value, dimensions, EmbedderSpec::default())
            });
            let embedder = made.map_err(|error| unusable(&error, "the embedder", &name.origin))?;
            // Its name says how long its vectors are, which its price does not depend on.
            let priced_by = name.value.parse().map(|name: ModelName| name.to_string());
            let priced_by = priced_by.unwrap_or(name.value);
            Ok::<_, Failure>((embedder, priced_by, file))
        });
        let embedder = embedder.transpose()?;
        let unpriced = embedder.as_ref().filter(|(embedder, ..)| embedder.price().is_none());
        let unpriced_embedder = unpriced
            .map(|(embedder, priced_by, _)| (embedder.name().to_owned(), priced_by.clone()));
        let embedding = embedder.map(|(embedder, _, file)| {
            let prefix = |text: &Option<String>| text.clone().unwrap_or_default();
            let embedding = Embedding::new(embedder)
                .prefixes(prefix(&file.passage_prefix), prefix(&file.query_prefix));
            if file.is_strict { embedding.strict() } else { embedding }
        });
        let mut limits = TurnLimits::default();
        limits.attempts_max = config.tries().unwrap_or(limits.attempts_max);
        let providers = accounts.accounts.filter(|_| asks_models).map(|(_, providers)| providers);
        Ok(Self { roles, embedding, unpriced_embedder, providers, limits })
    }

    /// Who makes vectors, when anybody does.
    pub(crate) fn embedding(&self) -> Option<Embedding> {
        self.embedding.clone()
    }

    /// Refuses a limit on money that cannot be kept.
    ///
    /// # Errors
    ///
    /// A model whose price is not known.
    pub(crate) fn check(&self, budget: &Budget) -> Result<(), Failure> {
        let unpriced = self.unpriced().next();
        let (Some(_), Some((name, key))) = (budget.money_max, unpriced) else { return Ok(()) };
        let message = format!("--budget-usd cannot be kept: the price of {name} is not known");
        let help = format!("give it in the configuration file, in [prices.{key:?}]");
        Err(Problem::new(Exit::Config, "GR0409", message).help(help).into())
    }

    /// Whether the price is known of every model that something was spent on, the embedder included.
    pub(crate) fn are_priced(&self, spending: &[Spent]) -> bool {
        !self.unpriced().any(|(name, _)| spending.iter().any(|spent| spent.model == name))
    }

    /// Those whose price is not known: their names, and what their prices are looked up by.
    fn unpriced(&self) -> impl Iterator<Item = (&str, &str)> {
        let models = self.roles.iter().filter(|(_, model)| model.price().is_none());
        let embedder = self.unpriced_embedder.iter().map(|(name, key)| (&**name, &**key));
        models.map(|(_, model)| (model.name(), model.name())).chain(embedder)
    }

    /// Whether no provider is asked.
    pub(crate) fn is_offline(&self) -> bool {
        self.providers.is_none()
    }

    /// The same models, each slower by so much a call.
    pub(crate) fn slowed(mut self, pace: Duration) -> Self {
        for (_, model) in &mut self.roles {
            *model = Arc::new(Delayed::new(Arc::clone(model), pace));
        }
        self
    }

    /// Gives a team its models.
    pub(crate) fn seat(&self, mut team: TeamBuilder) -> TeamBuilder {
        for (role, model) in &self.roles {
            // The team wants a model for roles that have none; here every role has one.
            team = team.model(Arc::clone(model)).role_model(role.id(), Arc::clone(model));
        }
        team.limits(self.limits)
    }

    /// What to do about an outcome that a model is to blame for. A provider that does not know a model is
    /// asked what it knows, once and not for long.
    pub(crate) async fn advice(&self, outcome: &Outcome) -> Option<String> {
        let kind = outcome.failure.as_ref().and_then(|failure| failure.model_error)?;
        if kind == ModelErrorKind::UnknownModel {
            return Some(self.what_exists().await);
        }
        advice(kind).map(str::to_owned)
    }

    async fn what_exists(&self) -> String {
        let names: BTreeSet<_> = self.roles.iter().map(|(_, model)| model.name()).collect();
        for name in names {
            let Some(Ok(model)) = self.providers.as_ref().map(|providers| providers.model(name))
            else {
                continue;
            };
            let Ok(list) = model.list().await else { continue };
            let wanted = model.id();
            if !list.is_empty() && list.iter().all(|known| known != wanted) {
                return listed(wanted, &list);
            }
        }
        "the provider does not tell what it has; see its pages".to_owned()
    }
}

/// The names that are there, those that are most like the wanted one first.
fn listed(wanted: &str, list: &[String]) -> String {
    let hint = nearest(wanted, list.iter().map(String::as_str));
    let hint = hint.map(|name| format!("did you mean {name:?}? ")).unwrap_or_default();
    let alike =
        |name: &String| name.bytes().zip(wanted.bytes()).take_while(|(a, b)| a == b).count();
    let mut sorted: Vec<_> = list.iter().collect();
    sorted.sort_by_key(|name| (usize::MAX - alike(name), *name));
    let shown: Vec<_> = sorted.iter().take(NAMES_MAX).map(|name| name.as_str()).collect();
    let more = match list.len().saturating_sub(NAMES_MAX) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    format!("{hint}the provider has {}{more}", shown.join(", "))
}

/// Accounts that are set up when the first model asks for them.
struct Lazy<'a> {
    config: &'a Config,
    accounts: Option<(Accounts, Providers)>,
}

impl Lazy<'_> {
    fn get(&mut self) -> Result<&mut Accounts, SetupError> {
        if self.accounts.is_none() {
            let providers = Providers::new(self.config.settings())?;
            self.accounts = Some((governed(providers.clone(), self.config), providers));
        }
        let (accounts, _) = self.accounts.as_mut().expect("they were set up above");
        Ok(accounts)
    }
}

fn governed(providers: Providers, config: &Config) -> Accounts {
    let mut accounts = Accounts::new(providers, Arc::new(SystemClock::new()));
    for (vendor, requests, tokens) in config.rates() {
        let spec = GovernorSpec {
            requests: requests.map(RateSpec::per_minute),
            tokens: tokens.map(RateSpec::per_minute),
            ..GovernorSpec::default()
        };
        accounts = accounts.with_spec(vendor, spec);
    }
    accounts
}

fn unusable(error: &SetupError, what: &str, origin: &Origin) -> Failure {
    let code = match error.kind {
        SetupErrorKind::NoKey | SetupErrorKind::BadKey => "GR0401",
        SetupErrorKind::BadUrl => "GR0405",
        SetupErrorKind::BadConnection => "GR0406",
        _ => "GR0403",
    };
    let help = match error.kind {
        SetupErrorKind::NoKey => {
            "put it into the environment or into .env; docs/models.md tells more"
        }
        _ => "`greenroom config` shows what is in force; docs/models.md tells how it is written",
    };
    let message = format!("{what} ({origin}): {error}");
    Problem::new(Exit::Config, code, message).help(help).into()
}

/// The exit status and the code of a failure that a model is to blame for, when it has some of its own.
pub(crate) fn verdict(failure: &TaskFailure) -> Option<(Exit, &'static str)> {
    match failure.model_error? {
        ModelErrorKind::Auth => Some((Exit::Config, "GR0402")),
        ModelErrorKind::UnknownModel => Some((Exit::Config, "GR0404")),
        ModelErrorKind::Endpoint => Some((Exit::Config, "GR0405")),
        ModelErrorKind::Unavailable => Some((Exit::Failed, "GR0407")),
        ModelErrorKind::Quota => Some((Exit::Failed, "GR0408")),
        _ => None,
    }
}

fn advice(kind: ModelErrorKind) -> Option<&'static str> {
    match kind {
        ModelErrorKind::Auth => Some("`greenroom config` tells where the key came from"),
        ModelErrorKind::Endpoint => Some("`greenroom config` tells where the address came from"),
        ModelErrorKind::Unavailable => {
            Some("check the address and the network, or ask again later")
        }
        ModelErrorKind::Quota => Some("the account has used up its money or its quota"),
        _ => None,
    }
}

impl fmt::Debug for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.roles.iter().map(|(role, model)| (role.name(), model.name()));
        f.debug_map().entries(names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_most_like_the_wanted_name_is_listed_first() {
        let list = |n: usize| (0..n).map(|i| format!("m{i:02}")).collect::<Vec<_>>();
        assert_eq!(
            listed("gpt-6", &["b".into(), "gpt-5".into(), "a".into()]),
            "did you mean \"gpt-5\"? the provider has gpt-5, a, b"
        );
        let text = listed("other", &list(14));
        assert!(
            text.starts_with("the provider has m00, ") && text.ends_with("m11 and 2 more"),
            "{text}"
        );
    }

    #[test]
    fn a_model_that_must_be_set_up_is_told_with_its_role_and_its_origin() {
        let error = Providers::new(greenroom_models::http::Settings::new());
        let error = error.and_then(|providers| providers.model("openai:m")).expect_err("no key");
        let Failure::Problem(problem) =
            unusable(&error, "the model of the writer", &Origin::Flag("--model"))
        else {
            panic!("it is told")
        };
        let wanted = "the model of the writer (--model): openai wants a key: set OPENAI_API_KEY";
        assert_eq!((problem.exit, problem.code), (Exit::Config, "GR0401"));
        assert!(problem.message.starts_with(wanted), "{problem:?}");
    }
}

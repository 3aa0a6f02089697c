//! What is in force, and where each value came from.
//!
//! | comes first | then | then | then | at last |
//! |---|---|---|---|---|
//! | the command line | the environment | `.env` in the working directory | the file | the default |
//!
//! Keys come from the environment and from `.env` only, and are shown to nobody.

mod file;
mod keep;
mod section;
mod show;
mod variables;

use std::fmt;

use greenroom_models::http::{Settings, Vendor};

use crate::args::ModelArgs;
use crate::exit::{Exit, Failure, Problem};
use file::{File, FileEmbedder};
pub(crate) use keep::{DURABILITIES, Keep, MCP, TOOLS, durability};
pub(crate) use show::show;
use variables::Variables;

/// The name of the model that needs neither a key nor a network.
pub(crate) const OFFLINE: &str = "extractive";

/// The variable that names the model of every role.
const MODEL_VARIABLE: &str = "GREENROOM_MODEL";

/// What stands for no embedder.
const NO_EMBEDDER: &str = "none";

/// The variable that names the embedder.
const EMBEDDER_VARIABLE: &str = "GREENROOM_EMBEDDER";

/// The roles of a team that ask models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Planner,
    Research,
    Writer,
}

impl Role {
    pub(crate) const ALL: [Self; 3] = [Self::Planner, Self::Research, Self::Writer];

    /// What people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Planner => "planner",
            Self::Research => "research",
            Self::Writer => "writer",
        }
    }

    /// What the team calls it.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Planner => "plan",
            Self::Research => "research",
            Self::Writer => "answer",
        }
    }
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag(&'static str),
    Environment(String),
    DotEnv(String),
    /// A file and a line, counted from 1.
    File(String, usize),
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => f.write_str(flag),
            Self::Environment(name) => f.write_str(name),
            Self::DotEnv(name) => write!(f, "{name} in .env"),
            Self::File(file, line) => write!(f, "{file}:{line}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) origin: Origin,
}

/// Everything that is in force.
#[derive(Debug, Default)]
pub(crate) struct Config {
    model: Option<String>,
    embedder: Option<String>,
    variables: Variables,
    file: File,
}

impl Config {
    /// Reads everything there is.
    ///
    /// # Errors
    ///
    /// A file that is named and not there, that cannot be read, or that says what nobody understands.
    pub(crate) fn load(args: &ModelArgs) -> Result<Self, Failure> {
        let variables = Variables::load()?;
        let file = File::load(args.config.as_deref())?;
        let (model, embedder) = (args.model.clone(), args.embedder.clone());
        Ok(Self { model, embedder, variables, file })
    }

    /// The name of the model of a role.
    pub(crate) fn model(&self, role: Role) -> Setting<String> {
        flag("--model", self.model.as_ref())
            .or_else(|| self.variables.get(MODEL_VARIABLE))
            .or_else(|| self.file.roles.get(&role).cloned())
            .or_else(|| self.file.model.clone())
            .unwrap_or_else(|| Setting { value: OFFLINE.to_owned(), origin: Origin::Default })
    }

    /// The name of the embedder, or `none`.
    fn embedder_name(&self) -> Setting<String> {
        flag("--embedder", self.embedder.as_ref())
            .or_else(|| self.variables.get(EMBEDDER_VARIABLE))
            .or_else(|| self.file.embedder.model.clone())
            .unwrap_or_else(|| Setting { value: NO_EMBEDDER.to_owned(), origin: Origin::Default })
    }

    /// Who makes vectors, when anybody does, and what the file says of them.
    pub(crate) fn embedder(&self) -> Option<(Setting<String>, &FileEmbedder)> {
        let name = self.embedder_name();
        (name.value != NO_EMBEDDER).then_some((name, &self.file.embedder))
    }

    /// How often a call of a model is tried.
    pub(crate) fn tries(&self) -> Option<u32> {
        self.file.tries.as_ref().map(|tries| tries.value)
    }

    /// Keys, addresses and proxies, for the library.
    pub(crate) fn settings(&self) -> Settings {
        let lookup = |name: &str| self.variables.get(name).map(|setting| setting.value);
        let mut settings = Settings::from_variables(lookup);
        for (vendor, provider) in &self.file.providers {
            if let Some(url) = &provider.base_url
                && self.variables.get(vendor.base_url_variable).is_none()
            {
                settings = settings.with_base_url(vendor.name, url.value.clone());
            }
        }
        for (model, price) in &self.file.prices {
            settings = settings.with_price(model.clone(), price.value);
        }
        settings
    }

    /// The file's words on the accounts of providers: requests and tokens per minute.
    pub(crate) fn rates(&self) -> impl Iterator<Item = (&'static str, Option<u64>, Option<u64>)> {
        self.file.providers.iter().map(|(vendor, provider)| {
            let [requests, tokens] = [&provider.requests_per_minute, &provider.tokens_per_minute]
                .map(|rate| rate.as_ref().map(|rate| rate.value));
            (vendor.name, requests, tokens)
        })
    }

    fn base_url(&self, vendor: &Vendor) -> Setting<String> {
        let of_file = || {
            let mut providers = self.file.providers.iter();
            let (_, provider) = providers.find(|(known, _)| known.name == vendor.name)?;
            provider.base_url.clone()
        };
        self.variables.get(vendor.base_url_variable).or_else(of_file).unwrap_or_else(|| Setting {
            value: vendor.base_url.to_owned(),
            origin: Origin::Default,
        })
    }

    fn key(&self, vendor: &Vendor) -> Option<Origin> {
        self.variables.get(vendor.key_variable).map(|key| key.origin)
    }
}

/// What the command line says, when it says something.
fn flag(name: &'static str, value: Option<&String>) -> Option<Setting<String>> {
    value.map(|value| Setting { value: value.clone(), origin: Origin::Flag(name) })
}

/// A mistake in the configuration.
fn mistake(code: &'static str, message: impl Into<String>) -> Problem {
    Problem::new(Exit::Config, code, message)
}

#[cfg(test)]
mod tests;

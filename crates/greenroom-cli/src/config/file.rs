//! The configuration file: found, read, understood.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use greenroom_core::budget::Price;
use greenroom_journal::Durability;
use greenroom_models::http::{ModelName, VENDORS, Vendor};
use toml::de::DeTable;

use super::section::{Section, Source};
use super::{DURABILITIES, Role, Setting, TOOLS, mistake};
use crate::exit::{Failure, Problem, chain};
use crate::paths;

/// The file in the working directory.
const HERE: &str = "greenroom.toml";

/// The longest file, in bytes. One that is longer is something else.
const LEN_MAX: u64 = 1 << 20;

/// What the file says.
#[derive(Debug, Default)]
pub(crate) struct File {
    /// `None` when there is none.
    pub(super) path: Option<PathBuf>,
    pub(super) model: Option<Setting<String>>,
    pub(super) tries: Option<Setting<u32>>,
    pub(super) roles: BTreeMap<Role, Setting<String>>,
    pub(super) providers: Vec<(&'static Vendor, Provider)>,
    pub(super) embedder: FileEmbedder,
    /// By the whole name of a model.
    pub(super) prices: BTreeMap<String, Setting<Price>>,
    /// The tools whose calls wait for a person.
    pub(super) approve: Option<Setting<Vec<String>>>,
    pub(super) durability: Option<Setting<Durability>>,
}

/// What the file says of the embedder.
#[derive(Debug, Default)]
pub(crate) struct FileEmbedder {
    pub(super) model: Option<Setting<String>>,
    /// How long its vectors are to be.
    pub(crate) dimensions: Option<Setting<u32>>,
    /// Whether nothing is searched without it.
    pub(crate) is_strict: bool,
    pub(crate) passage_prefix: Option<String>,
    pub(crate) query_prefix: Option<String>,
}

/// What the file says of a provider.
#[derive(Debug, Default)]
pub(super) struct Provider {
    pub(super) base_url: Option<Setting<String>>,
    pub(super) requests_per_minute: Option<Setting<u64>>,
    pub(super) tokens_per_minute: Option<Setting<u64>>,
}

impl File {
    /// Reads the file that is named, or the one of this directory, or else the user's.
    pub(super) fn load(named: Option<&Path>) -> Result<Self, Failure> {
        let candidates = match named {
            Some(path) => vec![path.to_owned()],
            None => {
                [Some(PathBuf::from(HERE)), paths::config_file()].into_iter().flatten().collect()
            }
        };
        for path in candidates {
            match read(&path) {
                Ok(text) => return Ok(Self::parse(&path, &text)?),
                Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => {}
                Err(error) => {
                    let shown = path.display();
                    let message = format!("{shown} cannot be read: {}", chain(&error));
                    return Err(mistake("GR0411", message).into());
                }
            }
        }
        Ok(Self::default())
    }

    /// Understands a text. Every key has to be known.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, Problem> {
        let source = Source { path, text };
        let document = DeTable::parse(text).map_err(|error| {
            let origin = source.origin(error.span().map_or(0, |span| span.start));
            // The reader's message never quotes a value; its full form would show the line.
            let why = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
            mistake("GR0412", format!("{origin}: this is not TOML: {why}"))
        })?;
        let mut file = Self { path: Some(path.to_owned()), ..Self::default() };
        let mut root = Section::new(source, document.get_ref());
        file.model = root.text("model")?;
        file.tries = root.count("tries")?.map(short);
        root.table("roles", |roles| file.read_roles(roles))?;
        root.table("providers", |providers| file.read_providers(providers))?;
        root.table("embedder", |section| file.read_embedder(section))?;
        root.table("tools", |mut tools| {
            file.approve = tools.choices("approve", &TOOLS)?;
            tools.end()
        })?;
        file.durability = root.choice("durability", DURABILITIES)?;
        root.each("prices", |model, section| file.read_price(model, section))?;
        root.end()?;
        Ok(file)
    }

    fn read_roles(&mut self, mut roles: Section<'_>) -> Result<(), Problem> {
        for role in Role::ALL {
            roles.table(role.name(), |mut section| {
                self.roles.extend(section.text("model")?.map(|model| (role, model)));
                section.end()
            })?;
        }
        roles.end()
    }

    fn read_providers(&mut self, mut providers: Section<'_>) -> Result<(), Problem> {
        for vendor in VENDORS {
            providers.table(vendor.name, |mut section| {
                let provider = Provider {
                    base_url: section.text("base_url")?,
                    requests_per_minute: section.count("requests_per_minute")?,
                    tokens_per_minute: section.count("tokens_per_minute")?,
                };
                self.providers.push((vendor, provider));
                section.end()
            })?;
        }
        providers.end()
    }

    fn read_embedder(&mut self, mut section: Section<'_>) -> Result<(), Problem> {
        self.embedder = FileEmbedder {
            model: section.text("model")?,
            dimensions: section.count("dimensions")?.map(short),
            is_strict: section.flag("strict")?.is_some_and(|strict| strict.value),
            passage_prefix: section.words("passage_prefix")?.map(|prefix| prefix.value),
            query_prefix: section.words("query_prefix")?.map(|prefix| prefix.value),
        };
        section.end()
    }

    /// Dollars for a million tokens. Tokens of a cache cost what others do, unless it is said.
    fn read_price(&mut self, model: &str, mut section: Section<'_>) -> Result<(), Problem> {
        let model: ModelName = model.parse().map_err(|error| {
            mistake("GR0414", format!("{}: `{}`: {error}", section.origin, section.name))
        })?;
        let found = section.dollars("input")?;
        let input = section.needed("input", found)?.value;
        let found = section.dollars("output")?;
        let output = section.needed("output", found)?.value;
        let cached = section.dollars("cached")?.map_or(input, |price| price.value);
        let cache_written = section.dollars("cache_written")?.map_or(input, |price| price.value);
        let price = Price { input, cached, cache_written, output };
        let setting = Setting { value: price, origin: section.origin.clone() };
        self.prices.insert(model.to_string(), setting);
        section.end()
    }
}

/// A count that nobody needs to be larger.
fn short(count: Setting<u64>) -> Setting<u32> {
    Setting { value: u32::try_from(count.value).unwrap_or(u32::MAX), origin: count.origin }
}

fn read(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > LEN_MAX {
        return Err(io::Error::other("it is longer than 1 MiB"));
    }
    fs::read_to_string(path)
}

//! Variables: those of the environment, and those of `.env` for what the environment leaves open.
//!
//! The environment of the process is never changed.

use std::collections::BTreeMap;
use std::path::Path;
use std::{env, fmt, fs, io};

use greenroom_core::secret::Secret;

use super::{Origin, Setting, mistake};
use crate::exit::{Failure, chain};

/// Where variables are kept by hand.
pub(super) const DOT_ENV: &str = ".env";

/// The longest `.env`, in bytes. One that is longer is something else.
const LEN_MAX: u64 = 1 << 20;

/// Variables by name. Their values are secrets until somebody knows better.
#[derive(Default)]
pub(crate) struct Variables {
    environment: BTreeMap<String, Secret>,
    dot_env: Option<BTreeMap<String, Secret>>,
}

impl Variables {
    /// Reads the environment, and `.env` when there is one in the working directory.
    pub(super) fn load() -> Result<Self, Failure> {
        // A value that is not UTF-8 is none that we have a use for.
        let environment = env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, Secret::new(value.into_string().ok()?)))
        });
        Ok(Self { environment: environment.collect(), dot_env: read(Path::new(DOT_ENV))? })
    }

    #[cfg(test)]
    pub(super) fn new(environment: &[(&str, &str)], dot_env: &str) -> Result<Self, Failure> {
        let environment = environment.iter();
        let environment = environment.map(|(name, value)| ((*name).to_owned(), (*value).into()));
        Ok(Self { environment: environment.collect(), dot_env: Some(parse(dot_env.as_bytes())?) })
    }

    /// A variable that has a value. Empty ones count as missing.
    pub(super) fn get(&self, name: &str) -> Option<Setting<String>> {
        let found = |variables: &BTreeMap<String, Secret>| {
            variables
                .get(name)
                .filter(|value| !value.is_empty())
                .map(|value| value.expose().to_owned())
        };
        let environment = || Origin::Environment(name.to_owned());
        let dot_env = || Origin::DotEnv(name.to_owned());
        let first = found(&self.environment).map(|value| (value, environment()));
        let (value, origin) = first
            .or_else(|| self.dot_env.as_ref().and_then(found).map(|value| (value, dot_env())))?;
        Some(Setting { value, origin })
    }

    /// Whether there is a `.env`.
    pub(super) fn has_dot_env(&self) -> bool {
        self.dot_env.is_some()
    }
}

/// Names only.
impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot_env = self.dot_env.as_ref().map(|variables| variables.keys().collect::<Vec<_>>());
        f.debug_struct("Variables").field("dot_env", &dot_env).finish_non_exhaustive()
    }
}

fn read(path: &Path) -> Result<Option<BTreeMap<String, Secret>>, Failure> {
    let unreadable = |why: &str| mistake("GR0415", format!("{DOT_ENV} cannot be read: {why}"));
    match fs::metadata(path) {
        // A directory of that name is often a virtual environment of Python's.
        Ok(metadata) if metadata.is_dir() => return Ok(None),
        Ok(metadata) if metadata.len() > LEN_MAX => {
            return Err(unreadable("it is longer than 1 MiB").into());
        }
        _ => {}
    }
    match fs::read(path) {
        Ok(bytes) => parse(&bytes).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(&chain(&error)).into()),
    }
}

/// The entries, the first of each name. What is wrong is told by its place alone: its text may be a key.
fn parse(bytes: &[u8]) -> Result<BTreeMap<String, Secret>, Failure> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut variables = BTreeMap::new();
    for (n, entry) in (1..).zip(dotenvy::from_read_iter(bytes)) {
        let Ok((name, value)) = entry else {
            let message = format!("{DOT_ENV}: entry {n} is not of the form NAME=value");
            let help = "put values with spaces or signs between single quotes";
            return Err(mistake("GR0415", message).help(help).into());
        };
        variables.entry(name).or_insert_with(|| Secret::new(value));
    }
    Ok(variables)
}

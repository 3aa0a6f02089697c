//! The names of models, as people write them.

use std::fmt;
use std::str::FromStr;

use super::vendors::{VENDORS, Vendor, vendor};

/// The name of a model.
///
/// | written | means |
/// |---|---|
/// | `openai:gpt-5` | a model of a vendor of [`VENDORS`] |
/// | `ollama:llama3.2:3b` | the same: only the first colon divides |
/// | `http://host:8000/v1#model` | a model of whatever speaks OpenAI's chat completions there |
///
/// # Examples
///
/// ```
/// use greenroom_models::http::ModelName;
///
/// let name: ModelName = "ollama:llama3.2:3b".parse()?;
/// assert_eq!(name.model(), "llama3.2:3b");
/// let unknown = "opnai:gpt-5".parse::<ModelName>().unwrap_err();
/// assert!(unknown.to_string().starts_with("there is no provider \"opnai\"; did you mean \"openai\"?"));
/// # Ok::<_, greenroom_models::http::NameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelName {
    source: Source,
    model: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Vendor(&'static Vendor),
    /// A base URL.
    Endpoint(String),
}

impl ModelName {
    /// The model, by its provider's name.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The vendor; `None` when there is only an address.
    #[must_use]
    pub fn vendor(&self) -> Option<&'static Vendor> {
        match self.source {
            Source::Vendor(vendor) => Some(vendor),
            Source::Endpoint(_) => None,
        }
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Vendor(vendor) => write!(f, "{}:{}", vendor.name, self.model),
            Source::Endpoint(base_url) => write!(f, "{base_url}#{}", self.model),
        }
    }
}

impl FromStr for ModelName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let text = text.trim();
        if text.starts_with("http://") || text.starts_with("https://") {
            return endpoint(text);
        }
        let Some((provider, model)) = text.split_once(':') else {
            return Err(NameError::NoProvider { name: text.to_owned() });
        };
        let Some(vendor) = vendor(provider) else {
            return Err(NameError::UnknownProvider { provider: provider.to_owned() });
        };
        let model = model.trim().to_owned();
        if model.is_empty() {
            return Err(NameError::NoModel { name: text.to_owned() });
        }
        Ok(Self { source: Source::Vendor(vendor), model })
    }
}

/// The address is checked when a connection to it is set up; here it is only taken apart.
fn endpoint(text: &str) -> Result<ModelName, NameError> {
    let (base_url, model) = text.split_once('#').unwrap_or((text, ""));
    let authority = base_url.split("//").nth(1).unwrap_or_default();
    let authority = authority.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(NameError::Credentials);
    }
    if authority.is_empty() {
        return Err(NameError::NoHost { name: text.to_owned() });
    }
    if model.is_empty() {
        // What stands behind a ? may be a key.
        let url = base_url.split('?').next().unwrap_or_default().to_owned();
        return Err(NameError::NoModelInUrl { url });
    }
    let source = Source::Endpoint(base_url.trim_end_matches('/').to_owned());
    Ok(ModelName { source, model: model.to_owned() })
}

/// Why a text is not the name of a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing says whose model it is.
    #[error(
        "{name:?} does not say whose model it is: write PROVIDER:MODEL or http://HOST/v1#MODEL, with one of the providers {}",
        providers()
    )]
    NoProvider {
        /// The text.
        name: String,
    },
    /// No provider has that name.
    #[error("there is no provider {provider:?}; {}there are {}", hint(provider), providers())]
    UnknownProvider {
        /// What was written for the provider.
        provider: String,
    },
    /// Nothing stands behind the colon.
    #[error("{name:?} names no model: write it behind the colon")]
    NoModel {
        /// The text.
        name: String,
    },
    /// An address without a model.
    #[error("{url} names no model: write it behind a #, as in {url}#MODEL")]
    NoModelInUrl {
        /// The address.
        url: String,
    },
    /// An address without a host.
    #[error("{name:?} has no host")]
    NoHost {
        /// The text.
        name: String,
    },
    /// An address with a name or a password in it, which would be shown wherever the model is named.
    #[error("an address of a model holds no user and no password: give the key in the settings")]
    Credentials,
}

/// The names of all providers.
fn providers() -> String {
    VENDORS.iter().map(|vendor| vendor.name).collect::<Vec<_>>().join(", ")
}

/// A hint at the provider whose name is nearest, when one is near.
fn hint(written: &str) -> String {
    let near = nearest(written, VENDORS.iter().map(|vendor| vendor.name));
    near.map(|name| format!("did you mean {name:?}? ")).unwrap_or_default()
}

/// The name that is at most two letters away from what was written, for hints at misspelt names.
#[must_use]
pub fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distances = names.into_iter().map(|name| (distance(written, name), name));
    distances.min().filter(|(distance, _)| *distance <= 2).map(|(_, name)| name)
}

/// How many letters must be changed, added or left out to make one text of the other.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().take(64).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in right.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, vendor: Option<&str>, model: &str) {
        let name: ModelName = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!((name.vendor().map(|vendor| vendor.name), name.model()), (vendor, model));
    }

    #[track_caller]
    fn check_refused(text: &str, says: &str) {
        let error = text.parse::<ModelName>().expect_err(text);
        assert!(error.to_string().contains(says), "{error}");
        assert!(!error.to_string().contains('\n'));
    }

    #[test]
    fn names_are_read() {
        check("openai:gpt-5", Some("openai"), "gpt-5");
        check(" ollama:llama3.2:3b ", Some("ollama"), "llama3.2:3b");
        check("openrouter:meta/llama:free", Some("openrouter"), "meta/llama:free");
        check("http://host:8000/v1#m#x", None, "m#x");
        check("https://host#m", None, "m");
        // It is no address that can be asked, but holds no password.
        check("https://host?to=a@b#m", None, "m");
        let name: ModelName = "http://[::1]:8000/v1/#m".parse().expect("a name");
        assert_eq!(name.to_string(), "http://[::1]:8000/v1#m");
        assert_eq!("groq:x".parse::<ModelName>().expect("a name").to_string(), "groq:x");
    }

    #[test]
    fn mistakes_are_explained() {
        check_refused("gpt-5", "write PROVIDER:MODEL");
        check_refused("", "write PROVIDER:MODEL");
        check_refused(
            "opnai:x",
            "did you mean \"openai\"? there are openai, openai-responses, anthropic",
        );
        check_refused("something:x", "there is no provider \"something\"; there are openai");
        check_refused("openai:", "names no model");
        check_refused("http://host/v1", "http://host/v1#MODEL");
        check_refused("http://host/v1?key=x", "http://host/v1 names no model");
        check_refused("http://#m", "no host");
        check_refused("http://?x#m", "no host");
        check_refused("https://user:sk-secret@host/v1#m", "no user and no password");
        let error = "https://user:sk-secret@host/v1#m".parse::<ModelName>().expect_err("refused");
        assert!(!format!("{error} {error:?}").contains("sk-secret"));
    }

    #[test]
    fn distances_are_counted() {
        let pairs =
            [("", "", 0), ("a", "", 1), ("", "abc", 3), ("opnai", "openai", 1), ("ab", "ba", 2)];
        for (left, right, expect) in pairs {
            assert_eq!(distance(left, right), expect, "{left} {right}");
        }
    }
}

//! What a binary knows and a library must be told: keys, addresses, proxies.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::{fmt, io};

use greenroom_core::BoxFuture;
use greenroom_core::budget::Price;
use greenroom_core::secret::Secret;

use super::vendors::{UNNAMED, VENDORS, Vendor};

/// Keys, addresses and proxies. Nothing here reads the environment; a binary does, and hands over what it
/// found with [`from_variables`](Self::from_variables).
///
/// # Examples
///
/// ```
/// use greenroom_models::http::Settings;
///
/// let settings = Settings::new()
///     .with_key("openai", "sk-…")
///     .with_base_url("openai", "https://gateway.example/v1");
/// // In a binary: Settings::from_variables(|name| std::env::var(name).ok())
/// # let _ = settings;
/// ```
#[derive(Debug, Clone, Default)]
pub struct Settings {
    keys: BTreeMap<String, Secret>,
    base_urls: BTreeMap<String, String>,
    pub(super) organization: Option<String>,
    pub(super) project: Option<String>,
    pub(super) proxy: Option<Secret>,
    pub(super) no_proxy: Option<String>,
    pub(super) roots_pem: Vec<Vec<u8>>,
    pub(super) is_offline: bool,
    prices: BTreeMap<String, Price>,
    pub(super) resolver: Option<Resolver>,
}

/// Where the names of hosts are looked up.
#[derive(Clone)]
pub(super) struct Resolver(Arc<Lookup>);

type Lookup = dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync;

impl reqwest::dns::Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let found = (self.0)(name.as_str().to_owned());
        Box::pin(async move { Ok(Box::new(found.await?.into_iter()) as reqwest::dns::Addrs) })
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

impl Settings {
    /// Settings without any key.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Settings from variables, which `lookup` gives the values of. Empty values count as missing.
    ///
    /// | variable | what it sets |
    /// |---|---|
    /// | `OPENAI_API_KEY`, `ANTHROPIC_API_KEY`, … ([`Vendor::key_variable`]) | the vendor's key |
    /// | `OPENAI_BASE_URL`, `OLLAMA_HOST`, … ([`Vendor::base_url_variable`]) | its address |
    /// | `OPENAI_ORG_ID`, `OPENAI_PROJECT_ID` | headers for OpenAI |
    /// | `GREENROOM_ENDPOINT_KEY` | the key for models that are named by an address |
    /// | `GREENROOM_OFFLINE`, when it is neither empty nor `0` | [`offline`](Self::offline) |
    /// | `HTTPS_PROXY`, `ALL_PROXY`, in small letters too; `NO_PROXY` | the proxy, and who needs none |
    #[must_use]
    pub fn from_variables(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let value = |name: &str| {
            lookup(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        let first = |names: &[&str]| names.iter().find_map(|name| value(name));
        let mut settings = Self {
            organization: value("OPENAI_ORG_ID"),
            project: value("OPENAI_PROJECT_ID"),
            proxy: first(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
                .map(Secret::new),
            no_proxy: first(&["NO_PROXY", "no_proxy"]),
            is_offline: value("GREENROOM_OFFLINE").is_some_and(|value| value != "0"),
            ..Self::default()
        };
        for vendor in VENDORS.iter().chain([&UNNAMED]) {
            if let Some(key) = value(vendor.key_variable) {
                settings = settings.with_key(vendor.name, key);
            }
            if let Some(base_url) = value(vendor.base_url_variable) {
                settings = settings.with_base_url(vendor.name, base_url);
            }
        }
        settings
    }

    /// Sets the key of a vendor, by the name that stands before the colon.
    #[must_use]
    pub fn with_key(mut self, vendor: impl Into<String>, key: impl Into<Secret>) -> Self {
        self.keys.insert(vendor.into(), key.into());
        self
    }

    /// Sets the key for models that are named by an address. No vendor's key is ever sent there.
    #[must_use]
    pub fn with_endpoint_key(self, key: impl Into<Secret>) -> Self {
        self.with_key(UNNAMED.name, key)
    }

    /// Sets the address of a vendor, as far as the part that the paths of its wire are added to: with `/v1` for
    /// OpenAI's wires, without it for Anthropic and Ollama. `host:port` is enough for Ollama.
    #[must_use]
    pub fn with_base_url(mut self, vendor: impl Into<String>, url: impl Into<String>) -> Self {
        self.base_urls.insert(vendor.into(), url.into());
        self
    }

    /// Sets a proxy for all requests but those to this machine and to `no_proxy`, a list of hosts with commas.
    #[must_use]
    pub fn with_proxy(mut self, url: impl Into<Secret>, no_proxy: Option<String>) -> Self {
        self.proxy = Some(url.into());
        self.no_proxy = no_proxy;
        self
    }

    /// Forbids every call that leaves this machine: it fails with
    /// [`ModelErrorKind::Offline`](greenroom_core::model::ModelErrorKind::Offline), and nothing is sent. For tests,
    /// whose models are on this machine or on a [`cassette`](crate::cassette).
    #[must_use]
    pub fn offline(mut self) -> Self {
        self.is_offline = true;
        self
    }

    /// Looks the names of hosts up with a function, and not with the machine's resolver. The ports of the
    /// addresses count only when the URL names none. A lookup is part of connecting, and of its five seconds.
    #[must_use]
    pub fn with_resolver<F>(mut self, lookup: impl Fn(String) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        self.resolver = Some(Resolver(Arc::new(move |host| Box::pin(lookup(host)))));
        self
    }

    /// Trusts the certificates of a PEM file besides those of the machine, for gateways with one of their own.
    #[must_use]
    pub fn with_roots_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots_pem.push(pem.into());
        self
    }

    /// Sets what a model costs, by its whole name, such as `openai:gpt-5`. It counts before what is listed.
    #[must_use]
    pub fn with_price(mut self, model: impl Into<String>, price: Price) -> Self {
        self.prices.insert(model.into(), price);
        self
    }

    pub(super) fn price(&self, model: &str) -> Option<Price> {
        self.prices.get(model).copied()
    }

    pub(super) fn key(&self, vendor: &Vendor) -> Option<&Secret> {
        self.keys.get(vendor.name).filter(|key| !key.is_empty())
    }

    /// The address of a vendor, with a scheme.
    pub(super) fn base_url(&self, vendor: &Vendor) -> String {
        let Some(given) = self.base_urls.get(vendor.name) else {
            return vendor.base_url.to_owned();
        };
        if given.contains("://") {
            return given.clone();
        }
        // What Ollama's own programs take: a host, perhaps with a port, and the address that a server
        // listens on for all, which is none to connect to.
        let host = given.replacen("0.0.0.0", "127.0.0.1", 1);
        match host.rsplit_once(':') {
            Some((_, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                format!("http://{host}")
            }
            _ => format!("http://{host}:11434"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::vendors::vendor;
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Settings {
        Settings::from_variables(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn key(settings: &Settings, name: &str) -> Option<String> {
        settings.key(vendor(name)?).map(|key| key.expose().to_owned())
    }

    #[test]
    fn variables_are_found_and_empty_ones_are_none() {
        let settings = settings(&[("OPENAI_API_KEY", " sk-1\n"), ("GROQ_API_KEY", " ")]);
        assert_eq!(key(&settings, "openai").as_deref(), Some("sk-1"));
        assert_eq!(key(&settings, "openai-responses").as_deref(), Some("sk-1"));
        assert_eq!((key(&settings, "groq"), key(&settings, "anthropic")), (None, None));
        assert!(!format!("{settings:?}").contains("sk-1"));
    }

    #[track_caller]
    fn check_ollama(host: &str, url: &str) {
        let settings = settings(&[("OLLAMA_HOST", host)]);
        assert_eq!(settings.base_url(vendor("ollama").expect("there is one")), url);
    }

    #[test]
    fn ollamas_host_is_read_as_ollama_reads_it() {
        check_ollama("", "http://127.0.0.1:11434");
        check_ollama("host", "http://host:11434");
        check_ollama("host:99", "http://host:99");
        check_ollama("0.0.0.0:99", "http://127.0.0.1:99");
        check_ollama("https://host/x", "https://host/x");
    }

    #[test]
    fn vendors_have_names_of_their_own() {
        let names: std::collections::BTreeSet<_> =
            VENDORS.iter().map(|vendor| vendor.name).collect();
        assert_eq!(names.len(), VENDORS.len());
    }
}

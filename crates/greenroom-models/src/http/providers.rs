//! From the name of a model to something that can be asked.

use std::fmt;
use std::sync::Arc;

use greenroom_core::budget::Price;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::embedder::HttpEmbedder;
use super::error::{SetupError, SetupErrorKind};
use super::exchange::Endpoint;
use super::lanes::Lanes;
use super::model::HttpModel;
use super::name::{ModelName, Source};
use super::prices::listed_price;
use super::settings::Settings;
use super::vendors::{KeyNeed, UNNAMED, Vendor};
use crate::wire::Wire;

/// All providers, with one pool of connections. Cheap to clone; clones share the pool.
///
/// # Examples
///
/// ```
/// use greenroom_models::http::{Providers, Settings, SetupErrorKind};
///
/// let providers = Providers::new(Settings::new().with_key("openai", "sk-…"))?;
/// let model = providers.model("openai:gpt-5")?;
/// let local = providers.model("http://127.0.0.1:8000/v1#qwen3")?;
/// let missing = providers.model("anthropic:claude-opus-5-5").unwrap_err();
/// assert_eq!(missing.kind, SetupErrorKind::NoKey);
/// # let _ = (model, local);
/// # Ok::<_, greenroom_models::http::SetupError>(())
/// ```
#[derive(Clone)]
pub struct Providers {
    lanes: Arc<Lanes>,
    settings: Arc<Settings>,
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Providers").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Providers {
    /// Sets up what all models connect with. Nothing is connected.
    ///
    /// # Errors
    ///
    /// [`SetupErrorKind::BadConnection`] when the proxy, or a certificate to be trusted, cannot be used.
    pub fn new(settings: Settings) -> Result<Self, SetupError> {
        let settings = Arc::new(settings);
        Ok(Self { lanes: Arc::new(Lanes::new(Arc::clone(&settings))?), settings })
    }

    /// The model of a name; see [`ModelName`] for how names are written. Nothing is connected.
    ///
    /// # Errors
    ///
    /// [`SetupError`] when the name, its provider's key or its address is missing or unusable. Whether the
    /// provider has such a model shows when it is asked.
    pub fn model(&self, name: &str) -> Result<HttpModel, SetupError> {
        let name: ModelName = name.parse()?;
        let (vendor, base_url) = self.place(&name);
        let endpoint = self.endpoint(&name, vendor, &base_url, vendor.wire.path())?;
        let quirks = vendor.quirks_of(name.model());
        let model = HttpModel::new(endpoint, name.model().to_owned(), vendor.wire, quirks);
        Ok(model.with_price(self.price(&name)))
    }

    /// The embedder of a name, which is written like a model's.
    ///
    /// # Errors
    ///
    /// As [`model`](Self::model), and [`SetupErrorKind::NoEmbeddings`].
    pub fn embedder(&self, name: &str) -> Result<HttpEmbedder, SetupError> {
        let name: ModelName = name.parse()?;
        let (vendor, base_url) = self.place(&name);
        let Some(wire) = vendor.embeddings else {
            let message = format!("{} has no embeddings", vendor.name);
            return Err(SetupError::new(SetupErrorKind::NoEmbeddings, message));
        };
        let endpoint = self.endpoint(&name, vendor, &base_url, wire.path())?;
        let embedder = HttpEmbedder::new(endpoint, name.model().to_owned(), wire);
        Ok(embedder.with_price(self.price(&name)))
    }

    fn price(&self, name: &ModelName) -> Option<Price> {
        let of_settings = self.settings.price(&name.to_string());
        let listed = || listed_price(name.vendor()?, name.model()).map(|listed| listed.price);
        of_settings.or_else(listed)
    }

    fn place(&self, name: &ModelName) -> (&'static Vendor, String) {
        match name.source() {
            Source::Vendor(vendor) => (vendor, self.settings.base_url(vendor)),
            Source::Endpoint(base_url) => (&UNNAMED, base_url.clone()),
        }
    }

    fn endpoint(
        &self,
        name: &ModelName,
        vendor: &Vendor,
        base_url: &str,
        path: &'static str,
    ) -> Result<Endpoint, SetupError> {
        let secret = self.settings.key(vendor);
        if secret.is_none() && vendor.key == KeyNeed::Required {
            let Vendor { name, key_variable, page, .. } = vendor;
            let message =
                format!("{name} wants a key: set {key_variable}; keys are made at {page}");
            return Err(SetupError::new(SetupErrorKind::NoKey, message));
        }
        let mut headers = HeaderMap::new();
        if let Some(secret) = secret {
            let (header, value) = match vendor.wire {
                Wire::Anthropic => ("x-api-key", secret.expose().to_owned()),
                _ => ("authorization", format!("Bearer {}", secret.expose())),
            };
            let Ok(mut value) = HeaderValue::try_from(value) else {
                let message = format!("the key of {} has signs that no key has", vendor.name);
                return Err(SetupError::new(SetupErrorKind::BadKey, message));
            };
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static(header), value);
        }
        if vendor.wire == Wire::Anthropic {
            headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
        }
        if vendor.name.starts_with("openai") {
            let of_account = [
                ("openai-organization", &self.settings.organization),
                ("openai-project", &self.settings.project),
            ];
            for (header, value) in of_account {
                let value = value.as_ref().and_then(|value| HeaderValue::try_from(value).ok());
                headers.extend(value.map(|value| (HeaderName::from_static(header), value)));
            }
        }
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        Ok(Endpoint {
            lanes: Arc::clone(&self.lanes),
            url: url(base_url, path)?,
            headers,
            secret: secret.cloned(),
            wire: vendor.wire,
            path,
            is_of_our_table: base_url == vendor.base_url,
            name: name.to_string(),
            is_offline: self.settings.is_offline,
        })
    }
}

/// The address of a request.
fn url(base_url: &str, path: &str) -> Result<Url, SetupError> {
    let bad = |why: &str| {
        // Whoever wrote a password or a key into an address did not mean it to be shown.
        let shown = if base_url.contains(['@', '?', '#']) { "[redacted]" } else { base_url };
        SetupError::new(SetupErrorKind::BadUrl, format!("{shown:?} is no base URL: {why}"))
    };
    let base = Url::parse(base_url).map_err(|_| bad("write it as http://HOST:PORT/v1"))?;
    if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
        return Err(bad("it begins with http:// or https://"));
    }
    if !base.username().is_empty() || base.password().is_some() {
        return Err(bad("give the key in the settings, and no user and no password here"));
    }
    if base.query().is_some() || base.fragment().is_some() {
        return Err(bad("it has nothing behind ? or #"));
    }
    let joined = format!("{}/{path}", base.as_str().trim_end_matches('/'));
    Url::parse(&joined).map_err(|_| bad("write it as http://HOST:PORT/v1"))
}

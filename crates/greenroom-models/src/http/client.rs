//! The HTTP client: what every request of ours does and does not do.

use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, NoProxy, Proxy};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::error::{SetupError, SetupErrorKind};
use super::settings::Settings;

/// A host that does not answer within this time is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection that nobody uses stays open.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// What is never sent through a proxy.
const THIS_MACHINE: &str = "localhost,127.0.0.1,::1";

pub(super) fn client(settings: &Settings, tls: ClientConfig) -> Result<Client, SetupError> {
    let bad = |what: &str| SetupError::new(SetupErrorKind::BadConnection, what);
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("greenroom/", env!("CARGO_PKG_VERSION")))
        // A redirect would carry the key and the conversation to wherever it points.
        .redirect(Policy::none())
        // Retries have one owner, and it is not this client.
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        // Without this, the client would look for proxies in the environment by itself.
        .no_proxy();
    if let Some(resolver) = &settings.resolver {
        builder = builder.dns_resolver(Arc::new(resolver.clone()));
    }
    if let Some(url) = &settings.proxy {
        let others = settings.no_proxy.as_deref().unwrap_or_default();
        let hosts = NoProxy::from_string(&format!("{THIS_MACHINE},{others}"));
        let proxy = Proxy::all(url.expose()).map_err(|_| bad("the proxy's address is none"))?;
        builder = builder.proxy(proxy.no_proxy(hosts));
    }
    builder.build().map_err(|_| bad("the HTTP client cannot be set up"))
}

/// TLS with a provider of its own, so that nothing depends on one that the process has installed or not.
pub(super) fn tls(settings: &Settings) -> Result<ClientConfig, SetupError> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    let (n_trusted, _) = roots.add_parsable_certificates(native.certs);
    if n_trusted == 0 {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for pem in &settings.roots_pem {
        let bad = || {
            let message = "a certificate to be trusted is not one in PEM form";
            SetupError::new(SetupErrorKind::BadConnection, message)
        };
        let certificates: Vec<_> =
            CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| bad())?;
        if certificates.is_empty() {
            return Err(bad());
        }
        for certificate in certificates {
            roots.add(certificate).map_err(|_| bad())?;
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider knows the usual versions of TLS");
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    // A client that is given its TLS offers what that offers: without this, HTTP/2 would never be spoken.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

//! TLS with certificates that nobody signed: a test trusts them, or must not.

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::ServerConfig;

/// The certificate of a server behind TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Certificate {
    /// For 127.0.0.1 and localhost. Clients that do not trust it must refuse it.
    Sound,
    /// Over since 2021.
    Expired,
    /// For another host.
    OtherHost,
}

impl Certificate {
    /// The certificate, for clients that shall trust it.
    #[must_use]
    pub fn pem(self) -> &'static str {
        match self {
            Self::Sound => include_str!("tls/sound.pem"),
            Self::Expired => include_str!("tls/expired.pem"),
            Self::OtherHost => include_str!("tls/other_host.pem"),
        }
    }

    /// TLS with the certificate, for a server other than ours that says which protocols it speaks, such as `h2`.
    #[must_use]
    pub fn server_config(self, protocols: &[&str]) -> ServerConfig {
        let certificate = CertificateDer::from_pem_slice(self.pem().as_bytes());
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/key.pem"));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider knows the usual versions of TLS")
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.expect("the file is a certificate")],
                key.expect("the file is a key"),
            );
        let mut config = config.expect("the key fits the certificate");
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }

    pub(super) fn acceptor(self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::new(self.server_config(&[])))
    }
}

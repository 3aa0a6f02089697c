//! HTTP/2, where a server offers it.

use std::io::Cursor;
use std::sync::Arc;

use greenroom_testkit::provider::Certificate;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::super::{Providers, Settings};
use super::{ChatEvent, events};

const KEY: &[u8] = include_bytes!("../../../../greenroom-testkit/src/provider/tls/key.pem");
const SAID: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}\n\ndata: [DONE]\n\n";

fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(Certificate::Sound.pem().as_bytes());
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the usual versions")
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.expect("a certificate")],
                PrivateKeyDer::from_pem_slice(KEY).expect("a key"),
            );
    let mut config = config.expect("the key fits the certificate");
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// Answers every request of one connection with the same text.
async fn serve(listener: &TcpListener) {
    let (stream, _) = listener.accept().await.expect("a client");
    let stream = acceptor().accept(stream).await.expect("TLS");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let handshake = h2::server::Builder::new().handshake::<_, Cursor<Vec<u8>>>(stream);
    let mut connection = handshake.await.expect("HTTP/2");
    while let Some(request) = connection.accept().await {
        let (_, mut respond) = request.expect("a request");
        let head = http::Response::builder().header("content-type", "text/event-stream").body(());
        let sent = respond.send_response(head.expect("a head"), false);
        let said = Cursor::new(SAID.as_bytes().to_vec());
        sent.and_then(|mut body| body.send_data(said, true)).expect("the client is there");
    }
}

#[tokio::test]
async fn http_2_is_spoken_where_it_is_offered_on_one_connection_for_all() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let settings = Settings::new().with_roots_pem(Certificate::Sound.pem());
    let providers = Providers::new(settings).expect("the settings are fine");
    let name = format!("https://{address}/v1#m");
    let (one, other) = (providers.model(&name).expect("one"), providers.model(&name).expect("two"));
    let asked = async {
        let first = events(&one).await;
        let both = futures_util::future::join(events(&one), events(&other)).await;
        [first, both.0, both.1]
    };
    tokio::select! {
        all = asked => for events in all {
            let Some(Ok(ChatEvent::Finished(reply))) = events.last() else { panic!("{events:?}") };
            assert_eq!(reply.text, "Hello");
        },
        () = serve(&listener) => panic!("the connection ended, and another would not be accepted"),
    }
}

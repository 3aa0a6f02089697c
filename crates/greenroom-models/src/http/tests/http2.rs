//! HTTP/2, where a server offers it.

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use greenroom_core::model::ModelError;
use greenroom_testkit::provider::Certificate;
use h2::server::SendResponse;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::super::{Providers, Settings};
use super::{ChatEvent, events};

const SAID: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}\n\ndata: [DONE]\n\n";

fn acceptor() -> TlsAcceptor {
    TlsAcceptor::from(Arc::new(Certificate::Sound.server_config(&["h2"])))
}

/// Answers requests once so many have come, on all connections together; and then once so many more have.
struct Server {
    at_once: usize,
    n_came: watch::Sender<usize>,
    /// Connections that carried a request.
    n_used: AtomicUsize,
}

impl Server {
    async fn start(at_once: usize) -> (Arc<Self>, JoinSet<()>, Providers, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let name = format!("https://{}/v1#m", listener.local_addr().expect("it is bound"));
        let settings = Settings::new().with_roots_pem(Certificate::Sound.pem());
        let providers = Providers::new(settings).expect("the settings are fine");
        let n_came = watch::Sender::new(0);
        let server = Arc::new(Self { at_once, n_came, n_used: AtomicUsize::new(0) });
        let (mut tasks, accepting) = (JoinSet::new(), Arc::clone(&server));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(Arc::clone(&accepting).connection(stream));
            }
        });
        (server, tasks, providers, name)
    }

    async fn connection(self: Arc<Self>, stream: TcpStream) {
        // A client that makes more connections than it needs ends them early.
        let Ok(stream) = acceptor().accept(stream).await else { return };
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let mut settings = h2::server::Builder::new();
        let Ok(mut connection) = settings.max_concurrent_streams(100).handshake(stream).await
        else {
            return;
        };
        let (mut is_used, mut answers) = (false, JoinSet::new());
        while let Some(Ok((_, respond))) = connection.accept().await {
            if !std::mem::replace(&mut is_used, true) {
                self.n_used.fetch_add(1, Ordering::Relaxed);
            }
            answers.spawn(Arc::clone(&self).answer(respond));
        }
    }

    async fn answer(self: Arc<Self>, mut respond: SendResponse<Cursor<&'static [u8]>>) {
        let mut n = 0;
        self.n_came.send_modify(|n_came| {
            *n_came += 1;
            n = *n_came;
        });
        let awaited = n.div_ceil(self.at_once) * self.at_once;
        let came = self.n_came.subscribe().wait_for(|n_came| *n_came >= awaited).await.is_ok();
        assert!(came, "the server is there");
        let head = http::Response::builder().header("content-type", "text/event-stream").body(());
        let sent = respond.send_response(head.expect("a head"), false);
        let said = Cursor::new(SAID.as_bytes());
        sent.and_then(|mut body| body.send_data(said, true)).expect("the client is there");
    }
}

fn assert_hello(events: &[Result<ChatEvent, ModelError>]) {
    let Some(Ok(ChatEvent::Finished(reply))) = events.last() else { panic!("{events:?}") };
    assert_eq!(reply.text, "Hello");
}

#[tokio::test]
async fn http_2_is_spoken_where_it_is_offered_on_one_connection_for_all() {
    let (server, _tasks, providers, name) = Server::start(1).await;
    let (one, other) = (providers.model(&name).expect("one"), providers.model(&name).expect("two"));
    assert_hello(&events(&one).await);
    let both = futures_util::future::join(events(&one), events(&other)).await;
    [both.0, both.1].iter().for_each(|events| assert_hello(events));
    assert_eq!(server.n_used.load(Ordering::Relaxed), 1);
}

/// The server takes 100 on a connection and answers none of 250 before all are there.
#[tokio::test]
async fn more_requests_than_a_connection_takes_do_not_wait_for_it() {
    let (server, _tasks, providers, name) = Server::start(250).await;
    let model = providers.model(&name).expect("a model");
    for _ in 0..2 {
        let asked = futures_util::future::join_all((0..250).map(|_| events(&model)));
        let all = tokio::time::timeout(Duration::from_secs(60), asked).await.expect("none waits");
        all.iter().for_each(|events| assert_hello(events));
        // The connections are found again, too.
        assert_eq!(server.n_used.load(Ordering::Relaxed), 3);
    }
}

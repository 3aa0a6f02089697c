//! The server: a thread of its own that accepts connections, and what decides how a request is answered.

use std::collections::VecDeque;
use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::{Either, select};
use greenroom_core::BoxFuture;
use greenroom_core::model::ChatReply;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::answer::{Answer, Refusal, Says};
use super::builder::ProviderBuilder;
use super::connection;
use super::dialect::{Counts, Spoken};
use super::embeddings;
use super::fault::WireFault;
use super::record::{ProviderCounts, Received, Record};
use super::response::Response;
use super::route::{Dialect, Route};

/// Connections at once; more wait until one of them ends.
const CONNECTIONS_MAX: usize = 16_384;

type Function = dyn Fn(&Received) -> Answer + Send + Sync;

pub(super) enum Source {
    Script { answers: Mutex<VecDeque<Answer>>, len: usize },
    Function(Box<Function>),
}

impl Source {
    pub(super) fn script(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers: VecDeque<_> = answers.into_iter().collect();
        let len = answers.len();
        Self::Script { answers: Mutex::new(answers), len }
    }

    /// The next answer, which stays in the script when it is only looked at.
    fn next(&self, request: &Received, is_taken: bool) -> Answer {
        match self {
            Self::Function(function) => function(request),
            Self::Script { answers, len } => {
                let mut answers = answers.lock().expect("nothing panics while it holds this lock");
                let next = if is_taken { answers.pop_front() } else { answers.front().cloned() };
                next.unwrap_or_else(|| {
                    let message = format!("this call is beyond the script of {len} answers");
                    Answer::refusal(400, "invalid_request_error", message)
                })
            }
        }
    }
}

/// What the connections share.
pub(super) struct Shared {
    pub(super) record: Record,
    pub(super) options: ProviderBuilder,
}

impl Shared {
    /// Waits on the clock that was given, or in the time of the machine.
    pub(super) fn sleep(&self, span: Duration) -> BoxFuture<'static, ()> {
        match &self.options.clock {
            Some(clock) => clock.sleep(span),
            None => Box::pin(tokio::time::sleep(span)),
        }
    }

    /// How a request is answered. `n` is its number.
    pub(super) fn respond(&self, request: &Received, n: usize) -> Response {
        let options = &self.options;
        let route = Route::of(request);
        let refused = |status, code: &str, message: String| {
            let refusal = Refusal { status, code: code.to_owned(), message };
            Response::json(status, &route.dialect().error(&refusal))
        };
        if options.key.as_deref().is_some_and(|key| !has_key(request, key)) {
            return refused(401, "invalid_api_key", "Incorrect API key provided".to_owned());
        }
        match route {
            Route::Unknown => refused(404, "", format!("there is no {}", request.path)),
            Route::Models(dialect) => Response::json(200, &dialect.models(&options.models)),
            Route::Chat(dialect) | Route::Embeddings(dialect) => {
                let model = request.model();
                let is_known = options.models.iter().any(|known| known == model);
                if !options.models.is_empty() && !is_known {
                    let message = format!("The model `{model}` does not exist");
                    return refused(404, "model_not_found", message);
                }
                let n_in_flight = self.record.counts().n_in_flight;
                if let Some((_, answer)) =
                    options.capacity.as_ref().filter(|(n, _)| n_in_flight > *n)
                {
                    self.record.count(|counts| counts.n_over_capacity += 1);
                    return self.answered(request, n, route, dialect, answer.clone(), None);
                }
                let fault = options.faults.as_ref().and_then(|plan| plan.of_provider(model));
                let answer = match &fault {
                    Some(WireFault::Instead(answer)) => (**answer).clone(),
                    _ => self.next(request, route, fault.is_none()),
                };
                self.answered(request, n, route, dialect, answer, fault)
            }
        }
    }

    fn next(&self, request: &Received, route: Route, is_taken: bool) -> Answer {
        match (&self.options.source, route) {
            // The script is of replies. Vectors follow from the texts.
            (Source::Script { .. }, Route::Embeddings(_)) => Answer::text(""),
            (source, _) => source.next(request, is_taken),
        }
    }

    fn answered(
        &self,
        request: &Received,
        n: usize,
        route: Route,
        dialect: Dialect,
        answer: Answer,
        fault: Option<WireFault>,
    ) -> Response {
        let faults: Vec<_> = answer.fault.map(|fault| *fault).into_iter().chain(fault).collect();
        let mut response = match answer.says {
            Says::Raw { status, content_type, body } => {
                Response::raw(status, content_type.as_deref().unwrap_or_default(), body)
            }
            Says::Refusal(refusal) => Response::json(refusal.status, &dialect.error(&refusal)),
            Says::Vectors(vectors) => embedded(request, dialect, &vectors),
            Says::Reply { .. } if matches!(route, Route::Embeddings(_)) => {
                embedded(request, dialect, &embeddings::vectors(&request.body))
            }
            Says::Reply { reply, reasoning } => {
                let mut spoken = spoken(request, n, *reply, reasoning);
                faults.iter().for_each(|fault| fault.prepare(&mut spoken));
                let mut response = dialect.reply(&spoken, dialect.is_streamed(&request.body));
                response.pace = self.options.pace;
                response
            }
        };
        let id = if dialect == Dialect::Anthropic { "request-id" } else { "x-request-id" };
        response.set(id, &format!("req_{n}"));
        for (name, value) in &answer.headers {
            response.set(name, value);
        }
        response.delay = self.options.latency + answer.delay;
        faults.iter().for_each(|fault| fault.strike(&mut response, dialect));
        response
    }
}

fn has_key(request: &Received, key: &str) -> bool {
    let bearer = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    bearer.or_else(|| request.header("x-api-key")) == Some(key)
}

fn embedded(request: &Received, dialect: Dialect, vectors: &[Vec<f32>]) -> Response {
    let n_tokens = request.body_len.div_ceil(4);
    Response::json(200, &embeddings::body(dialect, request.model(), vectors, n_tokens))
}

fn spoken(request: &Received, n: usize, reply: ChatReply, reasoning: String) -> Spoken {
    let usage = reply.usage;
    let counted = |known: u64, else_: usize| if known > 0 { known } else { else_ as u64 };
    let n_words = reply.text.split_whitespace().count() + reply.tool_calls.len();
    let counts = Counts {
        input: json!(counted(usage.input_tokens, request.body_len.div_ceil(4))),
        output: json!(counted(usage.output_tokens, n_words.max(1))),
        cached: usage.cached_tokens.unwrap_or(0),
        reasoning: usage.reasoning_tokens.unwrap_or(0),
    };
    Spoken {
        model: request.model().to_owned(),
        n,
        reply,
        reasoning,
        counts: Some(counts),
        wants_counts: request.body["stream_options"]["include_usage"] == true,
    }
}

/// A provider of models on this machine. It ends when it is dropped.
///
/// # Examples
///
/// ```
/// use greenroom_testkit::provider::{Answer, ProviderServer, WireFault};
/// use greenroom_testkit::{FaultPlan, FaultRule};
///
/// let plan = FaultPlan::new(7)
///     .rule(FaultRule::provider("gpt-*", Answer::refusal(429, "rate_limit_exceeded", "slow down")))
///     .rule(FaultRule::provider("gpt-*", WireFault::ResetMidText).at(3));
/// let server = ProviderServer::builder().answers([Answer::text("64.")]).faults(plan).start();
/// // … give `server.url("/v1")` to what is tested as the base URL …
/// assert_eq!(server.requests().len(), 0);
/// ```
pub struct ProviderServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    over: watch::Sender<bool>,
    thread: Option<JoinHandle<bool>>,
}

impl ProviderServer {
    /// A server that gives these answers in order. A call beyond them is refused with 400.
    ///
    /// # Panics
    ///
    /// As [`ProviderBuilder::start`], like every constructor.
    #[must_use]
    pub fn new(answers: impl IntoIterator<Item = impl Into<Answer>>) -> Self {
        Self::builder().answers(answers).start()
    }

    /// A server that gives the same answer to every request.
    #[must_use]
    pub fn always(answer: impl Into<Answer>) -> Self {
        let answer = answer.into();
        Self::answering(move |_| answer.clone())
    }

    /// A server whose answer is a function of the request.
    #[must_use]
    pub fn answering(answer: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        Self::builder().answering(answer).start()
    }

    /// A server with settings of its own.
    pub fn builder() -> ProviderBuilder {
        ProviderBuilder::new()
    }

    pub(super) fn start(options: ProviderBuilder) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("this machine has a port to spare");
        let address = listener.local_addr().expect("it is bound");
        listener.set_nonblocking(true).expect("a socket can be set up");
        let shared = Arc::new(Shared { record: Record::new(), options });
        let over = watch::Sender::new(false);
        let thread = std::thread::Builder::new().name("provider".to_owned()).spawn({
            let (shared, over) = (Arc::clone(&shared), over.subscribe());
            move || run(listener, &shared, over)
        });
        let thread = Some(thread.expect("this machine has a thread to spare"));
        Self { address, shared, over, thread }
    }

    /// The address of a path: `https` when the server has a certificate. OpenAI's base URL ends in `/v1`, those of
    /// Anthropic and Ollama end without.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.shared.options.certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests that have come, in order: the first 16,384 of them.
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        self.shared.record.requests().clone()
    }

    /// What it has counted so far.
    #[must_use]
    pub fn counts(&self) -> ProviderCounts {
        self.shared.record.counts()
    }

    /// Waits until the counts are as wanted, and gives them. Put a timeout around it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn until(&self, is_so: impl Fn(&ProviderCounts) -> bool) -> ProviderCounts {
        self.shared.record.until(is_so).await
    }

    /// How many answers of the script are left; 0 when the answers are a function.
    #[must_use]
    pub fn n_answers_left(&self) -> usize {
        match &self.shared.options.source {
            Source::Script { answers, .. } => {
                answers.lock().expect("nothing panics while it holds this lock").len()
            }
            Source::Function(_) => 0,
        }
    }
}

impl Drop for ProviderServer {
    fn drop(&mut self) {
        self.over.send_replace(true);
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            assert!(matches!(ended, Some(Ok(true))), "a provider's answer panicked");
        }
    }
}

impl fmt::Debug for ProviderServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ProviderServer");
        shown.field("address", &self.address).field("counts", &self.counts());
        shown.finish_non_exhaustive()
    }
}

/// Runs the server; `false` when something panicked.
fn run(listener: TcpListener, shared: &Arc<Shared>, over: watch::Receiver<bool>) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime needs nothing that a socket does not need");
    runtime.block_on(accept(listener, shared, over))
}

async fn accept(
    listener: TcpListener,
    shared: &Arc<Shared>,
    mut over: watch::Receiver<bool>,
) -> bool {
    let listener = tokio::net::TcpListener::from_std(listener).expect("it does not block");
    let mut connections = JoinSet::new();
    let mut is_sound = true;
    loop {
        while let Some(ended) = connections.try_join_next() {
            is_sound &= ended.is_ok();
        }
        if connections.len() >= CONNECTIONS_MAX {
            is_sound &= connections.join_next().await.is_none_or(|ended| ended.is_ok());
            continue;
        }
        let ended = Box::pin(over.wait_for(|is_over| *is_over));
        let Either::Left((accepted, _)) = select(Box::pin(listener.accept()), ended).await else {
            // What still runs is dropped with the set, and its connections with it.
            while let Some(ended) = connections.try_join_next() {
                is_sound &= ended.is_ok();
            }
            return is_sound;
        };
        let Ok((stream, _)) = accepted else { continue };
        // Small writes are what is tested.
        let _ = stream.set_nodelay(true);
        let number = shared.record.count(|counts| counts.n_connections += 1).n_connections;
        let shared = Arc::clone(shared);
        connections.spawn(async move {
            match shared.options.certificate {
                None => connection::serve(stream, &shared, number).await,
                Some(certificate) => {
                    // A client that refuses the certificate ends here.
                    if let Ok(stream) = certificate.acceptor().accept(stream).await {
                        connection::serve(stream, &shared, number).await;
                    }
                }
            }
        });
    }
}

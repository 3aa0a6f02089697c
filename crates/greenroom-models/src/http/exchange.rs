//! One request and its response, and what goes wrong between them.

use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;
use std::{io, iter};

use greenroom_core::model::{ModelError, ModelErrorKind, ResponseMeta};
use greenroom_core::secret::Secret;
use reqwest::header::{
    CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION,
};
use reqwest::{Method, Request, Response, Url};

use super::lanes::{Claim, Lanes};
use crate::headers;
use crate::wire::{Failed, Wire, failure};

/// How much of the body of an error is read.
const ERROR_LEN_MAX: usize = 64 << 10;

/// Where a model is, and what is sent with every request.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) lanes: Arc<Lanes>,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) secret: Option<Secret>,
    pub(super) wire: Wire,
    /// The path of its requests below the base URL.
    pub(super) path: &'static str,
    /// Whether the base URL is the vendor's own, and not one that somebody wrote.
    pub(super) is_of_our_table: bool,
    /// The model's name as it was written, for screens and errors.
    pub(super) name: String,
    /// Whether calls that leave this machine are forbidden.
    pub(super) is_offline: bool,
}

/// A response that is a reply as far as its head says.
pub(super) struct Accepted {
    pub(super) response: Response,
    pub(super) meta: ResponseMeta,
    pub(super) claim: Claim,
}

/// Why there is none, and what the head of the response told all the same.
pub(super) type Unaccepted = (Option<ResponseMeta>, ModelError);

impl Endpoint {
    /// Sends a body. An answer that is an error is read, as far as it says why.
    pub(super) async fn send(
        &self,
        body: Vec<u8>,
        idempotency_key: Option<&str>,
    ) -> Result<Accepted, Unaccepted> {
        let mut request = Request::new(Method::POST, self.url.clone());
        *request.headers_mut() = self.headers_with(idempotency_key);
        *request.body_mut() = Some(body.into());
        let (response, claim) = self.reach(request).await.map_err(|error| (None, error))?;
        let meta = {
            let head = header(&response);
            let meta = headers::meta(&head, headers::date(&head));
            // Nothing that comes back is shown as it came.
            let request_id = meta.request_id.map(|id| self.cleaned(&id));
            ResponseMeta { request_id, ..meta }
        };
        match self.check(response).await {
            Ok(response) => Ok(Accepted { response, meta, claim }),
            Err(error) => Err((Some(meta), error)),
        }
    }

    fn headers_with(&self, idempotency_key: Option<&str>) -> HeaderMap {
        // With room for the key and for what every request gets, they do not grow.
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 2);
        headers.extend(self.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        let key = idempotency_key.and_then(|key| HeaderValue::try_from(key).ok());
        headers.extend(key.map(|key| (HeaderName::from_static("idempotency-key"), key)));
        headers
    }

    /// Sends a request, unless it would leave this machine and may not. There is no other way out. The claim is kept for
    /// as long as the response is read.
    pub(super) async fn reach(&self, request: Request) -> Result<(Response, Claim), ModelError> {
        if self.is_offline && !self.is_on_this_machine() {
            let message = format!("real calls are forbidden here, and {} is one", self.origin());
            return Err(self.error(ModelErrorKind::Offline, message));
        }
        let claim = self.lanes.claim();
        let response =
            claim.client().execute(request).await.map_err(|error| self.unsent(&error))?;
        Ok((response, claim))
    }

    /// Reads a body of at most so many bytes.
    pub(super) async fn body(
        &self,
        mut response: Response,
        len_max: usize,
    ) -> Result<Vec<u8>, ModelError> {
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|_| self.broken())? {
            body.extend_from_slice(&piece);
            if body.len() > len_max {
                let message = format!("the body is longer than {len_max} bytes");
                return Err(self.error(ModelErrorKind::InvalidReply, message));
            }
        }
        Ok(body)
    }

    /// An error as it may be shown: nothing that came back is shown as it came. When it names no request,
    /// that of the response's head is meant.
    pub(super) fn shown(&self, error: ModelError, request_id: Option<&str>) -> ModelError {
        let own = error.request_id.as_deref().map(|id| self.cleaned(id));
        let request_id = own.or_else(|| request_id.map(str::to_owned));
        ModelError { message: self.cleaned(&error.message), request_id, ..error }
    }

    /// The address of another path below the same base URL; without a path, the base URL itself.
    pub(super) fn beside(&self, path: &str) -> Option<Url> {
        let mut url = self.url.clone();
        let base = url.path().strip_suffix(self.path)?.to_owned();
        url.set_path(&format!("{base}{path}"));
        Some(url)
    }

    pub(super) async fn check(&self, mut response: Response) -> Result<Response, ModelError> {
        let head = response.headers();
        let encoding = head.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok());
        if let Some(encoding) = encoding.filter(|encoding| *encoding != "identity") {
            let message = format!("the reply is packed ({encoding:?}), which was not asked for");
            let status = Some(response.status().as_u16());
            return Err(ModelError { status, ..self.error(ModelErrorKind::Endpoint, message) });
        }
        let kind = head.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_fit = kind.is_none_or(|kind| {
            let begin = |len| kind.trim_start().get(..len).unwrap_or_default();
            ["text/event-stream", "application/json", "application/x-ndjson"]
                .iter()
                .any(|fit| begin(fit.len()).eq_ignore_ascii_case(fit))
        });
        if response.status().as_u16() == 200 && is_fit {
            return Ok(response);
        }
        let mut body = Vec::new();
        // What cannot be read of an error is not needed: its status says enough.
        while let Ok(Some(piece)) = response.chunk().await {
            let room = ERROR_LEN_MAX - body.len();
            body.extend_from_slice(&piece[..piece.len().min(room)]);
            if body.len() == ERROR_LEN_MAX {
                break;
            }
        }
        Err(self.refused(&response, &body))
    }

    /// What a response means that is no reply.
    fn refused(&self, response: &Response, body: &[u8]) -> ModelError {
        let head = header(response);
        let now = headers::date(&head);
        let base_url = self.beside("");
        let failed = Failed {
            status: response.status().as_u16(),
            body,
            content_type: head(CONTENT_TYPE.as_str()),
            retry_after: headers::retry_after(&head, now),
            should_retry: headers::should_retry(&head),
            request_id: head("x-request-id").or_else(|| head("request-id")),
            base_url: base_url.as_ref().filter(|_| !self.is_of_our_table).map(Url::as_str),
        };
        let mut error = failure(self.wire, &self.name, &failed);
        if response.status().is_redirection() {
            let to = head(LOCATION.as_str()).and_then(|to| self.url.join(to).ok());
            let host = to.as_ref().and_then(Url::host_str).unwrap_or("nowhere");
            error.message =
                format!("{}, and redirects (here to {host}) are not followed", error.message);
        }
        self.shown(error, None)
    }

    /// Why there is no response at all.
    fn unsent(&self, error: &reqwest::Error) -> ModelError {
        let tls = causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>());
        if let Some(tls) = tls {
            let what = match tls {
                rustls::Error::InvalidCertificate(why) => {
                    format!("its certificate is not trusted ({why:?})")
                }
                _ => format!("it does not speak TLS as it should ({tls})"),
            };
            return self.error(ModelErrorKind::Endpoint, format!("{}: {what}", self.origin()));
        }
        let (kind, what) = match error {
            _ if error.is_timeout() => (ModelErrorKind::Timeout, "does not answer".to_owned()),
            _ if error.is_connect() => {
                (ModelErrorKind::Unavailable, "cannot be reached".to_owned())
            }
            _ => (ModelErrorKind::Unavailable, "broke off before it replied".to_owned()),
        };
        // The innermost cause says what the machine says: refused, unknown host, no route.
        let why = causes(error).last().map(|cause| format!(": {cause}")).unwrap_or_default();
        self.error(kind, format!("{} {what}{why}", self.origin()))
    }

    /// An error in the middle of a body.
    pub(super) fn broken(&self) -> ModelError {
        self.error(ModelErrorKind::Incomplete, "the connection broke before the reply was complete")
    }

    pub(super) fn error(&self, kind: ModelErrorKind, message: impl Into<String>) -> ModelError {
        ModelError::new(kind, &self.name, self.cleaned(&message.into()))
    }

    /// A text without the key, whatever was made of it on the way.
    pub(super) fn cleaned(&self, text: &str) -> String {
        self.secret.as_ref().map_or_else(|| text.to_owned(), |secret| secret.redact(text))
    }

    fn is_on_this_machine(&self) -> bool {
        let host = self.url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    }

    /// Whom the request was for, without its path.
    pub(super) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

/// An error and what caused it. An I/O error passes over the error that it wraps, so that one is looked for
/// inside.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let cause = |error: &&'a (dyn Error + 'static)| {
        let error: &'a (dyn Error + 'static) = *error;
        match error.downcast_ref::<io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => error.source(),
        }
    };
    iter::successors(Some(error), cause).take(16)
}

/// The values of headers, by their lowercase names. Two dozen are asked for and most are not there: in a list as short as
/// a head is, that is found out sooner than by hashing.
fn header<'a>(response: &'a Response) -> impl Fn(&str) -> Option<&'a str> {
    let told = response.headers().iter();
    let told: Vec<_> =
        told.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect();
    move |name: &str| told.iter().find(|(told, _)| *told == name).map(|(_, value)| *value)
}

//! How a call travels: rate limit, breaker, request, bounded answer, and one error for whatever goes wrong.

use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use reqwest::{
    Response, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;
use url::Url;

use super::{
    answer::{self, RawAnswer, is_json, media_type, not_json, sanitise},
    bodies::{Place, SMALL},
    breaker::Failure,
    class::Class,
    client::{Client, Inner},
    error::{Call, Error},
    observer::{CallInfo, WRITES},
    path::{Method, Path},
    patience::LONGEST,
    reach::{Answerer, Looks},
    wire::List,
};

const TOKEN: HeaderName = HeaderName::from_static("coder-session-token");
const BYPASS: HeaderName = HeaderName::from_static("x-coder-bypass-ratelimit");
/// Coder signs every answer with it.
const BUILD_VERSION: HeaderName = HeaderName::from_static("x-coder-build-version");

/// An error's body is only read for its message.
const MAX_ERROR_BODY: usize = 64 << 10;

/// Redirects of a read within the origin.
const MAX_REDIRECTS: usize = 3;

/// An answer below 400.
struct Answer {
    status: u16,
    content_type: Option<String>,
    body: Vec<u8>,
    /// Where it may be in memory, until it is read.
    place: Place,
}

impl Client {
    /// Reads one object.
    pub(super) async fn get<T: DeserializeOwned + Send + 'static>(&self, path: Path) -> Result<T, Error> {
        self.call(Method::Get, path, None::<&()>).await
    }

    /// Reads a list that is never paged; `null` is an empty one.
    pub(super) async fn get_list<T: DeserializeOwned + Send + 'static>(&self, path: Path) -> Result<Vec<T>, Error> {
        self.get::<List<T>>(path.growing()).await.map(|list| list.0)
    }

    /// Makes a call and reads its answer.
    pub(super) async fn call<B: Serialize, T: DeserializeOwned + Send + 'static>(
        &self,
        method: Method,
        path: Path,
        body: Option<&B>,
    ) -> Result<T, Error> {
        let call = Call::new(method, path.template());
        let answer = self.exchange(method, &path, encode(call, body)?).await?;
        if !is_json(answer.content_type.as_deref()) {
            return Err(not_json(call, answer.status, answer.content_type.as_deref()));
        }
        decode(call, answer).await
    }

    /// Makes a call whose answer does not matter: some are messages, some empty, some 304.
    pub(super) async fn call_unit<B: Serialize>(
        &self,
        method: Method,
        path: Path,
        body: Option<&B>,
    ) -> Result<(), Error> {
        let call = Call::new(method, path.template());
        let answer = self.exchange(method, &path, encode(call, body)?).await?;
        // A page with status 200 is the dashboard, not a success.
        if answer.body.is_empty() || is_json(answer.content_type.as_deref()) {
            return Ok(());
        }
        Err(not_json(call, answer.status, answer.content_type.as_deref()))
    }

    /// Everything around a call: who is told, what is remembered of it.
    async fn exchange(&self, method: Method, path: &Path, body: Option<Vec<u8>>) -> Result<Answer, Error> {
        let started = Instant::now();
        let (sent, result) = self.guarded(method, path, body).await;
        let info = CallInfo {
            method,
            template: path.template(),
            status: match &result {
                Ok(answer) => Some(answer.status),
                Err(error) => error.status(),
            },
            class: result.as_ref().err().map(Error::class),
            duration: started.elapsed(),
            sent,
        };
        tracing::debug!(
            method = method.as_str(),
            path = info.template,
            status = info.status,
            class = info.class.map(Class::as_str),
            milliseconds = u64::try_from(info.duration.as_millis()).unwrap_or(u64::MAX),
            sent,
            "called Coder"
        );
        if sent && method != Method::Get {
            record(&info, path);
        }
        self.0.observer.call(&info);
        result
    }

    /// The call, unless rate limit or breaker forbid it, and what the two learn from it.
    async fn guarded(&self, method: Method, path: &Path, body: Option<Vec<u8>>) -> (bool, Result<Answer, Error>) {
        let inner = &*self.0;
        let call = Call::new(method, path.template());
        if !inner.may_send(call) {
            return (false, Err(Error::Barred { call }));
        }
        let encoded = match path.encode(method) {
            Ok(encoded) => encoded,
            Err(error) => return (false, Err(error)),
        };
        if let Some(until) = inner.cool_downs.until(&encoded) {
            return (false, Err(Error::CoolingDown { call, until }));
        }
        let attempt = match inner.hangs.admit(method, path.template(), &encoded) {
            Ok(attempt) => attempt,
            Err(until) => return (false, Err(Error::Hanging { call, until })),
        };
        let permit = match inner.breaker.admit() {
            Ok(permit) => permit,
            Err(until) => return (false, Err(Error::BreakerOpen { call, until })),
        };
        let patience = match &body {
            Some(body) => inner.patience.for_write(body.len()),
            None if path.grows() => inner.patience.for_list(&encoded),
            None => inner.patience.usual(),
        };
        let began = Instant::now();
        let result = inner.send(call, &encoded, path.encode_query(), body, patience).await;
        if matches!(result, Err(Error::Barred { .. })) {
            return (true, result);
        }
        match result.as_ref().err().and_then(failure) {
            None => permit.alive(),
            Some(failure) => permit.failed(failure, &encoded),
        }
        match &result {
            Err(Error::Timeout { .. }) => {
                attempt.hung();
                if path.grows() {
                    inner.patience.gave_up(&encoded, patience);
                }
            }
            // That nobody listens says nothing about a path.
            Err(Error::Connect { .. } | Error::Tls { .. } | Error::Cut { .. }) => drop(attempt),
            Ok(_) | Err(_) => attempt.answered(),
        }
        match &result {
            Ok(_) if path.grows() => inner.patience.took(&encoded, began.elapsed()),
            Err(error) => match (error.class(), error.retry_after()) {
                (Class::RateLimited, Some(wait)) if error.status() == Some(429) => {
                    inner.cool_downs.start(&encoded, wait);
                }
                (Class::BypassRefused, _) => self.set_bypass(false),
                _ => {}
            },
            Ok(_) => {}
        }
        (true, result)
    }
}

/// What an error says about the server as a whole.
fn failure(error: &Error) -> Option<Failure> {
    match error {
        Error::Connect { .. } | Error::Tls { .. } => Some(Failure::Unreachable),
        Error::Answer(_) | Error::Gateway { .. }
            if !matches!(error.class(), Class::Transient | Class::Gateway | Class::Protocol) =>
        {
            None
        }
        Error::Timeout { .. } => Some(Failure::Silent),
        Error::Answer(_)
        | Error::Gateway { .. }
        | Error::Cut { .. }
        | Error::NotJson { .. }
        | Error::Redirect { .. } => Some(Failure::Answered),
        _ => None,
    }
}

impl Inner {
    async fn send(
        &self,
        call: Call,
        path: &str,
        query: Option<String>,
        body: Option<Vec<u8>>,
        patience: Duration,
    ) -> Result<Answer, Error> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path()));
        url.set_query(query.as_deref());
        let mut response = self.send_once(call, url, body, patience).await?;
        // Followed by hand: the token must not leave the origin, and a write must not turn into a read.
        for _ in 0..MAX_REDIRECTS {
            let Some(target) = redirect(&response) else { break };
            if call.method.writes() || target.origin() != self.base.origin() {
                break;
            }
            response = self.send_once(call, target, None, patience).await?;
        }
        if moved(&response) {
            let to = redirect(&response).map_or_else(|| "nowhere".to_owned(), |to| to.origin().ascii_serialization());
            let looks = Looks {
                success: false,
                signed: response.headers().contains_key(&BUILD_VERSION),
                json: false,
            };
            return Err(match self.reach.answered(call.template, looks) {
                Answerer::Gateway { lasting } => {
                    let what = format!("a redirect to {to}");
                    gateway(call, response.status().as_u16(), what, lasting, None)
                }
                Answerer::Coder | Answerer::Stranger => Error::Redirect { call, to },
            });
        }
        self.read(call, response).await
    }

    async fn send_once(
        &self,
        call: Call,
        url: Url,
        body: Option<Vec<u8>>,
        patience: Duration,
    ) -> Result<Response, Error> {
        let mut request = self
            .http
            .request(call.method.into(), url)
            .header(TOKEN, self.token.clone())
            .header(ACCEPT, "application/json")
            .headers(self.headers.clone());
        if self.bypass.load(Ordering::Relaxed) {
            request = request.header(BYPASS, "true");
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let mut sending = Box::pin(tokio::time::timeout(patience, request.send()));
        let sent = std::future::poll_fn(|cx| {
            if self.may_send(call) {
                sending.as_mut().poll(cx).map(Some)
            } else {
                Poll::Ready(None)
            }
        });
        match sent.await {
            None => Err(Error::Barred { call }),
            Some(Ok(sent)) => sent.map_err(|error| Error::from_transport(call, error)),
            Some(Err(_)) => Err(Error::Timeout { call }),
        }
    }

    /// Whether the call may be sent now, or its answer be waited for.
    fn may_send(&self, call: Call) -> bool {
        !call.method.writes() || (self.may_write)()
    }

    async fn read(&self, call: Call, mut response: Response) -> Result<Answer, Error> {
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let content_type = text(&headers, &CONTENT_TYPE);
        let looks = Looks {
            success: status < 400,
            signed: headers.contains_key(&BUILD_VERSION),
            // Coder answers some writes with nothing.
            json: is_json(content_type) || (status < 400 && content_type.is_none()),
        };
        let retry_after = text(&headers, &RETRY_AFTER);
        if let Answerer::Gateway { lasting } = self.reach.answered(call.template, looks) {
            let what = sanitise(media_type(content_type));
            return Err(gateway(call, status, what, lasting, retry_after));
        }
        let mut place = Place::default();
        if looks.success {
            let body = self.body(call, response, self.max_body, &mut place).await?;
            return Ok(Answer {
                status,
                content_type: content_type.map(str::to_owned),
                body,
                place,
            });
        }
        // The status is known already: a body that is too long or never ends must not hide it.
        let body = self.body(call, response, MAX_ERROR_BODY, &mut place).await;
        Err(Error::from_answer(
            call,
            &RawAnswer {
                status,
                content_type,
                retry_after,
                from_coder: looks.signed,
                body: &body.unwrap_or_default(),
            },
        ))
    }

    /// The whole body, or an error as soon as it is larger than it may be, or nothing more comes.
    async fn body(
        &self,
        call: Call,
        mut response: Response,
        limit: usize,
        place: &mut Place,
    ) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        let mut left = LONGEST.max(self.patience.usual());
        loop {
            // Who answers slowly does not keep others from being read.
            let wanted = self.bodies.is_wanted_since(place);
            if wanted.is_some_and(|since| since.elapsed() >= self.patience.usual()) {
                return Err(Error::Timeout { call });
            }
            let began = Instant::now();
            let chunk = tokio::time::timeout(left.min(self.patience.usual()), response.chunk()).await;
            left = left.saturating_sub(began.elapsed());
            let chunk = match chunk {
                Err(_) => return Err(Error::Timeout { call }),
                Ok(chunk) => chunk.map_err(|error| Error::from_transport(call, error))?,
            };
            let Some(chunk) = chunk else { return Ok(body) };
            let size = body.len().saturating_add(chunk.len());
            if size > limit {
                return Err(Error::TooLarge { call, limit });
            }
            // Waiting for room is no fault of the server's, so it costs no patience.
            self.bodies.make_room(size, place).await;
            body.extend_from_slice(&chunk);
        }
    }
}

/// Something in front of Coder answered in its place.
fn gateway(call: Call, status: u16, what: String, lasting: bool, retry_after: Option<&str>) -> Error {
    let class = match status {
        429 => Class::RateLimited,
        413 => Class::Invalid,
        408 | 500.. => Class::Transient,
        _ if lasting => Class::Protocol,
        _ => Class::Gateway,
    };
    let retry_after = answer::retry_after(class, retry_after, "");
    Error::Gateway {
        call,
        status,
        what,
        class,
        retry_after,
    }
}

/// Writes down who asked for a call that may have changed something (the span of the pass), what was called, and the result.
fn record(call: &CallInfo, path: &Path) {
    tracing::info!(
        target: WRITES,
        method = call.method.as_str(),
        path = path.encode(call.method).unwrap_or_default(),
        status = call.status,
        failure = call.class.map(Class::as_str),
    );
}

/// Reads the JSON of an answer. A large one keeps a thread busy for so long that it is not one of those on which all
/// else runs.
async fn decode<T: DeserializeOwned + Send + 'static>(call: Call, answer: Answer) -> Result<T, Error> {
    let Answer { body, place, .. } = answer;
    let is_large = body.len() > SMALL;
    let decode = move || {
        let decoded = serde_json::from_slice(&body).map_err(|error| Error::from_decode(call, &error));
        drop((body, place));
        decoded
    };
    if !is_large {
        return decode();
    }
    match tokio::task::spawn_blocking(decode).await {
        Ok(decoded) => decoded,
        // Only a process that ends gives such tasks up.
        Err(_) => Err(Error::Timeout { call }),
    }
}

fn encode<B: Serialize>(call: Call, body: Option<&B>) -> Result<Option<Vec<u8>>, Error> {
    body.map(serde_json::to_vec)
        .transpose()
        .map_err(|source| Error::Encode { call, source })
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A 3xx that sends the caller elsewhere. 304 does not: Coder answers it to a write that changes nothing.
fn moved(response: &Response) -> bool {
    response.status().is_redirection() && response.status() != StatusCode::NOT_MODIFIED
}

/// Where it sends the caller.
fn redirect(response: &Response) -> Option<Url> {
    if !moved(response) {
        return None;
    }
    response.url().join(text(response.headers(), &LOCATION)?).ok()
}

#[cfg(test)]
mod tests;

//! Connections, and a call's way to its handler.
//!
//! Connections are served one by one, not through `axum::serve`: a fault must be able to drop one without an answer, and
//! stopping the server must drop them all.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, header};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::answer::{Answer, Outcome};
use crate::audit::Record;
use crate::control;
use crate::faults::{Before, Faults, Planned};
use crate::gateway::Front;
use crate::journal::{Effect, Entry, Journal};
use crate::profile::Profile;
use crate::ratelimit::Verdict;
use crate::rbac::Rights;
use crate::router::{self, Access, Call, Gate, Met, Params, Route};
use crate::stale::{Past, Previous};
use crate::state::{ApiKey, State, TokenProblem, key_id};

/// What connections and the test share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) state: Mutex<State>,
    pub(crate) journal: Journal,
    pub(crate) faults: Faults,
    pub(crate) front: Front,
    pub(crate) previous: Previous,
    pub(crate) profile: Profile,
}

impl Shared {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection is dropped.
#[derive(Debug)]
pub(crate) struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("connection cut")
    }
}

impl std::error::Error for Cut {}

/// Serves until it is aborted; then the connections go too.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, peer)) = accepted else { continue };
                // Small answers one after another: without this each waits for the peer's acknowledgement.
                let _ = stream.set_nodelay(true);
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    let service = service_fn(|request: Request<hyper::body::Incoming>| {
                        let shared = Arc::clone(&shared);
                        async move { handle(&shared, peer, request.map(Body::new)).await }
                    });
                    // A cut connection ends in an error: that is all that is to happen.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// A request, read.
struct Inbound {
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Bytes,
    peer: IpAddr,
    /// What a fault answers once it is done.
    instead: Option<Answer>,
}

impl Inbound {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Cookie, then query, then header.
    fn token(&self) -> Option<String> {
        let cookies = self.header("cookie").unwrap_or_default().split(';');
        let mut cookies = cookies.filter_map(|pair| pair.trim().strip_prefix("coder_session_token="));
        let cookie = cookies.next();
        let from_query = || {
            self.pairs()
                .into_iter()
                .find(|(key, _)| key == "coder_session_token")
                .map(|(_, value)| value)
        };
        cookie
            .map(str::to_owned)
            .or_else(from_query)
            .or_else(|| self.header("coder-session-token").map(str::to_owned))
            .filter(|token| !token.is_empty())
    }

    fn pairs(&self) -> Vec<(String, String)> {
        let decode = |text: &str| router::percent_decode(&text.replace('+', " "));
        let pairs = self.query.split('&').filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(k, v)| (decode(k), decode(v)))
            .collect()
    }

    fn path_and_query(&self) -> String {
        if self.query.is_empty() {
            self.path.clone()
        } else {
            format!("{}?{}", self.path, self.query)
        }
    }
}

async fn handle(shared: &Shared, peer: SocketAddr, request: Request<Body>) -> Result<Response<Body>, Cut> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 16 << 20).await.map_err(|_| Cut)?;
    let mut request = Inbound {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
        peer: peer.ip(),
        instead: None,
    };
    if let Some(command) = request.path.strip_prefix("/_sim/") {
        return Ok(response(
            control::answer(shared, &request.method, command, &request.body),
            &request.method,
            None,
        ));
    }
    let met = router::find(shared.profile, &request.method, &request.path);
    let template = match &met {
        Met::Route(route, _) => route.template,
        Met::OtherMethod(template) => template,
        Met::Nothing => "",
    };
    if let Some(answer) = shared.front.answer(&request.headers) {
        record(
            shared,
            &request,
            template,
            "anonymous".to_owned(),
            Some(answer.status),
            Effect::None,
        );
        return Ok(response(answer, &request.method, None));
    }
    let planned = shared.faults.take(&request.method, template).unwrap_or_default();
    request.instead = planned.instead();
    let (actor, answer, effect) = match planned.before().await {
        Before::Proceed => proceed(shared, planned.past(), &request, met),
        Before::Answer(answer) => (actor_name(&shared.state(), &request), answer, Effect::None),
        Before::Cut => {
            let actor = actor_name(&shared.state(), &request);
            record(shared, &request, template, actor, None, Effect::None);
            return Err(Cut);
        }
        Before::Hang => {
            let actor = actor_name(&shared.state(), &request);
            record(shared, &request, template, actor, None, Effect::None);
            return std::future::pending().await;
        }
    };
    if !answer.takes.is_zero() {
        tokio::time::sleep(answer.takes).await;
    }
    let seen = (!planned.cuts_after()).then_some(answer.status);
    record(shared, &request, template, actor, seen, effect);
    finish(&planned, &request, shared, answer).await
}

async fn finish(planned: &Planned, request: &Inbound, shared: &Shared, answer: Answer) -> Result<Response<Body>, Cut> {
    if planned.after().await {
        Ok(response(answer, &request.method, Some(shared.profile)))
    } else {
        Err(Cut)
    }
}

fn record(
    shared: &Shared,
    request: &Inbound,
    template: &'static str,
    actor: String,
    status: Option<u16>,
    effect: Effect,
) {
    let time = shared.state().now();
    shared.journal.push(Entry {
        sequence: 0,
        time,
        actor,
        method: request.method.clone(),
        path: request.path_and_query(),
        template,
        status,
        effect,
        user_agent: request.header("user-agent").unwrap_or_default().to_owned(),
        body: String::from_utf8_lossy(&request.body).into_owned(),
    });
}

fn actor_name(state: &State, request: &Inbound) -> String {
    let user = match state.authenticate(request.token().as_deref()) {
        Ok(user) | Err(TokenProblem::Suspended(user, _)) => state.users.get(&user),
        Err(_) => None,
    };
    user.map_or_else(|| "anonymous".to_owned(), |user| user.username.clone())
}

/// Does what was asked, now or in the past.
fn proceed(shared: &Shared, past: Option<&Past>, request: &Inbound, met: Met) -> (String, Answer, Effect) {
    match past.filter(|_| request.method == Method::GET) {
        Some(Past::Frozen(state)) => {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            return act(&mut state, request, met);
        }
        Some(Past::BeforeLastWrite) => {
            if let Some(seen) = shared.previous.with(|state| act(state, request, met.clone())) {
                return seen;
            }
        }
        None => {}
    }
    let mut state = shared.state();
    let before = shared.previous.candidate(&state, &request.method);
    let done = act(&mut state, request, met);
    if let Some(before) = before.filter(|_| done.2.is_write()) {
        shared.previous.keep(before);
    }
    done
}

/// Does what was asked and says who asked, what is answered and what changed.
fn act(state: &mut State, request: &Inbound, met: Met) -> (String, Answer, Effect) {
    let actor = actor_name(state, request);
    if !request.path.starts_with("/api/v2") {
        return (actor, outside(request), Effect::None);
    }
    let token = request.token();
    let caller = state.authenticate(token.as_deref());
    let login = matches!(&met, Met::Route(route, _) if route.access == Access::Login);
    let verdict = match limit(state, request, &caller, login) {
        Ok(verdict) => verdict,
        Err(answer) => return (actor, answer, Effect::None),
    };
    let (answer, effect) = if verdict.allowed {
        match met {
            Met::Nothing => (Answer::route_not_found(), Effect::None),
            Met::OtherMethod(_) => (Answer::empty(405), Effect::None),
            Met::Route(route, params) => guarded(state, request, route, params, caller, token.as_deref()),
        }
    } else {
        (limited(&verdict), Effect::None)
    };
    let answer = answer
        .header("x-ratelimit-limit", verdict.limit.to_string())
        .header("x-ratelimit-remaining", verdict.remaining.to_string())
        .header("x-ratelimit-reset", verdict.reset.to_string());
    (actor, answer, effect)
}

/// What lies outside the API: a health probe, and the dashboard for everything else.
fn outside(request: &Inbound) -> Answer {
    if request.path == "/healthz" {
        return Answer::text(200, "text/plain; charset=utf-8", "OK");
    }
    Answer::text(
        200,
        "text/html; charset=utf-8",
        "Slim build of Coder, does not contain the frontend static files.",
    )
}

fn limit(
    state: &mut State,
    request: &Inbound,
    caller: &Result<Uuid, TokenProblem>,
    login: bool,
) -> Result<Verdict, Answer> {
    let user = match caller {
        Ok(user) | Err(TokenProblem::Suspended(user, _)) => Some(*user),
        Err(_) => None,
    };
    let traits = state.traits();
    let now = state.now();
    let who = match user {
        Some(user) if traits.limit_by_user => user.to_string(),
        _ => request.peer.to_string(),
    };
    if traits.bypass_header && request.header("x-coder-bypass-ratelimit") == Some("true") {
        match user {
            Some(user) if state.rights(user).is_owner() => return Ok(Verdict::alone(state.process.rate_limit, now)),
            _ => {
                let text = "\"X-Coder-Bypass-Ratelimit\" provided but user is not owner\n";
                return Err(Answer::text(428, "text/plain; charset=utf-8", text));
            }
        }
    }
    let key = format!("{who} {}", request.path);
    if login {
        return Ok(state.process.login_limiter.take(key, 60, now));
    }
    let limit = state.process.rate_limit;
    Ok(state.process.limiter.take(key, limit, now))
}

fn limited(verdict: &Verdict) -> Answer {
    let limit = verdict.limit;
    Answer::message(
        429,
        format!("You've been rate limited for sending more than {limit} requests in 1m0s."),
    )
    .header("retry-after", "60")
}

/// Licence gate, token, licence gate again where it comes second, handler.
fn guarded(
    state: &mut State,
    request: &Inbound,
    route: &'static Route,
    params: Params,
    caller: Result<Uuid, TokenProblem>,
    token: Option<&str>,
) -> (Answer, Effect) {
    let key_feature = state.traits().provisioner_key_feature;
    if let Gate::First(feature) = route.gate
        && !state.feature_enabled(feature)
    {
        return (Answer::not_entitled(feature), Effect::None);
    }
    let me = match caller {
        Ok(user) => {
            state.note_use(token.unwrap_or_default());
            user
        }
        Err(_) if route.access != Access::Token => Uuid::nil(),
        Err(problem) => return (unauthorized(state, &problem), Effect::None),
    };
    let second = match route.gate {
        Gate::Then(feature) => Some(feature),
        Gate::ProvisionerKeys => Some(key_feature),
        Gate::None | Gate::First(_) => None,
    };
    if let Some(feature) = second
        && !state.feature_enabled(feature)
    {
        return (Answer::not_entitled(feature), Effect::None);
    }
    let audited = state.auditing();
    let limited = |token| state.api_keys.get(key_id(token)).is_some_and(ApiKey::is_limited);
    let rights = if token.is_some_and(limited) {
        Rights::none(state.profile)
    } else {
        state.rights(me)
    };
    let query = request.pairs();
    let mut call = Call {
        state,
        me,
        rights,
        params,
        query,
        body: &request.body,
        effect: Effect::None,
        note: None,
    };
    let outcome: Outcome = (route.handler)(&mut call);
    let (note, actor, effect) = (call.note, call.me, call.effect);
    let (answer, effect) = match outcome {
        Ok(answer) => (answer, effect),
        Err(answer) => (answer, Effect::None),
    };
    if let Some(note) = note.filter(|_| audited) {
        let agent = request.header("user-agent").unwrap_or_default().to_owned();
        let status = request.instead.as_ref().unwrap_or(&answer).status;
        let record = Record::of(note, actor, status, state.now(), request.peer.to_string(), agent);
        state.audit_log.write(record);
    }
    (request.instead.clone().unwrap_or(answer), effect)
}

fn unauthorized(state: &State, problem: &TokenProblem) -> Answer {
    const SIGNED_OUT: &str = "You are signed out or your session has expired. Please sign in again to continue.";
    let (answer, description) = match problem {
        TokenProblem::Missing => {
            let detail = "Cookie \"coder_session_token\" or query parameter must be provided.";
            (Answer::detail(401, SIGNED_OUT, detail), "The access token has expired")
        }
        TokenProblem::Invalid(detail) => (Answer::detail(401, SIGNED_OUT, detail), "The access token has expired"),
        TokenProblem::Suspended(_, status) => {
            let status = status.name();
            let message =
                format!("User is not active (status = {status:?}). Contact an admin to reactivate your account.");
            (Answer::message(401, message), "The access token is invalid")
        }
    };
    if !state.traits().www_authenticate {
        return answer;
    }
    let metadata = format!("{}/.well-known/oauth-protected-resource", state.process.access_url);
    answer.header(
        "www-authenticate",
        format!(
            "Bearer realm=\"coder\", error=\"invalid_token\", error_description=\"{description}\", \
             resource_metadata=\"{metadata}\""
        ),
    )
}

fn response(answer: Answer, method: &Method, profile: Option<Profile>) -> Response<Body> {
    let mut builder = Response::builder().status(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK));
    if let Some(profile) = profile.filter(|_| answer.signed) {
        builder = builder.header("x-coder-build-version", profile.traits().version);
    }
    if let Some(content_type) = answer.content_type {
        builder = builder.header(header::CONTENT_TYPE, content_type.as_ref());
    }
    for (name, value) in &answer.headers {
        builder = builder.header(*name, value);
    }
    let body = answer.body.filter(|_| *method != Method::HEAD).unwrap_or_default();
    builder.body(Body::from(body)).unwrap_or_default()
}

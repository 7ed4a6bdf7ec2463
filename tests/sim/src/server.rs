//! Connections, and a call's way through what stands in front of the server.
//!
//! Connections are served one by one, not through `axum::serve`: a fault must be able to drop one without an answer, and
//! stopping the server must drop them all.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, header};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::answer::Answer;
use crate::control;
use crate::faults::{Before, Faults, Planned};
use crate::gateway::Front;
use crate::guard::act;
use crate::inbound::Inbound;
use crate::journal::{Effect, Entry, Journal};
use crate::profile::Profile;
use crate::router::{self, Met};
use crate::stale::{Past, Previous};
use crate::state::State;

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
        Before::Answer(answer) => (request.actor(&shared.state()), answer, Effect::None),
        Before::Cut => {
            let actor = request.actor(&shared.state());
            record(shared, &request, template, actor, None, Effect::None);
            return Err(Cut);
        }
        Before::Hang => {
            let actor = request.actor(&shared.state());
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

//! A call's way through limiter, licence gate and token to its handler.

use uuid::Uuid;

use crate::answer::{Answer, Outcome};
use crate::audit::Record;
use crate::inbound::Inbound;
use crate::journal::Effect;
use crate::ratelimit::Verdict;
use crate::rbac::Rights;
use crate::router::{self, Access, Call, Gate, Met, Params, Route};
use crate::state::{ApiKey, State, TokenProblem, key_id};

/// Does what was asked and says who asked, what is answered and what changed.
pub(crate) fn act(state: &mut State, request: &Inbound, met: Met) -> (String, Answer, Effect) {
    let actor = request.actor(state);
    if !request.path.starts_with("/api/v2") {
        return (actor, outside(request), Effect::None);
    }
    let token = request.token();
    let caller = state.authenticate(token.as_deref());
    let few = matches!(&met, Met::Route(route, _) if matches!(route.access, Access::Login | Access::FewToken));
    let verdict = match limit(state, request, &caller, few) {
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
    few: bool,
) -> Result<Verdict, Answer> {
    let user = match caller {
        Ok(user) | Err(TokenProblem::Suspended(user, _)) => Some(*user),
        Err(_) => None,
    };
    let traits = state.traits();
    let now = state.now();
    let who = match user {
        // The limit on passwords comes after the caller is known.
        Some(user) if few || traits.limit_by_user => user.to_string(),
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
    // As it is decoded: two spellings of a path are one (recording 21).
    let key = format!("{who} {}", router::percent_decode(&request.path));
    if few {
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
        Err(_) if matches!(route.access, Access::Anyone | Access::Login) => Uuid::nil(),
        Err(problem) => {
            if matches!(problem, TokenProblem::Suspended(..)) {
                // It counts as a use all the same (recording 24).
                state.note_use(token.unwrap_or_default());
            }
            return (unauthorized(state, &problem), Effect::None);
        }
    };
    if let Some(refusal) = second_refusal(state, route.gate) {
        return (refusal, Effect::None);
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
        headers: &request.headers,
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

/// What is answered where the licence does not let a known caller through.
fn second_refusal(state: &mut State, gate: Gate) -> Option<Answer> {
    let traits = state.traits();
    let (feature, refusal) = match gate {
        Gate::Then(feature) => (feature, Answer::not_entitled(feature)),
        Gate::ProvisionerKeys => {
            let feature = traits.provisioner_key_feature;
            (feature, Answer::not_entitled(feature))
        }
        Gate::ProvisionerDaemons => {
            let refusal = Answer::message(403, traits.unlicensed_daemons?);
            ("external_provisioner_daemons", refusal)
        }
        Gate::None | Gate::First(_) => return None,
    };
    (!state.feature_enabled(feature)).then_some(refusal)
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

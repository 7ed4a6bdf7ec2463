//! Which route a call meets, and what a handler gets to see.

use axum::http::{HeaderMap, Method};
use uuid::Uuid;

use crate::answer::{Answer, Outcome};
use crate::audit::{Fields as Watched, Note};
use crate::journal::Effect;
use crate::json::{self, Fields};
use crate::profile::Profile;
use crate::rbac::Rights;
use crate::state::{Member, State, User};

/// A handler: everything it needs is in the call.
pub(crate) type Handler = fn(&mut Call<'_>) -> Outcome;

/// A route: method and template, what guards it, and what answers.
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) template: &'static str,
    pub(crate) gate: Gate,
    pub(crate) access: Access,
    pub(crate) newer: bool,
    pub(crate) handler: Handler,
}

/// The feature a route needs.
#[derive(Clone, Copy)]
pub(crate) enum Gate {
    None,
    /// Checked before the token: an unlicensed server refuses even a bad one (recording 00).
    First(&'static str),
    /// Checked after the token.
    Then(&'static str),
    /// The feature for provisioner keys differs between profiles.
    ProvisionerKeys,
    /// Only older servers want a feature for daemons.
    ProvisionerDaemons,
}

/// Whether a token is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Anyone,
    Token,
    /// Anyone, and no more than sixty calls a minute.
    Login,
    /// A token is needed, and no more than sixty calls a minute.
    FewToken,
}

impl Route {
    const fn new(method: Method, template: &'static str, handler: Handler) -> Self {
        Self {
            method,
            template,
            gate: Gate::None,
            access: Access::Token,
            newer: false,
            handler,
        }
    }

    pub(crate) const fn get(template: &'static str, handler: Handler) -> Self {
        Self::new(Method::GET, template, handler)
    }

    pub(crate) const fn post(template: &'static str, handler: Handler) -> Self {
        Self::new(Method::POST, template, handler)
    }

    pub(crate) const fn put(template: &'static str, handler: Handler) -> Self {
        Self::new(Method::PUT, template, handler)
    }

    pub(crate) const fn patch(template: &'static str, handler: Handler) -> Self {
        Self::new(Method::PATCH, template, handler)
    }

    pub(crate) const fn delete(template: &'static str, handler: Handler) -> Self {
        Self::new(Method::DELETE, template, handler)
    }

    pub(crate) const fn gate(mut self, gate: Gate) -> Self {
        self.gate = gate;
        self
    }

    pub(crate) const fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Not in the oldest server.
    pub(crate) const fn newer(mut self) -> Self {
        self.newer = true;
        self
    }
}

/// What a path met.
#[derive(Clone)]
pub(crate) enum Met {
    Route(&'static Route, Params),
    /// The path exists, but not for this method.
    OtherMethod(&'static str),
    Nothing,
}

/// The values of a template's placeholders.
pub(crate) type Params = Vec<(&'static str, String)>;

/// Finds the route for a path. A literal segment wins over a placeholder.
pub(crate) fn find(profile: Profile, method: &Method, path: &str) -> Met {
    let mut best: Option<(usize, &'static Route, Params)> = None;
    let mut other_method = None;
    for route in crate::routes::all().filter(|route| profile == Profile::Main || !route.newer) {
        let Some(params) = match_path(route.template, path) else {
            continue;
        };
        if route.method != *method {
            other_method.get_or_insert(route.template);
            continue;
        }
        if best.as_ref().is_none_or(|(count, ..)| params.len() < *count) {
            best = Some((params.len(), route, params));
        }
    }
    match (best, other_method) {
        (Some((_, route, params)), _) => Met::Route(route, params),
        (None, Some(template)) => Met::OtherMethod(template),
        (None, None) => Met::Nothing,
    }
}

fn match_path(template: &'static str, path: &str) -> Option<Params> {
    // The real router keeps a path raw as soon as it holds an escaped slash: such a name never matches (recording 07).
    let raw = path.contains("%2F") || path.contains("%2f");
    let mut params = Params::new();
    let (mut wanted, mut found) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), found.next()) {
            // After a star anything may follow, even nothing.
            (None, None) | (Some("*"), Some(_)) => return Some(params),
            (Some(wanted), Some(found)) => {
                if let Some(name) = wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                    params.push((name, if raw { found.to_owned() } else { percent_decode(found) }));
                } else if wanted != found {
                    return None;
                }
            }
            _ => return None,
        }
    }
}

/// Undoes percent encoding; what is not valid UTF-8 then is replaced.
pub(crate) fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if let (b'%', [high, low, after @ ..]) = (first, tail)
            && let (Some(high), Some(low)) = (char::from(*high).to_digit(16), char::from(*low).to_digit(16))
        {
            bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
            rest = after;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// One call on its way through a handler.
pub(crate) struct Call<'a> {
    pub(crate) state: &'a mut State,
    /// The caller; the nil id on routes for anyone.
    pub(crate) me: Uuid,
    pub(crate) rights: Rights,
    pub(crate) params: Params,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    /// What the handler changed: it says so here.
    pub(crate) effect: Effect,
    /// What the audit log gets to know: the handler notes it here.
    pub(crate) note: Option<Note>,
}

impl Call<'_> {
    pub(crate) fn param(&self, name: &str) -> &str {
        self.params
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.as_str())
            .unwrap_or_default()
    }

    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// `limit` and `offset`; no limit is everything.
    pub(crate) fn page(&self) -> (usize, usize) {
        let number = |name| self.query(name).and_then(|value| value.parse().ok()).unwrap_or(0);
        let limit = number("limit");
        (if limit == 0 { usize::MAX } else { limit }, number("offset"))
    }

    pub(crate) fn fields(&self, owner: &'static str) -> Result<Fields, Answer> {
        Fields::parse(self.body, owner)
    }

    pub(crate) fn profile(&self) -> Profile {
        self.state.profile
    }

    pub(crate) fn forbidden(&self) -> Answer {
        Answer::forbidden(self.state.profile)
    }

    pub(crate) fn created(&mut self, kind: &'static str, id: impl std::fmt::Display) {
        self.effect = Effect::Created(kind, id.to_string());
    }

    pub(crate) fn updated(&mut self, kind: &'static str, id: impl std::fmt::Display) {
        self.effect = Effect::Updated(kind, id.to_string());
    }

    pub(crate) fn deleted(&mut self, kind: &'static str, id: impl std::fmt::Display) {
        self.effect = Effect::Deleted(kind, id.to_string());
    }

    /// What an object is after the change.
    pub(crate) fn noted_after(&mut self, fields: Watched) {
        if let Some(note) = &mut self.note {
            note.after = fields;
        }
    }

    /// The organization in the path, if the caller may read it.
    pub(crate) fn organization(&self) -> Result<Uuid, Answer> {
        let found = self
            .state
            .find_organization(self.param("organization"))
            .map(|found| found.id);
        found
            .filter(|id| self.rights.organization_read(*id))
            .ok_or_else(Answer::not_found)
    }

    /// The user in the path, if the caller may read it.
    pub(crate) fn user(&self) -> Result<&User, Answer> {
        let found = self.state.find_user(self.param("user"), self.me);
        found
            .filter(|user| self.rights.user_read(user.id))
            .ok_or_else(|| self.unknown_user())
    }

    /// The member in the path. The user is looked up without asking for rights, the membership is not (recording 10).
    pub(crate) fn member(&self) -> Result<&Member, Answer> {
        let organization = self.organization()?;
        let user = self.state.find_user(self.param("user"), self.me).map(|user| user.id);
        let user = user.ok_or_else(|| self.unknown_user())?;
        let visible = user == self.me || self.rights.member_read(organization);
        self.state
            .members
            .get(&(organization, user))
            .filter(|_| visible)
            .ok_or_else(Answer::not_found)
    }

    fn unknown_user(&self) -> Answer {
        if self.state.traits().unknown_user_is_404 {
            return Answer::not_found();
        }
        let queried = format!("queried user={:?}", self.param("user"));
        Answer::detail(400, "\"user\" must be an existing uuid or username.", queried)
    }

    /// A UUID in the path.
    pub(crate) fn uuid(&self, name: &str) -> Result<Uuid, Answer> {
        let text = self.param(name);
        json::parse_uuid(text).map_err(|detail| Answer::detail(400, format!("Invalid UUID {text:?}."), detail))
    }
}

//! `CoderWorkspaceProxy` → the registration of a workspace proxy, and its token in a Secret.
//!
//! Coder shows the token once. It is in the Secret before the object is Ready; a lost Secret means a new token. A proxy
//! that was taken over keeps the token that somebody else has, until a new one is asked for; a Secret that holds it is
//! taken over together with it.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use kube::ResourceExt;

use super::field::{Differences, Field};
use super::issued::{Past, Terms, Why, moved_from, note_kept, place, secret_names};
use crate::api::{CoderWorkspaceProxy, NoteType, Origin, WorkspaceProxyStatus, annotation, rules};
use crate::coder::{self, CreateProxy, ProxyId, UpdateProxy};
use crate::engine;
use crate::engine::issued::{self, Home, Issued, Noted};
use crate::engine::{Cx, Deviation, Error, Note, Reason, Remote, Report, Target};
use crate::lists::Proxies;
use crate::metrics::Samples;

mod token;

/// The key of the token, unless the spec names another.
const TOKEN_KEY: &str = "CODER_PROXY_SESSION_TOKEN";
/// The key of the deployment's URL.
const URL_KEY: &str = "CODER_PRIMARY_ACCESS_URL";

/// What shall be.
#[derive(Clone, Debug)]
pub struct Desired {
    pub(super) name: String,
    pub(super) display_name: String,
    pub(super) icon: String,
    /// Where the token goes, and the deployment's URL with it.
    pub(super) home: Home,
    /// When a new token is to be issued.
    pub(super) terms: Terms,
    /// Whether the object is changed and set back again and again.
    pub(super) fought_over: bool,
}

/// What Coder and the Secret hold.
#[derive(Clone, Debug)]
pub struct Observed {
    pub(super) proxy: coder::WorkspaceProxy,
    /// The token in the Secret, if it is this proxy's.
    pub(super) token: Option<Issued>,
    /// Whether somebody else ended it.
    pub(super) ended: bool,
}

/// One call.
#[derive(Clone, Debug)]
pub enum Change {
    /// `POST /workspaceproxies`; the token goes into the Secret.
    Create(CreateProxy),
    /// `PATCH /workspaceproxies/{id}`, which wants all three.
    Update {
        /// A rename.
        name: Option<Field<String>>,
        /// Cannot be cleared.
        display_name: Option<Field<String>>,
        /// Cannot be cleared.
        icon: Option<Field<String>>,
    },
    /// The same with `regenerate_token`; the token goes into the Secret.
    IssueToken(Why),
    /// No call: the Secret as it shall be, with the token that there is.
    SettleSecret,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(request) => write!(f, "create workspace proxy {}", request.name),
            Self::Update {
                name,
                display_name,
                icon,
            } => differences(name.as_ref(), display_name.as_ref(), icon.as_ref()).fmt(f),
            Self::IssueToken(why) => f.write_str(&why.describe(token::WORDS)),
            Self::SettleSecret => f.write_str("bring the Secret up to date, with the same token"),
        }
    }
}

impl engine::remote::Change<CoderWorkspaceProxy> for Change {
    fn creates(&self) -> bool {
        matches!(self, Self::Create(_))
    }

    fn deviations(&self, _: &WorkspaceProxyStatus) -> Vec<Deviation> {
        match self {
            Self::Create(_) => vec![Deviation::deleted()],
            Self::Update {
                name,
                display_name,
                icon,
            } => differences(name.as_ref(), display_name.as_ref(), icon.as_ref()).deviations(),
            Self::IssueToken(why) => why.deviation(token::WORDS).into_iter().collect(),
            Self::SettleSecret => Vec::new(),
        }
    }
}

impl Remote for CoderWorkspaceProxy {
    const NOUN: &'static str = "workspace proxy";
    const NEEDS: &'static str = "the role Owner";

    type Desired = Desired;
    type Observed = Observed;
    type Identity = ProxyId;
    type Change = Change;

    async fn resolve(cx: &Cx<'_>, object: &CoderWorkspaceProxy) -> Result<Desired, Error> {
        let spec = &object.spec;
        let name = spec.name.clone().unwrap_or_else(|| object.name_any());
        if !rules::is_name(&name, rules::NAME_MAX) || name.eq_ignore_ascii_case("primary") {
            let message = format!("{name} is no valid name of a workspace proxy: set spec.name");
            return Err(Error::terminal(Reason::InvalidSpec, message));
        }
        let status = object.status.as_ref();
        let place = place(&spec.token_secret, TOKEN_KEY);
        let was = status.and_then(|status| status.token_secret.as_ref());
        let home = Home {
            previous: moved_from(was, &place),
            place,
            beside: BTreeMap::from([(
                URL_KEY.to_owned(),
                token::access_url(cx, spec.primary_access_url.as_deref()),
            )]),
        };
        // Found out about before anything is compared with it.
        issued::before(cx, &home).await?;
        let pending = status.is_some_and(|status| status.common.pending_creation.is_some());
        let origin = status
            .filter(|status| status.id.is_some())
            .and_then(|status| status.common.origin);
        let past = Past {
            held: origin.is_some(),
            made: origin == Some(Origin::Created) || pending,
            issued: status.is_some_and(|status| status.token_issued_at.is_some()),
            handled: status.and_then(|status| status.last_handled_rotate.as_ref()),
        };
        let rotate = object.annotations().get(annotation::ROTATE);
        Ok(Desired {
            name,
            display_name: spec.display_name.clone(),
            icon: spec.icon.clone(),
            home,
            terms: Terms::new(rotate, None, past, cx.now)?,
            fought_over: status.is_some_and(|status| status.common.is_true(NoteType::DriftRepeats.as_str())),
        })
    }

    fn natural_key(desired: &Desired) -> String {
        desired.name.to_ascii_lowercase()
    }

    fn organizations<'a>(_: Option<&'a Desired>, _: Option<&'a Observed>) -> Vec<&'a str> {
        Vec::new()
    }

    fn identity(status: &WorkspaceProxyStatus) -> Option<ProxyId> {
        status.id.as_ref()?.parse().ok()
    }

    async fn observe(
        cx: &Cx<'_>,
        desired: Option<&Desired>,
        target: Target<'_, ProxyId>,
    ) -> Result<Option<Observed>, Error> {
        let found = match target {
            Target::Identity(id) => cx.get(&Proxies, &id.to_string()).await?,
            Target::Key(key) => cx.find(&Proxies, |proxy| proxy.name.eq_ignore_ascii_case(key)).await?,
        };
        let Some(proxy) = found else { return Ok(None) };
        let token = match desired {
            Some(desired) => issued::find(cx, &desired.home, &[&proxy.id.to_string()]).await?,
            None => None,
        };
        let ended = token
            .as_ref()
            .is_some_and(|token| token::is_ended(cx, &proxy.id.to_string(), token));
        Ok(Some(Observed { proxy, token, ended }))
    }

    fn plan(desired: &Desired, observed: Option<&Observed>) -> Vec<Change> {
        let Desired {
            name,
            display_name,
            icon,
            home: _,
            terms: _,
            fought_over: _,
        } = desired;
        let Some(observed) = observed else {
            return vec![Change::Create(CreateProxy {
                name: name.clone(),
                display_name: display_name.clone(),
                icon: icon.clone(),
            })];
        };
        let Observed { proxy, token, ended: _ } = observed;
        let name = Field::differing(Some(name), &proxy.name);
        let display_name = Field::differing(Some(display_name), &proxy.display_name);
        let icon = Field::differing(Some(icon), &proxy.icon_url);
        let mut changes = Vec::new();
        if name.is_some() || display_name.is_some() || icon.is_some() {
            changes.push(Change::Update {
                name,
                display_name,
                icon,
            });
        }
        match (token::why(desired, observed), token) {
            (Some(why), _) => changes.push(Change::IssueToken(why)),
            (None, Some(token)) if !token.settled => changes.push(Change::SettleSecret),
            (None, _) => {}
        }
        changes
    }

    fn prepare(desired: &Desired, _: &Observed, status: &mut WorkspaceProxyStatus) {
        // A first pass over what was taken over may fail: the next one must not take the annotation for a new one.
        if desired.terms.handled.is_some() {
            status.last_handled_rotate.clone_from(&desired.terms.handled);
        }
    }

    async fn rehearse(cx: &Cx<'_>, desired: &Desired, change: &Change) -> Result<(), Error> {
        let inherits = match change {
            Change::Create(_) => false,
            Change::IssueToken(_) => true,
            Change::Update { .. } | Change::SettleSecret => return Ok(()),
        };
        issued::rehearse(cx, &desired.home, desired.terms.rotate.as_deref(), inherits).await
    }

    async fn apply(
        cx: &Cx<'_>,
        desired: &Desired,
        observed: Option<&Observed>,
        change: &Change,
    ) -> Result<Observed, Error> {
        match (change, observed) {
            (Change::Create(request), _) => {
                let before = issued::before(cx, &desired.home).await?;
                let made = cx.coder().create_proxy(request).await?;
                token::keep(cx, desired, made, false, before.as_deref()).await
            }
            (_, None) => Err(Error::Superseded),
            (Change::Update { .. }, Some(observed)) => {
                let proxy =
                    Proxies::without_volatile(cx.coder().update_proxy(&request(desired, observed.proxy.id)).await?);
                cx.put(&Proxies, proxy.clone());
                Ok(Observed {
                    proxy,
                    ..observed.clone()
                })
            }
            (Change::IssueToken(_), Some(observed)) => {
                let before = issued::before(cx, &desired.home).await?;
                let answer = cx
                    .coder()
                    .regenerate_proxy_token(&request(desired, observed.proxy.id))
                    .await?;
                token::keep(cx, desired, answer, true, before.as_deref()).await
            }
            (Change::SettleSecret, Some(observed)) => {
                let id = observed.proxy.id.to_string();
                let noted = Noted {
                    rotate: desired.terms.rotate.as_deref(),
                    ..Noted::default()
                };
                issued::settle(cx, &desired.home, &[&id], noted).await?;
                Ok(Observed {
                    token: issued::find(cx, &desired.home, &[&id]).await?,
                    ..observed.clone()
                })
            }
        }
    }

    fn report(desired: &Desired, observed: &Observed, status: &mut WorkspaceProxyStatus, _: Timestamp) -> Report {
        let Observed { proxy, token, ended } = observed;
        status.id = Some(proxy.id.to_string());
        status.name = Some(proxy.name.clone());
        status.healthy = Some(proxy.healthy);
        status.health = proxy.status.as_ref().map(|health| health.status.as_str().to_owned());
        status.url = Some(proxy.path_app_url.clone()).filter(|url| !url.is_empty());
        status.version = Some(proxy.version.clone()).filter(|version| !version.is_empty());
        note_kept(
            token.as_ref(),
            &desired.home.place,
            &mut status.token_issued_at,
            &mut status.token_secret,
        );
        desired
            .terms
            .note_handled(token.as_ref(), &mut status.last_handled_rotate);
        let mut report = Report::default();
        let works = token.is_some() && !ended;
        if !works && !desired.terms.expected {
            let message = token::not_issued(*ended);
            report.notes.push(Note::new(NoteType::TokenNotIssued, message));
        } else if *ended && desired.fought_over {
            report.unmet = Some(token::fought_over());
        }
        report
    }

    fn measure(object: &CoderWorkspaceProxy, samples: &mut Samples) {
        let health = object.status.as_ref().and_then(|status| status.health.clone());
        if let Some(health) = health {
            samples.add(
                "workspace_proxies",
                "Workspace proxies by health",
                vec![("health", health)],
            );
        }
    }

    fn secrets(object: &CoderWorkspaceProxy) -> Vec<&str> {
        let was = object.status.as_ref().and_then(|status| status.token_secret.as_ref());
        secret_names(Some(&object.spec.token_secret), was)
    }

    fn created_at(observed: &Observed) -> Option<Timestamp> {
        observed.proxy.created_at
    }

    fn identify(observed: &Observed) -> ProxyId {
        observed.proxy.id
    }

    async fn delete(cx: &Cx<'_>, id: &ProxyId, _: &Observed) -> Result<(), Error> {
        cx.coder().delete_proxy(*id).await?;
        cx.remove(&Proxies, &id.to_string());
        Ok(())
    }
}

fn differences(
    name: Option<&Field<String>>,
    display_name: Option<&Field<String>>,
    icon: Option<&Field<String>>,
) -> Differences {
    Differences::default()
        .and("name", name)
        .and("displayName", display_name)
        .and("icon", icon)
}

fn request(desired: &Desired, id: ProxyId) -> UpdateProxy {
    UpdateProxy {
        id,
        name: desired.name.clone(),
        display_name: desired.display_name.clone(),
        icon: desired.icon.clone(),
    }
}

#[cfg(test)]
mod tests;

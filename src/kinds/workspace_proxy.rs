//! `CoderWorkspaceProxy` → the registration of a workspace proxy, and its token in a Secret.
//!
//! Coder shows the token once. It is in the Secret before the object is Ready; a lost Secret means a new token. A proxy
//! that was taken over keeps the token that somebody else has, until a new one is asked for.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use secrecy::SecretString;

use super::field::{Differences, Field};
use crate::api::{CoderWorkspaceProxy, Origin, WorkspaceProxyStatus, annotation, rules};
use crate::coder::{self, CreateProxy, ProxyId, ProxyWithToken, UpdateProxy};
use crate::engine::cluster::output::{self, Content, Output};
use crate::engine::{Cx, Deviation, Error, Note, Reason, Remote, Report, Target};
use crate::lists::Proxies;
use crate::metrics::Samples;

/// The key of the token, unless the spec names another.
const TOKEN_KEY: &str = "CODER_PROXY_SESSION_TOKEN";
/// The key of the deployment's URL.
const URL_KEY: &str = "CODER_PRIMARY_ACCESS_URL";
/// On the Secret: when the token was issued.
const ISSUED_AT: &str = "coder-operator.dev/issued-at";

/// The rule.
pub struct WorkspaceProxy;

/// What shall be.
#[derive(Clone, Debug)]
pub struct Desired {
    pub(super) name: String,
    pub(super) display_name: String,
    pub(super) icon: String,
    pub(super) secret: Secret,
    /// The value of the annotation that asks for a new token.
    pub(super) rotate: Option<String>,
    /// Whether there is to be a token without anybody asking: not for a proxy that was taken over.
    pub(super) expects_token: bool,
}

/// Where the token goes.
#[derive(Clone, Debug)]
pub struct Secret {
    pub(super) name: String,
    pub(super) key: String,
    /// The deployment's URL, which goes there as well.
    pub(super) url: String,
}

/// What Coder and the Secret hold.
#[derive(Clone, Debug)]
pub struct Observed {
    pub(super) proxy: coder::WorkspaceProxy,
    /// The token in the Secret, if it is this proxy's.
    pub(super) token: Option<Token>,
}

/// A token in the Secret.
#[derive(Clone, Debug, Default)]
pub struct Token {
    /// For which value of the annotation it was issued.
    pub(super) rotate: Option<String>,
    /// When.
    pub(super) issued_at: Option<Timestamp>,
    /// The URL beside it.
    pub(super) url: Option<String>,
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
    IssueToken {
        /// Whether somebody asked for it.
        asked: bool,
    },
    /// No call: the URL in the Secret.
    WriteUrl,
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
            Self::IssueToken { asked: true } => {
                f.write_str("issue a new token as asked: running proxies need the new Secret and a restart")
            }
            Self::IssueToken { asked: false } => f.write_str(
                "issue a new token, the Secret had lost it: running proxies need the new Secret and a restart",
            ),
            Self::WriteUrl => write!(f, "write {URL_KEY} into the Secret"),
        }
    }
}

impl Remote for WorkspaceProxy {
    type Kind = CoderWorkspaceProxy;
    type Desired = Desired;
    type Observed = Observed;
    type Identity = ProxyId;
    type Change = Change;

    const NOUN: &'static str = "workspace proxy";

    async fn resolve(cx: &Cx<'_>, object: &CoderWorkspaceProxy) -> Result<Desired, Error> {
        let spec = &object.spec;
        let name = spec.name.clone().unwrap_or_else(|| object.name_any());
        if !rules::is_name(&name, rules::NAME_MAX) || name.eq_ignore_ascii_case("primary") {
            let message = format!("{name} is no valid name of a workspace proxy: set spec.name");
            return Err(Error::terminal(Reason::InvalidSpec, message));
        }
        let secret = Secret {
            name: spec.token_secret.name.clone(),
            key: spec.token_secret.key_or(TOKEN_KEY).to_owned(),
            url: cx.connection.link.url.as_str().trim_end_matches('/').to_owned(),
        };
        // Found out before anything is created: the token that is shown once must have a place to go to.
        if matches!(cx.output(&secret.name).await?, Output::Foreign) {
            return Err(output::foreign(&cx.me.key.namespace, &secret.name));
        }
        let status = object.status.as_ref();
        let expects_token = status.is_some_and(|status| {
            status.common.origin == Some(Origin::Created)
                || status.common.pending_creation.is_some()
                || status.token_issued_at.is_some()
        });
        Ok(Desired {
            name,
            display_name: spec.display_name.clone(),
            icon: spec.icon.clone(),
            secret,
            rotate: object.annotations().get(annotation::ROTATE).cloned(),
            expects_token,
        })
    }

    fn key(desired: &Desired) -> String {
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
            Some(desired) => token(cx, &desired.secret, proxy.id).await?,
            None => None,
        };
        Ok(Some(Observed { proxy, token }))
    }

    fn plan(desired: &Desired, observed: Option<&Observed>) -> Vec<Change> {
        let Desired {
            name,
            display_name,
            icon,
            secret,
            rotate,
            expects_token,
        } = desired;
        let Some(Observed { proxy, token }) = observed else {
            return vec![Change::Create(CreateProxy {
                name: name.clone(),
                display_name: display_name.clone(),
                icon: icon.clone(),
            })];
        };
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
        match token {
            Some(token) if rotate.is_some() && token.rotate != *rotate => {
                changes.push(Change::IssueToken { asked: true });
            }
            Some(token) if token.url.as_ref() != Some(&secret.url) => changes.push(Change::WriteUrl),
            None if rotate.is_some() || *expects_token => {
                changes.push(Change::IssueToken { asked: !*expects_token });
            }
            Some(_) | None => {}
        }
        changes
    }

    fn creates(change: &Change) -> bool {
        matches!(change, Change::Create(_))
    }

    fn deviations(change: &Change, _: &WorkspaceProxyStatus) -> Vec<Deviation> {
        match change {
            Change::Create(_) => vec![Deviation::deleted()],
            Change::Update {
                name,
                display_name,
                icon,
            } => differences(name.as_ref(), display_name.as_ref(), icon.as_ref()).deviations(),
            Change::IssueToken { asked: false } => vec![Deviation {
                field: "tokenSecret",
                text: "tokenSecret lost its token (running proxies need the new Secret and a restart)".to_owned(),
            }],
            Change::IssueToken { asked: true } | Change::WriteUrl => Vec::new(),
        }
    }

    async fn apply(
        cx: &Cx<'_>,
        desired: &Desired,
        observed: Option<&Observed>,
        change: &Change,
    ) -> Result<Observed, Error> {
        match (change, observed) {
            (Change::Create(request), _) => {
                let made = cx.coder().create_proxy(request).await?;
                keep(cx, desired, made).await
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
            (Change::IssueToken { .. }, Some(observed)) => {
                let answer = cx
                    .coder()
                    .regenerate_proxy_token(&request(desired, observed.proxy.id))
                    .await?;
                keep(cx, desired, answer).await
            }
            (Change::WriteUrl, Some(observed)) => {
                let data = BTreeMap::from([(URL_KEY.to_owned(), SecretString::from(desired.secret.url.clone()))]);
                let content = Content {
                    data,
                    annotations: BTreeMap::new(),
                };
                cx.outputs.write(&cx.owner, &desired.secret.name, content).await?;
                let token = token(cx, &desired.secret, observed.proxy.id).await?;
                Ok(Observed {
                    token,
                    ..observed.clone()
                })
            }
        }
    }

    fn report(_: &Desired, observed: &Observed, status: &mut WorkspaceProxyStatus, _: Timestamp) -> Report {
        let Observed { proxy, token } = observed;
        status.id = Some(proxy.id.to_string());
        status.name = Some(proxy.name.clone());
        status.healthy = Some(proxy.healthy);
        status.health = proxy.status.as_ref().map(|health| health.status.as_str().to_owned());
        status.url = Some(proxy.path_app_url.clone()).filter(|url| !url.is_empty());
        status.version = Some(proxy.version.clone()).filter(|version| !version.is_empty());
        status.token_issued_at = token.as_ref().and_then(|token| token.issued_at).map(Time);
        if let Some(Token {
            rotate: Some(handled), ..
        }) = token
        {
            status.last_handled_rotate = Some(handled.clone());
        }
        let mut report = Report::default();
        if token.is_none() {
            let message = format!(
                "taken over: its token is known only to whoever created it; the annotation {} issues a new one, which \
                 ends the old one",
                annotation::ROTATE
            );
            report.notes.push(Note::new("TokenNotIssued", message));
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

    fn created_since(observed: &Observed, since: Timestamp) -> bool {
        // Two clocks are compared here.
        observed
            .proxy
            .created_at
            .is_none_or(|made| made >= since - SignedDuration::from_mins(5))
    }

    fn identify(observed: &Observed) -> ProxyId {
        observed.proxy.id
    }

    fn held(identity: &ProxyId) -> String {
        identity.to_string()
    }

    async fn delete(cx: &Cx<'_>, id: &ProxyId) -> Result<(), Error> {
        match cx.coder().delete_proxy(*id).await {
            Ok(()) => {}
            // Coder also says 404 to who may not delete it. Everybody may read the list.
            Err(error) if error.is_absent() => {
                cx.invalidate(&Proxies);
                if cx.get(&Proxies, &id.to_string()).await?.is_some() {
                    let message = "the token's user may not delete workspace proxies: give it the role Owner";
                    return Err(Error::terminal(Reason::Forbidden, message));
                }
            }
            Err(error) => return Err(error.into()),
        }
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

/// Puts the token that Coder just showed into the Secret.
async fn keep(cx: &Cx<'_>, desired: &Desired, answer: ProxyWithToken) -> Result<Observed, Error> {
    let proxy = Proxies::without_volatile(answer.proxy);
    cx.put(&Proxies, proxy.clone());
    let Some(token) = answer.proxy_token else {
        return Err(Error::NotConverging("Coder answered without a token".to_owned()));
    };
    let secret = &desired.secret;
    let mut annotations = BTreeMap::from([(
        ISSUED_AT.to_owned(),
        Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )]);
    annotations.extend(
        desired
            .rotate
            .clone()
            .map(|value| (annotation::ROTATE.to_owned(), value)),
    );
    let data = BTreeMap::from([
        (secret.key.clone(), token),
        (URL_KEY.to_owned(), SecretString::from(secret.url.clone())),
    ]);
    cx.outputs
        .write(&cx.owner, &secret.name, Content { data, annotations })
        .await?;
    let token = self::token(cx, secret, proxy.id).await?;
    Ok(Observed { proxy, token })
}

/// The token in the Secret, if it is that proxy's.
async fn token(cx: &Cx<'_>, secret: &Secret, proxy: ProxyId) -> Result<Option<Token>, Error> {
    Ok(match cx.output(&secret.name).await? {
        Output::Absent | Output::Foreign => None,
        Output::Ours(written) => {
            let ours = written.public.get(&secret.key) == Some(&proxy.to_string());
            ours.then(|| Token {
                rotate: written.annotations.get(annotation::ROTATE).cloned(),
                issued_at: written.annotations.get(ISSUED_AT).and_then(|at| at.parse().ok()),
                url: written.public.get(URL_KEY).cloned(),
            })
        }
    })
}

#[cfg(test)]
mod tests;

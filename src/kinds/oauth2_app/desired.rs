//! What an application shall be.

use std::collections::BTreeMap;

use kube::ResourceExt;

use crate::api::{CoderOAuth2App, Origin, annotation, rules};
use crate::coder::OAuth2App;
use crate::engine::cluster::output::Place;
use crate::engine::issued::{Home, Previous};
use crate::engine::{Cx, Error, Reason};
use crate::kinds::issued::{Past, Terms, moved_from, place};

/// The key of the client secret, unless the spec names another.
const CLIENT_SECRET: &str = "CLIENT_SECRET";

/// What shall be.
#[derive(Clone, Debug)]
pub struct Desired {
    pub(in crate::kinds) name: String,
    pub(in crate::kinds) callback_url: String,
    pub(in crate::kinds) icon: Option<String>,
    /// Where the client secret goes; none where client secrets are unmanaged.
    pub(in crate::kinds) place: Option<Place>,
    /// Where it was before the spec named another place.
    pub(in crate::kinds) moved_from: Option<Place>,
    /// When a new one is to be issued.
    pub(in crate::kinds) terms: Terms,
    /// The id of the one that was issued last, as the status knows it.
    pub(in crate::kinds) issued: Option<String>,
    /// The one before it.
    pub(in crate::kinds) previous: Option<Previous>,
}

impl Desired {
    /// Reads the spec.
    pub(super) fn of(cx: &Cx<'_>, object: &CoderOAuth2App) -> Result<Self, Error> {
        let spec = &object.spec;
        let name = spec.name.clone().unwrap_or_else(|| object.name_any());
        if !rules::is_name(&name, rules::NAME_MAX) {
            let message = format!("{name} is no valid name of an application: set spec.name");
            return Err(Error::terminal(Reason::InvalidSpec, message));
        }
        let status = object.status.as_ref();
        let place = spec.client_secret.as_ref().map(|wanted| place(wanted, CLIENT_SECRET));
        let was = status.and_then(|status| status.client_secret.as_ref());
        let origin = status.and_then(|status| status.common.origin);
        let past = Past {
            held: origin.is_some(),
            made: origin == Some(Origin::Created)
                || status.is_some_and(|status| status.common.pending_creation.is_some()),
            issued: status.is_some_and(|status| status.secret_issued_at.is_some()),
            handled: status.and_then(|status| status.last_handled_rotate.as_ref()),
        };
        let ours = status.filter(|_| origin.is_some());
        let previous = ours.and_then(|status| status.previous_secret.as_ref());
        Ok(Self {
            name,
            callback_url: spec.callback_url.clone(),
            icon: spec.icon.clone(),
            moved_from: place.as_ref().and_then(|place| moved_from(was, place)),
            place,
            terms: Terms::new(
                object.annotations().get(annotation::ROTATE),
                spec.rotation.as_ref(),
                past,
                cx.now,
            )?,
            issued: ours.and_then(|status| status.secret_id.clone()),
            previous: previous.map(|previous| Previous {
                id: previous.id.clone(),
                retire_at: previous.retire_at.0,
            }),
        })
    }

    /// The Secret of that application, where there is to be one; without it, what can be said before it is there.
    pub(super) fn home(&self, app: Option<&OAuth2App>) -> Option<Home> {
        let beside = |app: &OAuth2App| {
            BTreeMap::from([
                ("CLIENT_ID".to_owned(), app.id.to_string()),
                ("AUTHORIZATION_URL".to_owned(), app.endpoints.authorization.clone()),
                ("TOKEN_URL".to_owned(), app.endpoints.token.clone()),
            ])
        };
        Some(Home {
            place: self.place.clone()?,
            previous: self.moved_from.clone(),
            beside: app.map(beside).unwrap_or_default(),
        })
    }
}

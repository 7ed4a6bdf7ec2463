//! The client secrets of an application: which of them are this object's, and how a new one gets into the Secret.

use super::{Desired, Observed};
use crate::coder::{OAuth2App, OAuth2Secret};
use crate::engine::issued::{self, Credential, Previous};
use crate::engine::{Cx, Error};
use crate::kinds::issued::Why;
use crate::lists::OAuth2Secrets;
use crate::mirror::Interest;

/// An application with what is known of its client secrets, where they are managed.
pub(super) async fn with_secrets(cx: &Cx<'_>, desired: Option<&Desired>, app: OAuth2App) -> Result<Observed, Error> {
    let home = desired.and_then(|desired| desired.home(Some(&app)));
    let Some(home) = home else {
        return Ok(Observed {
            app,
            secrets: Vec::new(),
            held: None,
            is_new: false,
        });
    };
    let list = cx.list(&OAuth2Secrets(app.id), Interest::Any).await?;
    let secrets: Vec<OAuth2Secret> = list.iter().cloned().collect();
    let ids: Vec<&str> = secrets.iter().map(|secret| &*secret.id).collect();
    let held = issued::find(cx, &home, &ids).await?;
    Ok(Observed {
        app,
        secrets,
        held,
        is_new: false,
    })
}

/// Makes a client secret and puts it into the Secret.
pub(super) async fn issue(cx: &Cx<'_>, desired: &Desired, observed: &Observed) -> Result<Observed, Error> {
    let app = &observed.app;
    let Some(home) = desired.home(Some(app)) else {
        return Err(Error::Superseded);
    };
    let before = issued::before(cx, &home).await?;
    let made = cx.coder().create_oauth2_secret(app.id).await?;
    cx.invalidate(&OAuth2Secrets(app.id));
    let Some(value) = made.client_secret_full else {
        return Err(Error::NotConverging(
            "Coder answered without a client secret".to_owned(),
        ));
    };
    let replaced = observed.current(desired).map(|id| Previous {
        id: id.to_owned(),
        retire_at: desired.terms.retire_at(),
    });
    let shown = Credential {
        id: Some(made.id),
        previous: replaced,
        ..Credential::of(value)
    };
    let rotate = desired.terms.rotate.as_deref();
    issued::keep(cx, &home, shown, rotate, true, before.as_deref()).await?;
    with_secrets(cx, Some(desired), app.clone()).await
}

impl Observed {
    /// The client secret that is in use, as far as that is known: by the Secret, or else by the status.
    pub(super) fn current<'o>(&'o self, desired: &'o Desired) -> Option<&'o str> {
        let held = self.held.as_ref().and_then(|held| held.id.as_deref());
        held.or(desired.issued.as_deref()).filter(|id| self.has(id))
    }

    /// The one before it, if it is still there.
    pub(super) fn previous<'o>(&'o self, desired: &'o Desired) -> Option<&'o Previous> {
        let held = self.held.as_ref().and_then(|held| held.previous.as_ref());
        let known = if self.held.is_some() {
            held
        } else {
            desired.previous.as_ref()
        };
        known.filter(|previous| self.has(&previous.id))
    }

    /// Those that nobody is known to hold, by their last characters.
    pub(super) fn unclaimed(&self, desired: &Desired) -> Vec<String> {
        let ours = [
            self.current(desired),
            self.previous(desired).map(|previous| &*previous.id),
        ];
        let others = self.secrets.iter().filter(|secret| !ours.contains(&Some(&*secret.id)));
        others
            .map(|secret| format!("…{}", secret.client_secret_truncated))
            .collect()
    }

    fn has(&self, id: &str) -> bool {
        self.secrets.iter().any(|secret| secret.id == id)
    }
}

/// Whether a new client secret is to be issued, and why.
pub(super) fn why(desired: &Desired, observed: &Observed) -> Option<Why> {
    desired.place.as_ref()?;
    match desired.terms.why(observed.held.as_ref()) {
        Some(Why::Lost) if desired.issued.is_none() => Some(Why::First),
        None if observed.is_new => Some(Why::First),
        why => why,
    }
}

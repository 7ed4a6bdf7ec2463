//! `CoderOAuth2App` → an application that signs people in through Coder, and the Secret with its client secret.
//!
//! Coder takes a second application of the same name. So the list is read before each creation, and a creation whose answer
//! got lost is not repeated while it may still come true.

mod change;
mod desired;
mod secrets;

use jiff::{SignedDuration, Timestamp};

use super::field::{Differences, few};
use super::issued::{in_seconds, not_issued, note_kept, secret_names};
use crate::api::{CoderOAuth2App, NoteType, OAuth2AppStatus, PreviousCredential};
use crate::coder::{OAuth2App, OAuth2AppId, OAuth2Secret, PutOAuth2App};
use crate::engine::issued::{self, Issued, Noted};
use crate::engine::{Cx, Error, Note, Reason, Remote, Report, Target};
use crate::lists::{OAuth2Apps, OAuth2Secrets};
use crate::mirror::Interest;
pub use change::Change;
pub use desired::Desired;
use secrets::{issue, why, with_secrets};

/// What Coder and the Secret hold.
#[derive(Clone, Debug)]
pub struct Observed {
    pub(super) app: OAuth2App,
    /// Its client secrets, where they are managed.
    pub(super) secrets: Vec<OAuth2Secret>,
    /// What the Secret holds, if it is one of them.
    pub(super) held: Option<Issued>,
    /// Whether it was made just now, so that it has no client secret yet.
    pub(super) is_new: bool,
}

impl Remote for CoderOAuth2App {
    const NOUN: &'static str = "OAuth2 application";
    const NEEDS: &'static str = "the role Owner";
    const SETTLES: Option<SignedDuration> = Some(SignedDuration::from_mins(1));

    type Desired = Desired;
    type Observed = Observed;
    type Identity = OAuth2AppId;
    type Change = Change;

    async fn resolve(cx: &Cx<'_>, object: &CoderOAuth2App) -> Result<Desired, Error> {
        Desired::of(cx, object)
    }

    fn natural_key(desired: &Desired) -> String {
        desired.name.clone()
    }

    fn organizations<'a>(_: Option<&'a Desired>, _: Option<&'a Observed>) -> Vec<&'a str> {
        Vec::new()
    }

    fn identity(status: &OAuth2AppStatus) -> Option<OAuth2AppId> {
        status.id.as_ref()?.parse().ok()
    }

    fn identify(observed: &Observed) -> OAuth2AppId {
        observed.app.id
    }

    async fn observe(
        cx: &Cx<'_>,
        desired: Option<&Desired>,
        target: Target<'_, OAuth2AppId>,
    ) -> Result<Option<Observed>, Error> {
        let app = match target {
            Target::Identity(id) => cx.get(&OAuth2Apps, &id.to_string()).await?,
            Target::Key(name) => named(cx, desired, name).await?,
        };
        match app {
            Some(app) => with_secrets(cx, desired, app).await.map(Some),
            None => Ok(None),
        }
    }

    fn plan(desired: &Desired, observed: Option<&Observed>) -> Vec<Change> {
        let request = |icon: String| PutOAuth2App {
            name: desired.name.clone(),
            callback_url: desired.callback_url.clone(),
            icon,
        };
        let Some(observed) = observed else {
            return vec![Change::Create(request(desired.icon.clone().unwrap_or_default()))];
        };
        let app = &observed.app;
        let icon = desired.icon.as_ref().unwrap_or(&app.icon);
        let differences = Differences::default()
            .differing("name", &app.name, &desired.name)
            .differing("callbackURL", &app.callback_url, &desired.callback_url)
            .differing("icon", &app.icon, icon);
        let mut changes = Vec::new();
        if !differences.is_empty() {
            let open = desired.icon.is_none();
            changes.push(Change::Update(request(icon.clone()), differences, open));
        }
        if desired.place.is_none() {
            return changes;
        }
        let held = observed.held.as_ref();
        let previous = observed.previous(desired);
        if let Some(why) = why(desired, observed) {
            // There is room for one before the new one.
            changes.extend(previous.map(|previous| Change::RetireSecret(previous.id.clone())));
            changes.push(Change::IssueSecret(why));
        } else if let Some(over) = previous.filter(|previous| desired.terms.is_over(previous, held, None)) {
            changes.push(Change::RetireSecret(over.id.clone()));
        } else if let Some(held) = held {
            let is_noted = held.previous.as_ref() == previous;
            changes.extend((!held.settled || !is_noted).then_some(Change::SettleSecret));
        }
        changes
    }

    fn prepare(desired: &Desired, _: &Observed, status: &mut OAuth2AppStatus) {
        if desired.terms.handled.is_some() {
            status.last_handled_rotate.clone_from(&desired.terms.handled);
        }
    }

    async fn rehearse(cx: &Cx<'_>, desired: &Desired, change: &Change) -> Result<(), Error> {
        let inherits = match change {
            Change::Create(request) => {
                nobody_has(cx, &request.name).await?;
                false
            }
            Change::IssueSecret(_) => true,
            Change::Update(..) | Change::RetireSecret(_) | Change::SettleSecret => return Ok(()),
        };
        match desired.home(None) {
            Some(home) => issued::rehearse(cx, &home, desired.terms.rotate.as_deref(), inherits).await,
            None => Ok(()),
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
                let app = cx.coder().create_oauth2_app(request).await?;
                cx.put(&OAuth2Apps, app.clone());
                Ok(Observed {
                    app,
                    secrets: Vec::new(),
                    held: None,
                    is_new: true,
                })
            }
            (_, None) => Err(Error::Superseded),
            (Change::Update(request, ..), Some(observed)) => {
                let app = cx.coder().update_oauth2_app(observed.app.id, request).await?;
                cx.put(&OAuth2Apps, app.clone());
                Ok(Observed {
                    app,
                    ..observed.clone()
                })
            }
            (Change::IssueSecret(_), Some(observed)) => issue(cx, desired, observed).await,
            (Change::RetireSecret(id), Some(observed)) => {
                cx.coder().delete_oauth2_secret(observed.app.id, id).await?;
                cx.remove(&OAuth2Secrets(observed.app.id), id);
                let mut observed = observed.clone();
                observed.secrets.retain(|secret| secret.id != *id);
                Ok(observed)
            }
            (Change::SettleSecret, Some(observed)) => {
                let Some(home) = desired.home(Some(&observed.app)) else {
                    return Err(Error::Superseded);
                };
                let noted = Noted {
                    rotate: desired.terms.rotate.as_deref(),
                    id: observed.held.as_ref().and_then(|held| held.id.clone()),
                    previous: observed.previous(desired).cloned(),
                };
                let ids: Vec<&str> = observed.secrets.iter().map(|secret| &*secret.id).collect();
                issued::settle(cx, &home, &ids, noted).await?;
                Ok(Observed {
                    held: issued::find(cx, &home, &ids).await?,
                    ..observed.clone()
                })
            }
        }
    }

    fn report(desired: &Desired, observed: &Observed, status: &mut OAuth2AppStatus, _: Timestamp) -> Report {
        let held = observed.held.as_ref();
        status.id = Some(observed.app.id.to_string());
        status.name = Some(observed.app.name.clone());
        let mut report = Report::default();
        let Some(place) = &desired.place else {
            return report;
        };
        let previous = observed.previous(desired);
        status.secret_id = observed.current(desired).map(str::to_owned);
        status.previous_secret = previous.and_then(|previous| {
            Some(PreviousCredential {
                id: previous.id.clone(),
                name: None,
                retire_at: in_seconds(previous.retire_at)?,
            })
        });
        note_kept(held, place, &mut status.secret_issued_at, &mut status.client_secret);
        desired.terms.note_handled(held, &mut status.last_handled_rotate);
        let mut note = |type_, message| report.notes.push(Note::new(type_, message));
        if held.is_none() && why(desired, observed).is_none() {
            note(NoteType::SecretNotIssued, not_issued("client secret"));
        }
        let unclaimed = observed.unclaimed(desired);
        if !unclaimed.is_empty() {
            let names = few(&unclaimed);
            let message = format!(
                "the application has client secrets that this object did not issue, or whose value reached no Secret: \
                 {names}; delete those that nobody uses"
            );
            note(NoteType::UnclaimedSecrets, message);
        }
        report.look_again = desired.terms.look_again(held, previous, None);
        report
    }

    fn secrets(object: &CoderOAuth2App) -> Vec<&str> {
        let was = object.status.as_ref().and_then(|status| status.client_secret.as_ref());
        secret_names(object.spec.client_secret.as_ref(), was)
    }

    async fn delete(cx: &Cx<'_>, id: &OAuth2AppId, _: &Observed) -> Result<(), Error> {
        cx.coder().delete_oauth2_app(*id).await?;
        cx.remove(&OAuth2Apps, &id.to_string());
        Ok(())
    }
}

/// The application of that name that is meant.
async fn named(cx: &Cx<'_>, desired: Option<&Desired>, name: &str) -> Result<Option<OAuth2App>, Error> {
    let is_named = |app: &OAuth2App| app.name == name;
    let is_meant = |app: &OAuth2App| desired.is_none_or(|desired| app.callback_url == desired.callback_url);
    if let Some(meant) = cx.find(&OAuth2Apps, |app| is_named(app) && is_meant(app)).await? {
        return Ok(Some(meant));
    }
    let all = cx.list(&OAuth2Apps, Interest::Any).await?;
    let ids: Vec<String> = all
        .iter()
        .filter(|app| is_named(app))
        .map(|app| app.id.to_string())
        .collect();
    match ids.as_slice() {
        [] => Ok(None),
        [id] => cx.get(&OAuth2Apps, id).await,
        _ => {
            let message = format!(
                "several applications are called {name}, and none of them has this callbackURL ({}): delete those that are \
                 not meant, or choose another name",
                few(&ids)
            );
            Err(Error::terminal(Reason::Ambiguous, message))
        }
    }
}

/// Coder would make a second one. So what it has is read right before.
async fn nobody_has(cx: &Cx<'_>, name: &str) -> Result<(), Error> {
    cx.invalidate(&OAuth2Apps);
    let all = cx.list(&OAuth2Apps, Interest::Any).await?;
    // This pass did not know of it: the next one does.
    if all.iter().any(|app| app.name == name) {
        return Err(Error::Superseded);
    }
    Ok(())
}

#[cfg(test)]
mod tests;

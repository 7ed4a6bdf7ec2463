//! Who is meant by a name, and what nobody but the identity provider, or the person, decides.

use crate::api::NoteType;
use crate::coder::{IdpSync, OrganizationId, UserId};
use crate::engine::{Cx, Error, Note, Reason};
use crate::lists::{OrganizationSync, RoleSync, SETTING, Synced, UserItem, Users};

/// The user that a spec names.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) id: UserId,
    pub(super) name: String,
    pub(super) email: String,
    pub(super) is_suspended: bool,
    /// It is the token's own user.
    pub(super) own: bool,
    pub(super) idp: Idp,
    /// What to say if the spec calls it otherwise.
    pub(super) moved: Option<String>,
}

/// What the identity provider decides of a user.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Idp {
    /// Which organizations it is in.
    pub(super) places: bool,
    /// Which roles it has there.
    pub(super) gives_roles: bool,
}

impl Person {
    /// Finds whom `name` means; `before` is who that was, for whom it goes on to mean.
    ///
    /// # Errors
    /// Waiting, while there is nobody of that name.
    pub(super) async fn find(
        cx: &Cx<'_>,
        organization: OrganizationId,
        name: &str,
        before: Option<UserId>,
    ) -> Result<Self, Error> {
        let bearer = match name.parse::<UserId>() {
            Ok(id) => cx.get(&Users, &id.to_string()).await?,
            Err(_) => cx.find(&Users, |user| user.is_called(name)).await?,
        };
        let is_another = before.is_some_and(|before| bearer.as_ref().is_none_or(|bearer| bearer.id != before));
        let meant = match before {
            Some(before) if is_another => cx.get(&Users, &before.to_string()).await?,
            _ => bearer.clone(),
        };
        let Some(user) = meant else {
            return Err(nobody(name, bearer.is_some()));
        };
        let moved = is_another.then(|| moved(name, &user, bearer.is_some()));
        Ok(Self {
            idp: Idp::of(cx, organization, &user).await?,
            own: user.id == cx.connection.user.id,
            id: user.id,
            name: user.username,
            email: user.email,
            is_suspended: user.is_suspended,
            moved,
        })
    }

    /// Whether its roles can be set.
    pub(super) fn roles_are_ours(&self) -> bool {
        !self.own && !self.idp.gives_roles
    }

    /// Why they cannot.
    pub(super) fn keeps_roles(&self) -> Error {
        if self.own {
            let message = "roles differ, and it is the token's own user: Coder lets nobody change their own roles; use \
                           another user's token, or let somebody else change them";
            return Error::terminal(Reason::Forbidden, message);
        }
        let message = format!(
            "roles differ, and role sync is on: the identity provider decides the roles of {}, at each sign-in; change them \
             there, or leave roles unmanaged",
            self.name
        );
        Error::waiting(Reason::ManagedByIdp, message)
    }

    pub(super) fn moved_note(&self) -> Option<Note> {
        let moved = self.moved.clone()?;
        Some(Note::new(NoteType::NameMoved, moved))
    }
}

impl Idp {
    async fn of(cx: &Cx<'_>, organization: OrganizationId, user: &UserItem) -> Result<Self, Error> {
        if !user.is_oidc {
            return Ok(Self::default());
        }
        Ok(Self {
            places: is_on(cx, &OrganizationSync::within(None)).await?,
            gives_roles: is_on(cx, &RoleSync::of(organization)).await?,
        })
    }

    /// The refusal to add somebody whom the identity provider places.
    pub(super) fn places_whom(name: &str) -> Error {
        let message = format!(
            "{name} comes from the identity provider and organization sync is on: {name} becomes a member at the next \
             sign-in that says so; add it there, or to the mapping of the organization sync"
        );
        Error::waiting(Reason::ManagedByIdp, message)
    }
}

/// Whether a sync is on and effective, as far as this token sees it and the server has it.
async fn is_on<S: IdpSync>(cx: &Cx<'_>, list: &Synced<S>) -> Result<bool, Error> {
    match cx.get(list, SETTING).await {
        Ok(settings) => Ok(settings.is_some_and(|settings| !settings.claim().is_empty())),
        Err(error) if error.coder().is_some_and(|error| !error.is_transient()) => Ok(false),
        Err(error) => Err(error),
    }
}

fn nobody(name: &str, has_bearer: bool) -> Error {
    if has_bearer {
        let message = format!(
            "{name} was somebody who is gone from Coder, and who has the name now is not added unasked: delete this object \
             and create it anew"
        );
        return Error::terminal(Reason::NameMoved, message);
    }
    let message = format!("user {name} does not exist in Coder, or this token does not see it");
    Error::waiting(Reason::DependencyNotReady, message)
}

fn moved(name: &str, meant: &UserItem, has_bearer: bool) -> String {
    let now = if name.contains('@') {
        &meant.email
    } else {
        &meant.username
    };
    let also = if has_bearer {
        format!(", and somebody else is called {name}")
    } else {
        String::new()
    };
    format!("user {name} is called {now} now{also}: the membership stays theirs; set user: {now}")
}

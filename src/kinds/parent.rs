//! The organization that an object lives in: named by a reference to a custom resource, or by Coder's own name or id.

use std::fmt;
use std::sync::Arc;

use crate::api::{
    CoderOrganization, FoundOrganization, InOrganization, Kind, NoteType, Object, ObjectKey, ObjectRef,
    group::organization_reference,
};
use crate::coder::{Organization, OrganizationId};
use crate::engine::{Cx, Error, Note, Reason, Target};
use crate::lists::Organizations;

/// An organization that another object lives in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Its id.
    pub id: OrganizationId,
    /// Its name in Coder.
    pub name: String,
    /// What to say if the spec calls it otherwise.
    pub moved: Option<String>,
}

impl Parent {
    /// As the status shows it.
    pub(super) fn found(&self) -> FoundOrganization {
        FoundOrganization {
            organization_id: Some(self.id.to_string()),
            organization: Some(self.name.clone()),
        }
    }

    /// What to say if the spec calls it otherwise.
    pub(super) fn moved_note(&self) -> Option<Note> {
        let moved = self.moved.clone()?;
        Some(Note::new(NoteType::NameMoved, moved))
    }
}

/// The organizations that a write would touch to what lives in one: the wanted one, and the one that it is in.
pub(super) fn touched<'a>(wanted: Option<&'a Parent>, held: Option<&'a str>) -> Vec<&'a str> {
    wanted.map(|wanted| &*wanted.name).into_iter().chain(held).collect()
}

/// The organization of a key or identity that reads `<id of the organization>/<rest>`, and the rest. `None` when it is gone:
/// what is left behind its id is nothing any more.
pub(super) async fn within<I: fmt::Display>(
    cx: &Cx<'_>,
    target: Target<'_, I>,
) -> Result<Option<(Organization, String)>, Error> {
    let key = match target {
        Target::Identity(identity) => identity.to_string(),
        Target::Key(key) => key.to_owned(),
    };
    let Some((id, rest)) = key.split_once('/') else {
        return Ok(None);
    };
    let organization = cx.get(&Organizations, id).await?;
    Ok(organization.map(|organization| (organization, rest.to_owned())))
}

/// The id of the organization that a status says an object is in.
pub(super) fn id_of(place: &FoundOrganization) -> Option<OrganizationId> {
    place.organization_id.as_ref()?.parse().ok()
}

/// The organization that a spec names, by reference or by Coder's own name or id. Waits for it. `held` is the one that the
/// object is in already: it stays there, and is called by its name of today, for as long as that organization exists.
///
/// # Errors
/// Waiting, when it is not there yet. Terminal, when it is another one than before.
pub(super) async fn parent(
    cx: &Cx<'_>,
    instance: &ObjectKey,
    place: &InOrganization,
    held: Option<OrganizationId>,
) -> Result<Parent, Error> {
    let (reference, plain) = (place.organization_ref.as_ref(), place.organization.as_deref());
    let found = match (reference, plain) {
        (Some(reference), _) => {
            let organization = referenced(cx, instance, reference)?;
            match organization.status.as_ref().and_then(|status| status.id.as_ref()) {
                Some(id) => cx.get(&Organizations, id).await?,
                None if cx.objects.have_status() => return Err(not_yet(&organization)),
                None => Some(
                    called(cx, &name(&organization))
                        .await?
                        .ok_or_else(|| not_yet(&organization))?,
                ),
            }
        }
        (None, Some("default")) => cx.find(&Organizations, |one| one.is_default).await?,
        (None, Some(id)) if id.parse::<OrganizationId>().is_ok() => cx.get(&Organizations, id).await?,
        (None, Some(name)) => {
            let bearer = called(cx, name).await?;
            match held {
                Some(held) if bearer.as_ref().is_none_or(|bearer| bearer.id != held) => {
                    return stay(cx, name, held, bearer).await;
                }
                _ => bearer,
            }
        }
        (None, None) => {
            let message = "set exactly one of organizationRef and organization";
            return Err(Error::terminal(Reason::InvalidSpec, message));
        }
    };
    let Some(found) = found else {
        return Err(nowhere(plain.unwrap_or("of organizationRef")));
    };
    // What was made anew in the place of one that is gone is followed; to another one nothing can be moved.
    if let Some(held) = held.filter(|held| *held != found.id)
        && cx.get(&Organizations, &held.to_string()).await?.is_some()
    {
        let field = if reference.is_some() {
            "organizationRef"
        } else {
            "organization"
        };
        let message = format!(
            "{field} cannot be changed to another organization, Coder cannot move anything between them: delete this \
             object and create it anew"
        );
        return Err(Error::terminal(Reason::InvalidSpec, message));
    }
    Ok(Parent {
        id: found.id,
        name: found.name,
        moved: None,
    })
}

/// The organization that the object is in, although `name` does not lead there any more.
async fn stay(cx: &Cx<'_>, name: &str, held: OrganizationId, bearer: Option<Organization>) -> Result<Parent, Error> {
    let also = if bearer.is_some() {
        format!(", and another organization is called {name}")
    } else {
        String::new()
    };
    match (cx.get(&Organizations, &held.to_string()).await?, bearer) {
        (Some(organization), _) => {
            let now = &organization.name;
            let moved = format!(
                "organization {name} is called {now} now{also}: this object stays in {now}; set organization: {now}"
            );
            Ok(Parent {
                id: organization.id,
                name: organization.name,
                moved: Some(moved),
            })
        }
        (None, Some(_)) => {
            let message = format!(
                "the organization {name} that this object was in is gone from Coder{also} now: nothing is made in it \
                 unasked; delete this object and create it anew"
            );
            Err(Error::terminal(Reason::NameMoved, message))
        }
        (None, None) => Err(nowhere(name)),
    }
}

async fn called(cx: &Cx<'_>, name: &str) -> Result<Option<Organization>, Error> {
    cx.find(&Organizations, |one| one.name.eq_ignore_ascii_case(name)).await
}

fn nowhere(what: &str) -> Error {
    let message = format!("organization {what} does not exist in Coder, or this token does not see it");
    Error::waiting(Reason::DependencyNotReady, message)
}

/// The referenced custom resource, if it is to be referred to.
fn referenced(cx: &Cx<'_>, instance: &ObjectKey, reference: &ObjectRef) -> Result<Arc<CoderOrganization>, Error> {
    let key = organization_reference(reference, &cx.me.key.namespace).key;
    let waiting = |why: &str| {
        Err(Error::waiting(
            Reason::DependencyNotReady,
            format!("CoderOrganization {key} {why}"),
        ))
    };
    let Some(object) = cx.object::<CoderOrganization>(&key)? else {
        return waiting("does not exist");
    };
    if object.instance_key() != *instance {
        let message = format!(
            "CoderOrganization {key} belongs to CoderInstance {}, this object to {instance}: both must name the same",
            object.instance_key()
        );
        return Err(Error::terminal(Reason::InvalidSpec, message));
    }
    if object.metadata.deletion_timestamp.is_some() {
        return waiting("is being deleted");
    }
    Ok(object)
}

fn not_yet(organization: &CoderOrganization) -> Error {
    let message = format!("CoderOrganization {} is not in Coder yet", organization.key());
    Error::waiting(Reason::DependencyNotReady, message)
}

/// The name in Coder.
pub(super) fn name(organization: &CoderOrganization) -> String {
    organization
        .spec
        .name
        .clone()
        .unwrap_or_else(|| organization.key().name)
}

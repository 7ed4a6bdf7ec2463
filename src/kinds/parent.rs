//! The organization that an object lives in: named by a reference to a custom resource, or by Coder's own name or id.

use std::sync::Arc;

use crate::api::{CoderOrganization, Kind, Object, ObjectKey, ObjectRef, group::organization_reference};
use crate::coder::OrganizationId;
use crate::engine::{Cx, Error, Reason};
use crate::lists::Organizations;

/// An organization that another object lives in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parent {
    /// Its id.
    pub id: OrganizationId,
    /// Its name in Coder.
    pub name: String,
}

/// The organization that a spec names, by reference or by Coder's own name or id. Waits for it.
///
/// # Errors
/// Waiting, when it is not there yet.
pub(super) async fn parent(
    cx: &Cx<'_>,
    instance: &ObjectKey,
    reference: Option<&ObjectRef>,
    plain: Option<&str>,
) -> Result<Parent, Error> {
    let found = match (reference, plain) {
        (Some(reference), _) => {
            let organization = referenced(cx, instance, reference)?;
            match organization.status.as_ref().and_then(|status| status.id.as_ref()) {
                Some(id) => cx.get(&Organizations, id).await?,
                None if cx.objects.have_status() => return Err(not_yet(&organization)),
                None => {
                    let name = name(&organization);
                    let found = cx
                        .find(&Organizations, |one| one.name.eq_ignore_ascii_case(&name))
                        .await?;
                    Some(found.ok_or_else(|| not_yet(&organization))?)
                }
            }
        }
        (None, Some("default")) => cx.find(&Organizations, |one| one.is_default).await?,
        (None, Some(id)) if id.parse::<OrganizationId>().is_ok() => cx.get(&Organizations, id).await?,
        (None, Some(name)) => {
            cx.find(&Organizations, |one| one.name.eq_ignore_ascii_case(name))
                .await?
        }
        (None, None) => {
            let message = "set exactly one of organizationRef and organization";
            return Err(Error::terminal(Reason::InvalidSpec, message));
        }
    };
    let Some(organization) = found else {
        let what = plain.unwrap_or("of organizationRef");
        let message = format!("organization {what} does not exist in Coder, or this token does not see it");
        return Err(Error::waiting(Reason::DependencyNotReady, message));
    };
    Ok(Parent {
        id: organization.id,
        name: organization.name,
    })
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
    let Some(object) = cx.object::<CoderOrganization>(&key) else {
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

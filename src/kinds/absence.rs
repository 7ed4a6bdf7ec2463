//! When "not found" means gone, and when it means that the token may not see it.
//!
//! Coder answers both with the same 404, and lists leave out what may not be read. So absence is believed only of a
//! token that reads everything, or of a collection that every member may read.

use crate::coder::{OrganizationId, is_at_least};
use crate::engine::connection::Connection;
use crate::engine::{Cx, Error, Reason};
use crate::lists::{MemberItem, Members};
use crate::mirror::{Collection, Interest};

/// The roles in an organization that read all of its groups and members.
const READERS: [&str; 3] = ["organization-admin", "organization-user-admin", "organization-auditor"];

/// Absence from a list of the deployment or of an organization means absence.
///
/// # Errors
/// `Forbidden`, when the token might simply not see it.
pub(super) async fn believe(cx: &Cx<'_>, organization: Option<OrganizationId>, what: &str) -> Result<(), Error> {
    believe_as(cx, organization, &READERS, what).await
}

/// Absence from a list of provisioner keys, which is empty to whoever may not read them (recording 27): on v2.16.1 to all
/// but owners and administrators of the organization, since v2.35 to those who are no members and no Template Admins.
///
/// # Errors
/// `Forbidden`, when the token might simply not see it.
pub(super) async fn believe_of_keys(cx: &Cx<'_>, organization: OrganizationId, what: &str) -> Result<(), Error> {
    let user = &cx.connection.user;
    let is_newer = is_at_least(&cx.connection.version, (2, 35));
    let reads = user.has_role("owner") || (is_newer && user.has_role("template-admin"));
    if reads || (is_newer && is_member(cx, organization).await?) {
        return Ok(());
    }
    if has_one_of(cx, organization, &["organization-admin"]).await? {
        return Ok(());
    }
    Err(unseen(cx, what))
}

/// The same, where these roles in the organization read the list.
pub(super) async fn believe_as(
    cx: &Cx<'_>,
    organization: Option<OrganizationId>,
    readers: &[&str],
    what: &str,
) -> Result<(), Error> {
    if reads_everything(&cx.connection) {
        return Ok(());
    }
    if let Some(organization) = organization
        && has_one_of(cx, organization, readers).await?
    {
        return Ok(());
    }
    Err(unseen(cx, what))
}

fn unseen(cx: &Cx<'_>, what: &str) -> Error {
    let message = format!(
        "{what} is not to be seen with this token, which may be for lack of permission: give the token's user {} a role \
         that reads it",
        cx.connection.user.username
    );
    Error::terminal(Reason::Forbidden, message)
}

/// What a 404 to a change of `id` means whose place is there: it is gone, or the token's user may not change it. The list
/// decides. `noun` is what messages call it, `needs` the role that may.
///
/// # Errors
/// What the list call answered.
pub(super) async fn refused<C: Collection>(
    cx: &Cx<'_>,
    list: &C,
    id: &str,
    noun: &str,
    needs: &str,
) -> Result<Error, Error> {
    let was_known = cx.get(list, id).await?.is_some();
    cx.invalidate(list);
    let is_gone = was_known && cx.get(list, id).await?.is_none();
    Ok(if is_gone {
        Error::NotConverging(format!("the {noun} was deleted meanwhile"))
    } else {
        let user = &cx.connection.user.username;
        let message = format!("the token's user may not change the {noun}: give {user} {needs}");
        Error::terminal(Reason::Forbidden, message)
    })
}

/// Absence from a list that is empty to all but owners.
///
/// # Errors
/// `Forbidden`, when the token is no owner's.
pub(super) fn believe_of_owners(cx: &Cx<'_>, what: &str) -> Result<(), Error> {
    if cx.connection.user.has_role("owner") {
        return Ok(());
    }
    let message = format!(
        "{what} is not to be seen with this token: only an Owner sees it; use an Owner's token than that of {}",
        cx.connection.user.username
    );
    Err(Error::terminal(Reason::Forbidden, message))
}

/// Whether the token's user has a site-wide role of which every holder reads all organizations and groups, so that
/// absence from a list means absence. On v2.16.1 only owners do; of the others it is known since v2.35 (recording 10).
fn reads_everything(connection: &Connection) -> bool {
    let roles: &[&str] = if is_at_least(&connection.version, (2, 35)) {
        &["owner", "user-admin", "template-admin", "auditor"]
    } else {
        &["owner"]
    };
    connection
        .user
        .roles
        .iter()
        .any(|role| roles.contains(&role.name.as_str()))
}

/// Whether the token's user has one of these roles in that organization.
async fn has_one_of(cx: &Cx<'_>, organization: OrganizationId, roles: &[&str]) -> Result<bool, Error> {
    let me = membership(cx, organization).await?;
    Ok(me.is_some_and(|member| member.roles.iter().any(|role| roles.contains(&role.as_str()))))
}

/// Whether the token's user is a member of that organization.
async fn is_member(cx: &Cx<'_>, organization: OrganizationId) -> Result<bool, Error> {
    Ok(membership(cx, organization).await?.is_some())
}

/// What the token's user is in that organization. It is no part of what the object stands for: whoever changes it has not
/// changed that.
async fn membership(cx: &Cx<'_>, organization: OrganizationId) -> Result<Option<MemberItem>, Error> {
    let me = cx.connection.user.id.to_string();
    match cx.list(&Members(organization), Interest::Item(me.clone())).await {
        Ok(members) => Ok(members.get(&me).cloned()),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}

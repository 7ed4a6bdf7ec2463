//! What an organization holds: looked at before it is deleted. Servers before v2.20 erase all of it without asking, and which
//! version answers is known only up to the last look at it; so it is always looked at.

use std::sync::Arc;

use crate::coder::{self, Class, OrganizationId};
use crate::engine::{Cx, Error, Reason};
use crate::lists::{Groups, Members, ProvisionerKeys, Roles, Templates};
use crate::mirror::{Collection, Interest, Snapshot};

/// From this version on Coder refuses to delete an organization that still holds anything.
const REFUSES_BY_ITSELF: (u32, u32) = (2, 20);

/// Whether it is empty, this token's user aside.
pub(super) async fn look_first(cx: &Cx<'_>, id: OrganizationId, name: &str) -> Result<(), Error> {
    let me = cx.connection.user.id;
    let mut held = Vec::new();
    let groups = listed(cx, &Groups(id)).await?;
    held.extend(counted(
        "group",
        items(groups.as_deref())
            .filter(|group| !group.is_everyone())
            .map(|group| &*group.name),
    ));
    let members = listed(cx, &Members(id)).await?;
    held.extend(counted(
        "member",
        items(members.as_deref())
            .filter(|member| member.id != me)
            .map(|member| &*member.username),
    ));
    let templates = listed(cx, &Templates(id)).await?;
    held.extend(counted(
        "template",
        items(templates.as_deref()).map(|template| &*template.name),
    ));
    let keys = listed(cx, &ProvisionerKeys(id)).await?;
    held.extend(counted("provisioner key", items(keys.as_deref()).map(|key| &*key.name)));
    let roles = listed(cx, &Roles(id)).await?;
    held.extend(counted(
        "custom role",
        items(roles.as_deref())
            .filter(|role| !role.built_in)
            .map(|role| &*role.name),
    ));
    if held.is_empty() {
        return Ok(());
    }
    let message = format!(
        "organization {name} still holds {}: delete or move that first (some versions of Coder would erase all of it)",
        held.join(", ")
    );
    let reason = Reason::DependentsExist;
    Err(Error::Retrying { reason, message })
}

/// The list, freshly read. Nothing where the licence or the server does not have it, provided that this very server refuses by
/// itself to delete what is not empty.
async fn listed<C: Collection>(cx: &Cx<'_>, collection: &C) -> Result<Option<Arc<Snapshot<C::Item>>>, Error> {
    cx.invalidate(collection);
    let error = match cx.list(collection, Interest::Any).await {
        Ok(snapshot) => return Ok(Some(snapshot)),
        Err(error) => error,
    };
    let class = error.coder().map(coder::Error::class);
    let is_not_to_be_had = matches!(class, Some(Class::NotEntitled | Class::Unsupported));
    if is_not_to_be_had && coder::is_at_least(&cx.coder().build_info().await?.version, REFUSES_BY_ITSELF) {
        return Ok(None);
    }
    Err(error)
}

fn items<I>(snapshot: Option<&Snapshot<I>>) -> impl Iterator<Item = &I> {
    snapshot.into_iter().flat_map(Snapshot::iter)
}

fn counted<'a>(noun: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    let first = names.iter().take(3).copied().collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => None,
        1 => Some(format!("1 {noun} ({first})")),
        count @ 2..=3 => Some(format!("{count} {noun}s ({first})")),
        count => Some(format!("{count} {noun}s ({first} …)")),
    }
}

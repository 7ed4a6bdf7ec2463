//! What an organization holds: looked at before it is deleted on servers that would erase all of it without asking.

use crate::coder::OrganizationId;
use crate::engine::{Cx, Error, Reason};
use crate::lists::{CustomRoles, Groups, Members, ProvisionerKeys, Templates};
use crate::mirror::Interest;

/// What an older server would erase without asking.
pub(super) async fn look_first(cx: &Cx<'_>, id: OrganizationId, name: &str) -> Result<(), Error> {
    let me = cx.connection.user.id;
    let mut held = Vec::new();
    let groups = cx.list(&Groups(id), Interest::Any).await?;
    held.extend(counted(
        "group",
        groups
            .iter()
            .filter(|group| !group.is_everyone())
            .map(|group| &*group.name),
    ));
    let members = cx.list(&Members(id), Interest::Any).await?;
    held.extend(counted(
        "member",
        members
            .iter()
            .filter(|member| member.id != me)
            .map(|member| &*member.username),
    ));
    let templates = cx.list(&Templates(id), Interest::Any).await?;
    held.extend(counted("template", templates.iter().map(|template| &*template.name)));
    let keys = cx.list(&ProvisionerKeys(id), Interest::Any).await?;
    held.extend(counted("provisioner key", keys.iter().map(|key| &*key.name)));
    let roles = cx.list(&CustomRoles(id), Interest::Any).await?;
    held.extend(counted("custom role", roles.iter().map(|role| &**role)));
    if held.is_empty() {
        return Ok(());
    }
    let message = format!(
        "organization {name} still holds {}: this version of Coder would erase all of it, so delete it there first",
        held.join(", ")
    );
    Err(Error::waiting(Reason::DependentsExist, message))
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

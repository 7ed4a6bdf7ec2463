//! What an organization holds: looked at before it is deleted on servers that would erase all of it without asking.

use crate::coder::{self, Client, OrganizationId};
use crate::engine::{Cx, Error, Reason};
use crate::kinds::group::Groups;
use crate::kinds::members::Members;
use crate::mirror::{Collection, Interest};

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

/// The templates of an organization.
#[derive(Clone, Debug)]
struct Templates(OrganizationId);

impl Collection for Templates {
    type Item = coder::Template;
    const NAME: &'static str = "templates";

    fn id(&self) -> String {
        format!("{}/{}", Self::NAME, self.0)
    }

    fn key(item: &coder::Template) -> String {
        item.id.to_string()
    }

    async fn list(&self, client: &Client) -> Result<Vec<coder::Template>, coder::Error> {
        client.list_templates(self.0).await
    }
}

/// The provisioner keys of an organization.
#[derive(Clone, Debug)]
struct ProvisionerKeys(OrganizationId);

impl Collection for ProvisionerKeys {
    type Item = coder::ProvisionerKey;
    const NAME: &'static str = "provisioner_keys";

    fn id(&self) -> String {
        format!("{}/{}", Self::NAME, self.0)
    }

    fn key(item: &coder::ProvisionerKey) -> String {
        item.id.to_string()
    }

    async fn list(&self, client: &Client) -> Result<Vec<coder::ProvisionerKey>, coder::Error> {
        client.list_provisioner_keys(self.0).await
    }
}

/// The names of the custom roles of an organization.
#[derive(Clone, Debug)]
struct CustomRoles(OrganizationId);

impl Collection for CustomRoles {
    type Item = String;
    const NAME: &'static str = "custom_roles";

    fn id(&self) -> String {
        format!("{}/{}", Self::NAME, self.0)
    }

    fn key(item: &String) -> String {
        item.clone()
    }

    async fn list(&self, client: &Client) -> Result<Vec<String>, coder::Error> {
        let roles = client.list_organization_roles(self.0).await?.into_iter();
        Ok(roles.filter(|role| !role.built_in).map(|role| role.name).collect())
    }
}

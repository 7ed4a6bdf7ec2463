//! Templates of an organization: `/organizations/{organization}/templates`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::wire::{null_default, open_enum};
use super::{Client, Error, GroupId, Method, OrganizationId, Path, TemplateId, UserId};

/// A template.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Template {
    /// Its id.
    pub id: TemplateId,
    /// Its name, unique in the organization whatever its case.
    pub name: String,
}

open_enum! {
    /// What somebody may do with a template.
    pub enum TemplateRole {
        /// Make workspaces of it.
        Use = "use",
        /// Change it as well.
        Admin = "admin",
    }
}

/// Who may use a template, by themselves and through groups: ids, names and roles. Suspended users are not shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateAccess {
    /// People.
    pub users: BTreeMap<UserId, (String, TemplateRole)>,
    /// Groups. The organization's id stands for everyone in it.
    pub groups: BTreeMap<GroupId, (String, TemplateRole)>,
}

/// Roles to give, and to take: those who are not named keep theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UpdateTemplateAccess {
    /// People; an empty role takes it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub user_perms: BTreeMap<UserId, String>,
    /// Groups; an empty role takes it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub group_perms: BTreeMap<GroupId, String>,
}

/// The groups come with all their members, which are not kept.
#[derive(Deserialize)]
struct Shown {
    #[serde(default, deserialize_with = "null_default")]
    users: Vec<ShownUser>,
    #[serde(default, deserialize_with = "null_default")]
    group: Vec<ShownGroup>,
}

#[derive(Deserialize)]
struct ShownUser {
    id: UserId,
    username: String,
    role: TemplateRole,
}

#[derive(Deserialize)]
struct ShownGroup {
    id: GroupId,
    name: String,
    role: TemplateRole,
}

impl From<Shown> for TemplateAccess {
    fn from(shown: Shown) -> Self {
        let users = shown.users.into_iter();
        let groups = shown.group.into_iter();
        Self {
            users: users.map(|user| (user.id, (user.username, user.role))).collect(),
            groups: groups.map(|group| (group.id, (group.name, group.role))).collect(),
        }
    }
}

const ACCESS: &str = "/templates/{template}/acl";

impl Client {
    /// Who may use a template. Only who may change it sees that.
    pub async fn template_access(&self, template: TemplateId) -> Result<TemplateAccess, Error> {
        let shown: Shown = self.get(Path::new(ACCESS).segment(template).growing()).await?;
        Ok(shown.into())
    }

    /// Changes who may use it. The answer says nothing: read it again.
    pub async fn update_template_access(
        &self,
        template: TemplateId,
        update: &UpdateTemplateAccess,
    ) -> Result<(), Error> {
        self.call_unit(Method::Patch, Path::new(ACCESS).segment(template), Some(update))
            .await
    }

    /// The templates of an organization, deprecated ones among them: newer servers leave those out unless asked for them, and
    /// then show no others.
    pub async fn list_templates(&self, organization: OrganizationId) -> Result<Vec<Template>, Error> {
        let path = || Path::new("/organizations/{organization}/templates").segment(organization);
        let mut templates: Vec<Template> = self.get_list(path()).await?;
        let deprecated: Vec<Template> = self.get_list(path().query("q", "deprecated:true")).await?;
        // Older servers do not know the question and answer with all.
        let unknown = |one: &Template| !templates.iter().any(|known| known.id == one.id);
        let more: Vec<Template> = deprecated.into_iter().filter(unknown).collect();
        templates.extend(more);
        Ok(templates)
    }
}

//! Who may do what: the built-in roles, as far as the recordings and the permission table of the contract go.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use crate::profile::{Profile, Traits};

/// The rights of one user, taken from the state when a call begins.
#[derive(Clone, Debug)]
pub(crate) struct Rights {
    pub(crate) user: Uuid,
    pub(crate) profile: Profile,
    pub(crate) site: Vec<String>,
    /// Roles in each organization the user is a member of.
    pub(crate) organizations: HashMap<Uuid, Vec<String>>,
    /// Permissions of its custom roles: organization, resource, action.
    pub(crate) permissions: HashSet<(Uuid, String, String)>,
}

impl Rights {
    /// A token that is limited to something of which nothing here is part.
    pub(crate) fn none(profile: Profile) -> Self {
        Self {
            user: Uuid::nil(),
            profile,
            site: Vec::new(),
            organizations: HashMap::new(),
            permissions: HashSet::new(),
        }
    }

    fn traits(&self) -> &'static Traits {
        self.profile.traits()
    }

    fn site(&self, role: &str) -> bool {
        self.site.iter().any(|own| own == role)
    }

    fn any_site(&self, roles: &[&str]) -> bool {
        roles.iter().any(|role| self.site(role))
    }

    fn org(&self, organization: Uuid, roles: &[&str]) -> bool {
        self.organizations
            .get(&organization)
            .is_some_and(|own| own.iter().any(|role| roles.contains(&role.as_str())))
    }

    fn any_org(&self, roles: &[&str]) -> bool {
        self.organizations
            .values()
            .any(|own| own.iter().any(|role| roles.contains(&role.as_str())))
    }

    pub(crate) fn is_owner(&self) -> bool {
        self.site("owner")
    }

    pub(crate) fn is_member(&self, organization: Uuid) -> bool {
        self.organizations.contains_key(&organization)
    }

    /// Licences, proxies, appearance, OAuth2 apps, deployment-wide settings, creating organizations.
    pub(crate) fn deployment_write(&self) -> bool {
        self.is_owner()
    }

    pub(crate) fn organization_read(&self, organization: Uuid) -> bool {
        self.is_owner()
            || self.is_member(organization)
            || (self.traits().site_roles_read_organizations
                && self.any_site(&["user-admin", "template-admin", "auditor"]))
    }

    pub(crate) fn organization_write(&self, organization: Uuid) -> bool {
        self.is_owner() || self.org(organization, &["organization-admin"])
    }

    pub(crate) fn user_read(&self, user: Uuid) -> bool {
        self.user == user
            || self.any_site(&["owner", "user-admin", "template-admin", "auditor"])
            || self.any_org(&["organization-admin", "organization-user-admin"])
    }

    pub(crate) fn user_write(&self) -> bool {
        self.any_site(&["owner", "user-admin"])
    }

    pub(crate) fn member_write(&self, organization: Uuid) -> bool {
        self.any_site(&["owner", "user-admin"])
            || self.org(organization, &["organization-admin", "organization-user-admin"])
    }

    /// Other members of an organization.
    pub(crate) fn member_read(&self, organization: Uuid) -> bool {
        self.member_write(organization)
            || self.any_site(&["template-admin", "auditor"])
            || self.org(organization, &["organization-auditor", "organization-template-admin"])
    }

    /// `create`, `update` or `delete` custom roles: their own permissions can give that too.
    pub(crate) fn custom_role_write(&self, organization: Uuid, action: &str) -> bool {
        let older_deletes = action == "delete" && self.traits().user_admin_deletes_roles;
        self.organization_write(organization)
            || (older_deletes && self.org(organization, &["organization-user-admin"]))
            || self.has_permission(organization, "assign_org_role", action)
    }

    /// Whether a permission may be put into a custom role: nobody gives what it does not have.
    pub(crate) fn may_grant(&self, organization: Uuid, resource: &str, action: &str) -> bool {
        self.organization_write(organization) || self.has_permission(organization, resource, action)
    }

    /// Whether a custom role of the user gives this permission.
    fn has_permission(&self, organization: Uuid, resource: &str, action: &str) -> bool {
        self.permissions
            .contains(&(organization, resource.to_owned(), action.to_owned()))
    }

    pub(crate) fn group_write(&self, organization: Uuid) -> bool {
        self.member_write(organization)
    }

    /// Groups that the user is not in.
    pub(crate) fn group_read(&self, organization: Uuid) -> bool {
        self.group_members_read(organization) || (self.traits().members_read_groups && self.is_member(organization))
    }

    /// Who is in a group, beside the user itself.
    pub(crate) fn group_members_read(&self, organization: Uuid) -> bool {
        self.member_read(organization)
    }

    pub(crate) fn provisioner_key_write(&self, organization: Uuid) -> bool {
        if self.traits().members_read_provisioner_keys {
            self.template_write(organization)
        } else {
            self.organization_write(organization)
        }
    }

    pub(crate) fn provisioner_key_read(&self, organization: Uuid) -> bool {
        self.provisioner_key_write(organization)
            || (self.traits().members_read_provisioner_keys && self.is_member(organization))
    }

    pub(crate) fn provisioner_daemon_read(&self, organization: Uuid) -> bool {
        self.template_write(organization)
            || (!self.traits().members_read_provisioner_keys && self.is_member(organization))
    }

    /// Templates that are open to nobody in particular.
    pub(crate) fn template_read(&self, organization: Uuid) -> bool {
        self.template_write(organization) || self.site("auditor") || self.org(organization, &["organization-auditor"])
    }

    pub(crate) fn template_write(&self, organization: Uuid) -> bool {
        self.any_site(&["owner", "template-admin"])
            || self.org(organization, &["organization-admin", "organization-template-admin"])
    }

    pub(crate) fn site_idp_sync(&self) -> bool {
        self.any_site(&["owner", "user-admin"])
    }

    pub(crate) fn idp_sync(&self, organization: Uuid) -> bool {
        self.is_owner()
            || (self.site("user-admin") && self.traits().user_admin_group_sync)
            || self.org(organization, &["organization-admin", "organization-user-admin"])
    }

    /// Site roles the user may give: a User Admin not the ones above its own.
    pub(crate) fn may_assign_site_role(&self, role: &str) -> bool {
        self.is_owner() || (self.site("user-admin") && matches!(role, "member" | "agents-access"))
    }

    pub(crate) fn may_assign_organization_role(&self, organization: Uuid, role: &str) -> bool {
        if self.organization_write(organization) {
            return true;
        }
        self.member_write(organization)
            && matches!(
                role,
                "organization-member" | "organization-workspace-access" | "agents-access"
            )
    }

    /// All of the audit log.
    pub(crate) fn audit_read(&self) -> bool {
        self.any_site(&["owner", "auditor"])
    }

    /// The organizations whose part of the audit log may be read.
    pub(crate) fn audited_organizations(&self) -> Vec<Uuid> {
        let ids = self.organizations.keys().copied();
        ids.filter(|id| self.org(*id, &["organization-admin", "organization-auditor"]))
            .collect()
    }
}

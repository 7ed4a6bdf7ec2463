//! Looking at the state: what a test asserts on.

use serde_json::Value;

use crate::sim::Sim;
use crate::state::{CustomRole, Group, License, Member, Organization, ProvisionerKey, Proxy, Template, User};

impl Sim {
    /// All organizations, also deleted ones.
    #[must_use]
    pub fn organizations(&self) -> Vec<Organization> {
        self.shared.state().organizations.values().cloned().collect()
    }

    /// The organization of this name that is not deleted.
    #[must_use]
    pub fn organization(&self, name: &str) -> Option<Organization> {
        self.shared.state().organization_by_name(name).cloned()
    }

    /// All memberships.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        self.shared.state().members.values().cloned().collect()
    }

    /// All custom roles.
    #[must_use]
    pub fn custom_roles(&self) -> Vec<CustomRole> {
        self.shared.state().custom_roles.clone()
    }

    /// All groups, also the groups of everyone.
    #[must_use]
    pub fn groups(&self) -> Vec<Group> {
        self.shared.state().groups.values().cloned().collect()
    }

    /// A group by name.
    #[must_use]
    pub fn group(&self, organization: &str, name: &str) -> Option<Group> {
        let state = self.shared.state();
        let organization = state.find_organization(organization)?.id;
        state.group_by_name(organization, name).cloned()
    }

    /// Who is in a group, by username, sorted.
    #[must_use]
    pub fn group_members(&self, organization: &str, name: &str) -> Vec<String> {
        let state = self.shared.state();
        let group = state
            .find_organization(organization)
            .and_then(|found| state.group_by_name(found.id, name));
        let users = group.map(|group| state.group_members(group)).unwrap_or_default();
        let mut names: Vec<String> = users.iter().map(|user| user.username.clone()).collect();
        names.sort();
        names
    }

    /// The template of this name that is not deleted.
    #[must_use]
    pub fn template(&self, organization: &str, name: &str) -> Option<Template> {
        let state = self.shared.state();
        let organization = state.find_organization(organization)?.id;
        state.template_by_name(organization, name).cloned()
    }

    /// All proxies, also deleted ones.
    #[must_use]
    pub fn proxies(&self) -> Vec<Proxy> {
        self.shared.state().proxies.values().cloned().collect()
    }

    /// The proxy of this name that is not deleted.
    #[must_use]
    pub fn proxy(&self, name: &str) -> Option<Proxy> {
        self.shared.state().find_proxy(name).cloned()
    }

    /// All licences.
    #[must_use]
    pub fn licenses(&self) -> Vec<License> {
        self.shared.state().licenses.values().cloned().collect()
    }

    /// All users, also deleted ones.
    #[must_use]
    pub fn users(&self) -> Vec<User> {
        self.shared.state().users.values().cloned().collect()
    }

    /// The user of this name that is not deleted.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<User> {
        self.shared.state().user_by_name(name).cloned()
    }

    /// All provisioner keys, with their secrets.
    #[must_use]
    pub fn provisioner_keys(&self) -> Vec<ProvisionerKey> {
        self.shared.state().provisioner_keys.clone()
    }

    /// Everything at once, as JSON.
    #[must_use]
    pub fn snapshot(&self) -> Value {
        self.shared.state().snapshot()
    }
}

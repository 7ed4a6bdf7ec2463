//! Much at once: thousands of users and groups, put into the state without a call for each.

use serde::Deserialize;
use uuid::Uuid;

use crate::behind::organization_id;
use crate::server::Shared;
use crate::sim::Sim;
use crate::state::{NewUser, State, UserStatus};

impl Sim {
    /// Makes `count` active users `<prefix>0`, `<prefix>1` … in the default organization.
    pub fn seed_users(&self, prefix: &str, count: usize) -> Vec<Uuid> {
        users(&mut self.shared.state(), prefix, count)
    }

    /// Makes these users members of an organization, as far as they are none.
    pub fn seed_members(&self, organization: &str, users: &[Uuid]) {
        let mut state = self.shared.state();
        let organization = organization_id(&state, organization);
        members(&mut state, organization, users);
    }

    /// Makes `count` groups `<prefix>0`, `<prefix>1` … with `each` of these users in every one, taken in turns.
    pub fn seed_groups(
        &self,
        organization: &str,
        prefix: &str,
        count: usize,
        users: &[Uuid],
        each: usize,
    ) -> Vec<Uuid> {
        let mut state = self.shared.state();
        let organization = organization_id(&state, organization);
        groups(&mut state, organization, prefix, count, users, each)
    }
}

fn users(state: &mut State, prefix: &str, count: usize) -> Vec<Uuid> {
    let organization = state.default_organization();
    let user = |number| {
        let name = format!("{prefix}{number}");
        state.insert_user(NewUser {
            email: format!("{name}@example.com"),
            username: name,
            name: String::new(),
            login_type: "none".to_owned(),
            password: String::new(),
            status: UserStatus::Active,
            service_account: false,
            organizations: vec![organization],
        })
    };
    (0..count).map(user).collect()
}

fn members(state: &mut State, organization: Uuid, users: &[Uuid]) {
    for user in users {
        if !state.members.contains_key(&(organization, *user)) {
            state.insert_member(organization, *user);
        }
    }
}

fn groups(state: &mut State, organization: Uuid, prefix: &str, count: usize, users: &[Uuid], each: usize) -> Vec<Uuid> {
    members(state, organization, users);
    let mut turns = users.iter().copied().cycle();
    let group = |number| {
        let id = state.insert_group(organization, &format!("{prefix}{number}"), "", "", 0);
        let within: Vec<Uuid> = turns.by_ref().take(each.min(users.len())).collect();
        state.groups.edit(id, |group| group.members = within);
        id
    };
    (0..count).map(group).collect()
}

/// As much, from another process.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    #[serde(default = "default_organization")]
    organization: String,
    #[serde(default)]
    users: usize,
    #[serde(default)]
    groups: usize,
    #[serde(default)]
    members_each: usize,
}

fn default_organization() -> String {
    "default".to_owned()
}

impl Request {
    pub(crate) fn run(self, shared: &Shared) -> Result<(), String> {
        let mut state = shared.state();
        let organization = state.find_organization(&self.organization).map(|found| found.id);
        let organization = organization.ok_or_else(|| format!("there is no organization {:?}", self.organization))?;
        let users = users(&mut state, "user-", self.users);
        members(&mut state, organization, &users);
        groups(
            &mut state,
            organization,
            "group-",
            self.groups,
            &users,
            self.members_each,
        );
        Ok(())
    }
}

//! Acting behind the server's back.
//!
//! What changes here changes as a call would change it, but leaves no entry in the journal. Organizations are named by
//! id, name or `default`; users by id or name. Naming one that does not exist is a mistake of the test and stops it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use uuid::Uuid;

use crate::license::{self, LicenseSpec};
use crate::sim::Sim;
use crate::state::{
    Group, GroupChange, NewApiKey, NewUser, Organization, OrganizationSync, Proxy, ProxyStatus, State, Template,
    UserStatus, key_id, random_name,
};

/// Ids that tests name must exist: a typo there is a mistake of the test.
pub(crate) fn organization_id(state: &State, named: &str) -> Uuid {
    state
        .find_organization(named)
        .map(|found| found.id)
        .expect("the organization a test names exists")
}

pub(crate) fn user_id(state: &State, named: &str) -> Uuid {
    state
        .find_user(named, Uuid::nil())
        .map(|found| found.id)
        .expect("the user a test names exists")
}

fn group_id(state: &State, organization: Uuid, named: &str) -> Uuid {
    let by_id = Uuid::try_parse(named).ok();
    let group = by_id.or_else(|| state.group_by_name(organization, named).map(|group| group.id));
    group.expect("the group a test names exists")
}

impl Sim {
    /// An active user in the default organization, with mail address `<name>@example.com`.
    pub fn create_user(&self, name: &str) -> Uuid {
        let mut state = self.shared.state();
        let organizations = vec![state.default_organization()];
        state.insert_user(NewUser {
            username: name.to_owned(),
            email: format!("{name}@example.com"),
            name: String::new(),
            login_type: "none".to_owned(),
            password: String::new(),
            status: UserStatus::Active,
            service_account: false,
            organizations,
        })
    }

    /// Puts a user into an organization.
    pub fn add_member(&self, organization: &str, user: &str) {
        let mut state = self.shared.state();
        let (organization, user) = (organization_id(&state, organization), user_id(&state, user));
        if !state.members.contains_key(&(organization, user)) {
            state.insert_member(organization, user);
        }
    }

    /// Takes a user out of an organization, and so out of its groups.
    pub fn remove_member(&self, organization: &str, user: &str) {
        let mut state = self.shared.state();
        let (organization, user) = (organization_id(&state, organization), user_id(&state, user));
        state.remove_member(organization, user);
    }

    /// Replaces a member's roles in an organization.
    pub fn set_member_roles(&self, organization: &str, user: &str, roles: &[&str]) {
        let mut state = self.shared.state();
        let (organization, user) = (organization_id(&state, organization), user_id(&state, user));
        state.set_member_roles(
            organization,
            user,
            roles.iter().map(|role| (*role).to_owned()).collect(),
        );
    }

    /// A token for `user`, whose site roles become `roles`. The user is made if there is none of that name.
    pub fn token_for(&self, user: &str, roles: &[&str]) -> String {
        if self.shared.state().user_by_name(user).is_none() {
            self.create_user(user);
        }
        let mut state = self.shared.state();
        let id = user_id(&state, user);
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        state.edit_user(id, |user| user.roles = roles);
        let new = NewApiKey {
            lifetime: Some(SignedDuration::from_hours(24 * 365)),
            ..NewApiKey::token(random_name())
        };
        state.insert_api_key(id, new)
    }

    /// Makes a token worthless.
    pub fn revoke_token(&self, token: &str) {
        self.shared.state().api_keys.remove(key_id(token));
    }

    /// Makes a token expire now.
    pub fn expire_token(&self, token: &str) {
        self.token_expires(token, self.clock().now());
    }

    /// Makes a token expire then.
    pub fn token_expires(&self, token: &str, at: Timestamp) {
        let mut state = self.shared.state();
        let key = state.api_keys.get_mut(key_id(token));
        key.expect("the token a test names exists").expires_at = at;
    }

    /// Suspends a user, or lets it in again.
    pub fn set_user_status(&self, user: &str, status: UserStatus) {
        let mut state = self.shared.state();
        let id = user_id(&state, user);
        state.set_user_status(id, status);
    }

    /// Changes how a user signs in: `oidc` for one that came from an identity provider.
    pub fn set_login_type(&self, user: &str, login_type: &str) {
        let mut state = self.shared.state();
        let id = user_id(&state, user);
        state.edit_user(id, |user| login_type.clone_into(&mut user.login_type));
    }

    /// Deletes a user.
    pub fn delete_user(&self, user: &str) {
        let mut state = self.shared.state();
        let id = user_id(&state, user);
        state.delete_user(id);
    }

    /// Replaces the deployment's id: another deployment behind the same address.
    pub fn set_deployment_id(&self, id: Uuid) {
        self.shared.state().deployment_id = id;
    }

    /// Makes the server say that it is a workspace proxy.
    pub fn answer_as_proxy(&self, answer: bool) {
        self.shared.state().process.configuration.answers_as_proxy = answer;
    }

    /// The deployment's id.
    #[must_use]
    pub fn deployment_id(&self) -> Uuid {
        self.shared.state().deployment_id
    }

    /// Makes an organization, with the first user as its member.
    pub fn create_organization(&self, name: &str) -> Uuid {
        let mut state = self.shared.state();
        let id = state.insert_organization(name, name, "", "", false);
        let owner = state.user_by_name("owner").map(|user| user.id);
        if let Some(owner) = owner {
            state.insert_member(id, owner);
        }
        id
    }

    /// Writes to an organization.
    pub fn edit_organization(&self, organization: &str, edit: impl FnOnce(&mut Organization)) {
        let mut state = self.shared.state();
        let id = organization_id(&state, organization);
        state.edit_organization(id, edit);
    }

    /// Deletes an organization as the profile does, whatever is in it.
    pub fn delete_organization(&self, organization: &str) {
        let mut state = self.shared.state();
        let id = organization_id(&state, organization);
        state.delete_organization(id);
    }

    /// Takes an organization and all in it away for good, as if its row were gone.
    pub fn erase_organization(&self, organization: &str) {
        let mut state = self.shared.state();
        let id = organization_id(&state, organization);
        state.erase_organization(id);
    }

    /// Puts this many templates and workspaces into an organization: they block its deletion or fall to it.
    pub fn set_contents(&self, organization: &str, templates: u32, workspaces: u32) {
        let mut state = self.shared.state();
        let id = organization_id(&state, organization);
        state.edit_organization(id, |found| found.workspaces = workspaces);
        state.templates.retain(|_, template| template.organization_id != id);
        for number in 1..=templates {
            state.insert_template(id, &format!("template-{number}"), Uuid::new_v4(), Uuid::nil());
        }
    }

    /// Makes a template that everyone in its organization may use.
    pub fn create_template(&self, organization: &str, name: &str) -> Uuid {
        let mut state = self.shared.state();
        let id = organization_id(&state, organization);
        state.insert_template(id, name, Uuid::new_v4(), Uuid::nil())
    }

    /// Writes to a template: deprecates it, deletes it, changes who may use it.
    pub fn edit_template(&self, organization: &str, template: &str, edit: impl FnOnce(&mut Template)) {
        let mut state = self.shared.state();
        let organization = organization_id(&state, organization);
        let found = state.template_by_name(organization, template).map(|found| found.id);
        state.edit_template(found.expect("the template a test names exists"), edit);
    }

    /// Gives a user so many workspaces: it cannot be deleted while it has any.
    pub fn set_workspaces(&self, user: &str, workspaces: u32) {
        let mut state = self.shared.state();
        let id = user_id(&state, user);
        state.edit_user(id, |user| user.workspaces = workspaces);
    }

    /// Makes a group.
    pub fn create_group(&self, organization: &str, name: &str) -> Uuid {
        let mut state = self.shared.state();
        let organization = organization_id(&state, organization);
        state.insert_group(organization, name, "", "", 0)
    }

    /// Writes to a group, named by id or, within the organization, by name.
    pub fn edit_group(&self, organization: &str, group: &str, edit: impl FnOnce(&mut Group)) {
        let mut state = self.shared.state();
        let organization = organization_id(&state, organization);
        let id = group_id(&state, organization, group);
        // An empty change moves the row as any write does.
        let _ = state.change_group(id, GroupChange::default());
        state.groups.edit(id, edit);
    }

    /// Deletes a group.
    pub fn delete_group(&self, organization: &str, group: &str) {
        let mut state = self.shared.state();
        let organization = organization_id(&state, organization);
        let id = group_id(&state, organization, group);
        state.groups.remove(id);
    }

    /// Makes a proxy; its token is in what is returned.
    pub fn create_proxy(&self, name: &str, display_name: &str, icon: &str) -> Proxy {
        let mut state = self.shared.state();
        let id = state.insert_proxy(name, display_name, icon);
        state.proxies.get(&id).cloned().expect("the proxy was just made")
    }

    /// Writes to a proxy.
    pub fn edit_proxy(&self, proxy: &str, edit: impl FnOnce(&mut Proxy)) {
        let mut state = self.shared.state();
        let id = state
            .find_proxy(proxy)
            .map(|found| found.id)
            .expect("the proxy a test names exists");
        state.edit_proxy(id, edit);
    }

    /// Says what the next checks of a proxy find, and checks it.
    pub fn set_proxy_health(&self, proxy: &str, health: ProxyStatus) {
        let mut state = self.shared.state();
        let id = state
            .find_proxy(proxy)
            .map(|found| found.id)
            .expect("the proxy a test names exists");
        if let Some(proxy) = state.proxies.get_mut(&id) {
            proxy.health = health;
        }
        state.check_proxies();
    }

    /// Deletes a proxy.
    pub fn delete_proxy(&self, proxy: &str) {
        self.edit_proxy(proxy, |proxy| proxy.deleted = true);
    }

    /// Whether a proxy that shows this token would be let in.
    #[must_use]
    pub fn proxy_token_valid(&self, token: &str) -> bool {
        self.shared
            .state()
            .proxies
            .values()
            .any(|proxy| !proxy.deleted && proxy.token == token)
    }

    /// Stores a licence and returns its id.
    pub fn add_license(&self, jwt: &str) -> i32 {
        self.shared
            .state()
            .insert_license(jwt)
            .ok()
            .expect("the licence a test adds is good")
    }

    /// Mints and stores a licence that is valid now, and returns its id.
    pub fn add_premium_license(&self) -> i32 {
        self.add_license(&license::mint(&LicenseSpec::premium(self.clock().now())))
    }

    /// Deletes one licence.
    pub fn delete_license(&self, id: i32) {
        self.shared.state().delete_license(id);
    }

    /// Deletes all licences: the deployment is unlicensed.
    pub fn remove_licenses(&self) {
        let mut state = self.shared.state();
        state.licenses.clear();
        state.refresh_entitlements();
    }

    /// Moves the end of a licence: its grace period starts at `license_expires`, and it is over at `exp`. The
    /// entitlements follow at once.
    pub fn expire_license(&self, id: i32, license_expires: Timestamp, exp: Timestamp) {
        let mut state = self.shared.state();
        if let Some(license) = state.licenses.get_mut(&id) {
            license
                .claims
                .insert("license_expires".to_owned(), json!(license_expires.as_second()));
            license.claims.insert("exp".to_owned(), json!(exp.as_second()));
        }
        state.refresh_entitlements();
    }

    /// Makes every stored licence lapse now: it is still stored, but gives nothing.
    pub fn lapse_licenses(&self) {
        let ids: Vec<i32> = self.shared.state().licenses.keys().copied().collect();
        let now = self.clock().now();
        let past = now.saturating_sub(SignedDuration::from_hours(1)).unwrap_or(now);
        for id in ids {
            self.expire_license(id, past, past);
        }
    }

    /// The number before the one that the next licence gets: as after a restored backup, numbers can come again. A number
    /// that is still taken is refused as the database refuses it.
    pub fn set_last_license_number(&self, number: i32) {
        self.shared.state().last_license_id = number;
    }

    /// How long listing groups takes for each group in the answer. Real servers take 4 to 5 ms; nothing unless said.
    pub fn set_time_per_listed_group(&self, time: Duration) {
        self.shared.state().process.configuration.time_per_listed_group = time;
    }

    /// Switches telemetry on or off. A licence that wants it gives nothing without.
    pub fn set_telemetry(&self, on: bool) {
        let mut state = self.shared.state();
        state.process.configuration.telemetry = on;
        state.refresh_entitlements();
    }

    /// Computes the entitlements anew, as the server does every ten minutes.
    pub fn refresh_entitlements(&self) {
        self.shared.state().refresh_entitlements();
    }

    /// Deletes a provisioner key.
    pub fn delete_provisioner_key(&self, organization: &str, name: &str) {
        let mut state = self.shared.state();
        let organization = organization_id(&state, organization);
        state
            .provisioner_keys
            .retain(|key| key.organization_id != organization || key.name != name);
    }

    /// Makes a provisioner key and returns its secret.
    pub fn create_provisioner_key(&self, organization: &str, name: &str) -> String {
        let mut state = self.shared.state();
        let organization = organization_id(&state, organization);
        state
            .insert_provisioner_key(organization, name, std::collections::BTreeMap::new())
            .key
    }

    /// A provisioner daemon signs in with that key; says whether the key works.
    pub fn connect_provisioner(&self, key: &str) -> bool {
        let mut state = self.shared.state();
        let known = state.provisioner_keys.iter_mut().find(|one| one.key == key);
        known.map(|known| known.daemons.push(Uuid::new_v4())).is_some()
    }

    /// Whether an OAuth2 client can prove with that secret who it is.
    #[must_use]
    pub fn oauth2_secret_works(&self, full: &str) -> bool {
        let state = self.shared.state();
        state.oauth2_secrets.iter().any(|secret| secret.full == full)
    }

    /// Deletes a custom role.
    pub fn delete_custom_role(&self, organization: &str, name: &str) {
        let mut state = self.shared.state();
        let organization = organization_id(&state, organization);
        state.delete_custom_role(organization, name);
    }

    /// Sets the claim field of organization sync, as someone at the dashboard would.
    pub fn set_organization_sync_field(&self, field: &str) {
        let mut state = self.shared.state();
        let sync = OrganizationSync {
            field: field.to_owned(),
            ..state.organization_sync.clone()
        };
        state.organization_sync = sync;
    }
}

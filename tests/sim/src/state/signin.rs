//! Signing in through an identity provider, and what the three syncs make of the claims (recordings 21 and 22).

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{GroupChange, Mapping, NewApiKey, NewUser, State, UserStatus};
use crate::audit::{Note, Record};

/// How the identity provider's client calls itself, as the server sees it.
const CLIENT: &str = "Go-http-client/1.1";
/// What a provider puts into a token beside what it says of the person.
const OF_THE_TOKEN: [&str; 3] = ["aud", "exp", "iss"];

/// What came of a sign-in: a session, or a status.
pub(crate) type SignedIn = Result<String, u16>;

/// The texts of a claim: none if it is missing, `None` if it is of another type.
fn texts(claims: &Map<String, Value>, name: &str) -> Option<Vec<String>> {
    match claims.get(name) {
        None => Some(Vec::new()),
        Some(Value::String(one)) => Some(vec![one.clone()]),
        Some(Value::Array(several)) => several.iter().map(|text| text.as_str().map(str::to_owned)).collect(),
        Some(_) => None,
    }
}

/// What a claim stands for: what it is mapped to, else the thing of its own name.
fn targets(mapping: Option<&Mapping>, claim: &str) -> Option<Vec<String>> {
    let mapped = mapping.and_then(|mapping| mapping.get(claim))?;
    Some(mapped.clone().unwrap_or_default())
}

impl State {
    /// Somebody comes back from the identity provider with these claims.
    pub(crate) fn sign_in(&mut self, claims: &Map<String, Value>) -> SignedIn {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
        let (subject, email) = (text("sub"), text("email"));
        if claims.get("email_verified") == Some(&Value::Bool(false)) {
            return Err(403);
        }
        let known = self
            .users
            .values()
            .find(|user| !user.deleted && user.subject.as_deref() == Some(subject))
            .or_else(|| self.users.with_email(email))
            .map(|user| (user.id, user.login_type == "oidc", user.status));
        let (id, is_new) = match known {
            Some((_, false, _)) => return Err(403),
            Some((_, _, UserStatus::Suspended)) if self.traits().suspended_sign_in_refused => return Err(403),
            Some((id, ..)) => (id, false),
            None => (self.insert_person(text("preferred_username"), email), true),
        };
        self.activate_user(id);
        let picture = text("picture").to_owned();
        let (email, subject) = (email.to_owned(), subject.to_owned());
        let now = self.now();
        self.edit_user(id, |user| {
            // The recorded provider has no field for the name.
            user.name = String::new();
            user.avatar_url = picture;
            user.email = email;
            user.subject = Some(subject);
            user.claims = Some(Value::Object(claims.clone()));
            user.updated_at = now;
        });
        self.sync_organizations(id, claims);
        self.sync_groups(id, claims);
        self.sync_roles(id, claims);
        let token = self.insert_api_key(id, NewApiKey::session("oidc"));
        if self.auditing() {
            let note = Note::new("api_key", if is_new { "register" } else { "login" }, id, "");
            let record = Record::of(note, id, 307, self.now(), "127.0.0.1".to_owned(), CLIENT.to_owned());
            self.audit_log.write(record);
        }
        if self
            .users
            .get(&id)
            .is_some_and(|user| user.status == UserStatus::Active)
        {
            // The browser goes on to the dashboard.
            self.note_use(&token);
        }
        Ok(token)
    }

    fn insert_person(&mut self, username: &str, email: &str) -> Uuid {
        let organizations = if self.organization_sync_is_on() {
            Vec::new()
        } else {
            vec![self.default_organization()]
        };
        let new = NewUser {
            username: username.to_owned(),
            email: email.to_owned(),
            name: String::new(),
            login_type: "oidc".to_owned(),
            password: String::new(),
            status: UserStatus::Active,
            service_account: false,
            organizations,
        };
        self.insert_user(new)
    }

    /// Whether organizations of OIDC users are the identity provider's.
    pub(crate) fn organization_sync_is_on(&mut self) -> bool {
        !self.organization_sync.field.is_empty() && self.feature_enabled("multiple_organizations")
    }

    /// Whether roles of OIDC users in an organization are the identity provider's.
    pub(crate) fn role_sync_is_on(&mut self, organization: Uuid) -> bool {
        let field = self.role_sync.get(&organization).map(|sync| sync.field.as_str());
        field.is_some_and(|field| !field.is_empty()) && self.feature_enabled("user_role_management")
    }

    fn sync_organizations(&mut self, user: Uuid, claims: &Map<String, Value>) {
        if !self.organization_sync_is_on() {
            return;
        }
        let sync = self.organization_sync.clone();
        let Some(values) = texts(claims, &sync.field) else {
            return;
        };
        let mapped = values
            .iter()
            .filter_map(|value| targets(sync.mapping.as_ref(), value))
            .flatten();
        let default = sync.assign_default.then(|| self.default_organization());
        let mut wanted: Vec<Uuid> = default
            .into_iter()
            .chain(mapped.filter_map(|id| Uuid::try_parse(&id).ok()))
            .collect();
        wanted.retain(|id| self.organizations.get(id).is_some_and(|found| !found.deleted));
        let own: Vec<Uuid> = self
            .members
            .of_user(user)
            .map(|member| member.organization_id)
            .collect();
        for organization in own.iter().filter(|organization| !wanted.contains(organization)) {
            self.remove_member(*organization, user);
        }
        for organization in wanted {
            if !self.members.contains_key(&(organization, user)) {
                self.insert_member(organization, user);
            }
        }
    }

    fn sync_groups(&mut self, user: Uuid, claims: &Map<String, Value>) {
        if !self.feature_enabled("template_rbac") {
            return;
        }
        let own: Vec<Uuid> = self
            .members
            .of_user(user)
            .map(|member| member.organization_id)
            .collect();
        for organization in own {
            let sync = self.group_sync.get(&organization).cloned().unwrap_or_default();
            let Some(values) = texts(claims, &sync.field).filter(|_| !sync.field.is_empty()) else {
                continue;
            };
            let pattern = sync
                .regex_filter
                .as_deref()
                .and_then(|pattern| Regex::new(pattern).ok());
            let passes = |value: &&String| pattern.as_ref().is_none_or(|pattern| pattern.is_match(value));
            let mut wanted = BTreeSet::new();
            for value in values.iter().filter(passes) {
                match targets(sync.mapping.as_ref(), value) {
                    Some(ids) => wanted.extend(ids.iter().filter_map(|id| Uuid::try_parse(id).ok())),
                    None => wanted.extend(self.group_of_claim(organization, value, sync.auto_create)),
                }
            }
            self.put_into_groups(organization, user, &wanted);
        }
    }

    /// The group of a claim's name; made where that is asked for, whatever the name is.
    fn group_of_claim(&mut self, organization: Uuid, claim: &str, create: bool) -> Option<Uuid> {
        let found = self.group_by_name(organization, claim).map(|group| group.id);
        if found.is_some() || !create {
            return found;
        }
        let id = self.insert_group(organization, claim, "", "", 0);
        self.groups.edit(id, |group| "oidc".clone_into(&mut group.source));
        Some(id)
    }

    /// These groups, wherever they are, and no others of the organization.
    fn put_into_groups(&mut self, organization: Uuid, user: Uuid, wanted: &BTreeSet<Uuid>) {
        let not_everyone = |id: Uuid, group: &super::Group| group.organization_id != id;
        let leaves: Vec<Uuid> = self
            .groups
            .of_organization(organization)
            .filter(|group| group.members.contains(&user) && !wanted.contains(&group.id))
            .map(|group| group.id)
            .collect();
        let joins: Vec<Uuid> = wanted
            .iter()
            .filter_map(|id| self.groups.get(id))
            .filter(|group| not_everyone(group.id, group) && !group.members.contains(&user))
            .map(|group| group.id)
            .collect();
        for id in leaves {
            let change = GroupChange {
                remove: vec![user],
                ..GroupChange::default()
            };
            // Nobody is added: it cannot be refused.
            let _ = self.change_members(id, change);
        }
        for id in joins {
            let change = GroupChange {
                add: vec![user],
                ..GroupChange::default()
            };
            let _ = self.change_members(id, change);
        }
    }

    /// Members are rows of their own: the group's row stays where it is.
    fn change_members(&mut self, id: Uuid, change: GroupChange) -> Result<(), Uuid> {
        let seq = self.groups.get(&id).map(|group| group.seq);
        self.change_group(id, change)?;
        self.groups.edit(id, |group| group.seq = seq.unwrap_or(group.seq));
        Ok(())
    }

    fn sync_roles(&mut self, user: Uuid, claims: &Map<String, Value>) {
        let own: Vec<Uuid> = self
            .members
            .of_user(user)
            .map(|member| member.organization_id)
            .collect();
        for organization in own {
            if !self.role_sync_is_on(organization) {
                continue;
            }
            let sync = self.role_sync.get(&organization).cloned().unwrap_or_default();
            let Some(values) = texts(claims, &sync.field) else {
                continue;
            };
            let named = values
                .iter()
                .flat_map(|value| targets(sync.mapping.as_ref(), value).unwrap_or_else(|| vec![value.clone()]));
            let roles: Vec<String> = named
                .filter(|role| self.organization_role(organization, role).is_some())
                .collect();
            self.set_member_roles(organization, user, roles);
        }
    }

    /// The names of all claims that people have come with; `None` if nobody has.
    pub(crate) fn seen_claims(&self) -> Option<BTreeSet<String>> {
        let claims = self.users.values().filter_map(|user| user.claims.as_ref()?.as_object());
        let names: BTreeSet<String> = claims.flat_map(Map::keys).cloned().collect();
        (!names.is_empty()).then(|| names.into_iter().chain(OF_THE_TOKEN.map(str::to_owned)).collect())
    }

    /// The values that people have come with in a claim.
    pub(crate) fn seen_values(&self, claim: &str) -> Value {
        let claims = self.users.values().filter_map(|user| user.claims.as_ref()?.as_object());
        let values: BTreeSet<String> = claims.filter_map(|claims| texts(claims, claim)).flatten().collect();
        if values.is_empty() { Value::Null } else { json!(values) }
    }
}

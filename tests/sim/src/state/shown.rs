//! Users, members and groups as the API shows them: written out without anything in between, as lists of them are long.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::users::site_role;
use super::{Group, Member, MemberOrder, Organization, State, User};
use crate::rbac::Rights;

/// A time, or Go's zero time.
pub(crate) struct Time(pub(crate) Option<Timestamp>);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(at) => serializer.collect_str(&at),
            None => serializer.serialize_str("0001-01-01T00:00:00Z"),
        }
    }
}

/// A role with the name that people see.
#[derive(Serialize)]
pub(crate) struct ShownRole<'a> {
    name: &'a str,
    display_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization_id: Option<Uuid>,
}

/// A user as the members of a group show it.
#[derive(Serialize)]
pub(crate) struct ReducedUser<'a> {
    id: Uuid,
    username: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url: Option<&'a str>,
    email: &'a str,
    created_at: Time,
    updated_at: Time,
    last_seen_at: Time,
    status: &'static str,
    login_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    theme_preference: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_service_account: Option<bool>,
}

/// A user as `/users` and the audit log show it.
#[derive(Serialize)]
pub(crate) struct ShownUser<'a> {
    #[serde(flatten)]
    user: ReducedUser<'a>,
    organization_ids: Vec<Uuid>,
    roles: Vec<ShownRole<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    has_ai_seat: Option<bool>,
}

/// A group.
#[derive(Serialize)]
pub(crate) struct ShownGroup<'a> {
    id: Uuid,
    name: &'a str,
    display_name: &'a str,
    organization_id: Uuid,
    members: Vec<ReducedUser<'a>>,
    total_member_count: usize,
    avatar_url: &'a str,
    quota_allowance: i32,
    source: &'a str,
    organization_name: &'a str,
    organization_display_name: &'a str,
}

impl<'a> ShownGroup<'a> {
    /// With the names of this organization, whichever the group is in.
    pub(crate) fn with_names_of(self, organization: Option<&'a Organization>) -> Self {
        Self {
            organization_name: organization.map(|found| found.name.as_str()).unwrap_or_default(),
            organization_display_name: organization
                .map(|found| found.display_name.as_str())
                .unwrap_or_default(),
            ..self
        }
    }
}

/// A member as writes answer it.
#[derive(Serialize)]
pub(crate) struct ShownMember<'a> {
    user_id: Uuid,
    organization_id: Uuid,
    created_at: Time,
    updated_at: Time,
    roles: Vec<ShownRole<'a>>,
}

/// A member as lists answer it: with the user.
#[derive(Serialize)]
pub(crate) struct MemberWithUser<'a> {
    #[serde(flatten)]
    member: ShownMember<'a>,
    username: &'a str,
    email: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url: Option<&'a str>,
    global_roles: Vec<ShownRole<'a>>,
    #[serde(flatten)]
    more: Option<MoreOfUser<'a>>,
}

/// What newer servers tell of a member's user.
#[derive(Serialize)]
struct MoreOfUser<'a> {
    status: &'static str,
    login_type: &'a str,
    last_seen_at: Time,
    user_created_at: Time,
    user_updated_at: Time,
    has_ai_seat: bool,
}

/// Site roles with their display names.
fn site_roles(roles: &[String]) -> Vec<ShownRole<'_>> {
    let shown = roles.iter().map(|role| ShownRole {
        name: role,
        display_name: site_role(role).unwrap_or(role).to_owned(),
        organization_id: None,
    });
    shown.collect()
}

impl State {
    /// How long a real server takes to list so many groups.
    pub(crate) fn time_to_list(&self, groups: usize) -> Duration {
        let each = self.process.configuration.time_per_listed_group;
        each.saturating_mul(u32::try_from(groups).unwrap_or(u32::MAX))
    }

    /// A text that older servers show even when it is empty.
    fn text<'a>(&self, text: &'a str) -> Option<&'a str> {
        (self.traits().verbose_users || !text.is_empty()).then_some(text)
    }

    /// A user as the members of a group show it.
    pub(crate) fn reduced_user<'a>(&self, user: &'a User) -> ReducedUser<'a> {
        let verbose = self.traits().verbose_users;
        ReducedUser {
            id: user.id,
            username: &user.username,
            name: self.text(&user.name),
            avatar_url: self.text(&user.avatar_url),
            email: &user.email,
            created_at: Time(Some(user.created_at)),
            updated_at: Time(Some(user.updated_at)),
            last_seen_at: Time(user.last_seen_at),
            status: user.status.name(),
            login_type: &user.login_type,
            theme_preference: verbose.then_some(""),
            is_service_account: (user.service_account && !verbose).then_some(true),
        }
    }

    /// A user as the audit log shows it.
    pub(crate) fn user_without_organizations<'a>(&self, user: &'a User) -> ShownUser<'a> {
        ShownUser {
            user: self.reduced_user(user),
            organization_ids: Vec::new(),
            roles: site_roles(&user.roles),
            has_ai_seat: (!self.traits().verbose_users).then_some(false),
        }
    }

    /// A user as `/users` answers.
    pub(crate) fn user_shown<'a>(&self, user: &'a User) -> ShownUser<'a> {
        let mut memberships: Vec<_> = self.members.of_user(user.id).collect();
        memberships.sort_by_key(|member| member.seq);
        ShownUser {
            organization_ids: memberships.iter().map(|member| member.organization_id).collect(),
            ..self.user_without_organizations(user)
        }
    }

    /// A group as the caller sees it: members it may not read are missing, but counted.
    pub(crate) fn group_shown<'a>(&'a self, rights: &Rights, group: &'a Group, order: MemberOrder) -> ShownGroup<'a> {
        let members = self.group_members(group);
        let total = members.len();
        let all = rights.group_members_read(group.organization_id);
        let mut shown: Vec<&User> = members
            .into_iter()
            .filter(|user| all || user.id == rights.user)
            .collect();
        match order {
            MemberOrder::None => shown.clear(),
            MemberOrder::Table => {}
            MemberOrder::Username => shown.sort_by_key(|user| user.username.to_lowercase()),
        }
        let shown = ShownGroup {
            id: group.id,
            name: &group.name,
            display_name: &group.display_name,
            organization_id: group.organization_id,
            members: shown.into_iter().map(|user| self.reduced_user(user)).collect(),
            total_member_count: total,
            avatar_url: &group.avatar_url,
            quota_allowance: group.quota_allowance,
            source: &group.source,
            organization_name: "",
            organization_display_name: "",
        };
        shown.with_names_of(self.organizations.get(&group.organization_id))
    }

    /// A member as writes answer it.
    pub(crate) fn member_shown<'a>(&self, member: &'a Member) -> ShownMember<'a> {
        let organization = member.organization_id;
        let roles = member.roles.iter().map(|role| ShownRole {
            name: role,
            display_name: self.organization_role(organization, role).unwrap_or_default(),
            organization_id: Some(organization),
        });
        ShownMember {
            user_id: member.user_id,
            organization_id: organization,
            created_at: Time(Some(member.created_at)),
            updated_at: Time(Some(member.updated_at)),
            roles: roles.collect(),
        }
    }

    /// A member as lists answer it: with the user.
    pub(crate) fn member_with_user<'a>(&self, member: &'a Member, user: &'a User) -> MemberWithUser<'a> {
        MemberWithUser {
            member: self.member_shown(member),
            username: &user.username,
            email: &user.email,
            name: self.text(&user.name),
            avatar_url: self.text(&user.avatar_url),
            global_roles: site_roles(&user.roles),
            more: (!self.traits().verbose_users).then(|| MoreOfUser {
                status: user.status.name(),
                login_type: &user.login_type,
                last_seen_at: Time(user.last_seen_at),
                user_created_at: Time(Some(user.created_at)),
                user_updated_at: Time(Some(user.updated_at)),
                has_ai_seat: false,
            }),
        }
    }
}

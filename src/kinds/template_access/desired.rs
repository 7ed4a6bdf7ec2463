//! Who shall have which role: names looked up.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use super::roles::Wanted;
use crate::api::{CoderTemplateAccess, Kind, Object, Policy, TemplateAccessStatus, TemplateRole};
use crate::coder::{GroupId, OrganizationId, Template, UserId};
use crate::engine::{Cx, Error, Reason};
use crate::kinds::parent::{Parent, id_of, parent};
use crate::kinds::targets::{Targets, There};
use crate::lists::{Groups, MemberItem, Members, Templates, Users};
use crate::mirror::Interest;

/// What shall be.
#[derive(Clone, Debug)]
pub struct Desired {
    pub(super) organization: Parent,
    pub(super) template: Template,
    pub(super) users: Option<Wanted<UserId>>,
    pub(super) groups: Option<Wanted<GroupId>>,
    /// What the names of people mean.
    pub(super) people: Targets<UserId>,
    /// What the names of groups mean.
    pub(super) circles: Targets<GroupId>,
    /// What to say if the spec calls the template otherwise.
    pub(super) moved: Option<String>,
}

impl Desired {
    pub(super) async fn of(cx: &Cx<'_>, object: &CoderTemplateAccess) -> Result<Self, Error> {
        let spec = &object.spec;
        let own = object.own_status().filter(|status| status.common.origin.is_some());
        let held = own.and_then(|status| id_of(&status.place));
        let organization = parent(cx, &object.instance_key(), &spec.place, held).await?;
        let (template, moved) = template(cx, &organization, &spec.template, own).await?;
        let none = TemplateAccessStatus::default();
        // What was given in another template is none of this one's.
        let before = own.filter(|status| status.id.as_deref() == Some(&*template.id.to_string()));
        let before = before.unwrap_or(&none);
        let exact = spec.access_policy.unwrap_or_default() == Policy::Exact;
        let (mut people, mut circles) = (Targets::default(), Targets::default());
        let users = match &spec.users {
            None => None,
            Some(roles) => {
                let members = cx.list(&Members(organization.id), Interest::Any).await?;
                let names: Vec<(UserId, String)> = members.iter().flat_map(names_of).collect();
                let there = There::new(&names, str::eq_ignore_ascii_case).of_people();
                people = Targets::of(roles.keys(), &before.user_ids, &there);
                let mut wanted = wanted(roles, &people, &names, exact)?;
                wanted.own = parsed(&before.given_users);
                wanted.hidden = hidden(cx, organization.id, &before.hidden_users).await?;
                Some(wanted)
            }
        };
        let groups = match &spec.groups {
            None => None,
            Some(roles) => {
                let groups = cx.list(&Groups(organization.id), Interest::Any).await?;
                let names: Vec<(GroupId, String)> = groups.iter().map(|group| (group.id, group.name.clone())).collect();
                circles = Targets::of(
                    roles.keys(),
                    &before.group_ids,
                    &There::new(&names, |name, asked| name == asked),
                );
                let mut wanted = wanted(roles, &circles, &names, exact)?;
                wanted.holds = true;
                wanted.own = parsed(&before.given_groups);
                Some(wanted)
            }
        };
        Ok(Self {
            organization,
            template,
            users,
            groups,
            people,
            circles,
            moved,
        })
    }
}

/// The template of that name or id; the one that is held for as long as it exists.
async fn template(
    cx: &Cx<'_>,
    organization: &Parent,
    name: &str,
    own: Option<&TemplateAccessStatus>,
) -> Result<(Template, Option<String>), Error> {
    let list = Templates(organization.id);
    let held = match own.and_then(|status| status.id.as_ref()) {
        Some(id) => cx.get(&list, id).await?,
        None => None,
    };
    let is_meant =
        |one: &Template| one.name.eq_ignore_ascii_case(name) || one.id.to_string().eq_ignore_ascii_case(name);
    if let Some(held) = held {
        let now = &held.name;
        let moved = format!("template {name} is called {now} now: this object stays with it; set template: {now}");
        let moved = (!is_meant(&held)).then_some(moved);
        return Ok((held, moved));
    }
    if let Some(found) = cx.find(&list, is_meant).await? {
        return Ok((found, None));
    }
    let message = format!(
        "template {name} does not exist in organization {}, or this token does not see it",
        organization.name
    );
    Err(Error::waiting(Reason::DependencyNotReady, message))
}

fn names_of(member: &MemberItem) -> [(UserId, String); 2] {
    [(member.id, member.username.clone()), (member.id, member.email.clone())]
}

fn wanted<T: Ord + Clone + Display>(
    roles: &BTreeMap<String, TemplateRole>,
    targets: &Targets<T>,
    names: &[(T, String)],
    exact: bool,
) -> Result<Wanted<T>, Error> {
    let mut wanted = Wanted {
        exact,
        roles: BTreeMap::new(),
        names: BTreeMap::new(),
        pending: Vec::new(),
        holds: false,
        own: std::collections::BTreeSet::new(),
        hidden: BTreeMap::new(),
    };
    for (name, role) in roles {
        match targets.get(name) {
            None => wanted.pending.push(name.clone()),
            Some(who) => {
                let other = wanted.roles.insert(who, *role).filter(|other| other != role);
                if let Some(other) = other {
                    let message = format!("{name} is named twice, for {other} and for {role}: leave one of them out");
                    return Err(Error::terminal(Reason::InvalidSpec, message));
                }
            }
        }
    }
    for (who, name) in names {
        if wanted.roles.contains_key(who) {
            wanted.names.entry(who.clone()).or_insert_with(|| name.clone());
        }
    }
    Ok(wanted)
}

/// Those who were given a role and are not shown, for as long as they are suspended.
async fn hidden(
    cx: &Cx<'_>,
    organization: OrganizationId,
    before: &BTreeMap<String, TemplateRole>,
) -> Result<BTreeMap<UserId, TemplateRole>, Error> {
    let mut hidden = BTreeMap::new();
    for (id, role) in before {
        let Ok(who) = id.parse::<UserId>() else { continue };
        let member = cx.get(&Members(organization), id).await?;
        let is_suspended = match member.map(|member| member.is_suspended) {
            None => false,
            Some(Some(is_suspended)) => is_suspended,
            // Older servers say so only among all users.
            Some(None) => cx.get(&Users, id).await?.is_some_and(|user| user.is_suspended),
        };
        if is_suspended {
            hidden.insert(who, *role);
        }
    }
    Ok(hidden)
}

fn parsed<T: FromStr + Ord>(ids: &[String]) -> std::collections::BTreeSet<T> {
    ids.iter().filter_map(|id| id.parse().ok()).collect()
}

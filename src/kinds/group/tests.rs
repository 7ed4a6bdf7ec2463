use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::kinds::properties::{Model, few_names, few_texts, hold_for};

hold_for!(Group);

fn organization() -> Parent {
    Parent {
        id: Uuid::from_u128(7).into(),
        name: "platform".into(),
    }
}

fn any_users() -> BoxedStrategy<BTreeMap<UserId, String>> {
    let user = (1_u128..6).prop_map(|id| UserId(Uuid::from_u128(id)));
    btree_map(user, few_names(), 0..4).boxed()
}

fn group(name: &str) -> Observed {
    let group = GroupItem {
        id: Uuid::from_u128(1).into(),
        organization: organization().id,
        name: name.to_owned(),
        display_name: String::new(),
        avatar_url: String::new(),
        quota_allowance: 0,
        members: BTreeMap::new(),
        hidden_members: false,
    };
    Observed {
        group,
        prebuilds: false,
    }
}

fn desired(name: &str) -> Desired {
    Desired {
        organization: organization(),
        name: name.to_owned(),
        display_name: None,
        avatar_url: None,
        quota_allowance: None,
        members: None,
    }
}

impl Model for Group {
    fn any_desired() -> BoxedStrategy<Desired> {
        let wanted = (any::<bool>(), any_users(), vec(few_names(), 0..2), any::<bool>()).prop_map(
            |(exact, users, pending, prebuilds)| Wanted {
                exact,
                users,
                pending,
                prebuilds,
                overridden: false,
            },
        );
        (
            few_names(),
            option::of(few_texts()),
            option::of(few_texts()),
            option::of(0..3),
            option::of(wanted),
        )
            .prop_map(|(name, display_name, avatar_url, quota_allowance, members)| Desired {
                display_name,
                avatar_url,
                quota_allowance,
                members,
                ..desired(&name)
            })
            .boxed()
    }

    fn any_observed() -> BoxedStrategy<Observed> {
        (few_names(), few_texts(), few_texts(), 0..3, any_users(), any::<bool>())
            .prop_map(
                |(name, display_name, avatar_url, quota_allowance, members, prebuilds)| {
                    let Observed { group, .. } = group(&name);
                    Observed {
                        group: GroupItem {
                            display_name,
                            avatar_url,
                            quota_allowance,
                            members,
                            ..group
                        },
                        prebuilds,
                    }
                },
            )
            .boxed()
    }

    fn bare(with: Desired) -> Desired {
        desired(&with.name)
    }

    fn optional_part(observed: &Observed) -> String {
        let GroupItem {
            display_name,
            avatar_url,
            quota_allowance,
            members,
            ..
        } = &observed.group;
        format!(
            "{display_name:?} {avatar_url:?} {quota_allowance} {members:?} {}",
            observed.prebuilds
        )
    }

    fn after(_: &Desired, before: Option<Observed>, change: &Change) -> Observed {
        let mut after = before.unwrap_or_else(|| group("new"));
        match change {
            Change::Create(request) => {
                after = group(&request.name);
                after.group.display_name = request.display_name.clone().unwrap_or_default();
                after.group.avatar_url = request.avatar_url.clone().unwrap_or_default();
                after.group.quota_allowance = request.quota_allowance.unwrap_or_default();
            }
            Change::Update {
                name,
                display_name,
                avatar_url,
                quota_allowance,
            } => {
                after.group.name = Field::to(name.as_ref()).unwrap_or(after.group.name);
                after.group.display_name = Field::to(display_name.as_ref()).unwrap_or(after.group.display_name);
                after.group.avatar_url = Field::to(avatar_url.as_ref()).unwrap_or(after.group.avatar_url);
                after.group.quota_allowance =
                    Field::to(quota_allowance.as_ref()).unwrap_or(after.group.quota_allowance);
            }
            Change::Members { add, remove } => {
                // As Coder does: who is added twice, or was no member, makes it refuse the whole.
                assert!(
                    add.keys().all(|id| !after.group.members.contains_key(id)),
                    "added twice"
                );
                assert!(
                    remove.keys().all(|id| after.group.members.contains_key(id)),
                    "removed without being there"
                );
                after.group.members.retain(|id, _| !remove.contains_key(id));
                after.group.members.extend(add.clone());
            }
            Change::Prebuilds(there) => after.prebuilds = *there,
        }
        after
    }
}

fn user(id: u128) -> UserId {
    UserId(Uuid::from_u128(id))
}

fn with_members(users: &[(u128, &str)]) -> Observed {
    let members = users.iter().map(|(id, name)| (user(*id), (*name).to_owned())).collect();
    let Observed { group, prebuilds } = group("a");
    Observed {
        group: GroupItem { members, ..group },
        prebuilds,
    }
}

fn wanting(exact: bool, users: &[(u128, &str)]) -> Desired {
    let users = users.iter().map(|(id, name)| (user(*id), (*name).to_owned())).collect();
    Desired {
        members: Some(Wanted {
            exact,
            users,
            ..Wanted::default()
        }),
        ..desired("a")
    }
}

fn lines(desired: &Desired, observed: &Observed) -> Vec<String> {
    Group::plan(desired, Some(observed))
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn members_are_a_difference_by_name() {
    let held = with_members(&[(1, "ann"), (2, "bob")]);
    assert_eq!(
        lines(&wanting(true, &[(2, "bob"), (3, "carl")]), &held),
        ["members +carl -ann"]
    );
    assert_eq!(lines(&wanting(false, &[(3, "carl")]), &held), ["members +carl"]);
    assert_eq!(lines(&wanting(true, &[]), &held), ["members -ann -bob"]);
    assert!(lines(&desired("a"), &held).is_empty());
}

#[test]
fn hidden_members_stop_the_comparison_only_where_members_are_managed() {
    let mut held = with_members(&[(1, "ann")]);
    held.group.hidden_members = true;
    let refusal = Group::check(&wanting(true, &[]), &held).unwrap_err();
    assert_eq!(refusal.reason(), Reason::PartialVisibility);
    assert!(Group::check(&desired("a"), &held).is_ok());
}

#[test]
fn those_who_were_waited_for_are_no_drift() {
    let mut before = GroupStatus {
        pending_members: vec!["carl".into()],
        ..GroupStatus::default()
    };
    let change = Change::Members {
        add: [(user(3), "carl".into())].into(),
        remove: BTreeMap::new(),
    };
    assert_eq!(Group::deviations(&change, &before), []);
    before.pending_members.clear();
    let deviations = Group::deviations(&change, &before);
    assert_eq!(deviations.first().map(|one| &*one.text), Some("members -carl"));
}

#[test]
fn a_member_is_meant_by_id_email_or_name_in_any_case() {
    let member = MemberItem {
        id: user(1),
        username: "Ann".into(),
        email: "ann@example.com".into(),
        roles: Vec::new(),
    };
    for name in ["ann", "ANN", "Ann@Example.com", &user(1).to_string()] {
        assert!(is_called(&member, name), "{name}");
    }
    for name in ["anna", "ann@example.org", &user(2).to_string()] {
        assert!(!is_called(&member, name), "{name}");
    }
}

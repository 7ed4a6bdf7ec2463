use std::collections::BTreeSet;

use proptest::collection::{btree_map, btree_set};
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

use super::roles::{Held, Wanted};
use super::*;
use crate::coder;
use crate::kinds::parent::Parent;
use crate::kinds::properties::{Model, hold_for_standing};
use crate::kinds::targets::Targets;

hold_for_standing!(CoderTemplateAccess);

fn template() -> Template {
    Template {
        id: Uuid::from_u128(9).into(),
        name: "web".into(),
    }
}

fn bare() -> Desired {
    Desired {
        organization: Parent {
            id: Uuid::from_u128(1).into(),
            name: "platform".into(),
            moved: None,
        },
        template: template(),
        users: None,
        groups: None,
        people: Targets::default(),
        circles: Targets::default(),
        moved: None,
    }
}

fn observed(access: TemplateAccess) -> Observed {
    Observed {
        organization: (Uuid::from_u128(1).into(), "platform".into()),
        template: template(),
        access,
        hidden: BTreeMap::new(),
    }
}

fn any_id<T: From<Uuid> + std::fmt::Debug>() -> BoxedStrategy<T> {
    (1_u128..4).prop_map(|number| T::from(Uuid::from_u128(number))).boxed()
}

fn any_wanted<T: From<Uuid> + Ord + Clone + fmt::Debug + 'static>() -> BoxedStrategy<Wanted<T>> {
    let role = prop::sample::select(vec![TemplateRole::Use, TemplateRole::Admin]);
    let pending = prop::sample::select(vec![vec![], vec!["later".to_owned()]]);
    let flags = (any::<bool>(), any::<bool>());
    (
        btree_map(any_id(), role, 0..3),
        btree_set(any_id(), 0..3),
        pending,
        flags,
    )
        .prop_map(
            |(roles, own, pending, (exact, holds)): (BTreeMap<T, _>, BTreeSet<T>, _, _)| Wanted {
                exact,
                names: roles.keys().map(|who| (who.clone(), "x".to_owned())).collect(),
                roles,
                pending,
                holds,
                own,
                hidden: BTreeMap::new(),
            },
        )
        .boxed()
}

fn any_held<T: From<Uuid> + Ord + fmt::Debug + 'static>() -> BoxedStrategy<Held<T>> {
    let role = prop::sample::select(vec!["use", "admin", ""]);
    let role = role.prop_map(|role| ("x".to_owned(), coder::TemplateRole::from(role)));
    btree_map(any_id(), role, 0..3).boxed()
}

impl Model for CoderTemplateAccess {
    fn any_desired() -> BoxedStrategy<Desired> {
        (option::of(any_wanted()), option::of(any_wanted()))
            .prop_map(|(users, groups)| Desired {
                users,
                groups,
                ..bare()
            })
            .boxed()
    }

    fn any_observed() -> BoxedStrategy<Observed> {
        (any_held(), any_held())
            .prop_map(|(users, groups)| observed(TemplateAccess { users, groups }))
            .boxed()
    }

    fn bare(_: Desired) -> Desired {
        bare()
    }

    fn optional_part(observed: &Observed) -> String {
        format!("{:?}", observed.access)
    }

    /// As Coder does: a merge, in which an empty role takes away. The third user is suspended, and so is not shown.
    fn after(desired: &Desired, before: Option<Observed>, change: &Change) -> Observed {
        fn merge<T: Ord + Clone>(held: &mut Held<T>, send: &BTreeMap<T, String>) {
            for (who, role) in send {
                if role.is_empty() {
                    held.remove(who);
                } else {
                    held.insert(who.clone(), ("x".to_owned(), coder::TemplateRole::from(role.as_str())));
                }
            }
        }
        let mut after = before.unwrap();
        merge(&mut after.access.users, &change.request.user_perms);
        merge(&mut after.access.groups, &change.request.group_perms);
        after.access.users.remove(&UserId(Uuid::from_u128(3)));
        after.hidden = desired
            .users
            .as_ref()
            .map(|wanted| wanted.not_shown(&after.access.users))
            .unwrap_or_default();
        after
    }
}

#[test]
fn a_change_names_only_what_differs() {
    let group = |number| GroupId(Uuid::from_u128(number));
    let wanted = Wanted {
        exact: true,
        roles: BTreeMap::from([(group(1), TemplateRole::Use), (group(2), TemplateRole::Admin)]),
        names: BTreeMap::from([(group(1), "backend".to_owned()), (group(2), "ops".to_owned())]),
        pending: Vec::new(),
        holds: true,
        own: BTreeSet::new(),
        hidden: BTreeMap::new(),
    };
    let desired = Desired {
        groups: Some(wanted),
        ..bare()
    };
    let role = |name: &str| (name.to_owned(), coder::TemplateRole::Use);
    let held = observed(TemplateAccess {
        users: BTreeMap::from([(UserId(Uuid::from_u128(5)), role("ann"))]),
        groups: BTreeMap::from([(group(1), role("backend")), (group(3), role("Everyone"))]),
    });
    let plan = CoderTemplateAccess::plan(&desired, Some(&held));
    let lines: Vec<String> = plan.iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["groups +ops:Admin -Everyone:Use"]);
    assert!(plan.iter().all(|change| change.request.user_perms.is_empty()));
}

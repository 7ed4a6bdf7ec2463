use proptest::collection::btree_set;
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

use super::change::permission;
use super::*;
use crate::kinds::properties::{Model, few_texts, hold_for};

hold_for!(CoderCustomRole);

fn any_permissions(negated: bool) -> BoxedStrategy<BTreeSet<Permission>> {
    let action = prop::sample::select(vec!["read", "update", "fly"]);
    let one = (action, any::<bool>()).prop_map(move |(action, negate)| Permission {
        negate: negate && negated,
        ..permission("template", action)
    });
    btree_set(one, 0..4).boxed()
}

fn bare() -> Desired {
    Desired {
        organization: Parent {
            id: Uuid::from_u128(1).into(),
            name: "platform".into(),
            moved: None,
        },
        name: "author".into(),
        display_name: None,
        permissions: None,
        unknown: BTreeSet::new(),
        generation: 1,
        version: "v2".into(),
    }
}

fn observed(display_name: &str, permissions: BTreeSet<Permission>) -> Observed {
    Observed {
        organization: (Uuid::from_u128(1).into(), "platform".into()),
        role: OrganizationRole {
            name: "author".into(),
            display_name: display_name.into(),
            organization_permissions: permissions,
            built_in: false,
        },
        dropped: BTreeSet::new(),
    }
}

impl Model for CoderCustomRole {
    fn any_desired() -> BoxedStrategy<Desired> {
        (option::of(few_texts()), option::of(any_permissions(false)))
            .prop_map(|(display_name, permissions)| Desired {
                display_name,
                permissions,
                ..bare()
            })
            .boxed()
    }

    fn any_observed() -> BoxedStrategy<Observed> {
        (few_texts(), any_permissions(true))
            .prop_map(|(display_name, permissions)| observed(&display_name, permissions))
            .boxed()
    }

    fn bare(_: Desired) -> Desired {
        bare()
    }

    fn optional_part(observed: &Observed) -> String {
        format!("{:?}", observed.role)
    }

    /// As newer servers do: nobody can fly, and an update leaves that out.
    fn after(_: &Desired, _: Option<Observed>, change: &Change) -> Observed {
        let (Change::Create(role) | Change::Update(role, _)) = change;
        let is_known = |one: &&Permission| matches!(change, Change::Create(_)) || one.action != "fly";
        let known = role.organization_permissions.iter().filter(is_known).cloned();
        let mut after = observed(&role.display_name, known.collect());
        let got = &after.role.organization_permissions;
        after.dropped = role.organization_permissions.difference(got).cloned().collect();
        after
    }
}

fn wants(actions: &[&str]) -> Desired {
    Desired {
        permissions: Some(actions.iter().map(|action| permission("template", action)).collect()),
        ..bare()
    }
}

#[test]
fn what_is_not_managed_is_sent_as_it_was_seen() {
    let held = observed("Author", BTreeSet::from([permission("file", "create")]));
    let plan = CoderCustomRole::plan(&wants(&["read"]), Some(&held));
    let [Change::Update(role, differences)] = plan.as_slice() else {
        panic!("{plan:?}")
    };
    assert_eq!(role.display_name, "Author");
    assert_eq!(differences.to_string(), "permissions +template.read -file.create");
}

#[test]
fn what_the_server_does_not_know_is_asked_for_once_for_each_generation_and_version() {
    let mut desired = wants(&["read", "fly"]);
    let mut held = observed("", BTreeSet::from([permission("template", "read")]));
    held.dropped = BTreeSet::from([permission("template", "fly")]);
    assert!(CoderCustomRole::plan(&desired, Some(&held)).is_empty());
    let mut status = CustomRoleStatus::default();
    let report = CoderCustomRole::report(&desired, &held, &mut status, Timestamp::UNIX_EPOCH);
    let unmet = report.unmet.unwrap();
    assert_eq!(unmet.reason(), Reason::Rejected);
    assert!(unmet.to_string().contains("template.fly"), "{unmet}");
    let unknown = status.unknown_permissions.unwrap();
    assert_eq!((unknown.generation, &*unknown.version), (1, "v2"));
    held.dropped.clear();
    assert_eq!(CoderCustomRole::plan(&desired, Some(&held)).len(), 1);
    desired.unknown = unknown.permissions.iter().filter_map(|text| read(text)).collect();
    assert!(CoderCustomRole::plan(&desired, Some(&held)).is_empty());
}

use proptest::collection::btree_set;
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::kinds::properties::{Model, few_names, hold_for};

hold_for!(CoderOrganizationMember);

fn bare() -> Desired {
    Desired {
        organization: Parent {
            id: Uuid::from_u128(1).into(),
            name: "platform".into(),
            moved: None,
        },
        person: Person {
            id: Uuid::from_u128(2).into(),
            name: "ann".into(),
            email: "ann@example.com".into(),
            is_suspended: false,
            own: false,
            idp: Idp::default(),
            moved: None,
        },
        roles: None,
        pending: Vec::new(),
        quota: false,
    }
}

fn observed(roles: impl IntoIterator<Item = String>) -> Observed {
    Observed {
        organization: (Uuid::from_u128(1).into(), "platform".into()),
        member: MemberItem {
            id: Uuid::from_u128(2).into(),
            username: "ann".into(),
            email: "ann@example.com".into(),
            roles: roles.into_iter().collect(),
            is_suspended: None,
        },
        quota: None,
    }
}

impl Model for CoderOrganizationMember {
    fn any_desired() -> BoxedStrategy<Desired> {
        option::of(btree_set(few_names(), 0..3))
            .prop_map(|roles| Desired { roles, ..bare() })
            .boxed()
    }

    fn any_observed() -> BoxedStrategy<Observed> {
        btree_set(few_names(), 0..3).prop_map(observed).boxed()
    }

    fn bare(_: Desired) -> Desired {
        bare()
    }

    fn optional_part(observed: &Observed) -> String {
        format!("{:?}", observed.member.roles)
    }

    fn after(_: &Desired, _: Option<Observed>, change: &Change) -> Observed {
        match change {
            Change::Add(_) => observed([]),
            Change::SetRoles { to, .. } => observed(to.clone()),
        }
    }
}

fn with_roles(roles: &[&str]) -> Desired {
    Desired {
        roles: Some(roles.iter().map(|role| (*role).to_owned()).collect()),
        ..bare()
    }
}

fn report(desired: &Desired, held: &Observed) -> Report {
    let mut status = OrganizationMemberStatus::default();
    CoderOrganizationMember::report(desired, held, &mut status, Timestamp::UNIX_EPOCH)
}

#[test]
fn nobody_sets_the_roles_of_the_tokens_own_user_nor_those_that_the_identity_provider_gives() {
    let held = observed([]);
    let mut own = with_roles(&["organization-admin"]);
    own.person.own = true;
    assert!(CoderOrganizationMember::plan(&own, Some(&held)).is_empty());
    assert_eq!(report(&own, &held).unmet.unwrap().reason(), Reason::Forbidden);
    let mut theirs = with_roles(&["organization-admin"]);
    theirs.person.idp.gives_roles = true;
    assert!(CoderOrganizationMember::plan(&theirs, Some(&held)).is_empty());
    let unmet = report(&theirs, &held).unmet.unwrap();
    assert_eq!(unmet.reason(), Reason::ManagedByIdp);
    assert_eq!(unmet.disposition(), crate::engine::Disposition::Waiting);
    let equal = observed(["organization-admin".to_owned()]);
    assert!(report(&theirs, &equal).unmet.is_none());
}

#[test]
fn a_role_that_was_waited_for_is_no_drift_and_one_that_somebody_took_is() {
    use crate::engine::remote::Change as _;
    let before = OrganizationMemberStatus {
        pending_roles: vec!["author".to_owned()],
        ..OrganizationMemberStatus::default()
    };
    let change = |roles: &[&str]| {
        let plan = CoderOrganizationMember::plan(&with_roles(roles), Some(&observed([])));
        plan.into_iter().next().unwrap()
    };
    assert!(change(&["author"]).deviations(&before).is_empty());
    let taken: Vec<String> = change(&["author", "organization-admin"])
        .deviations(&before)
        .into_iter()
        .map(|deviation| deviation.text)
        .collect();
    assert_eq!(taken, ["roles -author -organization-admin"]);
}

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::engine::pass::may_come_from;
use crate::kinds::properties::{Model, few_names, hold_for};

hold_for!(CoderLicense);

impl std::fmt::Debug for Desired {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "licence {} instead of {:?}", self.digest, self.held)
    }
}

fn desired(digest: String) -> Desired {
    let claims = LicenseClaims {
        key_id: None,
        algorithm: None,
        raw: serde_json::Map::new(),
    };
    Desired {
        jwt: SecretString::from("jwt"),
        claims,
        digest,
        warning: Duration::ZERO,
        deployment: uuid::Uuid::nil().into(),
        now: Timestamp::UNIX_EPOCH,
        held: None,
        unproven: None,
    }
}

pub(super) fn item(id: i32, digest: String) -> LicenseItem {
    LicenseItem {
        id: LicenseId(id),
        uuid: None,
        claims: desired(digest.clone()).claims,
        uploaded_at: None,
        digest,
    }
}

fn observed(license: LicenseItem, superseded: Vec<LicenseItem>) -> Observed {
    Observed {
        license,
        superseded,
        unproven: None,
        entitlements: Entitlements {
            has_license: true,
            ..Entitlements::default()
        },
    }
}

impl Model for CoderLicense {
    fn any_desired() -> BoxedStrategy<Desired> {
        few_names().prop_map(desired).boxed()
    }

    fn any_observed() -> BoxedStrategy<Observed> {
        (1..4, few_names(), vec(4..6, 0..2))
            .prop_map(|(id, digest, before)| {
                let before = before.into_iter().map(|id| item(id, "before".into())).collect();
                observed(item(id, digest), before)
            })
            .boxed()
    }

    fn bare(desired: Desired) -> Desired {
        desired
    }

    fn optional_part(_: &Observed) -> String {
        String::new()
    }

    fn after(desired: &Desired, before: Option<Observed>, change: &Change) -> Observed {
        match (change, before) {
            (Change::Add { .. }, before) => {
                let before = before
                    .into_iter()
                    .flat_map(|it| [vec![it.license], it.superseded].concat());
                observed(item(9, desired.digest.clone()), before.collect())
            }
            (Change::RemoveReplaced(id), Some(before)) => {
                let left = before.superseded.into_iter().filter(|old| old.id != *id);
                observed(before.license, left.collect())
            }
            (Change::RemoveReplaced(id), None) => panic!("removes {id}, which is not there"),
        }
    }
}

#[test]
fn a_changed_licence_is_added_before_the_old_one_is_removed() {
    let mut wanted = desired("new".into());
    let old = observed(item(1, "old".into()), Vec::new());
    wanted.held = Some(CoderLicense::identify(&old));
    assert_eq!(CoderLicense::plan(&wanted, Some(&old)), [Change::Add { renewal: true }]);
    let both = CoderLicense::after(&wanted, Some(old), &Change::Add { renewal: true });
    assert_eq!(
        CoderLicense::plan(&wanted, Some(&both)),
        [Change::RemoveReplaced(LicenseId(1))]
    );
}

#[test]
fn what_was_replaced_stays_while_nothing_is_known_of_what_the_licences_give() {
    let wanted = desired("new".into());
    let both = Observed {
        entitlements: Entitlements::default(),
        ..observed(item(2, "new".into()), vec![item(1, "old".into())])
    };
    assert_eq!(CoderLicense::plan(&wanted, Some(&both)), []);
    let report = notes::of(&wanted, &both, wanted.now);
    assert_eq!(report.notes[0].type_, crate::api::NoteType::RenewalPending);
    assert!(
        report.look_again > Some(wanted.now),
        "it is looked at again, and not at once"
    );
}

#[test]
fn a_licence_that_went_without_the_secret_having_changed_was_removed_by_somebody() {
    let mut wanted = desired("same".into());
    wanted.held = Some(CoderLicense::identify(&observed(item(1, "same".into()), Vec::new())));
    assert_eq!(CoderLicense::plan(&wanted, None), [Change::Add { renewal: false }]);
    let before = observed(item(7, "older".into()), Vec::new());
    assert_eq!(
        CoderLicense::plan(&wanted, Some(&before)),
        [Change::Add { renewal: false }]
    );
}

#[test]
fn a_licence_that_was_stored_before_its_creation_was_begun_is_somebody_elses() {
    let stored = |at: i64| {
        let license = LicenseItem {
            uploaded_at: Timestamp::from_second(at).ok(),
            ..item(1, "same".into())
        };
        may_come_from::<CoderLicense>(&observed(license, Vec::new()), Timestamp::from_second(10_000).unwrap())
    };
    assert!(stored(10_001));
    assert!(stored(9_900), "two clocks are compared");
    assert!(!stored(9_000));
}

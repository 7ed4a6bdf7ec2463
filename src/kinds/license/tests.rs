use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::kinds::properties::{Model, few_names, hold_for};

hold_for!(License);

impl std::fmt::Debug for Desired {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "licence {} instead of {:?}", self.digest, self.current)
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
        current: None,
    }
}

fn item(id: i32, digest: String) -> LicenseItem {
    LicenseItem {
        id: LicenseId(id),
        uuid: None,
        digest,
    }
}

impl Model for License {
    fn any_desired() -> BoxedStrategy<Desired> {
        few_names().prop_map(desired).boxed()
    }

    fn any_observed() -> BoxedStrategy<Observed> {
        (1..4, few_names(), option::of(4..6))
            .prop_map(|(id, digest, before)| Observed {
                license: item(id, digest),
                superseded: before.map(LicenseId),
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
            (Change::Add { .. }, before) => Observed {
                license: item(9, desired.digest.clone()),
                superseded: before.map(|before| before.license.id),
            },
            (Change::RemoveReplaced(_), Some(before)) => Observed {
                superseded: None,
                ..before
            },
            (Change::RemoveReplaced(id), None) => panic!("removes {id}, which is not there"),
        }
    }
}

#[test]
fn a_changed_licence_is_added_before_the_old_one_is_removed() {
    let wanted = desired("new".into());
    let old = Observed {
        license: item(1, "old".into()),
        superseded: None,
    };
    assert_eq!(License::plan(&wanted, Some(&old)), [Change::Add { replaces: true }]);
    let both = License::after(&wanted, Some(old), &Change::Add { replaces: true });
    assert_eq!(
        License::plan(&wanted, Some(&both)),
        [Change::RemoveReplaced(LicenseId(1))]
    );
}

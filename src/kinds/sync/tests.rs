use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

use super::change::Part;
use super::*;
use crate::api::{CoderGroupSync, CoderOrganizationSync, CoderRoleSync};
use crate::coder::{GroupSyncSettings, OrganizationSyncSettings, RoleSyncSettings};
use crate::kinds::properties::{Model, few_names, few_texts};

/// Settings of which any can be made up.
trait Any: IdpSync {
    /// Any fields beside the mapping.
    fn any_config() -> BoxedStrategy<Self>;
    /// A target by its number.
    fn target(number: u128) -> Self::Target;
}

impl Any for GroupSyncSettings {
    fn any_config() -> BoxedStrategy<Self> {
        (few_texts(), few_texts(), any::<bool>())
            .prop_map(|(field, regex_filter, auto_create_missing_groups)| Self {
                field,
                regex_filter,
                auto_create_missing_groups,
                ..Self::default()
            })
            .boxed()
    }

    fn target(number: u128) -> Self::Target {
        Uuid::from_u128(number).into()
    }
}

impl Any for RoleSyncSettings {
    fn any_config() -> BoxedStrategy<Self> {
        let settings = |field| Self {
            field,
            ..Self::default()
        };
        few_texts().prop_map(settings).boxed()
    }

    fn target(number: u128) -> String {
        format!("role-{number}")
    }
}

impl Any for OrganizationSyncSettings {
    fn any_config() -> BoxedStrategy<Self> {
        (few_texts(), any::<bool>())
            .prop_map(|(field, organization_assign_default)| Self {
                field,
                organization_assign_default,
                ..Self::initial()
            })
            .boxed()
    }

    fn target(number: u128) -> Self::Target {
        Uuid::from_u128(number).into()
    }
}

fn place() -> Place {
    Place::Deployment(Uuid::from_u128(7).into())
}

fn bare<S: IdpSync>() -> Desired<S> {
    Desired {
        place: place(),
        settings: S::initial(),
        managed: Vec::new(),
        mapping: None,
        targets: crate::kinds::targets::Targets::default(),
        names: BTreeMap::new(),
        organizations: Vec::new(),
        effective: true,
    }
}

fn any_mapping<S: Any>() -> BoxedStrategy<SyncMapping<S::Target>> {
    let targets = proptest::collection::btree_set((1_u128..4).prop_map(S::target), 1..3);
    btree_map(few_names(), targets, 0..3).boxed()
}

/// Targets are called by numbers; what is none is not there yet.
fn resolved<S: Any>(
    spec: &BTreeMap<String, Vec<String>>,
    exact: bool,
    own: SyncMapping<S::Target>,
) -> Wanted<S::Target> {
    Wanted::resolve(spec, exact, own, |name| name.parse().ok().map(S::target))
}

fn any_wanted<S: Any>() -> BoxedStrategy<Wanted<S::Target>> {
    let targets = vec(prop::sample::select(vec!["1", "2", "3", "later"]), 0..3);
    let named = |(claim, targets): (String, Vec<&str>)| (claim, targets.into_iter().map(str::to_owned).collect());
    (btree_map(few_names(), targets, 0..3), any::<bool>(), any_mapping::<S>())
        .prop_map(move |(spec, exact, own)| resolved::<S>(&spec.into_iter().map(named).collect(), exact, own))
        .boxed()
}

impl<K: SyncKind<Settings: Any>> Model for K {
    fn any_desired() -> BoxedStrategy<Self::Desired> {
        let names: Vec<&str> = K::FIELDS.iter().map(|field| field.name).collect();
        let managed = proptest::sample::subsequence(names.clone(), 0..=names.len());
        (
            K::Settings::any_config(),
            managed,
            option::of(any_wanted::<K::Settings>()),
        )
            .prop_map(|(settings, managed, mapping)| Desired {
                settings,
                managed,
                mapping,
                ..bare()
            })
            .boxed()
    }

    fn any_observed() -> BoxedStrategy<Self::Observed> {
        (K::Settings::any_config(), any_mapping::<K::Settings>())
            .prop_map(|(mut settings, mapping)| {
                *settings.mapping_mut() = mapping;
                observed(settings)
            })
            .boxed()
    }

    fn bare(_: Self::Desired) -> Self::Desired {
        bare()
    }

    fn optional_part(observed: &Self::Observed) -> String {
        format!("{:?}", observed.settings)
    }

    /// As Coder does: adding again is nothing, removing wins.
    fn after(_: &Self::Desired, before: Option<Self::Observed>, change: &Self::Change) -> Self::Observed {
        let mut after = before.unwrap();
        let mut mapping = after.settings.mapping().clone();
        match change.part {
            Part::Whole => after.settings = change.to.clone(),
            Part::Config => {
                after.settings = change.to.clone();
                *after.settings.mapping_mut() = mapping;
            }
            Part::Mapping => {
                for (claim, target) in &change.add {
                    mapping.entry(claim.clone()).or_default().insert(target.clone());
                }
                for (claim, target) in &change.remove {
                    if let Some(targets) = mapping.get_mut(claim) {
                        targets.remove(target);
                    }
                }
                mapping.retain(|_, targets| !targets.is_empty());
                *after.settings.mapping_mut() = mapping;
            }
        }
        after
    }
}

mod group {
    use super::*;
    crate::kinds::properties::hold_for_standing!(CoderGroupSync);
}

mod role {
    use super::*;
    crate::kinds::properties::hold_for_standing!(CoderRoleSync);
}

mod organization {
    use super::*;
    crate::kinds::properties::hold_for_standing!(CoderOrganizationSync);
}

fn observed<S>(settings: S) -> Observed<S> {
    Observed {
        place: place(),
        settings,
        organizations: Vec::new(),
    }
}

fn with_field(field: &str) -> GroupSyncSettings {
    GroupSyncSettings {
        field: field.to_owned(),
        ..GroupSyncSettings::default()
    }
}

#[test]
fn a_setting_of_which_all_is_managed_is_written_at_once() {
    let all = |exact| Desired {
        settings: with_field("groups"),
        managed: vec!["field", "regexFilter", "autoCreateMissingGroups"],
        mapping: Some(resolved::<GroupSyncSettings>(
            &BTreeMap::new(),
            exact,
            SyncMapping::new(),
        )),
        ..bare()
    };
    let held = observed(GroupSyncSettings {
        mapping: mapping::of([("a".to_owned(), GroupSyncSettings::target(1))]),
        ..GroupSyncSettings::default()
    });
    let parts = |exact| -> Vec<Part> {
        let plan = CoderGroupSync::plan(&all(exact), Some(&held));
        plan.iter().map(|change| change.part).collect()
    };
    assert_eq!(parts(true), [Part::Whole]);
    assert_eq!(parts(false), [Part::Config]);
}

#[test]
fn what_is_to_change_reads_as_in_the_spec() {
    let desired = Desired {
        settings: OrganizationSyncSettings {
            field: "orgs".to_owned(),
            organization_assign_default: false,
            ..OrganizationSyncSettings::initial()
        },
        managed: vec!["field", "assignDefault"],
        ..bare()
    };
    let held = observed(OrganizationSyncSettings::initial());
    let plan = CoderOrganizationSync::plan(&desired, Some(&held));
    let lines: Vec<String> = plan.iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["field \"\" → \"orgs\", assignDefault true → false"]);
}

#[test]
fn it_is_untouched_while_nobody_set_what_is_managed() {
    let desired = Desired {
        settings: with_field("groups"),
        managed: vec!["field"],
        ..bare()
    };
    let set = |field: &str| {
        observed(GroupSyncSettings {
            auto_create_missing_groups: true,
            ..with_field(field)
        })
    };
    assert!(CoderGroupSync::untouched(&desired, &set("")));
    assert!(!CoderGroupSync::untouched(&desired, &set("teams")));
}

#[test]
fn a_sync_that_maps_nothing_and_assigns_no_default_is_warned_of() {
    let settings = |field: &str, assign| OrganizationSyncSettings {
        field: field.to_owned(),
        organization_assign_default: assign,
        ..OrganizationSyncSettings::initial()
    };
    assert!(CoderOrganizationSync::warning(&settings("orgs", false)).is_some());
    assert!(CoderOrganizationSync::warning(&settings("orgs", true)).is_none());
    assert!(CoderOrganizationSync::warning(&settings("", false)).is_none());
}

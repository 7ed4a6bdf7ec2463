use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::kinds::properties::{Model, few_names, few_texts, hold_for_standing};

hold_for_standing!(CoderGroupSync);

fn organization() -> Parent {
    Parent {
        id: Uuid::from_u128(7).into(),
        name: "platform".into(),
        moved: None,
    }
}

fn bare() -> Desired {
    Desired {
        organization: organization(),
        field: None,
        regex_filter: None,
        auto_create: None,
        mapping: None,
        names: BTreeMap::new(),
        effective: true,
    }
}

fn id(number: u128) -> GroupId {
    Uuid::from_u128(number).into()
}

fn any_mapping() -> BoxedStrategy<Mapping<GroupId>> {
    let groups = proptest::collection::btree_set((1_u128..4).prop_map(id), 1..3);
    btree_map(few_names(), groups, 0..3).boxed()
}

impl Model for CoderGroupSync {
    fn any_desired() -> BoxedStrategy<Desired> {
        // Groups are called by numbers; what is none is not there yet.
        let targets = vec(prop::sample::select(vec!["1", "2", "3", "later"]), 0..3);
        let spec = btree_map(few_names(), targets, 0..3).prop_map(|spec| {
            let names = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
            spec.into_iter()
                .map(|(claim, targets)| (claim, names(targets)))
                .collect()
        });
        let mapping =
            (spec, any::<bool>(), any_mapping()).prop_map(|(spec, exact, own): (BTreeMap<_, Vec<_>>, _, _)| {
                Wanted::resolve(&spec, exact, own, |name| name.parse().ok().map(id))
            });
        let texts = (option::of(few_texts()), option::of(few_texts()));
        (texts, option::of(any::<bool>()), option::of(mapping))
            .prop_map(|((field, regex_filter), auto_create, mapping)| Desired {
                field,
                regex_filter,
                auto_create,
                mapping,
                ..bare()
            })
            .boxed()
    }

    fn any_observed() -> BoxedStrategy<Observed> {
        (few_texts(), option::of(few_texts()), any::<bool>(), any_mapping())
            .prop_map(|(field, regex_filter, auto_create_missing_groups, mapping)| Observed {
                organization: organization(),
                settings: GroupSyncSettings {
                    field,
                    mapping,
                    regex_filter,
                    auto_create_missing_groups,
                    legacy_group_name_mapping: BTreeMap::new(),
                },
            })
            .boxed()
    }

    fn bare(_: Desired) -> Desired {
        bare()
    }

    fn optional_part(observed: &Observed) -> String {
        format!("{:?}", observed.settings)
    }

    fn after(_: &Desired, before: Option<Observed>, change: &Change) -> Observed {
        let Observed { organization, settings } = before.unwrap();
        let to = change.to.clone();
        let settings = match change.part {
            Part::Whole => to,
            Part::Config => GroupSyncSettings {
                mapping: settings.mapping,
                ..to
            },
            Part::Mapping => {
                // As Coder does: adding again is nothing, removing wins.
                let mut mapping = settings.mapping.clone();
                for (claim, group) in &change.add {
                    mapping.entry(claim.clone()).or_default().insert(*group);
                }
                for (claim, group) in &change.remove {
                    if let Some(groups) = mapping.get_mut(claim) {
                        groups.remove(group);
                    }
                }
                mapping.retain(|_, groups| !groups.is_empty());
                GroupSyncSettings { mapping, ..settings }
            }
        };
        Observed { organization, settings }
    }
}

fn observed(settings: GroupSyncSettings) -> Observed {
    Observed {
        organization: organization(),
        settings,
    }
}

#[test]
fn a_setting_of_which_all_is_managed_is_written_at_once() {
    let wanted = |exact| Wanted::resolve(&BTreeMap::new(), exact, Mapping::new(), |_| None);
    let all = |exact| Desired {
        field: Some("groups".into()),
        regex_filter: Some(String::new()),
        auto_create: Some(false),
        mapping: Some(wanted(exact)),
        ..bare()
    };
    let held = observed(GroupSyncSettings {
        mapping: sync::of([("a".to_owned(), id(1))]),
        ..GroupSyncSettings::default()
    });
    let plan = CoderGroupSync::plan(&all(true), Some(&held));
    assert!(
        matches!(plan.as_slice(), [Change { part: Part::Whole, .. }]),
        "{plan:?}"
    );
    let plan = CoderGroupSync::plan(&all(false), Some(&held));
    assert!(
        matches!(plan.as_slice(), [Change { part: Part::Config, .. }]),
        "{plan:?}"
    );
}

#[test]
fn an_empty_pattern_and_none_are_equal_and_none_is_sent() {
    let desired = Desired {
        field: Some("groups".into()),
        regex_filter: Some(String::new()),
        ..bare()
    };
    let held = observed(GroupSyncSettings::default());
    let plan = CoderGroupSync::plan(&desired, Some(&held));
    assert_eq!(
        plan.first().map(ToString::to_string).as_deref(),
        Some("field \"\" → \"groups\"")
    );
    assert!(plan.iter().all(|change| change.to.regex_filter.is_none()));
}

#[test]
fn it_is_untouched_while_nobody_set_what_is_managed() {
    let desired = Desired {
        field: Some("groups".into()),
        ..bare()
    };
    let set = |field: &str| {
        observed(GroupSyncSettings {
            field: field.into(),
            auto_create_missing_groups: true,
            ..GroupSyncSettings::default()
        })
    };
    assert!(CoderGroupSync::untouched(&desired, &set("")));
    assert!(!CoderGroupSync::untouched(&desired, &set("teams")));
}

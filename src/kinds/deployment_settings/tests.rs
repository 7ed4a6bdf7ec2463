use std::collections::BTreeMap;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::api::NotificationMethod;
use crate::coder::Banner;
use crate::engine::Reason;
use crate::kinds::properties::{Model, few_names, few_texts, hold_for_standing};

hold_for_standing!(CoderDeploymentSettings);

fn id() -> DeploymentId {
    Uuid::from_u128(1).into()
}

fn bare() -> Desired {
    Desired {
        deployment: id(),
        wanted: Wanted::default(),
        left: BTreeSet::new(),
    }
}

fn untouched() -> Observed {
    Observed {
        deployment: id(),
        appearance: Part::Held(Appearance::default()),
        notifications_paused: Part::Held(false),
        templates: Part::Held(templates([""; 2])),
        prebuilds_paused: Part::Held(false),
        dismissed: Part::Held(BTreeSet::new()),
    }
}

fn templates(methods: [&str; 2]) -> Vec<NotificationTemplate> {
    let named = ["a", "b"].into_iter().zip(methods).enumerate();
    named
        .map(|(number, (name, method))| NotificationTemplate {
            id: Uuid::from_u128(number as u128),
            name: name.to_owned(),
            method: method.to_owned(),
        })
        .collect()
}

fn any_banners() -> BoxedStrategy<Vec<Banner>> {
    let banner = (few_texts(), any::<bool>()).prop_map(|(message, enabled)| Banner {
        enabled,
        message,
        background_color: "#004852".to_owned(),
    });
    vec(banner, 0..3).boxed()
}

impl Model for CoderDeploymentSettings {
    fn any_desired() -> BoxedStrategy<Desired> {
        let method = prop::sample::select(std::vec![NotificationMethod::Smtp, NotificationMethod::Inbox]);
        let appearance = (
            option::of(few_texts()),
            option::of(few_texts()),
            option::of(any_banners()),
        );
        let flags = (option::of(any::<bool>()), option::of(any::<bool>()));
        let lists = (
            option::of(btree_map(few_names(), method, 0..3)),
            option::of(btree_set(few_names(), 0..3)),
        );
        (appearance, flags, lists)
            .prop_map(
                |((application_name, logo_url, banners), (paused, prebuilds), (methods, dismissed))| Desired {
                    wanted: Wanted {
                        application_name,
                        logo_url,
                        banners,
                        notifications_paused: paused,
                        methods,
                        prebuilds_paused: prebuilds,
                        dismissed,
                    },
                    ..bare()
                },
            )
            .boxed()
    }

    fn any_observed() -> BoxedStrategy<Observed> {
        let method = || prop::sample::select(std::vec!["", "smtp", "inbox"]);
        let texts = (few_texts(), few_texts(), any_banners());
        (
            texts,
            any::<[bool; 2]>(),
            (method(), method()),
            btree_set(few_names(), 0..3),
        )
            .prop_map(
                |((name, logo, banners), [paused, prebuilds], methods, dismissed)| Observed {
                    appearance: Part::Held(Appearance {
                        application_name: name,
                        logo_url: logo,
                        announcement_banners: banners,
                    }),
                    notifications_paused: Part::Held(paused),
                    templates: Part::Held(templates(methods.into())),
                    prebuilds_paused: Part::Held(prebuilds),
                    dismissed: Part::Held(dismissed),
                    ..untouched()
                },
            )
            .boxed()
    }

    fn bare(_: Desired) -> Desired {
        bare()
    }

    fn optional_part(observed: &Observed) -> String {
        format!("{observed:?}")
    }

    fn after(_: &Desired, before: Option<Observed>, change: &Change) -> Observed {
        let mut after = before.unwrap();
        change.request.on(&mut after);
        after
    }
}

fn named(name: &str) -> Desired {
    Desired {
        wanted: Wanted {
            application_name: Some(name.to_owned()),
            prebuilds_paused: Some(true),
            ..Wanted::default()
        },
        ..bare()
    }
}

#[test]
fn a_section_that_is_not_to_be_had_holds_up_no_other() {
    let held = Observed {
        appearance: Part::Refused(Refusal::terminal(Reason::Forbidden, "appearance: no")),
        ..untouched()
    };
    let lines: Vec<String> = CoderDeploymentSettings::plan(&named("Acme"), Some(&held))
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(lines, ["prebuilds.paused false → true"]);
    let mut status = DeploymentSettingsStatus::default();
    let report = CoderDeploymentSettings::report(&named("Acme"), &held, &mut status, Timestamp::UNIX_EPOCH);
    assert_eq!(report.unmet.unwrap().to_string(), "appearance: no");
    assert_eq!(
        status.managed,
        [PREBUILDS],
        "what could not be read is not taken into hand"
    );
}

#[test]
fn it_is_untouched_while_what_is_managed_has_its_initial_value() {
    let set = |name: &str| Observed {
        appearance: Part::Held(Appearance {
            application_name: name.to_owned(),
            logo_url: "theirs".to_owned(),
            ..Appearance::default()
        }),
        ..untouched()
    };
    assert!(CoderDeploymentSettings::untouched(&named("Acme"), &set("")));
    assert!(!CoderDeploymentSettings::untouched(&named("Acme"), &set("Theirs")));
}

#[test]
fn banners_that_begin_alike_are_told_apart() {
    let banner = |end: &str| Banner {
        enabled: true,
        message: "x".repeat(60) + end,
        background_color: "#004852".to_owned(),
    };
    let desired = Desired {
        wanted: Wanted {
            banners: Some(std::vec![banner("a")]),
            ..Wanted::default()
        },
        ..bare()
    };
    let held = Observed {
        appearance: Part::Held(Appearance {
            announcement_banners: std::vec![banner("b")],
            ..Appearance::default()
        }),
        ..untouched()
    };
    assert_eq!(CoderDeploymentSettings::plan(&desired, Some(&held)).len(), 1);
}

#[test]
fn templates_that_coder_does_not_have_are_named_with_those_that_it_has() {
    let wanted = Wanted {
        methods: Some(BTreeMap::from([("c".to_owned(), NotificationMethod::Smtp)])),
        ..Wanted::default()
    };
    let error = section::unmet(unknown_templates(&wanted, &untouched()).iter()).unwrap();
    assert_eq!(error.reason(), Reason::InvalidSpec);
    assert!(error.to_string().contains("no template c; it has a, b"), "{error}");
}

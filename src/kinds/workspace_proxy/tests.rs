use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::engine::cluster::output::Place;
use crate::kinds::properties::{Model, few_names, hold_for};

hold_for!(CoderWorkspaceProxy);

fn desired(name: &str) -> Desired {
    Desired {
        name: name.to_owned(),
        display_name: "Paris".into(),
        icon: "/x.png".into(),
        home: Home {
            place: Place {
                name: "paris".into(),
                key: TOKEN_KEY.into(),
            },
            previous: None,
            beside: BTreeMap::new(),
        },
        terms: terms(None, None, true),
        fought_over: false,
    }
}

fn terms(rotate: Option<&str>, handled: Option<&str>, expected: bool) -> Terms {
    Terms {
        rotate: rotate.map(str::to_owned),
        handled: handled.map(str::to_owned),
        expected,
        every: None,
        overlap: jiff::SignedDuration::ZERO,
        now: Timestamp::UNIX_EPOCH,
    }
}

fn proxy(name: &str, display_name: &str, icon: &str) -> coder::WorkspaceProxy {
    coder::WorkspaceProxy {
        id: Uuid::from_u128(1).into(),
        name: name.to_owned(),
        display_name: display_name.to_owned(),
        icon_url: icon.to_owned(),
        healthy: false,
        status: None,
        path_app_url: String::new(),
        wildcard_hostname: String::new(),
        derp_enabled: true,
        derp_only: false,
        version: String::new(),
        deleted: false,
        created_at: None,
        updated_at: None,
    }
}

fn issued(desired: &Desired) -> Issued {
    Issued {
        rotate: desired.terms.rotate.clone(),
        for_us: true,
        settled: true,
        ..Issued::default()
    }
}

impl Model for CoderWorkspaceProxy {
    fn any_desired() -> BoxedStrategy<Desired> {
        (
            few_names(),
            few_names(),
            few_names(),
            option::of(few_names()),
            option::of(few_names()),
            any::<(bool, bool)>(),
        )
            .prop_map(
                |(name, display_name, icon, rotate, handled, (expected, fought_over))| Desired {
                    display_name,
                    icon,
                    terms: terms(rotate.as_deref(), handled.as_deref(), expected),
                    fought_over,
                    ..desired(&name)
                },
            )
            .boxed()
    }

    fn any_observed() -> BoxedStrategy<Observed> {
        let token = (option::of(few_names()), any::<bool>()).prop_map(|(rotate, settled)| Issued {
            rotate,
            for_us: true,
            settled,
            ..Issued::default()
        });
        (few_names(), few_names(), few_names(), option::of(token), any::<bool>())
            .prop_map(|(name, display_name, icon, token, ended)| Observed {
                proxy: proxy(&name, &display_name, &icon),
                ended: ended && token.is_some(),
                token,
            })
            .boxed()
    }

    fn bare(with: Desired) -> Desired {
        // Nothing else of a proxy is optional: it must have all three fields, and the Secret must have the URL.
        Desired {
            terms: terms(None, None, false),
            ..with
        }
    }

    fn optional_part(observed: &Observed) -> String {
        format!("{:?}", observed.token.as_ref().map(|token| &token.rotate))
    }

    fn after(desired: &Desired, before: Option<Observed>, change: &Change) -> Observed {
        match (change, before) {
            (Change::Create(request), _) => Observed {
                proxy: proxy(&request.name, &request.display_name, &request.icon),
                token: Some(issued(desired)),
                ended: false,
            },
            (Change::Update { .. }, Some(before)) => Observed {
                proxy: proxy(&desired.name, &desired.display_name, &desired.icon),
                ..before
            },
            (Change::IssueToken(_), Some(before)) => Observed {
                token: Some(issued(desired)),
                ended: false,
                ..before
            },
            (Change::SettleSecret, Some(before)) => {
                let token = before.token.map(|token| Issued { settled: true, ..token });
                Observed { token, ..before }
            }
            (change, None) => panic!("{change} of nothing"),
        }
    }
}

#[test]
fn a_lost_secret_means_a_new_token_unless_the_proxy_was_taken_over() {
    let held = Observed {
        proxy: proxy("paris", "Paris", "/x.png"),
        token: None,
        ended: false,
    };
    let plan = CoderWorkspaceProxy::plan(&desired("paris"), Some(&held));
    assert!(matches!(plan.as_slice(), [Change::IssueToken(Why::Lost)]), "{plan:?}");
    let adopted = Desired {
        terms: terms(None, None, false),
        ..desired("paris")
    };
    assert!(CoderWorkspaceProxy::plan(&adopted, Some(&held)).is_empty());
}

#[test]
fn a_new_annotation_means_a_new_token_once() {
    let asked = Desired {
        terms: terms(Some("2"), None, true),
        ..desired("paris")
    };
    let mut held = Observed {
        proxy: proxy("paris", "Paris", "/x.png"),
        token: Some(issued(&desired("paris"))),
        ended: false,
    };
    let plan = CoderWorkspaceProxy::plan(&asked, Some(&held));
    assert!(matches!(plan.as_slice(), [Change::IssueToken(Why::Asked)]), "{plan:?}");
    held.token = Some(issued(&asked));
    assert!(CoderWorkspaceProxy::plan(&asked, Some(&held)).is_empty());
}

#[test]
fn an_annotation_that_was_acted_upon_before_means_no_new_token() {
    let taken_over = Desired {
        terms: terms(Some("1"), Some("1"), false),
        ..desired("paris")
    };
    let mut held = Observed {
        proxy: proxy("paris", "Paris", "/x.png"),
        token: None,
        ended: false,
    };
    assert!(CoderWorkspaceProxy::plan(&taken_over, Some(&held)).is_empty());
    held.token = Some(issued(&desired("paris")));
    assert!(CoderWorkspaceProxy::plan(&taken_over, Some(&held)).is_empty());
    let asked = Desired {
        terms: terms(Some("2"), Some("1"), false),
        ..taken_over
    };
    for token in [None, held.token.clone()] {
        held.token = token;
        let plan = CoderWorkspaceProxy::plan(&asked, Some(&held));
        assert!(matches!(plan.as_slice(), [Change::IssueToken(Why::Asked)]), "{plan:?}");
    }
}

#[test]
fn an_annotation_from_before_the_adoption_is_noted_before_the_first_call() {
    let taken_over = Desired {
        terms: terms(Some("1"), Some("1"), false),
        ..desired("paris")
    };
    let held = Observed {
        proxy: proxy("paris", "By hand", "/x.png"),
        token: None,
        ended: false,
    };
    let mut status = WorkspaceProxyStatus::default();
    CoderWorkspaceProxy::prepare(&taken_over, &held, &mut status);
    assert_eq!(status.last_handled_rotate.as_deref(), Some("1"));
}

#[test]
fn a_token_that_somebody_else_ended_is_issued_anew_unless_the_proxy_was_taken_over_or_is_fought_over() {
    let held = Observed {
        proxy: proxy("paris", "Paris", "/x.png"),
        token: Some(issued(&desired("paris"))),
        ended: true,
    };
    let plan = |desired: &Desired| CoderWorkspaceProxy::plan(desired, Some(&held));
    let plan_of_created = plan(&desired("paris"));
    assert!(
        matches!(plan_of_created.as_slice(), [Change::IssueToken(Why::Ended)]),
        "{plan_of_created:?}"
    );
    let report = |desired: &Desired| {
        let mut status = WorkspaceProxyStatus::default();
        CoderWorkspaceProxy::report(desired, &held, &mut status, Timestamp::UNIX_EPOCH)
    };
    let taken_over = Desired {
        terms: terms(None, None, false),
        ..desired("paris")
    };
    assert!(plan(&taken_over).is_empty());
    let said = report(&taken_over).notes;
    assert_eq!(said.first().map(|note| note.type_), Some(NoteType::TokenNotIssued));
    assert!(said[0].message.contains("ended in Coder"), "{said:?}");

    let mut fought_over = Desired {
        fought_over: true,
        ..desired("paris")
    };
    assert!(plan(&fought_over).is_empty());
    assert_eq!(report(&fought_over).unmet.unwrap().reason(), Reason::Conflict);
    fought_over.terms.rotate = Some("again".into());
    let asked = plan(&fought_over);
    assert!(
        matches!(asked.as_slice(), [Change::IssueToken(Why::Asked)]),
        "{asked:?}"
    );
}

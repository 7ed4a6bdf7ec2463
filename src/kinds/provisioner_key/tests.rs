use std::collections::BTreeMap;

use jiff::SignedDuration;
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::api::NoteType;
use crate::coder::ProvisionerKeyId;
use crate::engine::Reason;
use crate::engine::cluster::output::Place;
use crate::engine::issued::Home;
use crate::kinds::issued::{Terms, Why};
use crate::kinds::parent::Parent;
use crate::kinds::properties::{Model, few_names, hold_for};

hold_for!(CoderProvisionerKey);

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn organization() -> OrganizationId {
    Uuid::from_u128(7).into()
}

fn terms(rotate: Option<String>, expected: bool, every: Option<SignedDuration>) -> Terms {
    Terms {
        rotate,
        handled: None,
        expected,
        every,
        overlap: HOUR,
        now: Timestamp::UNIX_EPOCH,
    }
}

fn desired() -> Desired {
    Desired {
        organization: Parent {
            id: organization(),
            name: "platform".into(),
            moved: None,
        },
        name: "blue".into(),
        tags: None,
        home: Home {
            place: Place {
                name: "blue".into(),
                key: KEY.into(),
            },
            previous: None,
            beside: BTreeMap::new(),
        },
        terms: terms(None, true, None),
        may_be_used: true,
    }
}

fn tags(value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("cluster".to_owned(), value.to_owned())])
}

fn key(name: &str, tags: BTreeMap<String, String>, daemons: usize) -> ProvisionerKeyItem {
    let id = if name == "blue" { 1 } else { 2 };
    ProvisionerKeyItem {
        id: ProvisionerKeyId(Uuid::from_u128(id)),
        name: name.to_owned(),
        tags,
        created_at: None,
        daemons,
    }
}

fn observed(current: &str, held: Option<Issued>) -> Observed {
    Observed {
        organization: organization(),
        within: "platform".into(),
        name: "blue".into(),
        pair: Pair {
            current: Some(key(current, tags("a"), 0)),
            ..Pair::default()
        },
        held,
    }
}

fn held(current: &str, ago: SignedDuration) -> Issued {
    Issued {
        id: Some(key(current, BTreeMap::new(), 0).id.to_string()),
        at: Some(Timestamp::UNIX_EPOCH - ago),
        settled: true,
        for_us: true,
        ..Issued::default()
    }
}

/// The other one of the two, with its time over or not.
fn with_previous(mut observed: Observed, over: bool, daemons: usize) -> Observed {
    let other = match &observed.pair.current {
        Some(key) if key.name == "blue" => "blue.2",
        _ => "blue",
    };
    let key = key(other, tags("a"), daemons);
    let previous = Previous {
        id: key.id.to_string(),
        retire_at: if over {
            Timestamp::UNIX_EPOCH
        } else {
            Timestamp::UNIX_EPOCH + HOUR
        },
    };
    if let Some(held) = &mut observed.held {
        held.previous = Some(previous.clone());
    }
    observed.pair.previous = Some((key, previous));
    observed
}

impl Model for CoderProvisionerKey {
    fn any_desired() -> BoxedStrategy<Desired> {
        let when = (option::of(few_names()), any::<bool>(), any::<bool>());
        (option::of(few_names()), when, any::<bool>())
            .prop_map(|(value, (rotate, expected, every), may_be_used)| Desired {
                tags: value.map(|value| tags(&value)),
                terms: terms(rotate, expected, every.then_some(HOUR)),
                may_be_used,
                ..desired()
            })
            .boxed()
    }

    fn any_observed() -> BoxedStrategy<Observed> {
        let current = prop_oneof![Just("blue"), Just("blue.2")];
        let other = prop_oneof![Just("none"), Just("over"), Just("used"), Just("stray"), Just("foreign")];
        (current, any::<(bool, bool, bool)>(), other)
            .prop_map(|(current, (in_secret, settled, old), other)| {
                let ago = if old { HOUR } else { SignedDuration::ZERO };
                let held = in_secret.then(|| Issued {
                    settled,
                    ..held(current, ago)
                });
                let mut observed = observed(current, held);
                let next = observed.pair.next("blue");
                match other {
                    "over" => observed = with_previous(observed, true, 0),
                    "used" => observed = with_previous(observed, false, 1),
                    "stray" => observed.pair.stray = Some(key(&next, BTreeMap::new(), 0)),
                    "foreign" => observed.pair.foreign = Some(key(&next, BTreeMap::new(), 0)),
                    _ => {}
                }
                observed
            })
            .boxed()
    }

    fn bare(with: Desired) -> Desired {
        Desired {
            tags: None,
            terms: terms(None, false, None),
            ..with
        }
    }

    fn optional_part(observed: &Observed) -> String {
        format!("{:?}", observed.pair.current)
    }

    fn after(desired: &Desired, before: Option<Observed>, change: &Change) -> Observed {
        let made = |request: &CreateProvisionerKey, before: Option<Previous>| Issued {
            id: Some(request.name.clone()),
            rotate: desired.terms.rotate.clone(),
            previous: before,
            ..held(&request.name, SignedDuration::ZERO)
        };
        match (change, before) {
            (Change::Create(request), _) => {
                let mut observed = observed(&request.name, Some(made(request, None)));
                observed.pair.current = Some(key(&request.name, request.tags.clone().unwrap_or_default(), 0));
                observed
            }
            (Change::Issue(_, request), Some(before)) => {
                assert!(
                    before.pair.ours().all(|key| key.name != request.name),
                    "the name is free"
                );
                let old = before.pair.current.unwrap();
                let previous = Previous {
                    id: old.id.to_string(),
                    retire_at: if desired.may_be_used {
                        desired.terms.retire_at()
                    } else {
                        desired.terms.now
                    },
                };
                let mut observed = observed(&request.name, Some(made(request, Some(previous.clone()))));
                observed.pair.current = Some(key(&request.name, request.tags.clone().unwrap_or_default(), 0));
                observed.pair.previous = Some((old, previous));
                observed
            }
            (Change::Retire(key, _), Some(before)) => Observed {
                pair: before.pair.without(key.id),
                ..before
            },
            (Change::SettleSecret, Some(before)) => {
                let held = before.held.map(|held| Issued {
                    settled: true,
                    id: before.pair.current.as_ref().map(|key| key.id.to_string()),
                    previous: before.pair.previous.as_ref().map(|(_, previous)| previous.clone()),
                    ..held
                });
                Observed { held, ..before }
            }
            (change, None) => panic!("{change} of nothing"),
        }
    }
}

fn plan(desired: &Desired, observed: &Observed) -> Vec<String> {
    let changes = CoderProvisionerKey::plan(desired, Some(observed));
    changes.iter().map(ToString::to_string).collect()
}

#[test]
fn a_new_key_takes_the_other_name_and_the_old_one_stays_for_a_while() {
    let asked = Desired {
        terms: terms(Some("1".into()), true, None),
        ..desired()
    };
    let issue = |as_: &str| format!("issue a new key as asked: running daemons need the new Secret, as {as_}");
    let held = |current| observed(current, Some(held(current, SignedDuration::ZERO)));
    assert_eq!(plan(&asked, &held("blue")), [issue("blue.2")]);
    assert_eq!(plan(&asked, &held("blue.2")), [issue("blue")]);
    let again = with_previous(held("blue.2"), false, 3);
    let early = "delete the key before, blue, early: its name is needed".to_owned();
    assert_eq!(plan(&asked, &again), [early, issue("blue")]);
    assert_eq!(plan(&desired(), &again), [""; 0]);
    let over = with_previous(held("blue.2"), true, 3);
    assert_eq!(plan(&desired(), &over), ["delete the key before, blue"]);
}

#[test]
fn a_key_that_nobody_uses_goes_five_minutes_after_it_was_replaced() {
    let replaced = |ago| with_previous(observed("blue.2", Some(held("blue.2", ago))), false, 0);
    assert_eq!(plan(&desired(), &replaced(SignedDuration::from_mins(4))), [""; 0]);
    let unused = replaced(SignedDuration::from_mins(5));
    assert_eq!(plan(&desired(), &unused), ["delete the key before, blue"]);
}

#[test]
fn a_key_that_reached_no_secret_goes_at_once_and_one_of_somebody_else_never() {
    let mut crashed = observed("blue", Some(held("blue", SignedDuration::ZERO)));
    crashed.pair.stray = Some(key("blue.2", BTreeMap::new(), 0));
    assert_eq!(
        plan(&desired(), &crashed),
        ["delete key blue.2, which reached no Secret"]
    );
    let mut foreign = observed("blue", None);
    foreign.pair.foreign = Some(key("blue.2", BTreeMap::new(), 0));
    assert_eq!(plan(&desired(), &foreign), [""; 0]);
    let mut status = ProvisionerKeyStatus::default();
    let report = CoderProvisionerKey::report(&desired(), &foreign, &mut status, Timestamp::UNIX_EPOCH);
    assert_eq!(report.unmet.map(|unmet| unmet.reason()), Some(Reason::AlreadyExists));
}

#[test]
fn other_tags_mean_another_key() {
    let other = Desired {
        tags: Some(tags("b")),
        ..desired()
    };
    let held = observed("blue", Some(held("blue", SignedDuration::ZERO)));
    let changes = CoderProvisionerKey::plan(&other, Some(&held));
    assert!(
        matches!(changes.as_slice(), [Change::Issue(Why::Other("tags"), _)]),
        "{changes:?}"
    );
    let same = Desired {
        tags: Some(tags("a")),
        ..desired()
    };
    assert!(CoderProvisionerKey::plan(&same, Some(&held)).is_empty());
}

#[test]
fn what_was_taken_over_is_issued_only_when_asked() {
    let taken_over = Desired {
        terms: terms(None, false, Some(HOUR)),
        ..desired()
    };
    assert_eq!(plan(&taken_over, &observed("blue", None)), [""; 0]);
    let mut status = ProvisionerKeyStatus::default();
    let found = observed("blue", None);
    let report = CoderProvisionerKey::report(&taken_over, &found, &mut status, Timestamp::UNIX_EPOCH);
    assert_eq!(
        report.notes.first().map(|note| note.type_),
        Some(NoteType::SecretNotIssued)
    );
}

#[test]
fn what_is_being_issued_is_noted_before_the_call() {
    let mut status = ProvisionerKeyStatus::default();
    let lost = observed("blue", None);
    CoderProvisionerKey::prepare(&desired(), &lost, &mut status);
    assert_eq!(status.issuing.as_deref(), Some("blue.2"));
    let held = observed("blue", Some(held("blue", SignedDuration::ZERO)));
    CoderProvisionerKey::report(&desired(), &held, &mut status, Timestamp::UNIX_EPOCH);
    assert_eq!((status.issuing, status.name.as_deref()), (None, Some("blue")));
}

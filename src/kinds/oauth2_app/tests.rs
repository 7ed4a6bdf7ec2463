use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::engine::cluster::output::Place;
use crate::engine::issued::Previous;
use crate::kinds::issued::{Terms, Why};
use crate::kinds::properties::{Model, few_names, few_texts, hold_for};

hold_for!(CoderOAuth2App);

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const CALLBACK: &str = "https://app.example.com/cb";

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
        name: "app".into(),
        callback_url: CALLBACK.into(),
        icon: None,
        place: Some(Place {
            name: "app".into(),
            key: "CLIENT_SECRET".into(),
        }),
        moved_from: None,
        terms: terms(None, true, None),
        issued: None,
        previous: None,
    }
}

fn app(request: &PutOAuth2App) -> OAuth2App {
    OAuth2App {
        id: Uuid::from_u128(1).into(),
        name: request.name.clone(),
        callback_url: request.callback_url.clone(),
        icon: request.icon.clone(),
        endpoints: crate::coder::OAuth2Endpoints::default(),
    }
}

fn of(name: &str, icon: &str) -> OAuth2App {
    app(&PutOAuth2App {
        name: name.into(),
        callback_url: CALLBACK.into(),
        icon: icon.into(),
    })
}

fn secret(id: &str) -> OAuth2Secret {
    OAuth2Secret {
        id: id.into(),
        client_secret_truncated: format!("end-of-{id}"),
    }
}

fn held(id: &str) -> Issued {
    Issued {
        id: Some(id.into()),
        at: Some(Timestamp::UNIX_EPOCH),
        settled: true,
        for_us: true,
        ..Issued::default()
    }
}

fn before(id: &str, over: bool) -> Previous {
    Previous {
        id: id.into(),
        retire_at: Timestamp::UNIX_EPOCH + if over { SignedDuration::ZERO } else { HOUR },
    }
}

/// An application with a secret in the Secret, and perhaps one before.
fn in_use(previous: Option<bool>) -> Observed {
    let previous = previous.map(|over| before("old", over));
    Observed {
        app: of("app", ""),
        secrets: ["now", "old"]
            .map(secret)
            .into_iter()
            .take(1 + usize::from(previous.is_some()))
            .collect(),
        held: Some(Issued {
            previous,
            ..held("now")
        }),
        is_new: false,
    }
}

impl Model for CoderOAuth2App {
    fn any_desired() -> BoxedStrategy<Desired> {
        let when = (option::of(few_names()), any::<bool>(), any::<bool>());
        (few_names(), option::of(few_texts()), when, any::<bool>())
            .prop_map(|(name, icon, (rotate, expected, every), managed)| Desired {
                name,
                icon,
                terms: terms(rotate, expected, every.then_some(HOUR)),
                place: desired().place.filter(|_| managed),
                ..desired()
            })
            .boxed()
    }

    fn any_observed() -> BoxedStrategy<Observed> {
        let secrets = prop_oneof![
            Just(None),
            Just(Some(None)),
            Just(Some(Some(true))),
            Just(Some(Some(false)))
        ];
        (few_names(), few_texts(), secrets, any::<bool>())
            .prop_map(|(name, icon, secrets, settled)| {
                let app = of(&name, &icon);
                match secrets {
                    None => Observed {
                        app,
                        secrets: vec![secret("somebody's")],
                        held: None,
                        is_new: false,
                    },
                    Some(previous) => {
                        let mut observed = Observed {
                            app,
                            ..in_use(previous)
                        };
                        observed.held = observed.held.map(|held| Issued { settled, ..held });
                        observed
                    }
                }
            })
            .boxed()
    }

    fn bare(with: Desired) -> Desired {
        Desired {
            icon: None,
            place: None,
            ..with
        }
    }

    fn optional_part(observed: &Observed) -> String {
        format!("{} {:?} {:?}", observed.app.icon, observed.secrets, observed.held)
    }

    fn after(desired: &Desired, before: Option<Observed>, change: &Change) -> Observed {
        match (change, before) {
            (Change::Create(request), _) => Observed {
                app: app(request),
                secrets: Vec::new(),
                held: None,
                is_new: true,
            },
            (Change::Update(request, ..), Some(before)) => Observed {
                app: app(request),
                ..before
            },
            (Change::IssueSecret(_), Some(mut before)) => {
                let replaced = before.current(desired).map(|id| Previous {
                    id: id.to_owned(),
                    retire_at: desired.terms.retire_at(),
                });
                before.secrets.push(secret("new"));
                before.is_new = false;
                before.held = Some(Issued {
                    rotate: desired.terms.rotate.clone(),
                    previous: replaced,
                    ..held("new")
                });
                before
            }
            (Change::RetireSecret(id), Some(mut before)) => {
                before.secrets.retain(|secret| secret.id != *id);
                before
            }
            (Change::SettleSecret, Some(mut before)) => {
                let previous = before.previous(desired).cloned();
                before.held = before.held.map(|held| Issued {
                    settled: true,
                    previous,
                    ..held
                });
                before
            }
            (change, None) => panic!("{change} of nothing"),
        }
    }
}

fn plan(desired: &Desired, observed: &Observed) -> Vec<String> {
    let changes = CoderOAuth2App::plan(desired, Some(observed));
    changes.iter().map(ToString::to_string).collect()
}

#[test]
fn there_is_room_for_one_secret_before_the_present_one() {
    let asked = Desired {
        terms: terms(Some("1".into()), true, None),
        ..desired()
    };
    let issue = "issue a new client secret as asked: clients need the new Secret";
    assert_eq!(plan(&asked, &in_use(None)), [issue]);
    assert_eq!(
        plan(&asked, &in_use(Some(false))),
        ["delete the client secret before", issue]
    );
    assert_eq!(plan(&desired(), &in_use(Some(false))), [""; 0]);
    assert_eq!(
        plan(&desired(), &in_use(Some(true))),
        ["delete the client secret before"]
    );
}

#[test]
fn secrets_of_others_are_counted_and_never_touched() {
    let mut observed = in_use(None);
    observed.secrets.push(secret("somebody's"));
    assert_eq!(plan(&desired(), &observed), [""; 0]);
    let mut status = OAuth2AppStatus::default();
    let report = CoderOAuth2App::report(&desired(), &observed, &mut status, Timestamp::UNIX_EPOCH);
    let note = report.notes.first().expect("a note");
    assert_eq!(note.type_, NoteType::UnclaimedSecrets);
    assert!(note.message.contains("…end-of-somebody's") && !note.message.contains("end-of-now"));
    assert_eq!(status.secret_id.as_deref(), Some("now"));
}

#[test]
fn a_lost_secret_is_replaced_and_stays_for_a_while_and_the_first_one_is_no_loss() {
    let lost = Desired {
        issued: Some("now".into()),
        ..desired()
    };
    let observed = Observed {
        held: None,
        ..in_use(None)
    };
    let of = |desired| match CoderOAuth2App::plan(desired, Some(&observed)).as_slice() {
        [Change::IssueSecret(why)] => *why,
        changes => panic!("{changes:?}"),
    };
    assert_eq!(of(&lost), Why::Lost);
    assert_eq!(observed.current(&lost), Some("now"));
    assert_eq!(of(&desired()), Why::First);
}

#[test]
fn an_icon_that_is_left_open_is_sent_as_it_is() {
    let renamed = Observed {
        app: of("before", "/x.png"),
        ..in_use(None)
    };
    let changes = CoderOAuth2App::plan(&desired(), Some(&renamed));
    let [Change::Update(request, _, open)] = changes.as_slice() else {
        panic!("{changes:?}")
    };
    assert_eq!((&*request.icon, *open), ("/x.png", true));
}

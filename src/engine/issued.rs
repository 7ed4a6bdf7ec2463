//! Values that Coder shows once, and the Secrets that keep them.
//!
//! The Secret alone carries what is known of its value, in annotations that are written together with it. What was
//! found there before Coder is asked for a new value must still be there when the new one is written: of two processes
//! that ask, the one that comes late overwrites nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use secrecy::SecretString;

use crate::api::annotation::ROTATE;
use crate::engine::cluster::output::{self, Content, Output, OutputSecret, Place, Write};
use crate::engine::{Cx, Error};

/// When the value was issued.
const ISSUED_AT: &str = "coder-operator.dev/issued-at";
/// The uid of the custom resource that it was issued for.
const ISSUED_FOR: &str = "coder-operator.dev/issued-for";
/// The digest of the value, by which one that was changed by hand is known.
const VALUE_SHA256: &str = "coder-operator.dev/value-sha256";
/// The credential's id in Coder, where the value does not show it. As long as Coder has not said it: its name there.
const SECRET_ID: &str = "coder-operator.dev/secret-id";
/// The id of the credential that this one replaced, and that still works.
const PREVIOUS_ID: &str = "coder-operator.dev/previous-id";
/// Until when it does.
const RETIRE_AT: &str = "coder-operator.dev/retire-at";
/// All of them.
const FACTS: [&str; 7] = [
    ISSUED_AT,
    ISSUED_FOR,
    VALUE_SHA256,
    ROTATE,
    SECRET_ID,
    PREVIOUS_ID,
    RETIRE_AT,
];

/// Where a value lives.
#[derive(Clone, Debug)]
pub struct Home {
    /// Where it shall be.
    pub place: Place,
    /// Where it was before the spec named another Secret or key.
    pub previous: Option<Place>,
    /// What is no secret and shall stand beside it.
    pub beside: BTreeMap<String, String>,
}

/// A value that is in a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Issued {
    /// When it was issued.
    pub at: Option<Timestamp>,
    /// For which value of the annotation that asks for a new one.
    pub rotate: Option<String>,
    /// Whether it was issued for this very custom resource: not for one before it, and not by somebody else.
    pub for_us: bool,
    /// Whether the Secret is as it shall be: ours, where the spec says, with all that belongs into it.
    pub settled: bool,
    /// By what the Secret says which credential it is: its id, or its name as long as Coder has not said that.
    pub id: Option<String>,
    /// The one before it, which still works.
    pub previous: Option<Previous>,
}

/// A credential that goes on working beside the one that replaced it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Previous {
    /// Its id in Coder.
    pub id: String,
    /// Until when.
    pub retire_at: Timestamp,
}

/// The value of one of the credentials with these ids, or names, if a Secret of the object holds it.
///
/// # Errors
/// `SecretConflict` when the Secret holds anything else and is not the object's own.
pub async fn find(cx: &Cx<'_>, home: &Home, ids: &[&str]) -> Result<Option<Issued>, Error> {
    let found = look(cx, home).await?;
    if !found.may_be_written(home, ids) {
        return Err(output::foreign(&cx.me.key.namespace, &home.place.name));
    }
    let Some((secret, _)) = found.holder(home, ids) else {
        return Ok(None);
    };
    let fact = |name: &str| secret.annotations.get(name);
    let here = matches!(&found.here, Output::Ours(here) if holds(here, &home.place.key, ids));
    let beside = home
        .beside
        .iter()
        .all(|(key, value)| secret.digest(key) == Some(output::digest(&SecretString::from(value.clone()))));
    Ok(Some(Issued {
        at: fact(ISSUED_AT).and_then(|at| at.parse().ok()),
        rotate: fact(ROTATE).cloned(),
        // Before this was noted, no Secret of another object was ever taken over.
        for_us: match fact(ISSUED_FOR) {
            Some(uid) => *uid == cx.owner.reference.uid,
            None => !matches!(found.here, Output::Left(_)),
        },
        settled: here && beside && fact(VALUE_SHA256).is_some() && !found.left_behind(home),
        id: fact(SECRET_ID).cloned(),
        previous: previous_of(secret),
    }))
}

/// Whether the value is of one of these credentials. What is noted of a value counts for that very value only; without a
/// note the value itself says it.
fn holds(secret: &OutputSecret, key: &str, ids: &[&str]) -> bool {
    match secret.annotations.get(SECRET_ID) {
        Some(noted) => {
            let digest = secret.digest(key);
            digest.is_some() && secret.annotations.get(VALUE_SHA256) == digest.as_ref() && ids.contains(&&**noted)
        }
        None => ids.iter().any(|id| secret.holds(key, id, VALUE_SHA256)),
    }
}

fn previous_of(secret: &OutputSecret) -> Option<Previous> {
    let fact = |name: &str| secret.annotations.get(name);
    Some(Previous {
        id: fact(PREVIOUS_ID)?.clone(),
        retire_at: fact(RETIRE_AT)?.parse().ok()?,
    })
}

/// What stands where the value is to be written: the digest of it. Read before Coder is asked for the value.
///
/// # Errors
/// `SecretConflict` when the Secret is somebody else's.
pub async fn before(cx: &Cx<'_>, home: &Home) -> Result<Option<String>, Error> {
    match cx.output(&home.place.name).await? {
        Output::Absent => Ok(None),
        Output::Ours(secret) | Output::Left(secret) => Ok(secret.digest(&home.place.key)),
        Output::Foreign => Err(output::foreign(&cx.me.key.namespace, &home.place.name)),
    }
}

/// Makes sure that a value could be written now, before Coder is asked for it. `inherits`: whether a Secret that a
/// predecessor left may be taken over, because [`find`] saw what it holds.
///
/// # Errors
/// What the write would meet.
pub async fn rehearse(cx: &Cx<'_>, home: &Home, rotate: Option<&str>, inherits: bool) -> Result<(), Error> {
    let before = before(cx, home).await?;
    let content = content(
        cx,
        home,
        Credential::of(SecretString::from("rehearsal")),
        rotate,
        inherits,
    );
    let write = Write::Rehearse;
    cx.outputs
        .write(&cx.owner, &home.place, before.as_deref(), &content, write)
        .await
}

/// What Coder just showed.
pub struct Credential {
    /// The value.
    pub value: SecretString,
    /// When Coder made it by its own clock, if it says so.
    pub at: Option<Timestamp>,
    /// Its id, where the value does not show it; its name where Coder has not said that yet.
    pub id: Option<String>,
    /// The one that it replaces.
    pub previous: Option<Previous>,
}

impl Credential {
    /// A value that shows itself which credential it is, and replaces none.
    #[must_use]
    pub fn of(value: SecretString) -> Self {
        Self {
            value,
            at: None,
            id: None,
            previous: None,
        }
    }
}

/// Puts a value that Coder just showed into the Secret. `before` is what was there when Coder was asked.
///
/// # Errors
/// `Superseded` when that changed.
pub async fn keep(
    cx: &Cx<'_>,
    home: &Home,
    shown: Credential,
    rotate: Option<&str>,
    inherits: bool,
    before: Option<&str>,
) -> Result<(), Error> {
    let content = content(cx, home, shown, rotate, inherits);
    cx.outputs
        .write(&cx.owner, &home.place, before, &content, Write::Really)
        .await
}

/// What is to be noted of a value that is there.
#[derive(Clone, Debug, Default)]
pub struct Noted<'a> {
    /// For which value of the annotation that asks for a new one, where the Secret was a predecessor's.
    pub rotate: Option<&'a str>,
    /// Its id, where the value does not show it.
    pub id: Option<String>,
    /// The credential that it replaced, if that still works.
    pub previous: Option<Previous>,
}

/// Makes the Secret as it shall be, with the value that there is: takes it over from a predecessor, moves it to where the
/// spec now says, writes what belongs beside it.
///
/// # Errors
/// `Superseded` when the value is not there any more.
pub async fn settle(cx: &Cx<'_>, home: &Home, ids: &[&str], noted: Noted<'_>) -> Result<(), Error> {
    let found = look(cx, home).await?;
    if !found.may_be_written(home, ids) {
        return Err(output::foreign(&cx.me.key.namespace, &home.place.name));
    }
    let Some((secret, value)) = found
        .holder(home, ids)
        .and_then(|(secret, key)| Some((secret, secret.value(key)?)))
    else {
        return Err(Error::Superseded);
    };
    let mut annotations: BTreeMap<String, String> = [ISSUED_AT, ISSUED_FOR, ROTATE]
        .iter()
        .filter_map(|fact| Some(((*fact).to_owned(), secret.annotations.get(*fact)?.clone())))
        .collect();
    annotations.insert(VALUE_SHA256.to_owned(), output::digest(&value));
    if matches!(found.here, Output::Left(_)) {
        annotations
            .entry(ISSUED_FOR.to_owned())
            .or_insert_with(|| "unknown".to_owned());
        annotations.extend(noted.rotate.map(|rotate| (ROTATE.to_owned(), rotate.to_owned())));
    }
    annotations.extend(credential_facts(noted.id, noted.previous));
    let elsewhere = home.previous.as_ref().filter(|old| old.name != home.place.name);
    let removed = match (&home.previous, elsewhere) {
        (Some(old), None) => vec![old.key.clone()],
        _ => Vec::new(),
    };
    let content = Content {
        data: data(home, value),
        annotations,
        removed,
        inherits: true,
    };
    let before = found.here.secret().and_then(|secret| secret.digest(&home.place.key));
    cx.outputs
        .write(&cx.owner, &home.place, before.as_deref(), &content, Write::Really)
        .await?;
    if let Some(old) = elsewhere {
        let mut keys: Vec<&str> = home.beside.keys().map(String::as_str).collect();
        keys.push(&old.key);
        cx.outputs.discard(&cx.owner, &old.name, &keys, &FACTS).await?;
    }
    Ok(())
}

fn content(cx: &Cx<'_>, home: &Home, shown: Credential, rotate: Option<&str>, inherits: bool) -> Content {
    let Credential {
        value,
        at,
        id,
        previous,
    } = shown;
    let at = at.unwrap_or(cx.now);
    let mut annotations = BTreeMap::from([
        (ISSUED_AT.to_owned(), at.to_string()),
        (ISSUED_FOR.to_owned(), cx.owner.reference.uid.clone()),
        (VALUE_SHA256.to_owned(), output::digest(&value)),
    ]);
    annotations.extend(rotate.map(|rotate| (ROTATE.to_owned(), rotate.to_owned())));
    annotations.extend(credential_facts(id, previous));
    Content {
        data: data(home, value),
        annotations,
        removed: Vec::new(),
        inherits,
    }
}

fn credential_facts(id: Option<String>, previous: Option<Previous>) -> impl Iterator<Item = (String, String)> {
    let id = id.map(|id| (SECRET_ID, id));
    let previous = previous.map(|Previous { id, retire_at }| [(PREVIOUS_ID, id), (RETIRE_AT, retire_at.to_string())]);
    let facts = id.into_iter().chain(previous.into_iter().flatten());
    facts.map(|(name, value)| (name.to_owned(), value))
}

fn data(home: &Home, value: SecretString) -> BTreeMap<String, SecretString> {
    let beside = home.beside.iter();
    beside
        .map(|(key, value)| (key.clone(), SecretString::from(value.clone())))
        .chain([(home.place.key.clone(), value)])
        .collect()
}

/// What stands where the value shall be, and where it was before.
struct Found {
    here: Output,
    /// Only when that is another Secret.
    before: Option<Output>,
}

async fn look(cx: &Cx<'_>, home: &Home) -> Result<Found, Error> {
    let here = cx.output(&home.place.name).await?;
    if matches!(here, Output::Foreign) {
        return Err(output::foreign(&cx.me.key.namespace, &home.place.name));
    }
    let before = match &home.previous {
        Some(old) if old.name != home.place.name => Some(cx.output(&old.name).await?),
        _ => None,
    };
    Ok(Found { here, before })
}

impl Found {
    /// Whether what stands where the value shall be is the object's, or is left over and holds this very value. Who moves
    /// to a Secret that nobody owns has no more right to it than who begins with it.
    fn may_be_written(&self, home: &Home, ids: &[&str]) -> bool {
        match &self.here {
            Output::Absent | Output::Ours(_) => true,
            Output::Left(left) => holds(left, &home.place.key, ids),
            Output::Foreign => false,
        }
    }

    /// The Secret that holds the value, and the key in it.
    fn holder<'f>(&'f self, home: &'f Home, ids: &[&str]) -> Option<(&'f OutputSecret, &'f str)> {
        let here = self.here.secret().map(|secret| (secret, home.place.key.as_str()));
        [here, self.old(home)]
            .into_iter()
            .flatten()
            .find(|(secret, key)| holds(secret, key, ids))
    }

    /// The object's own Secret of before, and the key in it.
    fn old<'f>(&'f self, home: &'f Home) -> Option<(&'f OutputSecret, &'f str)> {
        let old = home.previous.as_ref()?;
        match self.before.as_ref().unwrap_or(&self.here) {
            Output::Ours(secret) => Some((secret, &old.key)),
            _ => None,
        }
    }

    /// Whether a value is still where it was before.
    fn left_behind(&self, home: &Home) -> bool {
        self.old(home).is_some_and(|(secret, key)| secret.digest(key).is_some())
    }
}

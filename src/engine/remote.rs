//! What a kind has to say so that the engine can do the rest.

use std::fmt;
use std::future::Future;

use jiff::{SignedDuration, Timestamp};

use crate::api::{DeletionPolicy, Kind, NoteType, Origin};
use crate::engine::cx::Cx;
use crate::engine::error::{Error, Reason};
use crate::engine::pass::drift::Deviation;
use crate::metrics::Samples;

/// The rule of one kind: how a custom resource becomes an object in Coder.
///
/// Conflict, adoption, crash safety, drift, deletion, status and events are the engine's and the same for all kinds.
pub trait Remote: Kind {
    /// Whether it is created and deleted, or always there.
    const LIFE: Life = Life::Object;
    /// What messages call it, followed by its key: `group`.
    const NOUN: &'static str;
    /// The role that the token's user needs to change it, as people say it: `the role Owner`.
    const NEEDS: &'static str;

    /// How long a creation that got no answer may still come true. Only for what Coder would make twice: it is not begun
    /// again before.
    const SETTLES: Option<SignedDuration> = None;

    /// What shall be, with references resolved and values parsed.
    type Desired: Send + Sync;
    /// What Coder holds.
    type Observed: Clone + Send + Sync;
    /// What the status keeps to find the object again. Its text is the id: equal for two custom resources exactly when they
    /// hold the same object of a deployment.
    type Identity: fmt::Display + Clone + Send + Sync;
    /// One call that changes Coder.
    type Change: Change<Self>;

    /// Turns the spec into what shall be: looks up references and Secrets, writes nothing to Coder.
    fn resolve(cx: &Cx<'_>, object: &Self) -> impl Future<Output = Result<Self::Desired, Error>> + Send;

    /// By what an object of this kind is found before it has an id: unique among all objects of the kind in a
    /// deployment, equal exactly when Coder would refuse the second one.
    fn natural_key(desired: &Self::Desired) -> String;

    /// The organizations that a write would touch, by their names in Coder: those that are wanted and those that are there.
    /// The instance must grant all of them.
    fn organizations<'a>(desired: Option<&'a Self::Desired>, observed: Option<&'a Self::Observed>) -> Vec<&'a str>;

    /// What the status says of where it is.
    fn identity(status: &Self::Status) -> Option<Self::Identity>;

    /// What Coder holds, from the mirror: as much of it as `desired` asks for, the least when a deletion asks. `None`
    /// only when the list that shows it does not have it, or has something else under the same id.
    fn observe(
        cx: &Cx<'_>,
        desired: Option<&Self::Desired>,
        target: Target<'_, Self::Identity>,
    ) -> impl Future<Output = Result<Option<Self::Observed>, Error>> + Send;

    /// Whether an object that the status knows and the list does not show is gone. Asked before anything is made again, and
    /// before a deletion counts as done: some lists leave out what the token may not read.
    ///
    /// # Errors
    /// When the token might simply not see it.
    fn believe_gone(_cx: &Cx<'_>, _identity: &Self::Identity) -> impl Future<Output = Result<(), Error>> + Send {
        async { Ok(()) }
    }

    /// Whether what was observed can be compared at all.
    ///
    /// # Errors
    /// When a plan made from it would be wrong.
    fn check(_desired: &Self::Desired, _observed: &Self::Observed) -> Result<(), Error> {
        Ok(())
    }

    /// Of what always stands: whether nobody has set yet what the spec manages, so that whoever does is its creator.
    fn untouched(_desired: &Self::Desired, _observed: &Self::Observed) -> bool {
        false
    }

    /// The calls that make Coder agree. Pure. Empty when it does; a first one that creates when there is nothing.
    fn plan(desired: &Self::Desired, observed: Option<&Self::Observed>) -> Vec<Self::Change>;

    /// What must stand in the status before the first call of a plan, so that a crash after it is no loss: what this object
    /// manages, and what it adds to lists that it shares with others.
    fn prepare(_desired: &Self::Desired, _observed: &Self::Observed, _status: &mut Self::Status) {}

    /// Whether the change could be carried through to its end, as far as that can be known before: what Coder shows once
    /// must have a place to go to. Asked before the change, and before a creation is begun; writes nothing.
    fn rehearse(
        _cx: &Cx<'_>,
        _desired: &Self::Desired,
        _change: &Self::Change,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        async { Ok(()) }
    }

    /// Makes the call. Answers with what Coder holds afterwards. A call that creates reads nothing more: what its answer does
    /// not show is read by [`Remote::complete`], when the creation is recorded.
    fn apply(
        cx: &Cx<'_>,
        desired: &Self::Desired,
        observed: Option<&Self::Observed>,
        change: &Self::Change,
    ) -> impl Future<Output = Result<Self::Observed, Error>> + Send;

    /// Adds what the answer to a creation did not show.
    fn complete(
        _cx: &Cx<'_>,
        _desired: &Self::Desired,
        observed: Self::Observed,
    ) -> impl Future<Output = Result<Self::Observed, Error>> + Send {
        async { Ok(observed) }
    }

    /// Writes the identity and the facts that users want to see into the status, and says what else is worth saying.
    fn report(desired: &Self::Desired, observed: &Self::Observed, status: &mut Self::Status, now: Timestamp) -> Report;

    /// Adds what the kind measures of one object.
    fn measure(_object: &Self, _samples: &mut Samples) {}

    /// The names of the Secrets that the object writes. They stay, without an owner, when the object lets go of what it
    /// stands for in Coder.
    fn secrets(_object: &Self) -> Vec<&str> {
        Vec::new()
    }

    /// When the object was made, where Coder says so.
    fn created_at(_observed: &Self::Observed) -> Option<Timestamp> {
        None
    }

    /// What becomes of it in Coder when nobody says.
    fn deletion_default(origin: Option<Origin>) -> DeletionPolicy {
        match origin {
            Some(Origin::Created) => DeletionPolicy::Delete,
            Some(Origin::Adopted) | None => DeletionPolicy::Orphan,
        }
    }

    /// The identity of what was observed, to delete an object whose id was never recorded.
    fn identify(observed: &Self::Observed) -> Self::Identity;

    /// Deletes in Coder what was just observed of that identity. Coder's "not found" is an error like any other: the engine
    /// finds out what it means.
    fn delete(
        cx: &Cx<'_>,
        identity: &Self::Identity,
        observed: &Self::Observed,
    ) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Whether something in Coder comes and goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It is created and deleted.
    Object,
    /// It is there as long as what it belongs to is: a setting. It is never created; deleting gives back its initial value.
    Standing,
}

/// One call that changes Coder. `Display` is one line for events, logs and plans; it never shows a secret.
pub trait Change<K: Kind>: fmt::Display + Send + Sync {
    /// Whether it makes a new object in Coder. After it, the rest of the plan is made anew.
    fn creates(&self) -> bool {
        false
    }

    /// Whether it must be planned from what is there just now: because it also writes what the spec leaves open, as it was
    /// seen, or because the status will say that what it adds was not there before.
    fn looks_first(&self) -> bool {
        false
    }

    /// What somebody else did that the change sets right, one deviation a field; the spec did not ask for it just now (its
    /// generation was in sync before). None for what was waited for, or asked for otherwise.
    fn deviations(&self, before: &K::Status) -> Vec<Deviation>;
}

/// By what to look.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a, I> {
    /// By what the status keeps.
    Identity(&'a I),
    /// By [`Remote::natural_key`].
    Key(&'a str),
}

/// What a pass has to say beyond its verdict.
#[derive(Debug, Default)]
pub struct Report {
    /// Informational conditions; those not named are removed.
    pub notes: Vec<Note>,
    /// When to look again although nothing happened.
    pub look_again: Option<Timestamp>,
    /// The part of the spec that could not be carried out, and why. The rest was.
    pub unmet: Option<Error>,
}

/// An informational condition, there only while there is something to say. Its appearance is also an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Type of the condition, and its reason.
    pub type_: NoteType,
    /// A stable sentence.
    pub message: String,
}

impl Note {
    /// A note.
    pub fn new(type_: NoteType, message: impl Into<String>) -> Self {
        Self {
            type_,
            message: message.into(),
        }
    }
}

/// A refusal to delete.
pub fn deletion_refused(message: impl Into<String>) -> Error {
    Error::terminal(Reason::DeletionRefused, message)
}

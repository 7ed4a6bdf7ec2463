//! How much of a kind is known: which lists came, which did not, and why.
//!
//! That something does not exist is believed only where the list that would show it has come.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::runtime::watcher;
use tokio::time::Instant;

use crate::engine::error::{Error, Reason};

/// A watch that failed that lately has not recovered, as far as anybody knows.
const LATELY: Duration = Duration::from_mins(1);
/// How often in a row the API server must say that it does not know a kind. Once may be said by a server that is just
/// starting.
const UNKNOWN_TWICE: u32 = 2;

/// Which namespaces are watched.
#[derive(Clone, Debug, Default)]
pub enum Namespaces {
    /// All.
    #[default]
    All,
    /// These.
    Only(Vec<String>),
}

/// What is known of a kind. Clones share it.
#[derive(Clone, Debug)]
pub struct Coverage {
    kind: Arc<str>,
    sources: Arc<Mutex<Vec<Source>>>,
}

/// One list, and the watch that follows it.
#[derive(Debug)]
struct Source {
    /// Of this namespace; `None` for all.
    namespace: Option<String>,
    listed: bool,
    failure: Option<(Instant, String)>,
    /// How often in a row the API server did not know the kind.
    unknown: u32,
}

/// Part of a kind that cannot be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The kind.
    pub kind: String,
    /// The namespace; `None` for all.
    pub namespace: Option<String>,
    /// Why; `None` while nothing has gone wrong yet.
    pub cause: Option<String>,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.kind)?;
        if let Some(namespace) = &self.namespace {
            write!(f, " in namespace {namespace}")?;
        }
        if let Some(cause) = &self.cause {
            write!(f, " ({cause})")?;
        }
        Ok(())
    }
}

impl Coverage {
    /// Nothing is known of the kind yet.
    #[must_use]
    pub fn new(kind: &str, namespaces: &Namespaces) -> Self {
        let namespaces = match namespaces {
            Namespaces::All => vec![None],
            Namespaces::Only(names) => names.iter().cloned().map(Some).collect(),
        };
        let sources = namespaces.into_iter().map(|namespace| Source {
            namespace,
            listed: false,
            failure: None,
            unknown: 0,
        });
        Self {
            kind: kind.into(),
            sources: Arc::new(Mutex::new(sources.collect())),
        }
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Whether anybody looks at all.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        !self.lock().is_empty()
    }

    /// Whether every list has come.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.lock().iter().all(|source| source.listed)
    }

    /// The lists that have not come, and the watches that fail lately.
    #[must_use]
    pub fn missing(&self) -> Vec<Missing> {
        let sources = self.lock();
        let missing = sources.iter().filter(|source| !source.listed || source.fails());
        missing
            .map(|source| Missing {
                kind: self.kind.to_string(),
                namespace: source.namespace.clone(),
                cause: source.failure.as_ref().map(|(_, cause)| cause.clone()),
            })
            .collect()
    }

    /// Whether it is known which objects of the kind that namespace holds. A kind that the cluster does not know has
    /// none, and a namespace that is not watched has none that count.
    ///
    /// # Errors
    /// `Pending` before the list had its time, waiting when it cannot be had.
    pub fn of(&self, namespace: &str) -> Result<(), Error> {
        let covers = |source: &&Source| source.namespace.as_deref().is_none_or(|name| name == namespace);
        match self.lock().iter().find(covers) {
            Some(source) => source.known(&self.kind),
            None => Ok(()),
        }
    }

    /// Whether it is known of each watched namespace which objects of the kind it holds, leaving out those that do not
    /// matter.
    ///
    /// # Errors
    /// As [`Coverage::of`].
    pub fn everywhere(&self, matters: impl Fn(Option<&str>) -> bool) -> Result<(), Error> {
        let sources = self.lock();
        let mut mattering = sources.iter().filter(|source| matters(source.namespace.as_deref()));
        mattering.try_for_each(|source| source.known(&self.kind))
    }

    /// The list is complete. Says whether that is new.
    pub(in crate::engine) fn listed(&self, source: usize) -> bool {
        self.update(source, |source| {
            source.failure = None;
            source.unknown = 0;
            !std::mem::replace(&mut source.listed, true)
        })
    }

    /// The list or its watch failed. Says whether that changes what is known. What goes on failing, every few seconds, is
    /// logged once.
    pub(in crate::engine) fn failed(&self, source: usize, error: &watcher::Error) -> bool {
        let unknown = is_unknown(error);
        let cause = cause(error);
        self.update(source, |source| {
            if source.fails_because(&cause) {
                tracing::debug!(kind = &*self.kind, namespace = source.namespace, %error, "still cannot list or watch");
            } else {
                tracing::warn!(kind = &*self.kind, namespace = source.namespace, cause, %error, "cannot list or watch");
            }
            let before = source.known("").is_ok();
            let first = source.failure.is_none();
            source.unknown = if unknown { source.unknown.saturating_add(1) } else { 0 };
            source.failure = Some((Instant::now(), cause));
            !source.listed && (first || before != source.known("").is_ok())
        })
    }

    fn update(&self, source: usize, change: impl FnOnce(&mut Source) -> bool) -> bool {
        self.lock().get_mut(source).is_some_and(change)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Source>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    fn fails(&self) -> bool {
        self.failure.as_ref().is_some_and(|(at, _)| at.elapsed() < LATELY)
    }

    fn fails_because(&self, cause: &str) -> bool {
        self.fails() && self.failure.as_ref().is_some_and(|(_, before)| before == cause)
    }

    fn known(&self, kind: &str) -> Result<(), Error> {
        if self.listed || self.unknown >= UNKNOWN_TWICE {
            return Ok(());
        }
        let Some((_, cause)) = &self.failure else {
            return Err(Error::Pending);
        };
        let place = match &self.namespace {
            Some(namespace) => format!("the {kind} objects of namespace {namespace}"),
            None => format!("{kind} objects"),
        };
        let message =
            format!("the operator cannot list {place} ({cause}): give it the permission, or do not let it watch there");
        Err(Error::waiting(Reason::NotListed, message))
    }
}

/// Whether the API server says that it does not know the kind.
fn is_unknown(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code == 404)
}

/// The cause in a few stable words.
fn cause(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => match status.code {
            403 => "forbidden".to_owned(),
            404 => "its CustomResourceDefinition is not installed".to_owned(),
            code => format!("the API server answers {code}"),
        },
        _ => "the API server cannot be reached, or its answer not be read".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: u16) -> watcher::Error {
        let status = kube::core::Status {
            code,
            ..kube::core::Status::default()
        };
        watcher::Error::InitialListFailed(kube::Error::Api(status.boxed()))
    }

    fn two() -> Coverage {
        Coverage::new("CoderGroup", &Namespaces::Only(vec!["a".into(), "b".into()]))
    }

    #[test]
    fn absence_is_believed_where_the_list_has_come() {
        let coverage = two();
        assert!(matches!(coverage.of("a"), Err(Error::Pending)));
        assert!(coverage.listed(0) && !coverage.listed(0));
        assert!(coverage.of("a").is_ok() && coverage.of("elsewhere").is_ok());
        assert!(matches!(coverage.of("b"), Err(Error::Pending)));
        assert!(!coverage.is_complete());
        assert!(coverage.listed(1) && coverage.is_complete() && coverage.missing().is_empty());
    }

    #[test]
    fn a_part_that_cannot_be_listed_is_named_and_the_rest_is_known() {
        let coverage = two();
        coverage.listed(0);
        assert!(coverage.failed(1, &refused(403)));
        assert!(!coverage.failed(1, &refused(403)), "said once");
        let error = coverage.of("b").unwrap_err();
        assert_eq!(error.reason(), Reason::NotListed);
        assert!(
            error
                .to_string()
                .contains("CoderGroup objects of namespace b (forbidden)"),
            "{error}"
        );
        assert_eq!(
            coverage.missing()[0].to_string(),
            "CoderGroup in namespace b (forbidden)"
        );
        assert!(coverage.of("a").is_ok());
        assert!(coverage.everywhere(|namespace| namespace == Some("a")).is_ok());
        assert!(coverage.everywhere(|_| true).is_err());
    }

    #[test]
    fn a_kind_that_the_cluster_does_not_know_has_no_objects_once_it_said_so_twice() {
        let coverage = Coverage::new("CoderGroup", &Namespaces::All);
        assert!(coverage.failed(0, &refused(404)));
        assert!(coverage.of("a").is_err());
        assert!(coverage.failed(0, &refused(404)));
        assert!(coverage.of("a").is_ok() && !coverage.is_complete());
        assert!(
            coverage.failed(0, &refused(403)),
            "what cannot be read may be there after all"
        );
        assert!(coverage.of("a").is_err());
    }
}

//! What hangs on an object, so that it cannot go yet: other custom resources that point at it and have something in Coder
//! through the same instance. Whoever merely names it, or may not use the instance at all, holds up nothing.

use std::collections::HashSet;

use crate::api::{ObjectKey, Reference, Scope, instance};
use crate::engine::Engine;
use crate::engine::access::{self, Request};
use crate::engine::cluster::index::Referrer;
use crate::engine::cluster::wake::Topic;
use crate::engine::error::{Error, Reason};

/// Names at most this many of what hangs on an object.
const NAMED: usize = 5;

impl Engine {
    /// What hangs on `to`, which is an instance, or works through that one. `depend` is told first of everything that could
    /// make this another answer.
    ///
    /// # Errors
    /// `Pending`, or waiting, while objects that could hang on it are not known.
    pub fn dependents(
        &self,
        to: &Reference,
        instance: &ObjectKey,
        depend: &dyn Fn(Topic),
    ) -> Result<Vec<Referrer>, Error> {
        depend(Topic::Coverage("Namespace"));
        if to.kind != instance::KIND {
            depend(Topic::Object(Reference {
                kind: instance::KIND,
                key: instance.clone(),
            }));
        }
        let mut kinds = Vec::new();
        for (kind, scope, coverage) in self.caches.pointing_at(to.kind) {
            kinds.push(kind);
            depend(Topic::Coverage(kind));
            let may_use = |namespace: Option<&str>| {
                let Some(namespace) = namespace else { return true };
                depend(Topic::Namespace(namespace.to_owned()));
                let there =
                    self.namespaces.coverage().of("").is_err() || self.namespaces.has(&ObjectKey::new("", namespace));
                // Where nobody can tell, they may.
                there && self.grants(instance, namespace, kind, scope).unwrap_or(true)
            };
            coverage.everywhere(may_use)?;
        }
        let mut named = HashSet::new();
        loop {
            let dependents = self.who_hangs_on(to, instance, &kinds, depend)?;
            let before = named.len();
            for dependent in &dependents {
                if named.insert(dependent.reference.clone()) {
                    depend(Topic::Object(dependent.reference.clone()));
                }
            }
            // Whoever was found only now could have gone before it was named.
            if named.len() == before {
                return Ok(dependents);
            }
        }
    }

    fn who_hangs_on(
        &self,
        to: &Reference,
        instance: &ObjectKey,
        kinds: &[&'static str],
        depend: &dyn Fn(Topic),
    ) -> Result<Vec<Referrer>, Error> {
        let index = self.caches.index();
        let referrers = if to.kind == instance::KIND {
            index.through(&to.key)
        } else {
            index.pointing_at(to, instance, kinds)
        };
        let mut dependents = Vec::new();
        for referrer in referrers.into_iter().filter(|referrer| referrer.has_remote) {
            let Reference { kind, key } = &referrer.reference;
            if key.namespace != instance.namespace {
                depend(Topic::Namespace(key.namespace.clone()));
            }
            if self.grants(instance, &key.namespace, kind, referrer.scope)? {
                dependents.push(referrer);
            }
        }
        Ok(dependents)
    }

    /// How many custom resources of each kind may use the instance and do.
    pub fn users(&self, instance: &ObjectKey) -> Vec<(&'static str, Scope, i64)> {
        let counts = self.caches.index().count_through(instance).into_iter();
        counts
            .filter(|((kind, scope, namespace), _)| self.grants(instance, namespace, kind, *scope).unwrap_or(false))
            .map(|((kind, scope, _), count)| (kind, scope, i64::try_from(count).unwrap_or(i64::MAX)))
            .collect()
    }

    /// Whether the instance grants its use to objects of that kind in that namespace.
    fn grants(&self, instance: &ObjectKey, namespace: &str, kind: &str, scope: Scope) -> Result<bool, Error> {
        let terms = self.connections.terms(instance);
        let access = terms.as_ref().and_then(|terms| terms.access.as_ref());
        let request = Request {
            instance,
            namespace,
            labels: &|| self.labels(namespace),
            kind,
            scope,
        };
        match access::check(access, request) {
            Ok(()) => Ok(true),
            Err(error) if error.reason() == Reason::AccessDenied => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Names what hangs on an object of `namespace`: those in other namespaces are only counted, since their names are
/// nobody else's business.
pub fn still_used(dependents: &[Referrer], namespace: &str, advice: &str) -> Error {
    let (here, elsewhere): (Vec<_>, Vec<_>) = dependents
        .iter()
        .partition(|dependent| dependent.reference.key.namespace == namespace);
    let name = |dependent: &&Referrer| {
        let advice = if dependent.unreadable {
            " (which cannot be read: correct it)"
        } else {
            ""
        };
        format!("{}{advice}", dependent.reference)
    };
    let mut names: Vec<String> = here.iter().map(name).collect();
    names.sort();
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    match elsewhere.len() {
        0 => {}
        1 => names.push("1 object in another namespace".to_owned()),
        count => names.push(format!("{count} objects in other namespaces")),
    }
    let names = match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    };
    Error::waiting(Reason::DependentsExist, format!("still used by {names}: {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(namespace: &str, name: &str) -> Referrer {
        Referrer {
            reference: Reference {
                kind: "CoderGroup",
                key: ObjectKey::new(namespace, name),
            },
            scope: Scope::Organization,
            has_remote: true,
            unreadable: false,
        }
    }

    fn said(dependents: &[Referrer]) -> String {
        still_used(dependents, "here", "delete them first").to_string()
    }

    #[test]
    fn those_nearby_are_named_and_those_elsewhere_counted() {
        assert_eq!(
            said(&[group("here", "b"), group("here", "a")]),
            "still used by CoderGroup here/a and CoderGroup here/b: delete them first"
        );
        assert_eq!(
            said(&[group("there", "a"), group("here", "a"), group("yonder", "b")]),
            "still used by CoderGroup here/a and 2 objects in other namespaces: delete them first"
        );
        assert_eq!(
            said(&[group("there", "a")]),
            "still used by 1 object in another namespace: delete them first"
        );
        let many: Vec<Referrer> = (0..7).map(|n| group("here", &n.to_string())).collect();
        assert!(
            said(&many).contains("CoderGroup here/4 and 2 more: delete"),
            "{}",
            said(&many)
        );
    }
}

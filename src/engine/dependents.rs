//! What hangs on an object, so that it cannot go yet: other custom resources that point at it and have something in Coder
//! through the same instance. Whoever merely names it, or may not use the instance at all, holds up nothing.

use std::collections::HashSet;

use crate::api::{ObjectKey, Reference, Scope, instance};
use crate::engine::Engine;
use crate::engine::access::{self, Request};
use crate::engine::cluster::index::Referrer;
use crate::engine::cluster::triggers::fingerprint;
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
    ) -> Result<Dependents, Error> {
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
                let known = self.namespaces.coverage();
                let there =
                    !known.is_watched() || known.of("").is_err() || self.namespaces.has(&ObjectKey::new("", namespace));
                // Where nobody can tell, they may.
                there && self.grants(instance, namespace, kind, scope).unwrap_or(true)
            };
            coverage.everywhere(may_use)?;
        }
        let mut named = HashSet::new();
        loop {
            let dependents = Dependents::new(self.who_hangs_on(to, instance, &kinds, depend)?, &to.key.namespace);
            let before = named.len();
            for dependent in dependents.some() {
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

/// What hangs on an object. Some of it is enough to wait for: while one is there the object cannot go. Which ones is left to
/// a hash of their names, so that they are the same at each look, and that of thousands that go one after the other, in
/// whatever order, only a few dozen are among them.
#[derive(Debug)]
pub struct Dependents {
    /// Those in the object's own namespace.
    here: Share,
    /// Those in other namespaces, whose names are nobody else's business.
    elsewhere: Share,
}

#[derive(Debug, Default)]
struct Share {
    some: Vec<Referrer>,
    more: usize,
}

impl Share {
    fn of(mut all: Vec<Referrer>) -> Self {
        if all.len() > NAMED {
            let by_hash = |one: &Referrer| fingerprint(&one.reference);
            let _ = all.select_nth_unstable_by_key(NAMED, by_hash);
        }
        let more = all.len().saturating_sub(NAMED);
        all.truncate(NAMED);
        Self { some: all, more }
    }
}

impl Dependents {
    fn new(all: Vec<Referrer>, namespace: &str) -> Self {
        let is_here = |one: &Referrer| one.reference.key.namespace == namespace;
        let (here, elsewhere) = all.into_iter().partition(is_here);
        Self {
            here: Share::of(here),
            elsewhere: Share::of(elsewhere),
        }
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.some().next().is_none()
    }

    fn some(&self) -> impl Iterator<Item = &Referrer> {
        self.here.some.iter().chain(&self.elsewhere.some)
    }

    /// Names what hangs on the object, and counts what does in other namespaces.
    pub fn still_used(&self, advice: &str) -> Error {
        let name = |dependent: &Referrer| {
            let advice = if dependent.unreadable {
                " (which cannot be read: correct it)"
            } else {
                ""
            };
            format!("{}{advice}", dependent.reference)
        };
        let mut names: Vec<String> = self.here.some.iter().map(name).collect();
        names.sort();
        if self.here.more > 0 {
            names.push(format!("{} more", self.here.more));
        }
        match self.elsewhere.some.len() + self.elsewhere.more {
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

    fn said(dependents: Vec<Referrer>) -> String {
        Dependents::new(dependents, "here")
            .still_used("delete them first")
            .to_string()
    }

    #[test]
    fn those_nearby_are_named_and_those_elsewhere_counted() {
        assert_eq!(
            said(vec![group("here", "b"), group("here", "a")]),
            "still used by CoderGroup here/a and CoderGroup here/b: delete them first"
        );
        assert_eq!(
            said(vec![group("there", "a"), group("here", "a"), group("yonder", "b")]),
            "still used by CoderGroup here/a and 2 objects in other namespaces: delete them first"
        );
        assert_eq!(
            said(vec![group("there", "a")]),
            "still used by 1 object in another namespace: delete them first"
        );
        let many = || (0..7).map(|n| group("here", &n.to_string()));
        let text = said(many().collect());
        assert!(text.contains(" and 2 more: delete"), "{text}");
        assert_eq!(text, said(many().rev().collect()), "the same at each look");
        assert!(Dependents::new(Vec::new(), "here").is_empty());
    }

    #[test]
    fn of_many_that_go_in_a_row_few_make_it_look_again() {
        const ALL: usize = 400;
        let mut left: Vec<Referrer> = (0..ALL).map(|n| group("here", &format!("g{n:05}"))).collect();
        let mut looks = 0;
        while let Some(waits_for) = left.pop().map(|gone| {
            let before = Dependents::new(left.iter().cloned().chain([gone.clone()]).collect(), "here");
            before.some().any(|one| *one == gone)
        }) {
            looks += usize::from(waits_for);
        }
        assert!((5..100).contains(&looks), "{looks} looks");
    }
}

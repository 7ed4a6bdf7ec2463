//! Who may use a connection: the owner of the instance grants it, the user of it never can.

use std::collections::BTreeMap;

use kube::core::{Selector, SelectorExt};

use crate::api::{Access, ObjectKey, Scope};
use crate::engine::error::{Error, Reason};

/// What somebody wants to do through a connection.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The `CoderInstance`.
    pub instance: &'a ObjectKey,
    /// The namespace of the object.
    pub namespace: &'a str,
    /// Its labels, for who has to know them.
    pub labels: &'a dyn Fn() -> Result<Option<BTreeMap<String, String>>, Error>,
    /// The kind of the object.
    pub kind: &'a str,
    /// Where it lives in Coder.
    pub scope: Scope,
}

/// Whether the instance grants its use for that kind in that namespace.
///
/// # Errors
/// `AccessDenied`, naming the part of `spec.access` that is missing; what the labels are if they decide and are not known.
pub fn check(access: Option<&Access>, request: Request<'_>) -> Result<(), Error> {
    let Request {
        instance,
        namespace,
        labels,
        kind,
        scope,
    } = request;
    if namespace == instance.namespace {
        return Ok(());
    }
    let Some(access) = access else {
        return Err(unknown(instance, namespace));
    };
    let by_name = access.namespaces.names.iter().any(|name| name == namespace);
    let by_label = || match &access.namespaces.selector {
        Some(selector) => Ok(labels()?.is_some_and(|labels| {
            Selector::try_from(selector.clone()).is_ok_and(|selector| selector.matches(&labels))
        })),
        None => Ok::<_, Error>(false),
    };
    if !by_name && !by_label()? {
        return Err(unknown(instance, namespace));
    }
    let kind_allowed = match &access.kinds {
        Some(kinds) => kinds.iter().any(|allowed| allowed == kind),
        None => scope == Scope::Organization,
    };
    if !kind_allowed {
        return Err(denied(instance, &format!("spec.access.kinds does not include {kind}")));
    }
    Ok(())
}

/// Whether the instance grants that organization to other namespaces.
///
/// # Errors
/// `AccessDenied`.
pub fn check_organization(
    access: Option<&Access>,
    instance: &ObjectKey,
    namespace: &str,
    organization: &str,
) -> Result<(), Error> {
    let patterns = access.and_then(|access| access.organizations.as_ref());
    match patterns {
        Some(patterns) if namespace != instance.namespace => {
            if patterns.iter().any(|pattern| glob(pattern, organization)) {
                Ok(())
            } else {
                Err(denied(
                    instance,
                    &format!("spec.access.organizations does not include {organization}"),
                ))
            }
        }
        _ => Ok(()),
    }
}

/// Says the same of an instance that does not exist: whoever may not use it does not learn which it is.
pub fn unknown(instance: &ObjectKey, namespace: &str) -> Error {
    let message = format!(
        "CoderInstance {instance} does not exist, or does not grant its use to namespace {namespace}: its owner adds \
         that to spec.access.namespaces"
    );
    Error::terminal(Reason::AccessDenied, message)
}

fn denied(instance: &ObjectKey, why: &str) -> Error {
    let message = format!("CoderInstance {instance} does not grant its use: its {why}");
    Error::terminal(Reason::AccessDenied, message)
}

/// `*` stands for any letters; case does not matter, as it does not in organization names.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_ascii_lowercase(), text.to_ascii_lowercase());
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    let mut rest = rest;
    for part in middle {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::instance::NamespaceAccess;

    fn access(names: &[&str], kinds: Option<&[&str]>) -> Access {
        let list = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>();
        Access {
            namespaces: NamespaceAccess {
                selector: None,
                names: list(names),
            },
            kinds: kinds.map(list),
            organizations: Some(vec!["team-*".to_owned()]),
        }
    }

    fn ask(access: Option<&Access>, namespace: &str, kind: &str, scope: Scope) -> Result<(), String> {
        let instance = ObjectKey::new("coder", "default");
        check(
            access,
            Request {
                instance: &instance,
                namespace,
                labels: &|| Ok(None),
                kind,
                scope,
            },
        )
        .map_err(|error| error.to_string())
    }

    #[test]
    fn the_own_namespace_needs_no_grant_and_others_do() {
        assert!(ask(None, "coder", "CoderLicense", Scope::Deployment).is_ok());
        assert!(
            ask(None, "team-a", "CoderGroup", Scope::Organization)
                .unwrap_err()
                .contains("grant its use to namespace team-a")
        );
    }

    #[test]
    fn deployment_wide_kinds_must_be_named() {
        let unnamed = access(&["team-a"], None);
        assert!(ask(Some(&unnamed), "team-a", "CoderGroup", Scope::Organization).is_ok());
        let refusal = ask(Some(&unnamed), "team-a", "CoderOrganization", Scope::Deployment).unwrap_err();
        assert!(
            refusal.contains("spec.access.kinds does not include CoderOrganization"),
            "{refusal}"
        );
        let named = access(&["team-a"], Some(&["CoderOrganization"]));
        assert!(ask(Some(&named), "team-a", "CoderOrganization", Scope::Deployment).is_ok());
        assert!(ask(Some(&named), "team-a", "CoderGroup", Scope::Organization).is_err());
    }

    #[test]
    fn organizations_are_granted_by_pattern() {
        let grant = access(&["team-a"], None);
        let instance = ObjectKey::new("coder", "default");
        let ask = |namespace, name| check_organization(Some(&grant), &instance, namespace, name).is_ok();
        assert!(ask("team-a", "team-blue") && ask("team-a", "TEAM-BLUE") && ask("coder", "platform"));
        assert!(!ask("team-a", "platform") && !ask("team-a", "my-team-x"));
    }

    #[test]
    fn a_star_stands_for_any_letters() {
        for (pattern, text, matches) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "abc", true),
            ("a*b*c", "axbxc", true),
            ("a*b*c", "axc", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(glob(pattern, text), matches, "{pattern} {text}");
        }
    }
}

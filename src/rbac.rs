//! The permissions that follow from the registry of kinds: those of the operator, and those of its users. The chart puts
//! them into roles (`charts/coder-operator/files/rbac`).

use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::{CustomResourceExt, Resource};

use crate::api::{CoderInstance, GROUP};
use crate::engine::Remote;
use crate::kinds::{self, Visitor};

/// What the operator may do with the objects it works on.
#[must_use]
pub fn objects() -> Vec<PolicyRule> {
    let kinds = plurals("");
    vec![
        rule(GROUP, &kinds, &["list", "watch", "patch"]),
        rule(GROUP, &plurals("/status"), &["patch"]),
        // So that the Secrets it writes may block the deletion of their owners.
        rule(GROUP, &plurals("/finalizers"), &["update"]),
        rule("events.k8s.io", &["events"], &["create", "patch"]),
    ]
}

/// What it may do with the Secrets and `ConfigMap`s that custom resources name.
#[must_use]
pub fn secrets() -> Vec<PolicyRule> {
    vec![
        // Written where Coder shows a token once. None is ever deleted, but Kubernetes lets only who may delete a Secret say
        // whose it is: it is let go with its proxy, and taken over with it.
        rule(
            "",
            &["secrets"],
            &["get", "list", "watch", "create", "update", "delete"],
        ),
        rule("", &["configmaps"], &["get", "list", "watch"]),
    ]
}

/// What it may do with namespaces: read their labels, for the selectors of `spec.access`.
#[must_use]
pub fn namespaces() -> Vec<PolicyRule> {
    vec![rule("", &["namespaces"], &["list", "watch"])]
}

/// What a user may do who may look.
#[must_use]
pub fn view() -> Vec<PolicyRule> {
    vec![rule(GROUP, &plurals(""), &["get", "list", "watch"])]
}

/// What a user may do who may declare. The status is the operator's word.
#[must_use]
pub fn edit() -> Vec<PolicyRule> {
    let verbs = [
        "get",
        "list",
        "watch",
        "create",
        "update",
        "patch",
        "delete",
        "deletecollection",
    ];
    vec![rule(GROUP, &plurals(""), &verbs)]
}

/// Name and content of the files that the chart reads.
///
/// # Errors
/// When rules cannot be written as YAML.
pub fn files() -> Result<Vec<(&'static str, String)>, serde_yaml::Error> {
    [
        ("objects.yaml", objects()),
        ("secrets.yaml", secrets()),
        ("namespaces.yaml", namespaces()),
        ("view.yaml", view()),
        ("edit.yaml", edit()),
    ]
    .into_iter()
    .map(|(name, rules)| Ok((name, serde_yaml::to_string(&rules)?)))
    .collect()
}

/// The plurals of all kinds, the connection first.
fn plurals(suffix: &str) -> Vec<String> {
    let mut plurals = Plurals(vec![CoderInstance::plural(&()).into_owned()]);
    kinds::visit(&mut plurals);
    let Plurals(plurals) = plurals;
    plurals.iter().map(|plural| format!("{plural}{suffix}")).collect()
}

struct Plurals(Vec<String>);

impl Visitor for Plurals {
    fn visit<R: Remote>(&mut self) {
        self.0.push(<R as CustomResourceExt>::crd().spec.names.plural);
    }
}

fn rule(group: &str, resources: &[impl AsRef<str>], verbs: &[&str]) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(resources.iter().map(|resource| resource.as_ref().to_owned()).collect()),
        verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        ..PolicyRule::default()
    }
}

//! The permissions that the operator needs, made from the registry of kinds.

use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject as RbacSubject,
};
use kube::api::ObjectMeta;
use kube::{CustomResourceExt, Resource};
use serde::Serialize;

use crate::api::{CoderInstance, GROUP};
use crate::engine::Remote;
use crate::kinds::{self, Visitor};

const NAME: &str = "coder-operator";

/// Who gets the permissions.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The namespace of the service account, and of the Lease.
    pub namespace: &'a str,
    /// The service account.
    pub service_account: &'a str,
}

/// What the operator may do with the objects it watches and writes.
#[must_use]
pub fn rules() -> Vec<PolicyRule> {
    let mut plurals = Plurals(vec![CoderInstance::plural(&()).into_owned()]);
    kinds::visit(&mut plurals);
    let Plurals(plurals) = plurals;
    let with = |suffix: &str| {
        plurals
            .iter()
            .map(|plural| format!("{plural}{suffix}"))
            .collect::<Vec<_>>()
    };
    vec![
        rule(GROUP, &plurals, &["get", "list", "watch", "patch"]),
        rule(GROUP, &with("/status"), &["patch"]),
        // So that the Secrets it writes may block the deletion of their owners.
        rule(GROUP, &with("/finalizers"), &["update"]),
        // Read where a custom resource names one; written only for workspace proxies. None is ever deleted, but Kubernetes
        // lets only who may delete a Secret say whose it is: it is let go with its proxy, and taken over with it.
        rule(
            "",
            &["secrets"],
            &["get", "list", "watch", "create", "update", "delete"],
        ),
        rule("", &["configmaps"], &["get", "list", "watch"]),
        rule("events.k8s.io", &["events"], &["create", "patch"]),
    ]
}

/// What it may do with namespaces: read their labels, for the selectors of `spec.access`.
#[must_use]
pub fn namespace_rules() -> Vec<PolicyRule> {
    vec![rule("", &["namespaces"], &["get", "list", "watch"])]
}

/// What it may do with the Lease of the leader election.
#[must_use]
pub fn lease_rules() -> Vec<PolicyRule> {
    vec![rule("coordination.k8s.io", &["leases"], &["get", "create", "update"])]
}

/// All RBAC objects: for all namespaces, or for some.
///
/// # Errors
/// When an object cannot be written as YAML.
pub fn to_yaml(subject: Subject<'_>, namespaces: &[String]) -> Result<String, serde_yaml::Error> {
    let mut documents = Vec::new();
    let mut cluster = namespace_rules();
    if namespaces.is_empty() {
        cluster.extend(rules());
    }
    documents.push(yaml(&ClusterRole {
        metadata: meta(None),
        rules: Some(cluster),
        ..ClusterRole::default()
    })?);
    documents.push(yaml(&ClusterRoleBinding {
        metadata: meta(None),
        role_ref: role_ref("ClusterRole"),
        subjects: Some(subjects(subject)),
    })?);
    for namespace in namespaces {
        documents.push(yaml(&Role {
            metadata: meta(Some(namespace)),
            rules: Some(rules()),
        })?);
        documents.push(yaml(&binding(namespace, NAME, subject))?);
    }
    let lease = format!("{NAME}-leader-election");
    let lease_meta = ObjectMeta {
        name: Some(lease.clone()),
        ..meta(Some(subject.namespace))
    };
    documents.push(yaml(&Role {
        metadata: lease_meta,
        rules: Some(lease_rules()),
    })?);
    documents.push(yaml(&binding(subject.namespace, &lease, subject))?);
    Ok(documents.join("---\n"))
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

fn meta(namespace: Option<&str>) -> ObjectMeta {
    ObjectMeta {
        name: Some(NAME.to_owned()),
        namespace: namespace.map(str::to_owned),
        ..ObjectMeta::default()
    }
}

fn role_ref(kind: &str) -> RoleRef {
    RoleRef {
        api_group: Some("rbac.authorization.k8s.io".to_owned()),
        kind: kind.to_owned(),
        name: NAME.to_owned(),
    }
}

fn subjects(subject: Subject<'_>) -> Vec<RbacSubject> {
    vec![RbacSubject {
        kind: "ServiceAccount".to_owned(),
        name: subject.service_account.to_owned(),
        namespace: Some(subject.namespace.to_owned()),
        api_group: None,
    }]
}

fn binding(namespace: &str, name: &str, subject: Subject<'_>) -> RoleBinding {
    RoleBinding {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..meta(Some(namespace))
        },
        role_ref: RoleRef {
            name: name.to_owned(),
            ..role_ref("Role")
        },
        subjects: Some(subjects(subject)),
    }
}

fn yaml<K: Resource<DynamicType = ()> + Serialize>(object: &K) -> Result<String, serde_yaml::Error> {
    serde_yaml::to_string(object)
}

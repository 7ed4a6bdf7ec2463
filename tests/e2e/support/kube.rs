//! Custom resources in tests: made from JSON, awaited by conditions.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use serde_json::Value;

use coder_operator::api::{Object, ObjectStatus};

/// The condition of that type.
pub(crate) fn condition(object: &impl AnyObject, type_: &str) -> Option<Condition> {
    object
        .all_conditions()
        .into_iter()
        .find(|condition| condition.type_ == type_)
}

/// Any custom resource, the instance among them.
pub(crate) trait AnyObject: ResourceExt {
    fn all_conditions(&self) -> Vec<Condition>;
    fn observed(&self) -> i64;
    /// The value of the annotation `reconcile-at` that was handled last.
    fn handled(&self) -> Option<String>;
}

impl<O: Object> AnyObject for O {
    fn all_conditions(&self) -> Vec<Condition> {
        self.status()
            .map(|status| status.common().conditions.clone())
            .unwrap_or_default()
    }

    fn observed(&self) -> i64 {
        self.status().map_or(-1, |status| status.common().observed_generation)
    }

    fn handled(&self) -> Option<String> {
        self.status()
            .and_then(|status| status.common().last_handled_reconcile_at.clone())
    }
}

/// Whether it is Ready, for its present generation.
pub(crate) fn ready<K: AnyObject>(object: &K) -> bool {
    is(object, "Ready", "True") && object.meta().generation == Some(object.observed())
}

/// Whether it is Stalled for that reason, for its present generation.
pub(crate) fn stalled<K: AnyObject>(reason: &'static str) -> impl Fn(&K) -> bool {
    because("Stalled", reason)
}

/// Whether it waits, or tries again, for that reason.
pub(crate) fn waiting<K: AnyObject>(reason: &'static str) -> impl Fn(&K) -> bool {
    because("Reconciling", reason)
}

/// Whether it is to be deleted and cannot be for that reason.
pub(crate) fn blocked<K: AnyObject>(reason: &'static str) -> impl Fn(&K) -> bool {
    because("DeletionBlocked", reason)
}

fn because<K: AnyObject>(type_: &'static str, reason: &'static str) -> impl Fn(&K) -> bool {
    move |object| {
        condition(object, type_).is_some_and(|found| found.status == "True" && found.reason == reason)
            && object.meta().generation == Some(object.observed())
    }
}

/// What a condition says; empty without it.
pub(crate) fn message(object: &impl AnyObject, type_: &str) -> String {
    condition(object, type_).map(|found| found.message).unwrap_or_default()
}

fn is(object: &impl AnyObject, type_: &str, status: &str) -> bool {
    condition(object, type_).is_some_and(|condition| condition.status == status)
}

/// A custom resource from its spec.
pub(crate) fn manifest(kind: &str, namespace: &str, name: &str, spec: &Value) -> Value {
    serde_json::json!({
        "apiVersion": "coder-operator.dev/v1alpha1",
        "kind": kind,
        "metadata": { "namespace": namespace, "name": name },
        "spec": spec,
    })
}

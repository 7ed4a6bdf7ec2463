//! What of an object makes itself, or others, look again: compared with what it was before.

use std::hash::{DefaultHasher, Hash, Hasher};

use kube::ResourceExt;

use crate::api::{GROUP, Object, ObjectStatus};
use crate::engine::cluster::status::{FINALIZER, has_finalizer};
use crate::engine::conditions::READY;

/// The two parts, each as a fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Triggers {
    /// What the user says: makes the object itself look. An own status write changes nothing of it.
    pub own: u64,
    /// What others depend on.
    pub dependents: u64,
}

impl Triggers {
    /// Those of the object; `held` is what it holds in Coder.
    pub fn of<K: Object>(object: &K, held: Option<&str>) -> Self {
        let meta = object.meta();
        let foreign_finalizers = object.finalizers().iter().filter(|name| *name != FINALIZER);
        let own = (
            &meta.uid,
            meta.generation,
            meta.deletion_timestamp.is_some(),
            our_annotations(object).collect::<Vec<_>>(),
            foreign_finalizers.collect::<Vec<_>>(),
        );
        let common = object.status().map(ObjectStatus::common);
        let ready = common.and_then(|common| common.condition(READY));
        let dependents = (
            &meta.uid,
            meta.deletion_timestamp.is_some(),
            has_finalizer(object),
            held,
            // With the generation: whoever waits for what another one has, or asked for, looks when that one is done.
            ready.map(|ready| (&ready.status, ready.observed_generation)),
        );
        Self {
            own: fingerprint(&own),
            dependents: fingerprint(&dependents),
        }
    }
}

/// The annotations by which users ask for something.
fn our_annotations(object: &impl ResourceExt) -> impl Iterator<Item = (&String, &String)> {
    let ours = |name: &str| name.strip_prefix(GROUP).is_some_and(|rest| rest.starts_with('/'));
    object.annotations().iter().filter(move |(name, _)| ours(name))
}

/// Tells values apart.
pub fn fingerprint(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::CoderGroup;

    fn group(metadata: &serde_json::Value, ready: Option<&str>) -> CoderGroup {
        let mut metadata = metadata.clone();
        metadata["name"] = json!("g");
        metadata["uid"] = json!("u");
        let condition = |status: &str| {
            json!({ "conditions": [{
                "type": "Ready", "status": status, "reason": "R", "message": "m", "observedGeneration": 1,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }] })
        };
        let object = json!({
            "apiVersion": "coder-operator.dev/v1alpha1", "kind": "CoderGroup", "metadata": metadata,
            "spec": { "organization": "default" }, "status": ready.map(condition),
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn what_the_user_says_makes_the_object_look_and_what_the_operator_writes_does_not() {
        let before = Triggers::of(&group(&json!({ "generation": 1 }), None), None);
        let own = |metadata: serde_json::Value| Triggers::of(&group(&metadata, None), None).own;
        for changed in [
            json!({ "generation": 2 }),
            json!({ "generation": 1, "annotations": { "coder-operator.dev/reconcile-at": "now" } }),
            json!({ "generation": 1, "finalizers": ["other/finalizer"] }),
            json!({ "generation": 1, "deletionTimestamp": "2026-01-01T00:00:00Z" }),
        ] {
            assert_ne!(own(changed), before.own);
        }
        for same in [
            json!({ "generation": 1, "annotations": { "team": "blue" }, "labels": { "a": "b" } }),
            json!({ "generation": 1, "finalizers": [FINALIZER], "resourceVersion": "7" }),
        ] {
            assert_eq!(own(same), before.own);
        }
        let written = Triggers::of(&group(&json!({ "generation": 1 }), Some("True")), Some("id"));
        assert_eq!(written.own, before.own);
    }

    #[test]
    fn what_others_depend_on_is_what_it_holds_and_whether_it_is_ready() {
        let of = |ready, held| Triggers::of(&group(&json!({ "generation": 1 }), ready), held).dependents;
        assert_eq!(of(Some("True"), Some("id")), of(Some("True"), Some("id")));
        assert_ne!(of(Some("True"), Some("id")), of(Some("False"), Some("id")));
        assert_ne!(of(Some("True"), Some("id")), of(Some("True"), Some("other")));
    }
}

//! An object of the API server, or what is left of one that cannot be read: it was stored before the schema was tightened,
//! or its definition was changed by hand. Its parts that can be read still count: what it holds is nobody else's, and what
//! it hangs on stays.
//!
//! What is of no concern here is left out: who manages which field, and the conditions of other writers. What is to be
//! known of an object before its first status is read from where it stands until then.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::api::annotation;
use crate::engine::conditions;

/// An object that may be unreadable.
#[derive(Clone, Debug)]
pub struct Guarded<K>(pub Result<K, Box<Remains>>);

/// What is left of an object that cannot be read.
#[derive(Clone, Debug)]
pub struct Remains {
    /// Why it cannot.
    pub error: String,
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// All of it.
    value: Value,
}

impl Remains {
    /// The part under that pointer, if it can be read.
    pub fn part<T: DeserializeOwned>(&self, pointer: &str) -> Option<T> {
        T::deserialize(self.value.pointer(pointer)?).ok()
    }
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        if let Some(metadata) = value.pointer_mut("/metadata").and_then(Value::as_object_mut) {
            // Large, and of no use here.
            metadata.remove("managedFields");
        }
        if let Some(conditions) = value.pointer_mut("/status/conditions").and_then(Value::as_array_mut) {
            conditions.retain(|condition| condition["type"].as_str().is_some_and(conditions::is_ours));
        }
        first_status(&mut value);
        let error = match K::deserialize(&value) {
            Ok(object) => return Ok(Self(Ok(object))),
            Err(error) => error.to_string(),
        };
        let metadata = value
            .pointer("/metadata")
            .ok_or_else(|| D::Error::missing_field("metadata"))?;
        let metadata = ObjectMeta::deserialize(metadata).map_err(D::Error::custom)?;
        Ok(Self(Err(Box::new(Remains { error, metadata, value }))))
    }
}

/// The first status of an object travels with its finalizer, in one write. It counts until there is a status, and only for
/// the object that it was written for: annotations are copied.
fn first_status(value: &mut Value) {
    let Some(annotations) = value
        .pointer_mut("/metadata/annotations")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    let Some(Value::String(text)) = annotations.remove(annotation::FIRST_STATUS) else {
        return;
    };
    let Ok(first) = serde_json::from_str::<Value>(&text) else {
        return;
    };
    let is_of_this = first
        .get("uid")
        .is_some_and(|uid| Some(uid) == value.pointer("/metadata/uid"));
    let has_none = value.pointer("/status/uid").is_none_or(Value::is_null);
    if is_of_this
        && has_none
        && let Some(object) = value.as_object_mut()
    {
        object.insert("status".to_owned(), first);
    }
}

impl<K: Resource> Resource for Guarded<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dynamic)
    }

    fn group(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dynamic)
    }

    fn version(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dynamic)
    }

    fn plural(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dynamic)
    }

    fn meta(&self) -> &ObjectMeta {
        match &self.0 {
            Ok(object) => object.meta(),
            Err(remains) => &remains.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match &mut self.0 {
            Ok(object) => object.meta_mut(),
            Err(remains) => &mut remains.metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::{CoderGroup, GroupStatus};

    fn read(spec: &Value) -> Result<CoderGroup, Box<Remains>> {
        let object = json!({
            "apiVersion": "coder-operator.dev/v1alpha1", "kind": "CoderGroup",
            "metadata": { "name": "g", "namespace": "ns", "managedFields": [{ "manager": "kubectl" }] },
            "spec": spec, "status": { "id": "the-id", "origin": "Created" },
        });
        serde_json::from_value::<Guarded<CoderGroup>>(object).unwrap().0
    }

    #[test]
    fn the_conditions_of_other_writers_are_left_out() {
        let condition = |type_: &str| {
            json!({
                "type": type_, "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
            })
        };
        let types = ["Ready", "Approved", "MembersPending", "HealthyAccordingToUs"];
        let object = json!({
            "apiVersion": "coder-operator.dev/v1alpha1", "kind": "CoderGroup", "metadata": { "name": "g" },
            "spec": { "organization": "default" }, "status": { "conditions": types.map(condition) },
        });
        let read = serde_json::from_value::<Guarded<CoderGroup>>(object)
            .unwrap()
            .0
            .unwrap();
        let left: Vec<String> = read
            .status
            .unwrap()
            .common
            .conditions
            .into_iter()
            .map(|one| one.type_)
            .collect();
        assert_eq!(left, ["Ready", "MembersPending"]);
    }

    #[test]
    fn the_first_status_counts_for_its_object_and_until_there_is_another() {
        let begun = json!({ "uid": "u", "pendingCreation": { "key": "k", "since": "2026-01-01T00:00:00Z" } });
        let read = |uid: &str, status: Value| {
            let object = json!({
                "apiVersion": "coder-operator.dev/v1alpha1", "kind": "CoderGroup",
                "metadata": { "name": "g", "uid": uid, "annotations": { annotation::FIRST_STATUS: begun.to_string() } },
                "spec": { "organization": "default" }, "status": status,
            });
            let read = serde_json::from_value::<Guarded<CoderGroup>>(object).unwrap();
            let object = read.0.unwrap();
            assert_eq!(object.metadata.annotations, Some(std::collections::BTreeMap::new()));
            object
                .status
                .unwrap()
                .common
                .pending_creation
                .map(|pending| pending.key)
        };
        let never = json!({ "observedGeneration": -1 });
        assert_eq!(read("u", never.clone()).as_deref(), Some("k"));
        assert_eq!(read("another", never), None, "a copy of the manifest");
        assert_eq!(read("u", json!({ "uid": "u" })), None, "the creation was refused");
    }

    #[test]
    fn of_an_object_that_cannot_be_read_the_parts_that_can_be_are_left() {
        let object = read(&json!({ "organization": "default" })).unwrap();
        assert_eq!(object.metadata.managed_fields, None);
        let remains = read(&json!({ "organization": "default", "quotaAllowance": "many" })).unwrap_err();
        assert_eq!(remains.metadata.name.as_deref(), Some("g"));
        assert!(remains.error.contains("many"), "{}", remains.error);
        assert_eq!(
            remains.part::<GroupStatus>("/status").unwrap().id.as_deref(),
            Some("the-id")
        );
        assert_eq!(remains.part::<i64>("/spec/quotaAllowance"), None);
    }
}

//! Namespace deletion as kube-controller-manager does it.
//!
//! No controller manager runs on the test ground, and which object goes when is just what an operator with finalizers
//! stumbles over: its Secret may be gone before it has cleaned up. So this keeps to the original,
//! `pkg/controller/namespace/deletion` of Kubernetes 1.36:
//!
//! * the namespace is marked: a deletion timestamp, then phase `Terminating`, from which on the API server refuses new
//!   objects in it;
//! * all namespaced resources that can be deleted are found by discovery, in their preferred versions;
//! * pods go first, and while any is left nothing else is touched (`OrderedNamespaceDeletion`);
//! * then each resource in turn is deleted by `deletecollection` with background propagation, or object by object where
//!   that is not offered, and listed to see what remains; one resource's failure does not stop the others;
//! * while objects remain (they have finalizers), the whole pass is repeated, so that what was created in between goes too;
//! * when nothing remains, the finalizer `kubernetes` is taken from the namespace by its `finalize` subresource, and
//!   the API server removes it.
//!
//! Three things differ. The original takes the resources in the random order of a Go map, a test names one ([`Order`]).
//! It looks again after 8 seconds, this after a fraction of one. And it reports progress in the conditions of the
//! namespace, which nobody here reads.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Discovery,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, PostParams, PropagationPolicy},
    discovery::{ApiCapabilities, ApiGroup, Scope, verbs},
};
use serde_json::json;
use tokio::time::Instant;

use crate::{Error, Result};

const PASS_EVERY: Duration = Duration::from_millis(200);
const NAMESPACE_FINALIZER: &str = "kubernetes";

/// The order in which the resources of a namespace are deleted. The real one is random, so every order can happen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As discovery lists them: the core group first, then the groups by name.
    #[default]
    Discovery,
    /// The other way round: custom resources tend to go before Secrets and `ConfigMaps`.
    Reverse,
    /// These first, in this order, as `plural` or `plural.group`; then the rest as discovery lists them.
    First(Vec<String>),
}

impl Order {
    /// Secrets before everything else: the worst case for an operator whose credentials are in one.
    #[must_use]
    pub fn secrets_first() -> Self {
        Self::First(vec!["secrets".to_owned()])
    }

    fn sort(&self, resources: &mut [Resource]) {
        match self {
            Self::Discovery => {}
            Self::Reverse => resources.reverse(),
            Self::First(names) => resources.sort_by_key(|resource| {
                let is = |name: &String| *name == resource.name();
                names.iter().position(is).unwrap_or(names.len())
            }),
        }
        // The sort is stable: this only moves pods.
        resources.sort_by_key(|resource| !resource.is_pods());
    }
}

struct Resource {
    api: ApiResource,
    can: ApiCapabilities,
}

impl Resource {
    /// `plural` in the core group, else `plural.group`.
    fn name(&self) -> String {
        if self.api.group.is_empty() {
            self.api.plural.clone()
        } else {
            format!("{}.{}", self.api.plural, self.api.group)
        }
    }

    fn is_pods(&self) -> bool {
        self.api.group.is_empty() && self.api.plural == "pods"
    }
}

/// Deletes the namespace and everything in it, and waits until it is gone.
///
/// The time runs out when an object keeps a finalizer; the error then names the objects and their finalizers, and the
/// namespace stays `Terminating`. Calling again continues.
pub async fn terminate(client: &Client, namespace: &str, order: &Order, within: Duration) -> Result<()> {
    let began = Instant::now();
    if !mark(client, namespace).await? {
        return Ok(());
    }
    loop {
        let remaining = delete_content(client, namespace, order).await?;
        if remaining.is_empty() {
            return finalize(client, namespace).await;
        }
        if began.elapsed() > within {
            return Err(Error::Timeout {
                what: format!("namespace {namespace} is deleted"),
                within,
                last: remaining.join(", "),
            });
        }
        tokio::time::sleep(PASS_EVERY).await;
    }
}

/// Sets the deletion timestamp and the phase. False if there is no such namespace.
async fn mark(client: &Client, name: &str) -> Result<bool> {
    let context = || format!("cannot mark namespace {name} as terminating");
    let api = Api::<Namespace>::all(client.clone());
    match api.delete(name, &DeleteParams::default()).await {
        // 409: it is terminating already, which is what we want.
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code == 409 => {}
        Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(false),
        Err(error) => return Err(Error::kube(context())(error)),
    }
    loop {
        let Some(mut object) = api.get_opt(name).await.map_err(Error::kube(context()))? else {
            return Ok(false);
        };
        let status = object.status.get_or_insert_default();
        if status.phase.as_deref() == Some("Terminating") {
            return Ok(true);
        }
        status.phase = Some("Terminating".to_owned());
        match api.replace_status(name, &PostParams::default(), &object).await {
            Ok(_) => return Ok(true),
            Err(kube::Error::Api(status)) if status.is_conflict() => {}
            Err(error) => return Err(Error::kube(context())(error)),
        }
    }
}

/// One pass. Says what remains, one entry an object with its finalizers.
async fn delete_content(client: &Client, namespace: &str, order: &Order) -> Result<Vec<String>> {
    let mut resources = discover(client).await?;
    order.sort(&mut resources);
    let mut remaining = Vec::new();
    for resource in &resources {
        match delete_collection(client, namespace, resource).await {
            Ok(left) => remaining.extend(left),
            // Kept until the end of the pass, and tried again in the next one.
            Err(error) => remaining.push(format!("{} ({error})", resource.name())),
        }
        if resource.is_pods() && !remaining.is_empty() {
            break;
        }
    }
    Ok(remaining)
}

/// Anew in each pass, as the original does: a resource type may come or go meanwhile.
async fn discover(client: &Client) -> Result<Vec<Resource>> {
    let discovery = Discovery::new(client.clone())
        .run_aggregated()
        .await
        .map_err(Error::kube("cannot discover the resources of the cluster"))?;
    let groups = discovery.groups_alphabetical().into_iter();
    Ok(groups
        .flat_map(preferred)
        .filter(|(_, can)| can.scope == Scope::Namespaced && can.supports_operation(verbs::DELETE))
        .map(|(api, can)| Resource { api, can })
        .collect())
}

/// Each resource of a group in the group's preferred version, or in the first other one that has it.
fn preferred(group: &ApiGroup) -> Vec<(ApiResource, ApiCapabilities)> {
    let mut resources: Vec<(ApiResource, ApiCapabilities)> = Vec::new();
    for version in std::iter::once(group.preferred_version_or_latest()).chain(group.versions()) {
        for resource in group.versioned_resources(version) {
            if resources.iter().all(|(known, _)| known.plural != resource.0.plural) {
                resources.push(resource);
            }
        }
    }
    resources
}

async fn delete_collection(client: &Client, namespace: &str, resource: &Resource) -> Result<Vec<String>, kube::Error> {
    let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource.api);
    // Background, or the API server would add the garbage collector's finalizer where that is a type's default.
    let background = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Background),
        ..DeleteParams::default()
    };
    let everything = ListParams::default();
    if resource.can.supports_operation(verbs::DELETE_COLLECTION) {
        unless_unsupported(api.delete_collection(&background, &everything).await.map(drop))?;
    } else if resource.can.supports_operation(verbs::LIST) {
        for object in api.list_metadata(&everything).await? {
            let name = object.metadata.name.unwrap_or_default();
            unless_unsupported(api.delete(&name, &background).await.map(drop))?;
        }
    }
    if !resource.can.supports_operation(verbs::LIST) {
        return Ok(Vec::new());
    }
    let left = match api.list_metadata(&everything).await {
        Err(error) => return unless_unsupported(Err(error)).map(|()| Vec::new()),
        Ok(left) => left,
    };
    Ok(left
        .iter()
        .map(|object| {
            let name = object.metadata.name.as_deref().unwrap_or_default();
            let finalizers = object.metadata.finalizers.as_deref().unwrap_or_default().join(" ");
            format!("{}/{name} [{finalizers}]", resource.name())
        })
        .collect())
}

/// Discovery may offer what a resource does not support (405), or what has just been removed (404).
fn unless_unsupported(result: Result<(), kube::Error>) -> Result<(), kube::Error> {
    match result {
        Err(kube::Error::Api(status)) if status.code == 404 || status.code == 405 => Ok(()),
        result => result,
    }
}

/// Takes our finalizer away, which lets the API server remove the namespace.
async fn finalize(client: &Client, name: &str) -> Result<()> {
    let context = || format!("cannot finalize namespace {name}");
    let api = Api::<Namespace>::all(client.clone());
    loop {
        let Some(object) = api.get_opt(name).await.map_err(Error::kube(context()))? else {
            return Ok(());
        };
        let mut finalizers = object.spec.and_then(|it| it.finalizers).unwrap_or_default();
        if finalizers.is_empty() {
            return Ok(());
        }
        finalizers.retain(|it| it != NAMESPACE_FINALIZER);
        let body = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": object.metadata, "spec": {"finalizers": finalizers},
        });
        let request = http::Request::put(format!("/api/v1/namespaces/{name}/finalize"))
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(body.to_string().into_bytes())
            .map_err(Error::format(context()))?;
        match client.request::<Namespace>(request).await {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(()),
            Err(kube::Error::Api(status)) if status.is_conflict() => {}
            Err(error) => return Err(Error::kube(context())(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::api::GroupVersionKind;

    use super::*;

    fn resource(group: &str, kind: &str, plural: &str) -> Resource {
        Resource {
            api: ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1", kind), plural),
            can: ApiCapabilities {
                scope: Scope::Namespaced,
                subresources: Vec::new(),
                operations: Vec::new(),
            },
        }
    }

    fn sorted(order: &Order) -> Vec<String> {
        let mut resources = [
            resource("", "ConfigMap", "configmaps"),
            resource("", "Pod", "pods"),
            resource("", "Secret", "secrets"),
            resource("example.com", "Gadget", "gadgets"),
        ];
        order.sort(&mut resources);
        resources.iter().map(Resource::name).collect()
    }

    #[test]
    fn pods_go_first_in_every_order() {
        assert_eq!(
            sorted(&Order::Discovery),
            ["pods", "configmaps", "secrets", "gadgets.example.com"]
        );
        assert_eq!(
            sorted(&Order::Reverse),
            ["pods", "gadgets.example.com", "secrets", "configmaps"]
        );
        assert_eq!(
            sorted(&Order::secrets_first()),
            ["pods", "secrets", "configmaps", "gadgets.example.com"]
        );
        assert_eq!(
            sorted(&Order::First(vec!["gadgets.example.com".into(), "secrets".into()])),
            ["pods", "gadgets.example.com", "secrets", "configmaps"]
        );
    }
}

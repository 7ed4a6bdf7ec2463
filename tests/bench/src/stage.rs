//! The parts: Kubernetes, Coder, and what ties an operator to both.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use coder_sim::{Profile, Sim};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams,
};
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use serde::Deserialize as _;
use serde_json::{Value, json};
use test_ground::{ControlPlane, Options};
use tokio::time::Instant;

use crate::Failure;
use crate::load::{Declared, Kind, Load, ORGANIZATIONS, USERS, team};

const GROUP: &str = "coder-operator.dev";
const VERSION: &str = "v1alpha1";
/// How many objects are declared, or deleted, at once; also how many bare clients there are. The operator works on as
/// many objects of a kind.
pub(crate) const AT_ONCE: usize = 16;

/// A cluster of its own for each run: what an earlier one left in etcd's history must not slow the next one down.
pub(crate) struct Stage {
    pub(crate) ground: ControlPlane,
    pub(crate) kube: Client,
}

impl Stage {
    /// Starts Kubernetes, with the definitions of that operator.
    pub(crate) async fn set(operator: &Path) -> Result<Self, Failure> {
        let ground = ControlPlane::start(Options::default().without_controllers()).await?;
        let kube = ground.admin()?;
        test_ground::install_crds(&kube, &definitions(operator)?).await?;
        Ok(Self { ground, kube })
    }

    /// The custom resources of a kind in a namespace.
    pub(crate) fn api(&self, kind: &str, namespace: &str) -> Api<DynamicObject> {
        api(&self.kube, kind, namespace)
    }

    /// Connects a namespace with a Coder.
    pub(crate) async fn connect(&self, namespace: &str, name: &str, sim: &Sim) -> Result<(), Failure> {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": { "token": sim.owner_token() },
        });
        let parameters = PatchParams::apply("bench").force();
        Api::<k8s_openapi::api::core::v1::Secret>::namespaced(self.kube.clone(), namespace)
            .patch(name, &parameters, &Patch::Apply(secret))
            .await?;
        let spec = json!({ "url": sim.url(), "allowInsecureHTTP": true, "tokenSecretRef": { "name": name } });
        let instance = object("CoderInstance", name, &spec)?;
        self.api("CoderInstance", namespace)
            .create(&PostParams::default(), &instance)
            .await?;
        Ok(())
    }

    /// Waits until the operator has connected.
    pub(crate) async fn instance_ready(&self, namespace: &str, name: &str, within: Duration) -> Result<(), Failure> {
        let ready = |object: Option<&DynamicObject>| {
            let conditions = object.and_then(|it| it.data.get("status")?.get("conditions")?.as_array());
            let is = |condition: &Value, key: &str, value: &str| condition.get(key).is_some_and(|it| it == value);
            conditions
                .into_iter()
                .flatten()
                .any(|condition| is(condition, "type", "Ready") && is(condition, "status", "True"))
        };
        let instances = self.api("CoderInstance", namespace);
        tokio::time::timeout(within, await_condition(instances, name, ready)).await??;
        Ok(())
    }

    /// Creates all of it.
    pub(crate) async fn declare(&self, namespace: &str, load: &Load) -> Result<(), Failure> {
        let (kube, namespace) = (self.kube.clone(), namespace.to_owned());
        each(&load.objects, move |declared| {
            let api = api(&kube, declared.kind.name(), &namespace);
            async move {
                let object = object(declared.kind.name(), &declared.name, &declared.spec)?;
                api.create(&PostParams::default(), &object).await?;
                Ok(())
            }
        })
        .await
    }

    /// Asks for the deletion of all of it.
    pub(crate) async fn delete(&self, namespace: &str, load: &Load) -> Result<(), Failure> {
        let (kube, namespace) = (self.kube.clone(), namespace.to_owned());
        each(&load.objects, move |declared| {
            let api = api(&kube, declared.kind.name(), &namespace);
            async move {
                api.delete(&declared.name, &DeleteParams::default()).await?;
                Ok(())
            }
        })
        .await
    }

    /// Waits until there is nothing of these kinds in the namespace.
    pub(crate) async fn gone(&self, namespace: &str, load: &Load, within: Duration) -> Result<bool, Failure> {
        let began = Instant::now();
        for kind in load.kinds() {
            let api = self.api(kind.name(), namespace);
            // One is enough to know that it is not over.
            while !api
                .list_metadata(&ListParams::default().limit(1))
                .await?
                .items
                .is_empty()
            {
                if began.elapsed() > within {
                    return Ok(false);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(true)
    }
}

/// Runs an operation on each of these objects, so many at once.
pub(crate) async fn each<F, Fut>(objects: &[Declared], operation: F) -> Result<(), Failure>
where
    F: Fn(Declared) -> Fut,
    Fut: Future<Output = Result<(), Failure>> + Send + 'static,
{
    stream::iter(objects.to_vec())
        // A task each: all processors take part.
        .map(|declared| tokio::spawn(operation(declared)))
        .buffer_unordered(AT_ONCE)
        .map(|joined| joined?)
        .try_for_each(|()| async { Ok(()) })
        .await
}

/// The custom resources of a kind in a namespace.
pub(crate) fn api(kube: &Client, kind: &str, namespace: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, VERSION, kind));
    Api::namespaced_with(kube.clone(), namespace, &resource)
}

/// The plural of a kind, as the API server's metrics name it.
pub(crate) fn plural(kind: Kind) -> String {
    ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, VERSION, kind.name())).plural
}

/// A custom resource.
pub(crate) fn object(kind: &str, name: &str, spec: &Value) -> Result<DynamicObject, Failure> {
    Ok(serde_json::from_value(json!({
        "apiVersion": format!("{GROUP}/{VERSION}"), "kind": kind, "metadata": { "name": name }, "spec": spec,
    }))?)
}

/// As the operator itself prints them.
fn definitions(operator: &Path) -> Result<Vec<CustomResourceDefinition>, Failure> {
    let printed = Command::new(operator).arg("crds").output()?;
    serde_yaml::Deserializer::from_slice(&printed.stdout)
        .map(|document| Ok(CustomResourceDefinition::deserialize(document)?))
        .collect()
}

/// A Coder with organizations, users and a licence. It limits no requests: how long they would have
/// to wait says nothing about the operator.
pub(crate) async fn coder(list_ms: f64) -> Sim {
    let sim = Sim::builder(Profile::Main).rate_limit(u32::MAX).start().await;
    let users = sim.seed_users("user-", USERS);
    for number in 0..ORGANIZATIONS {
        sim.create_organization(&team(number));
        sim.seed_members(&team(number), &users);
    }
    sim.set_time_per_listed_group(Duration::from_secs_f64(list_ms / 1000.0));
    sim
}

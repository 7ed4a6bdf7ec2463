//! One test's Kubernetes namespace, Coder and operator.

use std::fmt::Debug;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use test_ground::{ControlPlane, Namespace};
use tokio::sync::OnceCell;

use coder_operator::api::CoderInstance;
use coder_operator::api::Object;
use coder_operator::crds;

use super::PATIENCE;
use super::coder::{Coder, unique};
use super::kube::{AnyObject, manifest, ready};
use super::operator::{Operator, Settings};
use super::permissions;

/// What a test works with.
pub(crate) struct World {
    pub(crate) ground: &'static ControlPlane,
    pub(crate) namespace: Namespace,
    pub(crate) coder: Coder,
    pub(crate) operator: Operator,
    pub(crate) kube: Client,
}

impl World {
    /// A namespace with a ready `CoderInstance` named default, and an operator that watches it.
    pub(crate) async fn new(test: &str) -> Self {
        Self::with(test, Coder::any().await, json!({})).await
    }

    /// The same with a Coder and more fields in the instance's spec.
    pub(crate) async fn with(test: &str, coder: Coder, instance: Value) -> Self {
        Self::beside(test, coder, instance, &[]).await
    }

    /// The same with an instance that looks at everything each second.
    pub(crate) async fn looking_often(test: &str, coder: Coder) -> Self {
        let often = json!({ "resyncInterval": "1s", "minResyncInterval": "1s" });
        Self::with(test, coder, often).await
    }

    /// The same with an operator that watches other namespaces as well.
    pub(crate) async fn beside(test: &str, coder: Coder, instance: Value, others: &[&Namespace]) -> Self {
        Self::on(cluster().await, test, coder, instance, others).await
    }

    /// The same on another cluster than the one that all tests share.
    pub(crate) async fn on(
        ground: &'static ControlPlane,
        test: &str,
        coder: Coder,
        instance: Value,
        others: &[&Namespace],
    ) -> Self {
        let namespace = ground.namespace(test).await.unwrap();
        let mut settings = Settings::watching(namespace.name());
        settings
            .namespaces
            .extend(others.iter().map(|other| other.name().to_owned()));
        let operator = Operator::start(ground, &settings).await;
        let kube = ground.admin().unwrap();
        let world = Self {
            ground,
            namespace,
            coder,
            operator,
            kube,
        };
        world.connect(world.ns(), "default", instance).await;
        world.wait::<CoderInstance>("default", ready).await;
        world
    }

    /// The namespace's name.
    pub(crate) fn ns(&self) -> &str {
        self.namespace.name()
    }

    /// A name in Coder that no other test uses.
    #[allow(clippy::unused_self)] // reads as what it is: a name for this world
    pub(crate) fn name(&self, prefix: &str) -> String {
        unique(prefix)
    }

    /// Creates token Secret and `CoderInstance`.
    pub(crate) async fn connect(&self, namespace: &str, name: &str, more: Value) {
        self.put_secret(namespace, &format!("{name}-token"), &[("token", &self.coder.token)])
            .await;
        let mut spec = json!({
            "url": self.coder.url,
            "allowInsecureHTTP": self.coder.url.starts_with("http:"),
            "tokenSecretRef": { "name": format!("{name}-token") },
            // The sweep is what most tests are about; what they do behind the server's back is in no log.
            "feedInterval": "Off",
        });
        merge(&mut spec, more);
        self.apply_in::<CoderInstance>(namespace, name, spec).await;
    }

    /// Creates token Secret and `CoderInstance` for another Coder than the world's.
    pub(crate) async fn connect_to(&self, coder: &Coder, name: &str, more: Value) {
        self.put_secret(self.ns(), &format!("{name}-token"), &[("token", &coder.token)])
            .await;
        let mut spec = json!({
            "url": coder.url,
            "allowInsecureHTTP": coder.url.starts_with("http:"),
            "tokenSecretRef": { "name": format!("{name}-token") },
            "feedInterval": "Off",
        });
        merge(&mut spec, more);
        self.apply::<CoderInstance>(name, spec).await;
    }

    /// Creates or replaces a Secret in any namespace.
    pub(crate) async fn put_secret(&self, namespace: &str, name: &str, data: &[(&str, &str)]) {
        let strings: serde_json::Map<String, Value> = data
            .iter()
            .map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect();
        let body = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": strings });
        let api = Api::<Secret>::namespaced(self.kube.clone(), namespace);
        let parameters = PatchParams::apply("test").force();
        api.patch(name, &parameters, &Patch::Apply(body))
            .await
            .expect("the Secret");
    }

    /// A Secret's value.
    pub(crate) async fn secret(&self, name: &str, key: &str) -> Option<String> {
        let secret = self.api::<Secret>().get_opt(name).await.unwrap()?;
        let value = secret.data?.remove(key)?;
        Some(String::from_utf8(value.0).unwrap())
    }

    /// The objects of a kind in the namespace.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    {
        Api::namespaced(self.kube.clone(), self.ns())
    }

    /// Creates an object, or changes it so that its spec is this.
    pub(crate) async fn apply<K: Object>(&self, name: &str, spec: Value) -> K {
        self.apply_in(self.ns(), name, spec).await
    }

    pub(crate) async fn apply_in<K: Object>(&self, namespace: &str, name: &str, spec: Value) -> K {
        self.try_apply_in(namespace, name, spec)
            .await
            .unwrap_or_else(|error| panic!("apply {name}: {error}"))
    }

    /// The same; may be refused.
    pub(crate) async fn try_apply_in<K: Object>(&self, namespace: &str, name: &str, spec: Value) -> kube::Result<K> {
        let api = Api::<K>::namespaced(self.kube.clone(), namespace);
        let body = manifest(&K::kind(&()), namespace, name, &spec);
        api.patch(name, &PatchParams::apply("test").force(), &Patch::Apply(body))
            .await
    }

    /// Sets an annotation.
    pub(crate) async fn annotate<K: Object>(&self, name: &str, key: &str, value: &str) {
        let body = json!({ "metadata": { "annotations": { key: value } } });
        self.api::<K>()
            .patch(name, &PatchParams::default(), &Patch::Merge(body))
            .await
            .expect("annotate");
    }

    /// Makes the operator look at an object now; answers with the object when it has.
    pub(crate) async fn look<K: Object + Debug + AnyObject>(&self, name: &str) -> K {
        let value = unique("look");
        self.annotate::<K>(name, "coder-operator.dev/reconcile-at", &value)
            .await;
        self.wait(name, |object: &K| object.handled().as_ref() == Some(&value))
            .await
    }

    /// Starts the operator anew.
    pub(crate) async fn restart_operator(&mut self) {
        self.operator = Operator::start(self.ground, &Settings::watching(self.namespace.name())).await;
    }

    /// Ends the operator as a crash would.
    pub(crate) async fn kill_operator(&mut self) {
        self.operator.signal("KILL");
        self.operator.ended().await;
    }

    /// Merges into the spec.
    pub(crate) async fn patch<K: Object>(&self, name: &str, spec: Value) {
        let body = json!({ "spec": spec });
        self.api::<K>()
            .patch(name, &PatchParams::default(), &Patch::Merge(body))
            .await
            .expect("patch");
    }

    /// Asks for the deletion of an object.
    pub(crate) async fn delete<K: Object>(&self, name: &str) {
        self.delete_in::<K>(self.ns(), name).await;
    }

    pub(crate) async fn delete_in<K: Object>(&self, namespace: &str, name: &str) {
        let api = Api::<K>::namespaced(self.kube.clone(), namespace);
        api.delete(name, &DeleteParams::default()).await.expect("delete");
    }

    /// Waits until the object is as wanted; answers with it.
    pub(crate) async fn wait<K: Object + Debug + AnyObject>(&self, name: &str, wanted: impl Fn(&K) -> bool) -> K {
        self.wait_in(self.ns(), name, wanted).await
    }

    pub(crate) async fn wait_in<K: Object + Debug + AnyObject>(
        &self,
        namespace: &str,
        name: &str,
        wanted: impl Fn(&K) -> bool,
    ) -> K {
        let api = Api::<K>::namespaced(self.kube.clone(), namespace);
        let mut last = None;
        let matches = |object: Option<&K>| object.is_some_and(&wanted);
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Ok(found) = kube::runtime::wait::await_condition(api.clone(), name, matches).await {
                    return found.expect("a condition of something that is there");
                }
            }
        })
        .await;
        if let Ok(object) = waited {
            return object;
        }
        if let Ok(object) = api.get_opt(name).await {
            last = object;
        }
        let conditions: Vec<String> = last
            .as_ref()
            .map(|object| {
                object
                    .all_conditions()
                    .iter()
                    .map(|c| format!("{}={} {}: {}", c.type_, c.status, c.reason, c.message))
                    .collect()
            })
            .unwrap_or_default();
        panic!(
            "{} {namespace}/{name} did not become as wanted; it is (generation {:?}):\n{}",
            K::kind(&()),
            last.as_ref().and_then(|object| object.meta().generation),
            conditions.join("\n")
        );
    }

    /// Waits until the object is gone.
    pub(crate) async fn gone<K: Object + Debug + AnyObject>(&self, name: &str) {
        self.gone_in::<K>(self.ns(), name).await;
    }

    pub(crate) async fn gone_in<K: Object + Debug + AnyObject>(&self, namespace: &str, name: &str) {
        let api = Api::<K>::namespaced(self.kube.clone(), namespace);
        let waited = tokio::time::timeout(PATIENCE, async {
            while let Some(object) = api.get_opt(name).await.expect("the API server answers") {
                let uid = object.uid().unwrap_or_default();
                let _ = kube::runtime::wait::await_condition(
                    api.clone(),
                    name,
                    kube::runtime::wait::conditions::is_deleted(&uid),
                )
                .await;
            }
        })
        .await;
        if waited.is_err() {
            let object = api.get(name).await.unwrap();
            panic!("{} {name} is still there: {:#?}", K::kind(&()), object.all_conditions());
        }
    }

    /// Waits until Coder is as wanted.
    pub(crate) async fn until<F, Fut>(&self, what: &str, mut wanted: F)
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = bool>,
    {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !wanted().await {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        })
        .await;
        assert!(waited.is_ok(), "never came true: {what}");
    }

    /// The notes of all events with that reason about an object.
    pub(crate) async fn events(&self, name: &str, reason: &str) -> Vec<String> {
        let list = self.api::<Event>().list(&ListParams::default()).await.unwrap();
        list.items
            .into_iter()
            .filter(|event| event.reason.as_deref() == Some(reason))
            .filter(|event| event.regarding.as_ref().and_then(|it| it.name.as_deref()) == Some(name))
            .filter_map(|event| event.note)
            .collect()
    }

    /// Waits until an event with that reason says this about an object.
    pub(crate) async fn event(&self, name: &str, reason: &str, text: &str) {
        self.until(&format!("an event {reason} about {name} with \"{text}\""), async || {
            self.events(name, reason).await.iter().any(|note| note.contains(text))
        })
        .await;
    }

    /// Leaves everything as it is, for tests whose operators have ended.
    pub(crate) fn leave(self) {
        drop(self);
    }

    /// Deletes the namespace with everything in it.
    pub(crate) async fn finish(self) {
        self.namespace.finish().await.expect("the namespace goes");
    }
}

/// The shared cluster, with the definitions installed and the operator's permissions given.
pub(crate) async fn cluster() -> &'static ControlPlane {
    static PREPARED: OnceCell<()> = OnceCell::const_new();
    let ground = ControlPlane::shared().await.expect("a control plane");
    PREPARED.get_or_init(|| prepare(ground)).await;
    ground
}

/// Definitions and permissions, as a user installs them.
pub(crate) async fn prepare(ground: &ControlPlane) {
    let admin = ground.admin().unwrap();
    test_ground::install_crds(&admin, &crds::all())
        .await
        .expect("the definitions");
    permissions::give(ground).await;
}

fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}

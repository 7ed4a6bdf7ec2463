//! How long it takes without an operator: bare clients send the writes that no operator can do without.
//!
//! For each object: it is created; a finalizer and a note of what is about to happen are written into it; Coder is told
//! what to create, and who belongs to a group; the status and an event say what came of it. For its deletion: it is
//! marked, Coder is told, the finalizer goes. Nothing is read, nothing is waited for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use coder_sim::Sim;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::Failure;
use crate::load::{Declared, Kind, Load, user};
use crate::processors::Busy;
use crate::report::Floor;
use crate::stage::{self, AT_ONCE, Stage};

const FINALIZER: &str = "bench.example.com/floor";

/// What bare clients needed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floors {
    pub(crate) declared: Floor,
    pub(crate) deleted: Floor,
}

/// One bare client for all: connections are shared as the operator shares them.
struct Bare {
    kube: Client,
    namespace: String,
    coder: reqwest::Client,
    url: String,
    token: String,
    /// Ids of users by name, which the operator knows from a list.
    users: BTreeMap<String, String>,
    /// Ids in Coder of what was created, by kind and name.
    made: Mutex<BTreeMap<(Kind, String), String>>,
}

/// Declares all of it and deletes it again.
pub(crate) async fn measure(stage: &Stage, namespace: &str, sim: &Sim, load: &Load) -> Result<Floors, Failure> {
    let users = sim.users().into_iter().map(|user| (user.username, user.id.to_string()));
    let bare = Arc::new(Bare {
        kube: stage.kube.clone(),
        namespace: namespace.to_owned(),
        coder: reqwest::Client::new(),
        url: sim.url(),
        token: sim.owner_token().to_owned(),
        users: users.collect(),
        made: Mutex::default(),
    });
    let (organizations, others): (Vec<Declared>, Vec<Declared>) = load
        .objects
        .iter()
        .cloned()
        .partition(|it| it.kind == Kind::Organization);
    let (began, busy) = (Instant::now(), Busy::so_far()?);
    // An organization is there before what is in it, and goes after it.
    bare.declare(&organizations).await?;
    bare.declare(&others).await?;
    let declared = floor(began, &busy)?;
    let (began, busy) = (Instant::now(), Busy::so_far()?);
    bare.delete(&others).await?;
    bare.delete(&organizations).await?;
    let deleted = floor(began, &busy)?;
    Ok(Floors { declared, deleted })
}

fn floor(began: Instant, before: &Busy) -> Result<Floor, Failure> {
    Ok(Floor {
        seconds: began.elapsed().as_secs_f64(),
        busy: Busy::so_far()?.after(before),
    })
}

impl Bare {
    /// Who declares and who acts on it are two, each with so many at once.
    async fn declare(self: &Arc<Self>, objects: &[Declared]) -> Result<(), Failure> {
        stream::iter(objects.to_vec())
            .map(|declared| {
                let bare = Arc::clone(self);
                tokio::spawn(async move { bare.create(declared).await })
            })
            .buffer_unordered(AT_ONCE)
            .map(|joined| joined?)
            .try_for_each_concurrent(AT_ONCE, |(declared, object)| {
                let bare = Arc::clone(self);
                let task = tokio::spawn(async move { bare.act(&declared, &object).await });
                async move { task.await? }
            })
            .await
    }

    async fn create(&self, declared: Declared) -> Result<(Declared, DynamicObject), Failure> {
        let object = stage::object(declared.kind.name(), &declared.name, &declared.spec)?;
        let object = self.api(&declared).create(&PostParams::default(), &object).await?;
        Ok((declared, object))
    }

    async fn act(&self, declared: &Declared, object: &DynamicObject) -> Result<(), Failure> {
        let api = self.api(declared);
        let note = json!({ "metadata": {
            "finalizers": [FINALIZER], "annotations": { "bench.example.com/begun": object.uid() },
        } });
        api.patch(&declared.name, &PatchParams::default(), &Patch::Merge(note))
            .await?;
        let id = self.make(declared).await?;
        let status = json!({
            "apiVersion": object.types.as_ref().map(|it| &it.api_version), "kind": declared.kind.name(),
            "metadata": { "name": declared.name, "uid": object.uid() }, "status": status(declared, &id),
        });
        api.patch_status(
            &declared.name,
            &PatchParams::apply("floor").force(),
            &Patch::Apply(status),
        )
        .await?;
        self.tell(declared, object).await?;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.insert((declared.kind, declared.name.clone()), id);
        Ok(())
    }

    /// Creates it in Coder; answers with its id.
    async fn make(&self, declared: &Declared) -> Result<String, Failure> {
        let name = &declared.name;
        let (path, body) = match declared.kind {
            Kind::Organization => ("organizations".to_owned(), json!({ "name": name })),
            Kind::Proxy => (
                "workspaceproxies".to_owned(),
                json!({ "name": name, "display_name": name, "icon": "/emojis/1f680.png" }),
            ),
            Kind::Group => (
                format!("organizations/{}/groups", declared.organization),
                json!({ "name": name, "quota_allowance": 5 }),
            ),
        };
        let answer = self.call(reqwest::Method::POST, &path, Some(body)).await?;
        // A proxy comes with its token, and is inside of it.
        let made = answer.get("proxy").unwrap_or(&answer);
        let id = made.get("id").and_then(Value::as_str).ok_or("an answer without id")?;
        if !declared.members.is_empty() {
            let names = declared.members.iter().map(|member| user(*member));
            let ids: Vec<&String> = names.filter_map(|name| self.users.get(&name)).collect();
            let body = json!({ "add_users": ids });
            self.call(reqwest::Method::PATCH, &format!("groups/{id}"), Some(body))
                .await?;
        }
        if declared.kind == Kind::Proxy {
            let secret = json!({ "metadata": { "name": name }, "stringData": { "token": answer.get("proxy_token") } });
            Api::<Secret>::namespaced(self.kube.clone(), &self.namespace)
                .create(&PostParams::default(), &serde_json::from_value(secret)?)
                .await?;
        }
        Ok(id.to_owned())
    }

    async fn tell(&self, declared: &Declared, object: &DynamicObject) -> Result<(), Failure> {
        let event: Event = serde_json::from_value(json!({
            "metadata": { "generateName": format!("{}-", declared.name) },
            "eventTime": "2026-01-01T00:00:00.000000Z", "type": "Normal", "reason": "Created", "action": "Reconcile",
            "note": format!("created {} {}", declared.kind.name(), declared.name),
            "reportingController": "bench.example.com/floor", "reportingInstance": "floor",
            "regarding": {
                "apiVersion": object.types.as_ref().map(|it| &it.api_version), "kind": declared.kind.name(),
                "namespace": self.namespace, "name": declared.name, "uid": object.uid(),
            },
        }))?;
        Api::namespaced(self.kube.clone(), &self.namespace)
            .create(&PostParams::default(), &event)
            .await?;
        Ok(())
    }

    async fn delete(self: &Arc<Self>, objects: &[Declared]) -> Result<(), Failure> {
        let bare = Arc::clone(self);
        stage::each(objects, move |declared| {
            let bare = Arc::clone(&bare);
            async move { bare.unmake(&declared).await }
        })
        .await
    }

    async fn unmake(&self, declared: &Declared) -> Result<(), Failure> {
        let api = self.api(declared);
        api.delete(&declared.name, &kube::api::DeleteParams::default()).await?;
        let id = {
            let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            made.get(&(declared.kind, declared.name.clone())).cloned()
        };
        let collection = match declared.kind {
            Kind::Organization => "organizations",
            Kind::Proxy => "workspaceproxies",
            Kind::Group => "groups",
        };
        let id = id.ok_or("it was never created")?;
        self.call(reqwest::Method::DELETE, &format!("{collection}/{id}"), None)
            .await?;
        let free = json!({ "metadata": { "finalizers": null } });
        api.patch(&declared.name, &PatchParams::default(), &Patch::Merge(free))
            .await?;
        Ok(())
    }

    async fn call(&self, method: reqwest::Method, path: &str, body: Option<Value>) -> Result<Value, Failure> {
        let mut request = self
            .coder
            .request(method, format!("{}/api/v2/{path}", self.url))
            .header("Coder-Session-Token", &self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        if !status.is_success() {
            return Err(format!("{path} answered {status}: {text}").into());
        }
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    fn api(&self, declared: &Declared) -> Api<DynamicObject> {
        stage::api(&self.kube, declared.kind.name(), &self.namespace)
    }
}

/// As much as the operator has to say.
fn status(declared: &Declared, id: &str) -> Value {
    let condition = |name: &str| {
        json!({
            "type": name, "status": "True", "reason": "InSync", "message": "as declared", "observedGeneration": 1,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        })
    };
    let mut status = json!({
        "observedGeneration": 1, "origin": "Created", "effectiveDeletionPolicy": "Delete",
        "conditions": [condition("Ready"), condition("Synced"), condition("ReferencesResolved")],
        "id": id, "name": declared.name,
    });
    if let (Kind::Group, Some(fields)) = (declared.kind, status.as_object_mut()) {
        fields.insert("organization".to_owned(), json!(declared.organization));
        fields.insert("memberCount".to_owned(), json!(declared.members.len()));
        fields.insert("membersManaged".to_owned(), json!(!declared.members.is_empty()));
    }
    status
}

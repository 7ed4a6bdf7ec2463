//! The example, as its files say it, and fitted to the stage.

use std::collections::BTreeSet;
use std::path::Path;

use coder_operator::api::GROUP;
use coder_sim::LicenseSpec;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::{Api, Client};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Failure;
use crate::stage::{MANAGER, Stage};

/// How soon drift is seen on a real server, whose audit log may not be to be had.
const RESYNC: &str = "5s";
/// Where objects go that name no namespace.
const NAMESPACE: &str = "coder";

/// The custom resources of the example.
pub(crate) struct Manifests(Vec<Value>);

impl Manifests {
    /// Reads all `.yaml` files of a folder in the order of their names. What is no custom resource of the operator
    /// (namespaces, Secrets, a kustomization) is made by the stage.
    pub(crate) fn read(folder: &Path) -> Result<Self, Failure> {
        let listed = std::fs::read_dir(folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
        let mut files: Vec<_> = listed.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
        files.sort();
        let mut objects = Vec::new();
        for file in files {
            let text = std::fs::read_to_string(&file)?;
            for document in serde_yaml::Deserializer::from_str(&text) {
                let object = Value::deserialize(document).map_err(|error| format!("{}: {error}", file.display()))?;
                if at(&object, "/apiVersion").starts_with(&format!("{GROUP}/")) {
                    objects.push(object);
                }
            }
        }
        if objects.is_empty() {
            return Err(format!("no custom resources in {}", folder.display()).into());
        }
        Ok(Self(objects))
    }

    /// The users that the groups name, by user name.
    pub(crate) fn users(&self) -> Vec<String> {
        let members = self
            .0
            .iter()
            .filter_map(|object| object.pointer("/spec/members")?.as_array());
        let names = members
            .flatten()
            .filter_map(Value::as_str)
            .map(|name| name.split('@').next().unwrap_or(name));
        names.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Whether a licence is among them.
    pub(crate) fn has_license(&self) -> bool {
        self.0.iter().any(|object| at(object, "/kind") == "CoderLicense")
    }

    /// Makes the `CoderInstance` lead to the stage's Coder and the rest do what the stage allows.
    pub(crate) fn fit(&mut self, stage: &Stage, write: bool) {
        let simulated = stage.sim.is_some();
        if !simulated {
            // There is no licence to give to a real server.
            self.0.retain(|object| at(object, "/kind") != "CoderLicense");
        }
        for object in &mut self.0 {
            let instance = at(object, "/kind") == "CoderInstance";
            if object.pointer("/metadata/namespace").is_none()
                && let Some(metadata) = object.get_mut("metadata")
            {
                set(metadata, "namespace", json!(NAMESPACE));
            }
            let Some(spec) = object.get_mut("spec") else { continue };
            if instance {
                set(spec, "url", json!(stage.coder_url));
                set(spec, "allowInsecureHTTP", json!(stage.coder_url.starts_with("http://")));
                if let Some(spec) = spec.as_object_mut().filter(|_| simulated) {
                    spec.remove("caSecretRef");
                    spec.remove("caConfigMapRef");
                }
                if !simulated && write {
                    set(spec, "resyncInterval", json!(RESYNC));
                }
            } else if !simulated && !write {
                set(spec, "mode", json!("Observe"));
            }
        }
    }

    /// How soon the operator sees what somebody changes, as the instance says it.
    pub(crate) fn pace(&self) -> String {
        let instance = self.0.iter().find(|object| at(object, "/kind") == "CoderInstance");
        let of = |field: &str, default: &str| {
            let value = instance
                .map(|instance| at(instance, &format!("/spec/{field}")))
                .unwrap_or_default();
            format!("{field} {}", if value.is_empty() { default } else { value })
        };
        format!("{}, {}", of("feedInterval", "5s"), of("resyncInterval", "10m"))
    }

    /// Applies everything, the namespaces and Secrets it needs first.
    pub(crate) async fn apply(&self, stage: &Stage, resources: &[ApiResource]) -> Result<Vec<String>, Failure> {
        let namespaces: BTreeSet<&str> = self.0.iter().map(|object| at(object, "/metadata/namespace")).collect();
        for namespace in namespaces {
            stage.namespace(namespace).await?;
        }
        let mut applied = Vec::new();
        for object in &self.0 {
            let (kind, namespace, name) = (
                at(object, "/kind"),
                at(object, "/metadata/namespace"),
                at(object, "/metadata/name"),
            );
            match kind {
                "CoderInstance" => {
                    secret(&stage.kube, object, "tokenSecretRef", "token", &stage.coder_token).await?;
                }
                "CoderLicense" => {
                    let jwt = coder_sim::license::mint(&LicenseSpec::premium(jiff::Timestamp::now()));
                    secret(&stage.kube, object, "licenseSecretRef", "license", &jwt).await?;
                }
                _ => {}
            }
            let Some(resource) = resources.iter().find(|resource| resource.kind == kind) else {
                return Err(format!("there is no kind {kind}").into());
            };
            let api = Api::<DynamicObject>::namespaced_with(stage.kube.clone(), namespace, resource);
            let parameters = PatchParams::apply(MANAGER).force();
            let made = api.patch(name, &parameters, &Patch::Apply(object)).await;
            made.map_err(|error| format!("{kind} {namespace}/{name}: {error}"))?;
            applied.push(format!("{kind} {namespace}/{name}"));
        }
        Ok(applied)
    }
}

/// Writes the Secret that a custom resource points at.
async fn secret(kube: &Client, object: &Value, field: &str, key: &str, value: &str) -> Result<(), Failure> {
    let reference = object.pointer(&format!("/spec/{field}")).cloned().unwrap_or_default();
    let (name, namespace) = (at(&reference, "/name"), at(object, "/metadata/namespace"));
    let key = reference.get("key").and_then(Value::as_str).unwrap_or(key);
    let body = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name, "namespace": namespace },
        "stringData": { key: value },
    });
    let api = Api::<Secret>::namespaced(kube.clone(), namespace);
    api.patch(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(body))
        .await?;
    Ok(())
}

/// The text under a JSON pointer; empty where there is none.
pub(crate) fn at<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn set(value: &mut Value, key: &str, to: Value) {
    if let Some(object) = value.as_object_mut() {
        object.insert(key.to_owned(), to);
    }
}

//! The `CustomResourceDefinition`s of all kinds, as they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, JSON};
use kube::CustomResourceExt;
use serde_json::json;

use crate::api::{CoderInstance, status::NEVER_OBSERVED};
use crate::engine::Remote;
use crate::kinds::{self, Visitor};

/// All of them, the connection first.
#[must_use]
pub fn all() -> Vec<CustomResourceDefinition> {
    let mut all = Collected(vec![finished(CoderInstance::crd())]);
    kinds::visit(&mut all);
    all.0
}

/// File name and content of each.
///
/// # Errors
/// When a definition cannot be written as YAML.
pub fn files() -> Result<Vec<(String, String)>, serde_yaml::Error> {
    all()
        .iter()
        .map(|crd| Ok((format!("{}.yaml", crd.spec.names.plural), to_yaml(crd)?)))
        .collect()
}

/// All definitions in one text.
///
/// # Errors
/// When one cannot be written as YAML.
pub fn bundle() -> Result<String, serde_yaml::Error> {
    let documents: Result<Vec<String>, _> = all().iter().map(to_yaml).collect();
    Ok(documents?.join("---\n"))
}

/// One definition as YAML.
///
/// # Errors
/// When it cannot be written as YAML.
pub fn to_yaml(crd: &CustomResourceDefinition) -> Result<String, serde_yaml::Error> {
    serde_yaml::to_string(crd)
}

struct Collected(Vec<CustomResourceDefinition>);

impl Visitor for Collected {
    fn visit<R: Remote>(&mut self) {
        self.0.push(finished(<R as CustomResourceExt>::crd()));
    }
}

/// What the derive cannot say: an object that nobody has looked at yet must not count as done.
fn finished(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let schemas = crd
        .spec
        .versions
        .iter_mut()
        .filter_map(|version| version.schema.as_mut());
    for schema in schemas.filter_map(|schema| schema.open_api_v3_schema.as_mut()) {
        let status = schema
            .properties
            .as_mut()
            .and_then(|properties| properties.get_mut("status"));
        if let Some(status) = status {
            status.default = Some(JSON(json!({ "observedGeneration": NEVER_OBSERVED })));
        }
    }
    crd
}

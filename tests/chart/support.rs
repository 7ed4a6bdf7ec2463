//! The chart, and Helm.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use kube::api::DynamicObject;
use serde_json::Value;
use test_ground::Helm;

pub(crate) const RELEASE: &str = "coder-operator";
pub(crate) const NAMESPACE: &str = "coder";

pub(crate) static HELM: LazyLock<Helm> = LazyLock::new(|| Helm::new().expect("helm"));

pub(crate) fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/coder-operator")
}

/// The objects of the release; otherwise what Helm says.
pub(crate) fn template(values: &Value) -> Result<Vec<DynamicObject>, String> {
    HELM.template(&chart(), RELEASE, NAMESPACE, values)
        .map_err(|error| error.to_string())
}

pub(crate) fn kind(object: &DynamicObject) -> &str {
    &object.types.as_ref().expect("a kind").kind
}

pub(crate) fn name(object: &DynamicObject) -> &str {
    object.metadata.name.as_deref().expect("a name")
}

/// The one object of that kind.
pub(crate) fn only<'a>(objects: &'a [DynamicObject], wanted: &str) -> &'a DynamicObject {
    let found: Vec<_> = objects.iter().filter(|object| kind(object) == wanted).collect();
    assert_eq!(found.len(), 1, "objects of kind {wanted}");
    found[0]
}

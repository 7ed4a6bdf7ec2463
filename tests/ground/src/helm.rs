//! Helm, and what it makes of a chart.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams},
};
use serde::Deserialize as _;
use serde_json::Value;

use crate::{Error, Result, tools};

/// Helm with a home of its own: neither the plugins nor the settings of whoever runs the tests count.
#[derive(Debug)]
pub struct Helm {
    binary: PathBuf,
    home: tempfile::TempDir,
}

impl Helm {
    /// Builds it if there is none yet. Blocks.
    pub fn new() -> Result<Self> {
        Ok(Self {
            binary: tools::HELM.binary()?,
            home: tempfile::tempdir().map_err(Error::io("cannot make a home for helm"))?,
        })
    }

    /// A command to which arguments can be added.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(variable, self.home.path());
        }
        // The kubeconfig of whoever runs the tests is nobody's business here.
        command.env("KUBECONFIG", self.home.path().join("none"));
        command
    }

    /// Runs it with these values besides those of the chart. Blocks.
    pub fn run(&self, arguments: &[&str], values: &Value) -> Result<Output> {
        let file = tempfile::NamedTempFile::new_in(self.home.path()).map_err(Error::io("cannot write values"))?;
        serde_json::to_writer(&file, values).map_err(Error::format("values"))?;
        self.command()
            .args(arguments)
            .arg("--values")
            .arg(file.path())
            .output()
            .map_err(Error::io("cannot run helm"))
    }

    /// The objects of a chart, as the release of that name in that namespace would have them. Blocks.
    pub fn template(&self, chart: &Path, release: &str, namespace: &str, values: &Value) -> Result<Vec<DynamicObject>> {
        let chart = chart.display().to_string();
        let output = self.run(&["template", release, &chart, "--namespace", namespace], values)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Error::format("helm template")(said));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        serde_yaml::Deserializer::from_str(&text)
            .map(|document| Option::<DynamicObject>::deserialize(document).map_err(Error::format("helm template")))
            .filter_map(Result::transpose)
            .collect()
    }
}

/// Applies objects in the order given, which must be one in which the server can take them.
pub async fn apply(client: &Client, objects: &[DynamicObject]) -> Result<()> {
    let parameters = PatchParams::apply("test-ground").force();
    for object in objects {
        let name = object.metadata.name.as_deref().unwrap_or_default();
        api(client, object)?
            .patch(name, &parameters, &Patch::Apply(object))
            .await
            .map_err(Error::kube(format!("cannot apply {name}")))?;
    }
    Ok(())
}

/// Where objects of that kind are, in the namespace of this one.
pub fn api(client: &Client, object: &DynamicObject) -> Result<Api<DynamicObject>> {
    let types = object
        .types
        .as_ref()
        .ok_or_else(|| Error::format("an object")("it has no kind"))?;
    let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(types).map_err(Error::format("an object"))?);
    Ok(match &object.metadata.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    })
}

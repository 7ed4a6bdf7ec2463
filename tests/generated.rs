//! Files that are written by the code are as the code writes them today: `make generate` makes them so.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use coder_operator::{crds, rbac};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The names of the YAML files in a directory.
fn yaml_files(directory: &Path) -> BTreeSet<String> {
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "yaml"))
        .collect()
}

fn assert_fresh(file: &str, expected: &str) {
    let held = fs::read_to_string(root().join(file)).unwrap_or_default();
    assert!(
        held == expected,
        "{file} is not what the code writes: run `make generate`"
    );
}

/// What a kustomization lists.
fn resources(directory: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(directory).join("kustomization.yaml")).unwrap();
    let kustomization: serde_json::Value = serde_yaml::from_str(&text).unwrap();
    let listed = kustomization["resources"].as_array().unwrap().iter();
    listed.map(|name| name.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_definitions_are_fresh() {
    for (name, text) in crds::files().unwrap() {
        assert_fresh(&format!("crds/{name}"), &text);
    }
    assert_fresh("deploy/crds.yaml", &crds::bundle().unwrap());
}

#[test]
fn the_folder_of_definitions_holds_them_and_nothing_else() {
    let held = yaml_files(&root().join("crds"));
    let written: BTreeSet<String> = crds::files().unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        held, written,
        "crds/ holds other files than `make generate` writes: delete what is left over"
    );
}

#[test]
fn the_permissions_are_fresh() {
    let subject = rbac::Subject {
        namespace: "coder-operator",
        service_account: "coder-operator",
    };
    assert_fresh("deploy/rbac.yaml", &rbac::to_yaml(subject, &[]).unwrap());
}

#[test]
fn the_deployment_leaves_no_file_out() {
    let mut held = yaml_files(&root().join("deploy"));
    held.remove("kustomization.yaml");
    assert_eq!(resources("deploy"), held);
}

//! Files that are written by the code are as the code writes them today. `make generate` runs this test with
//! `CODER_OPERATOR_GENERATE=1`, which writes them instead.

#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod argocd;
mod metrics;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use coder_operator::{crds, rbac};

const CHART: &str = "charts/coder-operator";

/// What is in these is generated, all of it.
const FOLDERS: [&str; 2] = ["charts/coder-operator/files/crds", "charts/coder-operator/files/rbac"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_default()
}

/// Path and content of everything that is generated.
fn files() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for (name, text) in crds::files().unwrap() {
        files.insert(format!("{CHART}/files/crds/{name}"), text);
    }
    for (name, text) in rbac::files().unwrap() {
        files.insert(format!("{CHART}/files/rbac/{name}"), text);
    }
    files.insert(format!("{CHART}/files/argocd-cm.yaml"), argocd::config_map());
    let guide = "docs/user-guide.md".to_owned();
    let text = with_part(&read(&guide), "metrics", &metrics::table());
    files.insert(guide, text);
    let runbooks = "docs/runbooks/README.md".to_owned();
    let text = with_part(&read(&runbooks), "alerts", &metrics::alerts());
    files.insert(runbooks, text);
    files.insert(format!("{CHART}/files/dashboard.json"), metrics::dashboard());
    let readme = format!("{CHART}/README.md");
    let table = values::table(&read(&format!("{CHART}/values.yaml")));
    let text = with_part(&read(&readme), "values", &table);
    files.insert(readme, text);
    files
}

/// The text with another part between its markers `<!-- NAME: begin -->` and `<!-- NAME: end -->`.
fn with_part(text: &str, name: &str, part: &str) -> String {
    let (begin, end) = (format!("<!-- {name}: begin -->"), format!("<!-- {name}: end -->"));
    let missing = || panic!("the markers of {name} are missing");
    let (before, rest) = text.split_once(&begin).unwrap_or_else(missing);
    let (_, after) = rest.split_once(&end).unwrap_or_else(missing);
    format!("{before}{begin}\n\n{part}\n{end}{after}")
}

/// The files in the folders of which everything is generated.
fn held() -> BTreeSet<String> {
    let name = |folder: &str, path: &Path| format!("{folder}/{}", path.file_name().unwrap().to_str().unwrap());
    FOLDERS
        .iter()
        .flat_map(|folder| {
            let entries = fs::read_dir(root().join(folder)).into_iter().flatten();
            entries.map(move |entry| name(folder, &entry.unwrap().path()))
        })
        .collect()
}

fn write(files: &BTreeMap<String, String>) {
    for left_over in held().iter().filter(|file| !files.contains_key(*file)) {
        fs::remove_file(root().join(left_over)).unwrap();
    }
    for (file, text) in files {
        let path = root().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

#[test]
fn generated_files_are_fresh_and_nothing_is_left_over() {
    let files = files();
    if std::env::var_os("CODER_OPERATOR_GENERATE").is_some() {
        write(&files);
    }
    let stale: Vec<&String> = files
        .iter()
        .filter(|(file, text)| read(file) != **text)
        .map(|(file, _)| file)
        .collect();
    assert!(
        stale.is_empty(),
        "not what the code writes, run `make generate`: {stale:#?}"
    );
    let held = held();
    let left_over: Vec<&String> = held.iter().filter(|file| !files.contains_key(*file)).collect();
    assert!(
        left_over.is_empty(),
        "no longer written, run `make generate`: {left_over:#?}"
    );
}

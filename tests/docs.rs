//! The documents say what the code does: the files they name exist, and the tables of reasons, conditions and flags are
//! complete.

#![cfg(test)]

use std::path::{Path, PathBuf};
use std::process::Command;

use coder_operator::api::{
    CoderCustomRole, CoderDeploymentSettings, CoderGroup, CoderGroupSync, CoderInstance, CoderLicense, CoderOAuth2App,
    CoderOrganization, CoderOrganizationMember, CoderOrganizationSync, CoderProvisionerKey, CoderRoleSync,
    CoderTemplateAccess, CoderWorkspaceProxy, NoteType, Object, annotation,
};
use coder_operator::engine::Reason;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use strum::IntoEnumIterator;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Name and text of the READMEs and everything in docs/.
fn documents() -> Vec<(PathBuf, String)> {
    let folder = |name: &str| std::fs::read_dir(root().join(name)).unwrap();
    let entries = folder("docs").chain(folder("docs/runbooks"));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.push(root().join("README.md"));
    paths.push(root().join("SECURITY.md"));
    paths.push(root().join("charts/coder-operator/README.md"));
    paths
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            (path, text)
        })
        .collect()
}

fn user_guide() -> String {
    std::fs::read_to_string(root().join("docs/user-guide.md")).unwrap()
}

/// What stands between `open` and `close`, everywhere in the text.
fn between<'a>(text: &'a str, open: &str, close: char) -> Vec<&'a str> {
    let after = text.split(open).skip(1);
    after.filter_map(|rest| Some(rest.split_once(close)?.0)).collect()
}

/// A source file by its path; `mod.rs` is in every room, and NAME stands for a kind to come.
fn is_source(word: &str) -> bool {
    let path = Path::new(word);
    path.extension().is_some_and(|extension| extension == "rs")
        && !word.contains([' ', '<'])
        && !matches!(path.file_stem().and_then(|stem| stem.to_str()), Some("mod" | "NAME"))
}

/// Where a source file is that a document names: below `src/`, unless it says more.
fn place(file: &str) -> PathBuf {
    let rooms = [
        "api/",
        "cli/",
        "coder/",
        "engine/",
        "instance/",
        "kinds/",
        "leader/",
        "lists/",
        "mirror/",
    ];
    if rooms.iter().any(|room| file.starts_with(room)) || !file.contains('/') {
        root().join("src").join(file)
    } else {
        root().join(file)
    }
}

/// The files of a text, each with the names that stand in parentheses behind it.
fn files_with_names(text: &str) -> Vec<(&str, Vec<&str>)> {
    let words: Vec<&str> = text.split('`').collect();
    let mut found = Vec::new();
    for (at, file) in words.iter().enumerate().skip(1).step_by(2) {
        if !is_source(file) || words.get(at + 1) != Some(&" (") {
            continue;
        }
        let after = words[at + 2..].chunks(2);
        let mut names = Vec::new();
        for pair in after {
            names.push(pair[0]);
            if pair.get(1) != Some(&", ") {
                break;
            }
        }
        found.push((*file, names));
    }
    found
}

/// Whether a source has that name as a whole word.
fn has_word(source: &str, name: &str) -> bool {
    let is_between = |letter: char| !letter.is_alphanumeric() && letter != '_';
    source.split(is_between).any(|word| word == name)
}

/// Whether a source has a test of that name.
fn has_test(source: &str, name: &str) -> bool {
    let declared = format!("fn {name}(");
    source.split("#[").any(|part| {
        let (attribute, rest) = part.split_once(']').unwrap_or_default();
        let is_test = attribute == "test" || attribute.starts_with("tokio::test");
        is_test && rest.split('{').next().is_some_and(|head| head.contains(&declared))
    })
}

#[test]
fn what_documents_name_in_a_file_is_in_it() {
    let mut missing = Vec::new();
    let mut found = 0;
    for (document, text) in documents() {
        for (file, names) in files_with_names(&text) {
            let source = std::fs::read_to_string(place(file)).unwrap_or_default();
            for name in names {
                found += 1;
                let exists = if file.starts_with("tests/") {
                    has_test(&source, name)
                } else {
                    has_word(&source, name)
                };
                if !exists {
                    missing.push(format!("{}: {file} ({name})", document.display()));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(found > 100, "only {found} names were looked for");
}

/// The rows of the first table below a heading, without its head.
fn rows<'a>(text: &'a str, heading: &str) -> Vec<&'a str> {
    let (_, section) = text.split_once(heading).unwrap();
    let table = section.lines().skip_while(|line| !line.starts_with('|'));
    table.take_while(|line| line.starts_with('|')).skip(2).collect()
}

#[test]
fn every_guarantee_and_every_limit_names_a_test_that_shows_it() {
    let read = |document: &str| std::fs::read_to_string(root().join("docs").join(document)).unwrap();
    let (architecture, limits) = (read("architecture.md"), read("limits.md"));
    let mut all = rows(&architecture, "## What users may rely on, and where it lives");
    for heading in ["## Calls to Coder", "## What is known of Coder", "## In Kubernetes"] {
        all.extend(rows(&limits, heading));
    }
    let threats = read("threat-model.md");
    all.extend(rows(&threats, "## Questions and answers"));
    let shows = |row: &&str| {
        let shown_by = row.trim_end_matches('|').rsplit('|').next().unwrap();
        files_with_names(shown_by).iter().any(|(file, names)| {
            let source = std::fs::read_to_string(place(file)).unwrap_or_default();
            names.iter().all(|name| has_test(&source, name))
        })
    };
    let without: Vec<&&str> = all.iter().filter(|row| !shows(row)).collect();
    assert!(without.is_empty(), "{without:#?}");
    assert!(all.len() > 50, "{} rows", all.len());
}

#[test]
fn files_and_links_that_documents_name_exist() {
    let mut missing = Vec::new();
    let mut found = 0;
    for (document, text) in documents() {
        let code = text.split('`').skip(1).step_by(2).map(str::to_owned);
        let files = code.filter(|word| is_source(word));
        for file in files {
            found += 1;
            if !place(&file).exists() {
                missing.push(format!("{}: {file}", document.display()));
            }
        }
        for link in between(&text, "](", ')') {
            let target = link.split('#').next().unwrap();
            if !target.is_empty() && !target.contains("://") && !document.with_file_name(target).exists() {
                missing.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(found > 50, "only {found} files were looked for");
}

#[test]
fn the_user_guide_explains_every_reason() {
    let guide = user_guide();
    // Never shown: a pass that was overtaken says nothing.
    let shown = Reason::iter().filter(|reason| *reason != Reason::Superseded);
    let missing: Vec<Reason> = shown.filter(|reason| !guide.contains(&format!("`{reason}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_user_guide_explains_every_condition() {
    let guide = user_guide();
    let missing: Vec<NoteType> = NoteType::iter()
        .filter(|note| !guide.contains(&format!("| `{note}` |")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_user_guide_explains_every_flag_and_annotation() {
    let guide = user_guide();
    let help = Command::new(env!("CARGO_BIN_EXE_coder-operator"))
        .args(["run", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let flags = between(&help, "--", ' ')
        .into_iter()
        .filter(|flag| flag.trim() != "help")
        .map(|flag| format!("`--{flag}`"));
    let variables = between(&help, "[env: ", '=')
        .into_iter()
        .map(|name| format!("`{name}`"));
    let annotations = [
        annotation::RECONCILE_AT,
        annotation::ROTATE,
        annotation::ACCEPT_DEPLOYMENT,
    ];
    let names: Vec<String> = flags
        .chain(variables)
        .chain(annotations.map(|name| format!("`{name}: ")))
        .collect();
    let missing: Vec<&String> = names.iter().filter(|name| !guide.contains(*name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(names.len() > 20, "{names:?}");
}

#[test]
fn the_readme_has_a_valid_example_of_every_kind() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let (_, rest) = readme.split_once("```yaml\n").unwrap();
    let (yaml, _) = rest.split_once("```").unwrap();
    let mut kinds = Vec::new();
    for document in serde_yaml::Deserializer::from_str(yaml) {
        let object = Value::deserialize(document).unwrap();
        let kind = object["kind"].as_str().unwrap().to_owned();
        match kind.as_str() {
            "CoderInstance" => keeps_every_field::<CoderInstance>(&object),
            CoderOAuth2App::KIND => keeps_every_field::<CoderOAuth2App>(&object),
            CoderLicense::KIND => keeps_every_field::<CoderLicense>(&object),
            CoderOrganization::KIND => keeps_every_field::<CoderOrganization>(&object),
            CoderGroup::KIND => keeps_every_field::<CoderGroup>(&object),
            CoderCustomRole::KIND => keeps_every_field::<CoderCustomRole>(&object),
            CoderOrganizationMember::KIND => keeps_every_field::<CoderOrganizationMember>(&object),
            CoderProvisionerKey::KIND => keeps_every_field::<CoderProvisionerKey>(&object),
            CoderGroupSync::KIND => keeps_every_field::<CoderGroupSync>(&object),
            CoderRoleSync::KIND => keeps_every_field::<CoderRoleSync>(&object),
            CoderOrganizationSync::KIND => keeps_every_field::<CoderOrganizationSync>(&object),
            CoderTemplateAccess::KIND => keeps_every_field::<CoderTemplateAccess>(&object),
            CoderDeploymentSettings::KIND => keeps_every_field::<CoderDeploymentSettings>(&object),
            CoderWorkspaceProxy::KIND => keeps_every_field::<CoderWorkspaceProxy>(&object),
            other => panic!("there is no kind {other}"),
        }
        kinds.push(kind);
    }
    let all: Vec<String> = coder_operator::crds::all()
        .into_iter()
        .map(|crd| crd.spec.names.kind)
        .collect();
    assert_eq!(kinds, all);
}

/// A field that the kind does not know would be lost.
fn keeps_every_field<K: DeserializeOwned + Serialize>(object: &Value) {
    let typed: K = serde_json::from_value(object.clone()).unwrap();
    let back = serde_json::to_value(typed).unwrap();
    for (field, value) in object["spec"].as_object().unwrap() {
        assert_eq!(&back["spec"][field], value, "{} {field}", object["kind"]);
    }
}

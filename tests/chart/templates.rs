//! What the chart renders, whatever the values are.

use std::collections::BTreeSet;
use std::process::Command;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use crate::matrix::cases;
use crate::support::{HELM, NAMESPACE, chart, kind, name, only, template};

pub(crate) fn deployment(objects: &[DynamicObject]) -> Deployment {
    only(objects, "Deployment").clone().try_parse().expect("a Deployment")
}

#[test]
fn helm_finds_nothing_to_say_against_any_combination() {
    let chart = chart().display().to_string();
    for (case, values) in cases() {
        let output = HELM.run(&["lint", "--strict", &chart], &values).unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{case}: {said}");
        assert!(!said.contains("[WARNING]"), "{case}: {said}");
    }
}

#[test]
fn the_unit_tests_of_the_templates_pass() {
    let tool = test_ground::tools::HELM_UNITTEST.binary().unwrap();
    let output = Command::new(tool).arg(chart()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("PASS  permissions"), "{said}");
}

#[test]
fn every_object_has_a_name_of_its_own_and_the_labels_of_the_release() {
    for (case, values) in cases() {
        let objects = template(&values).unwrap_or_else(|error| panic!("{case}: {error}"));
        let mut seen = BTreeSet::new();
        for object in &objects {
            let place = object.metadata.namespace.clone();
            let key = (kind(object).to_owned(), place, name(object).to_owned());
            assert!(seen.insert(key.clone()), "{case}: twice {key:?}");
            assert!(name(object).len() <= 63, "{case}: {}", name(object));
            // What users add is theirs.
            if case == "more of everything" && kind(object) == "ConfigMap" {
                continue;
            }
            let labels = object.metadata.labels.as_ref().expect("labels");
            for label in ["name", "instance", "version", "managed-by"] {
                let label = format!("app.kubernetes.io/{label}");
                assert!(labels.contains_key(&label), "{case}: {} has no {label}", name(object));
            }
        }
    }
}

#[test]
fn pods_are_restricted_and_have_no_fixed_user() {
    for (case, values) in cases() {
        let pod = deployment(&template(&values).unwrap())
            .spec
            .unwrap()
            .template
            .spec
            .unwrap();
        let whole = pod.security_context.unwrap();
        assert_eq!(whole.run_as_non_root, Some(true), "{case}");
        assert_eq!(
            (whole.run_as_user, whole.run_as_group, whole.fs_group),
            (None, None, None),
            "{case}"
        );
        assert_eq!(whole.seccomp_profile.unwrap().type_, "RuntimeDefault", "{case}");
        for container in pod.containers {
            let own = container.security_context.unwrap();
            assert_eq!(own.allow_privilege_escalation, Some(false), "{case}");
            assert_eq!(own.read_only_root_filesystem, Some(true), "{case}");
            assert_eq!(own.capabilities.unwrap().drop.unwrap(), ["ALL"], "{case}");
            assert!(
                container.resources.unwrap().limits.unwrap().contains_key("memory"),
                "{case}"
            );
        }
    }
}

#[test]
fn the_process_knows_every_variable_that_it_is_given() {
    let help = Command::new(env!("CARGO_BIN_EXE_coder-operator"))
        .args(["run", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let mut given = BTreeSet::new();
    for (_, values) in cases() {
        let pod = deployment(&template(&values).unwrap())
            .spec
            .unwrap()
            .template
            .spec
            .unwrap();
        assert_eq!(pod.containers[0].args.as_deref().unwrap(), ["run"]);
        given.extend(
            pod.containers[0]
                .env
                .iter()
                .flatten()
                .map(|variable| variable.name.clone()),
        );
    }
    for variable in given.iter().filter(|name| name.starts_with("CODER_OPERATOR_")) {
        assert!(
            help.contains(&format!("[env: {variable}=")),
            "the process does not know {variable}"
        );
    }
    let known = |line: &str| {
        line.split_once("[env: ")
            .and_then(|(_, rest)| Some(rest.split_once('=')?.0.to_owned()))
    };
    let missing: Vec<String> = help
        .lines()
        .filter_map(known)
        .filter(|name| !given.contains(name))
        .collect();
    assert!(missing.is_empty(), "no value of the chart sets {missing:?}");
}

#[test]
fn image_and_chart_are_of_this_version() {
    let version = env!("CARGO_PKG_VERSION");
    let objects = template(&json!({})).unwrap();
    let pod = deployment(&objects).spec.unwrap().template.spec.unwrap();
    let image = pod.containers[0].image.clone().unwrap();
    assert!(image.ends_with(&format!(":v{version}")), "{image}");
    let text = std::fs::read_to_string(chart().join("Chart.yaml")).unwrap();
    let chart: Value = serde_yaml::from_str(&text).unwrap();
    assert_eq!(chart["version"], version);
    assert_eq!(chart["appVersion"], version);
    let values = json!({ "image": { "tag": "v9", "digest": format!("sha256:{}", "a".repeat(64)) } });
    let pod = deployment(&template(&values).unwrap())
        .spec
        .unwrap()
        .template
        .spec
        .unwrap();
    assert!(
        pod.containers[0]
            .image
            .as_ref()
            .unwrap()
            .ends_with(&format!("@sha256:{}", "a".repeat(64)))
    );
}

/// The resources that the operator may use in the whole cluster.
fn everywhere(objects: &[DynamicObject]) -> Vec<String> {
    let user = |object: &DynamicObject| name(object).ends_with("-view") || name(object).ends_with("-edit");
    let roles = objects
        .iter()
        .filter(|object| kind(object) == "ClusterRole" && !user(object));
    roles
        .flat_map(|role| role.clone().try_parse::<ClusterRole>().unwrap().rules.unwrap())
        .flat_map(|rule| rule.resources.unwrap_or_default())
        .collect()
}

#[test]
fn secrets_of_the_whole_cluster_are_open_only_to_who_asks_for_it() {
    for (case, values) in cases() {
        let objects = template(&values).unwrap();
        let everywhere = everywhere(&objects);
        let all = values["secretNamespaces"] == json!(["*"]);
        assert_eq!(
            everywhere.iter().any(|resource| resource == "secrets"),
            all,
            "{case}: {everywhere:?}"
        );
        let pod = deployment(&objects).spec.unwrap().template.spec.unwrap();
        let variables = pod.containers[0].env.clone().unwrap();
        let restricted = variables
            .iter()
            .find(|variable| variable.name == "CODER_OPERATOR_SECRET_NAMESPACE");
        assert_eq!(restricted.is_none(), all, "{case}");
        let mut roles: Vec<&str> = objects
            .iter()
            .filter(|object| kind(object) == "Role" && name(object).ends_with("-secrets"))
            .map(|object| object.metadata.namespace.as_deref().unwrap())
            .collect();
        roles.sort_unstable();
        // The process looks exactly where it may.
        if values["rbac"]["create"] != json!(false) {
            let told = restricted
                .and_then(|variable| variable.value.clone())
                .unwrap_or_default();
            let mut told: Vec<&str> = told.split(',').filter(|name| !name.is_empty()).collect();
            told.sort_unstable();
            assert_eq!(roles, told, "{case}");
        }
    }
}

#[test]
fn watched_namespaces_have_a_role_each_and_the_cluster_only_that_of_namespaces() {
    let values = json!({ "watchNamespaces": ["team-a", "team-b"] });
    let objects = template(&values).unwrap();
    assert_eq!(everywhere(&objects), ["namespaces"]);
    for namespace in ["team-a", "team-b"] {
        let roles = objects.iter().filter(|object| kind(object) == "Role");
        let here = roles.filter(|role| role.metadata.namespace.as_deref() == Some(namespace));
        let mut names: Vec<&str> = here.map(name).collect();
        names.sort_unstable();
        assert_eq!(names, ["coder-operator", "coder-operator-secrets"]);
    }
    let pod = deployment(&objects).spec.unwrap().template.spec.unwrap();
    let variables = pod.containers[0].env.clone().unwrap();
    let watched = variables
        .iter()
        .find(|variable| variable.name == "CODER_OPERATOR_WATCH_NAMESPACE");
    assert_eq!(watched.unwrap().value.as_deref(), Some("team-a,team-b"));
}

#[test]
fn an_administrator_of_namespaces_can_install_it_without_rights_to_the_cluster() {
    let (_, values) = cases()
        .into_iter()
        .find(|(case, _)| *case == "nothing of the cluster")
        .unwrap();
    for object in template(&values).unwrap() {
        assert!(
            object.metadata.namespace.is_some(),
            "{} {}",
            kind(&object),
            name(&object)
        );
    }
}

#[test]
fn users_may_not_write_the_status() {
    let objects = template(&json!({})).unwrap();
    let role = |suffix: &str| {
        let found = objects
            .iter()
            .find(|object| kind(object) == "ClusterRole" && name(object).ends_with(suffix));
        found.expect("a role").clone().try_parse::<ClusterRole>().unwrap()
    };
    let (view, edit) = (role("-view"), role("-edit"));
    let resources = |role: &ClusterRole| role.rules.as_ref().unwrap()[0].resources.clone().unwrap();
    for role in [&view, &edit] {
        assert_eq!(resources(role).len(), coder_operator::crds::all().len());
        assert!(resources(role).iter().all(|resource| !resource.contains('/')));
    }
    let verbs = |role: &ClusterRole| role.rules.as_ref().unwrap()[0].verbs.clone();
    assert_eq!(verbs(&view), ["get", "list", "watch"]);
    assert!(verbs(&edit).contains(&"create".to_owned()));
}

#[test]
fn what_cannot_work_is_refused_with_a_reason() {
    for (values, said) in [
        (json!({ "replicas": 3 }), "additional properties 'replicas' not allowed"),
        (
            json!({ "crds": { "kept": true } }),
            "additional properties 'kept' not allowed",
        ),
        (
            json!({ "metrics": { "serviceMonitor": { "on": true } } }),
            "additional properties 'on' not allowed",
        ),
        (json!({ "log": { "format": "xml" } }), "/log/format"),
        (json!({ "watchNamespaces": ["Team A"] }), "/watchNamespaces/0"),
        (
            json!({ "leaderElection": { "leaseSeconds": 1 } }),
            "/leaderElection/leaseSeconds",
        ),
        (
            json!({ "leaderElection": { "enabled": false } }),
            "several replicas need it",
        ),
        (json!({ "ca": { "configMap": "a", "secret": "b" } }), "not both"),
        (json!({ "secretNamespaces": ["*", "a"] }), "stands alone"),
        (
            json!({ "secretNamespaces": ["*"], "watchNamespaces": ["a"] }),
            "stands alone",
        ),
        (
            json!({ "metrics": { "service": { "enabled": false }, "serviceMonitor": { "enabled": true } } }),
            "it needs metrics.service.enabled",
        ),
    ] {
        let refused = template(&values).expect_err("refused");
        assert!(refused.contains(said), "{values}: {refused}");
    }
}

#[test]
fn a_single_replica_is_not_held_on_a_node_that_is_drained() {
    let budgets = |values: &Value| {
        let objects = template(values).unwrap();
        objects
            .iter()
            .filter(|object| kind(object) == "PodDisruptionBudget")
            .count()
    };
    assert_eq!(budgets(&json!({})), 1);
    assert_eq!(budgets(&json!({ "replicaCount": 1 })), 0);
}

#[test]
fn the_notes_name_where_the_connection_belongs() {
    let chart = chart().display().to_string();
    for (values, place) in [
        (json!({}), NAMESPACE),
        (json!({ "watchNamespaces": ["team-a"] }), "team-a"),
    ] {
        let arguments = [
            "install",
            "coder-operator",
            &chart,
            "--namespace",
            NAMESPACE,
            "--dry-run=client",
        ];
        let output = HELM.run(&arguments, &values).unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let (_, notes) = said.split_once("NOTES:").expect("notes");
        assert!(
            notes.contains(&format!("-n {place} create secret generic coder-token")),
            "{notes}"
        );
    }
}

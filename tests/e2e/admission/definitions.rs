//! The definitions as the API server serves them.

use axum::http::Request;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::client::Body;
use kube::{Api, api::PostParams};
use serde_json::{Value, json};

use coder_operator::crds;

use super::table::{Bench, object};
use crate::support::cluster;

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_nobody_looked_at_does_not_count_as_done() {
    let bench = Bench::new("admission-status").await;
    for definition in crds::all() {
        let kind = &definition.spec.names.kind;
        let made: kube::api::DynamicObject = serde_json::from_value(object(kind, "untouched", json!({}))).unwrap();
        let made = bench.api(kind).create(&PostParams::default(), &made).await.unwrap();
        assert_eq!(made.metadata.generation, Some(1), "{kind}");
        assert_eq!(made.data["status"]["observedGeneration"], -1, "{kind}");
    }
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_knows_short_names_category_and_columns() {
    let api = Api::<CustomResourceDefinition>::all(cluster().await.admin().unwrap());
    let expected = [
        (
            "coderinstances",
            "ci",
            &["URL", "Version", "Ready", "Reason*", "Age"][..],
        ),
        (
            "coderorganizations",
            "corg",
            &["Organization", "ID*", "Ready", "Reason", "Age"],
        ),
        (
            "codergroups",
            "cgrp",
            &["Group", "Organization", "Members", "Ready", "Reason", "Age"],
        ),
        (
            "codercustomroles",
            "crole",
            &["Role", "Organization", "Permissions", "Ready", "Reason", "Age"],
        ),
        (
            "coderorganizationmembers",
            "cmem",
            &["User", "Organization", "Roles", "Quota*", "Ready", "Reason", "Age"],
        ),
        (
            "codergroupsyncs",
            "cgs",
            &["Organization", "Field", "Claims", "Ready", "Reason", "Age"],
        ),
        (
            "coderrolesyncs",
            "crs",
            &["Organization", "Field", "Claims", "Ready", "Reason", "Age"],
        ),
        (
            "coderorganizationsyncs",
            "cos",
            &["Field", "Claims", "Ready", "Reason", "Age"],
        ),
        (
            "codertemplateaccesses",
            "cta",
            &["Template", "Organization", "Users", "Groups", "Ready", "Reason", "Age"],
        ),
        (
            "coderprovisionerkeys",
            "cpk",
            &["Key", "Organization", "Daemons", "Issued", "Ready", "Reason", "Age"],
        ),
        ("coderdeploymentsettings", "cds", &["Ready", "Reason", "Age"]),
        (
            "coderoauth2apps",
            "coa",
            &["App", "Client-ID", "Issued", "Ready", "Reason", "Age"],
        ),
        ("coderlicenses", "clic", &["ID", "Expires", "Ready", "Reason", "Age"]),
        (
            "coderworkspaceproxies",
            "cwp",
            &["Proxy", "Healthy", "URL", "Ready", "Reason", "Age"],
        ),
    ];
    assert_eq!(expected.len(), crds::all().len(), "a kind is missing here");
    for (plural, short, columns) in expected {
        let served = api.get(&format!("{plural}.coder-operator.dev")).await.unwrap();
        let status = served.status.unwrap();
        let names = status.accepted_names.unwrap();
        assert_eq!(names.short_names.as_deref(), Some(&[short.to_owned()][..]), "{plural}");
        assert_eq!(names.categories.as_deref(), Some(&["coder".to_owned()][..]), "{plural}");
        // A star stands for `-o wide`.
        let shown: Vec<String> = served.spec.versions[0]
            .additional_printer_columns
            .iter()
            .flatten()
            .map(|column| {
                format!(
                    "{}{}",
                    column.name,
                    if column.priority.unwrap_or(0) > 0 { "*" } else { "" }
                )
            })
            .collect();
        assert_eq!(shown, columns, "{plural}");
        let conditions = status.conditions.unwrap_or_default();
        assert!(
            !conditions.iter().any(|one| one.type_ == "NonStructuralSchema"),
            "{plural}: {conditions:#?}"
        );
    }
}

/// A first installation, under another group so that the definitions of the other tests do not stand in its way.
#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_warns_of_nothing() {
    let client = cluster().await.admin().unwrap();
    for definition in crds::all() {
        let names = &definition.spec.names;
        let name = format!("{}.first.coder-operator.dev", names.plural);
        let mut body = serde_json::to_value(&definition).unwrap();
        body["apiVersion"] = json!("apiextensions.k8s.io/v1");
        body["kind"] = json!("CustomResourceDefinition");
        body["metadata"]["name"] = json!(name);
        body["spec"]["group"] = json!("first.coder-operator.dev");
        let warnings = warnings(&client, &body).await;
        assert_eq!(warnings, Vec::<String>::new(), "{name}");
    }
    // What is looked for is there when there is something to say.
    let mut unknown = serde_json::to_value(&crds::all()[0]).unwrap();
    unknown["metadata"]["name"] = json!("coderinstances.first.coder-operator.dev");
    unknown["spec"]["group"] = json!("first.coder-operator.dev");
    unknown["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["url"]["format"] =
        json!("no-such-format");
    assert!(warnings(&client, &unknown).await[0].contains("no-such-format"));
}

async fn warnings(client: &kube::Client, definition: &Value) -> Vec<String> {
    let request =
        Request::post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions?dryRun=All&fieldValidation=Strict")
            .header("content-type", "application/json")
            .body(Body::from(serde_json::to_vec(definition).unwrap()))
            .unwrap();
    let answer = client.send(request).await.unwrap();
    let status = answer.status();
    let warnings = answer
        .headers()
        .get_all("warning")
        .iter()
        .map(|value| value.to_str().unwrap().to_owned())
        .collect();
    assert!(
        status.is_success(),
        "{status}: {:?}",
        answer.into_body().collect_bytes().await
    );
    warnings
}

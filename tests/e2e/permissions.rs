//! The permissions that the chart gives the operator's pods: enough for all that it does, and no more. Kubernetes' own audit
//! log says what was used.

use std::collections::BTreeSet;
use std::path::Path;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use test_ground::{ControlPlane, Options};

use coder_operator::api::{CoderGroup, CoderInstance, CoderLicense, CoderOrganization, CoderWorkspaceProxy};
use coder_operator::crds;

use crate::support::permissions::{NAME, install, render, token};
use crate::support::{Coder, Operator, Settings, World, ready, stalled};

/// API group, resource with its subresource, verb.
type Permission = (String, String, String);

/// An operator as a pod of the release would run it.
async fn release(values: Value) -> (World, Client, Vec<DynamicObject>) {
    let ground = ControlPlane::start(Options::default().audited()).await.unwrap();
    // The test process keeps it; its servers end with the process.
    let ground: &'static ControlPlane = Box::leak(Box::new(ground));
    test_ground::install_crds(&ground.admin().unwrap(), &crds::all())
        .await
        .unwrap();
    let namespace = ground.namespace("work").await.unwrap();
    let text = values.to_string().replace("WORK", namespace.name());
    let objects = render(serde_json::from_str(&text).unwrap()).await;
    install(ground, &objects).await;
    let kubeconfig = token(ground).await;
    let operator = Operator::start(ground, &settings(&objects, &kubeconfig)).await;
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .unwrap();
    let world = World {
        ground,
        namespace,
        coder: Coder::any().await,
        operator,
        kube: ground.admin().unwrap(),
    };
    world.connect(world.ns(), "default", json!({})).await;
    world.wait::<CoderInstance>("default", ready).await;
    (world, Client::try_from(config).unwrap(), objects)
}

/// What a pod of the release runs with.
fn settings(objects: &[DynamicObject], kubeconfig: &Path) -> Settings {
    let mut environment = environment(objects);
    environment.push(("KUBECONFIG".to_owned(), kubeconfig.display().to_string()));
    Settings {
        namespaces: Vec::new(),
        election: None,
        user: Some("admin"),
        environment,
    }
}

/// The variables of the pod, as the kubelet would fill them in.
fn environment(objects: &[DynamicObject]) -> Vec<(String, String)> {
    let deployment = objects
        .iter()
        .find(|object| object.types.as_ref().unwrap().kind == "Deployment");
    let deployment: Deployment = deployment.unwrap().clone().try_parse().unwrap();
    let container = deployment.spec.unwrap().template.spec.unwrap().containers.remove(0);
    let filled = |field: &str| match field {
        "metadata.name" => "coder-operator-0".to_owned(),
        "metadata.namespace" => NAME.to_owned(),
        other => panic!("no kubelet here that knows {other}"),
    };
    let variables = container
        .env
        .unwrap()
        .into_iter()
        .filter(|it| it.name != "CODER_OPERATOR_LISTEN");
    variables
        .map(|variable| {
            let field = variable
                .value_from
                .and_then(|from| from.field_ref)
                .map(|field| filled(&field.field_path));
            (variable.name, variable.value.or(field).unwrap_or_default())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_it_works_where_it_may_read_secrets_and_is_told_where_it_may_not() {
    let (mut world, account, objects) = release(json!({ "secretNamespaces": ["WORK"] })).await;
    a_whole_life(&world).await;
    let other = world.ground.namespace("elsewhere").await.unwrap();
    world.put_secret(other.name(), "license", &[("license", "a.b.c")]).await;
    // Without Secrets it works there as well.
    let access =
        json!({ "access": { "namespaces": { "names": [other.name()] }, "kinds": ["CoderGroup", "CoderLicense"] } });
    world.patch::<CoderInstance>("default", access).await;
    let reference = json!({ "name": "default", "namespace": world.ns() });
    let name = world.name("theirs");
    let group = json!({ "organization": "default", "name": name, "instanceRef": reference });
    world.apply_in::<CoderGroup>(other.name(), "theirs", group).await;
    world.wait_in::<CoderGroup>(other.name(), "theirs", ready).await;
    let license = json!({ "licenseSecretRef": { "name": "license" }, "instanceRef": reference });
    is_exact(&mut world, &objects).await;
    secrets_are_closed(&account, other.name()).await;
    world.operator = Operator::start(world.ground, &settings(&objects, &token(world.ground).await)).await;
    world.apply_in::<CoderLicense>(other.name(), "theirs", license).await;
    let says = |license: &CoderLicense| crate::support::message(license, "Ready").contains("forbidden");
    world.wait_in::<CoderLicense>(other.name(), "theirs", says).await;
    world.delete_in::<CoderGroup>(other.name(), "theirs").await;
    world.gone_in::<CoderGroup>(other.name(), "theirs").await;
    world.leave();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_some_namespaces_it_does_all_its_work_and_sees_nothing_elsewhere() {
    let (mut world, account, objects) = release(json!({ "watchNamespaces": ["WORK"] })).await;
    a_whole_life(&world).await;
    is_exact(&mut world, &objects).await;
    let other = world.ground.namespace("elsewhere").await.unwrap();
    secrets_are_closed(&account, other.name()).await;
    let nothing = ListParams::default();
    refused(
        Api::<CoderGroup>::namespaced(account.clone(), other.name())
            .list(&nothing)
            .await,
    );
    refused(Api::<CoderLicense>::all(account).list(&nothing).await);
    world.leave();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_right_to_the_cluster_it_does_all_its_work_and_grants_by_name() {
    let values = json!({ "watchNamespaces": ["WORK", NAME], "rbac": { "namespaces": false, "aggregate": false } });
    let (mut world, _, objects) = release(values).await;
    assert!(
        objects
            .iter()
            .all(|object| object.types.as_ref().unwrap().kind != "ClusterRole")
    );
    world
        .until("it is ready", async || world.operator.http("/readyz").await.0 == 200)
        .await;
    a_whole_life(&world).await;
    // Whom the instance names may use it; whom a selector would name may not.
    let reference = json!({ "name": "default", "namespace": world.ns() });
    let group = json!({ "organization": "default", "name": world.name("theirs"), "instanceRef": reference });
    let by_label = json!({ "access": { "namespaces": { "selector": {} } } });
    world.patch::<CoderInstance>("default", by_label).await;
    world.apply_in::<CoderGroup>(NAME, "theirs", group).await;
    world
        .wait_in(NAME, "theirs", stalled::<CoderGroup>("AccessDenied"))
        .await;
    let by_name = json!({ "access": { "namespaces": { "selector": null, "names": [NAME] } } });
    world.patch::<CoderInstance>("default", by_name).await;
    world.wait_in::<CoderGroup>(NAME, "theirs", ready).await;
    is_exact(&mut world, &objects).await;
    world.leave();
}

#[tokio::test(flavor = "multi_thread")]
async fn everywhere_it_does_all_its_work_and_no_more() {
    let (mut world, _, objects) = release(json!({ "secretNamespaces": ["*"] })).await;
    a_whole_life(&world).await;
    is_exact(&mut world, &objects).await;
    world.leave();
}

/// Every kind of call to Kubernetes that the operator makes.
async fn a_whole_life(world: &World) {
    let (organization, proxy) = (world.name("rbac"), world.name("rbac-proxy"));
    let spec = json!({"name": organization, "displayName": "First", "deletionPolicy": "Delete"});
    world.apply::<CoderOrganization>("organization", spec).await;
    world
        .apply::<CoderGroup>("group", json!({"organizationRef": {"name": "organization"}}))
        .await;
    let spec = json!({
        "name": proxy, "displayName": "Paris", "icon": "/emojis/1f1eb-1f1f7.png", "tokenSecret": {"name": "proxy-token"},
    });
    world.apply::<CoderWorkspaceProxy>("proxy", spec).await;
    world.wait::<CoderGroup>("group", ready).await;
    world.wait::<CoderWorkspaceProxy>("proxy", ready).await;
    assert!(world.secret("proxy-token", "CODER_PROXY_SESSION_TOKEN").await.is_some());
    world.event("proxy", "Created", "create workspace proxy").await;
    // An existing Secret is written as well.
    world
        .annotate::<CoderWorkspaceProxy>("proxy", "coder-operator.dev/rotate", "now")
        .await;
    let rotated = |proxy: &CoderWorkspaceProxy| {
        proxy
            .status
            .as_ref()
            .is_some_and(|status| status.last_handled_rotate.as_deref() == Some("now"))
    };
    world.wait::<CoderWorkspaceProxy>("proxy", rotated).await;
    // The same event twice is counted in the first one.
    for token in [
        "wrong",
        &world.coder.token.clone(),
        "wrong again",
        &world.coder.token.clone(),
    ] {
        world.put_secret(world.ns(), "default-token", &[("token", token)]).await;
        let right = token == world.coder.token;
        world
            .wait::<CoderInstance>("default", |instance| ready(instance) == right)
            .await;
    }
    // Certificate authorities are read from a ConfigMap.
    let authorities = json!({ "caConfigMapRef": { "name": "ca" } });
    world.patch::<CoderInstance>("default", authorities).await;
    let missing = |instance: &CoderInstance| crate::support::message(instance, "Ready").contains("ConfigMap");
    world.wait::<CoderInstance>("default", missing).await;
    world
        .patch::<CoderInstance>("default", json!({ "caConfigMapRef": null }))
        .await;
    world.wait::<CoderInstance>("default", ready).await;
    world.delete::<CoderGroup>("group").await;
    world.gone::<CoderGroup>("group").await;
    world.delete::<CoderWorkspaceProxy>("proxy").await;
    world.gone::<CoderWorkspaceProxy>("proxy").await;
    world.delete::<CoderOrganization>("organization").await;
    world.gone::<CoderOrganization>("organization").await;
    assert!(world.coder.organization(&organization).await.is_none());
}

/// Nothing was refused, and every permission was used. The operator has ended then.
async fn is_exact(world: &mut World, objects: &[DynamicObject]) {
    world.operator.signal("TERM");
    world.operator.ended().await;
    let mut used: BTreeSet<Permission> = BTreeSet::new();
    let mut refused = Vec::new();
    let account = format!("system:serviceaccount:{NAME}:{NAME}");
    for entry in world.ground.audit().unwrap() {
        if entry["user"]["username"] != account.as_str() || entry["objectRef"].is_null() {
            continue;
        }
        if entry["responseStatus"]["code"] == 403 {
            refused.push(entry["requestURI"].to_string());
        }
        let reference = &entry["objectRef"];
        let text = |name: &str| reference[name].as_str().unwrap_or_default();
        let resource = match text("subresource") {
            "" => text("resource").to_owned(),
            subresource => format!("{}/{subresource}", text("resource")),
        };
        used.insert((
            text("apiGroup").to_owned(),
            resource,
            entry["verb"].as_str().unwrap().to_owned(),
        ));
    }
    assert!(refused.is_empty(), "the operator lacks permissions: {refused:#?}");
    let unused: Vec<String> = granted(objects)
        .into_iter()
        .flat_map(|rule| unused(&rule, &used))
        .collect();
    assert!(unused.is_empty(), "never used: {unused:#?}\nused: {used:#?}");
}

/// The rules of the operator's own roles.
fn granted(objects: &[DynamicObject]) -> Vec<PolicyRule> {
    let name = |object: &DynamicObject| object.metadata.name.clone().unwrap();
    let own = objects.iter().filter(|object| {
        let kind = &object.types.as_ref().unwrap().kind;
        kind.ends_with("Role") && !name(object).ends_with("-view") && !name(object).ends_with("-edit")
    });
    own.flat_map(|role| serde_json::from_value::<Vec<PolicyRule>>(role.data["rules"].clone()).unwrap())
        .collect()
}

/// What of a rule nobody used. A verb counts for all kinds of the rule: that each kind needs it is the engine's, which treats
/// them alike.
fn unused(rule: &PolicyRule, used: &BTreeSet<Permission>) -> Vec<String> {
    let group = &rule.api_groups.as_ref().unwrap()[0];
    let resources = rule.resources.as_ref().unwrap();
    let is_used = |verb: &&String| {
        // Never asked for by a call: Kubernetes wants them of who writes an owner reference.
        let implied = match (resources[0].as_str(), verb.as_str()) {
            ("secrets", "delete") => true,
            (resource, "update") => resource.ends_with("/finalizers"),
            _ => false,
        };
        let by = |resource: &String| used.contains(&(group.clone(), resource.clone(), (*verb).clone()));
        implied || resources.iter().any(by)
    };
    let left = rule.verbs.iter().filter(|verb| !is_used(verb));
    left.map(|verb| format!("{verb} {} of \"{group}\"", resources.join(", ")))
        .collect()
}

/// Secrets of another namespace are closed to the account, and so is what it never does to any.
async fn secrets_are_closed(account: &Client, namespace: &str) {
    let secrets = Api::<Secret>::namespaced(account.clone(), namespace);
    refused(secrets.get("private").await);
    refused(secrets.list_metadata(&ListParams::default()).await);
    refused(
        Api::<Secret>::all(account.clone())
            .list_metadata(&ListParams::default())
            .await,
    );
    let nothing = Patch::Merge(json!({}));
    refused(secrets.patch("private", &PatchParams::default(), &nothing).await);
}

fn refused<T: std::fmt::Debug>(result: kube::Result<T>) {
    match result {
        Err(kube::Error::Api(status)) if status.code == 403 => {}
        other => panic!("not refused: {other:?}"),
    }
}

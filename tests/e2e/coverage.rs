//! A namespace that cannot be listed: what can be is worked with, the rest is named, and nobody is told that something does
//! not exist because nobody could look.

use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use serde_json::{Value, json};
use test_ground::Namespace;

use coder_operator::api::{CoderGroup, CoderInstance, CoderOrganization};
use coder_operator::rbac;

use crate::support::{Coder, Operator, Settings, World, blocked, cluster, condition, message, ready, waiting};

/// A user whose permissions these tests give, one namespace at a time.
const USER: &str = "alice";

async fn apply(world: &World, namespace: Option<&str>, object: Value) {
    let parsed: DynamicObject = serde_json::from_value(object.clone()).unwrap();
    let kind = GroupVersionKind::try_from(parsed.types.as_ref().unwrap()).unwrap();
    let resource = ApiResource::from_gvk(&kind);
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(world.kube.clone(), namespace, &resource),
        None => Api::all_with(world.kube.clone(), &resource),
    };
    let parameters = PatchParams::apply("test").force();
    api.patch(&parsed.metadata.name.unwrap(), &parameters, &Patch::Apply(object))
        .await
        .expect("permissions");
}

/// What the operator may do in a namespace.
async fn permit(world: &World, namespace: &str) {
    apply(
        world,
        Some(namespace),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": { "name": USER, "namespace": namespace },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "coder-operator" },
            "subjects": [{ "kind": "User", "name": USER }],
        }),
    )
    .await;
}

async fn permit_namespaces(world: &World) {
    let name = "coverage-namespaces";
    let rules = serde_json::to_value(rbac::namespaces()).unwrap();
    let api = "rbac.authorization.k8s.io/v1";
    let role = json!({ "apiVersion": api, "kind": "ClusterRole", "metadata": { "name": name }, "rules": rules });
    apply(world, None, role).await;
    let binding = json!({
        "apiVersion": api, "kind": "ClusterRoleBinding", "metadata": { "name": name },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name },
        "subjects": [{ "kind": "User", "name": USER }],
    });
    apply(world, None, binding).await;
}

/// A world whose operator may work in its namespace and watches another one in which it may nothing.
async fn world(test: &str) -> (World, Namespace) {
    let ground = cluster().await;
    let namespace = ground.namespace(test).await.unwrap();
    let closed = ground.namespace(&format!("{test}-closed")).await.unwrap();
    let settings = Settings {
        namespaces: vec![namespace.name().to_owned(), closed.name().to_owned()],
        user: Some(USER),
        ..Settings::watching("")
    };
    let world = World {
        ground,
        coder: Coder::any().await,
        operator: Operator::start(ground, &settings).await,
        namespace,
        kube: ground.admin().unwrap(),
    };
    permit_namespaces(&world).await;
    permit(&world, world.ns()).await;
    world
        .until("everything of the own namespace is listed", async || {
            let (_, text) = world.operator.http("/readyz").await;
            !text.contains(world.ns())
        })
        .await;
    world.connect(world.ns(), "default", json!({})).await;
    world.wait::<CoderInstance>("default", ready).await;
    (world, closed)
}

async fn passes(world: &World, kind: &str, outcome: &str) -> f64 {
    let line = format!("coder_operator_passes_total{{kind=\"{kind}\",outcome=\"{outcome}\"}}");
    world.operator.metric(&line).await.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_forbidden_namespace_stops_nobody_else_and_is_named() {
    let (world, closed) = world("coverage-forbidden").await;
    let place = format!("CoderGroup in namespace {} (forbidden)", closed.name());
    world
        .until("what is missing is named, and nothing else", async || {
            let (status, text) = world.operator.http("/readyz").await;
            status == 503 && text.contains(&place) && !text.contains(world.ns())
        })
        .await;
    let unlisted = world
        .operator
        .metric("coder_operator_unlisted{kind=\"CoderGroup\"}")
        .await;
    assert_eq!(unlisted, Some(1.0));

    let (group, organization) = (world.name("backend"), world.name("platform"));
    let spec = json!({ "organization": "default", "name": group, "deletionPolicy": "Delete" });
    world.apply::<CoderGroup>("backend", spec).await;
    world.wait::<CoderGroup>("backend", ready).await;
    world.delete::<CoderGroup>("backend").await;
    world.gone::<CoderGroup>("backend").await;
    // Nothing in a namespace that may not use the instance can hang on it.
    let spec = json!({ "name": organization, "deletionPolicy": "Delete" });
    world.apply::<CoderOrganization>("platform", spec).await;
    world.wait::<CoderOrganization>("platform", ready).await;
    world.delete::<CoderOrganization>("platform").await;
    world.gone::<CoderOrganization>("platform").await;
    assert!(world.coder.organization(&organization).await.is_none());

    permit(&world, closed.name()).await;
    world
        .until("everything is listed", async || {
            world.operator.http("/readyz").await.0 == 200
        })
        .await;
    closed.finish().await.unwrap();
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_waits_for_a_list_that_could_show_what_hangs_on_it_and_says_so_once() {
    let (world, closed) = world("coverage-deletion").await;
    let access = json!({ "access": { "namespaces": { "names": [closed.name()] } } });
    world.patch::<CoderInstance>("default", access).await;
    world.wait::<CoderInstance>("default", ready).await;
    let organization = world.name("platform");
    let spec = json!({ "name": organization, "deletionPolicy": "Delete" });
    world.apply::<CoderOrganization>("platform", spec).await;
    world.wait::<CoderOrganization>("platform", ready).await;
    world.delete::<CoderOrganization>("platform").await;
    let object = world.wait("platform", blocked::<CoderOrganization>("NotListed")).await;
    let said = message(&object, "DeletionBlocked");
    let place = format!(
        "cannot list the CoderGroup objects of namespace {} (forbidden)",
        closed.name()
    );
    assert!(said.contains(&place), "{said}");
    world.event("platform", "NotListed", &place).await;
    // Other objects come and go meanwhile: it does not go round in circles.
    for n in 0..5 {
        let name = world.name("g");
        let spec = json!({ "organization": "default", "name": name });
        world.apply::<CoderGroup>(&format!("g{n}"), spec).await;
        world.wait::<CoderGroup>(&format!("g{n}"), ready).await;
    }
    let count = passes(&world, "CoderOrganization", "NotListed").await;
    assert!(count <= 3.0, "{count} passes that could not end");
    permit(&world, closed.name()).await;
    world.gone::<CoderOrganization>("platform").await;
    assert!(world.coder.organization(&organization).await.is_none());
    closed.finish().await.unwrap();
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_gone_holds_up_nothing_although_it_was_granted_the_instance() {
    let (mut world, closed) = world("coverage-gone").await;
    let access = json!({ "access": { "namespaces": { "names": [closed.name()] } } });
    world.patch::<CoderInstance>("default", access).await;
    let settings = Settings {
        namespaces: vec![closed.name().to_owned(), world.ns().to_owned()],
        user: Some(USER),
        ..Settings::watching("")
    };
    closed.finish().await.unwrap();
    world.operator = Operator::start(world.ground, &settings).await;
    let organization = world.name("platform");
    let spec = json!({ "name": organization, "deletionPolicy": "Delete" });
    world.apply::<CoderOrganization>("platform", spec).await;
    world.wait::<CoderOrganization>("platform", ready).await;
    world.delete::<CoderOrganization>("platform").await;
    world.gone::<CoderOrganization>("platform").await;
    assert!(world.coder.organization(&organization).await.is_none());
    world.delete::<CoderInstance>("default").await;
    world.gone::<CoderInstance>("default").await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_nobody_could_look_for_is_waited_for_quietly() {
    let (world, closed) = world("coverage-instance").await;
    let name = world.name("backend");
    let spec = json!({
        "organization": "default", "name": name, "instanceRef": { "name": "theirs", "namespace": closed.name() },
    });
    world.apply::<CoderGroup>("backend", spec).await;
    let group = world.wait("backend", waiting::<CoderGroup>("NotListed")).await;
    let said = message(&group, "Ready");
    assert!(said.contains("cannot list the CoderInstance objects"), "{said}");
    // Others come and go meanwhile.
    for n in 0..5 {
        let spec = json!({ "organization": "default", "name": world.name("g") });
        world.apply::<CoderGroup>(&format!("g{n}"), spec).await;
        world.wait::<CoderGroup>(&format!("g{n}"), ready).await;
    }
    let count = passes(&world, "CoderGroup", "NotListed").await;
    assert!(count <= 3.0, "{count} passes that could not begin");
    world
        .connect(
            closed.name(),
            "theirs",
            json!({ "access": { "namespaces": { "names": [world.ns()] } } }),
        )
        .await;
    permit(&world, closed.name()).await;
    world.wait("backend", ready::<CoderGroup>).await;
    world.delete::<CoderGroup>("backend").await;
    world.gone::<CoderGroup>("backend").await;
    world.delete_in::<CoderInstance>(closed.name(), "theirs").await;
    world.gone_in::<CoderInstance>(closed.name(), "theirs").await;
    closed.finish().await.unwrap();
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_could_look_for_is_not_said_to_be_absent() {
    let (world, closed) = world("coverage-absent").await;
    let access = json!({ "access": { "namespaces": { "names": [closed.name()] }, "kinds": ["CoderOrganization"] } });
    world.patch::<CoderInstance>("default", access).await;
    let organization = world.name("elsewhere");
    let spec = json!({ "name": organization, "instanceRef": { "name": "default", "namespace": world.ns() } });
    world
        .apply_in::<CoderOrganization>(closed.name(), "elsewhere", spec)
        .await;
    let name = world.name("backend");
    let reference = json!({ "name": "elsewhere", "namespace": closed.name() });
    world
        .apply::<CoderGroup>("backend", json!({ "organizationRef": reference, "name": name }))
        .await;
    let group = world.wait("backend", waiting::<CoderGroup>("NotListed")).await;
    let said = message(&group, "Ready");
    assert!(
        said.contains("cannot list the CoderOrganization objects") && !said.contains("does not exist"),
        "{said}"
    );
    permit(&world, closed.name()).await;
    world
        .wait_in(closed.name(), "elsewhere", ready::<CoderOrganization>)
        .await;
    let group = world.wait::<CoderGroup>("backend", ready).await;

    // A start later on looks at both namespaces in whatever order they are listed, and changes nothing.
    let settings = Settings {
        namespaces: vec![world.ns().to_owned(), closed.name().to_owned()],
        user: Some(USER),
        ..Settings::watching("")
    };
    let mut world = world;
    for _ in 0..3 {
        world.operator = Operator::start(world.ground, &settings).await;
        world
            .until("both were looked at", async || {
                passes(&world, "CoderGroup", "InSync").await >= 1.0
                    && passes(&world, "CoderOrganization", "InSync").await >= 1.0
            })
            .await;
        let now = world.api::<CoderGroup>().get("backend").await.unwrap();
        let changed = |object: &CoderGroup| condition(object, "Ready").unwrap().last_transition_time;
        assert_eq!(changed(&now), changed(&group), "it stays Ready all along");
        assert_eq!(now.metadata.resource_version, group.metadata.resource_version);
    }

    world.delete::<CoderGroup>("backend").await;
    world.gone::<CoderGroup>("backend").await;
    world.delete_in::<CoderOrganization>(closed.name(), "elsewhere").await;
    closed.finish().await.unwrap();
    world.finish().await;
}

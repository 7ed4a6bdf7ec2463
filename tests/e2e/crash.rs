//! A creation that is interrupted at the worst moment ends with exactly one object in Coder, and it is ours.

use coder_sim::license::{LicenseSpec, mint};
use coder_sim::{Fault, Method, Profile};
use serde_json::{Value, json};

use coder_operator::api::{CoderGroup, CoderLicense, CoderOrganization, CoderWorkspaceProxy};

use crate::support::{Coder, Operator, Settings, World, ready, simulated_only, stalled};

/// The creation of one kind: what is applied and which call makes it.
struct Creation {
    template: &'static str,
    kind: &'static str,
    spec: Value,
}

fn creations() -> [Creation; 4] {
    [
        Creation {
            template: "/api/v2/organizations",
            kind: "CoderOrganization",
            spec: json!({ "name": "platform", "deletionPolicy": "Delete" }),
        },
        Creation {
            template: "/api/v2/organizations/{organization}/groups",
            kind: "CoderGroup",
            spec: json!({ "organization": "default", "name": "backend" }),
        },
        Creation {
            template: "/api/v2/licenses",
            kind: "CoderLicense",
            spec: json!({ "licenseSecretRef": { "name": "license" }, "deletionPolicy": "Delete" }),
        },
        Creation {
            template: "/api/v2/workspaceproxies",
            kind: "CoderWorkspaceProxy",
            spec: json!({
                "name": "paris", "displayName": "Paris", "icon": "/x.png", "tokenSecret": { "name": "paris" },
            }),
        },
    ]
}

async fn world(test: &str) -> World {
    let world = World::with(test, Coder::simulated(Profile::Main).await, json!({})).await;
    let license = mint(&LicenseSpec::premium(world.coder.sim().clock().now()));
    world.put_secret(world.ns(), "license", &[("license", &license)]).await;
    world
}

/// How many objects the journal says were created by that call.
fn created(world: &World, template: &str) -> usize {
    let wanted =
        |call: &coder_sim::Entry| call.template == template && call.method == Method::POST && call.effect.is_write();
    world.coder.sim().journal().matching(wanted).len()
}

async fn apply(world: &World, creation: &Creation) {
    let spec = creation.spec.clone();
    match creation.kind {
        "CoderOrganization" => drop(world.apply::<CoderOrganization>("it", spec).await),
        "CoderGroup" => drop(world.apply::<CoderGroup>("it", spec).await),
        "CoderLicense" => drop(world.apply::<CoderLicense>("it", spec).await),
        _ => drop(world.apply::<CoderWorkspaceProxy>("it", spec).await),
    }
}

/// Ready and created by us, whatever the kind; then deleted, which proves that it is ours.
async fn becomes_ours(world: &World, creation: &Creation) {
    macro_rules! check {
        ($kind:ty) => {{
            let object = world.wait::<$kind>("it", ready).await;
            let common = object.status.unwrap().common;
            assert_eq!(
                common.origin,
                Some(coder_operator::api::Origin::Created),
                "{}",
                creation.kind
            );
            assert_eq!(common.pending_creation, None, "{}", creation.kind);
            let token = world.secret("paris", "CODER_PROXY_SESSION_TOKEN").await;
            assert_eq!(token.is_some(), creation.kind == "CoderWorkspaceProxy");
            world.delete::<$kind>("it").await;
            world.gone::<$kind>("it").await;
            assert!(!token.is_some_and(|token| world.coder.sim().proxy_token_valid(&token)));
        }};
    }
    match creation.kind {
        "CoderOrganization" => check!(CoderOrganization),
        "CoderGroup" => check!(CoderGroup),
        "CoderLicense" => check!(CoderLicense),
        _ => check!(CoderWorkspaceProxy),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_after_the_effect_leaves_one_object_that_is_ours() {
    simulated_only!("needs faults");
    let world = world("cut").await;
    for creation in creations() {
        let before = created(&world, creation.template);
        let fault = Fault::on(Method::POST, creation.template).times(1).cut_after();
        world.coder.sim().faults().add(fault);
        apply(&world, &creation).await;
        becomes_ours(&world, &creation).await;
        assert_eq!(created(&world, creation.template), before + 1, "{}", creation.kind);
    }
    assert!(world.coder.sim().group("coder", "backend").is_none());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_before_the_effect_is_tried_again() {
    simulated_only!("needs faults");
    let world = world("cut-before").await;
    for creation in creations() {
        let before = created(&world, creation.template);
        world
            .coder
            .sim()
            .faults()
            .add(Fault::on(Method::POST, creation.template).times(1).cut_before());
        apply(&world, &creation).await;
        becomes_ours(&world, &creation).await;
        assert_eq!(created(&world, creation.template), before + 1, "{}", creation.kind);
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_killed_between_effect_and_answer_leaves_one_object_that_is_ours() {
    simulated_only!("needs faults");
    let mut world = world("killed").await;
    for creation in creations() {
        let before = created(&world, creation.template);
        let gate = world
            .coder
            .sim()
            .faults()
            .pause_after_effect(Fault::on(Method::POST, creation.template).times(1));
        apply(&world, &creation).await;
        gate.arrived().await;
        let settings = Settings::watching(world.ns());
        world.operator.crash().await;
        gate.open();
        world.operator = Operator::start(world.ground, &settings).await;
        becomes_ours(&world, &creation).await;
        assert_eq!(created(&world, creation.template), before + 1, "{}", creation.kind);
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spec_renamed_while_the_operator_was_dead_renames_what_was_created() {
    simulated_only!("needs faults");
    let mut world = world("renamed").await;
    let [organization, ..] = creations();
    let gate = world
        .coder
        .sim()
        .faults()
        .pause_after_effect(Fault::on(Method::POST, organization.template).times(1));
    apply(&world, &organization).await;
    gate.arrived().await;
    let settings = Settings::watching(world.ns());
    world.operator.crash().await;
    gate.open();
    world
        .patch::<CoderOrganization>("it", json!({ "name": "renamed" }))
        .await;
    world.operator = Operator::start(world.ground, &settings).await;
    world.wait::<CoderOrganization>("it", ready).await;
    let names: Vec<String> = world
        .coder
        .sim()
        .organizations()
        .into_iter()
        .map(|one| one.name)
        .collect();
    assert!(
        names.contains(&"renamed".to_owned()) && !names.contains(&"platform".to_owned()),
        "{names:?}"
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_deleted_before_its_creation_was_recorded_leaves_nothing() {
    simulated_only!("needs faults");
    let mut world = world("orphan").await;
    let [_, group, ..] = creations();
    let gate = world
        .coder
        .sim()
        .faults()
        .pause_after_effect(Fault::on(Method::POST, group.template).times(1));
    apply(&world, &group).await;
    gate.arrived().await;
    let settings = Settings::watching(world.ns());
    world.operator.crash().await;
    gate.open();
    world.delete::<CoderGroup>("it").await;
    world.operator = Operator::start(world.ground, &settings).await;
    world.gone::<CoderGroup>("it").await;
    assert!(
        world.coder.sim().group("coder", "backend").is_none(),
        "an orphan was left"
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_a_new_object_is_filled_leaves_one_that_is_ours() {
    simulated_only!("needs faults");
    let mut world = world("filled").await;
    let fill = Fault::on(Method::PATCH, "/api/v2/groups/{group}").times(1);
    let gate = world.coder.sim().faults().pause(fill);
    let spec = json!({ "organization": "default", "name": "backend", "members": ["ann"] });
    world.apply::<CoderGroup>("it", spec).await;
    gate.arrived().await;
    let made = world.coder.sim().group("coder", "backend").unwrap().id;
    let settings = Settings::watching(world.ns());
    world.operator.crash().await;
    gate.open();
    world.operator = Operator::start(world.ground, &settings).await;
    let group = world.wait::<CoderGroup>("it", ready).await;
    let status = group.status.unwrap();
    assert_eq!(status.id, Some(made.to_string()));
    assert_eq!(status.common.origin, Some(coder_operator::api::Origin::Created));
    assert_eq!(world.coder.members("default", "backend").await, ["ann"]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_begun_and_refused_claims_nothing_that_somebody_makes_later() {
    simulated_only!("needs faults");
    let mut world = world("refused").await;
    let refusal = json!({ "message": "Forbidden." });
    let [_, creation, ..] = creations();
    let refused = Fault::on(Method::POST, creation.template).times(1).status(403, refusal);
    world.coder.sim().faults().add(refused);
    apply(&world, &creation).await;
    world.wait("it", stalled::<CoderGroup>("Forbidden")).await;
    world.coder.sim().create_group("coder", "backend");
    world.restart_operator().await;
    world.wait("it", stalled::<CoderGroup>("AlreadyExists")).await;
    world.delete::<CoderGroup>("it").await;
    world.gone::<CoderGroup>("it").await;
    assert!(
        world.coder.sim().group("coder", "backend").is_some(),
        "it is a stranger's"
    );
    world.finish().await;
}

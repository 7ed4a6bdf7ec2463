//! Whoever waits goes on when what it waits for is there, whichever of the two comes first.

use coder_sim::license::mint;
use coder_sim::{LicenseSpec, Profile, Sim};
use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace as KubeNamespace;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use test_ground::Namespace;

use coder_operator::api::{CoderGroup, CoderInstance, CoderLicense, CoderOrganization};

use crate::support::{Coder, Operator, Settings, World, cluster, condition, ready, simulated_only};

/// What is put there, each by a word.
const PIECES: [&str; 8] = [
    "token",
    "instance",
    "licence",
    "its secret",
    "organization",
    "group",
    "group elsewhere",
    "grant",
];

/// A namespace in which nothing is yet, another one, and a Coder without a licence.
async fn world(test: &str) -> (World, Namespace) {
    let ground = cluster().await;
    let namespace = ground.namespace(test).await.unwrap();
    let team = ground.namespace(&format!("{test}-team")).await.unwrap();
    let settings = Settings {
        namespaces: vec![namespace.name().to_owned(), team.name().to_owned()],
        ..Settings::watching("")
    };
    let sim = Sim::builder(Profile::Main).licensed(false).start().await;
    let world = World {
        ground,
        coder: Coder::of(sim),
        operator: Operator::start(ground, &settings).await,
        namespace,
        kube: ground.admin().unwrap(),
    };
    (world, team)
}

/// Puts a piece there, and waits until the operator has said something about it.
async fn put(world: &World, team: &Namespace, piece: &str) {
    let delete = "Delete";
    match piece {
        "token" => {
            let token = [("token", world.coder.token.as_str())];
            world.put_secret(world.ns(), "default-token", &token).await;
        }
        "instance" => {
            let access = json!({ "namespaces": { "selector": { "matchLabels": { "coder": "yes" } } } });
            let spec = json!({
                "url": world.coder.url, "allowInsecureHTTP": true, "tokenSecretRef": { "name": "default-token" },
                "access": access,
            });
            world.apply::<CoderInstance>("default", spec).await;
            let said = |object: &CoderInstance| condition(object, "Ready").is_some();
            world.wait("default", said).await;
        }
        "licence" => {
            let spec = json!({ "licenseSecretRef": { "name": "licence" } });
            world.apply::<CoderLicense>("licence", spec).await;
            let said = |object: &CoderLicense| condition(object, "Ready").is_some();
            world.wait("licence", said).await;
        }
        "its secret" => {
            let licence = mint(&LicenseSpec::premium(Timestamp::now()));
            world.put_secret(world.ns(), "licence", &[("license", &licence)]).await;
        }
        "organization" => {
            let spec = json!({ "deletionPolicy": delete });
            world.apply::<CoderOrganization>("platform", spec).await;
            let said = |object: &CoderOrganization| condition(object, "Ready").is_some();
            world.wait("platform", said).await;
        }
        "group" => {
            let spec = json!({ "organizationRef": { "name": "platform" }, "deletionPolicy": delete });
            world.apply::<CoderGroup>("here", spec).await;
            let said = |object: &CoderGroup| condition(object, "Ready").is_some();
            world.wait("here", said).await;
        }
        "group elsewhere" => {
            let spec = json!({
                "instanceRef": { "name": "default", "namespace": world.ns() }, "deletionPolicy": delete,
                "organizationRef": { "name": "platform", "namespace": world.ns() },
            });
            world.apply_in::<CoderGroup>(team.name(), "elsewhere", spec).await;
            let said = |object: &CoderGroup| condition(object, "Ready").is_some();
            world.wait_in(team.name(), "elsewhere", said).await;
        }
        "grant" => {
            let label = json!({ "metadata": { "labels": { "coder": "yes" } } });
            let api = Api::<KubeNamespace>::all(world.kube.clone());
            api.patch(team.name(), &PatchParams::default(), &Patch::Merge(label))
                .await
                .unwrap();
        }
        other => panic!("{other}"),
    }
}

async fn all_are_ready(world: &World, team: &Namespace) {
    world.wait("default", ready::<CoderInstance>).await;
    world.wait("licence", ready::<CoderLicense>).await;
    world.wait("platform", ready::<CoderOrganization>).await;
    world.wait("here", ready::<CoderGroup>).await;
    world.wait_in(team.name(), "elsewhere", ready::<CoderGroup>).await;
}

async fn take_away(world: &World, team: &Namespace, piece: &str) {
    match piece {
        "instance" => world.delete::<CoderInstance>("default").await,
        "licence" => world.delete::<CoderLicense>("licence").await,
        "organization" => world.delete::<CoderOrganization>("platform").await,
        "group" => world.delete::<CoderGroup>("here").await,
        "group elsewhere" => world.delete_in::<CoderGroup>(team.name(), "elsewhere").await,
        _ => {}
    }
}

async fn come_and_go(test: String, order: Vec<&str>) {
    let (world, team) = world(&test).await;
    println!("{test}: {order:?}");
    for piece in &order {
        put(&world, &team, piece).await;
    }
    all_are_ready(&world, &team).await;
    for piece in &order {
        take_away(&world, &team, piece).await;
    }
    world.gone_in::<CoderGroup>(team.name(), "elsewhere").await;
    world.gone::<CoderGroup>("here").await;
    world.gone::<CoderOrganization>("platform").await;
    world.gone::<CoderLicense>("licence").await;
    world.gone::<CoderInstance>("default").await;
    assert!(world.coder.sim().organization("platform").is_none());
    team.finish().await.unwrap();
    world.finish().await;
}

/// What waits looks again by itself after ten minutes: much later than these tests wait.
#[tokio::test(flavor = "multi_thread")]
async fn in_whatever_order_things_come_all_become_ready_and_in_whatever_order_they_go_nothing_is_left() {
    simulated_only!("each order has a Coder without a licence");
    let mut orders = vec![PIECES.to_vec(), PIECES.iter().rev().copied().collect()];
    for step in [3, 5] {
        // Both have no divisor in common with eight: each piece comes once.
        orders.push((0..PIECES.len()).map(|n| PIECES[n * step % PIECES.len()]).collect());
    }
    let runs = orders.into_iter().enumerate();
    join_all(runs.map(|(n, order)| come_and_go(format!("order-{n}"), order))).await;
}

//! What the operator wrote itself wakes nobody.

use coder_operator::api::{CoderGroup, CoderLicense, CoderOrganization, CoderWorkspaceProxy};
use coder_sim::license::{LicenseSpec, mint};
use coder_sim::{Method, Profile};
use serde_json::json;

use super::{GROUP, GROUPS, disturb, fed, group, others, polls};
use crate::support::{World, ready, simulated_only};

/// Something of every kind, all written by the operator.
async fn everything(world: &World) {
    let license = mint(&LicenseSpec::premium(world.coder.sim().clock().now()));
    world.put_secret(world.ns(), "license", &[("license", &license)]).await;
    let spec = json!({ "licenseSecretRef": { "name": "license" } });
    world.apply::<CoderLicense>("premium", spec).await;
    world.wait("premium", ready::<CoderLicense>).await;
    let spec = json!({ "description": "ours", "everyoneQuotaAllowance": 5, "workspaceSharing": "None" });
    world.apply::<CoderOrganization>("platform", spec).await;
    let spec = json!({ "displayName": "Paris", "icon": "/x.png", "tokenSecret": { "name": "paris-token" } });
    world.apply::<CoderWorkspaceProxy>("paris", spec).await;
    let spec = json!({ "organization": "default", "members": ["ann", "bob"] });
    world.apply::<CoderGroup>("people", spec).await;
    world.wait("platform", ready::<CoderOrganization>).await;
    world.wait("paris", ready::<CoderWorkspaceProxy>).await;
    world.wait("people", ready::<CoderGroup>).await;
}

/// The operator changes something of every kind.
async fn change_everything(world: &World) {
    world
        .patch::<CoderOrganization>("platform", json!({ "description": "new", "everyoneQuotaAllowance": 6 }))
        .await;
    world
        .patch::<CoderWorkspaceProxy>("paris", json!({ "displayName": "Lutetia" }))
        .await;
    world.patch::<CoderGroup>("people", json!({ "members": ["ann"] })).await;
    world.wait("platform", ready::<CoderOrganization>).await;
    world.wait("paris", ready::<CoderWorkspaceProxy>).await;
    world.wait("people", ready::<CoderGroup>).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn own_writes_make_the_operator_read_nothing() {
    simulated_only!("reads the journal");
    let world = fed("feed-own", Profile::Main, "1s").await;
    let bob = world.coder.sim().token_for("bob", &["owner"]);
    group(&world, "fence").await;
    everything(&world).await;
    change_everything(&world).await;
    // An entry of somebody else's: what was written before it has been read when it is answered.
    disturb(&world, &bob, &["fence"]).await;
    polls(&world, 2).await;
    let mark = world.coder.sim().journal().mark();
    polls(&world, 3).await;
    assert_eq!(others(&world, mark), [""; 0], "nothing but polls");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_reads_one_group_and_no_list() {
    simulated_only!("reads the journal");
    let world = fed("feed-one", Profile::Main, "1s").await;
    let sim = world.coder.sim();
    let bob = sim.token_for("bob", &["owner"]);
    for name in ["a", "b", "c"] {
        group(&world, name).await;
    }
    disturb(&world, &bob, &["a"]).await;
    polls(&world, 2).await;
    let mark = sim.journal().mark();
    disturb(&world, &bob, &["b"]).await;
    polls(&world, 3).await;
    let reads = |template| sim.journal().count_since(mark, &Method::GET, template);
    assert_eq!((reads(GROUP), reads(GROUPS)), (1, 0), "{:?}", others(&world, mark));
    world.finish().await;
}

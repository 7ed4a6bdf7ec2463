//! What the operator wrote itself wakes nobody.

use coder_operator::api::{CoderGroup, CoderLicense, CoderOrganization, CoderWorkspaceProxy};
use coder_sim::license::{LicenseSpec, mint};
use coder_sim::{Method, Profile};
use serde_json::json;

use super::{GROUP, GROUPS, disturb, entries_and_wakes, fed, group, others, polls, quiet};
use crate::support::{World, ready, simulated_only};

/// Something of every kind, all written by the operator.
async fn create_everything(world: &World) {
    let license = mint(&LicenseSpec::premium(world.coder.sim().clock().now()));
    world.put_secret(world.ns(), "license", &[("license", &license)]).await;
    let spec = json!({ "licenseSecretRef": { "name": "license" } });
    world.apply::<CoderLicense>("premium", spec).await;
    world.wait("premium", ready::<CoderLicense>).await;
    let spec = json!({ "description": "ours", "everyoneQuotaAllowance": 5 });
    world.apply::<CoderOrganization>("platform", spec).await;
    let spec = json!({ "displayName": "Paris", "icon": "/x.png", "tokenSecret": { "name": "paris-token" } });
    world.apply::<CoderWorkspaceProxy>("paris", spec).await;
    let spec = json!({ "organization": "default", "members": ["ann", "bob"] });
    world.apply::<CoderGroup>("people", spec).await;
    world.wait("platform", ready::<CoderOrganization>).await;
    world.wait("paris", ready::<CoderWorkspaceProxy>).await;
    world.wait("people", ready::<CoderGroup>).await;
}

/// The operator changes something of every kind; a licence has nothing to change.
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

/// The operator deletes some of it; the rest depends on the same lists.
async fn delete_something(world: &World) {
    world.delete::<CoderGroup>("people").await;
    world.gone::<CoderGroup>("people").await;
}

/// The operator writes at least that much while nothing can be read, and is done with it; then it reads what the log
/// says about it.
async fn reads_in_peace(world: &World, writes: usize, write: impl AsyncFnOnce(&World)) {
    let log = world.coder.sim().audit_log();
    quiet(world).await;
    log.hold();
    let rows = log.rows();
    write(world).await;
    quiet(world).await;
    let (mark, before) = (world.coder.sim().journal().mark(), entries_and_wakes(world).await);
    log.release();
    let written = log.rows() - rows;
    assert!(written >= writes, "{written} rows");
    let all = before.0 + f64::from(u32::try_from(written).unwrap());
    world
        .until("its own entries are read", async || {
            entries_and_wakes(world).await.0 >= all
        })
        .await;
    polls(world, 2).await;
    assert_eq!(others(world, mark), [""; 0], "nothing but polls");
    assert_eq!(entries_and_wakes(world).await, (all, before.1), "nobody is woken");
}

#[tokio::test(flavor = "multi_thread")]
async fn own_writes_make_the_operator_read_nothing() {
    simulated_only!("reads the journal");
    for profile in [Profile::Main, Profile::V2_16_1] {
        let world = fed("feed-own", profile, "1s").await;
        group(&world, "other").await;
        reads_in_peace(&world, 5, create_everything).await;
        reads_in_peace(&world, 4, change_everything).await;
        reads_in_peace(&world, 1, delete_something).await;
        world.finish().await;
    }
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

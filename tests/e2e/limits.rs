//! As much as is promised, and what happens past it.

use coder_sim::Profile;
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};

use coder_operator::api::{CoderGroup, CoderInstance};

use crate::members::{apply, world};
use crate::support::{Coder, World, condition, ready, simulated_only};

const INSTANCES: usize = 200;

/// So many names as long as an address may be.
fn addresses(count: usize) -> Value {
    let address = |number: usize| format!("{number:0>241}@example.com");
    json!((0..count).map(address).collect::<Vec<_>>())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_instances_serve_their_objects() {
    simulated_only!("one server stands for two hundred");
    let world = World::with("many-instances", Coder::simulated(Profile::Main).await, json!({})).await;
    for n in 0..INSTANCES {
        world.connect(world.ns(), &format!("coder-{n}"), json!({})).await;
        let spec = json!({ "organization": "default", "instanceRef": { "name": format!("coder-{n}") } });
        world.apply::<CoderGroup>(&format!("group-{n}"), spec).await;
    }
    for n in 0..INSTANCES {
        world.wait::<CoderGroup>(&format!("group-{n}"), ready).await;
        world.wait::<CoderInstance>(&format!("coder-{n}"), ready).await;
    }
    let made = || {
        let groups = world.coder.sim().groups();
        groups.iter().filter(|group| group.name.starts_with("group-")).count()
    };
    assert_eq!(made(), INSTANCES);
    let all = (DeleteParams::default(), ListParams::default());
    // The instances go with them, each when its own object is gone.
    let instances = world.api::<CoderInstance>();
    instances.delete_collection(&all.0, &all.1).await.unwrap();
    world
        .api::<CoderGroup>()
        .delete_collection(&all.0, &all.1)
        .await
        .unwrap();
    world
        .until("all instances are gone", async || {
            instances.list(&all.1).await.unwrap().items.is_empty()
        })
        .await;
    assert_eq!(made(), 0);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_members_may_be_named_and_one_more_is_refused_by_the_name_of_the_field() {
    simulated_only!("nobody else makes such users");
    let world = world("limit-members").await;
    let group = apply(&world, &addresses(5000), json!({})).await;
    let status = group.status.as_ref().unwrap();
    assert_eq!(
        (status.pending_members.len(), status.pending_member_count),
        (100, Some(5000))
    );
    assert!(condition(&group, "MembersPending").is_some());
    let spec = json!({ "organization": "default", "name": "backend", "members": addresses(5001) });
    let refused = world.try_apply_in::<CoderGroup>(world.ns(), "backend", spec).await;
    let said = refused.unwrap_err().to_string();
    assert!(said.contains("spec.members") && said.contains("5000"), "{said}");
    world.finish().await;
}

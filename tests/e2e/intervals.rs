//! How often Coder is looked at, and who says so.

use coder_sim::{Mark, Profile};
use kube::ResourceExt;
use serde_json::json;

use coder_operator::api::{CoderGroup, CoderInstance};

use crate::support::{Coder, World, ready, simulated_only};

/// How often the groups were listed through an instance after that.
fn lists(world: &World, instance: &CoderInstance, mark: Mark) -> usize {
    let who = instance.uid().unwrap();
    let calls = world.coder.calls_since(mark).into_iter();
    let lists = calls.filter(|call| call.user_agent.contains(&who) && call.template.ends_with("/groups"));
    lists.count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_makes_nobody_look_more_often_than_the_owner_of_the_connection_allows() {
    simulated_only!("reads the journal");
    let calm = json!({ "resyncInterval": "2h", "minResyncInterval": "1h" });
    let world = World::with("intervals", Coder::simulated(Profile::Main).await, calm).await;
    let busy = json!({ "resyncInterval": "1s", "minResyncInterval": "1s" });
    world.connect(world.ns(), "busy", busy).await;
    let eager = json!({ "organization": "default", "resyncInterval": "1s" });
    world.apply::<CoderGroup>("eager", eager).await;
    let beside = json!({ "organization": "default", "instanceRef": { "name": "busy" } });
    world.apply::<CoderGroup>("beside", beside).await;
    world.wait("eager", ready::<CoderGroup>).await;
    world.wait("beside", ready::<CoderGroup>).await;
    let busy = world.wait("busy", ready::<CoderInstance>).await;
    let calm = world.wait("default", ready::<CoderInstance>).await;

    let mark = world.coder.sim().journal().mark();
    world
        .until("one of them is listed some times", async || {
            lists(&world, &busy, mark) >= 4
        })
        .await;
    assert_eq!(
        lists(&world, &calm, mark),
        0,
        "the object asked for a second, its instance allows an hour"
    );

    world
        .patch::<CoderInstance>("default", json!({ "minResyncInterval": "1s" }))
        .await;
    let mark = world.coder.sim().journal().mark();
    world
        .until("the object has its way", async || lists(&world, &calm, mark) >= 3)
        .await;
    world.finish().await;
}

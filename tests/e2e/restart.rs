//! A restart is no news: nothing is written because the operator looks at everything anew.

use coder_sim::Profile;
use kube::ResourceExt;
use serde_json::json;

use coder_operator::api::{CoderGroup, CoderInstance, CoderOrganization, CoderWorkspaceProxy};

use crate::support::{Coder, World, ready, simulated_only};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_by_a_restart_when_nothing_changed() {
    simulated_only!("it reads the journal of the server");
    let mut world = World::with("restart", Coder::simulated(Profile::Main).await, json!({})).await;
    world.apply::<CoderOrganization>("platform", json!({})).await;
    let group = json!({ "organizationRef": { "name": "platform" }, "members": [] });
    world.apply::<CoderGroup>("backend", group).await;
    let proxy = json!({ "displayName": "Paris", "icon": "/emojis/1f680.png", "tokenSecret": { "name": "paris" } });
    world.apply::<CoderWorkspaceProxy>("paris", proxy).await;
    world.wait("backend", ready::<CoderGroup>).await;
    world.wait("paris", ready::<CoderWorkspaceProxy>).await;
    // The instance counts its objects when it looks.
    world.look::<CoderInstance>("default").await;
    let before = versions(&world).await;
    let mark = world.coder.sim().journal().mark();
    world.kill_operator().await;
    world.restart_operator().await;
    world
        .until("all three are looked at", async || {
            world.operator.log().matches("\"in sync\"").count() >= 3
        })
        .await;
    assert_eq!(versions(&world).await, before);
    for name in ["platform", "backend", "paris"] {
        assert!(world.events(name, "InstanceNotFound").await.is_empty(), "{name}");
    }
    assert!(world.coder.sim().journal().writes_since(mark).is_empty());
    world.finish().await;
}

async fn versions(world: &World) -> [Option<String>; 4] {
    [
        world
            .api::<CoderInstance>()
            .get("default")
            .await
            .unwrap()
            .resource_version(),
        world
            .api::<CoderOrganization>()
            .get("platform")
            .await
            .unwrap()
            .resource_version(),
        world
            .api::<CoderGroup>()
            .get("backend")
            .await
            .unwrap()
            .resource_version(),
        world
            .api::<CoderWorkspaceProxy>()
            .get("paris")
            .await
            .unwrap()
            .resource_version(),
    ]
}

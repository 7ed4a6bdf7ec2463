//! The cost of watching many objects while nothing happens.

use std::time::{Duration, Instant};

use coder_operator::api::{CoderGroup, CoderInstance};
use coder_sim::Profile;
use futures::{StreamExt, TryStreamExt, stream};
use kube::ResourceExt;
use kube::api::{ListParams, ObjectList};
use serde_json::json;

use super::{others, pages, reads_the_log};
use crate::support::{Coder, World, ready, simulated_only};

const ORGANIZATIONS: usize = 3;
const GROUPS: usize = 3000;
/// What an idle object may cost is looked at this long.
const IDLE: Duration = Duration::from_mins(5);

#[tokio::test(flavor = "multi_thread")]
async fn three_thousand_idle_objects_cost_a_poll_every_few_seconds_and_nothing_else() {
    simulated_only!("reads the journal");
    let coder = Coder::simulated(Profile::Main).await;
    for organization in 0..ORGANIZATIONS {
        coder.sim().create_organization(&format!("team-{organization}"));
    }
    // What is there already costs fewer writes to take over than to create.
    for group in 0..GROUPS {
        coder
            .sim()
            .create_group(&format!("team-{}", group % ORGANIZATIONS), &format!("group-{group}"));
    }
    let settings = json!({ "feedInterval": "5s", "defaults": { "adoptionPolicy": "IfExists" } });
    let world = World::with("feed-idle", coder, settings).await;
    let began = Instant::now();
    stream::iter(0..GROUPS)
        .map(|group| {
            let organization = format!("team-{}", group % ORGANIZATIONS);
            let (world, name) = (&world, format!("group-{group}"));
            async move {
                let spec = json!({ "organization": organization });
                world.try_apply_in::<CoderGroup>(world.ns(), &name, spec).await
            }
        })
        .buffer_unordered(8)
        .try_for_each(|_| async { Ok(()) })
        .await
        .unwrap();
    println!("{GROUPS} groups applied after {:?}", began.elapsed());
    let everything_ready = async || {
        let groups = groups(&world).await;
        groups.items.len() == GROUPS && groups.iter().all(ready)
    };
    while !everything_ready().await {
        assert!(began.elapsed() < Duration::from_mins(8), "not all groups became Ready");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    println!("all Ready after {:?}", began.elapsed());
    reads_the_log(&world).await;
    // The count of its objects, and the entries of what it wrote, are still to be taken note of.
    let counted = |instance: &CoderInstance| {
        let counts = instance.status.as_ref().map(|status| status.objects.clone());
        counts.is_some_and(|counts| counts.values().sum::<i64>() == i64::try_from(GROUPS).unwrap())
    };
    world.look::<CoderInstance>("default").await;
    world.wait("default", counted).await;
    super::polls(&world, 3).await;

    let mark = world.coder.sim().journal().mark();
    let (before, began) = (versions(&world).await, Instant::now());
    // Nothing is waited for here: that nothing happens for so long is what the test is about.
    tokio::time::sleep(IDLE).await;
    let (polls, others) = (pages(&world, mark), others(&world, mark));
    println!(
        "{GROUPS} idle objects: {} polls and {} other calls in {:?}",
        polls.len(),
        others.len(),
        began.elapsed()
    );
    assert_eq!(others, [""; 0], "nothing but polls");
    assert!(
        (40..=70).contains(&polls.len()),
        "one page every five seconds: {}",
        polls.len()
    );
    assert_eq!(versions(&world).await, before, "nothing was written to Kubernetes");
    // Leaving 3000 objects to the API server's own end is quicker than deleting them one by one.
    world.leave();
}

async fn groups(world: &World) -> ObjectList<CoderGroup> {
    world.api::<CoderGroup>().list(&ListParams::default()).await.unwrap()
}

async fn versions(world: &World) -> Vec<Option<String>> {
    let mut versions: Vec<Option<String>> = groups(world).await.iter().map(ResourceExt::resource_version).collect();
    let instance: CoderInstance = world.api().get("default").await.unwrap();
    versions.push(instance.resource_version());
    versions
}

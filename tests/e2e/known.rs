//! What is known of Coder is not read again because a spec changed; what turns out to be old is.

use coder_sim::{Fault, Mark, Method, Profile};
use kube::api::ListParams;
use serde_json::{Value, json};

use coder_operator::api::{CoderGroup, CoderOrganization};

use crate::support::{Coder, World, blocked, message, ready, simulated_only, stalled, waiting};

const GROUPS: &str = "/api/v2/organizations/{organization}/groups";
const GROUP: &str = "/api/v2/groups/{group}";
const MANY: usize = 50;

/// What the operator read of organizations and groups after `mark`.
fn reads(world: &World, mark: Mark) -> Vec<String> {
    let of_objects = |path: &str| ["/organizations", "/groups"].iter().any(|part| path.contains(part));
    let calls = world.coder.calls_since(mark).into_iter();
    let reads = calls.filter(|call| !call.effect.is_write() && of_objects(call.template));
    reads.map(|call| format!("{} {}", call.method, call.path)).collect()
}

fn spec(quota: i32, members: &[&str]) -> Value {
    json!({ "organization": "default", "quotaAllowance": quota, "members": members })
}

async fn all_are_ready(world: &World, count: usize) {
    world
        .until("all are Ready", async || {
            let groups = world.api::<CoderGroup>().list(&ListParams::default()).await.unwrap();
            groups.items.len() == count && groups.iter().all(ready)
        })
        .await;
}

async fn apply_many(world: &World) {
    for n in 0..MANY {
        world.apply::<CoderGroup>(&format!("g{n}"), spec(1, &["ann"])).await;
    }
    all_are_ready(world, MANY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wave_of_new_objects_reads_each_list_once_an_edit_and_a_deletion_read_none() {
    simulated_only!("reads the journal");
    for feed in ["Off", "1s"] {
        let settings = json!({ "resyncInterval": "1h", "feedInterval": feed });
        let world = World::with("known-wave", Coder::simulated(Profile::Main).await, settings).await;
        let mark = world.coder.sim().journal().mark();
        apply_many(&world).await;
        let lists = reads(&world, mark);
        // Organizations, groups, members and group sync; once more when the feed begins.
        assert!(lists.len() <= 8, "{lists:#?}");

        let mark = world.coder.sim().journal().mark();
        world.apply::<CoderGroup>("g7", spec(2, &["ann", "bob"])).await;
        world.wait("g7", ready::<CoderGroup>).await;
        let group = world.coder.sim().group("coder", "g7").unwrap();
        assert_eq!((group.quota_allowance, group.members.len()), (2, 2));
        assert_eq!(reads(&world, mark), [""; 0], "feed {feed}");

        let mark = world.coder.sim().journal().mark();
        for n in 0..MANY {
            world.delete::<CoderGroup>(&format!("g{n}")).await;
        }
        all_are_ready(&world, 0).await;
        assert_eq!(world.coder.writes_since(mark).len(), MANY);
        assert_eq!(reads(&world, mark), [""; 0], "feed {feed}");
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_turns_out_to_be_old_is_looked_at_again_before_anything_is_said() {
    simulated_only!("changes things behind the operator's back");
    let settings = json!({ "resyncInterval": "1h" });
    let world = World::with("known-old", Coder::simulated(Profile::Main).await, settings).await;
    let sim = world.coder.sim();
    world.apply::<CoderGroup>("ours", spec(1, &["ann"])).await;
    let before = world.wait("ours", ready::<CoderGroup>).await;

    // It is gone, and nobody said so: the refusal does.
    sim.delete_group("coder", "ours");
    world.apply::<CoderGroup>("ours", spec(2, &["ann"])).await;
    let after = world.wait("ours", ready::<CoderGroup>).await;
    let id = |group: &CoderGroup| group.status.as_ref().unwrap().id.clone();
    assert_ne!(id(&after), id(&before), "it was made anew");

    // Somebody is a member already.
    sim.edit_group("coder", "ours", |group| group.members.clear());
    let path = format!("/groups/{}", sim.group("coder", "ours").unwrap().id);
    let bob = json!({ "add_users": [world.coder.get("/users/bob").await["id"]] });
    world.coder.change(Method::PATCH, &path, bob).await;
    world.apply::<CoderGroup>("ours", spec(3, &["ann", "bob"])).await;
    world.wait("ours", ready::<CoderGroup>).await;
    assert_eq!(world.coder.members("default", "ours").await, ["ann", "bob"]);

    // One that must exist was made just now, one that was in the way is gone.
    let must = json!({ "organization": "default", "adoptionPolicy": "MustExist" });
    world.apply::<CoderGroup>("theirs", must.clone()).await;
    world.wait("theirs", stalled::<CoderGroup>("NotFound")).await;
    sim.create_group("default", "theirs");
    let mut edited = must;
    edited["displayName"] = json!("Theirs");
    world.apply::<CoderGroup>("theirs", edited).await;
    world.wait("theirs", ready::<CoderGroup>).await;

    sim.create_organization("blocked");
    world.look::<CoderGroup>("ours").await;
    world
        .apply::<CoderOrganization>("blocked", json!({ "description": "a" }))
        .await;
    world
        .wait("blocked", stalled::<CoderOrganization>("AlreadyExists"))
        .await;
    sim.delete_organization("blocked");
    world
        .apply::<CoderOrganization>("blocked", json!({ "description": "b" }))
        .await;
    world.wait("blocked", ready::<CoderOrganization>).await;

    // An organization that somebody made just now is found.
    let inside = json!({ "organization": "later" });
    world.apply::<CoderGroup>("inside", inside).await;
    world.wait("inside", waiting::<CoderGroup>("DependencyNotReady")).await;
    sim.create_organization("later");
    world
        .apply::<CoderGroup>("inside", json!({ "organization": "later", "quotaAllowance": 3 }))
        .await;
    world.wait("inside", ready::<CoderGroup>).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_twice_is_gone_and_what_may_not_be_deleted_is_said() {
    simulated_only!("changes things behind the operator's back");
    let settings = json!({ "resyncInterval": "1h" });
    let world = World::with("known-gone", Coder::simulated(Profile::Main).await, settings).await;
    let sim = world.coder.sim();
    for name in ["gone", "refused"] {
        world.apply::<CoderGroup>(name, spec(1, &[])).await;
        world.wait(name, ready::<CoderGroup>).await;
    }
    sim.delete_group("coder", "gone");
    world.delete::<CoderGroup>("gone").await;
    world.gone::<CoderGroup>("gone").await;

    sim.faults().add(Fault::on(Method::DELETE, GROUP).times(1).status(
        404,
        json!({ "message": "Resource not found or you do not have access to this resource" }),
    ));
    world.delete::<CoderGroup>("refused").await;
    let blocked = world.wait("refused", blocked::<CoderGroup>("Forbidden")).await;
    let message = message(&blocked, "DeletionBlocked");
    assert!(message.contains("the role User Admin or Owner"), "{message}");
    world
        .annotate::<CoderGroup>("refused", "coder-operator.dev/reconcile-at", "now")
        .await;
    world.gone::<CoderGroup>("refused").await;
    assert!(sim.group("coder", "refused").is_none());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_outcome_is_unknown_is_looked_at_again() {
    simulated_only!("needs faults");
    let settings = json!({ "resyncInterval": "1h" });
    let world = World::with("known-cut", Coder::simulated(Profile::Main).await, settings).await;
    let sim = world.coder.sim();
    world.apply::<CoderGroup>("ours", spec(1, &[])).await;
    world.wait("ours", ready::<CoderGroup>).await;
    sim.faults().add(Fault::on(Method::PATCH, GROUP).times(1).cut_after());
    let mark = sim.journal().mark();
    world.apply::<CoderGroup>("ours", spec(2, &[])).await;
    world.wait("ours", ready::<CoderGroup>).await;
    assert_eq!(sim.journal().count_since(mark, &Method::PATCH, GROUP), 1, "it was made");
    assert_eq!(sim.journal().count_since(mark, &Method::GET, GROUPS), 1);
    world.finish().await;
}

//! Each kind: changed by hand by somebody else → set back, with the author named, and the time printed.

use std::time::{Duration, Instant};

use coder_operator::api::{CoderGroup, CoderLicense, CoderOrganization, CoderWorkspaceProxy};
use coder_sim::license::{LicenseSpec, mint};
use coder_sim::{Method, Profile, Sim};
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::fed;
use crate::support::{World, condition, message, ready, simulated_only};

/// Where something is changed by hand.
struct Scene {
    world: World,
    /// A token of bob's, who is an Owner.
    bob: String,
    what: String,
    times: Vec<Duration>,
}

impl Scene {
    /// Without an interval it is the default.
    async fn new(profile: Profile, interval: Option<&str>) -> Self {
        let world = fed("feed", profile, interval).await;
        let bob = world.coder.sim().token_for("bob", &["owner"]);
        Self {
            world,
            bob,
            what: format!("{profile:?}, feedInterval {}", interval.unwrap_or("unset")),
            times: Vec::new(),
        }
    }

    fn sim(&self) -> &Sim {
        self.world.coder.sim()
    }

    /// Bob does this; then Coder is as declared again, and the event says what he did.
    async fn by_hand(&mut self, name: &str, call: (Method, &str, Value), held: impl Fn(&Sim) -> bool, event: &str) {
        let (method, path, body) = call;
        let began = Instant::now();
        self.world.coder.change_as(&self.bob, method, path, body).await;
        let sim = self.world.coder.sim();
        self.world.until(event, async || held(sim)).await;
        self.times.push(began.elapsed());
        println!("{}: {name}: {event} after {:?}", self.what, began.elapsed());
        let note = format!("{event} by bob at ");
        self.world.event(name, "DriftCorrected", &note).await;
    }
}

async fn groups(scene: &mut Scene) {
    let spec = json!({ "organization": "default", "quotaAllowance": 20, "members": ["ann"] });
    scene.world.apply::<CoderGroup>("backend", spec).await;
    scene.world.wait("backend", ready::<CoderGroup>).await;
    let id = scene.sim().group("coder", "backend").unwrap().id;
    let path = format!("/groups/{id}");
    let quota = |sim: &Sim| {
        sim.group("coder", "backend")
            .is_some_and(|group| group.quota_allowance == 20)
    };
    let body = json!({ "quota_allowance": 99 });
    scene
        .by_hand("backend", (Method::PATCH, &path, body), quota, "quotaAllowance 20 → 99")
        .await;
    let user = |sim: &Sim, name: &str| sim.user(name).unwrap().id;
    let body = json!({ "add_users": [user(scene.sim(), "carl")], "remove_users": [user(scene.sim(), "ann")] });
    let members = |sim: &Sim| sim.group_members("coder", "backend") == ["ann"];
    scene
        .by_hand("backend", (Method::PATCH, &path, body), members, "members +carl -ann")
        .await;
    let there = |sim: &Sim| sim.group("coder", "backend").is_some() && sim.group_members("coder", "backend") == ["ann"];
    scene
        .by_hand("backend", (Method::DELETE, &path, json!({})), there, "deleted")
        .await;
}

async fn organizations(scene: &mut Scene) {
    let spec = json!({ "description": "ours", "everyoneQuotaAllowance": 5 });
    scene.world.apply::<CoderOrganization>("platform", spec).await;
    scene.world.wait("platform", ready::<CoderOrganization>).await;
    let id = scene.sim().organization("platform").unwrap().id;
    let path = format!("/organizations/{id}");
    let description = |sim: &Sim| sim.organization("platform").is_some_and(|it| it.description == "ours");
    let body = json!({ "description": "theirs" });
    let event = "description \"ours\" → \"theirs\"";
    scene
        .by_hand("platform", (Method::PATCH, &path, body), description, event)
        .await;
    let quota = |sim: &Sim| {
        sim.group("platform", "Everyone")
            .is_some_and(|group| group.quota_allowance == 5)
    };
    let (everyone, body) = (format!("/groups/{id}"), json!({ "quota_allowance": 50 }));
    scene
        .by_hand(
            "platform",
            (Method::PATCH, &everyone, body),
            quota,
            "everyoneQuotaAllowance 5 → 50",
        )
        .await;
    let again = |sim: &Sim| sim.organization("platform").is_some_and(|it| it.id != id);
    scene
        .by_hand("platform", (Method::DELETE, &path, json!({})), again, "deleted")
        .await;
}

async fn proxies(scene: &mut Scene) {
    let spec = json!({
        "displayName": "Paris", "icon": "/emojis/1f680.png", "tokenSecret": { "name": "paris-token" },
    });
    scene.world.apply::<CoderWorkspaceProxy>("paris", spec).await;
    scene.world.wait("paris", ready::<CoderWorkspaceProxy>).await;
    // The Secret that was just written makes it look once more, and a look could be quicker than the log.
    super::polls(&scene.world, 1).await;
    let id = scene.sim().proxy("paris").unwrap().id;
    let path = format!("/workspaceproxies/{id}");
    let body = json!({ "id": id, "name": "paris", "display_name": "By hand", "icon": "/emojis/1f680.png" });
    let named = |sim: &Sim| sim.proxy("paris").is_some_and(|proxy| proxy.display_name == "Paris");
    let event = "displayName \"Paris\" → \"By hand\"";
    scene.by_hand("paris", (Method::PATCH, &path, body), named, event).await;
    let again = |sim: &Sim| sim.proxy("paris").is_some_and(|proxy| proxy.id != id);
    scene
        .by_hand("paris", (Method::DELETE, &path, json!({})), again, "deleted")
        .await;
}

async fn licenses(scene: &mut Scene) {
    let license = mint(&LicenseSpec::premium(scene.sim().clock().now()));
    scene
        .world
        .put_secret(scene.world.ns(), "license", &[("license", &license)])
        .await;
    let spec = json!({ "licenseSecretRef": { "name": "license" } });
    scene.world.apply::<CoderLicense>("premium", spec).await;
    let object = scene.world.wait("premium", ready::<CoderLicense>).await;
    let id = object.status.unwrap().id.unwrap();
    super::polls(&scene.world, 1).await;
    let again = |sim: &Sim| sim.licenses().iter().any(|held| held.jwt == license && held.id != id);
    scene
        .by_hand(
            "premium",
            (Method::DELETE, &format!("/licenses/{id}"), json!({})),
            again,
            "deleted",
        )
        .await;
}

async fn every_kind(profile: Profile, interval: Option<&str>) {
    let mut scene = Scene::new(profile, interval).await;
    groups(&mut scene).await;
    organizations(&mut scene).await;
    proxies(&mut scene).await;
    licenses(&mut scene).await;
    let longest = scene.times.iter().max().unwrap();
    println!(
        "{}: {} changes by hand corrected, the slowest after {longest:?}",
        scene.what,
        scene.times.len()
    );
    nothing_but_the_name(&scene.world).await;
    scene.world.finish().await;
}

/// The log knows more of an author than the readers of events may see.
async fn nothing_but_the_name(world: &World) {
    let events = world.api::<Event>().list(&ListParams::default()).await.unwrap();
    let notes = events.items.into_iter().filter_map(|event| event.note);
    for text in notes.chain([world.operator.log()]) {
        assert!(!text.contains("bob@example.com"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_every_kind_within_seconds_at_the_default_interval() {
    simulated_only!("changes things behind the back");
    every_kind(Profile::Main, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_every_kind_within_a_second_or_two_at_one_second() {
    simulated_only!("changes things behind the back");
    every_kind(Profile::Main, Some("1s")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_every_kind_on_the_older_server_too() {
    simulated_only!("changes things behind the back");
    every_kind(Profile::V2_16_1, Some("1s")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn observe_names_the_author_and_says_it_once() {
    simulated_only!("changes things behind the back");
    let scene = Scene::new(Profile::Main, Some("1s")).await;
    let (world, sim) = (&scene.world, scene.sim());
    sim.create_group("coder", "backend");
    sim.edit_group("coder", "backend", |group| group.quota_allowance = 20);
    let spec = json!({ "organization": "default", "quotaAllowance": 20, "mode": "Observe" });
    world.apply::<CoderGroup>("backend", spec).await;
    world.wait("backend", ready::<CoderGroup>).await;
    super::change(world, &scene.bob, "backend", json!({ "quota_allowance": 99 })).await;
    let drifts = |group: &CoderGroup| condition(group, "DriftDetected").is_some();
    let group = world.wait("backend", drifts).await;
    assert_eq!(message(&group, "DriftDetected"), "quotaAllowance 20 → 99 by bob");
    let again = world.look::<CoderGroup>("backend").await;
    assert_eq!(condition(&again, "DriftDetected"), condition(&group, "DriftDetected"));
    let restarted = {
        let mut world = scene.world;
        world.restart_operator().await;
        world
    };
    let again = restarted.look::<CoderGroup>("backend").await;
    assert_eq!(
        message(&again, "DriftDetected"),
        "quotaAllowance 20 → 99 by bob",
        "who was named stays named, although the log was read by another process"
    );
    assert_eq!(restarted.events("backend", "DriftDetected").await.len(), 1);
    restarted.finish().await;
}

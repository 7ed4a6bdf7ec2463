//! The connection: what its status tells, what is wrong with one, and whom it may serve.

use coder_sim::{Method, Profile};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use coder_operator::api::{CoderGroup, CoderInstance, CoderLicense, CoderOrganization, CoderWorkspaceProxy};

use crate::support::{
    AnyObject, Coder, PATIENCE, World, blocked, condition, message, ready, simulated_only, stalled, waiting,
};

async fn simulated(test: &str, instance: Value) -> World {
    World::with(test, Coder::simulated(Profile::Main).await, instance).await
}

fn user(name: &'static str) -> impl Fn(&CoderInstance) -> bool {
    move |instance| ready(instance) && instance.status.as_ref().unwrap().user.as_deref() == Some(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn its_status_tells_what_is_behind_the_connection() {
    simulated_only!("it knows what the server holds");
    let world = simulated("instance-facts", json!({})).await;
    world
        .apply::<CoderGroup>("backend", json!({ "organization": "default" }))
        .await;
    world
        .apply::<CoderGroup>("frontend", json!({ "organization": "default" }))
        .await;
    world.wait("backend", ready::<CoderGroup>).await;
    world.wait("frontend", ready::<CoderGroup>).await;
    let instance = world.look::<CoderInstance>("default").await;
    assert!(ready(&instance));
    let status = instance.status.unwrap();
    assert_eq!(
        status.deployment_id,
        Some(world.coder.sim().deployment_id().to_string())
    );
    assert!(status.version.unwrap().starts_with("v2.35.99"));
    assert_eq!(status.user.as_deref(), Some("owner"));
    assert_eq!(status.roles, ["owner"]);
    assert!(
        status
            .features
            .iter()
            .any(|feature| feature == "multiple_organizations")
    );
    assert!(status.license_expires_at.is_some());
    assert_eq!(status.rate_limit_bypass, Some(true));
    assert_eq!(status.objects, [("CoderGroup".to_owned(), 2)].into());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_would_leak_the_token_is_refused_at_admission() {
    let world = World::new("instance-admission").await;
    let refused = async |url: &str| {
        let spec = json!({ "url": url, "tokenSecretRef": { "name": "x" } });
        let error = world
            .try_apply_in::<CoderInstance>(world.ns(), "refused", spec)
            .await
            .unwrap_err();
        error.to_string()
    };
    assert!(
        refused("http://coder.example.com")
            .await
            .contains("allowInsecureHTTP: true")
    );
    assert!(
        refused("https://user:password@coder.example.com")
            .await
            .contains("belongs into tokenSecretRef")
    );
    assert!(
        refused("https://coder.example.com?a=b")
            .await
            .contains("no user, query or fragment")
    );
    assert!(refused("coder.example.com").await.contains("absolute URL"));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_where_no_coder_is_makes_everything_wait() {
    simulated_only!("it moves the server about");
    let world = simulated("instance-address", json!({})).await;
    // Nobody listens on the port for traceroute on this host.
    world
        .connect(world.ns(), "nobody", json!({ "url": "http://127.0.0.1:9" }))
        .await;
    world
        .apply::<CoderGroup>(
            "g",
            json!({ "organization": "default", "instanceRef": { "name": "nobody" } }),
        )
        .await;
    let instance = world.wait("nobody", waiting::<CoderInstance>("Unreachable")).await;
    assert!(message(&instance, "Ready").contains("cannot connect to the Coder server"));
    let group = world.wait("g", waiting::<CoderGroup>("InstanceNotReady")).await;
    assert!(message(&group, "Ready").contains(&format!("CoderInstance {}/nobody is not ready", world.ns())));
    world
        .patch::<CoderInstance>("nobody", json!({ "url": world.coder.url }))
        .await;
    world.wait("g", ready::<CoderGroup>).await;

    world.coder.sim().answer_as_proxy(true);
    world.look::<CoderInstance>("default").await;
    let instance = world
        .wait("default", stalled::<CoderInstance>("WorkspaceProxyUrl"))
        .await;
    assert!(message(&instance, "Stalled").contains("set the URL of the deployment itself"));
    world.coder.sim().answer_as_proxy(false);
    assert!(ready(&world.look::<CoderInstance>("default").await));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_waited_for_refused_and_rotated_without_a_restart() {
    simulated_only!("it revokes tokens");
    let world = simulated("instance-token", json!({})).await;
    let sim = world.coder.sim();
    world
        .apply::<CoderGroup>("backend", json!({ "organization": "default" }))
        .await;
    world.wait("backend", ready::<CoderGroup>).await;

    world
        .api::<Secret>()
        .delete("default-token", &DeleteParams::default())
        .await
        .unwrap();
    let instance = world.wait("default", waiting::<CoderInstance>("SecretNotFound")).await;
    assert!(message(&instance, "Ready").contains(&format!("Secret {}/default-token does not exist", world.ns())));
    world.put_secret(world.ns(), "default-token", &[("other", "x")]).await;
    let keyless = |instance: &CoderInstance| message(instance, "Ready").contains("has no value under the key token");
    world.wait("default", keyless).await;

    let ulf = sim.token_for("ulf", &["owner"]);
    world.put_secret(world.ns(), "default-token", &[("token", &ulf)]).await;
    world.wait("default", user("ulf")).await;
    world.wait("backend", ready::<CoderGroup>).await;

    sim.revoke_token(&ulf);
    world
        .annotate::<CoderGroup>("backend", "coder-operator.dev/reconcile-at", "revoked")
        .await;
    let instance = world.wait("default", stalled::<CoderInstance>("Unauthorized")).await;
    let text = message(&instance, "Stalled");
    assert!(
        text.contains("put a valid one into the Secret") && !text.contains(&ulf),
        "{text}"
    );
    world
        .event("default", "Unauthorized", "put a valid one into the Secret")
        .await;
    world.wait("backend", waiting::<CoderGroup>("Unauthorized")).await;

    let vera = sim.token_for("vera", &["owner"]);
    world.put_secret(world.ns(), "default-token", &[("token", &vera)]).await;
    world.wait("default", user("vera")).await;
    world.wait("backend", ready::<CoderGroup>).await;
    world
        .patch::<CoderGroup>("backend", json!({ "displayName": "Backend" }))
        .await;
    let by_vera = |call: &coder_sim::Entry| call.method == Method::PATCH && call.actor == "vera";
    assert!(sim.journal().wait_for(by_vera, PATIENCE).await.is_some());
    let log = world.operator.log();
    assert!(!log.contains(&ulf) && !log.contains(&vera) && !log.contains(&world.coder.token));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_members_token_is_too_small_a_role_and_its_objects_say_so_once() {
    simulated_only!("it needs the token of a member");
    let world = simulated("instance-member", json!({})).await;
    let sim = world.coder.sim();
    let ulf = sim.token_for("ulf", &[]);
    world.put_secret(world.ns(), "default-token", &[("token", &ulf)]).await;
    world.wait("default", user("ulf")).await;
    world.apply::<CoderOrganization>("platform", json!({})).await;
    let proxy = json!({ "displayName": "P", "icon": "/emojis/1f680.png", "tokenSecret": { "name": "p" } });
    world.apply::<CoderWorkspaceProxy>("paris", proxy).await;
    world.wait("platform", stalled::<CoderOrganization>("Forbidden")).await;
    world.wait("paris", stalled::<CoderWorkspaceProxy>("Forbidden")).await;
    let instance = world.look::<CoderInstance>("default").await;
    let note = condition(&instance, "RoleTooSmall").unwrap();
    assert_eq!(note.status, "True");
    let text =
        "user ulf is no Owner, which CoderOrganization, CoderWorkspaceProxy need to be changed: use an Owner's token";
    assert_eq!(note.message, text);
    assert!(ready(&instance), "what a member may do is done");

    // Refused once, it is not tried again and again: a second look follows at most what the instance found out.
    let refused =
        |call: &coder_sim::Entry| call.method == Method::POST && call.status.is_some_and(|status| status >= 400);
    let mark = sim.journal().mark();
    let mut tries = 0;
    let mut since = mark;
    while sim
        .journal()
        .wait_since(since, refused, std::time::Duration::from_secs(2))
        .await
        .is_some()
    {
        since = sim.journal().mark();
        tries += 1;
        assert!(tries < 4, "a refused call is repeated in a loop");
    }

    world
        .put_secret(world.ns(), "default-token", &[("token", &world.coder.token)])
        .await;
    world.wait("platform", ready::<CoderOrganization>).await;
    world.wait("paris", ready::<CoderWorkspaceProxy>).await;
    world
        .wait("default", |instance: &CoderInstance| {
            condition(instance, "RoleTooSmall").is_none()
        })
        .await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_deployment_at_the_same_address_stops_every_write_until_a_human_consents() {
    simulated_only!("it changes the deployment behind the URL");
    let world = simulated("instance-deployment", json!({})).await;
    let sim = world.coder.sim();
    world
        .apply::<CoderOrganization>("platform", json!({ "displayName": "Before" }))
        .await;
    world
        .apply::<CoderGroup>("backend", json!({ "organization": "default" }))
        .await;
    world.wait("platform", ready::<CoderOrganization>).await;
    world.wait("backend", ready::<CoderGroup>).await;
    let before = sim.deployment_id();
    let after = uuid::Uuid::new_v4();
    sim.set_deployment_id(after);
    let instance = world.look::<CoderInstance>("default").await;
    let mark = sim.journal().mark();
    assert!(stalled("DeploymentChanged")(&instance));
    let consent = format!("annotated with coder-operator.dev/accept-deployment: {after}");
    assert!(
        message(&instance, "Stalled").contains(&consent),
        "{}",
        message(&instance, "Stalled")
    );
    assert_eq!(
        instance.status.as_ref().unwrap().deployment_id,
        Some(before.to_string()),
        "the pin stays"
    );
    world
        .patch::<CoderOrganization>("platform", json!({ "displayName": "After" }))
        .await;
    world
        .apply::<CoderGroup>("fresh", json!({ "organization": "default" }))
        .await;
    world
        .wait("platform", stalled::<CoderOrganization>("DeploymentChanged"))
        .await;
    world.wait("backend", stalled::<CoderGroup>("DeploymentChanged")).await;
    world.wait("fresh", stalled::<CoderGroup>("DeploymentChanged")).await;
    assert!(sim.journal().writes_since(mark).is_empty());

    let key = "coder-operator.dev/accept-deployment";
    world
        .annotate::<CoderInstance>("default", key, &before.to_string())
        .await;
    let instance = world.look::<CoderInstance>("default").await;
    assert!(stalled("DeploymentChanged")(&instance), "consent names the deployment");
    world
        .annotate::<CoderInstance>("default", key, &after.to_string())
        .await;
    let instance = world.wait("default", ready::<CoderInstance>).await;
    assert_eq!(instance.status.unwrap().deployment_id, Some(after.to_string()));
    world.wait("fresh", ready::<CoderGroup>).await;
    // Ids of the deployment before say nothing of this one: what is there is somebody's until a human says otherwise.
    world
        .wait("platform", stalled::<CoderOrganization>("AlreadyExists"))
        .await;
    world.wait("backend", stalled::<CoderGroup>("AlreadyExists")).await;
    assert_eq!(sim.organization("platform").unwrap().display_name, "Before");
    let adopt = json!({ "defaults": { "adoptionPolicy": "IfExists" } });
    world.patch::<CoderInstance>("default", adopt).await;
    world.wait("platform", ready::<CoderOrganization>).await;
    world.wait("backend", ready::<CoderGroup>).await;
    assert_eq!(sim.organization("platform").unwrap().display_name, "After");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_only_after_all_that_has_something_in_coder_through_it_and_serves_them_until_then() {
    let world = World::new("instance-deletion").await;
    let name = world.name("backend");
    let group = json!({ "name": name, "organization": "default", "deletionPolicy": "Delete" });
    world.apply::<CoderGroup>("backend", group).await;
    world.wait("backend", ready::<CoderGroup>).await;
    world
        .apply::<CoderLicense>("license", json!({ "licenseSecretRef": { "name": "absent" } }))
        .await;
    world.wait("license", waiting::<CoderLicense>("SecretNotFound")).await;
    world.delete::<CoderInstance>("default").await;
    world
        .api::<Secret>()
        .delete("default-token", &DeleteParams::default())
        .await
        .unwrap();
    let instance = world.wait("default", blocked::<CoderInstance>("DependentsExist")).await;
    let text = message(&instance, "DeletionBlocked");
    let used = format!("still used by CoderGroup {}/backend: delete", world.ns());
    assert!(text.contains(&used), "what only names it holds up nothing: {text}");
    assert!(!instance.finalizers().is_empty() && instance.observed() > 0);
    world.delete::<CoderGroup>("backend").await;
    world.gone::<CoderGroup>("backend").await;
    world.gone::<CoderInstance>("default").await;
    let groups = world.coder.get("/organizations/default/groups").await;
    assert!(
        groups.as_array().unwrap().iter().all(|group| group["name"] != name),
        "it was deleted through the connection"
    );
    world.wait("license", waiting::<CoderLicense>("InstanceNotFound")).await;
    world.delete::<CoderLicense>("license").await;
    world.gone::<CoderLicense>("license").await;
    world.finish().await;
}

//! The life of a workspace proxy's registration, and of the Secret with its token.

mod late;
mod secret;

use coder_sim::{Method, Profile, ProxyStatus};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use coder_operator::api::{CoderWorkspaceProxy, WorkspaceProxyStatus};

use crate::support::{Coder, PATIENCE, World, message, ready, simulated_only, stalled};

const TOKEN: &str = "CODER_PROXY_SESSION_TOKEN";
const URL: &str = "CODER_PRIMARY_ACCESS_URL";
const SECRET: &str = "paris-proxy";
const PROXIES: &str = "/api/v2/workspaceproxies";

fn paris(name: &str) -> Value {
    json!({
        "name": name, "displayName": "Paris", "icon": "/emojis/1f1eb-1f1f7.png", "tokenSecret": { "name": SECRET },
        "deletionPolicy": "Delete",
    })
}

/// A world with a ready proxy: its name in Coder, its status and its token.
async fn ready_proxy(test: &str, more: Value) -> (World, String, WorkspaceProxyStatus, String) {
    let world = World::with(test, Coder::any().await, more).await;
    let name = world.name("paris");
    world.apply::<CoderWorkspaceProxy>("paris", paris(&name)).await;
    let status = world.wait("paris", ready::<CoderWorkspaceProxy>).await.status.unwrap();
    let token = world
        .secret(SECRET, TOKEN)
        .await
        .expect("the Secret is written before the object is Ready");
    (world, name, status, token)
}

/// The proxy of that name as Coder lists it.
async fn listed(world: &World, name: &str) -> Option<Value> {
    let list = world.coder.get("/workspaceproxies").await;
    list["regions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["name"] == name)
        .cloned()
}

/// Waits until the Secret has another token; answers with it.
async fn another_token(world: &World, before: &str) -> String {
    world
        .until("another token is in the Secret", async || {
            world.secret(SECRET, TOKEN).await.is_some_and(|token| token != before)
        })
        .await;
    world.secret(SECRET, TOKEN).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_created_changed_renamed_and_deleted_with_its_token_in_a_secret() {
    let (world, name, status, token) = ready_proxy("proxy", json!({})).await;
    let made = listed(&world, &name).await.unwrap();
    assert_eq!(status.id.as_deref(), made["id"].as_str());
    assert_eq!(made["display_name"], "Paris");
    assert_eq!(made["icon_url"], "/emojis/1f1eb-1f1f7.png");
    assert!(
        token.starts_with(made["id"].as_str().unwrap()),
        "it is this proxy's token"
    );
    assert_eq!(
        world.secret(SECRET, URL).await.as_deref(),
        Some(world.coder.url.trim_end_matches('/'))
    );
    assert!(status.token_issued_at.is_some());
    assert_eq!(status.health.as_deref(), Some("unregistered"));
    let object = world.api::<CoderWorkspaceProxy>().get("paris").await.unwrap();
    let secret = world.api::<Secret>().get(SECRET).await.unwrap();
    assert_eq!(secret.owner_references()[0].uid, object.uid().unwrap());

    let renamed = world.name("lyon");
    let mut spec = paris(&renamed);
    spec["displayName"] = json!("Lyon");
    spec["icon"] = json!("/emojis/1f981.png");
    world.apply::<CoderWorkspaceProxy>("paris", spec).await;
    world.wait("paris", ready::<CoderWorkspaceProxy>).await;
    let changed = listed(&world, &renamed).await.unwrap();
    assert_eq!(changed["id"], made["id"], "a rename keeps the id");
    assert_eq!(changed["display_name"], "Lyon");
    assert_eq!(changed["icon_url"], "/emojis/1f981.png");
    assert!(listed(&world, &name).await.is_none());
    assert_eq!(
        world.secret(SECRET, TOKEN).await,
        Some(token),
        "a change keeps the token"
    );

    world.delete::<CoderWorkspaceProxy>("paris").await;
    world.gone::<CoderWorkspaceProxy>("paris").await;
    assert!(listed(&world, &renamed).await.is_none());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_secret_is_written_anew_with_a_new_token_and_the_event_says_what_to_do() {
    simulated_only!("it looks at which tokens the server takes");
    let (world, _, _, first) = ready_proxy("proxy-lost-secret", json!({})).await;
    let sim = world.coder.sim();
    assert!(sim.proxy_token_valid(&first));
    world
        .api::<Secret>()
        .delete(SECRET, &DeleteParams::default())
        .await
        .unwrap();
    let second = another_token(&world, &first).await;
    assert!(sim.proxy_token_valid(&second) && !sim.proxy_token_valid(&first));
    world
        .event(
            "paris",
            "DriftCorrected",
            "running proxies need the new Secret and a restart",
        )
        .await;

    let remove = json!({ "data": { TOKEN: null } });
    world
        .api::<Secret>()
        .patch(SECRET, &PatchParams::default(), &Patch::Merge(remove))
        .await
        .unwrap();
    let third = another_token(&world, &second).await;
    assert!(sim.proxy_token_valid(&third) && !sim.proxy_token_valid(&second));
    let remove = json!({ "data": { URL: null } });
    world
        .api::<Secret>()
        .patch(SECRET, &PatchParams::default(), &Patch::Merge(remove))
        .await
        .unwrap();
    world
        .until("the URL is back", async || world.secret(SECRET, URL).await.is_some())
        .await;
    assert_eq!(
        world.secret(SECRET, TOKEN).await,
        Some(third),
        "the URL alone needs no new token"
    );
    world.wait("paris", ready::<CoderWorkspaceProxy>).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_secret_in_the_way_is_left_alone_and_nothing_is_created() {
    let world = World::new("proxy-foreign-secret").await;
    let name = world.name("paris");
    world
        .put_secret(world.ns(), SECRET, &[(TOKEN, "somebody else's")])
        .await;
    let before = world.api::<Secret>().get(SECRET).await.unwrap();
    world.apply::<CoderWorkspaceProxy>("paris", paris(&name)).await;
    let object = world
        .wait("paris", stalled::<CoderWorkspaceProxy>("SecretConflict"))
        .await;
    assert!(message(&object, "Stalled").contains(&format!("Secret {}/{SECRET} exists", world.ns())));
    assert!(listed(&world, &name).await.is_none());
    assert_eq!(world.api::<Secret>().get(SECRET).await.unwrap(), before);

    world
        .api::<Secret>()
        .delete(SECRET, &DeleteParams::default())
        .await
        .unwrap();
    world.wait("paris", ready::<CoderWorkspaceProxy>).await;
    assert!(world.secret(SECRET, TOKEN).await.is_some());
    world.delete::<CoderWorkspaceProxy>("paris").await;
    world.gone::<CoderWorkspaceProxy>("paris").await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_is_done_once_and_noted() {
    simulated_only!("it looks at which tokens the server takes");
    let (world, _, _, first) = ready_proxy("proxy-rotation", json!({})).await;
    world
        .annotate::<CoderWorkspaceProxy>("paris", "coder-operator.dev/rotate", "2026-07")
        .await;
    let handled = |object: &CoderWorkspaceProxy| {
        object.status.as_ref().unwrap().last_handled_rotate.as_deref() == Some("2026-07") && ready(object)
    };
    world.wait("paris", handled).await;
    let second = world.secret(SECRET, TOKEN).await.unwrap();
    assert!(world.coder.sim().proxy_token_valid(&second) && !world.coder.sim().proxy_token_valid(&first));
    world.event("paris", "Updated", "issue a new token as asked").await;
    let mark = world.coder.sim().journal().mark();
    world.look::<CoderWorkspaceProxy>("paris").await;
    world.look::<CoderWorkspaceProxy>("paris").await;
    assert!(world.coder.sim().journal().writes_since(mark).is_empty());
    assert_eq!(world.secret(SECRET, TOKEN).await, Some(second));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_deleted_behind_our_back_is_made_anew_though_its_id_still_answers() {
    simulated_only!("it acts behind the server's back");
    let (world, name, status, first) = ready_proxy("proxy-recreated", json!({})).await;
    world.coder.sim().delete_proxy(&name);
    let old = status.id.unwrap();
    assert_eq!(
        world.coder.get(&format!("/workspaceproxies/{old}")).await["deleted"],
        true
    );
    let object = world.look::<CoderWorkspaceProxy>("paris").await;
    assert!(ready(&object));
    let made = world.coder.sim().proxy(&name).unwrap();
    assert_eq!(object.status.unwrap().id, Some(made.id.to_string()));
    assert_ne!(made.id.to_string(), old);
    let second = world.secret(SECRET, TOKEN).await.unwrap();
    assert_ne!(second, first);
    assert!(world.coder.sim().proxy_token_valid(&second));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_health_comes_from_the_list_and_is_written_only_when_it_changes() {
    simulated_only!("it says what the server's health checks find");
    let (world, name, ..) = ready_proxy("proxy-health", json!({ "resyncInterval": "1s" })).await;
    let sim = world.coder.sim();
    let mark = sim.journal().mark();
    sim.set_proxy_health(&name, ProxyStatus::ok("https://paris.example.com"));
    let healthy = |object: &CoderWorkspaceProxy| object.status.as_ref().unwrap().healthy == Some(true);
    let object = world.wait("paris", healthy).await;
    let status = object.status.as_ref().unwrap();
    assert_eq!(status.health.as_deref(), Some("ok"));
    assert_eq!(status.url.as_deref(), Some("https://paris.example.com"));
    assert_eq!(status.version.as_deref(), Some("v2.35.99"));

    for _ in 0..3 {
        let mark = sim.journal().mark();
        let list = |call: &coder_sim::Entry| call.method == Method::GET && call.template == PROXIES;
        assert!(
            sim.journal().wait_since(mark, list, PATIENCE).await.is_some(),
            "the list is read again"
        );
    }
    let later = world.api::<CoderWorkspaceProxy>().get("paris").await.unwrap();
    assert_eq!(
        later.resource_version(),
        object.resource_version(),
        "nothing changed, nothing is written"
    );

    sim.set_proxy_health(&name, ProxyStatus::unreachable("https://paris.example.com", "no route"));
    let sick = |object: &CoderWorkspaceProxy| object.status.as_ref().unwrap().health.as_deref() == Some("unreachable");
    let object = world.wait("paris", sick).await;
    assert!(
        ready(&object),
        "the registration is as declared; the health is information"
    );
    assert_eq!(object.status.unwrap().healthy, Some(false));
    assert!(sim.journal().writes_since(mark).is_empty());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_server_is_served_as_well() {
    simulated_only!("it needs a server of v2.16.1");
    let world = World::with("proxy-older", Coder::simulated(Profile::V2_16_1).await, json!({})).await;
    world.apply::<CoderWorkspaceProxy>("paris", paris("paris")).await;
    world.wait("paris", ready::<CoderWorkspaceProxy>).await;
    let token = world.secret(SECRET, TOKEN).await.unwrap();
    assert!(world.coder.sim().proxy_token_valid(&token));
    world.delete::<CoderWorkspaceProxy>("paris").await;
    world.gone::<CoderWorkspaceProxy>("paris").await;
    assert!(world.coder.sim().proxy("paris").is_none());
    world.finish().await;
}

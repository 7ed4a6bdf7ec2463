//! A token that somebody else has issued anew, so that the one in the Secret ends: no list shows it, the log does.

use coder_operator::api::CoderWorkspaceProxy;
use coder_sim::{Method, Profile};
use serde_json::json;

use super::{fed, polls};
use crate::support::{World, condition, message, ready, simulated_only, stalled};

const SECRET: &str = "paris-token";
const KEY: &str = "CODER_PROXY_SESSION_TOKEN";

/// A proxy that is ready, and its token.
pub(super) async fn paris(world: &World) -> String {
    let spec = json!({ "displayName": "Paris", "icon": "/emojis/1f680.png", "tokenSecret": { "name": SECRET } });
    world.apply::<CoderWorkspaceProxy>("paris", spec).await;
    world.wait("paris", ready::<CoderWorkspaceProxy>).await;
    token(world).await
}

pub(super) async fn token(world: &World) -> String {
    world.secret(SECRET, KEY).await.expect("a token")
}

/// Waits until the Secret holds another token than that, and one that works; answers with it.
pub(super) async fn another_that_works(world: &World, before: &str) -> String {
    world
        .until("a token that works is in the Secret", async || {
            let now = token(world).await;
            now != before && world.coder.sim().proxy_token_valid(&now)
        })
        .await;
    token(world).await
}

/// Somebody with an Owner's token has another one issued.
async fn issue_by_hand(world: &World, owner: &str) {
    let proxy = world.coder.sim().proxy("paris").unwrap();
    let body = json!({
        "id": proxy.id, "name": proxy.name, "display_name": proxy.display_name, "icon": proxy.icon, "regenerate_token": true,
    });
    let path = format!("/workspaceproxies/{}", proxy.id);
    world.coder.change_as(owner, Method::PATCH, &path, body).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_somebody_else_ended_is_replaced_in_the_secret_and_who_it_was_is_named() {
    simulated_only!("it looks at which tokens the server takes");
    for profile in [Profile::Main, Profile::V2_16_1] {
        let world = fed("feed-token", profile, "1s").await;
        let bob = world.coder.sim().token_for("bob", &["owner"]);
        let first = paris(&world).await;
        issue_by_hand(&world, &bob).await;
        let second = another_that_works(&world, &first).await;
        let said = "tokenSecret holds a token that was ended in Coder (running proxies need the new Secret and a restart) by \
                    bob at";
        world.event("paris", "DriftCorrected", said).await;
        world.wait("paris", ready::<CoderWorkspaceProxy>).await;
        world.look::<CoderWorkspaceProxy>("paris").await;
        polls(&world, 2).await;
        assert_eq!(token(&world).await, second, "its own is nobody else's");

        world
            .patch::<CoderWorkspaceProxy>("paris", json!({ "mode": "Observe" }))
            .await;
        issue_by_hand(&world, &bob).await;
        let drifts = |object: &CoderWorkspaceProxy| condition(object, "DriftDetected").is_some();
        let seen = world.wait("paris", drifts).await;
        let said = message(&seen, "DriftDetected");
        assert!(said.contains("ended in Coder") && said.ends_with("by bob"), "{said}");
        assert_eq!(token(&world).await, second);
        world
            .patch::<CoderWorkspaceProxy>("paris", json!({ "mode": "Manage" }))
            .await;
        another_that_works(&world, &second).await;
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_ends_it_again_and_again_is_given_way_to_until_a_human_decides() {
    simulated_only!("it looks at which tokens the server takes");
    let world = fed("feed-token-fight", Profile::Main, "1s").await;
    let bob = world.coder.sim().token_for("bob", &["owner"]);
    let mut last = paris(&world).await;
    for _ in 0..4 {
        issue_by_hand(&world, &bob).await;
        last = another_that_works(&world, &last).await;
        world.wait("paris", ready::<CoderWorkspaceProxy>).await;
    }
    let fights = |object: &CoderWorkspaceProxy| condition(object, "DriftRepeats").is_some();
    world.wait("paris", fights).await;
    issue_by_hand(&world, &bob).await;
    let object = world.wait("paris", stalled::<CoderWorkspaceProxy>("Conflict")).await;
    let said = message(&object, "Stalled");
    assert!(said.contains("let only one of the two manage the proxy"), "{said}");
    assert_eq!(token(&world).await, last, "bob's token goes on");
    world
        .annotate::<CoderWorkspaceProxy>("paris", "coder-operator.dev/rotate", "mine")
        .await;
    another_that_works(&world, &last).await;
    world.finish().await;
}

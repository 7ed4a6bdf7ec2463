//! Something in front of Coder answers in its place: it passes, and costs seconds.

use std::time::{Duration, Instant};

use coder_operator::api::{CoderGroup, CoderInstance};
use coder_sim::{Page, Profile};
use serde_json::json;

use crate::support::{Coder, World, condition, ready, simulated_only};

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_of_its_pages_stalls_nothing_and_is_over_when_it_is_over() {
    simulated_only!("needs a gateway");
    let pages = [
        Page::html(404),
        Page::html(200),
        Page::html(401),
        Page::html(503),
        Page::login("https://login.example.com/"),
        Page::json(401, &json!({ "message": "Who are you?" })),
    ];
    let world = World::with("gateway", Coder::simulated(Profile::Main).await, json!({})).await;
    let spec = |quota: usize| json!({ "organization": "default", "quotaAllowance": quota });
    world.apply::<CoderGroup>("backend", spec(0)).await;
    world.wait("backend", ready::<CoderGroup>).await;
    let sim = world.coder.sim();
    for (quota, page) in (1..).zip(pages) {
        sim.gateway().answer(page.clone());
        world.apply::<CoderGroup>("backend", spec(quota)).await;
        let waits = |group: &CoderGroup| {
            condition(group, "Ready").is_some_and(|ready| ready.status == "False" && ready.reason != "InSync")
        };
        let group = world.wait("backend", waits).await;
        assert!(condition(&group, "Stalled").is_none(), "{page:?}: {:?}", group.status);
        sim.gateway().clear();
        let over = Instant::now();
        world
            .wait("backend", |group: &CoderGroup| ready(group) && !waits(group))
            .await;
        world.wait("default", ready::<CoderInstance>).await;
        assert!(
            over.elapsed() < Duration::from_secs(30),
            "{page:?}: {:?}",
            over.elapsed()
        );
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_first_contact_it_says_what_answers_instead() {
    simulated_only!("needs a gateway");
    let world = World::new("gateway-first").await;
    let sim = world.coder.sim();
    sim.gateway().answer(Page::html(403));
    let spec = json!({
        "url": world.coder.url, "allowInsecureHTTP": true, "tokenSecretRef": { "name": "default-token" },
    });
    world.apply::<CoderInstance>("second", spec).await;
    let stalled = world
        .wait("second", |instance: &CoderInstance| {
            condition(instance, "Stalled").is_some()
        })
        .await;
    let message = condition(&stalled, "Stalled").unwrap().message;
    assert!(message.contains("text/html, not JSON"), "{message}");
    sim.gateway().clear();
    world.wait("second", ready::<CoderInstance>).await;
    world.finish().await;
}

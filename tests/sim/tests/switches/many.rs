//! Much data, and what it costs.

use std::time::{Duration, Instant};

use coder_sim::{Method, Profile, Sim};
use serde_json::json;

use crate::caller::{call, get, post};

const GROUPS: &str = "/api/v2/organizations/default/groups";

#[tokio::test]
async fn thousands_of_users_members_and_groups_are_there_at_once() {
    let sim = Sim::builder(Profile::Main).start().await;
    let start = Instant::now();
    let users = sim.seed_users("user-", 20_000);
    sim.create_organization("alpha");
    sim.seed_members("alpha", &users);
    let groups = sim.seed_groups("alpha", "group-", 10_000, &users, 2);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!(groups.len(), 10_000);
    assert_eq!(sim.group_members("alpha", "group-9999"), ["user-19998", "user-19999"]);
    let page = get(&sim, "/api/v2/organizations/alpha/paginated-members?limit=1&offset=0").await;
    assert_eq!(page.body["count"], 20_001);
    let listed = get(&sim, "/api/v2/organizations/alpha/groups").await;
    assert_eq!(listed.body.as_array().map(Vec::len), Some(10_001));
    let made = post(&sim, "/api/v2/organizations/alpha/groups", json!({ "name": "group-0" })).await;
    assert_eq!(made.status, 409);
}

#[tokio::test]
async fn a_call_on_one_object_does_not_look_at_the_others() {
    let sim = Sim::builder(Profile::Main).rate_limit(u32::MAX).start().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    let user = format!("{}/api/v2/users/me", sim.url());
    // The fastest of many: the others waited for whatever else the machine does.
    let fastest = async || {
        let mut fastest = Duration::MAX;
        for _ in 0..200 {
            let start = Instant::now();
            let call = client.get(&user).header("Coder-Session-Token", sim.owner_token());
            assert!(call.send().await.expect("an answer").status().is_success());
            fastest = fastest.min(start.elapsed());
        }
        fastest
    };
    let few = fastest().await;
    let users = sim.seed_users("user-", 20_000);
    sim.seed_groups("default", "group-", 10_000, &users, 2);
    let many = fastest().await;
    assert!(
        many < few * 3 + Duration::from_micros(200),
        "{few:?} with few, {many:?} with many"
    );
}

#[tokio::test]
async fn listing_groups_takes_as_long_as_it_is_told() {
    let sim = Sim::builder(Profile::Main).start().await;
    sim.seed_groups("default", "group-", 49, &[], 0);
    sim.set_time_per_listed_group(Duration::from_millis(4));
    let start = Instant::now();
    get(&sim, GROUPS).await;
    assert!(start.elapsed() >= Duration::from_millis(200), "{:?}", start.elapsed());
    let settings = json!({ "time_per_listed_group_us": 0 });
    assert_eq!(
        call(&sim, Method::PATCH, "/_sim/settings", Some(settings)).await.status,
        204
    );
    let start = Instant::now();
    get(&sim, GROUPS).await;
    assert!(start.elapsed() < Duration::from_millis(200), "{:?}", start.elapsed());
}

#[tokio::test]
async fn the_journal_keeps_as_many_calls_as_it_is_told() {
    let sim = Sim::builder(Profile::Main).start().await;
    sim.journal().keep(2);
    let mark = sim.journal().mark();
    for name in ["one", "two", "three"] {
        post(&sim, GROUPS, json!({ "name": name })).await;
    }
    let kept: Vec<u64> = sim.journal().since(mark).iter().map(|call| call.sequence).collect();
    assert_eq!((kept.as_slice(), sim.journal().total()), ([2, 3].as_slice(), 3));
    let last = sim.journal().mark();
    let next = sim.journal().wait_since(last, |_| true, Duration::from_secs(30));
    let (_, next) = tokio::join!(get(&sim, GROUPS), next);
    assert_eq!(next.expect("a call").sequence, 4);
    sim.journal().keep(0);
    assert!(sim.journal().calls().is_empty());
}

#[tokio::test]
async fn much_is_seeded_over_http() {
    let sim = Sim::builder(Profile::Main).start().await;
    let wanted = json!({ "users": 30, "groups": 20, "members_each": 3 });
    assert_eq!(post(&sim, "/_sim/seed", wanted).await.status, 204);
    assert_eq!((sim.users().len(), sim.groups().len()), (31, 21));
    assert_eq!(
        post(&sim, "/_sim/seed", json!({ "organization": "none" })).await.status,
        400
    );
}

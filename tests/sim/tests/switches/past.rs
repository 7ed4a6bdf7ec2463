//! What was: backups put back, and reads that lag behind.

use std::time::Duration;

use coder_sim::{Fault, Method, Profile, Sim};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::caller::{call, get, post};

const GROUPS: &str = "/api/v2/organizations/default/groups";
const IN_ORGANIZATION: &str = "/api/v2/organizations/{organization}/groups";

async fn groups(sim: &Sim) -> Vec<String> {
    let listed = get(sim, GROUPS).await.body;
    let names = listed.as_array().expect("a list").iter();
    names
        .map(|group| group["name"].as_str().expect("a name").to_owned())
        .filter(|name| name != "Everyone")
        .collect()
}

async fn create(sim: &Sim, name: &str) -> Value {
    post(sim, GROUPS, json!({ "name": name })).await.body
}

#[tokio::test]
async fn a_backup_brings_back_what_was_with_its_ids_numbers_and_log() {
    let sim = Sim::builder(Profile::Main).start().await;
    let kept = create(&sim, "kept").await;
    let (backup, rows) = (sim.backup(), sim.audit_log().rows());
    let deployment = sim.deployment_id();
    create(&sim, "lost").await;
    let later = sim.add_premium_license();
    sim.restore(&backup);
    assert_eq!(groups(&sim).await, ["kept"]);
    assert_eq!(
        sim.group("default", "kept").expect("it is back").id.to_string(),
        kept["id"]
    );
    assert_eq!((sim.deployment_id(), sim.audit_log().rows()), (deployment, rows));
    assert_eq!(sim.add_premium_license(), later, "the sequence was restored too");
}

#[tokio::test]
async fn another_deployment_has_the_same_ids_under_its_own() {
    let one = Sim::builder(Profile::Main).start().await;
    let group = create(&one, "shared").await;
    let other = Sim::builder(Profile::Main).start().await;
    let id = Uuid::new_v4();
    other.restore(&one.backup().of_deployment(id));
    other.accept_token("owner", other.owner_token());
    assert_eq!(groups(&other).await, ["shared"]);
    let path = format!("/api/v2/groups/{}", group["id"].as_str().expect("an id"));
    assert_eq!(get(&other, &path).await.status, 200);
    let info = get(&other, "/api/v2/buildinfo").await.body;
    assert_eq!(
        (&info["deployment_id"], &info["dashboard_url"]),
        (&json!(id), &json!(other.url()))
    );
    assert_eq!(call(&other, Method::DELETE, &path, None).await.status, 200);
    assert_eq!(groups(&one).await, ["shared"]);
}

#[tokio::test]
async fn reads_are_answered_as_of_a_moment_and_writes_are_not() {
    let sim = Sim::builder(Profile::Main).start().await;
    create(&sim, "old").await;
    sim.stale_reads(Fault::on(Method::GET, IN_ORGANIZATION).times(2));
    create(&sim, "newer").await;
    create(&sim, "newest").await;
    assert_eq!(groups(&sim).await, ["old"]);
    assert_eq!(groups(&sim).await, ["old"]);
    assert_eq!(groups(&sim).await, ["old", "newer", "newest"]);
    sim.stale_reads(Fault::on_method(Method::GET).lasting(Duration::ZERO));
    sim.delete_group("default", "old");
    assert_eq!(groups(&sim).await, ["newer", "newest"], "it has worn off");
}

#[tokio::test]
async fn reads_lag_behind_by_one_write() {
    let sim = Sim::builder(Profile::Main).start().await;
    sim.lagging_reads(Fault::on(Method::GET, IN_ORGANIZATION));
    assert!(groups(&sim).await.is_empty());
    create(&sim, "one").await;
    assert!(groups(&sim).await.is_empty());
    create(&sim, "two").await;
    create(&sim, "two").await;
    assert_eq!(groups(&sim).await, ["one"], "a refused call writes nothing");
    sim.faults().clear();
    assert_eq!(groups(&sim).await, ["one", "two"]);
}

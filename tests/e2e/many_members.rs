//! Lists of members that are long: nothing that is written about them grows without a bound.

use coder_sim::Method as SimMethod;
use serde_json::{Value, json};

use coder_operator::api::CoderGroup;

use crate::members::{apply, by_hand, world};
use crate::support::{condition, ready, simulated_only};

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_who_have_not_signed_in_yet_are_counted_and_a_few_of_them_named() {
    simulated_only!("nobody else makes such users");
    let world = world("members-many-pending").await;
    let names: Vec<String> = (0..1500)
        .map(|number| format!("somebody-who-is-new-{number:04}"))
        .collect();
    let group = apply(&world, &json!(names), json!({})).await;
    let pending = condition(&group, "MembersPending").expect("a condition").message;
    assert!(
        pending.len() < 1000 && pending.ends_with("… and 1490 more"),
        "{pending}"
    );
    let status = group.status.unwrap();
    assert_eq!(
        (status.pending_members.len(), status.pending_member_count),
        (100, Some(1500))
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_are_added_in_several_calls_and_told_in_one_line() {
    simulated_only!("hundreds of users are made behind the server's back");
    let world = world("members-many").await;
    let names: Vec<String> = (0..1100).map(|number| format!("user-{number:04}")).collect();
    for name in &names {
        world.coder.sim().create_user(name);
    }
    apply(&world, &json!(names), json!({})).await;
    assert_eq!(world.coder.members("default", "backend").await.len(), 1100);
    let calls = world.coder.sim().journal().calls();
    let sizes = |field: &str| -> Vec<usize> {
        let patches = calls.iter().filter(|call| call.method == SimMethod::PATCH);
        let bodies = patches.map(|call| serde_json::from_str::<Value>(&call.body).unwrap_or_default());
        bodies.filter_map(|body| body[field].as_array().map(Vec::len)).collect()
    };
    assert_eq!(sizes("add_users"), [500, 500, 100]);
    world.event("backend", "Created", "… and 1090 more").await;
    assert_eq!(world.events("backend", "Created").await.len(), 1);
    assert_eq!(world.events("backend", "Updated").await, [""; 0]);

    let half: Vec<String> = names
        .iter()
        .take(600)
        .map(|name| world.coder.sim().user(name).unwrap().id.to_string())
        .collect();
    by_hand(&world, json!({ "remove_users": half })).await;
    world.event("backend", "DriftCorrected", "… and 590 more").await;
    let told = world.events("backend", "DriftCorrected").await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].matches("members").count(), 1, "{told:?}");
    assert_eq!(world.coder.members("default", "backend").await.len(), 1100);
    world.wait("backend", ready::<CoderGroup>).await;
    world.finish().await;
}

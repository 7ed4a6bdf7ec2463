//! The life of an organization.

use coder_sim::Profile;
use reqwest::Method;
use serde_json::json;

use coder_operator::api::{CoderInstance, CoderOrganization};

use crate::support::{Coder, World, message, ready, simulated_only, stalled};

#[tokio::test(flavor = "multi_thread")]
async fn it_is_created_changed_cleared_renamed_and_deleted() {
    let world = World::new("organization").await;
    let name = world.name("platform");
    let spec = json!({
        "name": name, "displayName": "Platform", "description": "Engineering", "icon": "/emojis/1f680.png",
        "everyoneQuotaAllowance": 5, "workspaceSharing": "None", "deletionPolicy": "Delete",
    });
    world.apply::<CoderOrganization>("platform", spec).await;
    let object = world.wait("platform", ready::<CoderOrganization>).await;
    let status = object.status.unwrap();
    let made = world.coder.organization(&name).await.unwrap();
    assert_eq!(status.id.as_deref(), made["id"].as_str());
    assert_eq!(made["display_name"], "Platform");
    assert_eq!(made["description"], "Engineering");
    assert_eq!(made["icon"], "/emojis/1f680.png");
    let id = made["id"].as_str().unwrap();
    let everyone = world.coder.get(&format!("/groups/{id}")).await;
    assert_eq!(everyone["quota_allowance"], 5);
    let sharing = format!("/organizations/{id}/settings/workspace-sharing");
    assert_eq!(world.coder.get(&sharing).await["shareable_workspace_owners"], "none");

    let renamed = world.name("renamed");
    let spec = json!({
        "name": renamed, "displayName": "Renamed", "description": "", "icon": "",
        "everyoneQuotaAllowance": 0, "workspaceSharing": "Everyone", "deletionPolicy": "Delete",
    });
    world.apply::<CoderOrganization>("platform", spec).await;
    world.wait("platform", ready::<CoderOrganization>).await;
    let changed = world.coder.organization(&renamed).await.unwrap();
    assert_eq!(changed["id"], made["id"], "a rename keeps the id");
    assert_eq!(changed["display_name"], "Renamed");
    assert_eq!(changed["description"], "");
    assert_eq!(changed["icon"], "");
    assert_eq!(world.coder.get(&format!("/groups/{id}")).await["quota_allowance"], 0);
    assert_eq!(
        world.coder.get(&sharing).await["shareable_workspace_owners"],
        "everyone"
    );

    world.delete::<CoderOrganization>("platform").await;
    world.gone::<CoderOrganization>("platform").await;
    assert!(world.coder.organization(&renamed).await.is_none());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_field_is_left_to_others() {
    let world = World::new("organization-absent").await;
    let name = world.name("shared");
    let spec = json!({ "name": name, "displayName": "Shared", "deletionPolicy": "Delete" });
    world.apply::<CoderOrganization>("shared", spec).await;
    let id = world
        .wait("shared", ready::<CoderOrganization>)
        .await
        .status
        .unwrap()
        .id
        .unwrap();
    let path = format!("/organizations/{id}");
    world
        .coder
        .change(Method::PATCH, &path, json!({ "description": "by hand" }))
        .await;
    let spec = json!({ "name": name, "displayName": "Changed", "deletionPolicy": "Delete" });
    world.apply::<CoderOrganization>("shared", spec).await;
    world
        .until("the display name changes", async || {
            world.coder.get(&path).await["display_name"] == "Changed"
        })
        .await;
    assert_eq!(world.coder.get(&path).await["description"], "by hand");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_the_token_does_not_see_is_not_made_again() {
    simulated_only!("it needs tokens of other users");
    for profile in [Profile::Main, Profile::V2_16_1] {
        let world = World::with("organization-unseen", Coder::simulated(profile).await, json!({})).await;
        let sim = world.coder.sim();
        world.apply::<CoderOrganization>("platform", json!({})).await;
        world.wait("platform", ready::<CoderOrganization>).await;
        let id = sim.organization("platform").unwrap().id;
        let admin = sim.token_for("ulf", &[]);
        sim.set_member_roles("coder", "ulf", &["organization-admin"]);
        world
            .put_secret(world.ns(), "default-token", &[("token", &admin)])
            .await;
        let user = |instance: &CoderInstance| instance.status.as_ref().unwrap().user.as_deref() == Some("ulf");
        world.wait("default", user).await;
        let mark = sim.journal().mark();
        world.look::<CoderOrganization>("platform").await;
        let object = world.wait("platform", stalled::<CoderOrganization>("Forbidden")).await;
        let text = message(&object, "Ready");
        assert!(
            text.contains("not to be seen with this token") && text.contains("ulf"),
            "{text}"
        );
        assert_eq!(world.coder.writes_since(mark), [""; 0]);
        world
            .put_secret(world.ns(), "default-token", &[("token", &world.coder.token)])
            .await;
        world.wait("platform", ready::<CoderOrganization>).await;
        assert_eq!(sim.organization("platform").unwrap().id, id, "it is the same one");
        world.finish().await;
    }
}

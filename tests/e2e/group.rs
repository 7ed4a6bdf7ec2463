//! The life of a group, and the four ways to say where it belongs.

use std::time::Instant;

use reqwest::Method;
use serde_json::{Value, json};

use coder_operator::api::{CoderGroup, CoderOrganization};

use crate::support::{Coder, World, blocked, condition, message, ready, simulated_only, stalled, waiting};

/// An organization made by somebody else; answers with its id.
async fn foreign_organization(world: &World, name: &str) -> String {
    let made = world
        .coder
        .change(Method::POST, "/organizations", json!({ "name": name }))
        .await;
    made["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_created_changed_cleared_renamed_and_deleted() {
    let world = World::new("group").await;
    let (name, renamed) = (world.name("backend"), world.name("platform"));
    let spec = |name: &str, fields: Value| {
        let mut spec = json!({ "organization": "default", "name": name });
        spec.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        spec
    };
    let fields = json!({ "displayName": "Backend", "avatarURL": "/emojis/1f4ca.png", "quotaAllowance": 20 });
    world.apply::<CoderGroup>("backend", spec(&name, fields)).await;
    let status = world.wait("backend", ready::<CoderGroup>).await.status.unwrap();
    let made = world.coder.group("default", &name).await.unwrap();
    assert_eq!(status.id.as_deref(), made["id"].as_str());
    assert_eq!(status.organization_id.as_deref(), made["organization_id"].as_str());
    assert_eq!(status.organization.as_deref(), made["organization_name"].as_str());
    assert_eq!(
        (&made["display_name"], &made["avatar_url"]),
        (&json!("Backend"), &json!("/emojis/1f4ca.png"))
    );
    assert_eq!(made["quota_allowance"], 20);

    let fields = json!({ "displayName": "Back end", "avatarURL": "/emojis/1f680.png", "quotaAllowance": 30 });
    world.apply::<CoderGroup>("backend", spec(&name, fields)).await;
    world.wait("backend", ready::<CoderGroup>).await;
    let changed = world.coder.group("default", &name).await.unwrap();
    assert_eq!(
        (&changed["display_name"], &changed["avatar_url"]),
        (&json!("Back end"), &json!("/emojis/1f680.png"))
    );
    assert_eq!(changed["quota_allowance"], 30);
    world
        .event("backend", "Updated", "displayName \"Backend\" → \"Back end\"")
        .await;

    world.apply::<CoderGroup>("backend", spec(&name, json!({}))).await;
    world.wait("backend", ready::<CoderGroup>).await;
    let kept = world.coder.group("default", &name).await.unwrap();
    assert_eq!(kept, changed, "fields that are no longer said stay as they are");

    let fields = json!({ "displayName": "", "avatarURL": "", "quotaAllowance": 0 });
    world.apply::<CoderGroup>("backend", spec(&renamed, fields)).await;
    world.wait("backend", ready::<CoderGroup>).await;
    let cleared = world.coder.group("default", &renamed).await.unwrap();
    assert_eq!(cleared["id"], made["id"], "a rename keeps the id");
    assert_eq!(
        (&cleared["display_name"], &cleared["avatar_url"]),
        (&json!(""), &json!(""))
    );
    assert_eq!(cleared["quota_allowance"], 0);

    world.delete::<CoderGroup>("backend").await;
    world.gone::<CoderGroup>("backend").await;
    assert!(world.coder.group("default", &renamed).await.is_none());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_organization_is_named_by_name_id_default_or_reference() {
    let world = World::new("group-organization").await;
    let (named, declared, group) = (world.name("named"), world.name("declared"), world.name("backend"));
    let named_id = foreign_organization(&world, &named).await;
    let spec = json!({ "name": declared, "deletionPolicy": "Delete" });
    world.apply::<CoderOrganization>("declared", spec).await;
    let declared = world
        .wait("declared", ready::<CoderOrganization>)
        .await
        .status
        .unwrap()
        .id
        .unwrap();
    let default = world.coder.get("/organizations/default").await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let other = format!("{group}-by-id");
    for (object, name, place, organization) in [
        (
            "by-name",
            &group,
            json!({ "organization": named.to_uppercase() }),
            &named_id,
        ),
        ("by-id", &other, json!({ "organization": named_id }), &named_id),
        ("by-default", &group, json!({ "organization": "default" }), &default),
        (
            "by-reference",
            &group,
            json!({ "organizationRef": { "name": "declared" } }),
            &declared,
        ),
    ] {
        let mut spec = place;
        spec["name"] = json!(name);
        world.apply::<CoderGroup>(object, spec).await;
        let status = world.wait(object, ready::<CoderGroup>).await.status.unwrap();
        assert_eq!(status.organization_id.as_ref(), Some(organization), "{object}");
        assert!(world.coder.group(organization, name).await.is_some(), "{object}");
    }
    for object in ["by-name", "by-id", "by-default", "by-reference"] {
        world.delete::<CoderGroup>(object).await;
        world.gone::<CoderGroup>(object).await;
    }
    world
        .coder
        .change(Method::DELETE, &format!("/organizations/{named_id}"), json!({}))
        .await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_its_organization_and_is_woken_by_it() {
    let world = World::new("group-waits").await;
    let (organization, group) = (world.name("later"), world.name("backend"));
    let spec = json!({ "organizationRef": { "name": "later" }, "name": group });
    world.apply::<CoderGroup>("backend", spec).await;
    let group_waits = world.wait("backend", waiting::<CoderGroup>("DependencyNotReady")).await;
    let said = message(&group_waits, "Reconciling");
    assert!(
        said.contains(&format!("CoderOrganization {}/later", world.ns())),
        "{said}"
    );
    assert_eq!(condition(&group_waits, "ReferencesResolved").unwrap().status, "False");
    assert!(condition(&group_waits, "Stalled").is_none());

    let spec = json!({ "name": organization, "deletionPolicy": "Delete" });
    world.apply::<CoderOrganization>("later", spec).await;
    let id = world
        .wait("later", ready::<CoderOrganization>)
        .await
        .status
        .unwrap()
        .id
        .unwrap();
    let began = Instant::now();
    world
        .until("the group exists", async || {
            world.coder.group(&id, &group).await.is_some()
        })
        .await;
    println!(
        "from the organization's Ready to the group in Coder: {:?}",
        began.elapsed()
    );
    let made = world.wait("backend", ready::<CoderGroup>).await;
    assert!(condition(&made, "ReferencesResolved").is_none() && condition(&made, "Reconciling").is_none());

    // Deleted in the wrong order: the organization waits for its group.
    world.delete::<CoderOrganization>("later").await;
    let organization_waits = world
        .wait("later", blocked::<CoderOrganization>("DependentsExist"))
        .await;
    let said = message(&organization_waits, "DeletionBlocked");
    assert!(said.contains(&format!("CoderGroup {}/backend", world.ns())), "{said}");
    world.delete::<CoderGroup>("backend").await;
    world.gone::<CoderOrganization>("later").await;
    assert!(world.coder.organization(&organization).await.is_none());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_an_organization_that_only_coder_knows() {
    let world = World::with("group-foreign", Coder::any().await, json!({ "resyncInterval": "1s" })).await;
    let (organization, group) = (world.name("foreign"), world.name("backend"));
    world
        .apply::<CoderGroup>("backend", json!({ "organization": organization, "name": group }))
        .await;
    world.wait("backend", waiting::<CoderGroup>("DependencyNotReady")).await;
    let id = foreign_organization(&world, &organization).await;
    world.wait("backend", ready::<CoderGroup>).await;
    assert!(world.coder.group(&id, &group).await.is_some());
    world.delete::<CoderGroup>("backend").await;
    world.gone::<CoderGroup>("backend").await;
    world
        .coder
        .change(Method::DELETE, &format!("/organizations/{id}"), json!({}))
        .await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_woken_by_an_organization_that_another_object_makes_although_it_only_knows_its_name() {
    let world = World::new("group-named").await;
    let (organization, group) = (world.name("later"), world.name("backend"));
    let spec = json!({ "organization": organization, "name": group });
    world.apply::<CoderGroup>("backend", spec).await;
    world.wait("backend", waiting::<CoderGroup>("DependencyNotReady")).await;
    let spec = json!({ "name": organization, "deletionPolicy": "Delete" });
    world.apply::<CoderOrganization>("later", spec).await;
    let made = world.wait("backend", ready::<CoderGroup>).await.status.unwrap();
    assert!(
        world
            .coder
            .group(&made.organization_id.unwrap(), &group)
            .await
            .is_some()
    );
    world.delete::<CoderGroup>("backend").await;
    world.gone::<CoderGroup>("backend").await;
    world.delete::<CoderOrganization>("later").await;
    world.gone::<CoderOrganization>("later").await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_the_identity_provider_is_taken_over_under_the_name_that_it_has() {
    simulated_only!("such groups are made behind the server's back");
    let world = World::with("group-odd", Coder::any().await, json!({ "resyncInterval": "1s" })).await;
    let sim = world.coder.sim();
    let id = sim.create_group("default", "/platform/devs of EMEA.2").to_string();
    let spec = json!({
        "organization": "default", "name": "/platform/devs of EMEA.2", "adoptionPolicy": "MustExist",
        "quotaAllowance": 7, "members": ["ann"],
    });
    world.apply::<CoderGroup>("devs", spec).await;
    let group = world.wait("devs", ready::<CoderGroup>).await;
    assert_eq!(group.status.unwrap().id.as_ref(), Some(&id));
    let held = world.coder.get(&format!("/groups/{id}")).await;
    assert_eq!(
        (&held["quota_allowance"], held["members"].as_array().unwrap().len()),
        (&json!(7), 1)
    );

    // Not there yet: nobody but the identity provider can make it.
    let spec = json!({ "organization": "default", "name": "/platform/ops", "adoptionPolicy": "IfExists" });
    world.apply::<CoderGroup>("ops", spec).await;
    let group = world.wait("ops", stalled::<CoderGroup>("Rejected")).await;
    let said = message(&group, "Stalled");
    assert!(
        said.contains("spec.name") && said.contains("\"/platform/ops\""),
        "{said}"
    );
    sim.create_group("default", "/platform/ops");
    world.wait("ops", ready::<CoderGroup>).await;

    // A group that has a good name gets no other.
    let spec = |name: &str| json!({ "organization": "default", "name": name, "adoptionPolicy": "IfExists" });
    world.apply::<CoderGroup>("backend", spec("backend")).await;
    world.wait("backend", ready::<CoderGroup>).await;
    world.apply::<CoderGroup>("backend", spec("back end")).await;
    let group = world.wait("backend", stalled::<CoderGroup>("Rejected")).await;
    let said = message(&group, "Stalled");
    assert!(said.contains("spec.name") && said.contains("\"back end\""), "{said}");
    assert!(world.coder.group("default", "backend").await.is_some());
    world.finish().await;
}

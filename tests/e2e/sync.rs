//! How roles and organizations follow the identity provider: what somebody who signs in gets of it.

use coder_sim::Profile;
use reqwest::Method;
use serde_json::{Value, json};

use coder_operator::api::{CoderInstance, CoderOrganization, CoderOrganizationSync, CoderRoleSync};

use crate::support::{Coder, World, condition, message, ready, simulated_only, stalled, waiting};

async fn world(test: &str, profile: Profile) -> World {
    World::with(test, Coder::simulated(profile).await, json!({ "resyncInterval": "1s" })).await
}

fn claims(more: &Value) -> Value {
    let mut claims = json!({ "sub": "kim", "email": "kim@example.com", "preferred_username": "kim" });
    claims
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    claims
}

async fn path(world: &World, organization: &str, rest: &str) -> String {
    let organization = world.coder.organization(organization).await.expect("the organization");
    format!("/organizations/{}/{rest}", organization["id"].as_str().unwrap())
}

/// The roles of kim in an organization; none who is no member.
async fn roles_of_kim(world: &World, organization: &str) -> Option<Vec<String>> {
    let members = world.coder.get(&path(world, organization, "members").await).await;
    let kim = members
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["username"] == "kim")?;
    let roles = kim["roles"].as_array().cloned().unwrap_or_default();
    Some(
        roles
            .iter()
            .map(|role| role["name"].as_str().unwrap().to_owned())
            .collect(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_in_gets_the_mapped_roles_and_a_claim_waits_for_its_role() {
    simulated_only!("an identity provider");
    for profile in [Profile::Main, Profile::V2_16_1] {
        let world = world("role-sync-roles", profile).await;
        let spec = json!({
            "organizationRef": { "name": "platform" }, "field": "roles",
            "mapping": { "admins": ["organization-admin"], "authors": ["organization-auditor", "template-author"] },
        });
        world.apply::<CoderRoleSync>("platform", spec).await;
        world.apply::<CoderOrganization>("platform", json!({})).await;
        let object = world
            .wait("platform", waiting::<CoderRoleSync>("DependencyNotReady"))
            .await;
        let said = message(&object, "Ready");
        if !said.contains("authors: template-author") {
            // It waited for the organization first.
            let named = |object: &CoderRoleSync| message(object, "Ready").contains("authors: template-author");
            world.wait("platform", named).await;
        }
        world
            .coder
            .sim()
            .sign_in(&claims(&json!({ "roles": ["admins", "authors"] })));
        let joined = path(&world, "platform", "members/kim").await;
        world.coder.change(Method::POST, &joined, json!({})).await;
        world
            .coder
            .sim()
            .sign_in(&claims(&json!({ "roles": ["admins", "authors"] })));
        assert_eq!(
            roles_of_kim(&world, "platform").await.unwrap(),
            ["organization-admin"],
            "a claim that waits gives nothing"
        );

        let role = json!({ "name": "template-author", "organization_permissions": [] });
        let made = path(&world, "platform", "members/roles").await;
        world.coder.change(Method::POST, &made, role).await;
        let object = world.wait("platform", ready::<CoderRoleSync>).await;
        assert_eq!(object.status.unwrap().sync.claims, Some(2));
        world.coder.sim().sign_in(&claims(&json!({ "roles": ["authors"] })));
        let mut roles = roles_of_kim(&world, "platform").await.unwrap();
        roles.sort();
        assert_eq!(roles, ["organization-auditor", "template-author"]);
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_in_is_put_into_the_mapped_organizations() {
    simulated_only!("an identity provider");
    let world = world("organization-sync-members", Profile::Main).await;
    let spec = json!({ "field": "orgs", "assignDefault": false, "mapping": { "eng": ["platform"] } });
    world.apply::<CoderOrganizationSync>("it", spec).await;
    let object = world
        .wait("it", waiting::<CoderOrganizationSync>("DependencyNotReady"))
        .await;
    assert!(
        message(&object, "Ready").contains("eng: platform"),
        "{}",
        message(&object, "Ready")
    );
    assert_eq!(
        condition(&object, "LocksOut").unwrap().status,
        "True",
        "nothing is mapped yet, and nobody is in the default organization"
    );
    world.apply::<CoderOrganization>("platform", json!({})).await;
    let object = world.wait("it", ready::<CoderOrganizationSync>).await;
    assert!(condition(&object, "LocksOut").is_none());
    world.coder.sim().sign_in(&claims(&json!({ "orgs": ["eng"] })));
    assert!(roles_of_kim(&world, "platform").await.is_some());
    assert!(roles_of_kim(&world, "coder").await.is_none());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_organization_sync_is_said_to_be_too_old() {
    simulated_only!("an old server");
    let world = world("organization-sync-old", Profile::V2_16_1).await;
    world
        .apply::<CoderOrganizationSync>("it", json!({ "field": "orgs" }))
        .await;
    let object = world.wait("it", stalled::<CoderOrganizationSync>("Unsupported")).await;
    assert!(message(&object, "Stalled").contains("needs Coder v2.18 or later"));
    world.delete::<CoderOrganizationSync>("it").await;
    world.gone::<CoderOrganizationSync>("it").await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_server_keeps_what_is_not_managed_although_it_can_only_replace_everything() {
    simulated_only!("an old server");
    let world = world("role-sync-old", Profile::V2_16_1).await;
    world.coder.sim().create_organization("platform");
    let settings = path(&world, "platform", "settings/idpsync/roles").await;
    let theirs = json!({ "field": "roles", "mapping": { "theirs": ["organization-auditor"] } });
    world.coder.change(Method::PATCH, &settings, theirs).await;
    let spec = json!({
        "organization": "platform", "mappingPolicy": "AtLeast", "mapping": { "ours": ["organization-admin"] },
    });
    world.apply::<CoderRoleSync>("platform", spec).await;
    world.wait("platform", ready::<CoderRoleSync>).await;
    let held = world.coder.get(&settings).await;
    assert_eq!(held["field"], "roles");
    assert_eq!(
        held["mapping"],
        json!({ "ours": ["organization-admin"], "theirs": ["organization-auditor"] })
    );
    world.delete::<CoderRoleSync>("platform").await;
    world.gone::<CoderRoleSync>("platform").await;
    let left = world.coder.get(&settings).await;
    assert_eq!(left["mapping"]["theirs"], json!(["organization-auditor"]));
    assert!(left["mapping"]["ours"].as_array().is_none_or(Vec::is_empty), "{left}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_is_named_no_more_stays_and_is_said_until_it_is_emptied() {
    simulated_only!("an organization of a fixed name");
    let world = world("role-sync-unmanaged", Profile::Main).await;
    world.coder.sim().create_organization("platform");
    let settings = path(&world, "platform", "settings/idpsync/roles").await;
    let spec = |more: Value| {
        let mut spec = json!({ "organization": "platform", "field": "roles" });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    let mapping = json!({ "mapping": { "admins": ["organization-admin"] } });
    world.apply::<CoderRoleSync>("platform", spec(mapping.clone())).await;
    world.wait("platform", ready::<CoderRoleSync>).await;
    world
        .apply::<CoderRoleSync>("platform", spec(json!({ "mapping": {} })))
        .await;
    world
        .until("an emptied mapping is emptied", async || {
            world.coder.get(&settings).await["mapping"]["admins"]
                .as_array()
                .is_none_or(Vec::is_empty)
        })
        .await;
    world.apply::<CoderRoleSync>("platform", spec(mapping)).await;
    world
        .until("it is mapped again", async || {
            world.coder.get(&settings).await["mapping"]["admins"].is_array()
        })
        .await;
    world.apply::<CoderRoleSync>("platform", spec(json!({}))).await;
    let unmanaged = |object: &CoderRoleSync| condition(object, "Unmanaged").is_some() && ready(object);
    world.wait("platform", unmanaged).await;
    assert_eq!(
        world.coder.get(&settings).await["mapping"]["admins"],
        json!(["organization-admin"])
    );
    world
        .apply::<CoderRoleSync>("platform", spec(json!({ "mapping": {} })))
        .await;
    let managed = |object: &CoderRoleSync| condition(object, "Unmanaged").is_none() && ready(object);
    world.wait("platform", managed).await;
    let left = world.coder.get(&settings).await;
    assert!(
        left["mapping"].as_object().is_none_or(serde_json::Map::is_empty),
        "{left}"
    );
    world.finish().await;
}

/// Whoever is granted some organizations cannot put people into others.
#[tokio::test(flavor = "multi_thread")]
async fn an_organization_sync_reaches_only_granted_organizations() {
    simulated_only!("organizations of fixed names");
    let team = crate::support::cluster()
        .await
        .namespace("organization-sync-granted")
        .await
        .unwrap();
    let access = json!({
        "namespaces": { "names": [team.name()] }, "kinds": ["CoderOrganizationSync"], "organizations": ["team-*"],
    });
    let coder = Coder::simulated(Profile::Main).await;
    let world = World::beside("organization-sync-owner", coder, json!({ "access": access }), &[&team]).await;
    for name in ["team-blue", "platform"] {
        world.coder.sim().create_organization(name);
    }
    let spec = |organization: &str| {
        json!({
            "instanceRef": { "name": "default", "namespace": world.ns() },
            "field": "orgs", "mapping": { "eng": [organization] },
        })
    };
    world
        .apply_in::<CoderOrganizationSync>(team.name(), "it", spec("platform"))
        .await;
    let refused = world
        .wait_in(team.name(), "it", stalled::<CoderOrganizationSync>("AccessDenied"))
        .await;
    assert!(message(&refused, "Stalled").contains("platform"));
    world
        .apply_in::<CoderOrganizationSync>(team.name(), "it", spec("team-blue"))
        .await;
    world.wait_in(team.name(), "it", ready::<CoderOrganizationSync>).await;
    world.delete_in::<CoderOrganizationSync>(team.name(), "it").await;
    world.gone_in::<CoderOrganizationSync>(team.name(), "it").await;
    team.finish().await.unwrap();
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_manages_users_manages_the_organization_sync_and_nobody_else_does() {
    simulated_only!("it needs the tokens of others");
    let world = world("organization-sync-roles", Profile::Main).await;
    let sim = world.coder.sim();
    let (ulf, uma) = (sim.token_for("ulf", &[]), sim.token_for("uma", &["user-admin"]));
    world.put_secret(world.ns(), "default-token", &[("token", &ulf)]).await;
    let is_of = |name: &'static str| {
        move |instance: &CoderInstance| {
            let status = instance.status.as_ref();
            status.and_then(|status| status.user.as_deref()) == Some(name) && ready(instance)
        }
    };
    world.wait("default", is_of("ulf")).await;
    world
        .apply::<CoderOrganizationSync>("it", json!({ "field": "orgs" }))
        .await;
    world.wait("it", stalled::<CoderOrganizationSync>("Forbidden")).await;
    let instance = world.look::<CoderInstance>("default").await;
    let said = message(&instance, "RoleTooSmall");
    assert!(
        said.contains("neither Owner nor User Admin, which CoderOrganizationSync"),
        "{said}"
    );
    world.put_secret(world.ns(), "default-token", &[("token", &uma)]).await;
    world.wait("default", is_of("uma")).await;
    world.wait("it", ready::<CoderOrganizationSync>).await;
    let instance = world.look::<CoderInstance>("default").await;
    assert!(condition(&instance, "RoleTooSmall").is_none());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_put_into_an_organization_because_it_took_over_a_name() {
    simulated_only!("an organization of a fixed name");
    let world = world("org-sync-names", Profile::Main).await;
    world.coder.sim().create_organization("data");
    let spec = json!({ "mapping": { "analysts": ["data"] } });
    world.apply::<CoderOrganizationSync>("sync", spec).await;
    world.wait("sync", ready::<CoderOrganizationSync>).await;
    let mapped = async || {
        let settings = world.coder.get("/settings/idpsync/organization").await;
        settings["mapping"]["analysts"].clone()
    };
    let first = mapped().await;
    let path = path(&world, "data", "").await;
    let renamed = json!({ "name": "old-data" });
    world
        .coder
        .change(Method::PATCH, path.trim_end_matches('/'), renamed)
        .await;
    world.coder.sim().create_organization("data");
    let object = world.look::<CoderOrganizationSync>("sync").await;
    let said = message(&object, "NameMoved");
    assert!(ready(&object) && said.contains("data is called old-data now"), "{said}");
    assert_eq!(mapped().await, first);
    world.finish().await;
}

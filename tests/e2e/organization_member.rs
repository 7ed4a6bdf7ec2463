//! Members of organizations and their roles.

use coder_sim::Profile;
use reqwest::Method;
use serde_json::{Value, json};

use coder_operator::api::{CoderGroup, CoderOrganization, CoderOrganizationMember};

use crate::support::{Coder, World, blocked, condition, message, ready, simulated_only, stalled, waiting};

async fn world(test: &str, profile: Profile) -> World {
    let world = World::with(test, Coder::simulated(profile).await, json!({ "resyncInterval": "1s" })).await;
    world.coder.sim().create_organization("platform");
    world
}

async fn path(world: &World, rest: &str) -> String {
    let platform = world.coder.organization("platform").await.expect("the organization");
    format!("/organizations/{}/{rest}", platform["id"].as_str().unwrap())
}

/// The roles of somebody in the organization; none who is no member.
async fn roles(world: &World, user: &str) -> Option<Vec<String>> {
    let members = world.coder.get(&path(world, "members").await).await;
    let member = members.as_array().unwrap().iter().find(|one| one["username"] == user)?;
    let roles = member["roles"].as_array().cloned().unwrap_or_default();
    let mut names: Vec<String> = roles
        .iter()
        .map(|role| role["name"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    Some(names)
}

fn spec(user: &str, more: &Value) -> Value {
    let mut spec = json!({ "organization": "platform", "user": user });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

fn kim(more: &Value) -> Value {
    let mut claims = json!({ "sub": "kim", "email": "kim@example.com", "preferred_username": "kim" });
    claims
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    claims
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_there_yet_is_waited_for_by_name_and_email_and_roles_wait_alone() {
    simulated_only!("users of fixed names");
    for profile in [Profile::Main, Profile::V2_16_1] {
        let world = world("member-later", profile).await;
        let wanted = json!({ "roles": ["organization-auditor", "template-author"] });
        world
            .apply::<CoderOrganizationMember>("dora", spec("dora@example.com", &wanted))
            .await;
        let object = world
            .wait("dora", waiting::<CoderOrganizationMember>("DependencyNotReady"))
            .await;
        assert!(message(&object, "Ready").contains("dora@example.com"));
        world.coder.sim().create_user("dora");
        let named = |object: &CoderOrganizationMember| message(object, "Ready").contains("template-author");
        world.wait("dora", named).await;
        assert_eq!(roles(&world, "dora").await.unwrap(), ["organization-auditor"]);
        let role = json!({ "name": "template-author", "organization_permissions": [] });
        let made = path(&world, "members/roles").await;
        world.coder.change(Method::POST, &made, role).await;
        let object = world.wait("dora", ready::<CoderOrganizationMember>).await;
        let status = object.status.unwrap();
        assert_eq!(status.roles, ["organization-auditor", "template-author"]);
        assert_eq!((status.user.as_deref(), status.pending_roles.len()), (Some("dora"), 0));
        assert!(world.events("dora", "DriftCorrected").await.is_empty());
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_email_in_the_spec_and_a_name_in_another_hold_the_same_member() {
    simulated_only!("users of fixed names");
    let world = world("member-conflict", Profile::Main).await;
    world
        .apply::<CoderOrganizationMember>("one", spec("ann@example.com", &json!({})))
        .await;
    world.wait("one", ready::<CoderOrganizationMember>).await;
    let adopting = json!({ "adoptionPolicy": "IfExists" });
    world
        .apply::<CoderOrganizationMember>("other", spec("Ann", &adopting))
        .await;
    world
        .wait("other", stalled::<CoderOrganizationMember>("Conflict"))
        .await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_an_organization_ends_the_groups_there() {
    simulated_only!("users of fixed names");
    let world = world("member-groups", Profile::Main).await;
    world
        .apply::<CoderOrganizationMember>("ann", spec("ann", &json!({})))
        .await;
    let group = json!({ "organization": "platform", "members": ["ann"], "memberPolicy": "AtLeast" });
    world.apply::<CoderGroup>("backend", group).await;
    world
        .until("ann is in the group", async || {
            world.coder.group("platform", "backend").await.is_some()
                && world.coder.members("platform", "backend").await == ["ann"]
        })
        .await;
    world.delete::<CoderOrganizationMember>("ann").await;
    world.gone::<CoderOrganizationMember>("ann").await;
    assert_eq!(roles(&world, "ann").await, None);
    assert!(world.coder.members("platform", "backend").await.is_empty());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tokens_own_user_keeps_its_roles_and_stays() {
    simulated_only!("the journal tells what was written");
    let world = world("member-own", Profile::Main).await;
    let platform = path(&world, "members/owner").await;
    let (_, answer) = world.coder.call(Method::GET, &platform, None).await;
    if answer["username"] != "owner" {
        world.coder.change(Method::POST, &platform, json!({})).await;
    }
    let mark = world.coder.sim().journal().mark();
    let wanted = json!({ "adoptionPolicy": "IfExists", "deletionPolicy": "Delete", "roles": ["organization-auditor"] });
    world
        .apply::<CoderOrganizationMember>("owner", spec("owner", &wanted))
        .await;
    let object = world
        .wait("owner", stalled::<CoderOrganizationMember>("Forbidden"))
        .await;
    assert!(message(&object, "Stalled").contains("nobody change their own roles"));
    world.delete::<CoderOrganizationMember>("owner").await;
    world
        .wait("owner", blocked::<CoderOrganizationMember>("DeletionRefused"))
        .await;
    assert_eq!(world.coder.writes_since(mark), [""; 0]);
    world
        .patch::<CoderOrganizationMember>("owner", json!({ "deletionPolicy": "Orphan" }))
        .await;
    world.gone::<CoderOrganizationMember>("owner").await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_identity_provider_decides_is_waited_for_without_a_call_and_goes_on_when_it_does_not() {
    simulated_only!("an identity provider");
    let world = world("member-idp", Profile::Main).await;
    world.coder.sim().sign_in(&kim(&json!({})));
    let organizations = json!({ "field": "orgs", "organization_assign_default": true });
    let everywhere = "/settings/idpsync/organization";
    world.coder.change(Method::PATCH, everywhere, organizations).await;
    let sync = path(&world, "settings/idpsync/roles").await;
    world
        .coder
        .change(Method::PATCH, &sync, json!({ "field": "roles" }))
        .await;
    let mark = world.coder.sim().journal().mark();
    let wanted = json!({ "roles": ["organization-auditor"] });
    world
        .apply::<CoderOrganizationMember>("kim", spec("kim", &wanted))
        .await;
    let object = world
        .wait("kim", waiting::<CoderOrganizationMember>("ManagedByIdp"))
        .await;
    assert!(message(&object, "Ready").contains("organization sync is on"));
    assert_eq!(world.coder.writes_since(mark), [""; 0]);
    let off = json!({ "field": "", "organization_assign_default": true });
    world.coder.change(Method::PATCH, everywhere, off).await;
    let roles_wait = |object: &CoderOrganizationMember| message(object, "Ready").contains("role sync is on");
    world.wait("kim", roles_wait).await;
    assert_eq!(roles(&world, "kim").await.unwrap(), [""; 0]);
    world.coder.change(Method::PATCH, &sync, json!({ "field": "" })).await;
    world.wait("kim", ready::<CoderOrganizationMember>).await;
    assert_eq!(roles(&world, "kim").await.unwrap(), ["organization-auditor"]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_user_stays_the_member_and_nobody_inherits_the_membership_by_name() {
    simulated_only!("users of fixed names");
    let world = world("member-renamed", Profile::Main).await;
    world
        .apply::<CoderOrganizationMember>("ann", spec("ann", &json!({ "roles": ["organization-auditor"] })))
        .await;
    world.wait("ann", ready::<CoderOrganizationMember>).await;
    let profile = json!({ "username": "anna", "name": "" });
    world.coder.change(Method::PUT, "/users/ann/profile", profile).await;
    world.coder.sim().create_user("ann");
    let moved = |object: &CoderOrganizationMember| condition(object, "NameMoved").is_some() && ready(object);
    let object = world.wait("ann", moved).await;
    assert!(message(&object, "NameMoved").contains("set user: anna"));
    world.coder.looks(2).await;
    assert_eq!(roles(&world, "ann").await, None);
    assert_eq!(roles(&world, "anna").await.unwrap(), ["organization-auditor"]);
    world
        .patch::<CoderOrganizationMember>("ann", json!({ "user": "anna" }))
        .await;
    let named = |object: &CoderOrganizationMember| condition(object, "NameMoved").is_none() && ready(object);
    world.wait("ann", named).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_quota_is_shown_where_it_is_asked_for() {
    simulated_only!("the journal tells what was called");
    let world = world("member-quota", Profile::Main).await;
    let shown = json!({ "organization": "platform", "quotaAllowance": 7, "members": ["ann"] });
    world.apply::<CoderGroup>("quota", shown).await;
    world
        .apply::<CoderOrganizationMember>("ann", spec("ann", &json!({ "reportQuota": true })))
        .await;
    world
        .apply::<CoderOrganizationMember>("bob", spec("bob", &json!({})))
        .await;
    let seven = |object: &CoderOrganizationMember| {
        let quota = object.status.as_ref().and_then(|status| status.quota);
        quota.is_some_and(|quota| quota.budget == Some(7))
    };
    world.wait("ann", seven).await;
    let bob = world.wait("bob", ready::<CoderOrganizationMember>).await;
    let id = bob.status.unwrap().id.unwrap();
    let asked = |call: &coder_sim::Entry| call.path.ends_with(&format!("{id}/workspace-quota"));
    assert!(world.coder.sim().journal().matching(asked).is_empty());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_go_before_their_organization_and_a_wave_of_all_becomes_ready() {
    simulated_only!("organizations of fixed names");
    let world = World::with("member-wave", Coder::simulated(Profile::Main).await, json!({})).await;
    let member = json!({ "organizationRef": { "name": "web" }, "user": "ann", "roles": ["organization-admin"] });
    world.apply::<CoderOrganizationMember>("ann", member).await;
    world
        .apply::<CoderOrganization>("web", json!({ "deletionPolicy": "Delete" }))
        .await;
    world.wait("ann", ready::<CoderOrganizationMember>).await;
    world.delete::<CoderOrganization>("web").await;
    let held = world.wait("web", blocked::<CoderOrganization>("DependentsExist")).await;
    assert!(message(&held, "DeletionBlocked").contains("CoderOrganizationMember"));
    world.delete::<CoderOrganizationMember>("ann").await;
    world.gone::<CoderOrganizationMember>("ann").await;
    world.gone::<CoderOrganization>("web").await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_list_takes_the_roles_and_a_missing_one_leaves_them_and_says_so() {
    simulated_only!("users of fixed names");
    let world = world("member-unmanaged", Profile::Main).await;
    let one = json!({ "roles": ["organization-auditor"] });
    world.apply::<CoderOrganizationMember>("ann", spec("ann", &one)).await;
    world.wait("ann", ready::<CoderOrganizationMember>).await;
    world
        .apply::<CoderOrganizationMember>("ann", spec("ann", &json!({})))
        .await;
    let unmanaged = |object: &CoderOrganizationMember| condition(object, "Unmanaged").is_some() && ready(object);
    let object = world.wait("ann", unmanaged).await;
    assert!(message(&object, "Unmanaged").contains("apply roles: []"));
    assert_eq!(roles(&world, "ann").await.unwrap(), ["organization-auditor"]);
    world.apply::<CoderOrganizationMember>("ann", spec("ann", &one)).await;
    let managed = |object: &CoderOrganizationMember| condition(object, "Unmanaged").is_none() && ready(object);
    world.wait("ann", managed).await;
    world
        .apply::<CoderOrganizationMember>("ann", spec("ann", &json!({ "roles": [] })))
        .await;
    world
        .until("the roles are gone", async || {
            roles(&world, "ann").await.unwrap().is_empty()
        })
        .await;
    world.wait("ann", managed).await;
    world.finish().await;
}

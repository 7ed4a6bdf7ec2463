//! Deletions that cannot be carried out yet: they say why and how to end it, keep the finalizer, and go on by themselves.

use coder_sim::license::mint;
use coder_sim::{LicenseSpec, Method, Profile};
use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::json;

use coder_operator::api::{CoderGroup, CoderInstance, CoderLicense, CoderOrganization, CoderWorkspaceProxy};

use crate::support::{Coder, World, blocked, message, ready, simulated_only};

const ORGANIZATION: &str = "/api/v2/organizations/{organization}";
const WAY_OUT: &str = "to let go without Coder, set deletionPolicy: Orphan";

/// One object of each kind, all to be deleted in Coder: organization, group, licence and proxy, each named after its kind.
async fn one_of_each(test: &str, instance: serde_json::Value) -> World {
    let world = World::with(test, Coder::simulated(Profile::Main).await, instance).await;
    let license = mint(&LicenseSpec {
        account_id: "ours".into(),
        ..LicenseSpec::premium(Timestamp::now())
    });
    world.put_secret(world.ns(), "license", &[("license", &license)]).await;
    let delete = "Delete";
    world
        .apply::<CoderOrganization>("organization", json!({ "deletionPolicy": delete }))
        .await;
    let group = json!({ "organization": "default", "deletionPolicy": delete });
    world.apply::<CoderGroup>("group", group).await;
    let license = json!({ "licenseSecretRef": { "name": "license" }, "deletionPolicy": delete });
    world.apply::<CoderLicense>("license", license).await;
    let proxy = json!({
        "displayName": "Proxy", "icon": "/emojis/1f680.png", "tokenSecret": { "name": "proxy" }, "deletionPolicy": delete,
    });
    world.apply::<CoderWorkspaceProxy>("proxy", proxy).await;
    world.wait("organization", ready::<CoderOrganization>).await;
    world.wait("group", ready::<CoderGroup>).await;
    world.wait("license", ready::<CoderLicense>).await;
    world.wait("proxy", ready::<CoderWorkspaceProxy>).await;
    world
}

async fn delete_all(world: &World) {
    world.delete::<CoderOrganization>("organization").await;
    world.delete::<CoderGroup>("group").await;
    world.delete::<CoderLicense>("license").await;
    world.delete::<CoderWorkspaceProxy>("proxy").await;
}

/// Which of the four are in Coder.
fn left(world: &World) -> [bool; 4] {
    let sim = world.coder.sim();
    [
        sim.organization("organization").is_some(),
        sim.group("default", "group").is_some(),
        sim.licenses()
            .iter()
            .any(|license| license.claims["account_id"] == "ours"),
        sim.proxy("proxy").is_some(),
    ]
}

async fn all_gone(world: &World) {
    world.gone::<CoderOrganization>("organization").await;
    world.gone::<CoderGroup>("group").await;
    world.gone::<CoderLicense>("license").await;
    world.gone::<CoderWorkspaceProxy>("proxy").await;
    assert_eq!(left(world), [false; 4]);
}

/// Puts a group, a member, a key and a template of somebody else into the organization.
fn fill(world: &World) {
    let sim = world.coder.sim();
    sim.create_group("organization", "foreign");
    sim.add_member("organization", "ann");
    let _ = sim.create_provisioner_key("organization", "cluster");
    sim.set_contents("organization", 2, 0);
}

fn empty(world: &World) {
    let sim = world.coder.sim();
    sim.delete_group("organization", "foreign");
    sim.remove_member("organization", "ann");
    sim.delete_provisioner_key("organization", "cluster");
    sim.set_contents("organization", 0, 0);
}

async fn organization_on(test: &str, profile: Profile) -> World {
    let world = World::with(test, Coder::simulated(profile).await, json!({})).await;
    world
        .apply::<CoderOrganization>("organization", json!({ "deletionPolicy": "Delete" }))
        .await;
    world.wait("organization", ready::<CoderOrganization>).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_list_leaves_out_unless_asked_is_looked_for_as_well() {
    simulated_only!("it acts behind the server's back");
    let world = organization_on("blocked-hidden", Profile::Main).await;
    let sim = world.coder.sim();
    sim.create_template("organization", "old");
    sim.edit_template("organization", "old", |template| {
        template.deprecation_message = "use another one".to_owned();
    });
    let mark = sim.journal().mark();
    world.delete::<CoderOrganization>("organization").await;
    let object = world
        .wait("organization", blocked::<CoderOrganization>("DependentsExist"))
        .await;
    let text = message(&object, "DeletionBlocked");
    assert!(text.contains("still holds 1 template (old)"), "{text}");
    assert!(world.coder.writes_since(mark).is_empty(), "Coder is not asked to");
    sim.edit_template("organization", "old", |template| template.deleted = true);
    world.gone::<CoderOrganization>("organization").await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_that_holds_what_others_made_stays_and_says_what_it_holds() {
    simulated_only!("it acts behind the server's back");
    let world = organization_on("blocked-main", Profile::Main).await;
    fill(&world);
    world.delete::<CoderOrganization>("organization").await;
    let object = world
        .wait("organization", blocked::<CoderOrganization>("DependentsExist"))
        .await;
    let text = message(&object, "DeletionBlocked");
    let list = "still holds 1 group (foreign), 1 member (ann), 2 templates (template-1, template-2), 1 provisioner key (cluster):";
    assert!(text.contains(list) && text.contains(WAY_OUT), "{text}");
    assert!(!object.finalizers().is_empty());
    assert!(world.coder.sim().group("organization", "foreign").is_some());
    empty(&world);
    world.gone::<CoderOrganization>("organization").await;
    assert!(world.coder.sim().organization("organization").is_none());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_server_would_erase_an_organization_with_all_in_it_the_operator_looks_first() {
    simulated_only!("it needs a server of v2.16.1");
    let world = organization_on("blocked-older", Profile::V2_16_1).await;
    fill(&world);
    let role = json!({ "name": "author", "display_name": "Author", "organization_permissions": [] });
    world
        .coder
        .change(Method::POST, "/organizations/organization/members/roles", role)
        .await;
    world.delete::<CoderOrganization>("organization").await;
    let object = world
        .wait("organization", blocked::<CoderOrganization>("DependentsExist"))
        .await;
    let text = message(&object, "DeletionBlocked");
    for held in [
        "1 group (foreign)",
        "1 member (ann)",
        "2 templates (template-1, template-2)",
        "1 provisioner key (cluster)",
        "1 custom role (author)",
    ] {
        assert!(text.contains(held), "{held}: {text}");
    }
    assert!(text.contains(WAY_OUT), "{text}");
    empty(&world);
    world.look::<CoderOrganization>("organization").await;
    let object = world
        .wait("organization", blocked::<CoderOrganization>("DependentsExist"))
        .await;
    let text = message(&object, "DeletionBlocked");
    assert!(text.contains("still holds 1 custom role (author):"), "{text}");
    assert_eq!(
        world.coder.sim().journal().count(&Method::DELETE, ORGANIZATION),
        0,
        "it was not even tried"
    );
    assert!(world.coder.sim().organization("organization").is_some());
    world.coder.sim().delete_custom_role("organization", "author");
    world
        .annotate::<CoderOrganization>("organization", "coder-operator.dev/reconcile-at", "now")
        .await;
    world.gone::<CoderOrganization>("organization").await;
    assert!(world.coder.sim().organization("organization").is_none());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_licence_a_deletion_waits_for_it() {
    simulated_only!("it takes the licence away");
    let world = one_of_each("blocked-license", json!({ "resyncInterval": "1s" })).await;
    world.coder.sim().lapse_licenses();
    let unlicensed = |instance: &CoderInstance| {
        let features = &instance.status.as_ref().unwrap().features;
        !features.iter().any(|feature| feature == "multiple_organizations")
    };
    world.wait("default", unlicensed).await;
    delete_all(&world).await;
    // A licence is deleted without a licence.
    world.gone::<CoderLicense>("license").await;
    let organization = world
        .wait("organization", blocked::<CoderOrganization>("NotEntitled"))
        .await;
    let text = message(&organization, "DeletionBlocked");
    assert!(text.contains(WAY_OUT), "{text}");
    world.wait("group", blocked::<CoderGroup>("NotEntitled")).await;
    let proxy = world.wait("proxy", blocked::<CoderWorkspaceProxy>("NotEntitled")).await;
    assert!(!organization.finalizers().is_empty() && !proxy.finalizers().is_empty());
    assert_eq!(left(&world), [true, true, false, true]);
    world.coder.sim().add_premium_license();
    all_gone(&world).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_server_a_deletion_waits_and_orphan_lets_go() {
    simulated_only!("it takes the server away");
    let world = one_of_each("blocked-server", json!({})).await;
    world.coder.sim().stop().await;
    delete_all(&world).await;
    let group = world.wait("group", blocked::<CoderGroup>("Unreachable")).await;
    let text = message(&group, "DeletionBlocked");
    assert!(text.contains(WAY_OUT), "{text}");
    world
        .wait("organization", blocked::<CoderOrganization>("Unreachable"))
        .await;
    world.wait("license", blocked::<CoderLicense>("Unreachable")).await;
    world.wait("proxy", blocked::<CoderWorkspaceProxy>("Unreachable")).await;
    world
        .patch::<CoderWorkspaceProxy>("proxy", json!({ "deletionPolicy": "Orphan" }))
        .await;
    world.gone::<CoderWorkspaceProxy>("proxy").await;
    assert_eq!(left(&world), [true; 4]);
    world.coder.sim().restart().await;
    world.gone::<CoderOrganization>("organization").await;
    world.gone::<CoderGroup>("group").await;
    world.gone::<CoderLicense>("license").await;
    assert_eq!(left(&world), [false, false, false, true], "what was let go stays");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_token_may_not_see_or_delete_is_never_taken_for_deleted() {
    simulated_only!("it needs the token of a member");
    let world = one_of_each("blocked-member", json!({})).await;
    let member = world.coder.sim().token_for("ulf", &[]);
    world
        .put_secret(world.ns(), "default-token", &[("token", &member)])
        .await;
    let user = |instance: &CoderInstance| instance.status.as_ref().unwrap().user.as_deref() == Some("ulf");
    world.wait("default", user).await;
    delete_all(&world).await;
    let group = world.wait("group", blocked::<CoderGroup>("Forbidden")).await;
    let organization = world
        .wait("organization", blocked::<CoderOrganization>("Forbidden"))
        .await;
    let license = world.wait("license", blocked::<CoderLicense>("Forbidden")).await;
    let proxy = world.wait("proxy", blocked::<CoderWorkspaceProxy>("Forbidden")).await;
    for text in [
        message(&group, "DeletionBlocked"),
        message(&organization, "DeletionBlocked"),
        message(&license, "DeletionBlocked"),
        message(&proxy, "DeletionBlocked"),
    ] {
        assert!(text.contains(WAY_OUT), "{text}");
    }
    let kept = [
        group.finalizers(),
        organization.finalizers(),
        license.finalizers(),
        proxy.finalizers(),
    ];
    assert!(kept.iter().all(|finalizers| !finalizers.is_empty()));
    assert_eq!(left(&world), [true; 4]);
    world
        .put_secret(world.ns(), "default-token", &[("token", &world.coder.token)])
        .await;
    all_gone(&world).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_server_hides_organizations_from_administrators_of_users() {
    simulated_only!("it needs a server of version 2.16.1");
    let world = World::with("blocked-old", Coder::simulated(Profile::V2_16_1).await, json!({})).await;
    let spec = json!({ "name": "hidden", "deletionPolicy": "Delete" });
    world.apply::<CoderOrganization>("hidden", spec).await;
    world.wait("hidden", ready::<CoderOrganization>).await;
    let admin = world.coder.sim().token_for("ulf", &["user-admin"]);
    world
        .put_secret(world.ns(), "default-token", &[("token", &admin)])
        .await;
    let user = |instance: &CoderInstance| instance.status.as_ref().unwrap().user.as_deref() == Some("ulf");
    world.wait("default", user).await;
    world.delete::<CoderOrganization>("hidden").await;
    world.wait("hidden", blocked::<CoderOrganization>("Forbidden")).await;
    assert!(world.coder.organization("hidden").await.is_some());
    world
        .put_secret(world.ns(), "default-token", &[("token", &world.coder.token)])
        .await;
    world.gone::<CoderOrganization>("hidden").await;
    assert!(world.coder.organization("hidden").await.is_none());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_deployment_at_the_same_address_is_not_deleted_from() {
    simulated_only!("it changes the deployment behind the URL");
    let world = one_of_each("blocked-deployment", json!({})).await;
    let sim = world.coder.sim();
    let before = sim.deployment_id();
    sim.set_deployment_id(uuid::Uuid::new_v4());
    world.look::<CoderInstance>("default").await;
    let mark = sim.journal().mark();
    delete_all(&world).await;
    let group = world.wait("group", blocked::<CoderGroup>("DeploymentChanged")).await;
    assert!(message(&group, "DeletionBlocked").contains(WAY_OUT));
    world
        .wait("organization", blocked::<CoderOrganization>("DeploymentChanged"))
        .await;
    world
        .wait("license", blocked::<CoderLicense>("DeploymentChanged"))
        .await;
    world
        .wait("proxy", blocked::<CoderWorkspaceProxy>("DeploymentChanged"))
        .await;
    assert!(sim.journal().writes_since(mark).is_empty());
    sim.set_deployment_id(before);
    world.look::<CoderInstance>("default").await;
    all_gone(&world).await;
    world.finish().await;
}

//! What counts as held: an id proves nothing by itself. A status counts for the very object it was written for, in the
//! deployment it was written in, and what it names is looked at before it is touched.

use kube::Api;
use kube::api::{Patch, PatchParams};
use reqwest::Method;
use serde_json::{Value, json};

use coder_operator::api::{CoderGroup, CoderInstance, CoderOrganization, Origin};
use coder_sim::Method as SimMethod;

use crate::support::{Coder, World, blocked, cluster, condition, message, ready, simulated_only, stalled};

fn group(name: &str, mode: &str) -> Value {
    json!({ "organization": "default", "name": name, "mode": mode, "quotaAllowance": 5, "deletionPolicy": "Delete" })
}

/// Deletes the group of that name by hand and makes another one; answers with the id of that one.
async fn replace_by_hand(world: &World, name: &str) -> String {
    let ours = world.coder.group("default", name).await.unwrap()["id"].clone();
    let path = format!("/groups/{}", ours.as_str().unwrap());
    world.coder.change(Method::DELETE, &path, json!({})).await;
    let path = format!(
        "/organizations/{}/groups",
        world.coder.get("/organizations/default").await["id"].as_str().unwrap()
    );
    let made = world
        .coder
        .change(Method::POST, &path, json!({ "name": name, "quota_allowance": 77 }))
        .await;
    made["id"].as_str().unwrap().to_owned()
}

async fn world(test: &str) -> World {
    World::with(test, Coder::any().await, json!({ "resyncInterval": "1s" })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn observing_never_makes_a_strangers_object_ours() {
    let world = world("held-observe").await;
    let name = world.name("backend");
    world.apply::<CoderGroup>("backend", group(&name, "Manage")).await;
    let ours = world.wait("backend", ready::<CoderGroup>).await.status.unwrap().id;
    world.apply::<CoderGroup>("backend", group(&name, "Observe")).await;
    world
        .wait("backend", |group: &CoderGroup| {
            condition(group, "Ready").is_some_and(|ready| ready.reason == "Observed")
        })
        .await;
    let theirs = replace_by_hand(&world, &name).await;
    let observing = world.wait("backend", stalled::<CoderGroup>("AlreadyExists")).await;
    assert_eq!(observing.status.unwrap().id, ours, "what is held stays what it was");

    world.apply::<CoderGroup>("backend", group(&name, "Manage")).await;
    world
        .wait("backend", |group: &CoderGroup| {
            stalled::<CoderGroup>("AlreadyExists")(group)
                && group.status.as_ref().map(|status| status.common.observed_generation) == group.metadata.generation
        })
        .await;
    world.delete::<CoderGroup>("backend").await;
    world.gone::<CoderGroup>("backend").await;
    let left = world.coder.group("default", &name).await.expect("the stranger's group");
    assert_eq!((&left["id"], &left["quota_allowance"]), (&json!(theirs), &json!(77)));
    world
        .coder
        .change(Method::DELETE, &format!("/groups/{theirs}"), json!({}))
        .await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_is_recorded_although_what_is_read_after_it_fails() {
    simulated_only!("a read fails");
    let world = world("held-creation").await;
    let groups = "/api/v2/organizations/{organization}/groups";
    let broken = coder_sim::Fault::on(SimMethod::GET, groups)
        .times(1)
        .status(502, json!({ "message": "bad gateway" }));
    world.coder.sim().faults().add(broken);
    let spec = json!({ "everyoneQuotaAllowance": 5, "deletionPolicy": "Delete" });
    world.apply::<CoderOrganization>("platform", spec).await;
    let made = world.wait("platform", ready::<CoderOrganization>).await.status.unwrap();
    assert_eq!(made.common.origin, Some(Origin::Created));
    assert_eq!(
        world
            .coder
            .sim()
            .journal()
            .writes()
            .iter()
            .filter(|call| call.path == "/api/v2/organizations")
            .count(),
        1
    );
    world.delete::<CoderOrganization>("platform").await;
    world.gone::<CoderOrganization>("platform").await;
    assert!(world.coder.organization("platform").await.is_none());
    world.finish().await;
}

/// Writes a status as whoever may write `/status` can.
async fn forge(world: &World, namespace: &str, name: &str, status: Value) {
    let api: Api<CoderGroup> = Api::namespaced(world.kube.clone(), namespace);
    let body = json!({ "status": status });
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(body))
        .await
        .expect("the status");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_of_another_object_counts_as_none() {
    simulated_only!("the journal tells what was written");
    let world = world("held-uid").await;
    let name = world.name("backend");
    world.apply::<CoderGroup>("backend", group(&name, "Manage")).await;
    let before = world.wait("backend", ready::<CoderGroup>).await.status.unwrap();
    assert!(before.common.uid.is_some() && before.common.deployment.is_some());
    // As a backup does it that restores statuses: the same object under another uid.
    let mark = world.coder.sim().journal().mark();
    world.apply::<CoderGroup>("restored", group(&name, "Suspend")).await;
    world
        .wait("restored", |group: &CoderGroup| condition(group, "Suspended").is_some())
        .await;
    forge(&world, world.ns(), "restored", serde_json::to_value(&before).unwrap()).await;
    world.apply::<CoderGroup>("backend", group(&name, "Suspend")).await;
    world.apply::<CoderGroup>("restored", group(&name, "Manage")).await;
    world
        .wait("restored", |group: &CoderGroup| {
            let reason = condition(group, "Stalled").map(|stalled| stalled.reason.clone());
            matches!(reason.as_deref(), Some("Conflict" | "AlreadyExists"))
        })
        .await;
    world.delete::<CoderGroup>("restored").await;
    world.gone::<CoderGroup>("restored").await;
    assert_eq!(world.coder.writes_since(mark), [""; 0]);
    world.apply::<CoderGroup>("backend", group(&name, "Manage")).await;
    world.wait("backend", ready::<CoderGroup>).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_status_reaches_no_group_of_an_organization_that_is_not_granted() {
    simulated_only!("the journal tells what was written");
    let team = cluster().await.namespace("held-forged-team").await.unwrap();
    let access = json!({ "namespaces": { "names": [team.name()] }, "organizations": ["team-*"] });
    let instance = json!({ "access": access, "resyncInterval": "1s" });
    let world = World::beside("held-forged", Coder::any().await, instance, &[&team]).await;
    let sim = world.coder.sim();
    sim.create_organization("team-blue");
    sim.create_organization("finance");
    sim.create_group("finance", "payroll");
    sim.create_group("finance", "audit");
    let finance = world.coder.organization("finance").await.unwrap()["id"].clone();
    let payroll = world.coder.group("finance", "payroll").await.unwrap()["id"].clone();
    let audit = world.coder.group("finance", "audit").await.unwrap()["id"].clone();
    let blue = world.coder.organization("team-blue").await.unwrap()["id"].clone();
    let spec = json!({
        "instanceRef": { "name": "default", "namespace": world.ns() }, "organization": "team-blue", "name": "backend",
        "deletionPolicy": "Delete",
    });
    let mark = sim.journal().mark();
    for (name, id, organization) in [("told", &payroll, &finance), ("hidden", &audit, &blue)] {
        let mut spec = spec.clone();
        spec["mode"] = json!("Suspend");
        world.apply_in::<CoderGroup>(team.name(), name, spec.clone()).await;
        world
            .wait_in(team.name(), name, |group: &CoderGroup| {
                condition(group, "Suspended").is_some()
            })
            .await;
        let status = json!({ "id": id, "organizationId": organization, "origin": "Created" });
        forge(&world, team.name(), name, status).await;
        let finalizer = json!({ "metadata": { "finalizers": ["coder-operator.dev/finalizer"] } });
        let api: Api<CoderGroup> = Api::namespaced(world.kube.clone(), team.name());
        api.patch(name, &PatchParams::default(), &Patch::Merge(finalizer))
            .await
            .unwrap();
        spec["mode"] = json!("Manage");
        spec["adoptionPolicy"] = json!("MustExist");
        world.apply_in::<CoderGroup>(team.name(), name, spec).await;
    }
    // The one that names the organization is told so; of the other there is nothing where it says.
    let told = world
        .wait_in(team.name(), "told", stalled::<CoderGroup>("AccessDenied"))
        .await;
    assert!(message(&told, "Stalled").contains("finance"));
    world
        .wait_in(team.name(), "hidden", stalled::<CoderGroup>("NotFound"))
        .await;
    world.delete_in::<CoderGroup>(team.name(), "told").await;
    world.delete_in::<CoderGroup>(team.name(), "hidden").await;
    world
        .wait_in(team.name(), "told", blocked::<CoderGroup>("AccessDenied"))
        .await;
    world.gone_in::<CoderGroup>(team.name(), "hidden").await;
    assert_eq!(world.coder.writes_since(mark), [""; 0]);
    assert!(world.coder.group("finance", "payroll").await.is_some());
    let orphan = json!({ "spec": { "deletionPolicy": "Orphan" } });
    let api: Api<CoderGroup> = Api::namespaced(world.kube.clone(), team.name());
    api.patch("told", &PatchParams::default(), &Patch::Merge(orphan))
        .await
        .unwrap();
    world.gone_in::<CoderGroup>(team.name(), "told").await;
    team.finish().await.unwrap();
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_another_deployment_nothing_is_held() {
    simulated_only!("the deployment changes");
    let world = world("held-deployment").await;
    world.apply::<CoderGroup>("backend", group("backend", "Manage")).await;
    world.wait("backend", ready::<CoderGroup>).await;
    world
        .coder
        .sim()
        .set_deployment_id("6f9619ff-8b86-4d01-b42d-00cf4fc964ff".parse().unwrap());
    world
        .wait("default", stalled::<CoderInstance>("DeploymentChanged"))
        .await;
    let mark = world.coder.sim().journal().mark();
    let consent = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";
    world
        .annotate::<CoderInstance>("default", "coder-operator.dev/accept-deployment", consent)
        .await;
    world.wait("default", ready::<CoderInstance>).await;
    world.wait("backend", stalled::<CoderGroup>("AlreadyExists")).await;
    assert_eq!(world.events("backend", "DriftCorrected").await, [""; 0]);
    world.delete::<CoderGroup>("backend").await;
    world.gone::<CoderGroup>("backend").await;
    assert_eq!(world.coder.writes_since(mark), [""; 0]);
    assert!(world.coder.group("default", "backend").await.is_some());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_names_an_organization_does_not_hold_up_its_deletion() {
    simulated_only!("an organization of a fixed name");
    let team = cluster().await.namespace("held-names-team").await.unwrap();
    let world = World::beside("held-names", Coder::any().await, json!({}), &[&team]).await;
    world
        .apply::<CoderOrganization>("platform", json!({ "deletionPolicy": "Delete" }))
        .await;
    world.wait("platform", ready::<CoderOrganization>).await;
    let spec = json!({
        "instanceRef": { "name": "default", "namespace": world.ns() },
        "organizationRef": { "name": "platform", "namespace": world.ns() },
    });
    world.apply_in::<CoderGroup>(team.name(), "squatter", spec).await;
    let finalizer = json!({ "metadata": { "finalizers": ["example.com/mine"] } });
    let api: Api<CoderGroup> = Api::namespaced(world.kube.clone(), team.name());
    api.patch("squatter", &PatchParams::default(), &Patch::Merge(finalizer))
        .await
        .unwrap();
    world
        .wait_in(team.name(), "squatter", stalled::<CoderGroup>("AccessDenied"))
        .await;
    world.delete::<CoderOrganization>("platform").await;
    world.gone::<CoderOrganization>("platform").await;
    let none = json!({ "metadata": { "finalizers": null } });
    api.patch("squatter", &PatchParams::default(), &Patch::Merge(none))
        .await
        .unwrap();
    team.finish().await.unwrap();
    world.finish().await;
}

//! What somebody else changes in Coder is set back within one interval, and nothing happens while nothing changes.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::{Duration, Instant};

use coder_sim::license::{LicenseSpec, mint};
use coder_sim::{Method as SimMethod, Profile};
use kube::ResourceExt;
use kube::api::ListParams;
use reqwest::Method;
use serde_json::json;

use coder_operator::api::Object;
use coder_operator::api::{CoderGroup, CoderInstance, CoderLicense, CoderOrganization, CoderWorkspaceProxy};

use crate::support::{Coder, World, condition, ready, simulated_only};

const TOKEN: &str = "CODER_PROXY_SESSION_TOKEN";

async fn world(test: &str) -> World {
    World::with(test, Coder::any().await, json!({ "resyncInterval": "1s" })).await
}

async fn corrected(world: &World, name: &str, kind: &str, text: &str) {
    world.event(name, "DriftCorrected", text).await;
    let metric = format!("coder_operator_drifts_total{{kind=\"{kind}\",handling=\"corrected\"}}");
    assert!(
        world.operator.metric(&metric).await.is_some_and(|count| count >= 1.0),
        "{metric}"
    );
}

fn proxy(name: &str) -> serde_json::Value {
    json!({
        "name": name, "displayName": "Paris", "icon": "/emojis/1f680.png", "tokenSecret": { "name": "paris-token" },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_organization_is_corrected_field_by_field() {
    let world = world("drift-organization").await;
    let name = world.name("platform");
    let spec = json!({
        "name": name, "displayName": "Platform", "description": "Ours", "icon": "/emojis/1f680.png",
        "everyoneQuotaAllowance": 5, "workspaceSharing": "None", "deletionPolicy": "Delete",
    });
    world.apply::<CoderOrganization>("platform", spec).await;
    let id = world
        .wait("platform", ready::<CoderOrganization>)
        .await
        .status
        .unwrap()
        .id
        .unwrap();
    let path = format!("/organizations/{id}");
    let change = json!({ "display_name": "By hand", "description": "", "icon": "", "name": world.name("other") });
    world.coder.change(Method::PATCH, &path, change).await;
    let diff = "displayName \"Platform\" → \"By hand\", description \"Ours\" → \"\", icon \"/emojis/1f680.png\" → \"\", corrected";
    corrected(&world, "platform", "CoderOrganization", diff).await;
    let now = world.coder.get(&path).await;
    assert_eq!((&now["name"], &now["display_name"]), (&json!(name), &json!("Platform")));
    assert_eq!(
        (&now["description"], &now["icon"]),
        (&json!("Ours"), &json!("/emojis/1f680.png"))
    );

    world
        .coder
        .change(
            Method::PATCH,
            &format!("/groups/{id}"),
            json!({ "quota_allowance": 50 }),
        )
        .await;
    corrected(
        &world,
        "platform",
        "CoderOrganization",
        "everyoneQuotaAllowance 5 → 50, corrected",
    )
    .await;
    let sharing = json!({ "shareable_workspace_owners": "everyone" });
    world
        .coder
        .change(Method::PATCH, &format!("{path}/settings/workspace-sharing"), sharing)
        .await;
    corrected(
        &world,
        "platform",
        "CoderOrganization",
        "workspaceSharing None → Everyone, corrected",
    )
    .await;
    world.delete::<CoderOrganization>("platform").await;
    world.gone::<CoderOrganization>("platform").await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_group_is_corrected_field_by_field() {
    let world = world("drift-group").await;
    let name = world.name("backend");
    let spec = json!({
        "organization": "default", "name": name, "displayName": "Backend", "avatarURL": "/emojis/1f4ca.png",
        "quotaAllowance": 20,
    });
    world.apply::<CoderGroup>("backend", spec).await;
    let id = world
        .wait("backend", ready::<CoderGroup>)
        .await
        .status
        .unwrap()
        .id
        .unwrap();
    let path = format!("/groups/{id}");
    let other = world.name("other");
    let change = json!({ "name": other, "display_name": "", "avatar_url": "/x.png", "quota_allowance": 99 });
    world.coder.change(Method::PATCH, &path, change).await;
    let diff = format!(
        "name \"{name}\" → \"{other}\", displayName \"Backend\" → \"\", avatarURL \"/emojis/1f4ca.png\" → \"/x.png\", \
         quotaAllowance 20 → 99, corrected"
    );
    corrected(&world, "backend", "CoderGroup", &diff).await;
    let now = world.coder.get(&path).await;
    assert_eq!((&now["name"], &now["display_name"]), (&json!(name), &json!("Backend")));
    world.delete::<CoderGroup>("backend").await;
    world.gone::<CoderGroup>("backend").await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_proxy_is_corrected_and_its_token_stays() {
    simulated_only!("the token's worth is looked at behind the server's back");
    let world = world("drift-proxy").await;
    let sim = world.coder.sim();
    world.apply::<CoderWorkspaceProxy>("paris", proxy("paris")).await;
    world.wait("paris", ready::<CoderWorkspaceProxy>).await;
    let token = world.secret("paris-token", TOKEN).await.unwrap();
    sim.edit_proxy("paris", |proxy| proxy.display_name = "By hand".to_owned());
    corrected(
        &world,
        "paris",
        "CoderWorkspaceProxy",
        "displayName \"Paris\" → \"By hand\", corrected",
    )
    .await;
    assert_eq!(sim.proxy("paris").unwrap().display_name, "Paris");
    assert!(sim.proxy_token_valid(&token));

    // A soft-deleted proxy still answers by id: the list decides.
    sim.delete_proxy("paris");
    world
        .until("a new proxy with a token in the Secret", async || {
            let now = world.secret("paris-token", TOKEN).await;
            now.is_some_and(|now| now != token && world.coder.sim().proxy_token_valid(&now))
        })
        .await;
    world.wait("paris", ready::<CoderWorkspaceProxy>).await;
    assert_eq!(sim.proxies().iter().filter(|proxy| !proxy.deleted).count(), 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_licence_is_its_removal_which_is_undone() {
    simulated_only!("licences are minted");
    let world = world("drift-licence").await;
    let sim = world.coder.sim();
    world
        .put_secret(
            world.ns(),
            "licence",
            &[("license", &mint(&LicenseSpec::premium(sim.clock().now())))],
        )
        .await;
    world
        .apply::<CoderLicense>("licence", json!({ "licenseSecretRef": { "name": "licence" } }))
        .await;
    let before = world.wait("licence", ready::<CoderLicense>).await.status.unwrap();
    sim.delete_license(before.id.unwrap());
    let again = |licence: &CoderLicense| {
        ready(licence)
            && licence
                .status
                .as_ref()
                .is_some_and(|status| status.id.is_some() && status.id != before.id)
    };
    let after = world.wait("licence", again).await.status.unwrap();
    assert_eq!(after.uuid, before.uuid, "it is the same licence");
    assert_eq!(sim.licenses().len(), 2);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_behind_our_back_is_made_again() {
    simulated_only!("an organization is deleted with what is in it");
    for profile in [Profile::Main, Profile::V2_16_1] {
        let world = World::with(
            "drift-deleted",
            Coder::simulated(profile).await,
            json!({ "resyncInterval": "1s" }),
        )
        .await;
        let sim = world.coder.sim();
        world
            .apply::<CoderOrganization>("platform", json!({ "name": "platform" }))
            .await;
        let spec = json!({ "organizationRef": { "name": "platform" }, "name": "backend", "members": [] });
        world.apply::<CoderGroup>("backend", spec).await;
        let organization = world
            .wait("platform", ready::<CoderOrganization>)
            .await
            .status
            .unwrap()
            .id;
        let group = world.wait("backend", ready::<CoderGroup>).await.status.unwrap().id;

        sim.delete_group("platform", "backend");
        let again = |object: &CoderGroup| ready(object) && object.status.as_ref().unwrap().id != group;
        let second = world.wait("backend", again).await.status.unwrap().id;
        assert_eq!(sim.groups().iter().filter(|group| group.name == "backend").count(), 1);

        // Newer servers keep a deleted organization and what was in it behind their ids; older ones erase both.
        sim.delete_organization("platform");
        let again = |object: &CoderOrganization| ready(object) && object.status.as_ref().unwrap().id != organization;
        let organization = world.wait("platform", again).await.status.unwrap().id;
        let moved = |object: &CoderGroup| {
            let status = object.status.as_ref().unwrap();
            ready(object) && status.id != second && status.organization_id == organization
        };
        world.wait("backend", moved).await;
        assert!(sim.group("platform", "backend").is_some(), "{profile:?}");
        world.finish().await;
    }
}

/// The resource version of every object of a kind.
async fn versions<K: Object + Debug>(world: &World, into: &mut BTreeMap<String, String>) {
    for object in world.api::<K>().list(&ListParams::default()).await.unwrap() {
        let name = format!("{} {}", K::kind(&()), object.name_any());
        into.insert(name, object.resource_version().unwrap());
    }
}

async fn all_versions(world: &World) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    versions::<CoderInstance>(world, &mut all).await;
    versions::<CoderOrganization>(world, &mut all).await;
    versions::<CoderGroup>(world, &mut all).await;
    versions::<CoderLicense>(world, &mut all).await;
    versions::<CoderWorkspaceProxy>(world, &mut all).await;
    for secret in world
        .api::<k8s_openapi::api::core::v1::Secret>()
        .list(&ListParams::default())
        .await
        .unwrap()
    {
        all.insert(
            format!("Secret {}", secret.name_any()),
            secret.resource_version().unwrap(),
        );
    }
    for event in world
        .api::<k8s_openapi::api::events::v1::Event>()
        .list(&ListParams::default())
        .await
        .unwrap()
    {
        all.insert(format!("Event {}", event.name_any()), event.resource_version().unwrap());
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn none_means_no_write_at_all_and_calls_by_organization() {
    const ORGANIZATIONS: usize = 2;
    const GROUPS: usize = 30;
    simulated_only!("the journal tells what was called");
    let world = world("drift-none").await;
    for number in 0..ORGANIZATIONS {
        let name = format!("platform-{number}");
        let spec = json!({ "name": name, "everyoneQuotaAllowance": 5, "workspaceSharing": "None" });
        world.apply::<CoderOrganization>(&name, spec).await;
    }
    for number in 0..GROUPS {
        let organization = format!("platform-{}", number % ORGANIZATIONS);
        let spec =
            json!({ "organizationRef": { "name": organization }, "quotaAllowance": 1, "members": ["owner", "ann"] });
        world.apply::<CoderGroup>(&format!("group-{number}"), spec).await;
    }
    world.apply::<CoderWorkspaceProxy>("paris", proxy("paris")).await;
    let licence = mint(&LicenseSpec::premium(world.coder.sim().clock().now()));
    world.put_secret(world.ns(), "licence", &[("license", &licence)]).await;
    world
        .apply::<CoderLicense>("licence", json!({ "licenseSecretRef": { "name": "licence" } }))
        .await;
    for number in 0..GROUPS {
        world.wait(&format!("group-{number}"), ready::<CoderGroup>).await;
    }
    world.wait("paris", ready::<CoderWorkspaceProxy>).await;
    world.wait("licence", ready::<CoderLicense>).await;
    // The instance counts what uses it at its next look; after that there is nothing left to say.
    let counted = |instance: &CoderInstance| {
        let objects = instance
            .status
            .as_ref()
            .map(|status| status.objects.clone())
            .unwrap_or_default();
        objects.values().sum::<i64>() == i64::try_from(GROUPS + ORGANIZATIONS + 2).unwrap()
    };
    world.wait("default", counted).await;
    world.coder.looks(3).await;

    let (before, mark, began) = (
        all_versions(&world).await,
        world.coder.sim().journal().mark(),
        Instant::now(),
    );
    world.coder.looks(4).await;
    let (calls, took) = (world.coder.calls_since(mark), began.elapsed());
    assert_eq!(all_versions(&world).await, before, "nothing was written to Kubernetes");
    assert!(
        calls.iter().all(|call| call.method == SimMethod::GET),
        "nothing was written to Coder: {calls:?}"
    );

    // Each list at most once in nine tenths of an interval, by path: so their number does not depend on that of groups.
    let most = usize::try_from(took.as_millis() / Duration::from_millis(900).as_millis()).unwrap() + 2;
    let mut by_path: BTreeMap<&str, usize> = BTreeMap::new();
    for call in &calls {
        assert!(
            call.template != "/api/v2/groups/{group}",
            "groups are not read one by one"
        );
        *by_path
            .entry(call.path.split('?').next().unwrap_or_default())
            .or_default() += 1;
    }
    // Licences and what they give are read by the probe as well.
    let twice = ["/api/v2/licenses", "/api/v2/entitlements"];
    let allowed = |path: &str| if twice.contains(&path) { 2 * most } else { most };
    assert!(
        by_path.iter().all(|(path, count)| *count <= allowed(path)),
        "at most {most} calls in {took:?}: {by_path:#?}"
    );
    // Organizations, proxies and licences; per organization groups, members, group sync and sharing; the probe's four, the
    // token's own key among them.
    assert!(by_path.len() <= 3 + 4 * ORGANIZATIONS + 4, "{by_path:#?}");
    let group = world.wait("group-0", ready::<CoderGroup>).await;
    assert!(
        condition(&group, "MembersPending").is_some(),
        "ann is in no organization yet, which wakes nobody"
    );
    world.finish().await;
}

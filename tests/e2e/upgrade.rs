//! What an earlier version stored is taken over as it is: no write to Coder, no new token.
//!
//! The statuses here have the fields that the version before `status.uid` and `status.deployment` wrote, and no others.

use std::fmt::Debug;

use coder_sim::license::mint;
use coder_sim::{LicenseSpec, Profile};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use coder_operator::api::{
    CoderGroup, CoderInstance, CoderLicense, CoderOrganization, CoderWorkspaceProxy, Kind, Object, ObjectStatus,
};

use crate::support::{AnyObject, Coder, Operator, Settings, World, ready, simulated_only};

const TOKEN: &str = "CODER_PROXY_SESSION_TOKEN";

/// Leaves of the status only these fields, as they are, and of the metadata nothing that is newer.
async fn stored_before<K: Object>(world: &World, name: &str, fields: &[&str]) {
    let resource = ApiResource::erase::<K>(&());
    let api = Api::<DynamicObject>::namespaced_with(world.kube.clone(), world.ns(), &resource);
    let mut object = api.get(name).await.unwrap();
    let status: serde_json::Map<String, Value> = fields
        .iter()
        .map(|field| {
            let value = &object.data["status"][*field];
            assert!(!value.is_null(), "{name} has no {field} any more");
            ((*field).to_owned(), value.clone())
        })
        .collect();
    object.data["status"] = status.into();
    api.replace_status(name, &PostParams::default(), &object).await.unwrap();
    let annotations = json!({ "metadata": { "annotations": null } });
    api.patch(name, &PatchParams::default(), &Patch::Merge(annotations))
        .await
        .unwrap();
}

/// It was looked at, and says by now whose its status is.
async fn is_taken_over<K: Kind + Debug + AnyObject>(world: &World, name: &str, told: &[&str]) {
    let looked_at = |object: &K| ready(object) && object.status().is_some_and(|it| it.common().uid == object.uid());
    world.wait(name, looked_at).await;
    assert_eq!(world.events(name, "Updated").await, told, "{name}");
    assert_eq!(world.events(name, "Adopted").await, [""; 0], "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_version_stored_is_taken_over_without_a_write_and_without_a_new_token() {
    simulated_only!("it reads the journal of the server");
    let mut world = World::with("upgrade", Coder::simulated(Profile::Main).await, json!({})).await;
    let license = mint(&LicenseSpec::premium(Timestamp::now()));
    world.put_secret(world.ns(), "license", &[("license", &license)]).await;
    let organization = json!({
        "displayName": "Platform", "description": "Engineering", "everyoneQuotaAllowance": 5, "workspaceSharing": "None",
    });
    world.apply::<CoderOrganization>("platform", organization).await;
    let backend = json!({ "organizationRef": { "name": "platform" }, "quotaAllowance": 7, "members": [] });
    world.apply::<CoderGroup>("backend", backend).await;
    let plain = json!({ "organization": "default", "members": ["ann", "bob"], "memberPolicy": "AtLeast" });
    world.apply::<CoderGroup>("plain", plain).await;
    let reference = json!({ "licenseSecretRef": { "name": "license" } });
    world.apply::<CoderLicense>("license", reference).await;
    let proxy = json!({ "displayName": "Paris", "icon": "/emojis/1f680.png", "tokenSecret": { "name": "paris" } });
    world.apply::<CoderWorkspaceProxy>("paris", proxy).await;
    world.wait("platform", ready::<CoderOrganization>).await;
    for group in ["backend", "plain"] {
        world.wait(group, ready::<CoderGroup>).await;
    }
    world.wait("license", ready::<CoderLicense>).await;
    world.wait("paris", ready::<CoderWorkspaceProxy>).await;
    let token = world.secret("paris", TOKEN).await.unwrap();

    let settings = Settings::watching(world.ns());
    world.operator.crash().await;
    let common = [
        "conditions",
        "observedGeneration",
        "origin",
        "effectiveDeletionPolicy",
        "id",
    ];
    let with = |more: &[&'static str]| [&common, more].concat();
    stored_before::<CoderOrganization>(&world, "platform", &with(&["name"])).await;
    let of_groups = [
        "name",
        "organization",
        "organizationId",
        "memberCount",
        "membersManaged",
    ];
    stored_before::<CoderGroup>(&world, "backend", &with(&of_groups)).await;
    stored_before::<CoderGroup>(&world, "plain", &with(&of_groups)).await;
    let of_licences = [
        "accountType",
        "claimsDigest",
        "expiresAt",
        "features",
        "graceEndsAt",
        "trial",
        "uuid",
    ];
    stored_before::<CoderLicense>(&world, "license", &with(&of_licences)).await;
    let of_proxies = ["name", "health", "healthy", "tokenIssuedAt"];
    stored_before::<CoderWorkspaceProxy>(&world, "paris", &with(&of_proxies)).await;
    let of_instances = [
        "conditions",
        "observedGeneration",
        "deploymentId",
        "features",
        "feed",
        "feedReason",
        "licenseExpiresAt",
        "roles",
        "user",
        "version",
    ];
    stored_before::<CoderInstance>(&world, "default", &of_instances).await;
    let issued = world
        .api::<Secret>()
        .get("paris")
        .await
        .unwrap()
        .metadata
        .annotations
        .unwrap();
    let none = issued.keys().map(|key| (key.clone(), Value::Null));
    let mut annotations = Value::Object(none.collect());
    annotations["coder-operator.dev/issued-at"] = json!(issued["coder-operator.dev/issued-at"]);
    let annotations = json!({ "metadata": { "annotations": annotations } });
    let parameters = PatchParams::default();
    world
        .api::<Secret>()
        .patch("paris", &parameters, &Patch::Merge(annotations))
        .await
        .unwrap();

    let mark = world.coder.sim().journal().mark();
    world.operator = Operator::start(world.ground, &settings).await;
    is_taken_over::<CoderOrganization>(&world, "platform", &[]).await;
    is_taken_over::<CoderGroup>(&world, "backend", &[]).await;
    is_taken_over::<CoderGroup>(&world, "plain", &[]).await;
    is_taken_over::<CoderLicense>(&world, "license", &[]).await;
    is_taken_over::<CoderWorkspaceProxy>(&world, "paris", &["bring the Secret up to date, with the same token"]).await;
    assert_eq!(world.coder.writes_since(mark), [""; 0]);
    assert_eq!(world.secret("paris", TOKEN).await.unwrap(), token);
    world.finish().await;
}

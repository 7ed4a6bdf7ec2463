//! One of each kind.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use reqwest::Method;
use serde_json::{Value, json};

use coder_operator::api::{
    CoderCustomRole, CoderDeploymentSettings, CoderGroup, CoderGroupSync, CoderOAuth2App, CoderOrganization,
    CoderOrganizationMember, CoderOrganizationSync, CoderProvisionerKey, CoderRoleSync, CoderTemplateAccess,
    CoderWorkspaceProxy,
};

use super::Subject;
use crate::support::World;

/// The path of something in the organization platform.
async fn in_platform(world: &World, rest: &str) -> String {
    let platform = world.coder.organization("platform").await.expect("the organization");
    format!("/organizations/{}/{rest}", platform["id"].as_str().unwrap())
}

/// Without what an emptied mapping leaves behind, which means nothing.
fn without_empty(mut settings: Value) -> Value {
    let mapping = settings["mapping"].as_object().cloned().unwrap_or_default();
    let mapping = mapping
        .into_iter()
        .filter(|(_, targets)| targets.as_array().is_some_and(|targets| !targets.is_empty()));
    settings["mapping"] = Value::Object(mapping.collect());
    settings
}

async fn sync_by_hand(world: &World, path: &str) {
    let settings = json!({ "field": "somebody-elses", "mapping": {}, "organization_assign_default": true });
    world.coder.change(Method::PATCH, path, settings).await;
}

pub(super) struct Organization;

impl Subject for Organization {
    type Kind = CoderOrganization;
    const WORD: &'static str = "organization";
    const STANDS: bool = false;

    fn spec() -> Value {
        json!({ "name": "research", "displayName": "Research" })
    }

    /// An organization is deleted only where its own spec says so.
    fn left(_: Value, declared: Value) -> Value {
        declared
    }

    async fn held(world: &World) -> Value {
        let found = world.coder.organization("research").await;
        found.map(|it| it["display_name"].clone()).unwrap_or_default()
    }

    async fn tamper(world: &World) {
        let other = json!({ "display_name": "Somebody else's" });
        world
            .coder
            .change(Method::PATCH, "/organizations/research", other)
            .await;
    }

    async fn take_away(world: &World) {
        world
            .coder
            .change(Method::DELETE, "/organizations/research", json!({}))
            .await;
    }
}

pub(super) struct Group;

impl Subject for Group {
    type Kind = CoderGroup;
    const WORD: &'static str = "group";
    const STANDS: bool = false;
    const IS_GRANTED_BY_ITSELF: bool = true;

    fn spec() -> Value {
        json!({ "organization": "platform", "name": "backend", "quotaAllowance": 7 })
    }

    async fn prepare(world: &World) {
        world.coder.sim().create_organization("platform");
    }

    async fn held(world: &World) -> Value {
        let found = world.coder.group("platform", "backend").await;
        found.map(|it| it["quota_allowance"].clone()).unwrap_or_default()
    }

    async fn tamper(world: &World) {
        let path = group_path(world).await;
        world
            .coder
            .change(Method::PATCH, &path, json!({ "quota_allowance": 99 }))
            .await;
    }

    async fn take_away(world: &World) {
        let path = group_path(world).await;
        world.coder.change(Method::DELETE, &path, json!({})).await;
    }
}

async fn group_path(world: &World) -> String {
    let group = world.coder.group("platform", "backend").await.expect("the group");
    format!("/groups/{}", group["id"].as_str().unwrap())
}

pub(super) struct WorkspaceProxy;

impl Subject for WorkspaceProxy {
    type Kind = CoderWorkspaceProxy;
    const WORD: &'static str = "workspace-proxy";
    const STANDS: bool = false;

    fn spec() -> Value {
        json!({
            "name": "paris", "displayName": "Paris", "icon": "/emojis/1f680.png", "tokenSecret": { "name": "paris" },
        })
    }

    fn rival() -> Value {
        let mut spec = Self::spec();
        spec["tokenSecret"]["name"] = json!("another");
        spec
    }

    async fn held(world: &World) -> Value {
        proxy(world).await["display_name"].clone()
    }

    async fn tamper(world: &World) {
        let proxy = proxy(world).await;
        let id = proxy["id"].as_str().unwrap();
        let other = json!({
            "id": id, "name": "paris", "display_name": "Somebody else's", "icon": "/emojis/1f680.png",
            "regenerate_token": false,
        });
        world
            .coder
            .change(Method::PATCH, &format!("/workspaceproxies/{id}"), other)
            .await;
    }

    async fn take_away(world: &World) {
        world
            .coder
            .change(Method::DELETE, "/workspaceproxies/paris", json!({}))
            .await;
    }
}

async fn proxy(world: &World) -> Value {
    let listed = world.coder.get("/workspaceproxies").await;
    let regions = listed["regions"].as_array().cloned().unwrap_or_default();
    regions.into_iter().find(|it| it["name"] == "paris").unwrap_or_default()
}

pub(super) struct CustomRole;

impl Subject for CustomRole {
    type Kind = CoderCustomRole;
    const WORD: &'static str = "custom-role";
    const STANDS: bool = false;

    fn spec() -> Value {
        json!({
            "organization": "platform", "name": "template-author", "displayName": "Template Author",
            "permissions": { "template": ["create", "read"], "file": ["create"] },
        })
    }

    async fn prepare(world: &World) {
        world.coder.sim().create_organization("platform");
    }

    async fn held(world: &World) -> Value {
        let roles = world.coder.get(&in_platform(world, "members/roles").await).await;
        let roles = roles.as_array().unwrap().iter();
        roles
            .filter(|role| role["name"] == "template-author")
            .map(|role| json!([role["display_name"], permissions(role)]))
            .next()
            .unwrap_or_default()
    }

    async fn tamper(world: &World) {
        let role = json!({
            "name": "template-author", "display_name": "Somebody else's",
            "organization_permissions": [{ "resource_type": "template", "action": "delete" }],
        });
        let path = in_platform(world, "members/roles").await;
        world.coder.change(Method::PUT, &path, role).await;
    }

    async fn take_away(world: &World) {
        let path = in_platform(world, "members/roles/template-author").await;
        world.coder.change(Method::DELETE, &path, json!({})).await;
    }
}

/// What a role allows, in whatever order Coder has it.
fn permissions(role: &Value) -> Vec<String> {
    let permissions = role["organization_permissions"].as_array().cloned().unwrap_or_default();
    let texts = permissions
        .iter()
        .map(|one| format!("{}.{}", one["resource_type"], one["action"]));
    let mut texts: Vec<String> = texts.collect();
    texts.sort();
    texts
}

pub(super) struct OrganizationMember;

impl Subject for OrganizationMember {
    type Kind = CoderOrganizationMember;
    const WORD: &'static str = "member";
    const STANDS: bool = false;

    fn spec() -> Value {
        json!({ "organization": "platform", "user": "ann", "roles": ["organization-auditor"] })
    }

    async fn prepare(world: &World) {
        world.coder.sim().create_organization("platform");
    }

    async fn held(world: &World) -> Value {
        let members = world.coder.get(&in_platform(world, "members").await).await;
        let mut members = members.as_array().unwrap().iter();
        let ann = members.find(|member| member["username"] == "ann");
        ann.map(|member| member["roles"].clone()).unwrap_or_default()
    }

    async fn tamper(world: &World) {
        let path = in_platform(world, "members/ann/roles").await;
        let roles = json!({ "roles": ["organization-admin"] });
        world.coder.change(Method::PUT, &path, roles).await;
    }

    async fn take_away(world: &World) {
        let path = in_platform(world, "members/ann").await;
        world.coder.change(Method::DELETE, &path, json!({})).await;
    }
}

pub(super) struct GroupSync;

impl Subject for GroupSync {
    type Kind = CoderGroupSync;
    const WORD: &'static str = "group-sync";
    const STANDS: bool = true;

    fn spec() -> Value {
        json!({ "organization": "platform", "field": "groups", "mapping": { "coder-backend": ["backend"] } })
    }

    async fn prepare(world: &World) {
        world.coder.sim().create_organization("platform");
        world.coder.sim().create_group("platform", "backend");
    }

    async fn held(world: &World) -> Value {
        let path = in_platform(world, "settings/idpsync/groups").await;
        without_empty(world.coder.get(&path).await)
    }

    async fn tamper(world: &World) {
        sync_by_hand(world, &in_platform(world, "settings/idpsync/groups").await).await;
    }
}

pub(super) struct RoleSync;

impl Subject for RoleSync {
    type Kind = CoderRoleSync;
    const WORD: &'static str = "role-sync";
    const STANDS: bool = true;

    fn spec() -> Value {
        json!({ "organization": "platform", "field": "roles", "mapping": { "admins": ["organization-admin"] } })
    }

    async fn prepare(world: &World) {
        world.coder.sim().create_organization("platform");
    }

    async fn held(world: &World) -> Value {
        let path = in_platform(world, "settings/idpsync/roles").await;
        without_empty(world.coder.get(&path).await)
    }

    async fn tamper(world: &World) {
        sync_by_hand(world, &in_platform(world, "settings/idpsync/roles").await).await;
    }
}

pub(super) struct OrganizationSync;

impl Subject for OrganizationSync {
    type Kind = CoderOrganizationSync;
    const WORD: &'static str = "organization-sync";
    const STANDS: bool = true;

    fn spec() -> Value {
        json!({ "field": "orgs", "assignDefault": false, "mapping": { "all": ["default"], "eng": ["platform"] } })
    }

    async fn prepare(world: &World) {
        world.coder.sim().create_organization("platform");
    }

    async fn held(world: &World) -> Value {
        without_empty(world.coder.get("/settings/idpsync/organization").await)
    }

    async fn tamper(world: &World) {
        sync_by_hand(world, "/settings/idpsync/organization").await;
    }
}

pub(super) struct TemplateAccess;

async fn access_path(world: &World) -> String {
    let templates = world.coder.get(&in_platform(world, "templates").await).await;
    format!("/templates/{}/acl", templates[0]["id"].as_str().unwrap())
}

impl Subject for TemplateAccess {
    type Kind = CoderTemplateAccess;
    const WORD: &'static str = "template-access";
    const STANDS: bool = true;

    fn spec() -> Value {
        json!({
            "organization": "platform", "template": "web",
            "users": { "ann": "Admin" }, "groups": { "backend": "Use" },
        })
    }

    async fn prepare(world: &World) {
        let sim = world.coder.sim();
        sim.create_organization("platform");
        sim.create_group("platform", "backend");
        sim.create_template("platform", "web");
        let joined = in_platform(world, "members/ann").await;
        world.coder.change(Method::POST, &joined, json!({})).await;
    }

    async fn held(world: &World) -> Value {
        let access = world.coder.get(&access_path(world).await).await;
        let roles = |list: &str, name: &str| -> Value {
            let entries = access[list].as_array().unwrap().iter();
            let roles = entries.map(|one| (one[name].as_str().unwrap().to_owned(), one["role"].clone()));
            Value::Object(roles.collect())
        };
        json!([roles("users", "username"), roles("group", "name")])
    }

    async fn tamper(world: &World) {
        let platform = world.coder.organization("platform").await.unwrap()["id"].clone();
        let mut everyone = serde_json::Map::new();
        everyone.insert(platform.as_str().unwrap().to_owned(), json!("use"));
        let path = access_path(world).await;
        let opened = json!({ "group_perms": everyone });
        world.coder.change(Method::PATCH, &path, opened).await;
    }

    /// Nobody is let in, or kept out, because a custom resource goes.
    fn left(_: Value, declared: Value) -> Value {
        declared
    }
}

pub(super) struct ProvisionerKey;

impl Subject for ProvisionerKey {
    type Kind = CoderProvisionerKey;
    const WORD: &'static str = "provisioner-key";
    const STANDS: bool = false;

    fn spec() -> Value {
        json!({
            "organization": "platform", "name": "blue", "tags": { "cluster": "blue" },
            "keySecret": { "name": "blue" }, "rotation": { "overlap": "1s" },
        })
    }

    async fn prepare(world: &World) {
        world.coder.sim().create_organization("platform");
    }

    /// The tags of each key, and whether what the Secret has works, if there are both: a key is never the same again.
    async fn held(world: &World) -> Value {
        let keys = world.coder.sim().provisioner_keys();
        let value = world.secret("blue", "key").await;
        let works = keys.is_empty() || value.is_none_or(|value| keys.iter().any(|key| key.key == value));
        let tags: Vec<_> = keys.iter().map(|key| &key.tags).collect();
        json!({ "tags": tags, "works": works })
    }

    async fn tamper(world: &World) {
        let edit = Patch::Merge(json!({ "stringData": { "key": "by hand" } }));
        let secrets = world.api::<Secret>();
        secrets.patch("blue", &PatchParams::default(), &edit).await.unwrap();
    }

    async fn take_away(world: &World) {
        for key in world.coder.sim().provisioner_keys() {
            world.coder.sim().delete_provisioner_key("platform", &key.name);
        }
    }
}

pub(super) struct DeploymentSettings;

impl Subject for DeploymentSettings {
    type Kind = CoderDeploymentSettings;
    const WORD: &'static str = "settings";
    const STANDS: bool = true;

    fn spec() -> Value {
        let banner = json!({ "message": "Maintenance Sunday", "backgroundColor": "#004852" });
        json!({
            "appearance": { "applicationName": "Acme", "announcementBanners": [banner] },
            "notifications": { "paused": true }, "prebuilds": { "paused": true }, "health": { "dismissed": ["DERP"] },
        })
    }

    async fn held(world: &World) -> Value {
        let appearance = world.coder.get("/appearance").await;
        json!([
            appearance["application_name"],
            appearance["announcement_banners"],
            world.coder.get("/notifications/settings").await,
            world.coder.get("/prebuilds/settings").await,
            world.coder.get("/debug/health/settings").await,
        ])
    }

    async fn tamper(world: &World) {
        let appearance = json!({ "application_name": "Somebody else's" });
        world.coder.change(Method::PUT, "/appearance", appearance).await;
        let resumed = json!({ "notifier_paused": false });
        world
            .coder
            .change(Method::PUT, "/notifications/settings", resumed)
            .await;
    }
}

pub(super) struct OAuth2App;

impl Subject for OAuth2App {
    type Kind = CoderOAuth2App;
    const WORD: &'static str = "oauth2-app";
    const STANDS: bool = false;

    fn spec() -> Value {
        json!({ "name": "backstage", "callbackURL": "https://backstage.example.com/cb", "icon": "/emojis/1f4ca.png" })
    }

    async fn held(world: &World) -> Value {
        let apps = world.coder.get("/oauth2-provider/apps").await;
        let of = |app: &Value| json!([app["name"], app["callback_url"], app["icon"]]);
        apps.as_array().unwrap().iter().map(of).collect()
    }

    async fn tamper(world: &World) {
        let apps = world.coder.get("/oauth2-provider/apps").await;
        let path = format!("/oauth2-provider/apps/{}", apps[0]["id"].as_str().unwrap());
        let other = json!({ "name": "backstage", "callback_url": "https://evil.example.com/cb", "icon": "" });
        world.coder.change(Method::PUT, &path, other).await;
    }

    async fn take_away(world: &World) {
        let apps = world.coder.get("/oauth2-provider/apps").await;
        let path = format!("/oauth2-provider/apps/{}", apps[0]["id"].as_str().unwrap());
        let (status, _) = world.coder.call(Method::DELETE, &path, None).await;
        assert!(status.is_success());
    }
}

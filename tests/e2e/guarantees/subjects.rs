//! One of each kind.

use reqwest::Method;
use serde_json::{Value, json};

use coder_operator::api::{CoderGroupSync, CoderOrganizationSync, CoderRoleSync};

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

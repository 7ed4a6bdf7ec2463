//! People who come from an identity provider.

use coder_sim::{Method, Profile, Sim};
use serde_json::{Value, json};

use crate::caller::{Call, get, patch, post};

/// What the provider says of kim, and this.
fn kim(more: &Value) -> Value {
    let mut claims = json!({ "sub": "kim", "email": "kim@example.com", "preferred_username": "kim" });
    let claims_of_kim = claims.as_object_mut().expect("an object");
    claims_of_kim.extend(more.as_object().expect("an object").clone());
    claims
}

fn sync_path(sim: &Sim, kind: &str) -> String {
    let id = sim.organization("alpha").expect("an organization").id;
    format!("/api/v2/organizations/{id}/settings/idpsync/{kind}")
}

#[tokio::test]
async fn claims_lead_into_groups_and_out_again() {
    for profile in [Profile::Main, Profile::V2_16_1] {
        let sim = Sim::builder(profile).start().await;
        sim.create_organization("alpha");
        let devs = sim.create_group("alpha", "devs");
        let sync =
            json!({ "field": "groups", "mapping": { "developers": [devs] }, "auto_create_missing_groups": true });
        assert_eq!(patch(&sim, &sync_path(&sim, "groups"), sync).await.status, 200);

        let signed_in = sim.sign_in(&kim(&json!({ "groups": ["developers", "testers"] })));
        assert_eq!(signed_in.status, 200);
        assert!(
            sim.group("alpha", "testers").is_none(),
            "kim is not a member yet: {profile:?}"
        );
        let alpha = sim.organization("alpha").expect("an organization").id;
        let added = post(&sim, &format!("/api/v2/organizations/{alpha}/members/kim"), json!({})).await;
        assert_eq!(added.status, 200);

        sim.sign_in(&kim(&json!({ "groups": ["developers", "testers"] })));
        assert_eq!(sim.group_members("alpha", "devs"), ["kim"]);
        assert_eq!(sim.group_members("alpha", "testers"), ["kim"]);
        assert_eq!(sim.group("alpha", "testers").expect("a group").source, "oidc");

        let last = sim.sign_in(&kim(&json!({})));
        assert!(sim.group_members("alpha", "devs").is_empty());
        let session = last.session.expect("a session");
        let me = Call::new(&sim, Method::GET, "/api/v2/users/me")
            .token(&session)
            .send()
            .await;
        assert_eq!(me.expect("an answer").body["username"], "kim");
    }
}

#[tokio::test]
async fn claims_lead_into_organizations_and_to_roles_where_the_licence_says_so() {
    let sim = Sim::builder(Profile::Main).start().await;
    let alpha = sim.create_organization("alpha");
    let sync = json!({ "field": "orgs", "mapping": { "a": [alpha] }, "organization_assign_default": false });
    assert_eq!(
        patch(&sim, "/api/v2/settings/idpsync/organization", sync).await.status,
        200
    );
    let roles = json!({ "field": "roles", "mapping": { "admins": ["organization-admin"] } });
    assert_eq!(patch(&sim, &sync_path(&sim, "roles"), roles).await.status, 200);

    let shown = async || get(&sim, "/api/v2/users/kim/roles").await.body["organization_roles"].clone();
    sim.sign_in(&kim(
        &json!({ "orgs": ["a"], "roles": ["admins", "organization-auditor", "unheard-of"] }),
    ));
    let expected = json!({ alpha.to_string(): ["organization-admin", "organization-auditor"] });
    assert_eq!(shown().await, expected);

    sim.remove_licenses();
    sim.sign_in(&kim(&json!({ "orgs": [], "roles": [] })));
    assert_eq!(shown().await, expected, "without a licence nothing follows the claims");
}

#[tokio::test]
async fn who_has_a_password_or_an_unproven_address_is_turned_away() {
    let sim = Sim::builder(Profile::Main).users(["kim"]).start().await;
    assert_eq!(sim.sign_in(&kim(&json!({}))).status, 403);
    let unproven =
        json!({ "sub": "lee", "email": "lee@example.com", "preferred_username": "lee", "email_verified": false });
    assert_eq!(sim.sign_in(&unproven).status, 403);
    assert!(sim.user("lee").is_none());
}

#[tokio::test]
async fn another_process_signs_people_in_as_well() {
    let sim = Sim::builder(Profile::Main).start().await;
    let answer = post(&sim, "/_sim/sign-in", kim(&json!({}))).await;
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!(200)));
    let session = answer.body["session"].as_str().expect("a session");
    let me = Call::new(&sim, Method::GET, "/api/v2/users/me")
        .token(session)
        .send()
        .await;
    assert_eq!(me.expect("an answer").body["login_type"], "oidc");
}

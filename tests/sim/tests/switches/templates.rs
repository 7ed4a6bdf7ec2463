//! Templates, who may use them, and users with workspaces.

use coder_sim::{Method, Profile, Sim, UserStatus};
use serde_json::{Value, json};

use crate::caller::{call, get};

const TEMPLATES: &str = "/api/v2/organizations/alpha/templates";

fn names(body: &Value, field: &str) -> Vec<String> {
    let found = body.as_array().expect("a list").iter();
    found
        .map(|one| one[field].as_str().expect("a name").to_owned())
        .collect()
}

#[tokio::test]
async fn newer_servers_list_deprecated_templates_only_on_demand() {
    for (profile, plain) in [(Profile::Main, vec!["web"]), (Profile::V2_16_1, vec!["old", "web"])] {
        let sim = Sim::builder(profile).start().await;
        sim.create_organization("alpha");
        sim.create_template("alpha", "web");
        sim.create_template("alpha", "old");
        sim.edit_template("alpha", "old", |template| {
            template.deprecation_message = "use web".to_owned();
        });
        assert_eq!(names(&get(&sim, TEMPLATES).await.body, "name"), plain);
        let deprecated = get(&sim, &format!("{TEMPLATES}?q=deprecated:true")).await.body;
        assert_eq!(
            (names(&deprecated, "name"), &deprecated[0]["deprecated"]),
            (vec!["old".to_owned()], &json!(true))
        );
    }
    let sim = Sim::builder(Profile::Main).start().await;
    sim.create_organization("alpha");
    sim.create_template("alpha", "old");
    sim.edit_template("alpha", "old", |template| {
        template.deprecation_message = "gone".to_owned();
    });
    let refused = call(&sim, Method::DELETE, "/api/v2/organizations/alpha", None).await;
    assert_eq!(
        refused.body["detail"], "This organization has 1 template that must be deleted first.",
        "it blocks all the same"
    );
}

#[tokio::test]
async fn access_is_merged_and_suspended_users_are_not_shown() {
    let sim = Sim::builder(Profile::Main).users(["ann", "bob"]).start().await;
    let (ann, bob) = (sim.user("ann").expect("ann").id, sim.user("bob").expect("bob").id);
    let id = sim.create_template("default", "web");
    let path = format!("/api/v2/templates/{id}/acl");
    let change = async |body: Value| call(&sim, Method::PATCH, &path, Some(body)).await.status;
    assert_eq!(change(json!({ "user_perms": { ann.to_string(): "admin" } })).await, 200);
    assert_eq!(change(json!({ "user_perms": { bob.to_string(): "use" } })).await, 200);
    let shown = async || {
        let access = get(&sim, &path).await.body;
        let mut users = names(&access["users"], "username");
        users.sort();
        (users, names(&access["group"], "name"))
    };
    let everyone = vec!["Everyone".to_owned()];
    assert_eq!(
        shown().await,
        (vec!["ann".to_owned(), "bob".to_owned()], everyone.clone())
    );
    sim.set_user_status("ann", UserStatus::Suspended);
    assert_eq!(shown().await, (vec!["bob".to_owned()], everyone));
    assert_eq!(sim.template("default", "web").expect("it is there").users.len(), 2);
    let own = sim.organization("coder").expect("the default one").id;
    assert_eq!(change(json!({ "group_perms": { own.to_string(): "" } })).await, 200);
    assert_eq!(shown().await, (vec!["bob".to_owned()], Vec::new()));
}

#[tokio::test]
async fn a_user_with_workspaces_is_not_deleted() {
    let sim = Sim::builder(Profile::Main).users(["ann"]).start().await;
    sim.set_workspaces("ann", 1);
    let refused = call(&sim, Method::DELETE, "/api/v2/users/ann", None).await;
    assert_eq!(
        (refused.status, &refused.body["message"]),
        (
            417,
            &json!("You cannot delete a user that has workspaces. Delete their workspaces and try again!")
        )
    );
    sim.set_workspaces("ann", 0);
    assert_eq!(call(&sim, Method::DELETE, "/api/v2/users/ann", None).await.status, 200);
}

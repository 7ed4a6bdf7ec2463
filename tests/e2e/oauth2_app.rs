//! The life of an OAuth2 application, and of the Secret with its client secret.

use coder_sim::{Fault, Method, Profile};
use serde_json::{Value, json};

use coder_operator::api::{CoderOAuth2App, Object};

use crate::support::{Coder, Operator, Settings, World, message, ready, simulated_only, stalled};

const SECRET: &str = "backstage-oauth";
const APPS: &str = "/api/v2/oauth2-provider/apps";
const SECRETS: &str = "/api/v2/oauth2-provider/apps/{app}/secrets";
const CALLBACK: &str = "https://backstage.example.com/cb";

fn backstage(more: &Value) -> Value {
    let mut spec = json!({ "callbackURL": CALLBACK, "clientSecret": { "name": SECRET } });
    let fields = spec.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    fields.retain(|_, value| !value.is_null());
    spec
}

async fn world_of(test: &str, profile: Profile) -> World {
    World::looking_often(test, Coder::simulated(profile).await).await
}

async fn ready_app(test: &str, more: &Value) -> (World, String) {
    let world = world_of(test, Profile::Main).await;
    world.apply::<CoderOAuth2App>("backstage", backstage(more)).await;
    world.wait("backstage", ready::<CoderOAuth2App>).await;
    let value = secret(&world).await;
    (world, value)
}

async fn secret(world: &World) -> String {
    let value = world.secret(SECRET, "CLIENT_SECRET").await;
    value.expect("the Secret is there when it is Ready")
}

fn works(world: &World, value: &str) -> bool {
    world.coder.sim().oauth2_secret_works(value)
}

async fn apps(world: &World) -> Vec<Value> {
    let apps = world.coder.get("/oauth2-provider/apps").await;
    apps.as_array().unwrap().clone()
}

async fn secrets(world: &World) -> usize {
    let app = apps(world).await[0]["id"].as_str().unwrap().to_owned();
    let secrets = world.coder.get(&format!("/oauth2-provider/apps/{app}/secrets")).await;
    secrets.as_array().unwrap().len()
}

async fn rotate(world: &World, asked: &str) -> String {
    world
        .annotate::<CoderOAuth2App>("backstage", "coder-operator.dev/rotate", asked)
        .await;
    let handled = |object: &CoderOAuth2App| {
        object.status().unwrap().last_handled_rotate.as_deref() == Some(asked) && ready(object)
    };
    world.wait("backstage", handled).await;
    secret(world).await
}

async fn make(world: &World, callback: &str) -> String {
    let app = json!({ "name": "backstage", "callback_url": callback, "icon": "" });
    let made = world.coder.change(Method::POST, "/oauth2-provider/apps", app).await;
    made["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_comes_with_all_that_its_clients_need() {
    simulated_only!("it looks at which client secrets work");
    let (world, value) = ready_app("app", &json!({ "icon": "/emojis/1f4ca.png" })).await;
    let [app] = apps(&world).await.try_into().expect("one application");
    assert_eq!(app["callback_url"], CALLBACK);
    assert!(works(&world, &value));
    assert_eq!(world.secret(SECRET, "CLIENT_ID").await.as_deref(), app["id"].as_str());
    for (key, endpoint) in [("AUTHORIZATION_URL", "authorization"), ("TOKEN_URL", "token")] {
        assert_eq!(
            world.secret(SECRET, key).await.as_deref(),
            app["endpoints"][endpoint].as_str()
        );
    }
    let mark = world.coder.sim().journal().mark();
    let object = world.look::<CoderOAuth2App>("backstage").await;
    assert_eq!(world.coder.writes_since(mark), [""; 0]);
    assert_eq!(object.status.unwrap().id.as_deref(), app["id"].as_str());

    world
        .patch::<CoderOAuth2App>("backstage", json!({ "name": "portal", "icon": null }))
        .await;
    let renamed = async || apps(&world).await[0]["name"] == "portal";
    world.until("it is renamed", renamed).await;
    assert_eq!(apps(&world).await[0]["id"], app["id"]);
    assert_eq!(
        apps(&world).await[0]["icon"],
        "/emojis/1f4ca.png",
        "what is not managed stays"
    );
    assert!(works(&world, &value));
    world.delete::<CoderOAuth2App>("backstage").await;
    world.gone::<CoderOAuth2App>("backstage").await;
    assert!(apps(&world).await.is_empty() && !works(&world, &value));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_client_secrets_work_during_the_overlap_and_those_of_others_stay() {
    simulated_only!("it looks at which client secrets work");
    let (world, first) = ready_app("app-rotation", &json!({ "rotation": { "overlap": "1h" } })).await;
    let app = apps(&world).await[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/oauth2-provider/apps/{app}/secrets");
    let (_, theirs) = world.coder.call(Method::POST, &path, None).await;
    let theirs = theirs["client_secret_full"].as_str().unwrap().to_owned();
    let second = rotate(&world, "1").await;
    assert!(works(&world, &first) && works(&world, &second) && first != second);
    let (_, end) = theirs.split_at(theirs.len() - 6);
    let noted = |object: &CoderOAuth2App| message(object, "UnclaimedSecrets").contains(end);
    world.wait("backstage", noted).await;

    world
        .patch::<CoderOAuth2App>("backstage", json!({ "rotation": { "overlap": "1s" } }))
        .await;
    let third = rotate(&world, "2").await;
    assert!(!works(&world, &first), "there is room for one before");
    world
        .until("the one before is gone", async || !works(&world, &second))
        .await;
    assert!(works(&world, &third) && works(&world, &theirs));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_whose_answer_got_lost_leaves_one_application() {
    simulated_only!("needs faults");
    let mut world = world_of("app-crash", Profile::Main).await;
    world
        .coder
        .sim()
        .faults()
        .add(Fault::on(Method::POST, APPS).times(1).cut_after());
    world.apply::<CoderOAuth2App>("backstage", backstage(&json!({}))).await;
    world.wait("backstage", ready::<CoderOAuth2App>).await;
    assert_eq!(apps(&world).await.len(), 1);
    let value = secret(&world).await;
    assert!(works(&world, &value));

    let gate = world
        .coder
        .sim()
        .faults()
        .pause_after_effect(Fault::on(Method::POST, SECRETS).times(1));
    world
        .annotate::<CoderOAuth2App>("backstage", "coder-operator.dev/rotate", "1")
        .await;
    gate.arrived().await;
    let settings = Settings::watching(world.ns());
    world.operator.crash().await;
    gate.open();
    world.operator = Operator::start(world.ground, &settings).await;
    let renewed = async || secret(&world).await != value;
    world.until("another client secret is in the Secret", renewed).await;
    let unclaimed = |object: &CoderOAuth2App| !message(object, "UnclaimedSecrets").is_empty() && ready(object);
    world.wait("backstage", unclaimed).await;
    let now = secret(&world).await;
    assert!(works(&world, &now) && works(&world, &value));
    assert_eq!(
        secrets(&world).await,
        3,
        "the lost one has no name by which it could be known"
    );
    world.delete::<CoderOAuth2App>("backstage").await;
    world.gone::<CoderOAuth2App>("backstage").await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_coder_would_make_twice_is_not_begun_again_while_it_may_still_come_true() {
    simulated_only!("needs faults");
    let world = world_of("app-settles", Profile::Main).await;
    let fault = Fault::on(Method::POST, APPS).times(1).cut_before();
    world.coder.sim().faults().add(fault);
    world.apply::<CoderOAuth2App>("backstage", backstage(&json!({}))).await;
    let settling = |object: &CoderOAuth2App| message(object, "Reconciling").contains("may still come true");
    world.wait("backstage", settling).await;
    assert!(apps(&world).await.is_empty());
    let late = make(&world, CALLBACK).await;
    let object = world.wait("backstage", ready::<CoderOAuth2App>).await;
    assert_eq!(
        object.status.unwrap().id.as_deref(),
        Some(&*late),
        "it came true after all"
    );
    assert_eq!(apps(&world).await.len(), 1);
    world.delete::<CoderOAuth2App>("backstage").await;
    world.gone::<CoderOAuth2App>("backstage").await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_of_that_name_the_one_with_that_callback_is_meant() {
    simulated_only!("it looks at the journal");
    let world = world_of("app-several", Profile::Main).await;
    let (one, other) = (
        make(&world, "https://one.example.com").await,
        make(&world, "https://two.example.com").await,
    );
    let spec = backstage(&json!({ "adoptionPolicy": "IfExists", "clientSecret": null }));
    world.apply::<CoderOAuth2App>("backstage", spec).await;
    let refused = world.wait("backstage", stalled::<CoderOAuth2App>("Ambiguous")).await;
    let said = message(&refused, "Stalled");
    assert!(said.contains(&one) && said.contains(&other), "{said}");
    let mark = world.coder.sim().journal().mark();
    world
        .patch::<CoderOAuth2App>("backstage", json!({ "callbackURL": "https://two.example.com" }))
        .await;
    let adopted = world.wait("backstage", ready::<CoderOAuth2App>).await;
    assert_eq!(adopted.status.unwrap().id, Some(other));
    assert_eq!(world.coder.writes_since(mark), [""; 0]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_has_none_says_so() {
    simulated_only!("it needs a server of v2.16.1");
    let world = world_of("app-older", Profile::V2_16_1).await;
    world.apply::<CoderOAuth2App>("backstage", backstage(&json!({}))).await;
    world.wait("backstage", stalled::<CoderOAuth2App>("Unsupported")).await;
    world.delete::<CoderOAuth2App>("backstage").await;
    world.gone::<CoderOAuth2App>("backstage").await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_was_taken_over_gets_a_client_secret_when_asked() {
    simulated_only!("it looks at which client secrets work");
    let world = world_of("app-adopted", Profile::Main).await;
    make(&world, CALLBACK).await;
    let mark = world.coder.sim().journal().mark();
    let spec = backstage(&json!({ "adoptionPolicy": "IfExists" }));
    world.apply::<CoderOAuth2App>("backstage", spec).await;
    let adopted = world.wait("backstage", ready::<CoderOAuth2App>).await;
    assert!(message(&adopted, "SecretNotIssued").contains("coder-operator.dev/rotate"));
    assert_eq!(world.coder.writes_since(mark), [""; 0]);
    let value = rotate(&world, "1").await;
    assert!(works(&world, &value));
    world.finish().await;
}

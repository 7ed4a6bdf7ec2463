//! Licences that do not give what they promise, and what the server says of them.

use std::time::Duration;

use coder_sim::{LicenseSpec, Profile, Sim, license};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::caller::{Answer, get, post};

const DAY: SignedDuration = SignedDuration::from_hours(24);
const ADD_ON: &str = "The AI Governance add-on is required to use AI Gateway. Please reach out to your account team or \
                      sales@coder.com to learn more.";

async fn add(sim: &Sim, spec: &LicenseSpec) -> Answer {
    post(sim, "/api/v2/licenses", json!({ "license": license::mint(spec) })).await
}

async fn entitlements(sim: &Sim) -> Value {
    get(sim, "/api/v2/entitlements").await.body
}

/// What the server warns of, without the add-on that the newer one always warns of.
async fn warnings(sim: &Sim) -> Vec<String> {
    let entitlements = entitlements(sim).await;
    let warnings = entitlements["warnings"].as_array().expect("warnings");
    let texts = warnings
        .iter()
        .map(|warning| warning.as_str().expect("a text").to_owned());
    texts.filter(|warning| warning != ADD_ON).collect()
}

fn later(sim: &Sim, by: SignedDuration) -> Timestamp {
    sim.clock().now().saturating_add(by).expect("a time")
}

#[tokio::test]
async fn a_licence_for_later_gives_nothing_and_warns_of_nothing_until_then() {
    for profile in [Profile::Main, Profile::V2_16_1] {
        let sim = Sim::builder(profile).licensed(false).start().await;
        let spec = LicenseSpec::valid_from(later(&sim, 7 * DAY));
        assert_eq!(add(&sim, &spec).await.status, 201);
        let before = entitlements(&sim).await;
        assert_eq!(
            (&before["has_license"], &before["warnings"]),
            (&json!(false), &json!([]))
        );
        assert_eq!(get(&sim, "/api/v2/groups").await.status, 403);
        sim.clock().advance(Duration::from_hours(7 * 24 + 1));
        assert_eq!(entitlements(&sim).await["has_license"], true);
        assert_eq!(get(&sim, "/api/v2/groups").await.status, 200);
    }
}

#[tokio::test]
async fn a_licence_that_wants_telemetry_is_stored_and_leaves_all_as_it_was() {
    let sim = Sim::builder(Profile::Main).licensed(false).start().await;
    let spec = LicenseSpec::requiring_telemetry(sim.clock().now());
    assert_eq!(add(&sim, &spec).await.status, 201);
    let without = entitlements(&sim).await;
    let problem = json!(["License requires telemetry but telemetry is disabled"]);
    assert_eq!((&without["errors"], &without["has_license"]), (&problem, &json!(false)));
    sim.set_telemetry(true);
    let with = entitlements(&sim).await;
    assert_eq!(
        (&with["errors"], &with["require_telemetry"]),
        (&json!([]), &json!(true))
    );
    assert_eq!(with["features"]["template_rbac"]["enabled"], true);
    assert_eq!(get(&sim, "/api/v2/buildinfo").await.body["telemetry"], true);
    sim.set_telemetry(false);
    let again = entitlements(&sim).await;
    assert_eq!(again["errors"], problem);
    assert_eq!(
        again["features"]["template_rbac"]["enabled"], true,
        "what was on stays on"
    );
}

#[tokio::test]
async fn a_licence_of_another_deployment_is_refused_with_both_names() {
    let sim = Sim::builder(Profile::Main).licensed(false).start().await;
    let other = LicenseSpec::premium(sim.clock().now()).for_deployments(&["6f9619ff-8b86-d011-b42d-00cf4fc964ff"]);
    let refused = add(&sim, &other).await;
    assert_eq!(
        (refused.status, &refused.body["message"]),
        (400, &json!("License cannot be used on this deployment!"))
    );
    let own = sim.deployment_id();
    assert_eq!(
        refused.body["detail"],
        format!(
            "The provided license is locked to the following deployments: [\"6f9619ff-8b86-d011-b42d-00cf4fc964ff\"]. Your \
             deployment identifier is \"{own}\". Please contact sales."
        )
    );
}

#[tokio::test]
async fn more_users_than_the_licence_has_are_warned_of() {
    let sim = Sim::builder(Profile::Main)
        .licensed(false)
        .users(["ann", "bob"])
        .start()
        .await;
    add(&sim, &LicenseSpec::premium(sim.clock().now()).users(2)).await;
    assert_eq!(
        warnings(&sim).await,
        ["Your deployment has 3 active users but is only licensed for 2."]
    );
    assert_eq!(entitlements(&sim).await["features"]["user_limit"]["actual"], 3);
    // One that suffices beats it, even in its grace period.
    add(&sim, &LicenseSpec::in_grace(sim.clock().now()).users(3)).await;
    let limit = &entitlements(&sim).await["features"]["user_limit"];
    assert_eq!(
        (&limit["limit"], &limit["entitlement"]),
        (&json!(3), &json!("grace_period"))
    );
    assert_eq!(
        warnings(&sim).await,
        ["Your deployment has 3 active users but the license with the limit 3 is expired."]
    );
}

#[tokio::test]
async fn the_end_of_a_licence_is_warned_of_unless_another_goes_on() {
    for (profile, beside) in [(Profile::Main, 0), (Profile::V2_16_1, 1)] {
        let sim = Sim::builder(profile).licensed(false).start().await;
        let ends = LicenseSpec {
            license_expires: later(&sim, 10 * DAY),
            ..LicenseSpec::premium(sim.clock().now())
        };
        add(&sim, &ends).await;
        assert_eq!(warnings(&sim).await, ["Your license expires in 10 days."]);
        add(&sim, &LicenseSpec::valid_from(later(&sim, 9 * DAY))).await;
        assert_eq!(warnings(&sim).await.len(), beside, "{profile:?}");
        sim.remove_licenses();
        add(&sim, &LicenseSpec::in_grace(sim.clock().now())).await;
        let warned = warnings(&sim).await;
        assert_eq!(
            warned[1],
            "Audit Log is enabled but your license for this feature is expired."
        );
        assert!(warned.iter().all(|warning| warning.ends_with("expired.")), "{warned:?}");
    }
}

#[tokio::test]
async fn of_several_licences_each_feature_takes_the_best() {
    let sim = Sim::builder(Profile::Main).licensed(false).start().await;
    let now = sim.clock().now();
    let standing = async |name: &str| {
        let feature = entitlements(&sim).await["features"][name].clone();
        (
            feature["entitlement"].as_str().map(str::to_owned),
            feature["enabled"] == true,
        )
    };
    add(&sim, &LicenseSpec::in_grace(now)).await;
    assert_eq!(
        standing("multiple_organizations").await,
        (Some("grace_period".to_owned()), true)
    );
    add(&sim, &LicenseSpec::enterprise(now)).await;
    assert_eq!(standing("template_rbac").await, (Some("entitled".to_owned()), true));
    assert_eq!(
        standing("multiple_organizations").await,
        (Some("grace_period".to_owned()), true)
    );
    sim.clock().advance(Duration::from_hours(3 * 24));
    assert_eq!(
        standing("multiple_organizations").await,
        (Some("not_entitled".to_owned()), false)
    );
    assert_eq!(standing("template_rbac").await, (Some("entitled".to_owned()), true));
}

#[tokio::test]
async fn numbers_of_licences_come_again_when_the_sequence_was_set_back() {
    let sim = Sim::builder(Profile::Main).licensed(false).start().await;
    let now = sim.clock().now();
    assert_eq!(add(&sim, &LicenseSpec::premium(now)).await.body["id"], 1);
    sim.remove_licenses();
    sim.set_last_license_number(0);
    assert_eq!(add(&sim, &LicenseSpec::enterprise(now)).await.body["id"], 1);
    sim.set_last_license_number(0);
    let taken = add(&sim, &LicenseSpec::premium(now)).await;
    assert_eq!(taken.status, 500);
    assert!(taken.text.contains("licenses_pkey"), "{}", taken.text);
    assert_eq!(add(&sim, &LicenseSpec::premium(now)).await.body["id"], 2);
}

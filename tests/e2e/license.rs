//! Licences: added, replaced, taken over, refused, lost and about to expire.

use coder_sim::license::mint;
use coder_sim::{Effect, LicenseSpec, Method, Profile, Sim};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use coder_operator::api::{CoderInstance, CoderLicense, CoderOrganization, LicenseStatus, Origin};

use crate::support::{Coder, World, condition, message, ready, simulated_only, stalled, waiting};

/// A world whose Coder has no licence.
async fn unlicensed(test: &str) -> World {
    let sim = Sim::builder(Profile::Main).licensed(false).start().await;
    World::with(test, Coder::of(sim), json!({ "resyncInterval": "2s" })).await
}

fn premium() -> LicenseSpec {
    LicenseSpec::premium(Timestamp::now())
}

async fn put(world: &World, secret: &str, jwt: &str) {
    world.put_secret(world.ns(), secret, &[("license", jwt)]).await;
}

/// A licence whose Secret has the object's own name.
fn from_secret(name: &str) -> Value {
    json!({ "licenseSecretRef": { "name": name } })
}

fn status(object: CoderLicense) -> LicenseStatus {
    object.status.unwrap()
}

fn ids(world: &World) -> Vec<i32> {
    world.coder.sim().licenses().iter().map(|license| license.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_licence_is_added_and_wakes_who_waited_for_its_features() {
    simulated_only!("it needs a server without a licence");
    let world = unlicensed("license-add").await;
    let name = world.name("platform");
    world
        .apply::<CoderOrganization>("platform", json!({ "name": name }))
        .await;
    world
        .wait("platform", waiting::<CoderOrganization>("NotEntitled"))
        .await;
    let license = premium();
    put(&world, "license", &mint(&license)).await;
    world.apply::<CoderLicense>("license", from_secret("license")).await;
    let status = status(world.wait("license", ready::<CoderLicense>).await);
    assert_eq!(ids(&world), [status.id.unwrap()]);
    assert_eq!(status.uuid.as_deref(), Some(&*license.jti));
    assert_eq!(status.features, ["premium"]);
    assert_eq!(status.account_type.as_deref(), Some("salesforce"));
    assert_eq!(status.trial, Some(false));
    assert_eq!(
        status.expires_at.unwrap().0.as_second(),
        license.license_expires.as_second()
    );
    assert_eq!(status.grace_ends_at.unwrap().0.as_second(), license.expires.as_second());
    assert_eq!(status.common.origin, Some(Origin::Created));
    world.wait("platform", ready::<CoderOrganization>).await;
    let entitled = |instance: &CoderInstance| {
        let status = instance.status.as_ref().unwrap();
        status
            .features
            .iter()
            .any(|feature| feature == "multiple_organizations")
            && status.license_expires_at.is_some()
    };
    world.wait("default", entitled).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_secret_adds_the_new_licence_before_the_old_one_goes() {
    simulated_only!("it needs licences that the server takes");
    let world = unlicensed("license-replace").await;
    put(&world, "license", &mint(&premium())).await;
    world.apply::<CoderLicense>("license", from_secret("license")).await;
    let old = status(world.wait("license", ready::<CoderLicense>).await).id.unwrap();
    let mark = world.coder.sim().journal().mark();
    let next = premium();
    put(&world, "license", &mint(&next)).await;
    let replaced = |object: &CoderLicense| {
        let status = object.status.as_ref().unwrap();
        status.uuid.as_deref() == Some(&*next.jti) && status.replaced.is_empty() && ready(object)
    };
    let new = status(world.wait("license", replaced).await).id.unwrap();
    assert_eq!(ids(&world), [new]);
    let writes = world.coder.sim().journal().writes_since(mark);
    let effects: Vec<Effect> = writes.into_iter().map(|call| call.effect).collect();
    assert_eq!(
        effects,
        [
            Effect::Created("license", new.to_string()),
            Effect::Deleted("license", old.to_string())
        ]
    );
    // It depends on the new one from now on.
    world.coder.sim().delete_license(new);
    let again = async || ids(&world).iter().any(|id| *id > new);
    world.until("the licence is added again", again).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_licence_is_somebody_elses_until_adoption_is_allowed() {
    simulated_only!("it needs licences that the server takes");
    let world = unlicensed("license-adopt").await;
    let jwt = mint(&premium());
    let id = world.coder.sim().add_license(&jwt);
    put(&world, "license", &jwt).await;
    world.apply::<CoderLicense>("license", from_secret("license")).await;
    let object = world.wait("license", stalled::<CoderLicense>("AlreadyExists")).await;
    assert!(message(&object, "Stalled").contains("adoptionPolicy: IfExists"));
    world
        .patch::<CoderLicense>("license", json!({ "adoptionPolicy": "IfExists" }))
        .await;
    let status = status(world.wait("license", ready::<CoderLicense>).await);
    assert_eq!((status.id, status.common.origin), (Some(id), Some(Origin::Adopted)));
    world.delete::<CoderLicense>("license").await;
    world.gone::<CoderLicense>("license").await;
    assert_eq!(ids(&world), [id], "what was taken over stays");
    assert!(world.coder.sim().journal().writes().is_empty());
    assert_eq!(world.coder.sim().journal().count(&Method::POST, "/api/v2/licenses"), 0);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_licence_is_explained_and_shown_nowhere() {
    simulated_only!("it needs licences that the server refuses for known reasons");
    let world = unlicensed("license-refused").await;
    let now = Timestamp::now();
    let refused = [
        ("expired", LicenseSpec::expired(now), "it expired at"),
        (
            "elsewhere",
            LicenseSpec {
                deployment_ids: vec!["another".into()],
                ..premium()
            },
            "bound to another deployment",
        ),
        (
            "spoilt",
            LicenseSpec {
                bad_signature: true,
                ..premium()
            },
            "the signature may be wrong",
        ),
    ];
    let mut secrets = vec!["no-licence.but-something.secret".to_owned()];
    for (name, license, _) in &refused {
        secrets.push(mint(license));
        put(&world, name, &mint(license)).await;
        world.apply::<CoderLicense>(name, from_secret(name)).await;
    }
    put(&world, "garbage", &secrets[0]).await;
    world.put_secret(world.ns(), "keyless", &[("other", "x")]).await;
    for name in ["garbage", "keyless", "absent"] {
        world.apply::<CoderLicense>(name, from_secret(name)).await;
    }
    for (name, _, why) in &refused {
        let object = world.wait(name, stalled::<CoderLicense>("Rejected")).await;
        assert!(
            message(&object, "Stalled").contains(why),
            "{name}: {}",
            message(&object, "Stalled")
        );
        assert!(
            object.status.unwrap().common.pending_creation.is_none(),
            "{name} was not created"
        );
    }
    let garbage = world.wait("garbage", stalled::<CoderLicense>("InvalidSecret")).await;
    assert!(message(&garbage, "Stalled").contains("key license of Secret garbage is no licence"));
    let keyless = world.wait("keyless", waiting::<CoderLicense>("SecretNotFound")).await;
    assert!(message(&keyless, "Ready").contains("has no value under the key license"));
    world.wait("absent", waiting::<CoderLicense>("SecretNotFound")).await;
    assert!(ids(&world).is_empty());

    // A good one in the place of each ends the wait or the standstill.
    for name in ["spoilt", "garbage", "keyless", "absent"] {
        put(&world, name, &mint(&premium())).await;
        world.wait(name, ready::<CoderLicense>).await;
    }
    secrets.extend(ids_and_jwts(&world));
    let objects = world.api::<CoderLicense>().list(&ListParams::default()).await.unwrap();
    let events = world.api::<Event>().list(&ListParams::default()).await.unwrap();
    let shown = format!(
        "{}\n{}\n{}",
        json!(objects.items),
        json!(events.items),
        world.operator.log()
    );
    for jwt in &secrets {
        for part in jwt.split('.').skip(1) {
            assert!(!shown.contains(part), "a part of a licence is shown");
        }
    }
    world.finish().await;
}

fn ids_and_jwts(world: &World) -> Vec<String> {
    world
        .coder
        .sim()
        .licenses()
        .into_iter()
        .map(|license| license.jwt)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_licence_removed_behind_our_back_is_added_again() {
    simulated_only!("it needs licences that the server takes");
    let world = unlicensed("license-removed").await;
    put(&world, "license", &mint(&premium())).await;
    world.apply::<CoderLicense>("license", from_secret("license")).await;
    let id = status(world.wait("license", ready::<CoderLicense>).await).id.unwrap();
    world.coder.sim().delete_license(id);
    let object = world.look::<CoderLicense>("license").await;
    assert!(ready(&object));
    assert_eq!(ids(&world), [object.status.unwrap().id.unwrap()]);
    assert_ne!(ids(&world), [id]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expiry_to_come_is_a_condition_an_event_and_a_metric() {
    simulated_only!("it needs licences that the server takes");
    let world = unlicensed("license-expiry").await;
    let soon = Timestamp::now() + SignedDuration::from_hours(10 * 24);
    let license = LicenseSpec {
        license_expires: soon,
        ..premium()
    };
    put(&world, "soon", &mint(&license)).await;
    put(&world, "late", &mint(&premium())).await;
    put(&world, "over", &mint(&LicenseSpec::in_grace(Timestamp::now()))).await;
    world.apply::<CoderLicense>("soon", from_secret("soon")).await;
    world.apply::<CoderLicense>("late", from_secret("late")).await;
    let object = world.wait("soon", ready::<CoderLicense>).await;
    let text = message(&object, "Expiring");
    assert!(
        text.contains("the licence expires at") && text.contains("put a new one into the Secret"),
        "{text}"
    );
    world.event("soon", "Expiring", "put a new one into the Secret").await;
    assert!(condition(&world.wait("late", ready::<CoderLicense>).await, "Expiring").is_none());
    let metric = "coder_operator_license_expiry_timestamp_seconds";
    world
        .until("the metric shows the earliest expiry", async || {
            world
                .operator
                .metric(metric)
                .await
                .is_some_and(|value| (value - seconds(soon)).abs() < 0.5)
        })
        .await;
    world.apply::<CoderLicense>("over", from_secret("over")).await;
    let over = world.wait("over", ready::<CoderLicense>).await;
    assert!(message(&over, "Expiring").contains("the licence expired at"));

    let warned = json!({ "licenseSecretRef": { "name": "soon" }, "expiryWarning": "1d" });
    world.apply::<CoderLicense>("soon", warned).await;
    world
        .wait("soon", |object: &CoderLicense| {
            ready(object) && condition(object, "Expiring").is_none()
        })
        .await;
    let secrets = world.api::<Secret>();
    secrets.delete("late", &DeleteParams::default()).await.unwrap();
    let late = world.wait("late", waiting::<CoderLicense>("SecretNotFound")).await;
    assert!(
        late.status.as_ref().unwrap().id.is_some(),
        "{} keeps its licence without the Secret",
        late.name_any()
    );
    assert_eq!(ids(&world).len(), 3);
    world.finish().await;
}

#[allow(clippy::cast_precision_loss)] // seconds since 1970 are exact in a float
fn seconds(at: Timestamp) -> f64 {
    at.as_second() as f64
}

/// A world with a licence that the operator added; answers with its number.
async fn licensed(test: &str, spec: Value) -> (World, i32) {
    let world = unlicensed(test).await;
    put(&world, "license", &mint(&premium())).await;
    let mut spec = spec;
    spec["licenseSecretRef"] = json!({ "name": "license" });
    world.apply::<CoderLicense>("license", spec).await;
    let id = status(world.wait("license", ready::<CoderLicense>).await).id.unwrap();
    (world, id)
}

/// As after a restore: the licence is gone and its number is somebody else's.
fn restore_with_a_strangers(world: &World, id: i32) {
    let sim = world.coder.sim();
    sim.delete_license(id);
    sim.set_last_license_number(id - 1);
    assert_eq!(sim.add_license(&mint(&premium())), id);
}

fn replaces(object: &CoderLicense) -> usize {
    object.status.as_ref().map_or(0, |status| status.replaced.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_shows_somebody_elses_licence_is_not_ours() {
    simulated_only!("it needs numbers that come again");
    let (world, id) = licensed("license-number", json!({ "deletionPolicy": "Delete" })).await;
    restore_with_a_strangers(&world, id);
    let object = world.look::<CoderLicense>("license").await;
    assert!(ready(&object), "{:?}", object.status);
    let own = object.status.unwrap().id.unwrap();
    assert_eq!(ids(&world), [id, own], "ours is there again, beside the stranger's");
    world.delete::<CoderLicense>("license").await;
    world.gone::<CoderLicense>("license").await;
    assert_eq!(ids(&world), [id], "only ours went");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_number_shows_is_compared_before_it_is_deleted() {
    simulated_only!("it needs numbers that come again");
    let (mut world, id) = licensed("license-number-gone", json!({ "deletionPolicy": "Delete" })).await;
    world.kill_operator().await;
    restore_with_a_strangers(&world, id);
    world.delete::<CoderLicense>("license").await;
    world.restart_operator().await;
    world.gone::<CoderLicense>("license").await;
    assert_eq!(ids(&world), [id], "the stranger's stays");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_replaced_is_compared_before_it_is_removed() {
    simulated_only!("it needs numbers that come again");
    let (mut world, old) = licensed("license-number-replaced", json!({ "deletionPolicy": "Delete" })).await;
    let next = LicenseSpec::valid_from(Timestamp::now() + SignedDuration::from_hours(24));
    put(&world, "license", &mint(&next)).await;
    let pending = world
        .wait("license", |object| ready(object) && replaces(object) == 1)
        .await;
    let new = status(pending).id.unwrap();
    world.kill_operator().await;
    restore_with_a_strangers(&world, old);
    world.coder.sim().set_last_license_number(new);
    world.restart_operator().await;
    world
        .wait("license", |object| ready(object) && replaces(object) == 0)
        .await;
    assert_eq!(ids(&world), [old, new], "the stranger's stays");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_licence_that_an_earlier_version_knew_by_its_number_alone_stays_and_is_named() {
    simulated_only!("it needs licences that the server takes");
    let (mut world, _) = licensed("license-number-only", json!({ "deletionPolicy": "Delete" })).await;
    world.kill_operator().await;
    let other = world.coder.sim().add_premium_license();
    let body = json!({ "status": { "replaces": other } });
    let parameters = PatchParams::default();
    let api = world.api::<CoderLicense>();
    api.patch_status("license", &parameters, &Patch::Merge(body))
        .await
        .unwrap();
    world.restart_operator().await;
    let left = |object: &CoderLicense| condition(object, "ReplacedLicenseLeft").is_some();
    let object = world.wait("license", left).await;
    assert!(message(&object, "ReplacedLicenseLeft").contains(&format!("licence {other} may be")));
    assert!(ids(&world).contains(&other));
    world.coder.sim().delete_license(other);
    let object = world.look::<CoderLicense>("license").await;
    assert!(ready(&object) && !left(&object));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_licence_that_begins_later_leaves_the_old_one_until_it_gives_the_same() {
    simulated_only!("it needs licences that the server takes");
    let (world, old) = licensed("license-later", json!({})).await;
    let begins = Timestamp::now() + SignedDuration::from_secs(6);
    put(&world, "license", &mint(&LicenseSpec::valid_from(begins))).await;
    let pending = world
        .wait("license", |object: &CoderLicense| {
            ready(object) && condition(object, "RenewalPending").is_some()
        })
        .await;
    let text = message(&pending, "RenewalPending");
    assert!(
        text.contains(&format!("licence {old} stays")) && text.contains("it is not valid before"),
        "{text}"
    );
    assert!(message(&pending, "NotValidYet").contains("gives nothing before"));
    assert!(condition(&pending, "LicenseWarning").is_none(), "it warns of nothing");
    let new = status(pending).id.unwrap();
    assert_eq!(ids(&world), [old, new]);
    let end = |instance: CoderInstance| instance.status.unwrap().license_expires_at;
    let before = end(world.look::<CoderInstance>("default").await);
    let in_force = status(world.api::<CoderLicense>().get("license").await.unwrap());
    assert!(before < in_force.expires_at, "the instance shows what is in force");
    let alone = async || {
        // Coder looks again by itself, though not as often.
        world.coder.sim().refresh_entitlements();
        ids(&world) == [new]
    };
    world.until("the old licence goes", alone).await;
    let now = Timestamp::now().as_second();
    assert!(now >= begins.as_second(), "not before the new one is valid");
    let done = |object: &CoderLicense| {
        let said = ["RenewalPending", "NotValidYet"];
        replaces(object) == 0 && said.iter().all(|type_| condition(object, type_).is_none())
    };
    world.wait("license", done).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_while_a_renewal_is_pending_removes_both() {
    simulated_only!("it needs licences that the server takes");
    let (world, _) = licensed("license-both", json!({ "deletionPolicy": "Delete" })).await;
    let others = world.coder.sim().add_premium_license();
    let next = LicenseSpec::valid_from(Timestamp::now() + SignedDuration::from_hours(24));
    put(&world, "license", &mint(&next)).await;
    world
        .wait("license", |object| ready(object) && replaces(object) == 1)
        .await;
    assert_eq!(ids(&world).len(), 3);
    world.delete::<CoderLicense>("license").await;
    world.gone::<CoderLicense>("license").await;
    assert_eq!(ids(&world), [others]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_licence_in_its_grace_period_goes_when_a_good_one_comes() {
    simulated_only!("it needs licences that the server takes");
    let world = unlicensed("license-grace").await;
    put(&world, "license", &mint(&LicenseSpec::in_grace(Timestamp::now()))).await;
    world.apply::<CoderLicense>("license", from_secret("license")).await;
    let graced = world.wait("license", ready::<CoderLicense>).await;
    assert!(message(&graced, "Expiring").contains("its features end at"));
    assert!(
        message(&graced, "LicenseWarning").contains("expired"),
        "Coder says so too"
    );
    let next = premium();
    put(&world, "license", &mint(&next)).await;
    let done = |object: &CoderLicense| {
        let said = ["Expiring", "LicenseWarning", "RenewalPending"];
        let uuid = object.status.as_ref().and_then(|status| status.uuid.as_deref());
        uuid == Some(&*next.jti) && said.iter().all(|type_| condition(object, type_).is_none())
    };
    world.wait("license", done).await;
    assert_eq!(ids(&world).len(), 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_goes_back_to_the_old_licence_holds_it_again() {
    simulated_only!("it needs licences that the server takes");
    let world = unlicensed("license-back").await;
    let jwt = mint(&premium());
    put(&world, "license", &jwt).await;
    world.apply::<CoderLicense>("license", from_secret("license")).await;
    let old = status(world.wait("license", ready::<CoderLicense>).await).id.unwrap();
    let next = LicenseSpec::valid_from(Timestamp::now() + SignedDuration::from_hours(24));
    put(&world, "license", &mint(&next)).await;
    world
        .wait("license", |object| ready(object) && replaces(object) == 1)
        .await;
    let mark = world.coder.sim().journal().mark();
    put(&world, "license", &jwt).await;
    let back = |object: &CoderLicense| {
        let status = object.status.as_ref().unwrap();
        status.id == Some(old) && status.replaced.is_empty() && ready(object)
    };
    world.wait("license", back).await;
    assert_eq!(ids(&world), [old]);
    let writes = world.coder.sim().journal().writes_since(mark);
    assert_eq!(writes.len(), 1, "one removal and nothing else");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn renewals_that_follow_each_other_leave_the_one_that_is_in_force() {
    simulated_only!("it needs licences that the server takes");
    let (world, first) = licensed("license-chain", json!({})).await;
    for hours in [24, 48] {
        let begins = Timestamp::now() + SignedDuration::from_hours(hours);
        let next = LicenseSpec::valid_from(begins);
        put(&world, "license", &mint(&next)).await;
        let held = |object: &CoderLicense| {
            let status = object.status.as_ref().unwrap();
            status.uuid.as_deref() == Some(&*next.jti) && status.replaced.len() == 1 && ready(object)
        };
        let status = status(world.wait("license", held).await);
        assert_eq!(status.replaced[0].id, first, "what gave nothing went");
        assert_eq!(ids(&world), [first, status.id.unwrap()]);
    }
    put(&world, "license", &mint(&premium())).await;
    world
        .until("the one that gives the same is alone", async || ids(&world).len() == 1)
        .await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_licence_that_wants_telemetry_replaces_nothing_while_it_is_off_and_says_so() {
    simulated_only!("it needs licences that the server takes");
    let (world, old) = licensed("license-telemetry", json!({})).await;
    world.coder.sim().set_telemetry(false);
    let next = LicenseSpec::requiring_telemetry(Timestamp::now());
    put(&world, "license", &mint(&next)).await;
    let pending = world
        .wait("license", |object: &CoderLicense| {
            ready(object) && condition(object, "RenewalPending").is_some()
        })
        .await;
    assert!(message(&pending, "RenewalPending").contains("requires telemetry"));
    assert!(message(&pending, "LicenseWarning").contains("License requires telemetry but telemetry is disabled"));
    assert_eq!(ids(&world).first(), Some(&old));
    world.coder.sim().set_telemetry(true);
    let done = |object: &CoderLicense| replaces(object) == 0 && condition(object, "LicenseWarning").is_none();
    world.wait("license", done).await;
    assert_eq!(ids(&world).len(), 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_coder_says_of_too_many_users_is_a_condition() {
    simulated_only!("it needs licences that the server takes");
    let world = unlicensed("license-users").await;
    world.coder.sim().create_user("second");
    put(&world, "license", &mint(&premium().users(1))).await;
    world.apply::<CoderLicense>("license", from_secret("license")).await;
    let warned = |object: &CoderLicense| ready(object) && condition(object, "LicenseWarning").is_some();
    let text = message(&world.wait("license", warned).await, "LicenseWarning");
    assert!(text.contains("active users"), "{text}");
    assert!(!text.contains("add-on is required"), "{text}");
    // So does the instance, whoever manages the licence.
    let warned = |instance: &CoderInstance| message(instance, "LicenseWarning").contains("active users");
    world.wait("default", warned).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_objects_with_one_licence_are_in_conflict() {
    simulated_only!("it needs licences that the server takes");
    let (world, id) = licensed("license-two", json!({})).await;
    world
        .apply::<CoderLicense>(
            "second",
            json!({ "licenseSecretRef": { "name": "license" }, "adoptionPolicy": "IfExists" }),
        )
        .await;
    let second = world.wait("second", stalled::<CoderLicense>("Conflict")).await;
    assert!(message(&second, "Stalled").contains("/license manages the same"));
    assert_eq!(ids(&world), [id]);
    world.finish().await;
}

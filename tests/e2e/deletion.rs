//! What becomes of objects in Coder when their custom resources go.

use std::fmt::Debug;

use coder_sim::license::mint;
use coder_sim::{LicenseSpec, Profile, Sim};
use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::{Value, json};

use coder_operator::api::DeletionPolicy::{Delete, Orphan};
use coder_operator::api::{
    CoderGroup, CoderLicense, CoderOrganization, CoderWorkspaceProxy, DeletionPolicy, Kind, ObjectStatus, Origin,
};

use crate::support::{AnyObject, Coder, World, blocked, message, ready, simulated_only, stalled, waiting};

/// How one kind is made, found and treated unless its policy is said.
struct Case {
    spec: fn(&str) -> Value,
    make: fn(&Sim, &str),
    exists: fn(&Sim, &str) -> bool,
    /// What becomes of a created one, and of an adopted one.
    unsaid: [DeletionPolicy; 2],
}

fn jwt(account: &str) -> String {
    // An expiry of its own for each, and the same whenever it is asked for.
    let issued = Timestamp::now().as_second() / 86_400 * 86_400;
    let spec = LicenseSpec::premium(Timestamp::from_second(issued).unwrap());
    mint(&LicenseSpec {
        account_id: account.to_owned(),
        jti: account.to_owned(),
        ..spec
    })
}

fn holds_license(sim: &Sim, account: &str) -> bool {
    sim.licenses()
        .iter()
        .any(|license| license.claims["account_id"] == account)
}

fn proxy(name: &str) -> Value {
    json!({
        "name": name, "displayName": name, "icon": "/emojis/1f680.png", "tokenSecret": { "name": format!("{name}-proxy") },
    })
}

/// All origins and policies of one kind: the status says beforehand what Coder shows afterwards.
async fn each_goes_its_way<K>(world: &World, prefix: &str, case: Case)
where
    K: Kind + AnyObject + Debug,
{
    let sim = world.coder.sim();
    let mut expected = Vec::new();
    for (origin, unsaid) in [Origin::Created, Origin::Adopted].into_iter().zip(case.unsaid) {
        for policy in [None, Some(Delete), Some(Orphan)] {
            let said = policy.map_or_else(|| "unsaid".to_owned(), |policy| policy.to_string().to_lowercase());
            let name = format!("{prefix}-{}-{said}", format!("{origin:?}").to_lowercase());
            let mut spec = (case.spec)(&name);
            if origin == Origin::Adopted {
                (case.make)(sim, &name);
                spec["adoptionPolicy"] = json!("IfExists");
            }
            if let Some(policy) = policy {
                spec["deletionPolicy"] = json!(policy);
            }
            world.put_secret(world.ns(), &name, &[("license", &jwt(&name))]).await;
            world.apply::<K>(&name, spec).await;
            expected.push((name, origin, policy.unwrap_or(unsaid)));
        }
    }
    for (name, origin, policy) in &expected {
        let object = world.wait(name, ready::<K>).await;
        let common = object.status().unwrap().common();
        assert_eq!(common.origin, Some(*origin), "{name}");
        assert_eq!(common.effective_deletion_policy, Some(*policy), "{name}");
        assert!((case.exists)(sim, name), "{name}");
        world.delete::<K>(name).await;
    }
    for (name, _, policy) in &expected {
        world.gone::<K>(name).await;
        assert_eq!((case.exists)(sim, name), *policy == Orphan, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_created_goes_and_what_was_taken_over_stays_unless_said_otherwise() {
    simulated_only!("it makes objects behind the server's back");
    let world = World::with("deletion-policy", Coder::simulated(Profile::Main).await, json!({})).await;
    let organizations = Case {
        spec: |name| json!({ "name": name }),
        make: |sim, name| {
            let _ = sim.create_organization(name);
        },
        exists: |sim, name| sim.organization(name).is_some(),
        unsaid: [Orphan, Orphan],
    };
    let groups = Case {
        spec: |name| json!({ "name": name, "organization": "default" }),
        make: |sim, name| {
            let _ = sim.create_group("default", name);
        },
        exists: |sim, name| sim.group("default", name).is_some(),
        unsaid: [Delete, Orphan],
    };
    let licenses = Case {
        spec: |name| json!({ "licenseSecretRef": { "name": name } }),
        make: |sim, name| {
            let _ = sim.add_license(&jwt(name));
        },
        exists: holds_license,
        unsaid: [Orphan, Orphan],
    };
    let proxies = Case {
        spec: proxy,
        make: |sim, name| {
            let _ = sim.create_proxy(name, name, "/emojis/1f680.png");
        },
        exists: |sim, name| sim.proxy(name).is_some(),
        unsaid: [Delete, Orphan],
    };
    tokio::join!(
        each_goes_its_way::<CoderOrganization>(&world, "org", organizations),
        each_goes_its_way::<CoderGroup>(&world, "group", groups),
        each_goes_its_way::<CoderLicense>(&world, "license", licenses),
        each_goes_its_way::<CoderWorkspaceProxy>(&world, "proxy", proxies),
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_instance_may_say_orphan_for_all_and_delete_only_for_what_was_created() {
    simulated_only!("it makes objects behind the server's back");
    for (said, created, adopted) in [("Orphan", Orphan, Orphan), ("Delete", Delete, Orphan)] {
        let coder = Coder::simulated(Profile::Main).await;
        let defaults = json!({ "defaults": { "deletionPolicy": said, "adoptionPolicy": "IfExists" } });
        let world = World::with("deletion-defaults", coder, defaults).await;
        world.coder.sim().create_group("default", "theirs");
        for name in ["ours", "theirs"] {
            world
                .apply::<CoderGroup>(name, json!({ "organization": "default" }))
                .await;
        }
        world.apply::<CoderOrganization>("platform", json!({})).await;
        let policy = async |name| {
            let object = world.wait(name, ready::<CoderGroup>).await;
            object.status.unwrap().common.effective_deletion_policy.unwrap()
        };
        assert_eq!(
            (policy("ours").await, policy("theirs").await),
            (created, adopted),
            "{said}"
        );
        let organization = world.wait("platform", ready::<CoderOrganization>).await;
        assert_eq!(
            organization.status.unwrap().common.effective_deletion_policy,
            Some(Orphan),
            "an organization is deleted only if it says so itself"
        );
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_waits_for_the_groups_that_refer_to_it() {
    simulated_only!("it reads the journal of the server");
    for profile in [Profile::Main, Profile::V2_16_1] {
        let world = World::with("deletion-children", Coder::simulated(profile).await, json!({})).await;
        world
            .apply::<CoderOrganization>("platform", json!({ "deletionPolicy": "Delete" }))
            .await;
        for name in ["backend", "frontend"] {
            world
                .apply::<CoderGroup>(name, json!({ "organizationRef": { "name": "platform" } }))
                .await;
            world.wait(name, ready::<CoderGroup>).await;
        }
        let mark = world.coder.sim().journal().mark();
        world.delete::<CoderOrganization>("platform").await;
        let object = world
            .wait("platform", blocked::<CoderOrganization>("DependentsExist"))
            .await;
        let text = message(&object, "DeletionBlocked");
        assert!(
            text.contains(&format!(
                "CoderGroup {0}/backend and CoderGroup {0}/frontend",
                world.ns()
            )),
            "{text}"
        );
        world.event("platform", "DependentsExist", "delete them first").await;
        world.delete::<CoderGroup>("backend").await;
        world.delete::<CoderGroup>("frontend").await;
        world.gone::<CoderOrganization>("platform").await;
        let writes = world.coder.sim().journal().writes_since(mark);
        let kinds: Vec<_> = writes.iter().filter_map(|call| call.effect.kind()).collect();
        assert_eq!(kinds, ["group", "group", "organization"], "{profile:?}");
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_needs_no_valid_spec_and_no_living_dependency() {
    simulated_only!("it needs licences that the server takes");
    let world = World::with("deletion-invalid", Coder::simulated(Profile::Main).await, json!({})).await;
    let sim = world.coder.sim();
    world
        .put_secret(world.ns(), "license", &[("license", &jwt("ours"))])
        .await;
    let license = json!({ "licenseSecretRef": { "name": "license" }, "deletionPolicy": "Delete" });
    world.apply::<CoderLicense>("license", license).await;
    world.apply::<CoderOrganization>("platform", json!({})).await;
    world
        .apply::<CoderGroup>("backend", json!({ "organizationRef": { "name": "platform" } }))
        .await;
    world.apply::<CoderWorkspaceProxy>("paris", proxy("paris")).await;
    world.wait("license", ready::<CoderLicense>).await;
    world.wait("backend", ready::<CoderGroup>).await;
    world.wait("paris", ready::<CoderWorkspaceProxy>).await;

    world
        .put_secret(world.ns(), "license", &[("license", "no licence")])
        .await;
    world.wait("license", stalled::<CoderLicense>("InvalidSecret")).await;
    // It is left in Coder, so it need not wait for the group that refers to it.
    world.delete::<CoderOrganization>("platform").await;
    world.gone::<CoderOrganization>("platform").await;
    world.wait("backend", waiting::<CoderGroup>("DependencyNotReady")).await;
    world.put_secret(world.ns(), "foreign", &[("a", "b")]).await;
    world
        .patch::<CoderWorkspaceProxy>("paris", json!({ "tokenSecret": { "name": "foreign" } }))
        .await;
    world
        .wait("paris", stalled::<CoderWorkspaceProxy>("SecretConflict"))
        .await;

    world.delete::<CoderLicense>("license").await;
    world.delete::<CoderGroup>("backend").await;
    world.delete::<CoderWorkspaceProxy>("paris").await;
    world.gone::<CoderLicense>("license").await;
    world.gone::<CoderGroup>("backend").await;
    world.gone::<CoderWorkspaceProxy>("paris").await;
    assert!(!holds_license(sim, "ours"));
    assert!(sim.organization("platform").is_some());
    assert!(sim.group("platform", "backend").is_none());
    assert!(sim.proxy("paris").is_none());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_object_that_never_got_into_coder_goes_at_once() {
    simulated_only!("it makes objects behind the server's back");
    let world = World::with("deletion-nothing", Coder::simulated(Profile::Main).await, json!({})).await;
    world.coder.sim().create_organization("theirs");
    world
        .apply::<CoderOrganization>("theirs", json!({ "deletionPolicy": "Delete" }))
        .await;
    world
        .wait("theirs", stalled::<CoderOrganization>("AlreadyExists"))
        .await;
    let mark = world.coder.sim().journal().mark();
    world.delete::<CoderOrganization>("theirs").await;
    world.gone::<CoderOrganization>("theirs").await;
    assert!(world.coder.sim().organization("theirs").is_some(), "it was never ours");
    assert!(world.coder.sim().journal().writes_since(mark).is_empty());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_organization_is_never_deleted() {
    simulated_only!("it takes the default organization over");
    let world = World::with("deletion-default", Coder::simulated(Profile::Main).await, json!({})).await;
    let spec = json!({ "name": "coder", "adoptionPolicy": "MustExist", "deletionPolicy": "Delete" });
    world.apply::<CoderOrganization>("main", spec).await;
    world.wait("main", ready::<CoderOrganization>).await;
    world.delete::<CoderOrganization>("main").await;
    let object = world
        .wait("main", blocked::<CoderOrganization>("DeletionRefused"))
        .await;
    assert!(message(&object, "DeletionBlocked").contains("deletionPolicy: Orphan"));
    assert!(!object.finalizers().is_empty());
    world
        .patch::<CoderOrganization>("main", json!({ "deletionPolicy": "Orphan" }))
        .await;
    world.gone::<CoderOrganization>("main").await;
    assert!(world.coder.sim().organization("coder").is_some());
    world.finish().await;
}

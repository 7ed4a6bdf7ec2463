//! What becomes of objects that Coder holds already: taken over only when somebody says so, and then untouched if equal.

use coder_sim::license::{LicenseSpec, mint};
use coder_sim::{Method as SimMethod, Sim};
use serde_json::{Value, json};

use coder_operator::api::{
    CoderGroup, CoderLicense, CoderOrganization, CoderWorkspaceProxy, DeletionPolicy, Kind, ObjectStatus, Origin,
};

use crate::support::{AnyObject, Coder, World, condition, message, ready, simulated_only, stalled};

/// What a policy makes of what is there.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Created,
    Adopted,
    AlreadyExists,
    NotFound,
}

/// Policy, whether Coder holds it, and what follows; also the object's name.
const TABLE: [(&str, &str, bool, Outcome); 6] = [
    ("never-there", "Never", true, Outcome::AlreadyExists),
    ("never-absent", "Never", false, Outcome::Created),
    ("if-there", "IfExists", true, Outcome::Adopted),
    ("if-absent", "IfExists", false, Outcome::Created),
    ("must-there", "MustExist", true, Outcome::Adopted),
    ("must-absent", "MustExist", false, Outcome::NotFound),
];

/// Declares all six, and expects that each becomes what the table says and that nothing but creations was written.
async fn expect<K>(world: &World, there: impl Fn(&Sim, &str), spec: impl Fn(&str) -> Value, after: [DeletionPolicy; 2])
where
    K: Kind + AnyObject,
{
    let sim = world.coder.sim();
    for (name, ..) in TABLE.iter().filter(|(_, _, exists, _)| *exists) {
        there(sim, name);
    }
    let mark = sim.journal().mark();
    for (name, policy, ..) in TABLE {
        let mut spec = spec(name);
        spec["adoptionPolicy"] = json!(policy);
        world.apply::<K>(name, spec).await;
    }
    for (name, policy, exists, outcome) in TABLE {
        let case = format!("{policy}, {}", if exists { "exists" } else { "absent" });
        let (origin, deletion) = match outcome {
            Outcome::AlreadyExists => {
                let refused = world.wait(name, stalled::<K>("AlreadyExists")).await;
                assert!(
                    message(&refused, "Stalled").contains("set adoptionPolicy: IfExists"),
                    "{case}"
                );
                continue;
            }
            Outcome::NotFound => {
                let refused = world.wait(name, stalled::<K>("NotFound")).await;
                assert!(
                    message(&refused, "Stalled").contains("adoptionPolicy is MustExist"),
                    "{case}"
                );
                continue;
            }
            Outcome::Created => (Origin::Created, after[0]),
            Outcome::Adopted => (Origin::Adopted, after[1]),
        };
        let object = world.wait(name, ready::<K>).await;
        let common = object.status().unwrap().common();
        assert_eq!(common.origin, Some(origin), "{case}");
        assert_eq!(common.effective_deletion_policy, Some(deletion), "{case}");
        let reason = if origin == Origin::Adopted {
            "Adopted"
        } else {
            "Created"
        };
        world.event(name, reason, "").await;
    }
    let writes = world
        .coder
        .calls_since(mark)
        .into_iter()
        .filter(|call| call.effect.is_write());
    let methods: Vec<SimMethod> = writes.map(|call| call.method).collect();
    assert_eq!(
        methods,
        [SimMethod::POST, SimMethod::POST],
        "two were created, and nothing else was written"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_groups_follows_the_policy() {
    simulated_only!("the journal tells what was written");
    let world = World::new("adoption-group").await;
    let there = |sim: &Sim, name: &str| {
        sim.create_group("default", name);
        sim.edit_group("default", name, |group| {
            group.display_name = "Same".to_owned();
            group.quota_allowance = 4;
        });
    };
    let spec =
        |name: &str| json!({ "organization": "default", "name": name, "displayName": "Same", "quotaAllowance": 4 });
    expect::<CoderGroup>(&world, there, spec, [DeletionPolicy::Delete, DeletionPolicy::Orphan]).await;

    world.delete::<CoderGroup>("if-there").await;
    world.gone::<CoderGroup>("if-there").await;
    assert!(
        world.coder.group("default", "if-there").await.is_some(),
        "what was adopted stays"
    );
    world.delete::<CoderGroup>("if-absent").await;
    world.gone::<CoderGroup>("if-absent").await;
    assert!(
        world.coder.group("default", "if-absent").await.is_none(),
        "what was created goes"
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_organizations_follows_the_policy() {
    simulated_only!("the journal tells what was written");
    let world = World::new("adoption-organization").await;
    let there = |sim: &Sim, name: &str| {
        sim.create_organization(name);
        sim.edit_organization(name, |organization| organization.description = "same".to_owned());
    };
    let spec = |name: &str| json!({ "name": name, "description": "same" });
    expect::<CoderOrganization>(&world, there, spec, [DeletionPolicy::Orphan; 2]).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_licences_follows_the_policy() {
    simulated_only!("licences are minted");
    let world = World::new("adoption-licence").await;
    let jwt = |name: &str| {
        let mut spec = LicenseSpec::premium("2026-01-01T00:00:00Z".parse().unwrap());
        spec.license_expires = "2030-01-01T00:00:00Z".parse().unwrap();
        spec.expires = "2030-02-01T00:00:00Z".parse().unwrap();
        spec.account_id = name.to_owned();
        let number = TABLE.iter().position(|(one, ..)| *one == name).unwrap();
        spec.jti = format!("7f0f4b3e-5a55-4c0e-9d5c-00000000000{number}");
        mint(&spec)
    };
    for (name, ..) in TABLE {
        world.put_secret(world.ns(), name, &[("license", &jwt(name))]).await;
    }
    let there = |sim: &Sim, name: &str| {
        sim.add_license(&jwt(name));
    };
    let spec = |name: &str| json!({ "licenseSecretRef": { "name": name } });
    expect::<CoderLicense>(&world, there, spec, [DeletionPolicy::Orphan; 2]).await;
    let uploads = world.coder.sim().journal().matching(|call| {
        call.method == SimMethod::POST && call.template == "/api/v2/licenses" && call.status != Some(201)
    });
    assert!(uploads.is_empty(), "no duplicate was ever sent");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_proxies_follows_the_policy_and_leaves_their_tokens_alone() {
    simulated_only!("tokens are looked at behind the server's back");
    let world = World::new("adoption-proxy").await;
    let there = |sim: &Sim, name: &str| {
        sim.create_proxy(name, "Same", "/emojis/1f680.png");
    };
    let spec = |name: &str| {
        json!({
            "name": name, "displayName": "Same", "icon": "/emojis/1f680.png", "tokenSecret": { "name": format!("{name}-token") },
        })
    };
    expect::<CoderWorkspaceProxy>(&world, there, spec, [DeletionPolicy::Delete, DeletionPolicy::Orphan]).await;
    let sim = world.coder.sim();
    let adopted = world.wait("if-there", ready::<CoderWorkspaceProxy>).await;
    assert!(
        message(&adopted, "TokenNotIssued").contains("coder-operator.dev/rotate"),
        "{adopted:?}"
    );
    assert!(adopted.status.unwrap().token_issued_at.is_none());
    assert_eq!(world.secret("if-there-token", "CODER_PROXY_SESSION_TOKEN").await, None);
    let before = sim.proxy("if-there").unwrap().token;
    assert!(sim.proxy_token_valid(&before));
    let created = world.wait("if-absent", ready::<CoderWorkspaceProxy>).await;
    assert!(condition(&created, "TokenNotIssued").is_none());
    let token = world
        .secret("if-absent-token", "CODER_PROXY_SESSION_TOKEN")
        .await
        .unwrap();
    assert!(sim.proxy_token_valid(&token));

    // Asked for, it gets one.
    world
        .annotate::<CoderWorkspaceProxy>("if-there", "coder-operator.dev/rotate", "1")
        .await;
    let rotated = |proxy: &CoderWorkspaceProxy| {
        proxy
            .status
            .as_ref()
            .is_some_and(|status| status.last_handled_rotate.as_deref() == Some("1"))
    };
    let proxy = world.wait("if-there", rotated).await;
    assert!(condition(&proxy, "TokenNotIssued").is_none());
    let token = world
        .secret("if-there-token", "CODER_PROXY_SESSION_TOKEN")
        .await
        .unwrap();
    assert!(sim.proxy_token_valid(&token) && !sim.proxy_token_valid(&before));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_default_organization_is_possible_and_never_ends_in_its_deletion() {
    simulated_only!("the default organization is everybody's");
    let world = World::new("adoption-default").await;
    let name = world.coder.get("/organizations/default").await["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let spec = |adoption: &str| json!({ "name": name, "description": "ours", "adoptionPolicy": adoption, "deletionPolicy": "Delete" });
    world.apply::<CoderOrganization>("main", spec("Never")).await;
    world.wait("main", stalled::<CoderOrganization>("AlreadyExists")).await;
    world.apply::<CoderOrganization>("main", spec("IfExists")).await;
    world.wait("main", ready::<CoderOrganization>).await;
    assert_eq!(world.coder.get("/organizations/default").await["description"], "ours");
    let mark = world.coder.sim().journal().mark();
    world.delete::<CoderOrganization>("main").await;
    let blocked = world
        .wait("main", crate::support::blocked::<CoderOrganization>("DeletionRefused"))
        .await;
    let said = message(&blocked, "DeletionBlocked");
    assert!(
        said.contains("the default organization is never deleted") && said.contains("deletionPolicy: Orphan"),
        "{said}"
    );
    world
        .patch::<CoderOrganization>("main", json!({ "deletionPolicy": "Orphan" }))
        .await;
    world.gone::<CoderOrganization>("main").await;
    assert_eq!(world.coder.writes_since(mark), [""; 0]);
    assert!(
        world
            .coder
            .calls_since(mark)
            .iter()
            .all(|call| call.method == SimMethod::GET),
        "it was not even tried"
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn comes_as_soon_as_what_must_exist_does() {
    let world = World::with("adoption-later", Coder::any().await, json!({ "resyncInterval": "1s" })).await;
    let name = world.name("later");
    let spec = json!({ "organization": "default", "name": name, "adoptionPolicy": "MustExist" });
    world.apply::<CoderGroup>("later", spec).await;
    world.wait("later", stalled::<CoderGroup>("NotFound")).await;
    let made = world
        .coder
        .change(
            reqwest::Method::POST,
            "/organizations/default/groups",
            json!({ "name": name }),
        )
        .await;
    let adopted = world.wait("later", ready::<CoderGroup>).await.status.unwrap();
    assert_eq!(adopted.id.as_deref(), made["id"].as_str());
    assert_eq!(adopted.common.origin, Some(Origin::Adopted));
    let path = format!("/groups/{}", made["id"].as_str().unwrap());
    world.coder.change(reqwest::Method::DELETE, &path, json!({})).await;
    world.wait("later", stalled::<CoderGroup>("NotFound")).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn is_over_when_the_stranger_goes() {
    let world = World::with(
        "adoption-stranger",
        Coder::any().await,
        json!({ "resyncInterval": "1s" }),
    )
    .await;
    let name = world.name("taken");
    let made = world
        .coder
        .change(
            reqwest::Method::POST,
            "/organizations/default/groups",
            json!({ "name": name }),
        )
        .await;
    world
        .apply::<CoderGroup>("taken", json!({ "organization": "default", "name": name }))
        .await;
    world.wait("taken", stalled::<CoderGroup>("AlreadyExists")).await;
    let path = format!("/groups/{}", made["id"].as_str().unwrap());
    world.coder.change(reqwest::Method::DELETE, &path, json!({})).await;
    let created = world.wait("taken", ready::<CoderGroup>).await.status.unwrap();
    assert_eq!(created.common.origin, Some(Origin::Created));
    assert_ne!(created.id.as_deref(), made["id"].as_str());
    world.delete::<CoderGroup>("taken").await;
    world.gone::<CoderGroup>("taken").await;
    world.finish().await;
}

//! Whose the Secret is, where it is and what is in it: what happens to it must not cost a token that proxies run with.

use coder_sim::{Fault, Method};
use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use coder_operator::api::CoderWorkspaceProxy;

use super::{SECRET, TOKEN, URL, another_token, paris, ready_proxy};
use crate::support::{Coder, World, condition, message, ready, simulated_only, stalled};

const ONE: &str = "/api/v2/workspaceproxies/{workspaceproxy}";

/// The Secret's metadata and values, changed by somebody else.
async fn change_secret(world: &World, body: Value) {
    world
        .api::<Secret>()
        .patch(SECRET, &PatchParams::default(), &Patch::Merge(body))
        .await
        .unwrap();
}

/// From now on no Secret can be made in the namespace.
async fn forbid_secrets(world: &World) {
    let name = world.ns();
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": { "name": name },
        "spec": {
            "matchConstraints": {
                "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": name } },
                "resourceRules": [{
                    "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["secrets"],
                }],
            },
            "validations": [{ "expression": "false", "message": "no more Secrets here", "reason": "Forbidden" }],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": { "name": name }, "spec": { "policyName": name, "validationActions": ["Deny"] },
    });
    let parameters = PatchParams::apply("test");
    policies(world)
        .patch(name, &parameters, &Patch::Apply(policy))
        .await
        .unwrap();
    Api::<ValidatingAdmissionPolicyBinding>::all(world.kube.clone())
        .patch(name, &parameters, &Patch::Apply(binding))
        .await
        .unwrap();
    world
        .until("no Secret can be made", async || !takes_secrets(world).await)
        .await;
}

async fn allow_secrets(world: &World) {
    let parameters = DeleteParams::default();
    policies(world).delete(world.ns(), &parameters).await.unwrap();
    Api::<ValidatingAdmissionPolicyBinding>::all(world.kube.clone())
        .delete(world.ns(), &parameters)
        .await
        .unwrap();
    world
        .until("Secrets can be made", async || takes_secrets(world).await)
        .await;
}

fn policies(world: &World) -> Api<ValidatingAdmissionPolicy> {
    Api::all(world.kube.clone())
}

async fn takes_secrets(world: &World) -> bool {
    let parameters = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let secret = serde_json::from_value(json!({ "metadata": { "name": "probe" } })).unwrap();
    world.api::<Secret>().create(&parameters, &secret).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_kubernetes_refuses_is_known_before_anything_is_asked_of_coder() {
    simulated_only!("it reads the journal of the server");
    let world = World::new("proxy-refused-secret").await;
    let sim = world.coder.sim();
    forbid_secrets(&world).await;
    let mark = sim.journal().mark();
    world.apply::<CoderWorkspaceProxy>("paris", paris("paris")).await;
    let object = world
        .wait("paris", stalled::<CoderWorkspaceProxy>("SecretRefused"))
        .await;
    let text = message(&object, "Stalled");
    assert!(text.contains("no more Secrets here"), "{text}");
    assert!(object.status.unwrap().common.pending_creation.is_none());
    assert!(sim.journal().writes_since(mark).is_empty());

    allow_secrets(&world).await;
    world.look::<CoderWorkspaceProxy>("paris").await;
    world.wait("paris", ready::<CoderWorkspaceProxy>).await;
    let token = world.secret(SECRET, TOKEN).await.unwrap();
    forbid_secrets(&world).await;
    let mark = sim.journal().mark();
    let secrets = world.api::<Secret>();
    secrets.delete(SECRET, &DeleteParams::default()).await.unwrap();
    world
        .wait("paris", stalled::<CoderWorkspaceProxy>("SecretRefused"))
        .await;
    assert!(sim.journal().writes_since(mark).is_empty());
    assert!(sim.proxy_token_valid(&token), "proxies that run with it go on");

    allow_secrets(&world).await;
    world.look::<CoderWorkspaceProxy>("paris").await;
    let token = another_token(&world, &token).await;
    assert!(sim.proxy_token_valid(&token));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_is_let_go_keeps_its_secret_which_is_taken_over_with_it() {
    simulated_only!("it looks at which tokens the server takes");
    let (world, name, _, token) = ready_proxy("proxy-orphaned", json!({})).await;
    let sim = world.coder.sim();
    let mark = sim.journal().mark();
    for end in [json!({ "deletionPolicy": "Orphan" }), json!({ "mode": "Observe" })] {
        world.patch::<CoderWorkspaceProxy>("paris", end).await;
        world.delete::<CoderWorkspaceProxy>("paris").await;
        world.gone::<CoderWorkspaceProxy>("paris").await;
        let secret = world.api::<Secret>().get(SECRET).await.unwrap();
        assert!(secret.owner_references().is_empty(), "{:?}", secret.metadata);
        assert_eq!(world.secret(SECRET, TOKEN).await.as_ref(), Some(&token));

        let mut spec = paris(&name);
        spec["adoptionPolicy"] = json!("IfExists");
        let object = world.apply::<CoderWorkspaceProxy>("paris", spec).await;
        let adopted = world.wait("paris", ready::<CoderWorkspaceProxy>).await;
        assert!(condition(&adopted, "TokenNotIssued").is_none());
        assert!(
            adopted.status.unwrap().token_issued_at.is_none(),
            "it was not issued for this object"
        );
        let secret = world.api::<Secret>().get(SECRET).await.unwrap();
        let owners: Vec<String> = secret
            .owner_references()
            .iter()
            .map(|owner| owner.uid.clone())
            .collect();
        assert_eq!(owners, [object.uid().unwrap()]);
    }
    assert_eq!(world.secret(SECRET, TOKEN).await.as_ref(), Some(&token));
    assert!(sim.journal().writes_since(mark).is_empty());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_annotation_from_before_a_proxy_was_taken_over_asks_for_nothing() {
    simulated_only!("it acts behind the server's back");
    let world = World::new("proxy-old-annotation").await;
    let sim = world.coder.sim();
    sim.create_proxy("paris", "Paris", "/emojis/1f1eb-1f1f7.png");
    let before = sim.proxy("paris").unwrap().token;
    world.apply::<CoderWorkspaceProxy>("paris", paris("paris")).await;
    world
        .wait("paris", stalled::<CoderWorkspaceProxy>("AlreadyExists"))
        .await;
    world
        .annotate::<CoderWorkspaceProxy>("paris", "coder-operator.dev/rotate", "1")
        .await;
    let adopt = json!({ "adoptionPolicy": "IfExists" });
    world.patch::<CoderWorkspaceProxy>("paris", adopt).await;
    let adopted = world.wait("paris", ready::<CoderWorkspaceProxy>).await;
    assert!(condition(&adopted, "TokenNotIssued").is_some());
    assert_eq!(adopted.status.unwrap().last_handled_rotate.as_deref(), Some("1"));
    assert!(sim.proxy_token_valid(&before));

    world
        .annotate::<CoderWorkspaceProxy>("paris", "coder-operator.dev/rotate", "2")
        .await;
    let handled =
        |object: &CoderWorkspaceProxy| object.status.as_ref().unwrap().last_handled_rotate.as_deref() == Some("2");
    world.wait("paris", handled).await;
    let token = world.secret(SECRET, TOKEN).await.unwrap();
    assert!(sim.proxy_token_valid(&token) && !sim.proxy_token_valid(&before));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_moves_with_the_name_and_the_key_of_its_secret() {
    simulated_only!("it reads the journal of the server");
    let (world, _, _, token) = ready_proxy("proxy-moved-secret", json!({})).await;
    let mark = world.coder.sim().journal().mark();
    let move_to = async |name: &str, key: &str| {
        let spec = json!({ "tokenSecret": { "name": name, "key": key } });
        world.patch::<CoderWorkspaceProxy>("paris", spec).await;
        let there = |object: &CoderWorkspaceProxy| {
            let place = object.status.as_ref().and_then(|status| status.token_secret.as_ref());
            place.is_some_and(|place| place.name == name && place.key == key) && ready(object)
        };
        world.wait("paris", there).await;
        assert_eq!(world.secret(name, key).await.as_ref(), Some(&token), "{name} {key}");
        assert!(world.secret(name, URL).await.is_some());
    };
    move_to(SECRET, "TOKEN").await;
    assert_eq!(world.secret(SECRET, TOKEN).await, None, "the old key is gone");
    move_to("moved", "TOKEN").await;
    let secrets = world.api::<Secret>();
    let old = secrets.get(SECRET).await.unwrap();
    assert!(old.data.unwrap_or_default().is_empty(), "the old Secret is empty");
    assert_eq!(
        old.metadata.owner_references.unwrap().len(),
        1,
        "and goes with the object"
    );

    // What somebody else put into it stays.
    let own = json!({ "data": { "own": "eA==" } });
    secrets
        .patch("moved", &PatchParams::default(), &Patch::Merge(own))
        .await
        .unwrap();
    move_to(SECRET, TOKEN).await;
    let left = secrets.get("moved").await.unwrap();
    assert!(left.owner_references().is_empty());
    assert_eq!(left.data.unwrap().into_keys().collect::<Vec<_>>(), ["own"]);
    assert!(world.coder.sim().journal().writes_since(mark).is_empty());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_changed_by_hand_is_issued_anew_and_a_secret_of_an_earlier_version_is_kept() {
    simulated_only!("it looks at which tokens the server takes");
    let (world, _, status, first) = ready_proxy("proxy-edited-secret", json!({})).await;
    let sim = world.coder.sim();
    let earlier = json!({
        "metadata": { "annotations": { "coder-operator.dev/value-sha256": null, "coder-operator.dev/issued-for": null } },
        "data": { URL: "aHR0cDovL2NvZGVyLnN2Yw==" },
    });
    change_secret(&world, earlier).await;
    world
        .until("the Secret is up to date", async || {
            let secret = world.api::<Secret>().get(SECRET).await.unwrap();
            secret.annotations().contains_key("coder-operator.dev/value-sha256")
        })
        .await;
    assert_eq!(world.secret(SECRET, TOKEN).await.as_ref(), Some(&first));
    assert_eq!(
        world.secret(SECRET, URL).await.unwrap(),
        world.coder.url.trim_end_matches('/')
    );
    assert!(sim.proxy_token_valid(&first));

    let forged = format!("{}:forged", status.id.unwrap());
    change_secret(&world, json!({ "stringData": { TOKEN: forged } })).await;
    world
        .until("a token that works is in the Secret", async || {
            let token = world.secret(SECRET, TOKEN).await.unwrap();
            token != first && world.coder.sim().proxy_token_valid(&token)
        })
        .await;
    world
        .event(
            "paris",
            "DriftCorrected",
            "running proxies need the new Secret and a restart",
        )
        .await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_url_in_the_secret_is_the_one_that_the_deployment_names_unless_the_spec_names_another() {
    simulated_only!("the operator reaches it by another name than its own");
    let coder = Coder::any().await;
    let own = coder.url.trim_end_matches('/').to_owned();
    let reached = json!({ "url": own.replace("127.0.0.1", "localhost") });
    assert_ne!(reached["url"], own);
    let world = World::with("proxy-access-url", coder, reached).await;
    world.apply::<CoderWorkspaceProxy>("paris", paris("paris")).await;
    world.wait("paris", ready::<CoderWorkspaceProxy>).await;
    assert_eq!(world.secret(SECRET, URL).await.as_ref(), Some(&own));
    let token = world.secret(SECRET, TOKEN).await;
    let another = "https://coder.example.com";
    let spec = json!({ "primaryAccessURL": another });
    world.patch::<CoderWorkspaceProxy>("paris", spec).await;
    world.wait("paris", ready::<CoderWorkspaceProxy>).await;
    assert_eq!(world.secret(SECRET, URL).await.as_deref(), Some(another));
    assert_eq!(world.secret(SECRET, TOKEN).await, token);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_changes_between_question_and_answer_ends_with_a_token_that_works() {
    simulated_only!("needs faults");
    let (world, _, status, mut token) = ready_proxy("proxy-changed-meanwhile", json!({})).await;
    let sim = world.coder.sim();
    let id = status.id.unwrap();
    let meanwhile = [
        json!({ "metadata": { "labels": { "touched": "yes" } } }),
        json!({ "stringData": { TOKEN: format!("{id}:by-hand") } }),
    ];
    for (n, change) in meanwhile.into_iter().enumerate() {
        let gate = sim.faults().pause_after_effect(Fault::on(Method::PATCH, ONE).times(1));
        world
            .annotate::<CoderWorkspaceProxy>("paris", "coder-operator.dev/rotate", &n.to_string())
            .await;
        gate.arrived().await;
        change_secret(&world, change).await;
        gate.open();
        world
            .until("a token that works is in the Secret", async || {
                let now = world.secret(SECRET, TOKEN).await.unwrap();
                now != token && world.coder.sim().proxy_token_valid(&now)
            })
            .await;
        token = world.secret(SECRET, TOKEN).await.unwrap();
        world.wait("paris", ready::<CoderWorkspaceProxy>).await;
    }
    let secret = world.api::<Secret>().get(SECRET).await.unwrap();
    assert_eq!(secret.labels()["touched"], "yes", "what others wrote stays");
    world.finish().await;
}

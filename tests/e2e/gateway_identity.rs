//! What stands in front of Coder and wants to know who comes.

use coder_sim::{Page, Profile};
use k8s_openapi::api::core::v1::Secret;
use kube::api::DeleteParams;
use serde_json::json;

use coder_operator::api::{CoderGroup, CoderInstance};

use crate::support::{Coder, World, condition, message, ready, simulated_only, stalled, waiting};

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_asks_for_headers_gets_them_from_a_secret_and_only_it_does() {
    simulated_only!("a gateway stands in front");
    let world = World::with("gateway", Coder::simulated(Profile::Main).await, json!({})).await;
    let gateway = world.coder.sim().gateway();
    gateway.demand(
        "CF-Access-Client-Id",
        "operator",
        Page::login("https://login.example.com"),
    );
    let behind = json!({ "headersSecretRef": { "name": "gateway" } });
    world.connect(world.ns(), "behind", behind).await;
    world.wait("behind", waiting::<CoderInstance>("SecretNotFound")).await;
    let headers = |id| [("CF-Access-Client-Id", id), ("CF-Access-Client-Secret", "very secret")];
    world.put_secret(world.ns(), "gateway", &headers("somebody")).await;
    let refused = |instance: &CoderInstance| {
        condition(instance, "Ready").is_some_and(|ready| ready.status == "False" && ready.reason != "SecretNotFound")
    };
    let said = message(&world.wait("behind", refused).await, "Ready");
    assert!(said.contains("https://login.example.com"), "{said}");
    world.put_secret(world.ns(), "gateway", &headers("operator")).await;
    world.wait::<CoderInstance>("behind", ready).await;
    let group = json!({ "organization": "default", "instanceRef": { "name": "behind" } });
    world.apply::<CoderGroup>("backend", group).await;
    world.wait::<CoderGroup>("backend", ready).await;
    assert!(!world.operator.log().contains("very secret"));

    world
        .put_secret(world.ns(), "gateway", &[("Coder-Session-Token", "another")])
        .await;
    let instance = world.wait("behind", stalled::<CoderInstance>("InvalidSpec")).await;
    let said = message(&instance, "Stalled");
    assert!(said.contains("an extra header would replace one"), "{said}");
    // A Secret's key that is not applied any more stays.
    let secrets = world.api::<Secret>();
    secrets.delete("gateway", &DeleteParams::default()).await.unwrap();
    world.put_secret(world.ns(), "gateway", &headers("operator")).await;
    world.wait::<CoderInstance>("behind", ready).await;
    gateway.clear();
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_comes_from_a_secret_and_is_named_when_it_is_none() {
    let world = World::new("gateway-certificate").await;
    let spec = json!({
        "url": world.ground.url(), "tokenSecretRef": { "name": "default-token" },
        "clientCertificateSecretRef": { "name": "client" },
    });
    world.apply::<CoderInstance>("behind", spec).await;
    let instance = world.wait("behind", waiting::<CoderInstance>("SecretNotFound")).await;
    assert!(message(&instance, "Ready").contains(&format!("Secret {}/client", world.ns())));
    world
        .put_secret(
            world.ns(),
            "client",
            &[("tls.crt", "a certificate"), ("tls.key", "a key")],
        )
        .await;
    let instance = world.wait("behind", stalled::<CoderInstance>("InvalidSpec")).await;
    let said = message(&instance, "Stalled");
    assert!(
        said.contains("the client certificate and its key are not PEM"),
        "{said}"
    );
    world.finish().await;
}

//! TLS: a server is trusted when its authority is, and only then. The API server stands in for any HTTPS server.

use serde_json::json;

use coder_operator::api::CoderInstance;

use crate::support::{Coder, Operator, Settings, World, cluster, condition, message};

#[tokio::test(flavor = "multi_thread")]
async fn a_private_authority_is_trusted_when_it_is_named_and_only_then() {
    let world = World::new("tls").await;
    let says = |instance: &CoderInstance| {
        condition(instance, "Ready")
            .map(|ready| ready.message)
            .unwrap_or_default()
    };
    let spec = |more: serde_json::Value| {
        let mut spec = json!({ "url": world.ground.url(), "tokenSecretRef": { "name": "default-token" } });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    world.apply::<CoderInstance>("private", spec(json!({}))).await;
    world
        .wait::<CoderInstance>("private", |instance| {
            says(instance).contains("no trusted TLS connection")
        })
        .await;

    let config = world.ground.config("coder-operator").unwrap();
    let authority = config.root_cert.expect("the cluster's authority").remove(0);
    let pem = pem(&authority);
    world.put_secret(world.ns(), "ca", &[("ca.crt", &pem)]).await;
    world
        .apply::<CoderInstance>("private", spec(json!({ "caSecretRef": { "name": "ca" } })))
        .await;
    // Trusted now; that it is no Coder is another matter.
    let answered = |instance: &CoderInstance| {
        let says = says(instance);
        instance.metadata.generation == instance.status.as_ref().map(|status| status.common.observed_generation)
            && !says.is_empty()
            && !says.contains("TLS")
    };
    let instance = world.wait::<CoderInstance>("private", answered).await;
    assert!(says(&instance).contains("/buildinfo"), "{}", says(&instance));
    world.finish().await;
}

/// What the chart's value `ca` does: authorities that count for every connection.
#[tokio::test(flavor = "multi_thread")]
async fn an_authority_of_the_environment_is_trusted_by_all_instances() {
    let ground = cluster().await;
    let namespace = ground.namespace("tls-environment").await.unwrap();
    let authority = ground.config("coder-operator").unwrap().root_cert.unwrap().remove(0);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pem(&authority)).unwrap();
    let settings = Settings {
        environment: vec![("SSL_CERT_FILE".to_owned(), file.path().display().to_string())],
        ..Settings::watching(namespace.name())
    };
    let world = World {
        ground,
        coder: Coder::any().await,
        operator: Operator::start(ground, &settings).await,
        namespace,
        kube: ground.admin().unwrap(),
    };
    world.put_secret(world.ns(), "token", &[("token", "a-b")]).await;
    let spec = json!({ "url": ground.url(), "tokenSecretRef": { "name": "token" } });
    world.apply::<CoderInstance>("private", spec).await;
    // Trusted; that it is no Coder is another matter.
    let answered = |instance: &CoderInstance| message(instance, "Ready").contains("/buildinfo");
    let instance = world.wait::<CoderInstance>("private", answered).await;
    assert!(
        !message(&instance, "Ready").contains("TLS"),
        "{}",
        message(&instance, "Ready")
    );
    world.finish().await;
}

/// A certificate as text.
fn pem(der: &[u8]) -> String {
    use std::fmt::Write;
    let encoded = k8s_openapi::ByteString(der.to_vec());
    let base64 = serde_json::to_value(encoded).unwrap();
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in base64.as_str().unwrap().as_bytes().chunks(64) {
        writeln!(text, "{}", std::str::from_utf8(line).unwrap()).unwrap();
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

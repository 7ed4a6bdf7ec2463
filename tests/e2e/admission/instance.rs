//! `CoderInstance`.

use serde_json::json;

use super::table::{Bench, Rule, duration, secret, secret_name};

const KIND: &str = "CoderInstance";

pub(super) fn rules() -> Vec<Rule> {
    let (pem, map) = (json!({"name": "corp-ca"}), json!({"name": "corp-ca"}));
    let mut rules = vec![
        Rule::new(
            KIND,
            "spec",
            "url must start with https:// (or http:// with allowInsecureHTTP: true",
        )
        .refuses(json!({"url": "http://coder.example.com"}))
        .refuses(json!({"url": "http://coder.example.com", "allowInsecureHTTP": false}))
        .refuses(json!({"url": "ftp://coder.example.com", "allowInsecureHTTP": true}))
        .accepts(json!({"url": "http://coder.example.com", "allowInsecureHTTP": true}))
        .accepts(json!({"url": "https://coder.example.com"})),
        Rule::new(
            KIND,
            "spec.url",
            "must be an absolute URL such as https://coder.example.com",
        )
        .refuses(json!({"url": "https://"}))
        .refuses(json!({"url": "https:///path"}))
        .refuses(json!({"url": "https://:8443"}))
        .refuses(json!({"url": "https://a space.example.com"}))
        .accepts(json!({"url": "https://coder.example.com:8443/base"}))
        .accepts(json!({"url": "https://[2001:db8::1]:8443"})),
        Rule::new(
            KIND,
            "spec.url",
            "must have no user, query or fragment: the token belongs into tokenSecretRef",
        )
        .refuses(json!({"url": "https://ann@coder.example.com"}))
        .refuses(json!({"url": "https://ann:secret@coder.example.com"}))
        .refuses(json!({"url": "https://coder.example.com/?token=x"}))
        .refuses(json!({"url": "https://coder.example.com/#top"}))
        .accepts(json!({"url": "https://coder.example.com/"})),
        Rule::new(KIND, "spec", "set at most one of caSecretRef and caConfigMapRef")
            .refuses(json!({"caSecretRef": pem, "caConfigMapRef": map}))
            .accepts(json!({"caSecretRef": pem}))
            .accepts(json!({"caConfigMapRef": map})),
        duration(KIND, "spec.resyncInterval", "resyncInterval"),
        duration(KIND, "spec.minResyncInterval", "minResyncInterval"),
        duration(KIND, "spec.tokenExpiryWarning", "tokenExpiryWarning"),
        Rule::new(
            KIND,
            "spec",
            "clientCertificateSecretRef needs a url that starts with https://",
        )
        .refuses(json!({
            "url": "http://coder.example.com", "allowInsecureHTTP": true,
            "clientCertificateSecretRef": {"name": "gateway"},
        }))
        .accepts(json!({"clientCertificateSecretRef": {"name": "gateway"}})),
        Rule::new(
            KIND,
            "spec.feedInterval",
            "must be a duration longer than zero such as 5s or 1m, or Off",
        )
        .refuses(json!({"feedInterval": "off"}))
        .refuses(json!({"feedInterval": "0s"}))
        .refuses(json!({"feedInterval": "5"}))
        .accepts(json!({"feedInterval": "Off"}))
        .accepts(json!({"feedInterval": "5s"}))
        .accepts(json!({"feedInterval": "1m30s"})),
    ];
    for (path, field) in [
        ("spec.tokenSecretRef", "tokenSecretRef"),
        ("spec.caSecretRef", "caSecretRef"),
        ("spec.caConfigMapRef", "caConfigMapRef"),
    ] {
        rules.extend(secret(KIND, path, field));
    }
    for (path, field) in [
        ("spec.headersSecretRef", "headersSecretRef"),
        ("spec.clientCertificateSecretRef", "clientCertificateSecretRef"),
    ] {
        rules.push(secret_name(KIND, path, field));
    }
    rules
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_of_an_instance_refuses_and_accepts() {
    Bench::new("admission-instance").await.try_out(rules()).await;
}

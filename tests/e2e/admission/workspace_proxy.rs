//! `CoderWorkspaceProxy`.

use serde_json::json;

use super::table::{Bench, Rule, common, display_name, icon, metadata_name, names, secret};

const KIND: &str = "CoderWorkspaceProxy";

pub(super) fn rules() -> Vec<Rule> {
    let mut rules = common(KIND);
    rules.extend(names(KIND));
    rules.extend(secret(KIND, "spec.tokenSecret", "tokenSecret"));
    rules.extend([
        metadata_name(KIND)
            .refuses_named(&"x".repeat(33), json!({}))
            .accepts_named(&"x".repeat(32), json!({})),
        Rule::new(
            KIND,
            "",
            "\"primary\" is reserved by Coder for the deployment itself: choose another name",
        )
        .refuses_named("primary", json!({}))
        .refuses(json!({"name": "primary"}))
        .refuses(json!({"name": "Primary"}))
        .accepts_named("primary", json!({"name": "paris"})),
        display_name(KIND),
        icon(KIND, "spec.icon", "icon"),
        Rule::new(
            KIND,
            "spec.primaryAccessURL",
            "must be an absolute URL such as https://coder.example.com, without user, query or fragment",
        )
        .refuses(json!({"primaryAccessURL": "coder.example.com"}))
        .refuses(json!({"primaryAccessURL": "ftp://coder.example.com"}))
        .refuses(json!({"primaryAccessURL": "https:///path"}))
        .refuses(json!({"primaryAccessURL": "https://ann@coder.example.com"}))
        .refuses(json!({"primaryAccessURL": "https://coder.example.com/?x=1"}))
        .refuses(json!({"primaryAccessURL": "https://coder.example.com/#top"}))
        .accepts(json!({"primaryAccessURL": "https://coder.example.com:8443/base"}))
        .accepts(json!({"primaryAccessURL": "http://coder.coder.svc"})),
        Rule::new(
            KIND,
            "spec.tokenSecret",
            "holds the deployment's URL: choose another key for the token",
        )
        .refuses(json!({"tokenSecret": {"name": "paris", "key": "CODER_PRIMARY_ACCESS_URL"}}))
        .accepts(json!({"tokenSecret": {"name": "paris", "key": "CODER_PROXY_SESSION_TOKEN"}}))
        .accepts(json!({"tokenSecret": {"name": "paris"}})),
    ]);
    rules
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_of_a_workspace_proxy_refuses_and_accepts() {
    Bench::new("admission-proxy").await.try_out(rules()).await;
}

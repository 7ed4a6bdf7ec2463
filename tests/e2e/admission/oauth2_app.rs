//! `CoderOAuth2App`.

use serde_json::json;

use super::table::{Bench, Rule, common, icon, metadata_name, names, rotation, secret};

const KIND: &str = "CoderOAuth2App";

pub(super) fn rules() -> Vec<Rule> {
    let mut rules = common(KIND);
    rules.extend(names(KIND));
    rules.extend(secret(KIND, "spec.clientSecret", "clientSecret"));
    rules.extend(rotation(KIND));
    rules.extend([
        metadata_name(KIND),
        icon(KIND, "spec.icon", "icon"),
        Rule::new(
            KIND,
            "spec.callbackURL",
            "must be an absolute URL such as https://app.example.com/callback",
        )
        .refuses(json!({"callbackURL": "app.example.com"}))
        .refuses(json!({"callbackURL": "myapp://callback"}))
        .refuses(json!({"callbackURL": "https:///callback"}))
        .accepts(json!({"callbackURL": "http://localhost:8080/cb?a=b#f"})),
        Rule::new(
            KIND,
            "spec.clientSecret",
            "stand beside it: choose another key for the client secret",
        )
        .refuses(json!({"clientSecret": {"name": "app", "key": "CLIENT_ID"}}))
        .refuses(json!({"clientSecret": {"name": "app", "key": "TOKEN_URL"}}))
        .accepts(json!({"clientSecret": {"name": "app", "key": "CLIENT_SECRET"}})),
        Rule::new(KIND, "spec", "rotation says when a client secret is renewed")
            .refuses(json!({"clientSecret": null, "rotation": {"every": "90d"}}))
            .accepts(json!({"clientSecret": null}))
            .accepts(json!({"rotation": {"every": "90d"}})),
    ]);
    rules
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_of_an_oauth2_app_refuses_and_accepts() {
    Bench::new("admission-app").await.try_out(rules()).await;
}

//! `CoderDeploymentSettings`.

use serde_json::json;

use super::table::{Bench, Rule, common};

const KIND: &str = "CoderDeploymentSettings";

pub(super) fn rules() -> Vec<Rule> {
    let mut rules = common(KIND);
    rules.push(
        Rule::new(
            KIND,
            "spec",
            "set at least one of appearance, notifications, prebuilds and health",
        )
        .refuses(json!({"notifications": null}))
        .accepts(json!({"notifications": null, "health": {"dismissed": []}}))
        .accepts(json!({"notifications": {"methods": {"Workspace Deleted": "Webhook"}}}))
        .accepts(json!({"appearance": {"announcementBanners": [{"message": "x", "backgroundColor": "#A04852", "enabled": false}]}})),
    );
    rules
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_of_deployment_settings_refuses_and_accepts() {
    Bench::new("admission-settings").await.try_out(rules()).await;
}

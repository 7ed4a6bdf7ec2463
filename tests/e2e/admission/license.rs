//! `CoderLicense`.

use super::table::{Bench, Rule, common, duration, secret};

const KIND: &str = "CoderLicense";

pub(super) fn rules() -> Vec<Rule> {
    let mut rules = common(KIND);
    rules.push(duration(KIND, "spec.expiryWarning", "expiryWarning"));
    rules.extend(secret(KIND, "spec.licenseSecretRef", "licenseSecretRef"));
    rules
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_of_a_license_refuses_and_accepts() {
    Bench::new("admission-license").await.try_out(rules()).await;
}

//! The calls that the recorder made and did not record: they carry passwords and tokens, or are dull.

use std::time::Duration;

use serde_json::{Value, json};

use crate::conversation::Conversation;
use crate::recordings::Recording;

/// What every recorded user signs in with.
const PASSWORD: &str = "SomeSecurePassword!1";

/// After these steps the token that was just made belongs to an actor of this name.
const TOKENS: [(&str, &str); 5] = [
    ("for another user", "bot"),
    ("scopes: workspace:read", "bot-scoped"),
    ("lives for one second", "bot-short"),
    ("a token to be suspended", "ann-key"),
    ("a token of one to be deleted", "pay-key"),
];

impl Conversation {
    pub(crate) async fn unrecorded_before_part(&self, part: &str) {
        if part.starts_with("13") {
            // The calls that use up the limit of the path whose refusal is recorded.
            let owner = self.tokens.get("owner").cloned();
            for _ in 0..512 {
                self.send("GET", "/api/v2/users/ann", owner.as_deref(), None).await;
            }
        }
    }

    pub(crate) async fn unrecorded_before(&mut self, step: &str) {
        if step == "the log after organization sync settings" && self.recording == Recording::PeopleMain {
            // Only the limiter's counts show that the recorder looked twice.
            let owner = self.tokens.get("owner").cloned();
            for path in ["/api/v2/settings/idpsync/organization", "/api/v2/audit"] {
                self.send("GET", path, owner.as_deref(), None).await;
            }
        }
        if step == "the log after licences" {
            // And how long it waited.
            self.sim.clock().advance(Duration::from_millis(1300));
        }
        if step == "expired: used" {
            self.sim.clock().advance(Duration::from_secs(1));
        }
        // Each user of part 10 signed in once it had got its roles.
        if ["roles of ", "member roles of ", "site roles of "]
            .iter()
            .any(|roles| step.starts_with(roles))
        {
            return;
        }
        if let Some(name) = self.newcomer.take() {
            let session = self.log_in(&name, PASSWORD).await;
            self.tokens.insert(name, session);
        }
    }

    pub(crate) async fn unrecorded_after(&mut self, part: &str, step: &str, exchange: &Value) {
        if step == "first user" {
            self.make_operator_token().await;
        }
        if step == "refresh too soon" && !self.recording.is_about_people() {
            // The recorder looked, without a token, whether the licence was in force. Only the older server's limiter,
            // which counts by address, shows it.
            self.send("GET", "/api/v2/entitlements", None, None).await;
        }
        if let Some(name) = step.strip_prefix("user ")
            && part.starts_with("10")
        {
            self.newcomer = Some(name.to_owned());
        }
        if !self.recording.is_about_people() {
            return;
        }
        let body = &exchange["request"]["body"];
        if let (Some(name), "SomeSecurePassword!1") = (
            step.strip_prefix("create "),
            body["password"].as_str().unwrap_or_default(),
        ) {
            self.newcomer = Some(name.to_owned());
        }
        if step == "all groups" && part.starts_with("21") {
            // Only the limiter's counts show that the recorder looked once more.
            let path = self.translated(exchange);
            let owner = self.tokens.get("owner").cloned();
            self.send("GET", &path, owner.as_deref(), None).await;
        }
        if step == "the log after passwords" {
            let session = self.log_in("ann", "SomeSecurePassword!11").await;
            self.tokens.insert("ann".to_owned(), session);
        }
        if let Some((_, actor)) = TOKENS.iter().find(|(made, _)| *made == step) {
            let made: Value = serde_json::from_str(&self.last).expect("a token");
            let token = made["key"].as_str().expect("a token").to_owned();
            self.tokens.insert((*actor).to_owned(), token);
        }
    }

    /// After the first user the owner signed in and made a token.
    async fn make_operator_token(&mut self) {
        let session = self.log_in("owner", PASSWORD).await;
        let hours: i64 = if self.recording.is_about_people() { 100 } else { 1 };
        let body = json!({ "token_name": "operator", "lifetime": hours * 3_600_000_000_000 });
        let path = "/api/v2/users/me/keys/tokens";
        let answer = self.send("POST", path, Some(&session), Some(body)).await;
        let token = answer["key"].as_str().expect("a token").to_owned();
        self.tokens.insert("owner".to_owned(), token);
    }
}

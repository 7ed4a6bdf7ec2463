//! The table of rules, and how it is tried out.

use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use test_ground::Namespace;

use coder_operator::crds;

use crate::support::cluster;

/// A rule in a definition.
pub(super) struct Rule {
    kind: &'static str,
    path: &'static str,
    says: &'static str,
    attempts: Vec<Attempt>,
}

struct Attempt {
    /// What there is, for rules about changes.
    before: Option<Value>,
    object: Value,
    accepted: bool,
}

impl Rule {
    /// The rule of `kind` at `path` (empty for the whole object) whose message contains `says`.
    pub(super) fn new(kind: &'static str, path: &'static str, says: &'static str) -> Self {
        Self {
            kind,
            path,
            says,
            attempts: Vec::new(),
        }
    }

    /// A spec that it refuses: the least that is valid with these fields instead; `null` takes a field away.
    pub(super) fn refuses(self, spec: Value) -> Self {
        self.attempt(None, "tried", spec, false)
    }

    /// A spec that it accepts.
    pub(super) fn accepts(self, spec: Value) -> Self {
        self.attempt(None, "tried", spec, true)
    }

    /// An object of that name that it refuses.
    pub(super) fn refuses_named(self, name: &str, spec: Value) -> Self {
        self.attempt(None, name, spec, false)
    }

    /// An object of that name that it accepts.
    pub(super) fn accepts_named(self, name: &str, spec: Value) -> Self {
        self.attempt(None, name, spec, true)
    }

    /// A change that it refuses.
    pub(super) fn refuses_change(self, from: Value, to: Value) -> Self {
        self.attempt(Some(from), "tried", to, false)
    }

    /// A change that it accepts.
    pub(super) fn accepts_change(self, from: Value, to: Value) -> Self {
        self.attempt(Some(from), "tried", to, true)
    }

    /// A change of an object with that status that it refuses.
    pub(super) fn refuses_change_of(self, status: Value, from: Value, to: Value) -> Self {
        self.refuses_change(from, to).with_status(status)
    }

    /// A change of an object with that status that it accepts.
    pub(super) fn accepts_change_of(self, status: Value, from: Value, to: Value) -> Self {
        self.accepts_change(from, to).with_status(status)
    }

    /// Gives the object of the last attempt a status.
    fn with_status(mut self, status: Value) -> Self {
        if let Some(before) = self.attempts.last_mut().and_then(|last| last.before.as_mut()) {
            before["status"] = status;
        }
        self
    }

    fn attempt(mut self, before: Option<Value>, name: &str, spec: Value, accepted: bool) -> Self {
        let before = before.map(|before| object(self.kind, name, before));
        self.attempts.push(Attempt {
            before,
            object: object(self.kind, name, spec),
            accepted,
        });
        self
    }

    /// Whether it is that one.
    pub(super) fn is(&self, kind: &str, path: &str, message: &str) -> bool {
        self.kind == kind && self.path == path && message.contains(self.says)
    }
}

/// The rules that every kind has by its common fields.
pub(super) fn common(kind: &'static str) -> Vec<Rule> {
    vec![
        Rule::new(
            kind,
            "spec.instanceRef",
            "instanceRef cannot be changed: delete this object",
        )
        .refuses_change(json!({}), json!({"instanceRef": {"name": "other"}}))
        .refuses_change(
            json!({"instanceRef": {"name": "a"}}),
            json!({"instanceRef": {"name": "a", "namespace": "b"}}),
        )
        .refuses_change(json!({"instanceRef": {"name": "a"}}), json!({}))
        .accepts_change(
            json!({}),
            json!({"instanceRef": {"name": "default"}, "mode": "Observe"}),
        )
        .accepts_change(json!({"instanceRef": {}}), json!({})),
        duration(kind, "spec.resyncInterval", "resyncInterval"),
    ]
}

/// The rules of a rotation.
pub(super) fn rotation(kind: &'static str) -> Vec<Rule> {
    let within = |field: &'static str, path: &'static str| {
        let rule = Rule::new(
            kind,
            path,
            "must be a duration longer than zero such as 30s, 10m, 1h30m or 30d",
        );
        let refused = ["", "10", "1w", "0s"].into_iter();
        let rule = refused.fold(rule, |rule, text| rule.refuses(json!({"rotation": {field: text}})));
        let accepted = ["90d", "24h", "1h30m"].into_iter();
        accepted.fold(rule, |rule, text| rule.accepts(json!({"rotation": {field: text}})))
    };
    vec![
        within("every", "spec.rotation.every"),
        within("overlap", "spec.rotation.overlap"),
    ]
}

/// The name in Coder stays.
pub(super) fn name_stays(kind: &'static str) -> Rule {
    Rule::new(kind, "", "name cannot be changed, Coder renames nothing of this kind")
        .refuses_change(json!({"name": "a"}), json!({"name": "b"}))
        .refuses_change(json!({}), json!({"name": "b"}))
        .refuses_change(json!({"name": "a"}), json!({}))
        .accepts_change(json!({}), json!({"name": "tried"}))
        .accepts_change(json!({"name": "a"}), json!({"name": "a", "mode": "Observe"}))
}

/// The rule of a duration.
pub(super) fn duration(kind: &'static str, path: &'static str, field: &'static str) -> Rule {
    let rule = Rule::new(
        kind,
        path,
        "must be a duration longer than zero such as 30s, 10m, 1h30m or 30d",
    );
    let rule = ["", "10", "-5m", "1.5h", "10 m", "5m1h", "1w", "0s", "0h00m", "9999999d"]
        .into_iter()
        .fold(rule, |rule, text| rule.refuses(json!({field: text})));
    ["30s", "10m", "1h30m", "30d", "1d2h3m4s", "999999d"]
        .into_iter()
        .fold(rule, |rule, text| rule.accepts(json!({field: text})))
}

/// The rules of `spec.name`.
pub(super) fn names(kind: &'static str) -> Vec<Rule> {
    let pattern = Rule::new(kind, "spec.name", "letters, digits and single hyphens between them");
    let pattern = [
        "under_score",
        "dot.name",
        "two--hyphens",
        "-first",
        "last-",
        "a space",
        "ünicode",
    ]
    .into_iter()
    .fold(pattern, |rule, name| rule.refuses(json!({"name": name})));
    vec![
        ["a", "Alpha-2", "x1-y2-z3", "default2"]
            .into_iter()
            .fold(pattern, |rule, name| rule.accepts(json!({"name": name}))),
        Rule::new(
            kind,
            "spec.name",
            "\"new\" and \"create\" are reserved by Coder: choose another name",
        )
        .refuses(json!({"name": "new"}))
        .refuses(json!({"name": "create"}))
        .accepts(json!({"name": "newer"})),
    ]
}

/// The rule of `metadata.name` where it stands in for `spec.name`.
pub(super) fn metadata_name(kind: &'static str) -> Rule {
    ["new", "create", "dotted.name", "two--hyphens"].into_iter().fold(
        Rule::new(kind, "", "metadata.name is no valid Coder name")
            .accepts_named("a-valid-name", json!({}))
            .accepts_named("dotted.name", json!({"name": "given"})),
        |rule, name| rule.refuses_named(name, json!({})),
    )
}

/// The rule of the name of a Secret or `ConfigMap`.
pub(super) fn secret_name(kind: &'static str, path: &'static str, field: &'static str) -> Rule {
    let name = Rule::new(
        kind,
        format!("{path}.name").leak(),
        "no Secret or ConfigMap can have that name: use lower-case letters",
    );
    let name = [
        "Paris_Proxy",
        "paris proxy",
        "-paris",
        "paris-",
        "paris..token",
        ".paris",
        "pärïs",
        "a/b",
    ]
    .into_iter()
    .fold(name, |rule, name| rule.refuses(json!({field: {"name": name}})));
    let longest = "x".repeat(253);
    ["paris", "paris-proxy", "1.paris-2.example", "x", &longest]
        .into_iter()
        .fold(name, |rule, name| rule.accepts(json!({field: {"name": name}})))
}

/// The rules of a reference to a key of a Secret or `ConfigMap`.
pub(super) fn secret(kind: &'static str, path: &'static str, field: &'static str) -> Vec<Rule> {
    let longest = "x".repeat(253);
    let key_path = format!("{path}.key").leak();
    let key = Rule::new(
        kind,
        key_path,
        "no Secret or ConfigMap can have that key: use letters, digits",
    );
    let key = ["a key", "a/b", "schlüssel", ".", "..", "..data", "a:b"]
        .into_iter()
        .fold(key, |rule, key| {
            rule.refuses(json!({field: {"name": "paris", "key": key}}))
        });
    let key = ["token", "CODER_TOKEN", "ca.crt", "-x", ".hidden", &longest]
        .into_iter()
        .fold(key, |rule, key| {
            rule.accepts(json!({field: {"name": "paris", "key": key}}))
        });
    vec![secret_name(kind, path, field), key]
}

/// The rule of `spec.displayName`.
pub(super) fn display_name(kind: &'static str) -> Rule {
    Rule::new(kind, "spec.displayName", "at most 64 bytes and no space at either end")
        .refuses(json!({"displayName": " leading"}))
        .refuses(json!({"displayName": "trailing "}))
        .refuses(json!({"displayName": "\ttab"}))
        // 33 letters of two bytes each: few enough letters, too many bytes.
        .refuses(json!({"displayName": "ä".repeat(33)}))
        .accepts(json!({"displayName": "ä".repeat(32)}))
        .accepts(json!({"displayName": "x".repeat(64)}))
        .accepts(json!({"displayName": "With spaces inside"}))
        .accepts(json!({"displayName": "x"}))
}

/// The rule of icons and avatars.
pub(super) fn icon(kind: &'static str, path: &'static str, field: &'static str) -> Rule {
    Rule::new(
        kind,
        path,
        "must be a URL or a path such as /emojis/1f680.png, without spaces",
    )
    .refuses(json!({field: "/emojis/rocket ship.png"}))
    .refuses(json!({field: " /emojis/1f680.png"}))
    .refuses(json!({field: "/emojis/1f680.png\n"}))
    .accepts(json!({field: "/emojis/1f680.png"}))
    .accepts(json!({field: "https://example.com/icon.png?size=64#top"}))
}

/// The least valid object of a kind, with these fields instead.
pub(super) fn object(kind: &str, name: &str, spec: Value) -> Value {
    let mut least = match kind {
        "CoderInstance" => json!({"url": "https://coder.example.com", "tokenSecretRef": {"name": "coder-token"}}),
        "CoderGroup" | "CoderCustomRole" => json!({"organization": "default"}),
        "CoderOrganizationMember" => json!({"organization": "default", "user": "ann"}),
        "CoderGroupSync" | "CoderRoleSync" => json!({"organization": "default", "field": "claim"}),
        "CoderTemplateAccess" => json!({"organization": "default", "template": "web", "groups": {}}),
        "CoderDeploymentSettings" => json!({"notifications": {"paused": false}}),
        "CoderOrganizationSync" => json!({"field": "claim"}),
        "CoderProvisionerKey" => json!({"organization": "default", "keySecret": {"name": "cluster-key"}}),
        "CoderOAuth2App" => json!({
            "callbackURL": "https://app.example.com/callback", "clientSecret": {"name": "app-secret"},
        }),
        "CoderLicense" => json!({"licenseSecretRef": {"name": "coder-license"}}),
        "CoderWorkspaceProxy" => json!({
            "displayName": "Paris", "icon": "/emojis/1f1eb-1f1f7.png", "tokenSecret": {"name": "paris-token"},
        }),
        _ => json!({}),
    };
    let fields = least.as_object_mut().unwrap();
    let Value::Object(changes) = spec else {
        panic!("a spec is an object")
    };
    for (field, value) in changes {
        if value.is_null() {
            fields.remove(&field);
        } else {
            fields.insert(field, value);
        }
    }
    json!({
        "apiVersion": "coder-operator.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": least,
    })
}

/// Why the API server refuses an object.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The path of the field.
    pub(super) field: String,
    pub(super) message: String,
}

/// A namespace to try things out in, in which no operator works.
pub(super) struct Bench {
    client: kube::Client,
    namespace: Namespace,
}

impl Bench {
    pub(super) async fn new(test: &str) -> Self {
        let ground = cluster().await;
        Self {
            client: ground.admin().unwrap(),
            namespace: ground.namespace(test).await.unwrap(),
        }
    }

    pub(super) fn api(&self, kind: &str) -> Api<DynamicObject> {
        let definitions = crds::all();
        let names = &definitions
            .iter()
            .find(|one| one.spec.names.kind == kind)
            .expect("a kind")
            .spec
            .names;
        let kind = GroupVersionKind::gvk("coder-operator.dev", "v1alpha1", kind);
        let resource = ApiResource::from_gvk_with_plural(&kind, &names.plural);
        Api::namespaced_with(self.client.clone(), self.namespace.name(), &resource)
    }

    /// Whether the API server would take the object; nothing is stored.
    pub(super) async fn create(&self, object: &Value) -> Result<DynamicObject, Vec<Refusal>> {
        let api = self.api(object["kind"].as_str().unwrap());
        let dry = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        api.create(&dry, &serde_json::from_value(object.clone()).unwrap())
            .await
            .map_err(refusals)
    }

    /// Whether it would take `after` in the place of `before`.
    pub(super) async fn change(&self, before: &Value, after: &Value) -> Result<DynamicObject, Vec<Refusal>> {
        let api = self.api(before["kind"].as_str().unwrap());
        let name = before["metadata"]["name"].as_str().unwrap();
        let stored = api
            .patch(name, &PatchParams::apply("test").force(), &Patch::Apply(before))
            .await;
        let mut stored = stored.unwrap_or_else(|error| panic!("{before}: {error}"));
        if let Some(status) = before.get("status") {
            let status = Patch::Merge(json!({ "status": status }));
            stored = api.patch_status(name, &PatchParams::default(), &status).await.unwrap();
        }
        let dry = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let mut after: DynamicObject = serde_json::from_value(after.clone()).unwrap();
        after.metadata.resource_version = stored.metadata.resource_version;
        let result = api.replace(name, &dry, &after).await.map_err(refusals);
        api.delete(name, &kube::api::DeleteParams::default()).await.unwrap();
        result
    }

    /// Tries everything in the table.
    pub(super) async fn try_out(self, rules: Vec<Rule>) {
        for rule in rules {
            let Rule {
                kind,
                path,
                says,
                attempts,
            } = rule;
            assert!(
                attempts.iter().any(|one| one.accepted),
                "{kind} {path} ({says}): nothing that is accepted"
            );
            assert!(
                attempts.iter().any(|one| !one.accepted),
                "{kind} {path} ({says}): nothing that is refused"
            );
            for Attempt {
                before,
                object,
                accepted,
            } in attempts
            {
                let result = match &before {
                    Some(before) => self.change(before, &object).await,
                    None => self.create(&object).await,
                };
                let what = before.map_or_else(|| object.to_string(), |before| format!("{before} → {object}"));
                match result {
                    Ok(_) => assert!(accepted, "accepted, though {kind} {path} must say \"{says}\": {what}"),
                    Err(why) if accepted => panic!("refused: {what}\n{why:#?}"),
                    Err(why) => match why.as_slice() {
                        [one] => {
                            assert!(one.message.contains(says), "not \"{says}\": {what}\n{why:#?}");
                            assert_eq!(one.field, path, "{what}\n{why:#?}");
                        }
                        _ => panic!("not refused for one reason: {what}\n{why:#?}"),
                    },
                }
            }
        }
        self.finish().await;
    }

    pub(super) async fn finish(self) {
        self.namespace.finish().await.unwrap();
    }
}

fn refusals(error: kube::Error) -> Vec<Refusal> {
    let kube::Error::Api(status) = error else {
        panic!("the API server does not answer: {error}")
    };
    assert_eq!(status.code, 422, "{status:?}");
    let causes = status.details.map(|details| details.causes).unwrap_or_default();
    assert!(!causes.is_empty(), "a refusal without a cause: {}", status.message);
    let root = |field: String| if field == "<nil>" { String::new() } else { field };
    causes
        .into_iter()
        .map(|cause| Refusal {
            field: root(cause.field),
            message: cause.message,
        })
        .collect()
}

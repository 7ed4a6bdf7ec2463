//! Every recorded exchange of a known route, played to the client by a local server.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Body, extract::Request, http::Response, routing::any};
use coder_operator::coder::{
    Client, Config, CreateGroup, CreateOrganization, CreateProvisionerKey, CreateProxy, Error, GroupSyncSettings,
    IdpSync, LicenseClaims, OrganizationId, OrganizationRef, OrganizationSyncSettings, PutOAuth2App, RoleSyncSettings,
    ShareableOwners, UpdateGroup, UpdateOrganization, UpdateProxy,
};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::Value;

use crate::recordings::{Exchange, SERVERS, of};

/// The one request that has an answer, and the answer. Any other is to a route that this server does not have.
#[derive(Default)]
struct Stage {
    request: String,
    status: u16,
    content_type: Option<String>,
    body: Vec<u8>,
}

struct Server {
    url: String,
    stage: Arc<Mutex<Stage>>,
}

impl Server {
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let stage = Arc::new(Mutex::new(Stage::default()));
        let shared = stage.clone();
        let answer = move |request: Request| {
            let stage = shared.lock().unwrap();
            if stage.request != format!("{} {}", request.method(), request.uri().path()) {
                let body = Body::from(r#"{"message":"Route not found."}"#);
                let response = Response::builder()
                    .status(404)
                    .header("content-type", "application/json")
                    .body(body);
                return std::future::ready(response.unwrap());
            }
            let mut response = Response::builder().status(stage.status);
            if let Some(content_type) = &stage.content_type {
                response = response.header("content-type", content_type);
            }
            std::future::ready(response.body(Body::from(stage.body.clone())).unwrap())
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            axum::serve(listener, Router::new().fallback(any(answer)))
                .await
                .unwrap();
        });
        Self { url, stage }
    }

    /// A client without a memory of earlier answers.
    fn client(&self) -> Client {
        Client::new(Config::new(self.url.parse().unwrap(), SecretString::from("id-secret"))).unwrap()
    }

    fn set(&self, exchange: &Exchange) {
        *self.stage.lock().unwrap() = Stage {
            request: format!(
                "{} {}",
                exchange.request.method,
                exchange.request.path.split('?').next().unwrap()
            ),
            status: exchange.response.status,
            content_type: exchange.header("content-type").map(str::to_owned),
            body: exchange.body(),
        };
    }
}

/// Nothing of the answer but whether it was understood, and what it listed where that can be counted.
type Outcome = Result<Option<usize>, Error>;

fn some<T>(result: Result<T, Error>) -> Outcome {
    result.map(|_| None)
}

fn count<T>(result: Result<Vec<T>, Error>) -> Outcome {
    result.map(|list| Some(list.len()))
}

/// A read of one object: that it is absent is an answer too, which the caller of this compares with the status.
fn found<T>(result: Result<Option<T>, Error>) -> Outcome {
    result.map(|found| Some(usize::from(found.is_some())))
}

/// Makes the recorded call with the client; none if the client does not know the route.
async fn call(client: &Client, exchange: &Exchange) -> Option<Outcome> {
    let path = exchange.request.path.strip_prefix("/api/v2/")?;
    let text = |key: &str| exchange.request.body[key].as_str().unwrap_or_default().to_owned();
    let segments: Vec<&str> = path.split('/').collect();
    Some(match (exchange.request.method.as_str(), segments.as_slice()) {
        ("GET", ["buildinfo"]) => some(client.build_info().await),
        ("GET", ["entitlements"]) => some(client.entitlements().await),
        ("GET", ["users", "me"]) => some(client.me().await),
        ("GET", ["users", name]) if name.parse::<uuid::Uuid>().is_err() && *name != "first" && !name.contains('?') => {
            found(client.user_by_username(name).await)
        }
        ("GET", ["users?q=ann"]) => found(client.user_by_email("ann").await),
        ("GET", ["organizations"]) => count(client.list_organizations().await),
        ("POST", ["organizations"]) => some(client.create_organization(&CreateOrganization::default()).await),
        ("GET", ["organizations", organization]) => {
            let organization: OrganizationRef = organization.parse().unwrap();
            found(client.get_organization(&organization).await)
        }
        ("PATCH", ["organizations", id]) => some(
            client
                .update_organization(id.parse().ok()?, &UpdateOrganization::default())
                .await,
        ),
        ("DELETE", ["organizations", id]) => some(client.delete_organization(id.parse().ok()?).await),
        ("GET", ["organizations", id, "groups"]) => count(client.list_groups(id.parse().ok()?).await),
        ("POST", ["organizations", id, "groups"]) => {
            some(client.create_group(id.parse().ok()?, &CreateGroup::default()).await)
        }
        ("GET", ["organizations", organization, "groups", name]) => {
            found(client.get_group_by_name(&organization.parse().unwrap(), name).await)
        }
        ("GET", ["groups"]) => count(client.list_all_groups().await),
        ("GET", ["groups", id]) => found(client.get_group(id.parse().ok()?).await),
        ("PATCH", ["groups", id]) => some(client.update_group(id.parse().ok()?, &UpdateGroup::default()).await),
        ("DELETE", ["groups", id]) => some(client.delete_group(id.parse().ok()?).await),
        ("GET", ["licenses"]) => count(client.list_licenses().await),
        ("POST", ["licenses"]) => some(client.add_license(&SecretString::from(text("license"))).await),
        ("DELETE", ["licenses", id]) => some(client.delete_license(id.parse().ok()?).await),
        ("GET", ["workspaceproxies"]) => some(client.list_proxies().await),
        ("POST", ["workspaceproxies"]) => some(client.create_proxy(&CreateProxy::default()).await),
        ("GET", ["workspaceproxies", id]) => found(client.get_proxy(id.parse().ok()?).await),
        ("PATCH", ["workspaceproxies", id]) => {
            let request = UpdateProxy {
                id: id.parse().ok()?,
                name: text("name"),
                display_name: text("display_name"),
                icon: text("icon"),
            };
            if exchange.request.body["regenerate_token"] == Value::Bool(true) {
                let token = client
                    .regenerate_proxy_token(&request)
                    .await
                    .map(|answer| answer.proxy_token.expect("a new token"));
                some(token)
            } else {
                some(client.update_proxy(&request).await)
            }
        }
        ("DELETE", ["workspaceproxies", id]) => some(client.delete_proxy(id.parse().ok()?).await),
        (method, ["organizations", id, "settings", "idpsync", "groups", rest @ ..]) => {
            sync::<GroupSyncSettings>(client, method, Some(id.parse().ok()?), rest).await?
        }
        (method, ["organizations", id, "settings", "idpsync", "roles", rest @ ..]) => {
            sync::<RoleSyncSettings>(client, method, Some(id.parse().ok()?), rest).await?
        }
        (method, ["settings", "idpsync", "organization", rest @ ..]) => {
            sync::<OrganizationSyncSettings>(client, method, None, rest).await?
        }
        ("GET", ["organizations", id, "provisionerkeys", "daemons"]) => {
            count(client.list_provisioner_keys(id.parse().ok()?).await)
        }
        ("POST", ["organizations", id, "provisionerkeys"]) => {
            let request = CreateProvisionerKey::default();
            let made = client.create_provisioner_key(id.parse().ok()?, &request).await;
            some(made.map(|key| key.expect("a key")))
        }
        ("DELETE", ["organizations", id, "provisionerkeys", name]) if !name.contains('%') => {
            some(client.delete_provisioner_key(id.parse().ok()?, name).await)
        }
        (method, ["oauth2-provider", "apps", rest @ ..]) => oauth2(client, method, rest).await?,
        ("GET", ["organizations", id, "settings", "workspace-sharing"]) => {
            some(client.workspace_sharing(id.parse().ok()?).await)
        }
        ("PATCH", ["organizations", id, "settings", "workspace-sharing"]) => some(
            client
                .update_workspace_sharing(id.parse().ok()?, &ShareableOwners::Everyone)
                .await,
        ),
        ("GET", ["organizations", id, "members"]) => {
            // Its successor is asked for first, and this server does not have it.
            some(client.list_members(id.parse().ok()?).await)
        }
        ("GET", ["organizations", id, rest]) if rest.starts_with("paginated-members") => {
            some(client.list_members(id.parse().ok()?).await)
        }
        _ => return None,
    })
}

/// The calls of OAuth2 applications and their client secrets.
async fn oauth2(client: &Client, method: &str, rest: &[&str]) -> Option<Outcome> {
    Some(match (method, rest) {
        ("GET", []) => count(client.list_oauth2_apps().await),
        ("POST", []) => some(client.create_oauth2_app(&PutOAuth2App::default()).await),
        ("PUT", [id]) => some(
            client
                .update_oauth2_app(id.parse().ok()?, &PutOAuth2App::default())
                .await,
        ),
        ("DELETE", [id]) => some(client.delete_oauth2_app(id.parse().ok()?).await),
        ("GET", [id, "secrets"]) => count(client.list_oauth2_secrets(id.parse().ok()?).await),
        ("POST", [id, "secrets"]) => {
            let made = client.create_oauth2_secret(id.parse().ok()?).await;
            some(made.map(|made| made.client_secret_full.expect("a client secret")))
        }
        ("DELETE", [id, "secrets", secret]) => some(client.delete_oauth2_secret(id.parse().ok()?, secret).await),
        _ => return None,
    })
}

/// The calls of a setting by which Coder follows the identity provider.
async fn sync<S: IdpSync>(
    client: &Client,
    method: &str,
    within: Option<OrganizationId>,
    rest: &[&str],
) -> Option<Outcome> {
    Some(match (method, rest) {
        ("GET", []) => some(client.idp_sync::<S>(within).await),
        ("PATCH", []) => some(client.replace_idp_sync(within, &S::initial()).await),
        ("PATCH", ["config"]) => some(client.update_idp_sync_config(within, &S::initial()).await),
        ("PATCH", ["mapping"]) => some(client.update_idp_sync_mapping::<S>(within, &[], &[]).await),
        _ => return None,
    })
}

/// What is wrong with how the client took an exchange.
fn fault(exchange: &Exchange, outcome: &Outcome) -> Option<String> {
    let Exchange { response, .. } = exchange;
    match outcome {
        // Absent: also said with 400 by the older server.
        Ok(Some(0)) if matches!(response.status, 400 | 404) => None,
        Ok(_) if response.status >= 400 => Some("a refusal was taken for a success".into()),
        Ok(Some(count)) => {
            let expected = match &response.body {
                Value::Array(list) => list.len(),
                Value::Null => 0,
                object if object["deleted"] == Value::Bool(true) => 0,
                // The search by address: what it found has another one.
                object if object["users"].is_array() => 0,
                _ => 1,
            };
            (*count != expected).then(|| format!("{count} of {expected} were read"))
        }
        Ok(None) => None,
        Err(error) if response.status < 400 => Some(format!("not understood: {error}")),
        Err(error) => (error.status() != Some(response.status)).then(|| format!("another refusal: {error}")),
    }
}

#[tokio::test]
async fn every_recorded_answer_of_a_known_route_is_understood() {
    let server = Server::start().await;
    for name in SERVERS {
        let exchanges = of(name);
        let (mut known, mut bodies, mut faults) = (0, 0, Vec::new());
        for exchange in &exchanges {
            server.set(exchange);
            let Some(outcome) = call(&server.client(), exchange).await else {
                continue;
            };
            known += 1;
            bodies += usize::from(exchange.response.status < 400);
            if let Some(fault) = fault(exchange, &outcome) {
                faults.push(format!("{}: {}: {fault}", exchange.file, exchange.step));
            }
        }
        println!(
            "{name}: {} of {known} exchanges on known routes understood ({bodies} answers, {} refusals), of {} recorded",
            known - faults.len(),
            known - bodies,
            exchanges.len()
        );
        assert!(faults.is_empty(), "{}", faults.join("\n"));
        assert!(
            bodies > 100 && known - bodies > 50,
            "the routes no longer match the recordings"
        );
    }
}

#[test]
fn a_licence_is_recognised_by_its_claims() {
    for server in SERVERS {
        let mut stored = 0;
        for exchange in of(server)
            .iter()
            .filter(|exchange| exchange.request.path == "/api/v2/licenses" && exchange.response.status == 201)
        {
            let jwt = SecretString::from(exchange.request.body["license"].as_str().unwrap());
            let license: coder_operator::coder::License = serde_json::from_slice(&exchange.body()).unwrap();
            let claims = LicenseClaims::decode(&jwt).unwrap();
            assert_eq!(claims.digest(), license.digest(), "{}", exchange.step);
            assert_eq!(
                claims.jti().map(str::to_owned),
                license.uuid.map(|uuid| uuid.to_string())
            );
            assert_eq!(
                claims.refusals(license.uploaded_at.unwrap(), None),
                [],
                "{}",
                exchange.step
            );
            stored += 1;
        }
        assert!(stored >= 3, "{stored}");
    }
}

#[test]
fn what_the_server_refuses_without_a_reason_has_one_here() {
    let now: Timestamp = "2026-11-22T08:14:05Z".parse().unwrap();
    for server in SERVERS {
        let mut reasons = Vec::new();
        for exchange in of(server)
            .iter()
            .filter(|exchange| exchange.response.body["message"] == "Invalid license")
        {
            let jwt = SecretString::from(exchange.request.body["license"].as_str().unwrap());
            let reason = match LicenseClaims::decode(&jwt) {
                Err(error) => error.to_string(),
                Ok(claims) => claims
                    .refusals(now, None)
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(", "),
            };
            reasons.push(format!("{}: {reason}", exchange.step));
        }
        println!("{server}: {reasons:#?}");
        assert!(
            reasons.iter().any(|reason| reason.contains("three parts")),
            "{reasons:?}"
        );
        assert!(
            reasons.iter().any(|reason| reason.contains("expired at")),
            "{reasons:?}"
        );
    }
}

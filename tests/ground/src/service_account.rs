//! What a pod would have: the identity of a service account, with a token that the API server signed.

use std::path::PathBuf;

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{Api, api::PostParams};

use crate::{ControlPlane, Error, Result, User, run_dir, user};

/// Longer than any test; a pod's is renewed every hour.
const VALID_FOR_SECONDS: i64 = 24 * 60 * 60;

impl ControlPlane {
    /// Asks the API server for a token of that service account, which must exist, and returns the path of a kubeconfig
    /// file with it. The token ends with the service account.
    pub async fn service_account(&self, namespace: &str, name: &str) -> Result<PathBuf> {
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                expiration_seconds: Some(VALID_FOR_SECONDS),
                ..TokenRequestSpec::default()
            }),
            ..TokenRequest::default()
        };
        let answer = Api::<ServiceAccount>::namespaced(self.admin()?, namespace)
            .create_token_request(name, &PostParams::default(), &request)
            .await
            .map_err(Error::kube(format!("no token for service account {namespace}/{name}")))?;
        let user = User {
            name: format!("system:serviceaccount:{namespace}:{name}"),
            groups: Vec::new(),
            token: answer.status.and_then(|it| it.token).unwrap_or_default(),
        };
        let path = self.directory().join(user::kubeconfig_name(&user.name));
        run_dir::write(&path, self.kubeconfig_for(&user)?)?;
        Ok(path)
    }
}

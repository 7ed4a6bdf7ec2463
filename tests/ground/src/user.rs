//! Who may talk to the API server, and with what rights.
//!
//! Users have static tokens, because those need no second authority and no clock; a service account gets its token from
//! the API server, as a pod's is made. Rights come from RBAC alone, as in a real cluster: only the administrator and the
//! controllers are in a group that RBAC knows by itself.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::json;

/// A user that a control plane knows from its start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The user name that RBAC bindings name.
    pub name: String,
    /// Groups besides `system:authenticated`.
    pub groups: Vec<String>,
    pub(crate) token: String,
}

impl User {
    /// May do anything (`system:masters`).
    pub const ADMIN: &'static str = "admin";
    /// What the controllers run as: in a cluster each has a role of its own, which nothing here depends on.
    pub(crate) const CONTROLLERS: &'static str = "system:kube-controller-manager";
    /// What the operator runs as: in no group, so it may do what the bindings of the test allow.
    pub const OPERATOR: &'static str = "coder-operator";
    /// Ordinary users without any rights of their own.
    pub const ORDINARY: [&'static str; 3] = ["alice", "bob", "carol"];

    /// A user with a random token.
    #[must_use]
    pub fn new(name: &str, groups: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            groups: groups.iter().map(|it| (*it).to_owned()).collect(),
            token: format!("{:032x}", rand::random::<u128>()),
        }
    }

    /// The users that every control plane has.
    pub(crate) fn defaults() -> Vec<Self> {
        let mut users = vec![
            Self::new(Self::ADMIN, &["system:masters"]),
            Self::new(Self::CONTROLLERS, &["system:masters"]),
            Self::new(Self::OPERATOR, &[]),
        ];
        users.extend(Self::ORDINARY.map(|name| Self::new(name, &[])));
        users
    }
}

/// The file for `--token-auth-file`: token, user, uid, groups.
pub(crate) fn token_file(users: &[User]) -> String {
    users.iter().fold(String::new(), |mut text, user| {
        let groups = user.groups.join(",");
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{},{name},{name},\"{groups}\"", user.token, name = user.name);
        text
    })
}

/// The name of a user's kubeconfig file, without colons: they separate paths in `KUBECONFIG`, and service accounts have
/// them in their names.
pub(crate) fn kubeconfig_name(user: &str) -> String {
    format!("{}.kubeconfig", user.replace(':', "-"))
}

/// A self-contained kubeconfig for one user.
pub(crate) fn kubeconfig(server: &str, ca: &str, user: &User) -> serde_json::Value {
    let ca = k8s_openapi::ByteString(ca.as_bytes().to_vec());
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": user.name,
        "clusters": [{"name": "ground", "cluster": {"server": server, "certificate-authority-data": ca}}],
        "users": [{"name": user.name, "user": {"token": user.token}}],
        "contexts": [{"name": user.name, "context": {"cluster": "ground", "user": user.name}}],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_administrator_and_the_controllers_are_in_a_group() {
        let users = User::defaults();
        let grouped = users.iter().filter(|it| !it.groups.is_empty());
        let names: Vec<_> = grouped.map(|it| it.name.as_str()).collect();
        assert_eq!(names, [User::ADMIN, User::CONTROLLERS]);
    }

    #[test]
    fn groups_are_one_quoted_column() {
        let user = User::new("eve", &["a", "b"]);
        assert_eq!(
            token_file(std::slice::from_ref(&user)),
            format!("{},eve,eve,\"a,b\"\n", user.token)
        );
    }
}

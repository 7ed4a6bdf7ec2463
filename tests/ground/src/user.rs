//! Who may talk to the API server, and with what rights.
//!
//! Static tokens, because they need no second authority and no clock. Rights come from RBAC alone, as in a real cluster:
//! only the administrator is in a group that RBAC knows by itself.

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
    fn only_the_administrator_is_in_a_group() {
        let grouped: Vec<_> = User::defaults()
            .into_iter()
            .filter(|it| !it.groups.is_empty())
            .collect();
        assert_eq!(grouped.len(), 1);
        assert_eq!(grouped[0].name, User::ADMIN);
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

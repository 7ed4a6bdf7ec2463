//! What is declared: so many custom resources of these kinds.

use std::collections::BTreeSet;
use std::fmt;

use clap::ValueEnum;
use serde_json::{Value, json};

/// Organizations that Coder has from the start.
pub(crate) const ORGANIZATIONS: usize = 10;
/// Users, all of them members of all those organizations.
pub(crate) const USERS: usize = 300;
const MEMBERS: usize = 3;

/// Which kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mix {
    /// Groups of three in ten organizations.
    Groups,
    /// Of twenty: an organization, a workspace proxy, nine groups in that organization, nine groups as above.
    Mixed,
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Groups => "groups",
            Self::Mixed => "mixed",
        })
    }
}

/// A kind that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Organization,
    Proxy,
    Group,
}

impl Kind {
    /// Its name in Kubernetes.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Organization => "CoderOrganization",
            Self::Proxy => "CoderWorkspaceProxy",
            Self::Group => "CoderGroup",
        }
    }
}

/// One custom resource.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    /// Name in Coder of the organization that a group belongs to.
    pub(crate) organization: String,
    /// Numbers of the users who belong to a group.
    pub(crate) members: Vec<usize>,
    pub(crate) spec: Value,
}

/// All that is declared.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) mix: Mix,
    pub(crate) objects: Vec<Declared>,
}

impl Load {
    pub(crate) fn new(mix: Mix, objects: usize) -> Self {
        let declared = |number| match mix {
            Mix::Groups => group(number),
            Mix::Mixed => mixed(number),
        };
        Self {
            mix,
            objects: (0..objects).map(declared).collect(),
        }
    }

    /// The kinds among them.
    pub(crate) fn kinds(&self) -> BTreeSet<Kind> {
        self.objects.iter().map(|object| object.kind).collect()
    }
}

/// The name of an organization that Coder has from the start.
pub(crate) fn team(number: usize) -> String {
    format!("team-{}", number % ORGANIZATIONS)
}

/// The name of a user.
pub(crate) fn user(number: usize) -> String {
    format!("user-{number}")
}

/// A group of three in one of the ten organizations.
pub(crate) fn group(number: usize) -> Declared {
    let members: Vec<usize> = (0..MEMBERS).map(|member| (number * MEMBERS + member) % USERS).collect();
    let names: Vec<String> = members.iter().map(|member| user(*member)).collect();
    Declared {
        kind: Kind::Group,
        name: format!("group-{number}"),
        organization: team(number),
        members,
        spec: json!({
            "organization": team(number), "quotaAllowance": 5, "members": names, "deletionPolicy": "Delete",
        }),
    }
}

fn mixed(number: usize) -> Declared {
    let organization = format!("org-{}", number / 20);
    match number % 20 {
        0 => Declared {
            kind: Kind::Organization,
            name: organization.clone(),
            organization,
            members: Vec::new(),
            spec: json!({ "deletionPolicy": "Delete" }),
        },
        1 => {
            let name = format!("proxy-{number}");
            Declared {
                kind: Kind::Proxy,
                spec: json!({
                    "displayName": name, "icon": "/emojis/1f680.png", "deletionPolicy": "Delete",
                    "tokenSecret": { "name": name },
                }),
                name,
                organization: String::new(),
                members: Vec::new(),
            }
        }
        2..=10 => Declared {
            kind: Kind::Group,
            name: format!("group-{number}"),
            members: Vec::new(),
            spec: json!({
                "organizationRef": { "name": organization }, "quotaAllowance": 5, "deletionPolicy": "Delete",
            }),
            organization,
        },
        _ => group(number),
    }
}

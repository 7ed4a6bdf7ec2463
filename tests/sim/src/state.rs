//! Everything the simulated deployment remembers, and the functions that change it.
//!
//! The HTTP handlers decide who may do what and how it is answered; what a change does to the data is here, so that a
//! test acting behind the server's back ([`crate::Sim`]) does the same thing as a call.
//!
//! Rows carry a `seq`, renewed by every write. Lists that the real server does not sort come in the order of its table,
//! where a written row moves to the end: sorting by `seq` reproduces that (recordings 02, 05 and 10).

mod api_keys;
mod audited;
mod entitlements;
mod groups;
mod idpsync;
mod licenses;
mod members;
mod organizations;
mod process;
mod provisioner_keys;
mod proxies;
mod roles;
mod settings;
mod shown;
mod signin;
mod snapshot;
mod tables;
mod templates;
mod users;

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::Serializer;
use serde_json::Value;
use uuid::Uuid;

use crate::auditlog::Rows;
use crate::clock::Clock;
use crate::profile::{Profile, Traits};
use crate::rbac::Rights;

use entitlements::{Circumstances, Entitlements};
use process::Process;
use tables::{Groups, Members, Users};

pub use groups::Group;
pub use licenses::License;
pub use members::Member;
pub use organizations::Organization;
pub use provisioner_keys::ProvisionerKey;
pub use proxies::{Proxy, ProxyStatus};
pub use roles::CustomRole;
pub use templates::Template;
pub use users::{User, UserStatus};

pub(crate) use api_keys::{ApiKey, NewApiKey, TokenProblem, key_id};
pub(crate) use audited::{audited_custom_role, audited_license, audited_proxy, audited_user};
pub(crate) use groups::{GroupChange, MemberOrder, PREBUILDS_USER};
pub(crate) use idpsync::{GroupSync, Mapping, OrganizationSync, RoleSync, change_mapping};
pub(crate) use licenses::LicenseRefusal;
pub(crate) use roles::permission_problem;
pub(crate) use settings::{Banner, OAuth2App, OAuth2Secret};
pub(crate) use templates::audited_template;
pub(crate) use users::{NewUser, site_role};

/// The whole deployment.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) profile: Profile,
    pub(crate) process: Process,
    pub(crate) deployment_id: Uuid,
    seq: u64,

    pub(crate) users: Users,
    pub(crate) api_keys: HashMap<String, ApiKey>,
    pub(crate) organizations: BTreeMap<Uuid, Organization>,
    pub(crate) members: Members,
    pub(crate) custom_roles: Vec<CustomRole>,
    pub(crate) groups: Groups,
    pub(crate) templates: BTreeMap<Uuid, Template>,
    pub(crate) provisioner_keys: Vec<ProvisionerKey>,
    pub(crate) licenses: BTreeMap<i32, License>,
    pub(crate) last_license_id: i32,
    pub(crate) entitlements: Entitlements,
    pub(crate) proxies: BTreeMap<Uuid, Proxy>,
    pub(crate) primary_display_name: String,
    pub(crate) primary_icon: String,
    pub(crate) proxies_checked_at: Timestamp,
    pub(crate) organization_sync: OrganizationSync,
    pub(crate) group_sync: HashMap<Uuid, GroupSync>,
    pub(crate) role_sync: HashMap<Uuid, RoleSync>,
    pub(crate) sharing: HashMap<Uuid, String>,
    pub(crate) application_name: String,
    pub(crate) logo_url: String,
    pub(crate) banners: Vec<Banner>,
    pub(crate) notification_templates: Vec<Value>,
    pub(crate) notifier_paused: bool,
    pub(crate) prebuilds_paused: bool,
    /// As it was written last, `null` too.
    pub(crate) dismissed_healthchecks: Option<Value>,
    pub(crate) oauth2_apps: Vec<OAuth2App>,
    pub(crate) oauth2_secrets: Vec<OAuth2Secret>,
    pub(crate) audit_log: Rows,
    pub(crate) last_region_id: i32,
}

impl State {
    /// A deployment that nobody has used yet: it has its default organization and no user.
    pub(crate) fn new(profile: Profile, clock: Clock, access_url: String, deployment_id: Uuid) -> Self {
        let process = Process::new(clock, access_url);
        let now = process.started_at;
        let around = Circumstances {
            profile,
            active_users: 0,
            configuration: &process.configuration,
            now,
        };
        let entitlements = Entitlements::compute(&[], around).expect("no licence wants telemetry");
        let mut state = Self {
            profile,
            process,
            deployment_id,
            seq: 0,
            users: Users::default(),
            api_keys: HashMap::new(),
            organizations: BTreeMap::new(),
            members: Members::default(),
            custom_roles: Vec::new(),
            groups: Groups::default(),
            templates: BTreeMap::new(),
            provisioner_keys: Vec::new(),
            licenses: BTreeMap::new(),
            last_license_id: 0,
            entitlements,
            proxies: BTreeMap::new(),
            primary_display_name: "Default".to_owned(),
            primary_icon: "/emojis/1f3e1.png".to_owned(),
            proxies_checked_at: now,
            organization_sync: OrganizationSync::at_birth(),
            group_sync: HashMap::new(),
            role_sync: HashMap::new(),
            sharing: HashMap::new(),
            application_name: String::new(),
            logo_url: String::new(),
            banners: Vec::new(),
            notification_templates: profile.notification_templates(),
            notifier_paused: false,
            prebuilds_paused: false,
            dismissed_healthchecks: None,
            oauth2_apps: Vec::new(),
            oauth2_secrets: Vec::new(),
            audit_log: Rows::default(),
            last_region_id: 0,
        };
        state.insert_default_organization();
        state
    }

    pub(crate) fn traits(&self) -> &'static Traits {
        self.profile.traits()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.process.clock.now()
    }

    /// The next row number: a row that gets one moves to the end of its table.
    pub(crate) fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    /// What `user` may do.
    pub(crate) fn rights(&self, user: Uuid) -> Rights {
        let of_user = self.members.of_user(user);
        Rights {
            user,
            profile: self.profile,
            site: self.users.get(&user).map(|user| user.roles.clone()).unwrap_or_default(),
            permissions: self.custom_permissions(user),
            organizations: of_user
                .map(|member| (member.organization_id, member.roles.clone()))
                .collect(),
        }
    }
}

/// A random string of letters and digits, as secrets are made of.
pub(crate) fn secret(length: usize) -> String {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    (0..length)
        .map(|_| {
            char::from(
                LETTERS
                    .get(rand::random_range(0..LETTERS.len()))
                    .copied()
                    .unwrap_or(b'x'),
            )
        })
        .collect()
}

pub(crate) fn serialize_time<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&crate::clock::rfc3339(*at))
}

/// A name for a token that was given none: two words, as the real server makes them, and a number.
pub(crate) fn random_name() -> String {
    const FIRST: [&str; 4] = ["brave", "kind", "nostalgic", "zealous"];
    const SECOND: [&str; 4] = ["germain", "hopper", "kennedy", "lovelace"];
    let pick = |words: [&'static str; 4]| words.get(rand::random_range(0..4)).copied().unwrap_or("keen");
    format!("{}_{}{}", pick(FIRST), pick(SECOND), rand::random_range(0..100))
}

//! Coder's REST API, as far as the operator needs it; knows nothing of Kubernetes.
//!
//! * [`Client`] — the connection: `client` (where and as whom), `transport` (how a call travels), `path` (where it
//!   goes), `reach` (who answers), `patience` (how long), `bodies` (how much), `limits` (429), `hangs` (what does not
//!   answer), `breaker` (a dead server), `observer` (metrics).
//! * [`Error`] and [`Class`] — what went wrong and what it means: `error`, `answer` (a refusal's texts), `class`.
//! * one file a resource, with its types and its calls as methods of [`Client`]: `build_info`, `entitlements`, `user`,
//!   `organization`, `organization_member`, `group`, `license`, `workspace_proxy`, `idp_sync` (`group_sync`, `role_sync`, `organization_sync`),
//!   `workspace_sharing`, `provisioner_key`, `oauth2_app`, `template`, `role`, `audit`, `api_key`, `appearance`, `notifications`,
//!   `deployment_settings`.
//! * `jwt` — what a licence says about itself, read without asking a server.
//! * `ids`, `wire` — newtypes, and what Go's JSON needs from a reader.
//!
//! Three rules hold for all of it. A field that is absent in a request is left alone by the server, so requests are
//! made of `Option`s and send nothing for `None`. Answers are read tolerantly: missing, null and unknown fields of all
//! versions from v2.16.1 on. And a read of one object returns `None` only for [`Class::Absent`], never for a route
//! that the server does not have.

mod answer;
mod api_key;
mod appearance;
mod audit;
mod bodies;
mod breaker;
mod build_info;
mod class;
mod client;
mod deployment_settings;
mod entitlements;
mod error;
mod group;
mod group_sync;
mod hangs;
mod idp_sync;
mod ids;
mod jwt;
mod license;
mod limits;
mod notifications;
mod oauth2_app;
mod observer;
mod organization;
mod organization_member;
mod organization_sync;
mod path;
mod patience;
mod provisioner_key;
mod reach;
mod role;
mod role_sync;
mod template;
mod transport;
mod user;
mod wire;
mod workspace_proxy;
mod workspace_sharing;

pub use answer::{Answer, RawAnswer, Validation, sanitise};
pub use api_key::ApiKey;
pub use appearance::{Appearance, Banner};
pub use audit::{AuditEntry, AuditUser};
pub use bodies::Bodies;
pub use breaker::{BreakerConfig, BreakerState};
pub use build_info::{BuildInfo, is_at_least};
pub use class::Class;
pub use client::{Client, Config, MayWrite};
pub use entitlements::{Entitlement, Entitlements, Feature};
pub use error::{Call, Error};
pub use group::{CreateGroup, Group, GroupMember, GroupSource, UpdateGroup};
pub use group_sync::GroupSyncSettings;
pub use idp_sync::{IdpSync, SyncMapping};
pub use ids::{
    DeploymentId, GroupId, LicenseId, NoId, OAuth2AppId, OrganizationId, OrganizationRef, ProvisionerKeyId, ProxyId,
    TemplateId, UserId,
};
pub use jwt::{JwtError, LicenseClaims, Refusal};
pub use license::License;
pub use notifications::NotificationTemplate;
pub use oauth2_app::{NewOAuth2Secret, OAuth2App, OAuth2Endpoints, OAuth2Secret, PutOAuth2App};
pub use observer::{CallInfo, Observer, WRITES};
pub use organization::{CreateOrganization, Organization, UpdateOrganization};
pub use organization_member::{OrganizationMember, Quota};
pub use organization_sync::OrganizationSyncSettings;
pub use path::Method;
use path::Path;
pub use provisioner_key::{CreateProvisionerKey, ProvisionerKey, ProvisionerKeyDaemons};
pub use role::{CustomRole, OrganizationRole, Permission};
pub use role_sync::RoleSyncSettings;
pub use template::{Template, TemplateAccess, TemplateRole, UpdateTemplateAccess};
pub use user::{LoginType, RoleName, User, UserStatus};
pub use workspace_proxy::{
    CreateProxy, ProxyHealth, ProxyReport, ProxyStatus, ProxyWithToken, UpdateProxy, WorkspaceProxy,
};
pub use workspace_sharing::{ShareableOwners, WorkspaceSharing};

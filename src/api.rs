//! What users write: the custom resources of the group `coder-operator.dev`, version `v1alpha1`.
//!
//! One file a kind, with its validation rules (CEL) next to the fields they protect. No I/O happens here and nothing
//! here knows Coder's endpoints. What all kinds share lives in [`common`] (the spec), [`status`] (the status) and
//! [`kind`] (the trait by which the engine sees any of them); [`rules`] holds Coder's naming rules as CEL and as code.

// The derives of kube repeat each spec in a private module, and each print column has an attribute of its own.
#![allow(unreachable_pub, clippy::duplicated_attributes)]

pub mod common;
pub mod custom_role;
pub mod deployment_settings;
pub mod duration;
pub mod group;
pub mod group_sync;
pub mod in_organization;
pub mod instance;
pub mod kind;
pub mod license;
pub mod note;
pub mod oauth2_app;
pub mod organization;
pub mod organization_member;
pub mod organization_sync;
pub mod provisioner_key;
pub mod role_sync;
pub mod rotation;
pub mod rules;
pub mod status;
pub mod sync;
pub mod template_access;
pub mod workspace_proxy;

pub use common::{
    AdoptionPolicy, CommonSpec, DeletionPolicy, InstanceRef, Mode, ObjectRef, Policy, SecretKeyRef, SecretRef,
};
pub use custom_role::{CoderCustomRole, CustomRoleSpec, CustomRoleStatus, UnknownPermissions};
pub use deployment_settings::{
    AnnouncementBanner, CoderDeploymentSettings, DeploymentSettingsSpec, DeploymentSettingsStatus, HealthCheck,
    NotificationMethod,
};
pub use duration::DurationString;
pub use group::{CoderGroup, GroupSpec, GroupStatus};
pub use group_sync::{CoderGroupSync, GroupSyncSpec, GroupSyncStatus};
pub use in_organization::{FoundOrganization, InOrganization};
pub use instance::{
    Access, CoderInstance, Defaults, InstanceSpec, InstanceStatus, Overrides, OverridingDeletionPolicy,
};
pub use kind::{Kind, KindStatus, Object, ObjectKey, ObjectStatus, Reference, Scope};
pub use license::{CoderLicense, LicenseSpec, LicenseStatus, ReplacedLicense};
pub use note::NoteType;
pub use oauth2_app::{CoderOAuth2App, OAuth2AppSpec, OAuth2AppStatus};
pub use organization::{CoderOrganization, OrganizationSpec, OrganizationStatus, WorkspaceSharing};
pub use organization_member::{CoderOrganizationMember, MemberQuota, OrganizationMemberSpec, OrganizationMemberStatus};
pub use organization_sync::{CoderOrganizationSync, OrganizationSyncSpec, OrganizationSyncStatus};
pub use provisioner_key::{CoderProvisionerKey, ProvisionerKeySpec, ProvisionerKeyStatus};
pub use role_sync::{CoderRoleSync, RoleSyncSpec, RoleSyncStatus};
pub use rotation::{PreviousCredential, Rotation};
pub use status::{CommonStatus, Origin, PendingCreation};
pub use sync::SyncStatus;
pub use template_access::{CoderTemplateAccess, TemplateAccessSpec, TemplateAccessStatus, TemplateRole};
pub use workspace_proxy::{CoderWorkspaceProxy, TokenSecret, WorkspaceProxySpec, WorkspaceProxyStatus};

/// The API group of every kind, also the prefix of annotations and of the finalizer.
pub const GROUP: &str = "coder-operator.dev";

/// Names of the annotations users set. A changed value is what asks; the value itself means nothing.
pub mod annotation {
    /// Look at the object now. The handled value goes to `status.lastHandledReconcileAt`.
    pub const RECONCILE_AT: &str = "coder-operator.dev/reconcile-at";
    /// Issue a new secret (provisioner key: a new key; OAuth2 application: a new client secret; workspace proxy: a new token). The handled value goes to `status.lastHandledRotate`.
    pub const ROTATE: &str = "coder-operator.dev/rotate";
    /// What the operator notes of an object before its first status, in one write with the finalizer: the beginning of its
    /// status. It means nothing as soon as there is a status, and nothing on a copy.
    pub const FIRST_STATUS: &str = "coder-operator.dev/first-status";
    /// On a `CoderInstance`: the deployment id to accept in place of the pinned one.
    pub const ACCEPT_DEPLOYMENT: &str = "coder-operator.dev/accept-deployment";
}

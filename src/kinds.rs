//! The rules: what each custom resource means in Coder. One file a kind, each an [`engine::Remote`](crate::engine::Remote)
//! that reads from top to bottom: what it is, desired, observed, change, plan, and the calls. `plan` is pure.
//!
//! [`visit`] is the registry. Watches, CRDs, permissions and metrics follow from it: a new kind is a file in `api/`,
//! `coder/`, `lists/` and here, and one line below.

mod absence;
pub mod custom_role;
pub mod deployment_settings;
mod field;
pub mod group;
pub mod group_sync;
pub mod issued;
pub mod license;
pub mod oauth2_app;
pub mod organization;
pub mod organization_member;
pub mod organization_sync;
mod parent;
#[cfg(test)]
mod properties;
pub mod provisioner_key;
pub mod role_sync;
pub mod sync;
mod targets;
pub mod template_access;
mod unmanaged;
pub mod workspace_proxy;

use crate::api::{
    CoderCustomRole, CoderDeploymentSettings, CoderGroup, CoderGroupSync, CoderLicense, CoderOAuth2App,
    CoderOrganization, CoderOrganizationMember, CoderOrganizationSync, CoderProvisionerKey, CoderRoleSync,
    CoderTemplateAccess, CoderWorkspaceProxy,
};
use crate::engine::Remote;

/// Does something with every kind.
pub trait Visitor {
    /// Once a kind, in the order in which objects usually depend on each other.
    fn visit<R: Remote>(&mut self);
}

/// The registry: every kind but `CoderInstance`, which is the connection of all others.
pub fn visit(visitor: &mut impl Visitor) {
    visitor.visit::<CoderLicense>();
    visitor.visit::<CoderOrganization>();
    visitor.visit::<CoderGroup>();
    visitor.visit::<CoderCustomRole>();
    visitor.visit::<CoderOrganizationMember>();
    visitor.visit::<CoderProvisionerKey>();
    visitor.visit::<CoderGroupSync>();
    visitor.visit::<CoderRoleSync>();
    visitor.visit::<CoderOrganizationSync>();
    visitor.visit::<CoderTemplateAccess>();
    visitor.visit::<CoderDeploymentSettings>();
    visitor.visit::<CoderOAuth2App>();
    visitor.visit::<CoderWorkspaceProxy>();
}

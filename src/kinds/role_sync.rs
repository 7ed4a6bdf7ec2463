//! `CoderRoleSync` → the role sync of an organization: which claim of the identity provider gives which roles.

use super::sync::{Field, Named, Place, Spec, SyncKind, fields};
use crate::api::{CoderRoleSync, RoleSyncStatus, SyncStatus};
use crate::coder::RoleSyncSettings;
use crate::engine::{Cx, Error};
use crate::lists::Roles;
use crate::mirror::Interest;

impl SyncKind for CoderRoleSync {
    const NOUN: &'static str = "the role sync of organization";
    const TARGETS: &'static str = "roles";
    const SINCE: &'static str = "v2.16";
    const EFFECT: (&'static str, &'static str) = ("user_role_management", "gives nobody roles");
    const FIELDS: &'static [Field<Self>] = fields! { "field": field => field };

    type Settings = RoleSyncSettings;

    fn wanted(&self) -> Spec<'_> {
        Spec {
            place: Some(&self.spec.place),
            mapping: self.spec.mapping.as_ref(),
            policy: self.spec.mapping_policy,
        }
    }

    /// Coder would also take names of roles that do not exist, and drop them without a word when somebody signs in.
    async fn targets(cx: &Cx<'_>, place: &Place) -> Result<Vec<Named<Self>>, Error> {
        let Some(organization) = place.within() else {
            return Ok(Vec::new());
        };
        let roles = cx.list(&Roles(organization), Interest::Any).await?;
        Ok(roles
            .iter()
            .map(|role| (role.name.clone(), role.name.clone()))
            .collect())
    }

    fn found(status: &RoleSyncStatus) -> Option<&str> {
        status.place.organization_id.as_deref()
    }

    fn note_place(status: &mut RoleSyncStatus, place: &Place) {
        status.place = place.found();
    }

    fn facts(status: &RoleSyncStatus) -> &SyncStatus {
        &status.sync
    }

    fn facts_mut(status: &mut RoleSyncStatus) -> &mut SyncStatus {
        &mut status.sync
    }
}

//! `CoderGroupSync` → the group sync of an organization: which claim of the identity provider puts people into which groups.

use super::sync::{Field, Named, Place, Spec, SyncKind, fields};
use crate::api::{CoderGroupSync, GroupSyncStatus, SyncStatus};
use crate::coder::GroupSyncSettings;
use crate::engine::{Cx, Error};
use crate::lists::Groups;
use crate::mirror::Interest;

impl SyncKind for CoderGroupSync {
    const NOUN: &'static str = "the group sync of organization";
    const TARGETS: &'static str = "groups";
    const SINCE: &'static str = "v2.16";
    const EFFECT: (&'static str, &'static str) = ("template_rbac", "puts nobody into groups");
    const FIELDS: &'static [Field<Self>] = fields! {
        "field": field => field,
        "regexFilter": regex_filter => regex_filter,
        "autoCreateMissingGroups": auto_create_missing_groups => auto_create_missing_groups,
    };

    type Settings = GroupSyncSettings;

    fn wanted(&self) -> Spec<'_> {
        Spec {
            place: Some(&self.spec.place),
            mapping: self.spec.mapping.as_ref(),
            policy: self.spec.mapping_policy,
        }
    }

    /// Coder would also take groups of other organizations, and put people into them who are no members.
    async fn targets(cx: &Cx<'_>, place: &Place) -> Result<Vec<Named<Self>>, Error> {
        let Some(organization) = place.within() else {
            return Ok(Vec::new());
        };
        let groups = cx.list(&Groups(organization), Interest::Any).await?;
        Ok(groups.iter().map(|group| (group.id, group.name.clone())).collect())
    }

    fn found(status: &GroupSyncStatus) -> Option<&str> {
        status.place.organization_id.as_deref()
    }

    fn note_place(status: &mut GroupSyncStatus, place: &Place) {
        status.place = place.found();
    }

    fn facts(status: &GroupSyncStatus) -> &SyncStatus {
        &status.sync
    }

    fn facts_mut(status: &mut GroupSyncStatus) -> &mut SyncStatus {
        &mut status.sync
    }
}

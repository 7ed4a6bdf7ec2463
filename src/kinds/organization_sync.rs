//! `CoderOrganizationSync` → the organization sync of a deployment: which claim of the identity provider puts people into which
//! organizations.

use super::sync::{Field, Named, Place, Spec, SyncKind, fields};
use crate::api::{CoderOrganizationSync, NoteType, OrganizationSyncStatus, SyncStatus};
use crate::coder::OrganizationSyncSettings;
use crate::engine::{Cx, Error, Note};
use crate::lists::Organizations;
use crate::mirror::Interest;

impl SyncKind for CoderOrganizationSync {
    const NOUN: &'static str = "the organization sync of deployment";
    const TARGETS: &'static str = "organizations";
    const SINCE: &'static str = "v2.18";
    const EFFECT: (&'static str, &'static str) = ("multiple_organizations", "puts nobody into organizations");
    const FIELDS: &'static [Field<Self>] = fields! {
        "field": field => field,
        "assignDefault": assign_default => organization_assign_default,
    };

    type Settings = OrganizationSyncSettings;

    fn wanted(&self) -> Spec<'_> {
        Spec {
            place: None,
            mapping: self.spec.mapping.as_ref(),
            policy: self.spec.mapping_policy,
        }
    }

    async fn targets(cx: &Cx<'_>, _: &Place) -> Result<Vec<Named<Self>>, Error> {
        let organizations = cx.list(&Organizations, Interest::Any).await?;
        let named = organizations.iter().map(|one| (one.id, one.name.clone()));
        let default = organizations.iter().filter(|one| one.is_default);
        Ok(named.chain(default.map(|one| (one.id, "default".to_owned()))).collect())
    }

    fn is_called(name: &str, asked: &str) -> bool {
        name.eq_ignore_ascii_case(asked)
    }

    fn found(status: &OrganizationSyncStatus) -> Option<&str> {
        status.id.as_deref()
    }

    fn note_place(status: &mut OrganizationSyncStatus, place: &Place) {
        status.id = Some(place.to_string());
    }

    fn facts(status: &OrganizationSyncStatus) -> &SyncStatus {
        &status.sync
    }

    fn facts_mut(status: &mut OrganizationSyncStatus) -> &mut SyncStatus {
        &mut status.sync
    }

    /// Switching it off or on again later brings nobody back (recording 22).
    fn warning(settings: &OrganizationSyncSettings) -> Option<Note> {
        let locks_out =
            !settings.field.is_empty() && settings.mapping.is_empty() && !settings.organization_assign_default;
        locks_out.then(|| {
            let message = "field is set, nothing is mapped and assignDefault is false: every user of the identity provider \
                           leaves every organization at the next sign-in, and no switch brings them back";
            Note::new(NoteType::LocksOut, message)
        })
    }
}

//! The lists of Coder's that the operator reads, one file each: what is kept of an item, the call, and which entries of
//! the audit log concern it. They know neither custom resources nor passes.
//!
//! An entry is shown to every list that is in use ([`Collection::LOG`]); only what concerns lists of all sorts alike
//! stands here.

mod deployment_settings;
mod entry;
mod groups;
mod idp_sync;
mod licenses;
mod members;
mod oauth2_apps;
mod organizations;
mod provisioner_keys;
mod quota;
mod roles;
mod roster;
mod setting;
mod standing;
mod template_access;
mod templates;
mod users;
mod workspace_proxies;
mod workspace_sharing;

pub use deployment_settings::{
    AppearanceOf, DismissedHealthChecks, NotificationMethods, NotificationsPaused, PrebuildsPaused,
};
pub use groups::{GroupItem, Groups};
pub use idp_sync::{GroupSync, OrganizationSync, RoleSync, Synced};
pub use licenses::{LicenseItem, Licenses};
pub use members::{MemberItem, Members};
pub use oauth2_apps::{OAuth2Apps, OAuth2Secrets};
pub use organizations::Organizations;
pub use provisioner_keys::{ProvisionerKeyItem, ProvisionerKeys};
pub use quota::QuotaOf;
pub use roles::Roles;
pub use roster::Roster;
pub use setting::{Entries, SETTING, Setting};
pub use standing::Standing;
pub use template_access::AccessTo;
pub use templates::Templates;
pub use users::{UserItem, Users};
pub use workspace_proxies::{Proxies, TOKEN};
pub use workspace_sharing::{Sharing, SharingItem};

use crate::coder::{AuditEntry, OrganizationId};
#[cfg(any(doc, test))]
use crate::mirror::Collection;
use crate::mirror::feed::Touch;
use crate::mirror::{Fields, Mirror};

/// What is to be looked at again because of an entry. Refused calls are none of the caller's.
pub fn touches(mirror: &Mirror, entry: &AuditEntry) -> Vec<Touch> {
    let mut touches = mirror.concerned(entry);
    match (entry.resource_type.as_str(), entry.action.as_str()) {
        // It takes everything in it along, without entries for that.
        ("organization", "delete") => {
            let deleted = Some(OrganizationId(entry.resource_id));
            touches.extend(mirror.whole(&Fields::All, |within| within == deleted));
        }
        // What happens while a licence is missing leaves no entries, but that it came or went does: all may differ.
        ("license", _) => touches.extend(mirror.whole(&Fields::none(), |_| true)),
        _ => {}
    }
    touches
}

#[cfg(test)]
mod tests;

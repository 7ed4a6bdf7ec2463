//! What belongs to an organization and is read and written beside it: the quota of its group Everyone, its workspace sharing.

use super::{Desired, Observed};
use crate::api::WorkspaceSharing;
use crate::coder::{self, ShareableOwners};
use crate::engine::{Cx, Error, Reason};
use crate::lists::{Groups, SETTING, Sharing};

/// Adds the settings that are managed and that this server has.
pub(super) async fn with_settings(
    cx: &Cx<'_>,
    desired: Option<&Desired>,
    organization: coder::Organization,
) -> Result<Observed, Error> {
    let id = organization.id;
    let mut observed = Observed {
        organization,
        everyone_quota: None,
        sharing: None,
    };
    let Some(desired) = desired else { return Ok(observed) };
    if desired.everyone_quota.is_some() {
        let everyone = cx.get(&Groups(id), &id.to_string()).await?;
        let Some(everyone) = everyone else {
            let message = "everyoneQuotaAllowance is set, and this token does not see the group Everyone";
            return Err(Error::terminal(Reason::PartialVisibility, message));
        };
        observed.everyone_quota = Some(everyone.quota_allowance);
    }
    if desired.sharing.is_some() {
        let settings = match cx.get(&Sharing(id), SETTING).await {
            Err(error) if error.coder().is_some_and(coder::Error::is_unsupported) => {
                let message = "workspaceSharing needs Coder v2.32 or later: remove the field or upgrade";
                return Err(Error::terminal(Reason::Unsupported, message));
            }
            settings => settings?,
        };
        // Where the deployment disables sharing, it reports "none" whatever is stored: nothing to fight about.
        observed.sharing = settings
            .filter(|settings| !settings.globally_disabled)
            .map(|settings| settings.owners);
    }
    Ok(observed)
}

/// As Coder calls them.
pub(super) fn owners(sharing: WorkspaceSharing) -> ShareableOwners {
    match sharing {
        WorkspaceSharing::None => ShareableOwners::None,
        WorkspaceSharing::Everyone => ShareableOwners::Everyone,
        WorkspaceSharing::ServiceAccounts => ShareableOwners::ServiceAccounts,
    }
}

//! Where an object lives that is part of an organization: as users say it, and as the status shows it.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::ObjectRef;
use super::group::organization_reference;
use super::kind::Reference;
use super::rules;

/// The organization, flattened into the specs of what lives in one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct InOrganization {
    /// The `CoderOrganization` that it is part of. Waited for. Coder moves nothing from one organization to another: this may
    /// be named in another way, and not be another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_ref: Option<ObjectRef>,

    /// The organization by Coder's own name or id, or `default`. As `organizationRef`. The object stays in the organization
    /// that the name led to, also when that is renamed: the condition `NameMoved` says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 36))]
    #[x_kube(validation = rules::organization())]
    pub organization: Option<String>,
}

impl InOrganization {
    /// The custom resource that it points at from the namespace `own`.
    #[must_use]
    pub fn references(&self, own: &str) -> Vec<Reference> {
        let reference = self.organization_ref.iter();
        reference
            .map(|reference| organization_reference(reference, own))
            .collect()
    }
}

/// The organization as it was found, flattened into the status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FoundOrganization {
    /// Coder's id of the organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    /// Name of the organization, at the last look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
}

use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::kinds::properties::{Model, few_names, few_texts, hold_for};

hold_for!(CoderOrganization);

fn any_owners() -> BoxedStrategy<ShareableOwners> {
    prop::sample::select(vec![
        ShareableOwners::None,
        ShareableOwners::Everyone,
        ShareableOwners::ServiceAccounts,
    ])
    .boxed()
}

fn observed(name: &str) -> Observed {
    let organization = coder::Organization {
        id: Uuid::from_u128(1).into(),
        name: name.to_owned(),
        display_name: name.to_owned(),
        icon: String::new(),
        description: String::new(),
        is_default: false,
        default_org_member_roles: None,
        created_at: None,
        updated_at: None,
    };
    Observed {
        organization,
        everyone_quota: Some(0),
        sharing: Some(ShareableOwners::Everyone),
    }
}

impl Model for CoderOrganization {
    fn any_desired() -> BoxedStrategy<Desired> {
        let texts = (
            option::of(few_names()),
            option::of(few_texts()),
            option::of(few_texts()),
        );
        (few_names(), texts, option::of(0..3), option::of(any_owners()))
            .prop_map(
                |(name, (display_name, description, icon), everyone_quota, sharing)| Desired {
                    name,
                    display_name,
                    description,
                    icon,
                    everyone_quota,
                    sharing,
                },
            )
            .boxed()
    }

    fn any_observed() -> BoxedStrategy<Observed> {
        (few_names(), few_names(), few_texts(), few_texts(), 0..3, any_owners())
            .prop_map(|(name, display_name, description, icon, quota, sharing)| {
                let mut observed = observed(&name);
                observed.organization.display_name = display_name;
                observed.organization.description = description;
                observed.organization.icon = icon;
                Observed {
                    everyone_quota: Some(quota),
                    sharing: Some(sharing),
                    ..observed
                }
            })
            .boxed()
    }

    fn bare(desired: Desired) -> Desired {
        let Desired { name, .. } = desired;
        Desired {
            name,
            display_name: None,
            description: None,
            icon: None,
            everyone_quota: None,
            sharing: None,
        }
    }

    fn optional_part(observed: &Observed) -> String {
        let Observed {
            organization,
            everyone_quota,
            sharing,
        } = observed;
        let coder::Organization {
            display_name,
            description,
            icon,
            ..
        } = organization;
        format!("{display_name:?} {description:?} {icon:?} {everyone_quota:?} {sharing:?}")
    }

    fn after(_: &Desired, before: Option<Observed>, change: &Change) -> Observed {
        let mut after = before.unwrap_or_else(|| observed("new"));
        let set = |slot: &mut String, value: Option<&String>| {
            if let Some(value) = value {
                slot.clone_from(value);
            }
        };
        match change {
            Change::Create(request) => {
                after = observed(&request.name);
                // As Coder does: an absent display name becomes the name.
                after.organization.display_name = request.display_name.clone().unwrap_or_else(|| request.name.clone());
                after.organization.description = request.description.clone().unwrap_or_default();
                after.organization.icon = request.icon.clone().unwrap_or_default();
            }
            Change::Update(update) => {
                let request = &update.request;
                set(&mut after.organization.name, request.name.as_ref());
                set(&mut after.organization.display_name, request.display_name.as_ref());
                set(&mut after.organization.description, request.description.as_ref());
                set(&mut after.organization.icon, request.icon.as_ref());
            }
            Change::SetEveryoneQuota(field) => after.everyone_quota = Some(field.to),
            Change::SetSharing(field) => after.sharing = Some(field.to.clone()),
        }
        after
    }
}

#[test]
fn a_difference_reads_as_from_what_to_what() {
    let desired = Desired {
        description: Some("new".into()),
        everyone_quota: Some(5),
        ..<CoderOrganization as Model>::bare(Desired {
            name: "a".into(),
            display_name: None,
            description: None,
            icon: None,
            everyone_quota: None,
            sharing: None,
        })
    };
    let lines: Vec<String> = CoderOrganization::plan(&desired, Some(&observed("a")))
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(lines, ["description \"\" → \"new\"", "everyoneQuotaAllowance 0 → 5"]);
}

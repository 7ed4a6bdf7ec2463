//! The name of a group: which ones Coder gives, and which odd ones it has all the same.

use kube::ResourceExt;

use crate::api::{AdoptionPolicy, CoderGroup, rules};
use crate::coder;
use crate::engine::{Error, Reason};

/// The name that the group shall have in Coder.
pub(super) fn of(object: &CoderGroup) -> Result<String, Error> {
    let spec = &object.spec;
    let name = spec.name.clone().unwrap_or_else(|| object.name_any());
    let may_exist = spec.name.is_some()
        && matches!(
            spec.common.adoption_policy,
            Some(AdoptionPolicy::IfExists | AdoptionPolicy::MustExist)
        );
    let valid = rules::is_name(&name, rules::GROUP_NAME_MAX) || (may_exist && rules::is_group_name(&name));
    if valid && name != "Everyone" {
        return Ok(name);
    }
    let message = format!(
        "{name} is no valid group name in Coder (letters, digits and single hyphens): set spec.name; a group that has such a \
         name already is taken over with adoptionPolicy: IfExists or MustExist"
    );
    Err(Error::terminal(Reason::InvalidSpec, message))
}

/// Coder gives nobody a name that breaks its rule, and has groups of such names from the identity provider.
pub(super) fn refused(error: coder::Error, name: Option<&str>) -> Error {
    match name {
        Some(name) if error.class() == coder::Class::Invalid && !rules::is_name(name, rules::GROUP_NAME_MAX) => {
            let message = format!(
                "spec.name: Coder gives no group the name {name:?}, only letters, digits and single hyphens ({error}); a \
                 group that has such a name already is taken over as soon as it is there"
            );
            Error::Explained { message, source: error }
        }
        _ => error.into(),
    }
}

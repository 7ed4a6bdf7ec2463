//! What a provisioner key shall be.

use std::collections::BTreeMap;

use kube::ResourceExt;

use super::KEY;
use crate::api::{CoderProvisionerKey, Kind, Origin, annotation, rules};
use crate::engine::issued::Home;
use crate::engine::{Cx, Error, Reason};
use crate::kinds::issued::{Past, Terms, moved_from, place};
use crate::kinds::parent::{Parent, id_of, parent};

/// What shall be.
#[derive(Clone, Debug)]
pub struct Desired {
    pub(in crate::kinds) organization: Parent,
    pub(in crate::kinds) name: String,
    pub(in crate::kinds) tags: Option<BTreeMap<String, String>>,
    /// Where the key goes.
    pub(in crate::kinds) home: Home,
    /// When a new one is to be issued.
    pub(in crate::kinds) terms: Terms,
    /// Whether daemons may have the present key: not if this object made it and it never reached the Secret.
    pub(in crate::kinds) may_be_used: bool,
}

impl Desired {
    /// Looks up the organization.
    pub(super) async fn of(cx: &Cx<'_>, object: &CoderProvisionerKey) -> Result<Self, Error> {
        let spec = &object.spec;
        let name = spec.name.clone().unwrap_or_else(|| object.name_any());
        if !rules::is_key_name(&name) {
            let message = format!("{name} is no name for a provisioner key: set spec.name");
            return Err(Error::terminal(Reason::InvalidSpec, message));
        }
        let status = object.status.as_ref();
        let origin = status.and_then(|status| status.common.origin);
        let held = status.filter(|_| origin.is_some());
        let held = held.and_then(|status| id_of(&status.place));
        let organization = parent(cx, &object.instance_key(), &spec.place, held).await?;
        let place = place(&spec.key_secret, KEY);
        let home = Home {
            previous: moved_from(status.and_then(|status| status.key_secret.as_ref()), &place),
            place,
            beside: BTreeMap::new(),
        };
        let past = Past {
            held: origin.is_some(),
            made: origin == Some(Origin::Created)
                || status.is_some_and(|status| status.common.pending_creation.is_some()),
            issued: status.is_some_and(|status| status.key_issued_at.is_some()),
            handled: status.and_then(|status| status.last_handled_rotate.as_ref()),
        };
        let rotate = object.annotations().get(annotation::ROTATE);
        Ok(Desired {
            organization,
            name,
            tags: spec.tags.clone(),
            home,
            terms: Terms::new(rotate, spec.rotation.as_ref(), past, cx.now)?,
            may_be_used: !past.made || past.issued,
        })
    }
}

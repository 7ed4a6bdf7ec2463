//! `CoderProvisionerKey` → a key of an organization for external provisioner daemons, and the Secret that holds it.
//!
//! Coder shows a key once, changes none, and deletes them by name. What the object stands for is therefore the pair of
//! names that take turns; the Secret says which key is the current one.

mod change;
mod desired;
mod keep;
mod pair;
mod report;

use std::fmt;

use jiff::Timestamp;

use super::absence;
use super::issued::secret_names;
use super::parent::{id_of, touched};
use crate::api::{CoderProvisionerKey, ProvisionerKeyStatus};
use crate::coder::{CreateProvisionerKey, OrganizationId};
use crate::engine::issued::{self, Issued, Noted, Previous};
use crate::engine::{Cx, Error, Remote, Report, Target};
use crate::lists::{ProvisionerKeyItem, ProvisionerKeys};
use crate::mirror::Interest;
pub use change::{Change, Retired};
pub use desired::Desired;
use keep::{held, ids, issue, look, read_again, why};
pub use pair::{Memory, Pair};

/// The key within the Secret, unless the spec names another.
const KEY: &str = "key";

/// What Coder and the Secret hold.
#[derive(Clone, Debug)]
pub struct Observed {
    pub(super) organization: OrganizationId,
    /// The name of the organization.
    pub(super) within: String,
    pub(super) name: String,
    pub(super) pair: Pair,
    /// What the Secret holds, if it is one of these keys.
    pub(super) held: Option<Issued>,
}

/// What the status keeps.
#[derive(Clone, Debug)]
pub struct Identity {
    organization: OrganizationId,
    name: String,
    memory: Memory,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.organization, self.name)
    }
}

impl Remote for CoderProvisionerKey {
    const NOUN: &'static str = "provisioner key";
    const NEEDS: &'static str = "the role Template Admin or Owner";

    type Desired = Desired;
    type Observed = Observed;
    type Identity = Identity;
    type Change = Change;

    async fn resolve(cx: &Cx<'_>, object: &CoderProvisionerKey) -> Result<Desired, Error> {
        Desired::of(cx, object).await
    }

    fn natural_key(desired: &Desired) -> String {
        format!("{}/{}", desired.organization.id, desired.name)
    }

    fn organizations<'a>(desired: Option<&'a Desired>, observed: Option<&'a Observed>) -> Vec<&'a str> {
        let wanted = desired.map(|desired| &desired.organization);
        touched(wanted, observed.map(|held| &*held.within))
    }

    fn identity(status: &ProvisionerKeyStatus) -> Option<Identity> {
        let previous = status.previous_key.as_ref().map(|previous| Previous {
            id: previous.id.clone(),
            retire_at: previous.retire_at.0,
        });
        let memory = Memory {
            current: status.id.as_ref().and_then(|id| id.parse().ok()),
            name: status.name.clone(),
            previous,
            issuing: status.issuing.clone(),
        };
        Some(Identity {
            organization: id_of(&status.place)?,
            name: pair::name_of(status.name.as_ref()?).to_owned(),
            memory,
        })
    }

    async fn observe(
        cx: &Cx<'_>,
        desired: Option<&Desired>,
        target: Target<'_, Identity>,
    ) -> Result<Option<Observed>, Error> {
        match target {
            Target::Identity(identity) => {
                let memory = Some(&identity.memory);
                let found = look(cx, desired, identity.organization, &identity.name, memory).await?;
                Ok(found.filter(|found| found.pair.ours().next().is_some()))
            }
            Target::Key(key) => match key.split_once('/').map(|(within, name)| (within.parse(), name)) {
                Some((Ok(organization), name)) => look(cx, desired, organization, name, None).await,
                Some((Err(_), _)) | None => Ok(None),
            },
        }
    }

    async fn believe_gone(cx: &Cx<'_>, identity: &Identity) -> Result<(), Error> {
        absence::believe_of_keys(cx, identity.organization, "the provisioner key").await
    }

    fn plan(desired: &Desired, observed: Option<&Observed>) -> Vec<Change> {
        let request = |name: String| CreateProvisionerKey {
            name,
            tags: desired.tags.clone(),
        };
        let Some(observed) = observed else {
            return vec![Change::Create(request(desired.name.clone()))];
        };
        let Pair {
            current,
            previous,
            stray,
            foreign,
        } = &observed.pair;
        let stray = stray.iter().map(|key| Change::Retire(key.clone(), Retired::Stray));
        let mut changes: Vec<Change> = stray.collect();
        if let (Some(why), None) = (why(desired, observed), foreign) {
            let name = observed.pair.next(&desired.name);
            let in_the_way = previous.iter().filter(|(key, _)| key.name == name);
            changes.extend(in_the_way.map(|(key, _)| Change::Retire(key.clone(), Retired::Early)));
            changes.push(Change::Issue(why, request(name)));
            return changes;
        }
        let held = observed.held.as_ref();
        let over = |(key, previous): &(ProvisionerKeyItem, Previous)| {
            desired
                .terms
                .is_over(previous, held, Some(key.daemons > 0))
                .then_some(key)
                .cloned()
        };
        if let Some(key) = previous.as_ref().and_then(over) {
            changes.push(Change::Retire(key, Retired::Over));
        } else if let (Some(held), Some(current)) = (held, current) {
            let noted = previous.as_ref().map(|(_, previous)| previous);
            let is_noted = held.id == Some(current.id.to_string()) && held.previous.as_ref() == noted;
            changes.extend((!held.settled || !is_noted).then_some(Change::SettleSecret));
        }
        changes
    }

    fn prepare(desired: &Desired, observed: &Observed, status: &mut ProvisionerKeyStatus) {
        if desired.terms.handled.is_some() {
            status.last_handled_rotate.clone_from(&desired.terms.handled);
        }
        if let Some(Change::Issue(_, request)) = Self::plan(desired, Some(observed)).last() {
            status.issuing = Some(request.name.clone());
        }
    }

    async fn rehearse(cx: &Cx<'_>, desired: &Desired, change: &Change) -> Result<(), Error> {
        let inherits = match change {
            Change::Create(_) => false,
            Change::Issue(..) => true,
            Change::Retire(..) | Change::SettleSecret => return Ok(()),
        };
        issued::rehearse(cx, &desired.home, desired.terms.rotate.as_deref(), inherits).await
    }

    async fn apply(
        cx: &Cx<'_>,
        desired: &Desired,
        observed: Option<&Observed>,
        change: &Change,
    ) -> Result<Observed, Error> {
        match (change, observed) {
            (Change::Create(request), _) => {
                let held = issue(cx, desired, request, None, false).await?;
                Ok(Observed {
                    organization: desired.organization.id,
                    within: desired.organization.name.clone(),
                    name: desired.name.clone(),
                    pair: Pair::default(),
                    held,
                })
            }
            (_, None) => Err(Error::Superseded),
            (Change::Issue(_, request), Some(observed)) => {
                let replaced = observed.pair.current.as_ref().map(|key| Previous {
                    id: key.id.to_string(),
                    retire_at: if desired.may_be_used {
                        desired.terms.retire_at()
                    } else {
                        cx.now
                    },
                });
                let previous = observed.pair.previous.as_ref().map(|(_, previous)| previous.clone());
                let previous = replaced.or(previous);
                let held = issue(cx, desired, request, previous, true).await?;
                read_again(cx, desired, observed, held).await
            }
            (Change::Retire(key, _), Some(observed)) => {
                let keys = ProvisionerKeys(observed.organization);
                cx.coder().delete_provisioner_key(keys.0, &key.name).await?;
                cx.remove(&keys, &key.id.to_string());
                Ok(Observed {
                    pair: observed.pair.clone().without(key.id),
                    ..observed.clone()
                })
            }
            (Change::SettleSecret, Some(observed)) => {
                let noted = Noted {
                    rotate: desired.terms.rotate.as_deref(),
                    id: observed.pair.current.as_ref().map(|key| key.id.to_string()),
                    previous: observed.pair.previous.as_ref().map(|(_, previous)| previous.clone()),
                };
                let ids = ids(observed.pair.ours());
                let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
                issued::settle(cx, &desired.home, &ids, noted).await?;
                Ok(Observed {
                    held: held(cx, desired, observed.pair.ours()).await?,
                    ..observed.clone()
                })
            }
        }
    }

    async fn complete(cx: &Cx<'_>, desired: &Desired, made: Observed) -> Result<Observed, Error> {
        read_again(cx, desired, &made, made.held.clone()).await
    }

    fn report(desired: &Desired, observed: &Observed, status: &mut ProvisionerKeyStatus, _: Timestamp) -> Report {
        report::report(desired, observed, status)
    }

    fn secrets(object: &CoderProvisionerKey) -> Vec<&str> {
        let was = object.status.as_ref().and_then(|status| status.key_secret.as_ref());
        secret_names(Some(&object.spec.key_secret), was)
    }

    fn created_at(observed: &Observed) -> Option<Timestamp> {
        observed.pair.current.as_ref()?.created_at
    }

    fn identify(observed: &Observed) -> Identity {
        let Pair {
            current,
            previous,
            stray,
            foreign: _,
        } = &observed.pair;
        Identity {
            organization: observed.organization,
            name: observed.name.clone(),
            memory: Memory {
                current: current.as_ref().map(|key| key.id),
                name: current.as_ref().map(|key| key.name.clone()),
                previous: previous.as_ref().map(|(_, previous)| previous.clone()),
                issuing: stray.as_ref().map(|key| key.name.clone()),
            },
        }
    }

    async fn delete(cx: &Cx<'_>, _: &Identity, observed: &Observed) -> Result<(), Error> {
        let keys = ProvisionerKeys(observed.organization);
        // By name, and only while that is the name of what is meant.
        cx.invalidate(&keys);
        let now = cx.list(&keys, Interest::Any).await?;
        for key in observed.pair.ours().filter_map(|key| now.get(&key.id.to_string())) {
            cx.coder().delete_provisioner_key(keys.0, &key.name).await?;
            cx.remove(&keys, &key.id.to_string());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

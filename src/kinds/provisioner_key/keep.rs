//! What is read of the keys and of the Secret, and how a new key gets from one into the other.

use std::collections::BTreeMap;

use super::pair::{Memory, Pair, names};
use super::{Desired, Observed};
use crate::coder::{CreateProvisionerKey, OrganizationId};
use crate::engine::issued::{self, Credential, Issued, Previous};
use crate::engine::{Cx, Error, Reason};
use crate::kinds::issued::Why;
use crate::lists::{Organizations, ProvisionerKeyItem, ProvisionerKeys};
use crate::mirror::Interest;

/// The keys of the two names, if there are any; for a spec also what the Secret holds of them.
pub(super) async fn look(
    cx: &Cx<'_>,
    desired: Option<&Desired>,
    organization: OrganizationId,
    name: &str,
    memory: Option<&Memory>,
) -> Result<Option<Observed>, Error> {
    // What is behind the id of a deleted organization is gone.
    let Some(within) = cx.get(&Organizations, &organization.to_string()).await? else {
        return Ok(None);
    };
    let (keys, names) = (ProvisionerKeys(organization), names(name));
    let is_one = |key: &ProvisionerKeyItem| names.contains(&key.name);
    let Some(first) = cx.find(&keys, is_one).await? else {
        return Ok(None);
    };
    let all = cx.list(&keys, Interest::Item(first.id.to_string())).await?;
    let mut found = Vec::new();
    for key in all.iter().filter(|key| is_one(key)) {
        found.extend(cx.get(&keys, &key.id.to_string()).await?);
    }
    let held = match desired {
        Some(desired) => held(cx, desired, &found).await?,
        None => None,
    };
    Ok(Some(Observed {
        organization,
        within: within.name,
        name: name.to_owned(),
        pair: Pair::of(found, memory, held.as_ref()),
        held,
    }))
}

/// What the Secret holds, if it is one of these keys.
pub(super) async fn held<'k>(
    cx: &Cx<'_>,
    desired: &Desired,
    keys: impl IntoIterator<Item = &'k ProvisionerKeyItem>,
) -> Result<Option<Issued>, Error> {
    let ids = ids(keys);
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    issued::find(cx, &desired.home, &ids).await
}

/// By what a Secret may say which of these keys it holds.
pub(super) fn ids<'k>(keys: impl IntoIterator<Item = &'k ProvisionerKeyItem>) -> Vec<String> {
    let keys = keys.into_iter();
    keys.flat_map(|key| [key.id.to_string(), key.name.clone()]).collect()
}

/// Makes a key and puts it into the Secret.
pub(super) async fn issue(
    cx: &Cx<'_>,
    desired: &Desired,
    request: &CreateProvisionerKey,
    previous: Option<Previous>,
    inherits: bool,
) -> Result<Option<Issued>, Error> {
    let Desired { home, terms, .. } = desired;
    let before = issued::before(cx, home).await?;
    let organization = desired.organization.id;
    let shown = cx.coder().create_provisioner_key(organization, request).await?;
    cx.invalidate(&ProvisionerKeys(organization));
    let Some(value) = shown else {
        return Err(Error::NotConverging("Coder answered without a key".to_owned()));
    };
    let shown = Credential {
        // Its id is in the list only, and what was shown must not wait for that.
        id: Some(request.name.clone()),
        previous,
        ..Credential::of(value)
    };
    issued::keep(cx, home, shown, terms.rotate.as_deref(), inherits, before.as_deref()).await?;
    issued::find(cx, home, &[&request.name]).await
}

/// What there is after a key was made, of which only the name is known.
pub(super) async fn read_again(
    cx: &Cx<'_>,
    desired: &Desired,
    observed: &Observed,
    held: Option<Issued>,
) -> Result<Observed, Error> {
    let memory = Memory {
        name: held.as_ref().and_then(|held| held.id.clone()),
        previous: held.and_then(|held| held.previous),
        ..Memory::default()
    };
    let found = look(cx, Some(desired), observed.organization, &observed.name, Some(&memory)).await?;
    found.ok_or_else(|| {
        let message = format!(
            "Coder made provisioner key {} and does not list it: the token's user may not read provisioner keys",
            observed.name
        );
        Error::terminal(Reason::Forbidden, message)
    })
}

/// Whether a new key is to be issued, and why.
pub(super) fn why(desired: &Desired, observed: &Observed) -> Option<Why> {
    let held = observed.held.as_ref();
    let current = observed.pair.current.as_ref();
    let other = |tags: &BTreeMap<String, String>| current.is_some_and(|key| key.tags != *tags);
    let tags = || desired.tags.as_ref().filter(|tags| other(tags));
    desired.terms.why(held).or_else(|| tags().map(|_| Why::Other("tags")))
}

/// A key of somebody else has the name for the next one.
pub(super) fn in_the_way(name: &str) -> Error {
    let message = format!(
        "a new key cannot be issued: provisioner key {name}, which has the other of the two names that take turns, was not \
         made by this object; delete it in Coder"
    );
    Error::terminal(Reason::AlreadyExists, message)
}

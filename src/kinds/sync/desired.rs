//! What a sync shall be.

use std::collections::BTreeMap;

use super::kind::SyncKind;
use super::mapping::{Wanted, from_texts};
use super::place::{Place, organizations};
use crate::api::{ObjectStatus, Policy};
use crate::coder::IdpSync;
use crate::engine::{Cx, Error};
use crate::kinds::parent::parent;
use crate::kinds::targets::{Targets, There};

/// What shall be.
#[derive(Clone, Debug)]
pub struct Desired<S: IdpSync> {
    pub(super) place: Place,
    pub(super) settings: S,
    pub(super) managed: Vec<&'static str>,
    pub(super) mapping: Option<Wanted<S::Target>>,
    /// What the names in it mean.
    pub(super) targets: Targets<S::Target>,
    /// Names of targets, for messages.
    pub(super) names: BTreeMap<S::Target, String>,
    /// The organizations that it is about, by name.
    pub(super) organizations: Vec<String>,
    /// Whether the licence makes it effective.
    pub(super) effective: bool,
}

impl<S: IdpSync> Desired<S> {
    /// Looks up where it is, and the targets of the mapping.
    pub(super) async fn of<K: SyncKind<Settings = S>>(cx: &Cx<'_>, object: &K) -> Result<Self, Error> {
        let status = object.own_status().filter(|status| status.common().origin.is_some());
        let spec = object.wanted();
        let place = match spec.place {
            Some(place) => {
                let held = status.and_then(K::found).and_then(|id| id.parse().ok());
                Place::Organization(parent(cx, &object.instance_key(), place, held).await?)
            }
            None => Place::Deployment(cx.connection.link.deployment),
        };
        let (mut names, mut targets) = (BTreeMap::new(), Targets::default());
        let mapping = match spec.mapping {
            None => None,
            Some(mapping) => {
                let there = K::targets(cx, &place).await?;
                for (target, name) in &there {
                    names.entry(target.clone()).or_insert_with(|| name.clone());
                }
                let exact = spec.policy.unwrap_or_default() == Policy::Exact;
                let facts = status.map(K::facts).cloned().unwrap_or_default();
                let there = There::new(&there, K::is_called);
                targets = Targets::of(mapping.values().flatten(), &facts.target_ids, &there);
                let own = from_texts(&facts.entries);
                Some(Wanted::resolve(mapping, exact, own, |name| targets.get(name)))
            }
        };
        let mut settings = S::initial();
        let managed = K::FIELDS.iter().filter(|field| (field.take)(object, &mut settings));
        let managed = managed.map(|field| field.name).collect();
        let claims = mapping.as_ref().map(|wanted| &wanted.claims);
        let organizations = organizations::<K>(cx, &place, claims).await?;
        Ok(Desired {
            place,
            settings,
            managed,
            mapping,
            targets,
            names,
            organizations,
            effective: cx.connection.features.contains(K::EFFECT.0),
        })
    }

    /// Whether the spec says something of that field.
    pub(super) fn manages(&self, field: &str) -> bool {
        self.managed.contains(&field)
    }
}

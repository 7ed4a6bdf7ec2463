//! Whose the object in Coder is: the claims of this custom resource against those of all others of its kind.

use std::sync::Arc;

use kube::ResourceExt;

use super::Pass;
use crate::api::{ObjectKey, ObjectStatus, Reference};
use crate::engine::cluster::wake::Topic;
use crate::engine::connection::Connection;
use crate::engine::error::Error;
use crate::engine::pass::adoption::Found;
use crate::engine::pass::claims::{self, Claim};
use crate::engine::remote::{Remote, Target};

impl<R: Remote> Pass<'_, R> {
    /// Refuses when another custom resource wants the same name with more right.
    pub(in crate::engine) fn claim_name(&mut self, connection: &Connection, key: &str) -> Result<(), Error> {
        let mine = self.my_claim(connection, Some(key.to_owned()), self.held());
        self.claims = true;
        self.engine.claims.want(&self.me, mine.clone());
        self.check_claim(&mine, || self.engine.claims.against(R::KIND, &mine))
    }

    /// Refuses when another custom resource has begun to create the same.
    pub(super) fn claim_creation(&self, connection: &Connection, key: &str) -> Result<(), Error> {
        let mine = self.my_claim(connection, Some(key.to_owned()), self.held());
        let begin = || {
            self.engine.claims.begin(&self.me, mine.clone()).map_err(|first| {
                let key = first.key.clone();
                self.depend(Topic::Object(Reference { kind: R::KIND, key }));
                claims::conflict(&first.key, R::KIND)
            })
        };
        // Whoever was in the way may have gone before it was named.
        begin().or_else(|_| begin())
    }

    /// The creation did not come about: others may have the name.
    pub(super) fn unclaim_creation(&self, connection: &Connection, key: &str) {
        let mine = self.my_claim(connection, Some(key.to_owned()), self.held());
        self.engine.claims.want(&self.me, mine);
    }

    /// Refuses when another custom resource holds the very object that was found.
    pub(in crate::engine) fn claim_found(
        &self,
        connection: &Connection,
        found: &Found<R::Observed>,
    ) -> Result<(), Error> {
        let Some(observed) = found.any() else {
            return Ok(());
        };
        let id = R::identify(observed).to_string();
        let others = self.holders(connection, &id);
        // Who only names the object yields to who holds it, whatever the age.
        let mut mine = self.my_claim(connection, None, Some(id.clone()));
        if found.owned.is_none() && !others.is_empty() {
            mine.since = None;
        }
        self.check_claim(&mine, || self.holders(connection, &id))
    }

    /// What to say when a rename is refused because something has the name. Its change or departure wakes this object; if
    /// it is gone by now, the rename is tried again.
    pub(super) async fn name_taken(
        &self,
        connection: &Arc<Connection>,
        desired: &R::Desired,
        key: &str,
        refusal: Error,
    ) -> Result<Error, Error> {
        let cx = self.cx_now(connection)?;
        let found = R::observe(&cx, Some(desired), Target::Key(key)).await?;
        let Some(id) = found.map(|found| R::identify(&found).to_string()) else {
            return Ok(Error::NotConverging(refusal.to_string()));
        };
        let mine = self.my_claim(connection, Some(key.to_owned()), None);
        let named = |owner| Claim {
            named: mine.named.clone(),
            ..owner
        };
        let owner = self.stronger(&mine, || self.holders(connection, &id).into_iter().map(named).collect());
        Ok(owner.map_or(refusal, |owner| claims::name_held(&owner, R::KIND)))
    }

    /// Refuses when one of `others` has more right.
    fn check_claim(&self, mine: &Claim, others: impl Fn() -> Vec<Claim>) -> Result<(), Error> {
        match self.stronger(mine, others) {
            None => Ok(()),
            Some(owner) => Err(claims::conflict(&owner, R::KIND)),
        }
    }

    /// Which of `others` has more right. It is named as what this object depends on before it is believed to be there, so
    /// that its departure is not missed.
    fn stronger(&self, mine: &Claim, others: impl Fn() -> Vec<Claim>) -> Option<ObjectKey> {
        let mut named = None;
        loop {
            let owner = claims::stronger(mine, &others()).map(|owner| owner.key.clone());
            if owner.is_none() || owner == named {
                return owner;
            }
            if let Some(key) = owner.clone() {
                self.depend(Topic::Object(Reference { kind: R::KIND, key }));
            }
            named = owner;
        }
    }

    /// The other custom resources whose status says that they have the object with that id.
    pub(in crate::engine) fn holders(&self, connection: &Connection, id: &str) -> Vec<Claim> {
        let deployment = connection.link.deployment;
        let holders = self.engine.holders(R::KIND, deployment, id).into_iter();
        holders
            .filter(|other| other.key != self.me.key)
            .map(|other| Claim {
                key: other.key,
                deployment: deployment.to_string(),
                named: None,
                held: Some(id.to_owned()),
                since: other.since,
            })
            .collect()
    }

    pub(in crate::engine) fn my_claim(
        &self,
        connection: &Connection,
        named: Option<String>,
        held: Option<String>,
    ) -> Claim {
        Claim {
            key: self.me.key.clone(),
            deployment: connection.link.deployment.to_string(),
            named,
            held,
            since: self.record.object().creation_timestamp(),
        }
    }

    /// What this object holds.
    pub(in crate::engine) fn held(&self) -> Option<String> {
        let common = self.record.status.common();
        common
            .origin
            .and_then(|_| R::identity(&self.record.status))
            .map(|identity| identity.to_string())
    }
}

//! What the worker of a kind needs of its passes.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::api::Reference;
use crate::engine::Engine;
use crate::engine::cluster::guarded::Remains;
use crate::engine::cluster::index::Entry;
use crate::engine::cluster::objects::PointsAt;
use crate::engine::cluster::queue::{Group, Lane};
use crate::engine::cluster::status::Recent;
use crate::engine::cluster::triggers::Triggers;
use crate::engine::cluster::worker::{Ended, Reconciler};
use crate::engine::pass;
use crate::engine::remote::Remote;
use crate::metrics::Samples;

/// The passes of a kind that lives in Coder.
pub struct KindReconciler<R>(PhantomData<fn() -> R>);

impl<R> Default for KindReconciler<R> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<R: Remote> Reconciler for KindReconciler<R> {
    type Object = R;
    const POINTS_AT: Option<PointsAt> = Some(PointsAt {
        scope: R::SCOPE,
        kinds: R::POINTS_AT,
    });

    fn lane(object: &R) -> Lane {
        Lane {
            group: Group::Through(object.instance_key()),
            namespace: object.key().namespace,
        }
    }

    fn triggers(object: &R) -> Triggers {
        Triggers::of(object, held::<R>(object).as_deref())
    }

    fn seen(&self, engine: &Engine, object: &R) {
        let entry = Entry::of(object, held::<R>(object));
        engine.caches.index().put(object.reference(), entry);
    }

    fn unreadable(&self, engine: &Engine, me: &Reference, remains: &Remains) {
        // What it wanted by name it may have begun to create.
        let status: Option<R::Status> = remains.part("/status");
        let held = status.as_ref().and_then(|status| R::identity(status));
        let entry = Entry::of_remains::<R>(me, remains, status, held.map(|identity| identity.to_string()));
        engine.caches.index().put(me.clone(), entry);
    }

    fn gone(&self, engine: &Engine, me: &Reference) {
        if let Some(entry) = engine.caches.index().remove(me)
            && let Some(connection) = engine.connections.last(&entry.instance)
        {
            connection.mirror().retain_subscriptions(me, &[]);
        }
    }

    fn gone_meanwhile(&self, engine: &Engine, me: &Reference) {
        engine.claims.forget(me);
        engine.fights.forget(me);
    }

    async fn pass(&self, engine: &Arc<Engine>, recent: &Recent<R>, object: Arc<R>) -> Ended {
        pass::run::<R>(engine, recent, object).await
    }

    fn measure(&self, object: &R, samples: &mut Samples) {
        R::measure(object, samples);
    }
}

/// The id in the status.
fn held<R: Remote>(object: &R) -> Option<String> {
    let identity = object.own_status().and_then(R::identity)?;
    Some(identity.to_string())
}

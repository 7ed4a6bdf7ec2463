//! Whether this object may use its instance, and this process may write: asked again before each thing that depends on it.

use super::Pass;
use crate::api::ObjectKey;
use crate::engine::access;
use crate::engine::cluster::wake::Topic;
use crate::engine::connection::Connection;
use crate::engine::error::Error;
use crate::engine::remote::Remote;

impl<R: Remote> Pass<'_, R> {
    /// Whether the instance grants every organization that a write would touch: the wanted one, and the one in which the
    /// object is.
    pub(in crate::engine) fn authorize_organizations(
        &self,
        connection: &Connection,
        desired: Option<&R::Desired>,
        observed: Option<&R::Observed>,
    ) -> Result<(), Error> {
        let namespace = &self.me.key.namespace;
        let access = connection.terms.access.as_ref();
        R::organizations(desired, observed)
            .into_iter()
            .try_for_each(|organization| access::check_organization(access, &connection.key, namespace, organization))
    }

    /// Whether the instance grants its use to this object. Asked first: only then may anything be said of the instance.
    pub(in crate::engine) fn authorize(&self, instance: &ObjectKey) -> Result<(), Error> {
        let namespace = &self.me.key.namespace;
        self.depend_on_instance(instance);
        self.depend(Topic::Namespace(namespace.clone()));
        self.depend(Topic::Coverage("Namespace"));
        let terms = self.engine.connections.terms(instance);
        if terms.is_none() && *namespace != instance.namespace {
            self.engine.connections.knows(&instance.namespace)?;
        }
        let request = access::Request {
            instance,
            namespace,
            labels: &|| self.engine.labels(namespace),
            kind: R::KIND,
            scope: R::SCOPE,
        };
        access::check(terms.as_ref().and_then(|terms| terms.access.as_ref()), request)
    }

    /// Whether this process may write to that deployment right now.
    pub(in crate::engine) async fn permit(&self, connection: &Connection) -> Result<(), Error> {
        if !self.engine.leadership.leads() {
            return Err(Error::Superseded);
        }
        connection.prove_deployment().await
    }
}

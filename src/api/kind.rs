//! How the engine sees any custom resource, without knowing which one it is.

use std::fmt;

use kube::core::NamespaceResourceScope;
use kube::{CustomResourceExt, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::common::CommonSpec;
use super::status::CommonStatus;

/// Where an object lives in Coder. Deployment-wide kinds can be used from another namespace only when the instance
/// names them in `spec.access.kinds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// One for the whole deployment: organizations, licences, proxies.
    Deployment,
    /// The same, about users: who manages users manages it as well.
    Users,
    /// Inside one organization: groups.
    Organization,
    /// Inside one organization, and deciding who may do what there: settings, roles, keys. As a deployment-wide kind, it can
    /// be used from another namespace only when the instance names it.
    Administration,
}

/// A custom resource of this operator: what can be watched, looked at in passes, and told what came of it.
pub trait Object:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + CustomResourceExt
    + Clone
    + fmt::Debug
    + DeserializeOwned
    + Serialize
    + Send
    + Sync
    + 'static
{
    /// The kind's name as in manifests, `CoderGroup`. Also the metric label.
    const KIND: &'static str;
    /// Its status.
    type Status: ObjectStatus;

    /// The status as last read, absent on an object that no pass has touched.
    fn status(&self) -> Option<&Self::Status>;

    /// Takes the status away from this copy: it says nothing about this object.
    fn clear_status(&mut self);

    /// The status, if it was written for this very object. Another's comes along with an object from a backup.
    fn own_status(&self) -> Option<&Self::Status> {
        let uid = self.uid();
        self.status()
            .filter(|status| status.common().uid.is_none() || status.common().uid == uid)
    }

    /// Namespace and name.
    fn key(&self) -> ObjectKey {
        ObjectKey {
            namespace: self.namespace().unwrap_or_default(),
            name: self.name_any(),
        }
    }

    /// Kind, namespace and name.
    fn reference(&self) -> Reference {
        Reference {
            kind: Self::KIND,
            key: self.key(),
        }
    }
}

/// The status of an [`Object`].
pub trait ObjectStatus:
    Clone + Default + PartialEq + Serialize + DeserializeOwned + fmt::Debug + Send + Sync + 'static
{
    /// The fields that all objects share.
    fn common(&self) -> &CommonStatus;
    /// The same, to write.
    fn common_mut(&mut self) -> &mut CommonStatus;
}

/// A custom resource that stands for an object in Coder.
pub trait Kind: Object<Status: KindStatus> {
    /// Where its objects live.
    const SCOPE: Scope;

    /// The kinds that [`Kind::references`] can name.
    const POINTS_AT: &'static [&'static str] = &[];

    /// The fields that all kinds share.
    fn common(&self) -> &CommonSpec;

    /// Other custom resources of this operator that the spec points at, the instance not among them.
    fn references(&self) -> Vec<Reference> {
        Vec::new()
    }

    /// The `CoderInstance` it belongs to.
    fn instance_key(&self) -> ObjectKey {
        let reference = &self.common().instance_ref;
        ObjectKey {
            namespace: reference
                .namespace
                .clone()
                .or_else(|| self.namespace())
                .unwrap_or_default(),
            name: reference.name.clone(),
        }
    }
}

/// The status of a [`Kind`].
pub trait KindStatus: ObjectStatus {
    /// Whether it holds an object in Coder that a deletion would have to deal with.
    fn has_remote(&self) -> bool;
}

/// Makes a custom resource an [`Object`] whose status has the field `common`.
macro_rules! object {
    ($object:ident, $status:ident) => {
        impl $crate::api::Object for $object {
            const KIND: &'static str = stringify!($object);
            type Status = $status;

            fn status(&self) -> Option<&$status> {
                self.status.as_ref()
            }

            fn clear_status(&mut self) {
                self.status = None;
            }
        }

        impl $crate::api::ObjectStatus for $status {
            fn common(&self) -> &$crate::api::CommonStatus {
                &self.common
            }

            fn common_mut(&mut self) -> &mut $crate::api::CommonStatus {
                &mut self.common
            }
        }
    };
}
pub(super) use object;

/// Makes a custom resource a [`Kind`]: where it lives, its status (with the fields `common` and `id`), and, where it points
/// at others, the method that says at which ones and of what kinds those can be.
macro_rules! kind {
    ($kind:ident, $scope:expr, $status:ident $(, $references:ident => [$($target:ty),+])?) => {
        $crate::api::kind::object!($kind, $status);

        impl $crate::api::Kind for $kind {
            const SCOPE: $crate::api::Scope = $scope;

            fn common(&self) -> &$crate::api::CommonSpec {
                &self.spec.common
            }

            $(const POINTS_AT: &'static [&'static str] = &[$(<$target as $crate::api::Object>::KIND),+];

            fn references(&self) -> Vec<$crate::api::Reference> {
                $kind::$references(self)
            })?
        }

        impl $crate::api::KindStatus for $status {
            fn has_remote(&self) -> bool {
                self.common.holds()
            }
        }
    };
}
pub(super) use kind;

/// Namespace and name of a Kubernetes object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ObjectKey {
    /// From its two parts.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A custom resource that another one points at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// Kind of the object pointed at.
    pub kind: &'static str,
    /// Where it is.
    pub key: ObjectKey,
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.key)
    }
}

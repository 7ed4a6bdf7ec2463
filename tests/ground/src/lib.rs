//! A real Kubernetes control plane for tests and the demo: etcd, kube-apiserver, kube-controller-manager.
//!
//! Nothing here imitates Kubernetes: the servers are built from their sources ([`tools`]) and started on loopback ports
//! ([`ControlPlane`]). Namespaces, owner references and service accounts behave as in a cluster; there are no nodes, so
//! there are no pods.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let ground = test_ground::ControlPlane::shared().await?;
//! let namespace = ground.namespace("adoption").await?;
//! let pods = kube::Api::<k8s_openapi::api::core::v1::Pod>::namespaced(ground.admin()?, namespace.name());
//! namespace.finish().await?;
//! # Ok(())
//! # }
//! ```
//!
//! One control plane serves a whole test process. Tests keep out of each other's way by using a namespace of their own;
//! a test that needs the cluster itself in some state (definitions missing, say) starts its own.

mod control_plane;
mod crds;
mod error;
mod etcd;
pub mod gitops;
mod guard;
pub mod helm;
mod init;
mod namespace;
mod pki;
mod run_dir;
mod servers;
mod service_account;
pub mod tools;
mod user;

pub use control_plane::{ControlPlane, Options, REUSE_VARIABLE};
pub use crds::install_crds;
pub use error::{Error, Result};
pub use etcd::EtcdRaw;
pub use guard::{Guard, Role};
pub use helm::Helm;
pub use init::init;
pub use namespace::Namespace;
pub use user::User;

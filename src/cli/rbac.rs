//! `coder-operator rbac`.

use clap::Args;

use super::{Failure, print};
use crate::rbac;

/// Flags of `rbac`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The namespace that the operator runs in.
    #[arg(long, default_value = "coder-operator", env = "CODER_OPERATOR_NAMESPACE")]
    namespace: String,
    /// Its service account.
    #[arg(long, default_value = "coder-operator", env = "CODER_OPERATOR_SERVICE_ACCOUNT")]
    service_account: String,
    /// Roles for these namespaces instead of a `ClusterRole` for all; as for `run`.
    #[arg(
        long = "watch-namespace",
        value_delimiter = ',',
        env = "CODER_OPERATOR_WATCH_NAMESPACE"
    )]
    watch_namespaces: Vec<String>,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let subject = rbac::Subject {
        namespace: &options.namespace,
        service_account: &options.service_account,
    };
    print(&rbac::to_yaml(subject, &options.watch_namespaces)?)
}

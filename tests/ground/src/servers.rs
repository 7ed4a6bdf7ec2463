//! The command lines of the servers: what a real cluster has, minus what costs time and protects nothing here.

use std::{net::TcpListener, path::Path};

use crate::{Error, Result, pki, run_dir::RunDir};

pub(crate) const TOKENS: &str = "tokens.csv";
pub(crate) const AUDIT_POLICY: &str = "audit-policy.yaml";
pub(crate) const AUDIT_LOG: &str = "audit.log";

/// Who asked what, and what became of it; no contents.
pub(crate) const AUDIT_RULES: &str = r"
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
    userGroups: [system:serviceaccounts]
  - level: None
";

/// Their names: of the binaries, the logs and the files with the process ids.
pub(crate) const ETCD: &str = "etcd";
pub(crate) const KUBE_APISERVER: &str = "kube-apiserver";
pub(crate) const KUBE_CONTROLLER_MANAGER: &str = "kube-controller-manager";
pub(crate) const ALL: [&str; 3] = [ETCD, KUBE_APISERVER, KUBE_CONTROLLER_MANAGER];

/// What there is no cluster without. Nothing here has nodes, pods or services to control.
const CONTROLLERS: &str = "namespace-controller,garbage-collector-controller,\
                           serviceaccount-controller,serviceaccount-token-controller";

/// Different ports that are free now. Somebody may take one before a server does; the start is then tried again.
pub(crate) fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let bind = || TcpListener::bind(("127.0.0.1", 0));
    // All are held until all are known.
    let listeners: Vec<TcpListener> = (0..N)
        .map(|_| bind())
        .collect::<Result<_, _>>()
        .map_err(Error::io("cannot find a free port"))?;
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener
            .local_addr()
            .map_err(Error::io("cannot find a free port"))?
            .port();
    }
    Ok(ports)
}

pub(crate) fn etcd(binary: &Path, directory: &RunDir, url: &str) -> Vec<String> {
    let data = directory.file("etcd");
    command(
        binary,
        &[
            ("data-dir", &data),
            ("listen-client-urls", url),
            ("advertise-client-urls", url),
            // Nobody joins: any port will do, and it is not even told.
            ("listen-peer-urls", "http://127.0.0.1:0"),
            ("log-level", "warn"),
            // The data does not survive the run: nothing is gained by waiting for the disk.
            ("unsafe-no-fsync", "true"),
            // A lone member elects itself after this time, which is the most of its start.
            ("heartbeat-interval", "10"),
            ("election-timeout", "100"),
        ],
    )
}

pub(crate) fn kube_apiserver(binary: &Path, directory: &RunDir, port: u16, etcd_url: &str) -> Vec<String> {
    let file = |name| directory.file(name);
    command(
        binary,
        &[
            ("etcd-servers", etcd_url),
            ("secure-port", &port.to_string()),
            ("bind-address", "127.0.0.1"),
            ("advertise-address", "127.0.0.1"),
            // `default/kubernetes` would need an address that is not loopback.
            ("endpoint-reconciler-type", "none"),
            ("service-cluster-ip-range", "10.0.0.0/24"),
            ("cert-dir", &directory.path().display().to_string()),
            ("tls-cert-file", &file(pki::SERVER_CERTIFICATE)),
            ("tls-private-key-file", &file(pki::SERVER_KEY)),
            ("service-account-issuer", "https://kubernetes.default.svc"),
            ("service-account-key-file", &file(pki::SERVICE_ACCOUNT_PUBLIC_KEY)),
            ("service-account-signing-key-file", &file(pki::SERVICE_ACCOUNT_KEY)),
            ("token-auth-file", &file(TOKENS)),
            ("authorization-mode", "RBAC"),
            // Not on by default, but OpenShift has it: who sets an owner reference needs the right to hold the owner.
            ("enable-admission-plugins", "OwnerReferencesPermissionEnforcement"),
            // These are about nodes, storage and running pods. What protects objects stays: namespace lifecycle, webhooks,
            // validating policies, the pod security standards.
            (
                "disable-admission-plugins",
                "DefaultStorageClass,StorageObjectInUseProtection,TaintNodesByCondition,Priority,\
                 RuntimeClass,DefaultIngressClass,ClusterTrustBundleAttest,CertificateApproval,CertificateSigning,\
                 CertificateSubjectRestriction,ResourceQuota,LimitRanger",
            ),
            // Tests are many clients at once on a machine with few cores.
            ("enable-priority-and-fairness", "false"),
            ("max-requests-inflight", "4000"),
            ("max-mutating-requests-inflight", "2000"),
            ("profiling", "false"),
        ],
    )
}

/// What makes an API server record the requests of service accounts.
pub(crate) fn audit(directory: &RunDir) -> [String; 2] {
    [("audit-policy-file", AUDIT_POLICY), ("audit-log-path", AUDIT_LOG)]
        .map(|(flag, file)| format!("--{flag}={}", directory.file(file)))
}

pub(crate) fn kube_controller_manager(binary: &Path, directory: &RunDir, kubeconfig: &str) -> Vec<String> {
    command(
        binary,
        &[
            ("kubeconfig", &directory.file(kubeconfig)),
            ("controllers", CONTROLLERS),
            (
                "service-account-private-key-file",
                &directory.file(pki::SERVICE_ACCOUNT_KEY),
            ),
            ("root-ca-file", &directory.file(pki::CA)),
            // Nobody else is there to lead, and nobody asks it for its health.
            ("leader-elect", "false"),
            ("secure-port", "0"),
            // Its own limits would be what namespaces and dependents wait for when many tests end at once.
            ("kube-api-qps", "1000"),
            ("kube-api-burst", "2000"),
            ("concurrent-namespace-syncs", "50"),
        ],
    )
}

fn command(binary: &Path, flags: &[(&str, &str)]) -> Vec<String> {
    let mut words = vec![binary.display().to_string()];
    words.extend(flags.iter().map(|(name, value)| format!("--{name}={value}")));
    words
}

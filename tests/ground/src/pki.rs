//! The keys of one control plane: a certificate authority, the API server's certificate, the service account key.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use crate::{Result, run_dir::RunDir};

pub(crate) const CA: &str = "ca.crt";
pub(crate) const SERVER_CERTIFICATE: &str = "apiserver.crt";
pub(crate) const SERVER_KEY: &str = "apiserver.key";
pub(crate) const SERVICE_ACCOUNT_KEY: &str = "service-account.key";
pub(crate) const SERVICE_ACCOUNT_PUBLIC_KEY: &str = "service-account.pub";

/// Makes everything anew in `directory` and returns the authority's certificate (PEM).
pub(crate) fn generate(directory: &RunDir) -> Result<String> {
    let ca_key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "coder-operator test ground");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let ca_certificate = params.self_signed(&ca_key)?;
    let issuer = Issuer::new(params, ca_key);

    let server_key = KeyPair::generate()?;
    let mut server = CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into(), "kubernetes".into()])?;
    server.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    let server_certificate = server.signed_by(&server_key, &issuer)?;

    let ca = ca_certificate.pem();
    directory.write(CA, &ca)?;
    directory.write(SERVER_CERTIFICATE, server_certificate.pem())?;
    directory.write(SERVER_KEY, server_key.serialize_pem())?;
    let service_account_key = KeyPair::generate()?;
    directory.write(SERVICE_ACCOUNT_KEY, service_account_key.serialize_pem())?;
    directory.write(SERVICE_ACCOUNT_PUBLIC_KEY, service_account_key.public_key_pem())?;
    Ok(ca)
}

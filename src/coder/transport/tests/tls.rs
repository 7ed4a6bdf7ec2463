//! A gateway that asks for a client certificate.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use secrecy::SecretString;
use tokio_rustls::TlsAcceptor;

use super::*;

/// An authority, and who it signs for.
struct Authority {
    pem: String,
    der: rustls::pki_types::CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    fn sign(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }
}

/// Answers `[]` to whom its authority knows.
async fn serve_tls(authority: &Authority) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der.clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
    let (certificate, key) = authority.sign("localhost");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let server = rustls::ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let _ = stream.read(&mut [0; 4096]).await;
            let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]";
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
    });
    format!("https://localhost:{port}")
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_who_asks_for_one() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let authority = Authority::new();
    let url = serve_tls(&authority).await;
    let with = |identity: Option<String>| Config {
        ca_pem: Some(authority.pem.clone().into_bytes()),
        identity_pem: identity.map(SecretString::from),
        ..config(&url)
    };
    let (certificate, key) = authority.sign("operator");
    let identity = format!("{}{}", certificate.pem(), key.serialize_pem());
    let known = Client::new(with(Some(identity))).unwrap();
    assert!(known.list_organizations().await.unwrap().is_empty());

    let nobody = Client::new(with(None)).unwrap();
    nobody.list_organizations().await.unwrap_err();
    let no_key = with(Some(certificate.pem()));
    let error = Client::new(no_key).unwrap_err();
    assert!(error.to_string().contains("client certificate"), "{error}");
}

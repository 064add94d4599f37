//! The one authority of the Internet: it vouches for whatever name a client asks for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

pub(super) struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
    issued: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl Authority {
    pub(super) fn new() -> Result<Self> {
        let key = KeyPair::generate().context("make the authority's key")?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "An authority of tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).context("sign the authority's certificate")?.pem();
        Ok(Self { certificate, issuer: Issuer::new(params, key), issued: Mutex::default() })
    }

    pub(super) fn certificate(&self) -> String {
        self.certificate.clone()
    }

    pub(super) fn settings(self: &Arc<Self>) -> Arc<ServerConfig> {
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has the default versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Issuing(Arc::clone(self))));
        Arc::new(config)
    }

    fn issue(&self, name: &str) -> Result<Arc<CertifiedKey>> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let signing = ring::sign::any_supported_type(&private)?;
        Ok(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], signing)))
    }
}

/// Issues a certificate the first time that a name is asked for.
struct Issuing(Arc<Authority>);

impl std::fmt::Debug for Issuing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Issuing")
    }
}

impl ResolvesServerCert for Issuing {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().unwrap_or("nameless.example").to_owned();
        let mut issued = self.0.issued.lock().expect("no panic under this lock");
        if let Some(known) = issued.get(&name) {
            return Some(Arc::clone(known));
        }
        let fresh = self.0.issue(&name).ok()?;
        issued.insert(name, Arc::clone(&fresh));
        Some(fresh)
    }
}

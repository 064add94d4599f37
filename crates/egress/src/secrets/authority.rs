//! The authority of a sandbox: made once, limited to the domains of the secrets, and used for a certificate a host.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use lazaret_core::{Authority, DomainName, DomainPattern, Secret};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::error::EgressError;
use crate::limits;

/// What a person sees who asks a client whom it trusts.
const NAME: &str = "Lazaret: secrets of this sandbox";

/// The one protocol that is spoken with the sandbox; what HTTP/2 makes of headers cannot be told from here.
pub(super) const HTTP_1: &[u8] = b"http/1.1";

/// Makes an authority for the hosts of these domains.
///
/// Its constraints are critical (RFC 5280, section 4.2.1.10): a client that trusts it trusts it for nothing else. A
/// constraint on a name holds for what is below it as well, which is more than an exact domain means; certificates are made
/// for hosts of the domains alone.
pub(crate) fn new_authority(domains: &[DomainPattern]) -> Result<Authority, EgressError> {
    let key = KeyPair::generate().map_err(EgressError::Certificate)?;
    let mut params = of_an_authority();
    let mut names: Vec<String> = domains.iter().map(constraint).collect();
    names.sort();
    names.dedup();
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: names.into_iter().map(GeneralSubtree::DnsName).collect(),
        // What is said of names says nothing of addresses.
        excluded_subtrees: vec![
            GeneralSubtree::IpAddress(CidrSubnet::V4([0; 4], [0; 4])),
            GeneralSubtree::IpAddress(CidrSubnet::V6([0; 16], [0; 16])),
        ],
    });
    let certificate = params.self_signed(&key).map_err(EgressError::Certificate)?;
    Ok(Authority { certificate: certificate.pem(), key: Secret::new(key.serialize_pem()) })
}

/// What every certificate of an authority has, and what its certificates for hosts refer to. It has no end but the
/// sandbox's.
fn of_an_authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn constraint(domain: &DomainPattern) -> String {
    match domain {
        DomainPattern::Exact(name) | DomainPattern::Subdomains(name) => name.as_str().to_owned(),
    }
}

/// Answers for hosts in the name of an authority.
pub(crate) struct Vouching {
    issuer: Issuer<'static, KeyPair>,
    /// One for all hosts: it never leaves the memory of this process.
    key: KeyPair,
    /// By host; emptied when there are too many.
    ready: Mutex<HashMap<DomainName, Arc<ServerConfig>>>,
}

impl Vouching {
    pub(super) fn new(authority: &Authority) -> Result<Self, EgressError> {
        let key = KeyPair::from_pem(authority.key.expose()).map_err(EgressError::Certificate)?;
        let issuer = Issuer::new(of_an_authority(), key);
        let key = KeyPair::generate().map_err(EgressError::Certificate)?;
        Ok(Self { issuer, key, ready: Mutex::default() })
    }

    /// The settings to answer for a host with. The caller has found that the host is one of a secret's domain.
    pub(crate) fn settings(&self, host: &DomainName) -> Result<Arc<ServerConfig>, EgressError> {
        let mut ready = self.ready.lock().expect("no panic under this lock");
        if let Some(known) = ready.get(host) {
            return Ok(Arc::clone(known));
        }
        let fresh = Arc::new(self.issue(host)?);
        if ready.len() >= limits::VOUCHED_HOSTS {
            ready.clear();
        }
        ready.insert(host.clone(), Arc::clone(&fresh));
        Ok(fresh)
    }

    fn issue(&self, host: &DomainName) -> Result<ServerConfig, EgressError> {
        let mut params =
            CertificateParams::new(vec![host.as_str().to_owned()]).map_err(EgressError::Certificate)?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, host.as_str());
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&self.key, &self.issuer).map_err(EgressError::Certificate)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let mut settings = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(EgressError::Tls)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .map_err(EgressError::Tls)?;
        settings.alpn_protocols = vec![HTTP_1.to_vec()];
        Ok(settings)
    }
}

impl fmt::Debug for Vouching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vouching(..)")
    }
}

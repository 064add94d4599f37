//! Connections over TLS to the hosts themselves, whose certificates are verified as any client of this machine would.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lazaret_core::DomainName;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::authority::HTTP_1;
use crate::error::EgressError;

/// Columns of a line of PEM (RFC 7468).
const PEM_COLUMNS: usize = 64;

/// What is trusted, and how a connection begins.
pub(crate) struct Upstream {
    connector: TlsConnector,
    trusted: String,
}

impl Upstream {
    /// Trusts this machine's certificates and those of the files.
    pub(crate) fn new(files: &[PathBuf]) -> Result<Self, EgressError> {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "a trusted certificate of this host cannot be read");
        }
        let mut certificates = found.certs;
        for file in files {
            let unreadable = |source| EgressError::TrustedFile { file: file.clone(), source };
            let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            match read.map_err(unreadable)? {
                none if none.is_empty() => {
                    return Err(unreadable(rustls::pki_types::pem::Error::NoItemsFound));
                }
                some => certificates.extend(some),
            }
        }
        let mut roots = RootCertStore::empty();
        let (_, ignored) = roots.add_parsable_certificates(certificates.iter().cloned());
        if ignored > 0 {
            tracing::debug!(ignored, "trusted certificates in a form that is not understood");
        }
        let mut settings = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(EgressError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        settings.alpn_protocols = vec![HTTP_1.to_vec()];
        let trusted = certificates.iter().map(|certificate| pem(certificate)).collect();
        Ok(Self { connector: TlsConnector::from(Arc::new(settings)), trusted })
    }

    /// What is trusted, in PEM.
    pub(crate) fn trusted(&self) -> &str {
        &self.trusted
    }

    /// Begins to speak with the host of this name, once it has shown that it is the one.
    pub(crate) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        host: &DomainName,
        stream: S,
    ) -> std::io::Result<TlsStream<S>> {
        let name = ServerName::try_from(host.as_str().to_owned()).map_err(std::io::Error::other)?;
        self.connector.connect(name, stream).await
    }
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    let text = STANDARD.encode(certificate);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(PEM_COLUMNS));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use lazaret_core::DomainPattern;

    use super::super::new_authority;
    use super::*;

    #[test]
    fn certificates_of_files_are_trusted_and_what_is_none_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let (good, bad) = (folder.path().join("good.pem"), folder.path().join("bad.pem"));
        let domain: DomainPattern = "a.example".parse().unwrap();
        let certificate = new_authority(&[domain]).unwrap().certificate;
        std::fs::write(&good, &certificate).unwrap();
        std::fs::write(&bad, "no certificate").unwrap();
        let trusted = Upstream::new(&[good]).unwrap().trusted().replace("\r\n", "\n");
        assert!(trusted.ends_with(&certificate.replace("\r\n", "\n")), "{certificate}");
        let error = Upstream::new(std::slice::from_ref(&bad)).map(drop).unwrap_err();
        assert!(error.to_string().contains("bad.pem"), "{error}");
        assert!(
            Upstream::new(&[folder.path().join("none.pem")])
                .is_err_and(|error| error.to_string().contains("none.pem"))
        );
    }
}

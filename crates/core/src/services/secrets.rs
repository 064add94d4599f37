//! Secrets of a new sandbox: an authority for their domains, the variables with the placeholders, and the sandbox's trust.
//!
//! What the sandbox is made to trust is written by its guest, like any file, into what its image brings and into two files
//! of our own, which the variables of common programs name.

use std::collections::BTreeMap;

use super::context::Context;
use crate::ports::Gateway;
use crate::sandbox::{ADDITION_VARIABLE, BUNDLE_VARIABLES};
use crate::{
    Authority, DomainSecrets, Error, FilePath, FileScope, Limit, ReadRange, Result, SandboxId, SandboxSpec,
    WriteOptions, body_from_bytes, collect, limits,
};

/// Where images keep the certificates that they trust: Debian, Alpine and Arch; Fedora and its kin, twice; openSUSE; BSD's
/// way, which some have as well.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Everything that the sandbox trusts.
const BUNDLE: &str = "/etc/lazaret/ca-bundle.crt";

/// The authority alone.
const AUTHORITY: &str = "/etc/lazaret/ca.crt";

/// The user that owns them inside.
const ROOT: &str = "0";

/// The secrets of a wanted sandbox, if it has any; the spec has been checked.
pub(super) fn make(context: &Context, spec: &SandboxSpec) -> Result<Option<DomainSecrets>> {
    if spec.secrets.is_empty() {
        return Ok(None);
    }
    let domains: Vec<_> = spec.secrets.iter().map(|secret| secret.domain.clone()).collect();
    let authority = gateway(context)?.new_authority(&domains)?;
    let token = context.ports.ids.next(context.now()).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Some(DomainSecrets { authority, token, secrets: spec.secrets.clone() }))
}

/// Adds the variables with the placeholders, and those that tell programs what to trust unless the maker has set them.
pub(super) fn announce(secrets: &DomainSecrets, env: &mut BTreeMap<String, String>) {
    env.extend(secrets.environment());
    for variable in BUNDLE_VARIABLES {
        env.entry(variable.to_owned()).or_insert_with(|| BUNDLE.to_owned());
    }
    env.entry(ADDITION_VARIABLE.to_owned()).or_insert_with(|| AUTHORITY.to_owned());
}

/// Makes a running sandbox trust the authority.
///
/// # Errors
/// What the guest reports of the files of our own; lists that an image has in an odd form are left as they are.
pub(super) async fn install(context: &Context, id: SandboxId, authority: &Authority) -> Result<()> {
    let certificate = &authority.certificate;
    let mut found = Vec::new();
    for path in BUNDLES {
        match read(context, id, path).await {
            Ok(bundle) => found.push((path, bundle)),
            Err(Error::File { .. }) => {}
            Err(Error::LimitReached(_)) => {
                tracing::info!(sandbox.id = %id, path, "a list of trusted certificates is too long, and stays as it is");
            }
            Err(error) => return Err(error),
        }
    }
    let base = match found.first() {
        Some((_, bundle)) => bundle.clone(),
        None => gateway(context)?.trusted_certificates().as_bytes().to_vec(),
    };
    write(context, id, AUTHORITY, certificate.clone().into_bytes()).await?;
    write(context, id, BUNDLE, appended(base, certificate)).await?;
    for (path, bundle) in found {
        match write(context, id, path, appended(bundle, certificate)).await {
            Ok(()) => {}
            Err(error @ Error::File { .. }) => {
                tracing::info!(sandbox.id = %id, path, error = &error as &dyn std::error::Error,
                    "a list of trusted certificates stays as it is");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn gateway(context: &Context) -> Result<&dyn Gateway> {
    context.ports.gateway.as_deref().ok_or_else(|| Error::Unsupported { what: "secrets".to_owned() })
}

fn appended(mut bundle: Vec<u8>, certificate: &str) -> Vec<u8> {
    if bundle.last().is_some_and(|byte| *byte != b'\n') {
        bundle.push(b'\n');
    }
    bundle.extend_from_slice(certificate.as_bytes());
    bundle
}

fn scope() -> FileScope {
    FileScope { user: Some(ROOT.to_owned()), beneath: None }
}

async fn read(context: &Context, id: SandboxId, path: &str) -> Result<Vec<u8>> {
    let range = ReadRange { offset: 0, length: Some(limits::TRUST_STORE_MAX_BYTES + 1) };
    let (_, body) = context.ports.guest.read(id, &scope(), &FilePath::new(path)?, range).await?;
    collect(body, limits::TRUST_STORE_MAX_BYTES, Limit::AnswerBytes).await.map(|bytes| bytes.to_vec())
}

async fn write(context: &Context, id: SandboxId, path: &str, content: Vec<u8>) -> Result<()> {
    let (path, options) = (FilePath::new(path)?, WriteOptions::default());
    context.ports.guest.write(id, &scope(), &path, &options, body_from_bytes(content)).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DomainSecret, Secret};

    #[test]
    fn placeholders_are_announced_and_the_makers_own_trust_is_left_to_them() {
        let authority = Authority { certificate: String::new(), key: Secret::new("key") };
        let secret = DomainSecret {
            domain: "api.example".parse().unwrap(),
            name: "KEY".to_owned(),
            value: Secret::new("hunter2"),
        };
        let secrets = DomainSecrets { authority, token: "00".to_owned(), secrets: vec![secret] };
        let mut env = BTreeMap::from([("SSL_CERT_FILE".to_owned(), "/mine".to_owned())]);
        announce(&secrets, &mut env);
        let value = |name: &str| env.get(name).map(String::as_str);
        assert_eq!(value("KEY"), Some("LAZARET_SECRET_KEY_00"));
        assert_eq!(value("SSL_CERT_FILE"), Some("/mine"));
        assert_eq!(value("CURL_CA_BUNDLE"), Some(BUNDLE));
        assert_eq!(value("NODE_EXTRA_CA_CERTS"), Some(AUTHORITY));
        assert!(!env.values().any(|value| value.contains("hunter2")));
    }

    #[test]
    fn a_list_that_ends_in_the_middle_of_a_line_is_ended_first() {
        assert_eq!(appended(b"a".to_vec(), "b\n"), b"a\nb\n");
        assert_eq!(appended(b"a\n".to_vec(), "b\n"), b"a\nb\n");
        assert_eq!(appended(Vec::new(), "b\n"), b"b\n");
    }
}

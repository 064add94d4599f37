//! Port 443, for hosts that get secrets.

use std::sync::Arc;

use lazaret_core::ports::Gateway;
use lazaret_core::{DomainSecret, DomainSecrets, Secret};
use lazaret_egress::EgressConfig;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::world::{HOST_A, HOST_B, SANDBOX, World, list, soon, to};

const VALUE: &str = "hunter2-and-more";
const KEY: &str = "LAZARET_SECRET_KEY_7e57";

/// A world whose gateway trusts an authority of the test's own, a sandbox with a secret for `api.example`, and hosts for
/// that and for `other.example`, which the sandbox may reach as well.
struct Setting {
    world: World,
    secrets: Arc<DomainSecrets>,
    issuer: Issuer<'static, KeyPair>,
    outside: String,
    _folder: tempfile::TempDir,
}

impl Setting {
    async fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let outside = params.self_signed(&key).unwrap().pem();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("outside.pem");
        std::fs::write(&file, &outside).unwrap();
        let world = World::configured(EgressConfig { trusted: vec![file], ..EgressConfig::default() }).await;
        for (name, address) in [("api.example", HOST_A), ("other.example", HOST_B)] {
            world.name(name, &[address]);
        }
        let domain = "api.example".parse().unwrap();
        let authority = world.gateway.new_authority(std::slice::from_ref(&domain)).unwrap();
        let secret = DomainSecret { domain, name: "KEY".to_owned(), value: Secret::new(VALUE) };
        let secrets = DomainSecrets { authority, token: "7e57".to_owned(), secrets: vec![secret] };
        let secrets = Arc::new(secrets);
        let policy = list(&["api.example", "other.example"], &[]);
        world.admit_with(SANDBOX, policy, Some(Arc::clone(&secrets))).await;
        Self { world, secrets, issuer: Issuer::new(params, key), outside, _folder: folder }
    }

    /// Settings of a host that shows a certificate for this name.
    fn host_settings(&self, name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let settings = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(settings))
    }

    /// A host that answers every connection with the head of its first request, in a header and in a body.
    async fn echo(&self, at: std::net::Ipv4Addr, name: &str) {
        tokio::spawn(echo_heads(self.world.host(at, 443).await, self.host_settings(name)));
    }

    /// A handshake of the sandbox, which trusts what it was made to trust, or only the outside.
    async fn connect(&self, name: &'static str, trust: Trust) -> std::io::Result<TlsStream<TcpStream>> {
        let pem = match trust {
            Trust::Authority => self.secrets.authority.certificate.as_bytes(),
            Trust::Outside => self.outside.as_bytes(),
        };
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(pem).unwrap()).unwrap();
        let mut settings = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        settings.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // Where it is sent decides nothing.
        let stream = self.world.connect(SANDBOX, to(HOST_B, 443)).await;
        let name = ServerName::try_from(name).unwrap();
        soon(TlsConnector::from(Arc::new(settings)).connect(name, stream)).await
    }

    async fn say(&self, name: &'static str, trust: Trust, said: &str) -> String {
        let mut stream = self.connect(name, trust).await.unwrap();
        soon(stream.write_all(said.as_bytes())).await.unwrap();
        let mut answer = Vec::new();
        soon(stream.read_to_end(&mut answer)).await.unwrap();
        String::from_utf8(answer).unwrap()
    }
}

#[derive(Clone, Copy)]
enum Trust {
    Authority,
    Outside,
}

async fn echo_heads(listener: TcpListener, tls: TlsAcceptor) {
    while let Ok((stream, _)) = listener.accept().await {
        let tls = tls.clone();
        tokio::spawn(async move {
            let Ok(mut stream) = tls.accept(stream).await else { return };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { return };
                head.push(byte);
            }
            let head = String::from_utf8(head).unwrap();
            let key = head.lines().find_map(|line| line.strip_prefix("X-Key: ")).unwrap_or_default();
            // The value's length and last letters, which no mask hides, say whether it arrived.
            let (length, end) = (key.len(), &key[key.len().saturating_sub(4)..]);
            let answer = format!(
                "HTTP/1.1 200 OK\r\nX-Echo: {key}\r\nX-Got: {length} {end}\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n{head}",
                head.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        });
    }
}

fn request(host: &str) -> String {
    format!(
        "GET /path HTTP/1.1\r\nHost: {host}\r\nX-Key: {KEY}\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
    )
}

#[tokio::test]
async fn a_host_of_the_domain_gets_the_value_and_the_sandbox_hears_no_word_of_it() {
    let setting = Setting::new().await;
    setting.echo(HOST_A, "api.example").await;
    let stream = setting.connect("api.example", Trust::Authority).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    drop(stream);
    let answer = setting.say("api.example", Trust::Authority, &request("API.example")).await;
    assert!(answer.contains("X-Got: 16 more\r\n"), "{answer}");
    assert!(answer.contains("X-Echo: ****************\r\n"), "{answer}");
    assert!(answer.contains("X-Key: ****************\r\n"), "{answer}");
    assert!(answer.contains("GET /path HTTP/1.1\r\n") && !answer.contains("gzip"), "{answer}");
    assert!(!answer.contains(VALUE), "{answer}");
}

#[tokio::test]
async fn another_allowed_host_is_passed_on_unread_and_gets_the_placeholder() {
    let setting = Setting::new().await;
    setting.echo(HOST_B, "other.example").await;
    // Its own certificate arrives, and the sandbox's authority has no say in it.
    setting.connect("other.example", Trust::Authority).await.map(drop).unwrap_err();
    let answer = setting.say("other.example", Trust::Outside, &request("other.example")).await;
    assert!(answer.contains(&format!("X-Key: {KEY}\r\n")), "{answer}");
}

#[tokio::test]
async fn a_request_for_another_host_inside_is_refused_and_gets_nowhere() {
    let setting = Setting::new().await;
    setting.echo(HOST_A, "api.example").await;
    setting.echo(HOST_B, "other.example").await;
    for (said, denied) in [
        (request("other.example"), "other.example: host contradicts the request x1"),
        (request("api.example:80"), "api.example:80: host contradicts the request x1"),
        (
            request("api.example").replace("/path", "http://api.example/path"),
            "http://api.example/path with host api.example: host contradicts the request x1",
        ),
        (
            request("api.example").replace("/path", "https://other.example/path"),
            "https://other.example/path with host api.example: host contradicts the request x1",
        ),
    ] {
        let answer = setting.say("api.example", Trust::Authority, &said).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{said}{answer}");
        assert_eq!(setting.world.denied(1).await, [denied]);
    }
}

#[tokio::test]
async fn a_host_that_is_not_the_one_it_says_gets_nothing() {
    let setting = Setting::new().await;
    setting.echo(HOST_A, "impostor.example").await;
    let answer = setting.say("api.example", Trust::Authority, &request("api.example")).await;
    assert!(
        answer.starts_with("HTTP/1.1 502 ") && answer.contains("no certificate for this name"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_domain_that_is_not_allowed_any_more_gets_nothing() {
    let setting = Setting::new().await;
    setting.echo(HOST_A, "api.example").await;
    setting
        .world
        .admit_with(SANDBOX, list(&["other.example"], &[]), Some(Arc::clone(&setting.secrets)))
        .await;
    setting.connect("api.example", Trust::Authority).await.map(drop).unwrap_err();
    assert_eq!(setting.world.denied(1).await, ["api.example:443: name not allowed x1"]);
}

#[tokio::test]
async fn an_authority_vouches_for_its_domains_alone() {
    let setting = Setting::new().await;
    let key = KeyPair::from_pem(setting.secrets.authority.key.expose()).unwrap();
    // With the key in the wrong hands, which it never is: a client that trusts the authority still refuses.
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "Lazaret: secrets of this sandbox");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let issuer = Issuer::new(params, key);
    let setting = Setting { issuer, ..setting };
    setting.echo(HOST_B, "other.example").await;
    let error = setting.connect("other.example", Trust::Authority).await.map(drop).unwrap_err();
    assert!(error.to_string().contains("NameConstraintViolation"), "{error}");
}

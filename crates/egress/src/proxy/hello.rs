//! The first message of a TLS handshake: whom the client wants.
//!
//! rustls reads it, in however many records and segments it comes; what it does not show is looked for here, in bytes
//! that it has found to be well-formed.

use std::io;

use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::limits;

/// What a client says first.
#[derive(Debug)]
pub(super) struct Hello {
    /// Its server name, as sent.
    pub(super) name: Option<String>,
    /// There is a second, encrypted hello inside (ECH), whose name nobody on the way can read.
    pub(super) encrypted: bool,
    /// The bytes as they came, for the server.
    pub(super) bytes: Vec<u8>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum HelloError {
    /// The connection ended or broke first.
    #[error("the connection ended before the handshake began")]
    Ended(#[source] io::Error),
    /// Something else was said, or too much of it.
    #[error("not a TLS handshake")]
    NotTls,
}

/// Type of a handshake record, and of the message that opens a handshake (RFC 8446).
const HANDSHAKE_RECORD: u8 = 22;
/// Extension of an encrypted hello.
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;

/// Reads up to the end of the first message.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Hello, HelloError> {
    let mut acceptor = Acceptor::default();
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let count = stream.read(&mut chunk).await.map_err(HelloError::Ended)?;
        if count == 0 {
            return Err(HelloError::Ended(io::ErrorKind::UnexpectedEof.into()));
        }
        bytes.extend_from_slice(&chunk[..count]);
        if bytes.len() > limits::HELLO_MAX_BYTES {
            return Err(HelloError::NotTls);
        }
        let mut fresh = &chunk[..count];
        while !fresh.is_empty() {
            match acceptor.read_tls(&mut fresh) {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Err(HelloError::NotTls),
            }
        }
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) => {
                let name = accepted.client_hello().server_name().map(str::to_owned);
                let encrypted = has_extension(&bytes, ENCRYPTED_CLIENT_HELLO);
                return Ok(Hello { name, encrypted, bytes });
            }
            Err(_) => return Err(HelloError::NotTls),
        }
    }
}

/// Whether the hello in these records has an extension; bytes that are not as they should be have it.
fn has_extension(records: &[u8], wanted: u16) -> bool {
    let message = message_of(records);
    extensions_of(&message).is_none_or(|mut rest| {
        while let Some((kind, after)) = take_u16(rest) {
            if kind == wanted {
                return true;
            }
            match take_u16(after).and_then(|(length, body)| body.get(usize::from(length)..)) {
                Some(next) => rest = next,
                None => return true,
            }
        }
        false
    })
}

/// The handshake bytes of the records, put together.
fn message_of(mut records: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    while let [HANDSHAKE_RECORD, _, _, high, low, rest @ ..] = records {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (fragment, next) = rest.split_at(length);
        message.extend_from_slice(fragment);
        records = next;
    }
    message
}

/// The extensions of a hello: after the type and length, version and random, and three lists.
fn extensions_of(message: &[u8]) -> Option<&[u8]> {
    let body = message.get(4..)?.get(2 + 32..)?;
    let (session, rest) = body.split_first()?;
    let (suites, rest) = take_u16(rest.get(usize::from(*session)..)?)?;
    let (methods, rest) = rest.get(usize::from(suites)..)?.split_first()?;
    let rest = rest.get(usize::from(*methods)..)?;
    match take_u16(rest) {
        Some((length, extensions)) => extensions.get(..usize::from(length)),
        // An old client may have none.
        None => rest.is_empty().then_some(rest),
    }
}

fn take_u16(bytes: &[u8]) -> Option<(u16, &[u8])> {
    match bytes {
        [high, low, rest @ ..] => Some((u16::from_be_bytes([*high, *low]), rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::*;

    /// What rustls says first to a host.
    fn hello_to(host: &'static str) -> Vec<u8> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let name = ServerName::try_from(host).unwrap();
        let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut bytes = Vec::new();
        connection.write_tls(&mut bytes).unwrap();
        bytes
    }

    /// The same message in records of at most `size` bytes.
    fn in_records_of(size: usize, records: &[u8]) -> Vec<u8> {
        let mut cut = Vec::new();
        for fragment in message_of(records).chunks(size) {
            cut.extend([HANDSHAKE_RECORD, 3, 1]);
            cut.extend(u16::try_from(fragment.len()).unwrap().to_be_bytes());
            cut.extend(fragment);
        }
        cut
    }

    /// An encrypted hello (outer, one suite, one byte of key and one of text), as the draft frames it.
    const ENCRYPTED: [u8; 12] = [0, 0, 1, 0, 1, 5, 0, 1, 9, 0, 1, 9];

    /// The same message with one extension more.
    fn with_extension(records: &[u8], kind: u16, content: &[u8]) -> Vec<u8> {
        let mut message = message_of(records);
        let content_length = u16::try_from(content.len()).unwrap();
        let added = [&kind.to_be_bytes()[..], &content_length.to_be_bytes(), content].concat();
        let length_at = message.len() - extensions_of(&message).unwrap().len() - 2;
        let length = u16::from_be_bytes([message[length_at], message[length_at + 1]]) + 4 + content_length;
        message[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
        message.extend(added);
        let body = u32::try_from(message.len() - 4).unwrap().to_be_bytes();
        message[1..4].copy_from_slice(&body[1..]);
        let size = u16::try_from(message.len()).unwrap().to_be_bytes();
        [&[HANDSHAKE_RECORD, 3, 1], &size[..], &message].concat()
    }

    async fn read_all(mut bytes: &[u8]) -> Result<(Option<String>, bool), String> {
        let hello = read(&mut bytes).await.map_err(|error| error.to_string())?;
        Ok((hello.name, hello.encrypted))
    }

    #[tokio::test]
    async fn the_name_is_read_in_one_record_and_in_many() {
        let whole = hello_to("Allowed.example");
        for bytes in [whole.clone(), in_records_of(7, &whole), in_records_of(1, &whole)] {
            let (name, encrypted) = read_all(&bytes).await.unwrap();
            assert_eq!((name.unwrap().to_lowercase().as_str(), encrypted), ("allowed.example", false));
        }
    }

    #[tokio::test]
    async fn an_encrypted_hello_is_seen_and_an_address_is_no_name() {
        let bytes = with_extension(&hello_to("allowed.example"), ENCRYPTED_CLIENT_HELLO, &ENCRYPTED);
        assert_eq!(read_all(&bytes).await, Ok((Some("allowed.example".to_owned()), true)));
        assert_eq!(read_all(&hello_to("192.0.2.1")).await, Ok((None, false)));
    }

    #[tokio::test]
    async fn what_is_no_handshake_is_refused_and_what_ends_is_not_waited_for() {
        let hello = hello_to("allowed.example");
        let endless = [HANDSHAKE_RECORD, 3, 1, 0x3f, 0xff, 1, 0xff, 0xff, 0xff].into_iter();
        let endless: Vec<u8> = endless.chain(std::iter::repeat_n(0, 100_000)).collect();
        for (bytes, want) in [
            (&b"GET / HTTP/1.1\r\nHost: allowed.example\r\n\r\n"[..], "not a TLS handshake"),
            (b"SSH-2.0-OpenSSH_9.2\r\n", "not a TLS handshake"),
            (&endless, "not a TLS handshake"),
            (&hello[..40], "the connection ended before the handshake began"),
            (b"", "the connection ended before the handshake began"),
        ] {
            assert_eq!(read_all(bytes).await, Err(want.to_owned()));
        }
    }

    proptest! {
        #[test]
        fn a_damaged_hello_is_read_or_refused(at in 0..400_usize, with in any::<u8>(), size in 1..600_usize) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let mut bytes = in_records_of(size, &hello_to("allowed.example"));
            let length = bytes.len();
            bytes[at % length] = with;
            let _ = runtime.block_on(read_all(&bytes));
        }

        #[test]
        fn looking_for_an_extension_ends_on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            has_extension(&bytes, ENCRYPTED_CLIENT_HELLO);
        }
    }
}

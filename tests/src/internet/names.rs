//! The names of the Internet, and its name server.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};

use super::{ALLOWED, ALLOWED_V6, HOST, METADATA, OTHER, OTHER_V6, PRIVATE};

/// Every name and its IPv4 address. `rebind.example` has two, one at a time: first that of [`ALLOWED`], then that of
/// [`METADATA`], and so on.
pub const NAMES: [(&str, Ipv4Addr); 13] = [
    ("allowed.example", ALLOWED),
    ("www.allowed.example", ALLOWED),
    ("xn--bcher-kva.example", ALLOWED),
    ("other.example", OTHER),
    // The allowed one with a Cyrillic letter.
    ("xn--llowed-2nf.example", OTHER),
    ("notallowed.example", OTHER),
    ("allowed.example.evil.example", OTHER),
    ("allowed.exampleevil.example", OTHER),
    ("deep.www.allowed.example", OTHER),
    ("metadata.example", METADATA),
    ("inside.example", PRIVATE),
    ("host.example", HOST),
    (REBINDING, ALLOWED),
];

const REBINDING: &str = "rebind.example";

/// The two hosts with IPv6.
fn v6_of(v4: Ipv4Addr) -> Option<IpAddr> {
    match v4 {
        ALLOWED => Some(ALLOWED_V6.into()),
        OTHER => Some(OTHER_V6.into()),
        _ => None,
    }
}

/// Answers queries; `None` for what is no query.
pub(super) fn answer(bytes: &[u8]) -> Option<Vec<u8>> {
    let asked = Message::from_vec(bytes).ok()?;
    let question = asked.queries.first()?;
    let mut reply = Message::new(asked.metadata.id, MessageType::Response, OpCode::Query);
    reply.metadata.recursion_available = true;
    reply.add_query(question.clone());
    match addresses(question) {
        Some(addresses) => {
            let record = |address: IpAddr| Record::from_rdata(question.name.clone(), 0, RData::from(address));
            reply.add_answers(addresses.into_iter().map(record));
        }
        None => reply.metadata.response_code = ResponseCode::NXDomain,
    }
    reply.to_vec().ok()
}

/// The addresses of the kind that a question asks for; `None` if there is no such name.
fn addresses(question: &Query) -> Option<Vec<IpAddr>> {
    static REBINDINGS: AtomicUsize = AtomicUsize::new(0);
    let name = question.name.to_lowercase().to_ascii();
    let name = name.trim_end_matches('.');
    let (_, v4) = NAMES.iter().find(|(known, _)| *known == name)?;
    Some(match question.query_type {
        RecordType::A if name == REBINDING && REBINDINGS.fetch_add(1, Ordering::Relaxed) % 2 == 1 => {
            vec![METADATA.into()]
        }
        RecordType::A => vec![(*v4).into()],
        RecordType::AAAA if name != REBINDING => v6_of(*v4).into_iter().collect(),
        _ => Vec::new(),
    })
}

/// Serves a socket for ever.
pub(super) fn serve(socket: &UdpSocket) {
    let mut buffer = [0; 4096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        if let Some(reply) = answer(&buffer[..length]) {
            // Whoever has gone asks nobody again.
            let _ = socket.send_to(&reply, from);
        }
    }
}

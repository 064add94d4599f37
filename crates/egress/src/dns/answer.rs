//! From a query's bytes to an answer's.
//!
//! Aliases are followed here and left out of the answer, so that the name which was judged is the name which has the
//! addresses. Addresses that may not be reached are taken out: a name cannot lead inside (DNS rebinding).

use std::sync::Arc;

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use lazaret_core::DomainName;

use super::Dns;
use crate::exit;
use crate::judge::Refusal;
use crate::limits;
use crate::resolve::{self, Found, Unresolved};
use crate::tenant::Admitted;

/// How a query came, and so how large its answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Udp,
    Tcp,
}

/// What is said to a query.
#[derive(Debug)]
enum Verdict {
    Records(Found),
    /// The name is there, and has nothing of the kind.
    Empty,
    Code(ResponseCode),
}

/// Bytes of a message's header (RFC 1035).
const HEADER_BYTES: usize = 12;

/// Types that a sandbox with the whole Internet may ask for besides addresses. Those that describe a connection
/// (`HTTPS`, `SVCB`) are always empty: they carry addresses and keys that would go around the gateway.
const OPEN_TYPES: [RecordType; 9] = [
    RecordType::CNAME,
    RecordType::MX,
    RecordType::TXT,
    RecordType::SRV,
    RecordType::NS,
    RecordType::SOA,
    RecordType::CAA,
    RecordType::PTR,
    RecordType::NAPTR,
];

impl Dns {
    /// The answer to a query; `None` for bytes that are none.
    pub(super) async fn answer(
        &self,
        admitted: &Arc<Admitted>,
        bytes: &[u8],
        transport: Transport,
    ) -> Option<Vec<u8>> {
        let query = match read(bytes) {
            Ok(query) => query,
            Err(reply) => return reply,
        };
        let verdict = self.judge(admitted, &query.queries[0]).await;
        Some(write(&query, verdict, transport))
    }

    /// The answer to a query that there is no place for.
    pub(super) fn turn_away(admitted: &Admitted, bytes: &[u8]) -> Option<Vec<u8>> {
        let query = match read(bytes) {
            Ok(query) => query,
            Err(reply) => return reply,
        };
        admitted.deny(&query.queries[0].name.to_ascii(), Refusal::TooManyQueries);
        Some(write(&query, Verdict::Code(ResponseCode::Refused), Transport::Udp))
    }

    async fn judge(&self, admitted: &Arc<Admitted>, query: &Query) -> Verdict {
        if query.query_class != DNSClass::IN {
            return Verdict::Code(ResponseCode::Refused);
        }
        let name = match DomainName::from_labels(query.name.iter()) {
            Ok(name) if admitted.resolves(&name) => name,
            Ok(_) | Err(_) => {
                admitted.deny(&shown(&query.name), Refusal::Name);
                return Verdict::Code(ResponseCode::NXDomain);
            }
        };
        match query.query_type {
            RecordType::AAAA if !admitted.has_v6() => Verdict::Empty,
            kind @ (RecordType::A | RecordType::AAAA) => self.addresses(admitted, &name, kind).await,
            RecordType::HTTPS | RecordType::SVCB => Verdict::Empty,
            kind if OPEN_TYPES.contains(&kind) && admitted.resolves_everything() => {
                if is_inside(&query.name, &self.court.bounds) {
                    return Verdict::Code(ResponseCode::NXDomain);
                }
                self.servers.records(&name, kind).await.map_or_else(nothing, Verdict::Records)
            }
            kind => {
                admitted.deny(&format!("{name} {kind}"), Refusal::RecordType);
                Verdict::Code(ResponseCode::Refused)
            }
        }
    }

    async fn addresses(&self, admitted: &Arc<Admitted>, name: &DomainName, kind: RecordType) -> Verdict {
        let mut found = match self.servers.records(name, kind).await {
            Ok(found) => found,
            Err(why) => return nothing(why),
        };
        found.data.retain(|data| {
            data.ip_addr().is_some_and(|it| exit::may_reach(&*self.exit, &self.court.bounds, it))
        });
        if found.data.is_empty() {
            admitted.deny(name.as_str(), Refusal::PrivateAddress);
            return Verdict::Empty;
        }
        admitted.remember(name, &resolve::addresses_of(&found));
        Verdict::Records(found)
    }
}

/// A message with one question, or what to say to anything else.
fn read(bytes: &[u8]) -> Result<Message, Option<Vec<u8>>> {
    let is_answer = bytes.get(2).is_none_or(|flags| flags & 0x80 != 0);
    if bytes.len() < HEADER_BYTES || is_answer {
        return Err(None);
    }
    let id = u16::from_be_bytes([bytes[0], bytes[1]]);
    let refuse = |op_code, code| Err(Message::error_msg(id, op_code, code).to_vec().ok());
    match Message::from_vec(bytes) {
        Ok(message) if message.metadata.message_type != MessageType::Query => Err(None),
        Ok(message) if message.metadata.op_code != OpCode::Query => {
            refuse(message.metadata.op_code, ResponseCode::NotImp)
        }
        Ok(message) if message.queries.len() == 1 => Ok(message),
        Ok(_) | Err(_) => refuse(OpCode::Query, ResponseCode::FormErr),
    }
}

fn write(query: &Message, verdict: Verdict, transport: Transport) -> Vec<u8> {
    let mut reply = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
    reply.metadata = Metadata::response_from_request(&query.metadata);
    reply.metadata.recursion_available = true;
    reply.add_queries(query.queries.iter().cloned());
    if query.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(limits::UDP_ANSWER_MAX_BYTES);
        reply.set_edns(edns);
    }
    match verdict {
        Verdict::Records(found) => {
            let owner = query.queries[0].name.clone();
            let record = |data: RData| Record::from_rdata(owner.clone(), found.ttl_s, data);
            reply.add_answers(found.data.into_iter().map(record));
        }
        Verdict::Empty => {}
        Verdict::Code(code) => reply.metadata.response_code = code,
    }
    let max = match transport {
        Transport::Udp => {
            usize::from(query.max_payload().clamp(limits::UDP_ANSWER_MIN_BYTES, limits::UDP_ANSWER_MAX_BYTES))
        }
        Transport::Tcp => usize::from(u16::MAX),
    };
    match reply.to_vec() {
        Ok(bytes) if bytes.len() <= max => bytes,
        Ok(_) => reply.truncate().to_vec().unwrap_or_default(),
        // Records that came from a name server and cannot be written again.
        Err(_) => {
            let id = query.metadata.id;
            Message::error_msg(id, OpCode::Query, ResponseCode::ServFail).to_vec().unwrap_or_default()
        }
    }
}

fn nothing(why: Unresolved) -> Verdict {
    match why {
        Unresolved::NoSuchName => Verdict::Code(ResponseCode::NXDomain),
        Unresolved::NoSuchRecord => Verdict::Empty,
        Unresolved::NoAnswer(_) | Unresolved::TimedOut => {
            tracing::debug!(error = %why, "a name server failed");
            Verdict::Code(ResponseCode::ServFail)
        }
    }
}

/// Whether a name asks for the names of addresses that may not be reached: those are the host's network's own.
fn is_inside(name: &Name, bounds: &lazaret_core::EgressBounds) -> bool {
    name.parse_arpa_name().is_ok_and(|net| !bounds.opens(net.addr()))
}

fn shown(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    fn query(name: &str) -> Message {
        let mut message = Message::new(7, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
        message
    }

    fn found(count: u8) -> Verdict {
        let data = (0..count).map(|number| RData::A(Ipv4Addr::new(192, 0, 2, number).into())).collect();
        Verdict::Records(Found { data, ttl_s: 60 })
    }

    #[test]
    fn an_answer_repeats_the_question_to_the_letter_and_owns_its_records() {
        let query = query("ExAmPlE.com.");
        let reply = Message::from_vec(&write(&query, found(2), Transport::Udp)).unwrap();
        assert_eq!((reply.metadata.id, reply.metadata.message_type), (7, MessageType::Response));
        assert_eq!(reply.queries[0].name.to_ascii(), "ExAmPlE.com.");
        assert_eq!(reply.answers.len(), 2);
        assert!(reply.answers.iter().all(|record| record.name == query.queries[0].name && record.ttl == 60));
        assert!(reply.edns.is_none());
    }

    #[test]
    fn an_answer_that_does_not_fit_is_cut_and_says_so() {
        let mut query = query("example.com.");
        let cut = Message::from_vec(&write(&query, found(60), Transport::Udp)).unwrap();
        assert!(cut.metadata.truncation && cut.answers.is_empty());
        let whole = Message::from_vec(&write(&query, found(60), Transport::Tcp)).unwrap();
        assert!(!whole.metadata.truncation && whole.answers.len() == 60);
        query.set_edns(Edns::new().set_max_payload(4096).clone());
        let larger = Message::from_vec(&write(&query, found(60), Transport::Udp)).unwrap();
        assert_eq!(larger.answers.len(), 60);
    }

    #[test]
    fn what_is_no_single_question_is_told_so_and_what_is_no_query_is_not_answered() {
        let code = |bytes: &[u8]| {
            let reply = read(bytes).map(drop).unwrap_err();
            reply.map(|bytes| Message::from_vec(&bytes).unwrap().metadata.response_code)
        };
        let two = {
            let mut message = query("a.example.");
            message.add_query(Query::query(Name::root(), RecordType::NS));
            message.to_vec().unwrap()
        };
        let update = Message::new(7, MessageType::Query, OpCode::Update).to_vec().unwrap();
        let answer = Message::new(7, MessageType::Response, OpCode::Query).to_vec().unwrap();
        assert_eq!(code(&two), Some(ResponseCode::FormErr));
        assert_eq!(code(&update), Some(ResponseCode::NotImp));
        assert_eq!(code(&answer), None);
        assert_eq!(code(b"short"), None);
        assert_eq!(code(&[0, 7, 1, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0xc0]), Some(ResponseCode::FormErr));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_read_or_refused_and_a_refusal_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            match read(&bytes) {
                Ok(message) => prop_assert_eq!(message.queries.len(), 1),
                Err(None) => {}
                Err(Some(reply)) => {
                    let reply = Message::from_vec(&reply).unwrap();
                    prop_assert_eq!(reply.metadata.message_type, MessageType::Response);
                    prop_assert_eq!(&reply.metadata.id.to_be_bytes()[..], &bytes[..2]);
                }
            }
        }

        #[test]
        fn a_damaged_query_is_read_or_refused(at in 0..64_usize, with in any::<u8>(), cut in 0..64_usize) {
            let mut bytes = query("some.name.example.com.").to_vec().unwrap();
            let length = bytes.len();
            bytes[at % length] = with;
            bytes.truncate(length.saturating_sub(cut));
            if let Ok(message) = read(&bytes) {
                let reply = write(&message, found(3), Transport::Udp);
                prop_assert!(reply.len() <= usize::from(limits::UDP_ANSWER_MAX_BYTES));
            }
        }
    }
}

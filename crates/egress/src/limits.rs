//! Every bound that a sandbox, or a host that it talks to, could otherwise push.

use std::time::Duration;

/// Queries a second that one sandbox may send for long. A package manager's burst is the most that programs need.
pub(crate) const QUERIES_PER_SECOND: u32 = 50;
/// Queries that one sandbox may send at once after a pause.
pub(crate) const QUERY_BURST: u32 = 200;
/// Queries of one sandbox that wait for a name server.
pub(crate) const QUERIES_IN_FLIGHT: usize = 32;
/// Connections of one sandbox that carry queries.
pub(crate) const DNS_CONNECTIONS: usize = 8;
/// Largest query in bytes: one name, and options of which none is needed.
pub(crate) const QUERY_MAX_BYTES: usize = 1232;
/// Largest answer by UDP in bytes, whatever the sandbox says it takes: no answer is cut into fragments.
pub(crate) const UDP_ANSWER_MAX_BYTES: u16 = 1232;
/// Answer that every client takes by UDP, in bytes (RFC 1035).
pub(crate) const UDP_ANSWER_MIN_BYTES: u16 = 512;
/// Records of an answer. More addresses help no client.
pub(crate) const ANSWER_RECORDS: usize = 16;
/// Time that a connection with queries may be silent.
pub(crate) const DNS_IDLE: Duration = Duration::from_secs(10);
/// Time that one query may take in all.
pub(crate) const RESOLVE_TIMEOUT: Duration = Duration::from_secs(8);
/// Time that one name server has for an answer before the query is sent again.
pub(crate) const NAME_SERVER_TIMEOUT: Duration = Duration::from_secs(2);
/// Answers of name servers that are kept.
pub(crate) const CACHE_ANSWERS: u64 = 8192;
/// Shortest time to live of an answer in seconds, so that a program that asks before every connection is not slowed.
pub(crate) const TTL_MIN_S: u32 = 1;
/// Longest time to live of an answer in seconds, so that a moved host is found again.
pub(crate) const TTL_MAX_S: u32 = 300;
/// How long it is remembered that a name does not exist.
pub(crate) const NEGATIVE_TTL_MAX: Duration = Duration::from_secs(10);
/// Queries on one connection to a name server that wait for their answers, all sandboxes together.
pub(crate) const UPSTREAM_QUERIES: usize = 1024;

/// Connections of one sandbox through the proxy. Each holds two descriptors of the server.
pub(crate) const CONNECTIONS: usize = 256;
/// Connections through the proxy, all sandboxes together.
pub(crate) const CONNECTIONS_ALL: usize = 4096;
/// Time in which a client must have said whom it wants: a handshake's first message, or a request's head.
pub(crate) const OPENING_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest first message of a handshake in bytes. Those with keys against quantum computers have under 4 KiB.
pub(crate) const HELLO_MAX_BYTES: usize = 32 * 1024;
/// Largest head of a request or response in bytes.
pub(crate) const HEAD_MAX_BYTES: usize = 64 * 1024;
/// Time for one attempt to connect to an address.
pub(crate) const DIAL_TIMEOUT: Duration = Duration::from_secs(5);
/// Addresses of a name that are tried.
pub(crate) const DIAL_ATTEMPTS: usize = 4;
/// Time without a byte in either direction after which a connection is ended.
pub(crate) const CONNECTION_IDLE: Duration = Duration::from_secs(15 * 60);
/// Longest life of a connection.
pub(crate) const CONNECTION_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// Hosts of one sandbox that certificates are kept for; making one takes a tenth of a millisecond.
pub(crate) const VOUCHED_HOSTS: usize = 64;

/// Addresses that were given to one sandbox for names with a port of their own, and are remembered.
pub(crate) const RECENT_ADDRESSES: usize = 1024;
/// How long they are. Longer than any answer lives, because programs keep addresses.
pub(crate) const RECENT_FOR: Duration = Duration::from_secs(60 * 60);

/// Different refusals of one sandbox in one report; what is beyond is counted together.
pub(crate) const DENIALS_EACH: usize = 16;
/// How often refusals are reported.
pub(crate) const DENIALS_EVERY: Duration = Duration::from_secs(1);
/// Characters of a destination that a report shows.
pub(crate) const DESTINATION_MAX_CHARS: usize = 128;

const _: () = {
    assert!(UDP_ANSWER_MIN_BYTES <= UDP_ANSWER_MAX_BYTES);
    assert!(CONNECTIONS <= CONNECTIONS_ALL);
    assert!(TTL_MIN_S <= TTL_MAX_S && TTL_MAX_S as u64 <= RECENT_FOR.as_secs());
};

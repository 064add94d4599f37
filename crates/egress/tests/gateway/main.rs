//! The gateway as sandboxes meet it, over loopback, with an Internet of the test's own behind it.

mod dns;
mod http;
mod plain;
mod policy;
mod secrets;
mod tls;
mod world;

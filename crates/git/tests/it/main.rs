//! The program as the guest runs it: a request on its standard input, an answer on its standard output. What it does is
//! checked with the git of the machine.

#![forbid(unsafe_code)]

mod hostile;
mod http;
mod local;
mod support;

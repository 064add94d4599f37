//! Messages of nf_tables that change the elements of sets which are there already.
//!
//! An element's key is what its set was declared with, each part padded to four bytes: the name of an interface, in 16
//! bytes, and an address. A set of intervals has a last address beside the first.

use std::net::IpAddr;

use super::message::Message;

/// The subsystem in the kind of a message, and its messages (linux/netfilter/nf_tables.h).
pub(crate) const SUBSYSTEM: u16 = 10;
const DELETE_TABLE: u16 = 2;
const NEW_ELEMENTS: u16 = 12;
const DELETE_ELEMENTS: u16 = 14;

const TABLE_NAME: u16 = 1;
const LIST_TABLE: u16 = 1;
const LIST_SET: u16 = 2;
const LIST_ELEMENTS: u16 = 3;
const LIST_ELEMENT: u16 = 1;
const ELEMENT_KEY: u16 = 1;
const ELEMENT_KEY_END: u16 = 10;
const DATA_VALUE: u16 = 1;

/// The family of tables for IPv4 and IPv6 (`NFPROTO_INET`).
const INET: u8 = 1;

/// Bytes of an interface's name in a key.
const NAME_BYTES: usize = 16;

/// An element: an interface, and an address or the first and the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) set: &'static str,
    pub(crate) interface: String,
    pub(crate) first: IpAddr,
    /// `None` in a set without intervals.
    pub(crate) last: Option<IpAddr>,
}

/// Adds an element; nothing happens if it is there.
pub(crate) fn add(table: &str, element: &Element) -> Message {
    change(NEW_ELEMENTS, libc::NLM_F_CREATE, table, element)
}

/// Removes an element, which must be there.
pub(crate) fn remove(table: &str, element: &Element) -> Message {
    change(DELETE_ELEMENTS, 0, table, element)
}

/// Removes every element of a set.
pub(crate) fn clear(table: &str, set: &str) -> Message {
    message(DELETE_ELEMENTS, 0).with_text(LIST_TABLE, table).with_text(LIST_SET, set)
}

/// Removes a table with everything in it.
pub(crate) fn remove_table(table: &str) -> Message {
    message(DELETE_TABLE, 0).with_text(TABLE_NAME, table)
}

fn change(kind: u16, flags: i32, table: &str, element: &Element) -> Message {
    let key = |address: &IpAddr| {
        let mut key = element.interface.as_bytes().to_vec();
        key.resize(NAME_BYTES, 0);
        match address {
            IpAddr::V4(address) => key.extend_from_slice(&address.octets()),
            IpAddr::V6(address) => key.extend_from_slice(&address.octets()),
        }
        key
    };
    message(kind, flags).with_text(LIST_TABLE, table).with_text(LIST_SET, element.set).with_nest(
        LIST_ELEMENTS,
        |list| {
            list.with_nest(LIST_ELEMENT, |item| {
                let item = item.with_nest(ELEMENT_KEY, |data| data.with(DATA_VALUE, &key(&element.first)));
                match &element.last {
                    Some(last) => item.with_nest(ELEMENT_KEY_END, |data| data.with(DATA_VALUE, &key(last))),
                    None => item,
                }
            })
        },
    )
}

fn message(kind: u16, flags: i32) -> Message {
    // `struct nfgenmsg`: the family, version 0, no resource.
    Message::new(SUBSYSTEM << 8 | kind, flags, &[INET, 0, 0, 0])
}

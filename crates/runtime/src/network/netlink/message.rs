//! Netlink messages: a header, a fixed part, and attributes that may hold attributes.
//!
//! ```text
//!   u32 length | u16 kind | u16 flags | u32 sequence | u32 0 │ fixed part │ attribute*      all of this host's byte order
//!   attribute   u16 length | u16 kind | bytes | up to 3 bytes of padding
//! ```
//!
//! Only writing: the kernel's answers are an error number each, which [`super::socket`] reads.

/// Bytes of a message's header.
pub(super) const HEADER_BYTES: usize = 16;

/// Attributes begin at multiples of this.
const ALIGNMENT: usize = 4;

/// Marks an attribute that holds attributes (`NLA_F_NESTED`).
const NESTED: u16 = 1 << 15;

/// A message under construction; header and attributes are complete at any time.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    kind: u16,
    flags: u16,
    body: Vec<u8>,
}

impl Message {
    /// A message with its fixed part, whose length is a multiple of four.
    pub(crate) fn new(kind: u16, flags: i32, fixed: &[u8]) -> Self {
        debug_assert!(fixed.len().is_multiple_of(ALIGNMENT));
        let flags = u16::try_from(flags | libc::NLM_F_REQUEST).unwrap_or(u16::MAX);
        Self { kind, flags, body: fixed.to_vec() }
    }

    /// Adds an attribute.
    pub(crate) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        self.push(kind, value);
        self
    }

    /// Adds an attribute of text with its NUL.
    pub(crate) fn with_text(self, kind: u16, text: &str) -> Self {
        let mut value = text.as_bytes().to_vec();
        value.push(0);
        self.with(kind, &value)
    }

    /// Adds an attribute that holds what `fill` adds.
    pub(crate) fn with_nest(mut self, kind: u16, fill: impl FnOnce(Self) -> Self) -> Self {
        let inner = fill(Self { kind: 0, flags: 0, body: Vec::new() });
        self.push(kind | NESTED, &inner.body);
        self
    }

    /// Adds bytes that are no attribute: a fixed part within a nest.
    pub(crate) fn with_fixed(mut self, fixed: &[u8]) -> Self {
        debug_assert!(fixed.len().is_multiple_of(ALIGNMENT));
        self.body.extend_from_slice(fixed);
        self
    }

    fn push(&mut self, kind: u16, value: &[u8]) {
        // Ours are some hundred bytes; a longer one would be cut off by the kernel's check of the length.
        let length = u16::try_from(value.len() + ALIGNMENT).unwrap_or(u16::MAX);
        self.body.extend_from_slice(&length.to_ne_bytes());
        self.body.extend_from_slice(&kind.to_ne_bytes());
        self.body.extend_from_slice(value);
        self.body.resize(self.body.len().next_multiple_of(ALIGNMENT), 0);
    }

    /// Appends the message to a buffer, with this sequence number and further flags.
    pub(super) fn write(&self, sequence: u32, flags: u16, to: &mut Vec<u8>) {
        let length = u32::try_from(HEADER_BYTES + self.body.len()).unwrap_or(u32::MAX);
        to.extend_from_slice(&length.to_ne_bytes());
        to.extend_from_slice(&self.kind.to_ne_bytes());
        to.extend_from_slice(&(self.flags | flags).to_ne_bytes());
        to.extend_from_slice(&sequence.to_ne_bytes());
        to.extend_from_slice(&0_u32.to_ne_bytes());
        to.extend_from_slice(&self.body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn attributes_are_padded_and_counted_without_their_padding() {
        let message =
            Message::new(20, 0, &[1, 0, 0, 0]).with_text(3, "lo").with_nest(18, |nest| nest.with(1, &[9]));
        let mut bytes = Vec::new();
        message.write(7, 4, &mut bytes);
        let header = [40, 0, 0, 0, 20, 0, 5, 0, 7, 0, 0, 0, 0, 0, 0, 0];
        let name = [7, 0, 3, 0, b'l', b'o', 0, 0];
        let nest = [12, 0, 18, 0x80, 5, 0, 1, 0, 9, 0, 0, 0];
        assert_eq!(bytes[..16], header);
        assert_eq!(bytes[16..20], [1, 0, 0, 0]);
        assert_eq!(bytes[20..28], name);
        assert_eq!(bytes[28..], nest);
        assert_eq!(bytes.len(), 40);
    }
}

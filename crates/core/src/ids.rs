//! Identity: 128-bit typed ids, one generator, no format of any dialect.
//!
//! ```text
//!   byte  0        4                              16
//!         ├────────┼──────────────────────────────┤
//!         │ created│ random (90 bits)             │   with the version (8) and variant bits of RFC 9562,
//!         │ u32 BE │                              │   so that an id is also a valid UUID
//!         └────────┴──────────────────────────────┘
//! ```
//!
//! The creation second leads because two dialects promise it in the first eight hex digits of an id.

use std::fmt;
use std::str::FromStr;

use crate::Timestamp;

/// The text given as an id is not 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not 32 hexadecimal digits")]
pub struct InvalidId;

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The id with these bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The bytes, from which a dialect renders its own form.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        /// 32 lowercase hexadecimal digits, the form of logs and directories.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let mut bytes = [0; 16];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidId)?;
                Ok(Self(bytes))
            }
        }
    };
}

typed_id!(
    /// A sandbox.
    SandboxId
);
typed_id!(
    /// An account: who owns and pays.
    AccountId
);
typed_id!(
    /// An API key of an account.
    KeyId
);
typed_id!(
    /// A file that a client uploaded, outside any sandbox.
    UploadId
);
typed_id!(
    /// One path of a sandbox's file catalogue, stable for as long as the path exists.
    CatalogueEntryId
);
typed_id!(
    /// A saved recipe for sandboxes.
    TemplateId
);
typed_id!(
    /// A named directory that sandboxes mount.
    VolumeId
);
typed_id!(
    /// A background exec.
    ExecId
);

typed_id!(
    /// An interpreter that keeps its variables.
    ContextId
);
typed_id!(
    /// A command of a shell session.
    CommandId
);

/// Where new ids come from.
pub trait Ids: Send + Sync + fmt::Debug {
    /// Sixteen bytes in the layout of the module picture, never given before.
    fn next(&self, created_at: Timestamp) -> [u8; 16];
}

/// Ids from the operating system's generator.
#[derive(Debug, Default)]
pub struct RandomIds;

impl Ids for RandomIds {
    fn next(&self, created_at: Timestamp) -> [u8; 16] {
        let mut bytes: [u8; 16] = rand::random();
        // Wraps in 2106, when the prefix stops being the creation second and stays merely unique.
        let seconds = u32::try_from(created_at.unix_seconds().rem_euclid(1 << 32)).unwrap_or(0);
        bytes[..4].copy_from_slice(&seconds.to_be_bytes());
        bytes[6] = (bytes[6] & 0x0f) | 0x80;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_begins_with_its_creation_second_and_reads_back() {
        let id = SandboxId::from_bytes(RandomIds.next(Timestamp::from_unix_micros(0x68a0_0001 * 1_000_000)));
        assert!(id.to_string().starts_with("68a00001"));
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn text_that_is_not_an_id_is_refused() {
        for text in ["", "68a0", "zz".repeat(16).as_str(), "0".repeat(33).as_str()] {
            assert_eq!(text.parse::<SandboxId>(), Err(InvalidId));
        }
    }
}

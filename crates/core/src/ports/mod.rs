//! What the services need from the outside. Adapters implement these traits; `server` wires them.

mod builds;
mod gateway;
mod git;
mod guest;
mod images;
mod runtime;
mod store;
mod transpiler;

pub use builds::{BuildRoom, CopyFiles, MakeDirectory};
pub use gateway::{Denial, EgressUsage, Gateway, SandboxAddresses, Tenant};
pub use git::Git;
pub use guest::{Guest, Listing, Matches};
pub use images::{Commit, Images, Keep, Lower, ProgressSender, PullSender, Rootfs};
pub use runtime::{
    Adopted, ByteStream, Changes, Death, GuestStream, Instance, Runtime, RuntimeCapabilities, RuntimeSpec,
    Usage,
};
pub use store::{BlobStat, Blobs, Store};
pub use transpiler::Transpiler;

//! A runtime that knows one socket and can do nothing but connect to it.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use lazaret_core::ports::{
    Adopted, Death, GuestStream, Instance, Runtime, RuntimeCapabilities, RuntimeSpec, SandboxAddresses, Usage,
};
use lazaret_core::{EgressPolicy, Error, Result, SandboxId};
use tokio::net::UnixStream;

pub(crate) struct Socket(pub(crate) PathBuf);

fn unsupported<T>() -> Result<T> {
    Err(Error::Unsupported { what: "anything but connecting".to_owned() })
}

#[async_trait]
impl Runtime for Socket {
    fn capabilities(&self) -> RuntimeCapabilities {
        RuntimeCapabilities { name: "socket", pause: false, keeps_disk: false, archive: false, egress: false }
    }

    async fn adopt(&self) -> Result<Vec<Adopted>> {
        unsupported()
    }

    async fn create(&self, _: &RuntimeSpec) -> Result<()> {
        unsupported()
    }

    async fn start(&self, _: &RuntimeSpec) -> Result<Instance> {
        unsupported()
    }

    async fn stop(&self, _: SandboxId, _: Duration) -> Result<()> {
        unsupported()
    }

    async fn pause(&self, _: SandboxId) -> Result<()> {
        unsupported()
    }

    async fn resume(&self, _: SandboxId) -> Result<()> {
        unsupported()
    }

    async fn set_network(&self, _: SandboxId, _: &EgressPolicy) -> Result<Option<SandboxAddresses>> {
        unsupported()
    }

    async fn delete(&self, _: SandboxId) -> Result<()> {
        unsupported()
    }

    async fn wait(&self, _: SandboxId) -> Result<Death> {
        unsupported()
    }

    async fn connect(&self, _: SandboxId) -> Result<GuestStream> {
        match UnixStream::connect(&self.0).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(Error::internal(error)),
        }
    }

    async fn usage(&self, _: SandboxId) -> Result<Usage> {
        unsupported()
    }
}

//! Manifest and configuration of an image.

use bytes::Bytes;
use lazaret_core::Digest;
use reqwest::header::{self, HeaderMap, HeaderValue};

use super::attempts::Refusals;
use super::client::{Source, bounded_body};
use super::error::RegistryError;
use super::hosts::Endpoint;
use crate::archive::descriptors::{
    Descriptor, Document, INDEX_DEPTH_MAX, INDEX_TYPES, MANIFEST_TYPES, Manifest,
};
use crate::archive::{ArchiveError, JSON_BYTES_MAX, parse_digest, verify};

/// An image's documents, each checked against the digest that leads to it.
#[derive(Debug)]
pub(crate) struct Found {
    /// Digest of the manifest for this machine.
    pub(crate) digest: Digest,
    /// The manifest's bytes.
    pub(crate) json: Bytes,
    /// What it says.
    pub(crate) manifest: Manifest,
    /// The configuration's bytes.
    pub(crate) config: Bytes,
}

impl Source<'_> {
    /// The image's documents, through an index if there is one.
    ///
    /// # Errors
    /// [`RegistryError`] of the last machine that was asked, unless an earlier one told more.
    pub(crate) async fn documents(&self) -> Result<Found, RegistryError> {
        let mut refusals = Refusals::default();
        for endpoint in &self.endpoints {
            match self.documents_of(endpoint).await {
                Ok(found) => return Ok(found),
                Err(error) => refusals.add(endpoint, error),
            }
        }
        Err(refusals.into_error())
    }

    async fn documents_of(&self, endpoint: &Endpoint) -> Result<Found, RegistryError> {
        let (digest, json, manifest) = self.manifest(endpoint).await?;
        let unusable = |source| RegistryError::Document { host: endpoint.host.clone(), source };
        manifest.check_types().map_err(unusable)?;
        if let Some(layer) = manifest.layers.iter().find(|layer| layer.is_foreign()) {
            return Err(RegistryError::Foreign(layer.digest.chars().take(80).collect()));
        }
        let config = self.small_blob(endpoint, &manifest.config).await?;
        Ok(Found { digest, json, manifest, config })
    }

    async fn manifest(&self, endpoint: &Endpoint) -> Result<(Digest, Bytes, Manifest), RegistryError> {
        let unusable = |source| RegistryError::Document { host: endpoint.host.clone(), source };
        let mut wanted = self.image.digest().copied();
        let tag = self.image.tag().unwrap_or_default().to_owned();
        let mut name = wanted.map_or(tag, |digest| digest.to_string());
        for _ in 0..INDEX_DEPTH_MAX {
            let (kind, json) = self.document(endpoint, &format!("manifests/{name}")).await?;
            if let Some(wanted) = &wanted {
                verify(&name, &json, wanted).map_err(unusable)?;
            }
            match Document::parse(&name, &kind, &json).map_err(unusable)? {
                Document::Manifest(manifest) => {
                    return Ok((crate::hash::digest_of(&json), json, manifest));
                }
                Document::Index(index) => {
                    let chosen = index.choose(&mut Vec::new()).map_err(unusable)?;
                    name = chosen.digest.clone();
                    wanted = Some(parse_digest(&chosen.digest).map_err(unusable)?);
                }
            }
        }
        Err(unusable(ArchiveError::IndexDepth))
    }

    /// A document of at most [`JSON_BYTES_MAX`], with the media type that it was announced with.
    async fn document(&self, endpoint: &Endpoint, path: &str) -> Result<(String, Bytes), RegistryError> {
        let accept = [MANIFEST_TYPES, INDEX_TYPES].concat().join(", ");
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_str(&accept).expect("a constant"));
        let mut attempts = self.attempts();
        loop {
            match self.document_once(endpoint, path, &headers).await {
                Ok(document) => return Ok(document),
                Err(error) => attempts.wait_after(error).await?,
            }
        }
    }

    async fn document_once(
        &self,
        endpoint: &Endpoint,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<(String, Bytes), RegistryError> {
        let registries = self.registries;
        let response = registries.get(endpoint, self.image.repository(), path, headers).await?;
        let kind = response.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_owned();
        let stall = registries.settings().stall_timeout;
        Ok((kind, bounded_body(&endpoint.host, response, JSON_BYTES_MAX, stall).await?))
    }

    async fn small_blob(&self, endpoint: &Endpoint, wanted: &Descriptor) -> Result<Bytes, RegistryError> {
        let unusable = |source| RegistryError::Document { host: endpoint.host.clone(), source };
        let digest = parse_digest(&wanted.digest).map_err(unusable)?;
        if wanted.size > JSON_BYTES_MAX {
            let (name, size) = ("the configuration".to_owned(), wanted.size);
            return Err(unusable(ArchiveError::JsonTooLarge { name, size }));
        }
        let (_, body) = self.document(endpoint, &format!("blobs/{digest}")).await?;
        let found = crate::hash::digest_of(&body);
        if found != digest {
            return Err(RegistryError::Digest { host: endpoint.host.clone(), wanted: digest, found });
        }
        Ok(body)
    }
}

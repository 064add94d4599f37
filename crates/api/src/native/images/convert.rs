//! Images between JSON and the core's nouns.

use lazaret_core::ImageSource;

use super::wire;
use crate::native::time::rfc3339;

impl From<lazaret_core::Image> for wire::Image {
    fn from(image: lazaret_core::Image) -> Self {
        Self {
            digest: image.digest.to_string(),
            names: image.names,
            bytes: image.bytes,
            created_at: rfc3339(image.created_at),
            built_in: image.built_in,
            config: image.config.into(),
        }
    }
}

impl From<lazaret_core::ImageConfig> for wire::ImageConfig {
    fn from(config: lazaret_core::ImageConfig) -> Self {
        Self {
            env: config.env.into_iter().collect(),
            working_dir: config.working_dir,
            user: config.user,
            entrypoint: config.entrypoint,
            command: config.command,
            labels: config.labels,
        }
    }
}

impl From<wire::Source> for ImageSource {
    fn from(source: wire::Source) -> Self {
        match source {
            wire::Source::Detect => Self::Detect,
            wire::Source::DockerArchive => Self::DockerArchive,
            wire::Source::OciArchive => Self::OciArchive,
            wire::Source::RootfsTar => Self::RootfsTar,
        }
    }
}

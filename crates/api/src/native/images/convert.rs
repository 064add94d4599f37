//! Images between JSON and the core's nouns.

use lazaret_core::ImageSource;
use lazaret_core::services::OfferedImage;

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

impl From<OfferedImage> for wire::OfferedImage {
    fn from(offered: OfferedImage) -> Self {
        Self {
            name: offered.name,
            reference: offered.image.reference.to_string(),
            title: offered.image.title,
            family: offered.image.family,
            popular: offered.image.popular,
            digest: offered.here.map(|digest| digest.to_string()),
        }
    }
}

impl From<&lazaret_core::PullProgress> for wire::PullProgress {
    fn from(progress: &lazaret_core::PullProgress) -> Self {
        let layer = |layer: &lazaret_core::LayerProgress| wire::LayerProgress {
            digest: layer.digest.to_string(),
            bytes: layer.bytes,
            fetched_bytes: layer.fetched_bytes,
            step: layer.step.name(),
        };
        Self { layers: progress.layers.iter().map(layer).collect() }
    }
}

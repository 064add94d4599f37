//! What an operator can set about the rules.

use std::collections::BTreeMap;

use crate::{
    BUILT_IN_IMAGE, CollectionPolicy, EgressBounds, EgressPolicy, Error, FilePath, ImageCatalogue, Resources,
    Result, RoleTable, limits,
};

/// A named set of limits for accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    /// Sandboxes that exist at once, in any state but expired.
    pub sandboxes_max: usize,
    /// Bytes of uploaded files.
    pub stored_max_bytes: u64,
    /// Volumes that exist at once.
    pub volumes_max: usize,
    /// Bytes of all volumes together.
    pub volumes_max_bytes: u64,
    /// Largest bounds that one sandbox may ask for.
    pub resources_max: Resources,
}

impl Default for Tier {
    fn default() -> Self {
        Self {
            sandboxes_max: limits::SANDBOXES_MAX,
            stored_max_bytes: limits::STORED_MAX_BYTES,
            volumes_max: limits::VOLUMES_MAX,
            volumes_max_bytes: limits::VOLUMES_MAX_BYTES,
            resources_max: Resources {
                memory_bytes: limits::MEMORY_MAX_BYTES,
                cpu_millis: 16_000,
                pids: limits::PIDS_MAX,
                disk_bytes: 100 * 1024 * 1024 * 1024,
            },
        }
    }
}

/// What happens when a sandbox wants an image that is not here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// It is pulled, if the name can be in a registry.
    #[default]
    Missing,
    /// The sandbox is refused.
    Never,
}

/// Where images come from, as far as the rules go.
#[derive(Debug, Clone, Default)]
pub struct ImageSettings {
    /// Names that stand for others.
    pub catalogue: ImageCatalogue,
    /// What happens when an image is not here.
    pub pull: PullPolicy,
    /// Which unneeded ones go.
    pub collection: CollectionPolicy,
}

/// The rules' settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Image of a sandbox whose maker names none.
    pub default_image: String,
    /// Where images come from.
    pub images: ImageSettings,
    /// Bounds of a sandbox whose maker names none.
    pub default_resources: Resources,
    /// Tiers by name; an account whose tier is missing here gets [`Tier::default`].
    pub tiers: BTreeMap<String, Tier>,
    /// The directory whose files the catalogue lists.
    pub data_dir: FilePath,
    /// Network policy of a sandbox whose maker names none.
    pub default_network: EgressPolicy,
    /// What any sandbox may be given.
    pub egress: EgressBounds,
    /// What can be applied to new sandboxes.
    pub roles: RoleTable,
}

impl Settings {
    /// The limits of a tier.
    pub fn tier(&self, name: &str) -> Tier {
        self.tiers.get(name).cloned().unwrap_or_default()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            default_image: BUILT_IN_IMAGE.to_owned(),
            images: ImageSettings::default(),
            default_resources: Resources::default(),
            tiers: BTreeMap::new(),
            data_dir: FilePath::new("/mnt/data").expect("a constant absolute path"),
            default_network: EgressPolicy::Disabled,
            egress: EgressBounds::default(),
            roles: RoleTable::default(),
        }
    }
}

impl Tier {
    /// Succeeds if `wanted` is within the tier.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the first field beyond it.
    pub fn allow(&self, wanted: &Resources) -> Result<()> {
        let max = &self.resources_max;
        let fields = [
            ("memory_bytes", wanted.memory_bytes, max.memory_bytes),
            ("cpu_millis", wanted.cpu_millis.into(), max.cpu_millis.into()),
            ("pids", wanted.pids.into(), max.pids.into()),
            ("disk_bytes", wanted.disk_bytes, max.disk_bytes),
        ];
        for (field, wanted, max) in fields {
            if wanted > max {
                return Err(Error::invalid(
                    field,
                    format!("this account's tier allows at most {max}, not {wanted}"),
                ));
            }
        }
        Ok(())
    }
}

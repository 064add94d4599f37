//! Our own sandboxes, through the native API of a real server.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::{Ended, Order, Place};
use crate::Native;

/// Longest that one program of an attempt may run inside.
const TIMEOUT_MS: u64 = 40_000;

/// Makes names of imported images differ.
static IMAGES: AtomicU32 = AtomicU32::new(0);

/// A sandbox of the server behind `native`, deleted on drop.
pub struct Ours {
    native: Native,
    id: String,
    image: Option<String>,
}

impl Ours {
    /// A fresh sandbox of the default image.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn create(native: &Native) -> Result<Ours> {
        Ours::of_image(native, None)
    }

    fn of_image(native: &Native, image: Option<String>) -> Result<Ours> {
        let settings = image.as_ref().map_or_else(|| json!({}), |image| json!({ "image": image }));
        Ok(Ours { native: native.clone(), id: native.create(&settings)?, image })
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl Place for Ours {
    fn name(&self) -> &'static str {
        "ours"
    }

    fn entry(&self) -> String {
        // The guest and the server's program, of which a sandbox should not even see the name.
        "lazaret".to_owned()
    }

    fn exec(&self, order: &Order) -> Result<Ended> {
        let env: Map<String, Value> =
            order.env.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        let mut request = json!({ "command": order.command, "env": env, "timeout_ms": TIMEOUT_MS });
        for (field, value) in [("user", &order.user), ("cwd", &order.cwd)] {
            if let Some(value) = value {
                request[field] = value.as_str().into();
            }
        }
        let done = self.native.exec_with(&self.id, &request)?;
        let text = |field: &str| done[field].as_str().unwrap_or_default().to_owned();
        let code = done["exit_code"].as_i64().and_then(|code| i32::try_from(code).ok());
        Ok(Ended { code, stdout: text("stdout"), stderr: text("stderr") })
    }

    fn read_file(&self, path: &str) -> Result<Vec<u8>> {
        self.native.read(&self.id, path)
    }

    fn write_file(&self, path: &str, content: &[u8]) -> Result<()> {
        self.native.write(&self.id, path, content).map(drop)
    }

    fn with_image<'a>(&'a self, archive: &Path) -> Result<Box<dyn Place + 'a>> {
        let name = format!("attempt-{}", IMAGES.fetch_add(1, Ordering::Relaxed));
        let archive = File::open(archive).context("open the archive of an image")?;
        self.native.import_rootfs(&name, archive)?;
        Ok(Box::new(Ours::of_image(&self.native, Some(name))?))
    }

    fn twin<'a>(&'a self) -> Result<Box<dyn Place + 'a>> {
        Ok(Box::new(Ours::of_image(&self.native, self.image.clone())?))
    }

    fn restart(&self) -> Result<()> {
        for verb in ["stop", "start"] {
            self.native.apply(&self.id, verb)?;
        }
        Ok(())
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        if let Err(error) = self.native.delete(&self.id) {
            eprintln!("could not delete a sandbox: {error:#}");
        }
    }
}

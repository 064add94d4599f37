//! TypeScript for images whose Node does not read it.

use async_trait::async_trait;

use crate::Result;

/// Turns TypeScript into JavaScript.
#[async_trait]
pub trait Transpiler: Send + Sync {
    /// The same program without its types.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for the field `code`, with the place of the first syntax error.
    async fn to_javascript(&self, code: String) -> Result<String>;
}

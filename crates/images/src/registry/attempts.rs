//! What follows a failure: another attempt at the same machine, or the next machine.

use lazaret_core::Backoff;

use super::client::Source;
use super::error::RegistryError;
use super::hosts::Endpoint;

/// The attempts at one machine.
pub(super) struct Attempts(Backoff);

impl Source<'_> {
    /// As many attempts as the settings say.
    pub(super) fn attempts(&self) -> Attempts {
        Attempts(self.registries.backoff())
    }
}

impl Attempts {
    /// Waits until the next attempt.
    ///
    /// # Errors
    /// The error itself, if it is not worth another attempt or there is none left.
    pub(super) async fn wait_after(&mut self, error: RegistryError) -> Result<(), RegistryError> {
        let wait = if error.is_transient() { self.0.next_wait(error.retry_after()) } else { None };
        let Some(wait) = wait else { return Err(error) };
        tracing::debug!(error = &error as &dyn std::error::Error, wait_ms = wait.as_millis(), "trying again");
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

/// Why the machines that were asked so far did not give what was wanted.
#[derive(Default)]
pub(super) struct Refusals(Option<RegistryError>);

impl Refusals {
    pub(super) fn add(&mut self, endpoint: &Endpoint, error: RegistryError) {
        tracing::debug!(endpoint = %endpoint.base, error = &error as &dyn std::error::Error,
            "a registry or a mirror did not give what was asked for");
        // A registry that cannot be reached tells less than a mirror that could.
        self.0 = Some(match (self.0.take(), error) {
            (Some(earlier), RegistryError::Unreachable { .. }) => earlier,
            (_, error) => error,
        });
    }

    /// The refusal that tells most.
    pub(super) fn into_error(self) -> RegistryError {
        self.0.expect("every image has a machine to ask, and each was asked")
    }
}

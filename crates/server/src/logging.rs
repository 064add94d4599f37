//! Where log lines go: standard error, as text for people or JSON for collectors.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// What is logged unless the operator says otherwise.
const DEFAULT_FILTER: &str = "info";

/// Starts logging for the whole process.
///
/// # Errors
/// If `filter` is not a filter.
pub(crate) fn start(format: LogFormat, filter: Option<&str>) -> anyhow::Result<()> {
    let filter = filter.unwrap_or(DEFAULT_FILTER);
    let filter =
        EnvFilter::builder().parse(filter).with_context(|| format!("'{filter}' is not a log filter"))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => lines.with_target(false).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}

//! Logs: JSON or text, on the standard error, levels by flag.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// Whatever a watch cannot do it says again every few seconds; `engine/cluster/coverage.rs` says it once. A level that names
/// the same target goes before this.
const QUIET: &str = "kube_runtime::watcher=error";

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Begins to log.
///
/// # Errors
/// When `level` is no level and no list of `target=level`.
pub fn init(format: Format, level: &str) -> Result<(), ParseError> {
    let filter = EnvFilter::try_new(format!("{QUIET},{level}"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second call (several operators in one test process) keeps the first subscriber.
    let _ = match format {
        Format::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .try_init(),
        Format::Text => builder.try_init(),
    };
    Ok(())
}

//! Logs: JSON or text, on the standard error, levels by flag; and on request an audit log of all writes to Coder.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use clap::ValueEnum;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{ParseError, filter_fn};
use tracing_subscriber::fmt::format::{DefaultFields, Format as Lines, Json, JsonFields};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use crate::coder::WRITES;

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

/// Begins to log, and to write down all remote writes where somebody wants that: one JSON object a line.
///
/// # Errors
/// When `level` is no level and no list of `target=level`, or when the file of the writes cannot be opened.
pub fn init(format: Format, level: &str, writes: Option<&Path>) -> Result<(), Error> {
    // The last that names a target counts: nobody gets the writes into the log by a level.
    let filter = EnvFilter::try_new(format!("{QUIET},{level},{WRITES}=off"))?;
    let log = fmt::layer().with_writer(std::io::stderr);
    let log = match format {
        Format::Json => json(log).boxed(),
        Format::Text => log.boxed(),
    };
    let writes = writes.map(record).transpose()?;
    // A second call (several operators in one test process) keeps the first subscriber.
    let _ = tracing_subscriber::registry()
        .with(log.with_filter(filter))
        .with(writes)
        .try_init();
    Ok(())
}

/// Why it cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The level cannot be read.
    #[error(transparent)]
    Level(#[from] ParseError),
    /// The file cannot be opened.
    #[error("cannot open {path} for the audit log: {source}", path = path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// The layer that appends the remote writes to a file, each with the pass that made it.
fn record<S>(path: &Path) -> Result<impl Layer<S> + use<S>, Error>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let file = OpenOptions::new().create(true).append(true).open(path);
    let file = file.map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })?;
    let layer = json(fmt::layer().with_writer(Mutex::new(file)))
        .with_target(false)
        .with_level(false);
    let own = |metadata: &Metadata<'_>| metadata.target() == WRITES || is_pass(metadata);
    Ok(layer.with_filter(filter_fn(own)))
}

/// A span of ours: it says for whom a call was made.
fn is_pass(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && *metadata.level() <= Level::INFO && metadata.target().starts_with("coder_operator")
}

fn json<S, W>(layer: fmt::Layer<S, DefaultFields, Lines, W>) -> fmt::Layer<S, JsonFields, Lines<Json>, W> {
    layer
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
}

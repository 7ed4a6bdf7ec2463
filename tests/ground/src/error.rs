//! What can go wrong before a test has a cluster.

use std::{io, path::PathBuf, time::Duration};

/// Shorthand for a result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why there is no cluster, or why it did not do what a helper asked of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The tools are built from source, and there is no Go to do it with.
    #[error(
        "`go` is not on the PATH: it is needed to build {tool}. \
         Install Go 1.26 or later, or set KUBEBUILDER_ASSETS to a directory that has kube-apiserver and etcd"
    )]
    GoMissing {
        /// The tool that was asked for.
        tool: &'static str,
    },

    /// `go` ran and failed.
    #[error("`{command}` failed in {directory}:\n{output}", directory = directory.display())]
    Go {
        /// The command line.
        command: String,
        /// Where it ran.
        directory: PathBuf,
        /// The end of what it wrote to stderr.
        output: String,
    },

    /// `KUBEBUILDER_ASSETS` is set, but the tool is not in there.
    #[error("KUBEBUILDER_ASSETS is set, but {path} is not a file", path = path.display())]
    AssetMissing {
        /// Where the tool was expected.
        path: PathBuf,
    },

    /// A file, directory or process operation.
    #[error("{context}")]
    Io {
        /// What was being done.
        context: String,
        /// Why it failed.
        source: io::Error,
    },

    /// A key or certificate could not be made.
    #[error("cannot make the keys of the control plane")]
    Certificate(#[from] rcgen::Error),

    /// A server ended while it was still starting.
    #[error("{server} ended before it was ready; the end of {log}:\n{tail}", log = log.display())]
    Ended {
        /// Its name, such as `kube-apiserver`.
        server: &'static str,
        /// Its log, which is kept.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },

    /// Something did not happen in time.
    #[error("{what}: not within {} s; last seen: {last}", within.as_secs())]
    Timeout {
        /// What was waited for.
        what: String,
        /// For how long.
        within: Duration,
        /// What the last look showed.
        last: String,
    },

    /// No user of that name was declared when the control plane was started.
    #[error("the control plane has no user {0:?}: declare it in Options::user")]
    UnknownUser(String),

    /// JSON or YAML of our own making could not be written or read.
    #[error("{context}: {message}")]
    Format {
        /// What was being written or read.
        context: String,
        /// The serializer's words.
        message: String,
    },

    /// The API server refused, or the connection to it failed.
    #[error("{context}: {source}")]
    Kube {
        /// What was being done.
        context: String,
        /// The refusal.
        source: Box<kube::Error>,
    },
}

impl Error {
    /// For `map_err`: an I/O error with what was being done.
    pub(crate) fn io(context: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let context = context.into();
        move |source| Self::Io { context, source }
    }

    /// For `map_err`: an API error with what was being done.
    pub(crate) fn kube(context: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let context = context.into();
        move |source| Self::Kube {
            context,
            source: Box::new(source),
        }
    }

    /// For `map_err`: a serializer's or parser's error with what was being done.
    pub(crate) fn format<E: std::fmt::Display>(context: impl Into<String>) -> impl FnOnce(E) -> Self {
        let context = context.into();
        move |error| Self::Format {
            context,
            message: error.to_string(),
        }
    }

    /// The HTTP status of an API server's refusal, if this is one.
    #[must_use]
    pub fn status_code(&self) -> Option<u16> {
        match self {
            Self::Kube { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            _ => None,
        }
    }
}

//! `coder-operator crds`.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, print};
use crate::crds;

/// Flags of `crds`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Write one file a kind into this directory instead of printing all.
    #[arg(long, env = "CODER_OPERATOR_CRDS_OUTPUT")]
    output: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let Some(directory) = &options.output else {
        return print(&crds::bundle()?);
    };
    std::fs::create_dir_all(directory)?;
    for (name, text) in crds::files()? {
        std::fs::write(directory.join(name), text)?;
    }
    Ok(())
}

//! The binary: installs the TLS provider, parses, dispatches.

use std::process::ExitCode;

use clap::Parser;
use coder_operator::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    // The only failure is that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match Cli::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[allow(clippy::print_stderr)] // the one place where a user of the command line reads an error
            {
                eprintln!("coder-operator: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

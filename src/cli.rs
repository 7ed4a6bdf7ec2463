//! The commands, one file each. Every flag is also an environment variable, named in its help.

mod crds;
mod run;

use clap::{Parser, Subcommand};

/// Keeps the control configuration of Coder deployments as declared in Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "coder-operator", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator: watch the custom resources and make Coder agree with them.
    Run(Box<run::Options>),
    /// Print the `CustomResourceDefinition`s.
    Crds,
}

/// Why a command failed, for the person who typed it.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// What the user is to read.
    pub async fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Run(options) => run::run(*options).await,
            Command::Crds => crds::run(),
        }
    }
}

/// Writes a command's result to the standard output; a reader that has gone away is no failure.
fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

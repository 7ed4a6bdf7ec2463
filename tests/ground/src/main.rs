//! `ground`: the test ground for people.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks to its user"
)]

use std::{
    error::Error,
    ffi::OsString,
    io::Write as _,
    path::PathBuf,
    process::{Command, ExitCode},
};

use clap::{Parser, Subcommand};
use test_ground::{ControlPlane, Options, REUSE_VARIABLE, User, tools};
use tokio::signal::unix::{SignalKind, signal};

/// A real Kubernetes control plane without nodes, for tests and for trying things out.
#[derive(Parser)]
#[command(name = "ground", version)]
struct Arguments {
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Build the servers and tools if they are not in the cache yet, and print where they are.
    Build,
    /// Run a control plane until Ctrl-C.
    Serve {
        /// Where its kubeconfig files and logs go; must be empty or absent.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Start a control plane, run a command with KUBECONFIG set, stop it again.
    Exec {
        /// The command and its arguments.
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Action::Build => build(),
        Action::Serve { dir } => serve(dir).await,
        Action::Exec { command } => exec(&command).await,
    };
    result.unwrap_or_else(|error| {
        eprintln!("ground: {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            eprintln!("  because: {error}");
            cause = error.source();
        }
        ExitCode::FAILURE
    })
}

fn build() -> Result<ExitCode, Box<dyn Error>> {
    for tool in tools::ALL.into_iter().chain(tools::DELIVERY) {
        println!("{}", tool.binary()?.display());
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve(directory: Option<PathBuf>) -> Result<ExitCode, Box<dyn Error>> {
    // Before the signals are caught: a build that takes minutes should simply end with us.
    for tool in tools::ALL {
        tool.binary()?;
    }
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stopped = async {
        tokio::select! { _ = interrupt.recv() => (), _ = terminate.recv() => () }
    };
    let options = directory.map_or_else(Options::default, |it| Options::default().directory(it));
    let work = async {
        let ground = ControlPlane::start(options).await?;
        println!("export KUBECONFIG={}", ground.kubeconfig(User::ADMIN)?.display());
        println!("export {REUSE_VARIABLE}={}", ground.directory().display());
        std::io::stdout().flush()?;
        std::future::pending::<()>().await;
        drop(ground);
        Ok::<_, Box<dyn Error>>(())
    };
    tokio::select! {
        result = work => result?,
        () = stopped => (),
    }
    Ok(ExitCode::SUCCESS)
}

async fn exec(words: &[OsString]) -> Result<ExitCode, Box<dyn Error>> {
    let Some((program, arguments)) = words.split_first() else {
        return Err("no command".into());
    };
    let ground = ControlPlane::start(Options::default()).await?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("KUBECONFIG", ground.kubeconfig(User::ADMIN)?)
        .env(REUSE_VARIABLE, ground.directory());
    // A Ctrl-C goes to the command as well; it decides what to do, and we end when it has.
    let (_interrupt, _terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let status = tokio::task::spawn_blocking(move || command.status()).await?;
    ground.stop().await;
    let status = status.map_err(|error| format!("cannot run {}: {error}", program.to_string_lossy()))?;
    let code = status.code().and_then(|it| u8::try_from(it).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

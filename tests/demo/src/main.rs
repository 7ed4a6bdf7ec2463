//! `make demo`: a real kube-apiserver, a simulated Coder (or yours) and the operator, from nothing to Ready, and what
//! happens when somebody changes Coder behind the operator's back.
//!
//! * [`stage`] puts the parts together; all of them die with this process, however it ends.
//! * [`manifests`] reads the example and fits it to the stage; [`board`] shows how it becomes Ready.
//! * [`coder`] asks Coder itself what it holds; [`story`] is the order of events.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is made to be read on a screen"
)]

mod board;
mod coder;
mod manifests;
mod stage;
mod story;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use clap::builder::FalseyValueParser;
use tokio::signal::unix::{SignalKind, signal};

/// Why the demo could not go on.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The operator at work: from nothing to Ready, and back to what is declared after somebody changed it by hand.
#[derive(Debug, Parser)]
#[command(name = "coder-operator-demo", version)]
struct Options {
    /// A real Coder instead of the simulated one. Nothing is written to it unless WRITE is set.
    #[arg(long, env = "CODER_URL")]
    coder_url: Option<String>,

    /// A token for it.
    #[arg(long, env = "CODER_TOKEN", hide_env_values = true)]
    coder_token: Option<String>,

    /// Let the operator change the real Coder: create what the example declares, and correct drift.
    #[arg(long, env = "WRITE", value_parser = FalseyValueParser::new())]
    write: bool,

    /// End after the show instead of leaving everything running.
    #[arg(long, env = "DEMO_ONESHOT", value_parser = FalseyValueParser::new())]
    oneshot: bool,

    /// The folder with the custom resources.
    #[arg(long, env = "DEMO_EXAMPLES", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/quickstart"))]
    examples: PathBuf,

    /// The operator; default: the one beside this program.
    #[arg(long, env = "CODER_OPERATOR_BINARY")]
    operator: Option<PathBuf>,

    /// Seconds until everything must be Ready.
    #[arg(long, env = "DEMO_DEADLINE", default_value_t = 120)]
    deadline: u64,
}

impl Options {
    /// The real server, if one is named.
    fn server(&self) -> Result<Option<(String, String)>, Failure> {
        let given = |value: &Option<String>| value.clone().filter(|text| !text.is_empty());
        match (given(&self.coder_url), given(&self.coder_token)) {
            (Some(url), Some(token)) => Ok(Some((url.trim_end_matches('/').to_owned(), token))),
            (None, None) => Ok(None),
            _ => Err("CODER_URL and CODER_TOKEN belong together: set both, or none for the simulated Coder".into()),
        }
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(self.deadline)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    // Before anybody else chooses one: the libraries' warnings do not belong into the show.
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("off"));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init();
    test_ground::init();
    let stopped = async {
        match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
            (Ok(mut interrupt), Ok(mut terminate)) => {
                tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            }
            _ => std::future::pending().await,
        }
    };
    // Whichever ends first: dropping the story drops the stage, and with it every process.
    let ended = tokio::select! {
        ended = story::tell(&options) => ended,
        () = stopped => {
            println!("\nStopping everything.");
            return ExitCode::SUCCESS;
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\ndemo: {failure}");
            ExitCode::FAILURE
        }
    }
}

//! `make bench`: what the operator costs with so many objects, and how that grows.
//!
//! Everything is real but Coder: the operator's release build, kube-apiserver, etcd. Beside each time stands the
//! [`floor`] of the same run: how long bare clients take for the writes that nobody can do without.
//!
//! * [`load`] says what is declared; [`stage`] puts Kubernetes, Coder and the [`operator`] together;
//! * [`scaling`] declares it, restarts the operator, lets it idle, deletes it; [`slow`] has one slow Coder among three;
//! * [`counts`] and [`processors`] count; [`report`] prints the result, [`chart`] draws it.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is made to be read on a screen"
)]

mod chart;
mod counts;
mod floor;
mod load;
mod operator;
mod processors;
mod report;
mod scaling;
mod slow;
mod stage;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use clap::builder::FalseyValueParser;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::load::{Load, Mix};
use crate::report::Report;

/// Why the measurement could not go on.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What the operator costs, beside what Kubernetes and Coder need for the same writes.
#[derive(Debug, Parser)]
#[command(name = "coder-operator-bench", version)]
struct Options {
    /// How many custom resources.
    #[arg(long, env = "SIZES", value_delimiter = ',', default_value = "100,1000,10000")]
    sizes: Vec<usize>,

    /// What they are.
    #[arg(
        long,
        env = "MIXES",
        value_enum,
        value_delimiter = ',',
        default_value = "groups,mixed"
    )]
    mixes: Vec<Mix>,

    /// Milliseconds that Coder takes for each group when it lists groups; real servers take 4 to 5.
    #[arg(long, env = "LIST_MS", value_delimiter = ',', default_value = "0,4.5")]
    list_ms: Vec<f64>,

    /// Leave out the slow Coder among three.
    #[arg(long, env = "SKIP_SLOW", value_parser = FalseyValueParser::new())]
    skip_slow: bool,

    /// Seconds to look at an operator that has nothing to do.
    #[arg(long, env = "IDLE_SECONDS", default_value_t = 60)]
    idle_seconds: u64,

    /// Seconds after which one step is given up, and with it what would have followed.
    #[arg(long, env = "LIMIT_SECONDS", default_value_t = 900)]
    limit_seconds: u64,

    /// The operator's program; default: the one beside this.
    #[arg(long, env = "CODER_OPERATOR_BINARY")]
    operator: Option<PathBuf>,

    /// Where `performance.json` and `performance.svg` go.
    #[arg(long, env = "OUT", default_value = "target/bench")]
    out: PathBuf,

    /// Measures nothing: prints and draws what an earlier run wrote there.
    #[arg(long)]
    show: bool,
}

impl Options {
    fn operator(&self) -> Result<PathBuf, Failure> {
        let beside = || Some(std::env::current_exe().ok()?.with_file_name("coder-operator"));
        let path = self.operator.clone().or_else(beside).unwrap_or_default();
        if path.is_file() {
            return Ok(path.canonicalize()?);
        }
        Err(format!("there is no operator at {}: run `make bench`", path.display()).into())
    }

    fn limit(&self) -> Duration {
        Duration::from_secs(self.limit_seconds)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    // Before anybody else chooses one: connections that end when a server is stopped are no news.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("off"));
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
    // Whichever ends first: dropping the measurement drops the stage, and with it every process.
    let ended = tokio::select! {
        ended = measure(&options) => ended,
        () = stopped => Err("stopped".into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(options: &Options) -> Result<(), Failure> {
    let (json, svg) = (
        options.out.join("performance.json"),
        options.out.join("performance.svg"),
    );
    let report = if options.show {
        serde_json::from_slice(&std::fs::read(&json)?)?
    } else {
        let binary = options.operator()?;
        std::fs::create_dir_all(&options.out)?;
        let mut report = Report::on_this_machine();
        for &objects in &options.sizes {
            for &mix in &options.mixes {
                for &list_ms in &options.list_ms {
                    eprintln!("{objects} objects, {mix}, {list_ms} ms a listed group");
                    let load = Load::new(mix, objects);
                    let run = scaling::run(&binary, &load, list_ms, options).await?;
                    report.runs.push(run);
                    // What is measured so far is kept, whatever comes next.
                    report.write(&json)?;
                }
            }
        }
        if !options.skip_slow {
            eprintln!("one slow Coder among three");
            report.slow = Some(slow::run(&binary, options.limit()).await?);
        }
        report.write(&json)?;
        report
    };
    std::fs::write(&svg, chart::draw(&report))?;
    print!("{}", report.text());
    println!("\n{} and {}", json.display(), svg.display());
    Ok(())
}

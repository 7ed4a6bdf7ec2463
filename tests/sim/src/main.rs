//! The simulator as a process of its own.

use std::io::Write as _;
use std::net::SocketAddr;

use clap::Parser;
use coder_sim::{Profile, Sim};

/// A simulated Coder server, for tests and demonstrations.
#[derive(Parser)]
struct Arguments {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// Which recorded server to be: main or v2.16.1.
    #[arg(long, default_value = "main", value_parser = profile)]
    profile: Profile,
    /// Token of the first user, of the form <id>-<secret>. Random unless given.
    #[arg(long)]
    token: Option<String>,
    /// Start without a licence.
    #[arg(long)]
    no_license: bool,
    /// Users to start with, separated by commas.
    #[arg(long, value_delimiter = ',')]
    seed_users: Vec<String>,
}

fn profile(name: &str) -> Result<Profile, String> {
    Profile::named(name).ok_or_else(|| format!("no profile {name:?}: main or v2.16.1"))
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let mut builder = Sim::builder(arguments.profile)
        .listen(arguments.listen)
        .licensed(!arguments.no_license)
        .users(arguments.seed_users);
    if let Some(token) = &arguments.token {
        builder = builder.token(token);
    }
    let sim = builder.start().await;
    writeln!(std::io::stdout(), "ready url={} token={}", sim.url(), sim.owner_token())?;
    std::future::pending().await
}

//! The operator under test: the real binary, in a process of its own.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use test_ground::{ControlPlane, Guard, Role};

use super::{PATIENCE, permissions};

/// How an operator is started.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// What it watches.
    pub(crate) namespaces: Vec<String>,
    /// Where it takes part in an election, and how long a lease lasts.
    pub(crate) election: Option<(String, u64)>,
    /// The user it acts as, where that is not the chart's service account.
    pub(crate) user: Option<&'static str>,
    /// What its environment holds besides; it counts before all other settings.
    pub(crate) environment: Vec<(String, String)>,
}

impl Settings {
    pub(crate) fn watching(namespace: &str) -> Self {
        Self {
            namespaces: vec![namespace.to_owned()],
            election: None,
            user: None,
            environment: Vec::new(),
        }
    }
}

/// A running operator. It dies with the test.
pub(crate) struct Operator {
    guard: Guard,
    directory: PathBuf,
    /// Where probes and metrics are.
    pub(crate) address: String,
}

impl Operator {
    pub(crate) async fn start(ground: &ControlPlane, settings: &Settings) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("coder-operator-e2e-")
            .tempdir()
            .unwrap()
            .keep();
        let kubeconfig = match settings.user {
            Some(user) => ground.kubeconfig(user).unwrap(),
            None => permissions::kubeconfig(ground, &settings.namespaces).await,
        };
        let variable = |name: &str, value: &str| format!("{name}={value}");
        let mut command = vec![
            "env".to_owned(),
            variable("KUBECONFIG", &kubeconfig.display().to_string()),
        ];
        if !settings.namespaces.is_empty() {
            command.push(variable(
                "CODER_OPERATOR_WATCH_NAMESPACE",
                &settings.namespaces.join(","),
            ));
        }
        match &settings.election {
            None => command.push(variable("CODER_OPERATOR_LEADER_ELECTION", "false")),
            Some((namespace, seconds)) => {
                permissions::elect(ground, namespace).await;
                command.push(variable("CODER_OPERATOR_LEASE_NAMESPACE", namespace));
                command.push(variable("CODER_OPERATOR_LEASE_SECONDS", &seconds.to_string()));
            }
        }
        command.extend(settings.environment.iter().map(|(name, value)| variable(name, value)));
        command.extend([
            env!("CARGO_BIN_EXE_coder-operator").into(),
            "run".into(),
            "--listen=127.0.0.1:0".into(),
            "--log-format=json".into(),
            "--log-level=info,coder_operator=debug".into(),
        ]);
        let mut guard = Guard::spawn(&directory, "operator", Role::Member, &command).unwrap();
        let address = address(&mut guard).await;
        Self {
            guard,
            directory,
            address,
        }
    }

    /// Its log so far, one JSON object a line.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.guard.log()).unwrap_or_default()
    }

    /// Sends it a signal, `KILL`, `TERM`, `STOP` or `CONT`.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.guard.pid().expect("the operator runs").to_string();
        let status = std::process::Command::new("kill")
            .args([&format!("-{signal}"), &pid])
            .status()
            .unwrap();
        assert!(status.success(), "kill -{signal} {pid}");
    }

    /// Waits until the process has ended.
    pub(crate) async fn ended(&mut self) {
        let began = Instant::now();
        while !self.guard.has_ended() {
            assert!(began.elapsed() < PATIENCE, "the operator did not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Kills it as a crash would.
    pub(crate) async fn crash(&mut self) {
        self.signal("KILL");
        self.ended().await;
    }

    /// What it serves under a path: status and text.
    pub(crate) async fn http(&self, path: &str) -> (u16, String) {
        let answer = reqwest::get(format!("http://{}{path}", self.address))
            .await
            .expect("the operator answers");
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// The value of a metric: the first line that begins with this text.
    pub(crate) async fn metric(&self, line: &str) -> Option<f64> {
        let (_, text) = self.http("/metrics").await;
        let found = text.lines().find(|candidate| candidate.starts_with(line))?;
        found.rsplit(' ').next()?.parse().ok()
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of the operator ---\n{}", interesting(&self.log()));
        }
        self.guard.stop();
        let _ = self.guard.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// The last lines, without the chatter of libraries.
fn interesting(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(80)..].join("\n")
}

/// The address that the log names.
async fn address(guard: &mut Guard) -> String {
    let began = Instant::now();
    loop {
        let log = std::fs::read_to_string(guard.log()).unwrap_or_default();
        let serving = log
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .find_map(|line| line["address"].as_str().map(str::to_owned));
        if let Some(address) = serving {
            return address;
        }
        assert!(!guard.has_ended(), "the operator ended:\n{log}");
        assert!(began.elapsed() < PATIENCE, "the operator does not serve:\n{log}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

//! The operator as a process: started, killed, weighed.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use test_ground::{Guard, Role, User};
use tokio::time::Instant;

use crate::Failure;
use crate::stage::Stage;

const PATIENCE: Duration = Duration::from_mins(1);
/// So long without a pass is the end of the work.
const QUIET: Duration = Duration::from_secs(3);

/// A running operator. It is killed when this is dropped.
pub(crate) struct Operator {
    guard: Guard,
    /// Where its log is.
    _directory: TempDir,
    pid: u32,
    address: String,
    http: reqwest::Client,
    /// How often it is asked for its numbers: rarely enough that the asking costs no more than a hundredth.
    look_every: Duration,
}

impl Operator {
    /// Starts it for so many objects; returns when its probes are served.
    pub(crate) async fn start(stage: &Stage, binary: &Path, objects: usize) -> Result<Self, Failure> {
        let directory = tempfile::Builder::new().prefix("coder-operator-bench-").tempdir()?;
        let command = [
            "env".to_owned(),
            format!("KUBECONFIG={}", stage.ground.kubeconfig(User::ADMIN)?.display()),
            binary.display().to_string(),
            "run".to_owned(),
            "--leader-election=false".to_owned(),
            "--listen=127.0.0.1:0".to_owned(),
        ];
        let mut guard = Guard::spawn(directory.path(), "operator", Role::Member, &command)?;
        let began = Instant::now();
        let address = loop {
            let log = fs::read_to_string(guard.log()).unwrap_or_default();
            let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let mut addresses = lines.filter_map(|line| Some(line.get("address")?.as_str()?.to_owned()));
            if let Some(address) = addresses.next() {
                break address;
            }
            guard.check()?;
            if began.elapsed() > PATIENCE {
                return Err(format!("the operator does not serve its probes:\n{log}").into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let pid = guard.pid().ok_or("the operator has no process id")?;
        Ok(Self {
            guard,
            _directory: directory,
            pid,
            address,
            http: reqwest::Client::new(),
            look_every: Duration::from_micros(100 * objects as u64).max(Duration::from_millis(50)),
        })
    }

    /// Kills it as a crash would.
    pub(crate) fn kill(mut self) -> Result<(), Failure> {
        self.guard.stop();
        Ok(self.guard.wait()?)
    }

    /// The most memory it had since [`Self::forget_peak`], and what it has now, in MiB.
    pub(crate) fn memory_mib(&self) -> Result<(f64, f64), Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let value = |name: &str| -> Result<f64, Failure> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|rest| rest.split_whitespace().next());
            Ok(kib.ok_or("no memory of that name")?.parse::<f64>()? / 1024.0)
        };
        Ok((value("VmHWM:")?, value("VmRSS:")?))
    }

    /// The peak is counted anew from now on.
    pub(crate) fn forget_peak(&self) -> Result<(), Failure> {
        Ok(fs::write(format!("/proc/{}/clear_refs", self.pid), "5")?)
    }

    /// The sum of all samples of a metric that have these labels and not that one.
    async fn sum(&self, name: &str, with: &[&str], without: &str) -> Result<f64, Failure> {
        let url = format!("http://{}/metrics", self.address);
        let text = self.http.get(url).send().await?.text().await?;
        let samples = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?.strip_prefix('{')?;
            let (labels, value) = rest.rsplit_once("} ")?;
            let wanted = with.iter().all(|label| labels.contains(label)) && !labels.contains(without);
            wanted.then(|| value.parse::<f64>().ok()).flatten()
        });
        Ok(samples.sum())
    }

    /// Waits until so many objects are Ready. False when the time is up.
    pub(crate) async fn ready(&self, objects: usize, within: Duration) -> Result<bool, Failure> {
        let began = Instant::now();
        loop {
            let labels = [r#"condition="Ready""#, r#"status="True""#];
            let ready = self
                .sum("coder_operator_object_conditions", &labels, r#"kind="CoderInstance""#)
                .await?;
            #[allow(clippy::cast_precision_loss, reason = "no such number of objects")]
            if ready >= objects as f64 {
                return Ok(true);
            }
            if began.elapsed() > within {
                return Ok(false);
            }
            tokio::time::sleep(self.look_every).await;
        }
    }

    /// Waits until at least so many passes found their object in order, and no pass has ended for a while: then all has
    /// been looked at. Answers with the time of the last pass.
    pub(crate) async fn quiet(&self, objects: usize, within: Duration) -> Result<Option<Instant>, Failure> {
        let began = Instant::now();
        let (mut passes, mut last) = (0.0, Instant::now());
        loop {
            let not = r#"kind="CoderInstance""#;
            let now = self.sum("coder_operator_passes_total", &[], not).await?;
            if now > passes {
                (passes, last) = (now, Instant::now());
            }
            if last.elapsed() > QUIET {
                let labels = [r#"outcome="InSync""#];
                let in_sync = self.sum("coder_operator_passes_total", &labels, not).await?;
                #[allow(clippy::cast_precision_loss, reason = "no such number of objects")]
                if in_sync >= objects as f64 {
                    return Ok(Some(last));
                }
            }
            if began.elapsed() > within {
                return Ok(None);
            }
            tokio::time::sleep(self.look_every).await;
        }
    }
}

//! Nothing stays behind, however the process that started the servers ends.
//!
//! The process is `ground serve`, which does what a test process does: it holds a `ControlPlane`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails, also in the helpers of one"
)]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use test_ground::{ControlPlane, Options, REUSE_VARIABLE, User, tools};

const SERVERS: [&str; 3] = ["etcd", "kube-apiserver", "kube-controller-manager"];

/// A `ground serve` that has said where it is.
struct Serving {
    process: Child,
    directory: PathBuf,
    servers: Vec<u32>,
    port: u16,
}

impl Serving {
    fn start() -> Self {
        Self::start_in(&std::env::temp_dir())
    }

    /// With its run directory below `parent`, where only the runs of one test see each other.
    fn start_in(parent: &Path) -> Self {
        // Here, not in the child: its progress would go to a pipe that nobody shows.
        for tool in tools::ALL {
            tool.binary().unwrap();
        }
        let mut process = Command::new(env!("CARGO_BIN_EXE_ground"))
            .arg("serve")
            .env("TMPDIR", parent)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let export = format!("export {REUSE_VARIABLE}=");
        let directory = lines
            .map(Result::unwrap)
            .find_map(|line| line.strip_prefix(&export).map(PathBuf::from))
            .expect("it says where it is");
        let ground = ControlPlane::attach(&directory).unwrap();
        let port = ground.url().rsplit(':').next().unwrap().parse().unwrap();
        let servers = SERVERS.map(|name| pid(&directory, name)).into();
        let serving = Self {
            process,
            directory,
            servers,
            port,
        };
        assert!(
            serving.leftovers().len() == SERVERS.len() + 2,
            "all there before: {:?}",
            serving.leftovers()
        );
        serving
    }

    /// What of it is still there: processes, port, directory.
    fn leftovers(&self) -> Vec<String> {
        let mut found: Vec<String> = self
            .servers
            .iter()
            .filter(|pid| alive(**pid))
            .map(u32::to_string)
            .collect();
        found.extend(TcpStream::connect(("127.0.0.1", self.port)).map(|_| format!("port {}", self.port)));
        found.extend(self.directory.exists().then(|| self.directory.display().to_string()));
        found
    }

    fn send(&self, signal: &str) {
        send(signal, self.process.id());
    }

    /// Waits until nothing is left.
    fn assert_gone(mut self) {
        self.process.wait().unwrap();
        let began = Instant::now();
        while !self.leftovers().is_empty() {
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "left behind: {:?}",
                self.leftovers()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn pid(directory: &Path, server: &str) -> u32 {
    fs::read_to_string(directory.join(format!("{server}.pid")))
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

fn alive(pid: u32) -> bool {
    // A zombie answers signals too; on Linux its state tells.
    let zombie = fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "));
    !zombie && send("0", pid)
}

fn send(signal: &str, pid: u32) -> bool {
    let kill = Command::new("sh")
        .args(["-c", "kill -\"$1\" \"$2\"", "kill", signal, &pid.to_string()])
        .stderr(Stdio::null())
        .status();
    kill.unwrap().success()
}

#[test]
fn nothing_is_left_when_the_process_is_killed() {
    let serving = Serving::start();
    serving.send("KILL");
    serving.assert_gone();
}

#[test]
fn nothing_is_left_after_an_interrupt_or_a_termination() {
    for signal in ["INT", "TERM"] {
        let serving = Serving::start();
        serving.send(signal);
        serving.assert_gone();
    }
}

#[test]
fn the_next_run_clears_up_after_one_whose_guards_were_killed_too() {
    let parent = tempfile::tempdir().unwrap();
    let serving = Serving::start_in(parent.path());
    // The guards are the shells that started the servers, in process groups of their own.
    for server in &serving.servers {
        let stat = fs::read_to_string(format!("/proc/{server}/stat"));
        let Ok(stat) = stat else { return };
        let group = stat.rsplit(") ").next().unwrap().split(' ').nth(2).unwrap().to_owned();
        for process in members(&group).into_iter().filter(|pid| pid != server) {
            send("KILL", process);
        }
    }
    serving.send("KILL");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    assert!(
        serving.servers.iter().all(|pid| alive(*pid)),
        "they had nobody to kill them"
    );
    let next = Options::default().directory(parent.path().join("next"));
    drop(runtime.block_on(ControlPlane::start(next)).unwrap());
    serving.assert_gone();
}

/// The processes of a process group.
fn members(group: &str) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(") ").next().and_then(|it| it.split(' ').nth(2)) == Some(group)
    })
    .collect()
}

#[test]
fn exec_runs_a_command_with_a_cluster_and_returns_its_status() {
    let script = "test -s \"$KUBECONFIG\" && dirname \"$KUBECONFIG\" && exit 7";
    let output = Command::new(env!("CARGO_BIN_EXE_ground"))
        .args(["exec", "--", "sh", "-c", script])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let directory = String::from_utf8(output.stdout).unwrap();
    assert!(!Path::new(directory.trim()).exists());
}

#[test]
fn a_panic_keeps_the_logs_and_nothing_else_runs_on() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ground = runtime
        .block_on(ControlPlane::start(Options::default().user("dora", &["team"])))
        .unwrap();
    let servers = SERVERS.map(|name| pid(ground.directory(), name));
    let directory = ground.directory().to_owned();
    assert!(ground.kubeconfig("dora").unwrap().is_file());
    assert!(ground.kubeconfig(User::ADMIN).unwrap().is_file());

    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _ground = ground;
        panic!("as a failing test does");
    }));
    assert!(panicked.is_err());
    assert!(!servers.into_iter().any(alive));
    assert!(directory.join("kube-apiserver.log").is_file());
    assert!(!directory.join("etcd").exists(), "the data is large and of no use");
    fs::remove_dir_all(directory).unwrap();
}

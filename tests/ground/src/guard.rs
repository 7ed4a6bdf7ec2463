//! A server process that cannot outlive the process that started it.
//!
//! The guard is a few lines of POSIX shell ([`guard.sh`](../src/guard.sh)) between us and the server. A destructor is
//! not enough (SIGKILL, `std::process::exit`, a `static`), and asking the kernel for a parent-death signal needs
//! `unsafe` and Linux.

use std::{
    io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

use crate::{Error, Result};

const SCRIPT: &str = include_str!("guard.sh");

/// What the guard removes when it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Only kills its server.
    Member,
    /// Removes the run directory too.
    Owner,
}

/// A running server. Dropping this kills it.
#[derive(Debug)]
pub struct Guard {
    name: &'static str,
    log: PathBuf,
    shell: Child,
    /// The pipe that keeps the server alive; `None` once it was told to stop.
    lifeline: Option<ChildStdin>,
}

impl Guard {
    /// Starts `command`, with its output in `DIR/NAME.log` and its process id in `DIR/NAME.pid`.
    pub fn spawn(directory: &Path, name: &'static str, role: Role, command: &[String]) -> Result<Self> {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "guard"])
            .arg(directory)
            .arg(name)
            .arg(match role {
                Role::Member => "member",
                Role::Owner => "owner",
            })
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(Error::io(format!("cannot start {name}")))?;
        let lifeline = shell.stdin.take();
        Ok(Self {
            name,
            log: directory.join(format!("{name}.log")),
            shell,
            lifeline,
        })
    }

    /// An error with the end of the log if the server is no longer running.
    pub fn check(&mut self) -> Result<()> {
        match self.shell.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(Error::Ended {
                server: self.name,
                log: self.log.clone(),
                tail: tail(&self.log),
            }),
            Err(error) => Err(Error::io(format!("cannot look after {}", self.name))(error)),
        }
    }

    /// Lets go of the pipe, without waiting.
    pub fn stop(&mut self) {
        self.lifeline = None;
    }

    /// The server's process id, once the guard has written it down.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        std::fs::read_to_string(self.log.with_extension("pid"))
            .ok()?
            .trim()
            .parse()
            .ok()
    }

    /// Where the server's output goes.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Whether the server has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.shell.try_wait(), Ok(Some(_)) | Err(_))
    }

    /// Waits until the server is dead and the guard has tidied up.
    pub fn wait(&mut self) -> io::Result<()> {
        self.shell.wait().map(drop)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.stop();
        // A failure here means that the shell is gone already.
        let _ = self.wait();
    }
}

/// The last lines of a log, for an error message.
fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines
        .iter()
        .skip(lines.len().saturating_sub(15))
        .copied()
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// Runs `script` as the server until the guard has noticed its end.
    fn ended(script: &str) -> Error {
        let directory = tempfile::tempdir().unwrap();
        let command = ["sh", "-c", script].map(str::to_owned);
        let mut guard = Guard::spawn(directory.path(), "etcd", Role::Owner, &command).unwrap();
        let began = Instant::now();
        loop {
            match guard.check() {
                Ok(()) => assert!(began.elapsed() < Duration::from_secs(20), "never noticed"),
                Err(error) => {
                    assert!(directory.path().exists(), "the log is wanted now");
                    return error;
                }
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_server_that_ends_by_itself_is_reported_with_its_last_words() {
        let Error::Ended { server, tail, .. } = ended("seq 100; echo 'bind: address already in use' >&2; exit 1")
        else {
            panic!("another error");
        };
        assert_eq!(server, "etcd");
        assert!(tail.ends_with("100\nbind: address already in use"), "{tail}");
        assert_eq!(tail.lines().count(), 15);
    }

    #[test]
    fn a_server_that_ignores_signals_is_killed_and_its_directory_removed() {
        let directory = tempfile::tempdir().unwrap().keep();
        let script = "trap '' TERM INT HUP; echo ready; while :; do sleep 0.1; done";
        let command = ["sh", "-c", script].map(str::to_owned);
        let guard = Guard::spawn(&directory, "etcd", Role::Owner, &command).unwrap();
        while std::fs::read_to_string(directory.join("etcd.log"))
            .unwrap_or_default()
            .is_empty()
        {
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(guard);
        assert!(!directory.exists());
    }
}

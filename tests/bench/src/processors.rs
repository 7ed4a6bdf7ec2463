//! Whose processor time it was. It shows where the time goes, and how much other programs had to do with a figure.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;

use serde::{Deserialize, Serialize};

use crate::Failure;

/// Linux counts processor time in hundredths of a second for everybody who reads /proc, on every platform.
const TICKS_A_SECOND: f64 = 100.0;

/// Seconds of processor time.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Busy {
    pub(crate) operator: f64,
    /// kube-apiserver and etcd.
    pub(crate) kubernetes: f64,
    /// This program: the simulated Coder, whoever declares and deletes, and the bare clients.
    pub(crate) coder_and_clients: f64,
    /// Every other program of the machine.
    pub(crate) others: f64,
}

impl Busy {
    /// All that those who still run have used since they began.
    pub(crate) fn so_far() -> Result<Self, Failure> {
        let stat = fs::read_to_string("/proc/stat")?;
        let all = machine(&stat).ok_or("/proc/stat has no line for all processors")?;
        let mut processes = BTreeMap::new();
        for entry in fs::read_dir("/proc")? {
            // Whatever is no process has no such file, and one that has just ended has none any more.
            let Ok(stat) = fs::read_to_string(entry?.path().join("stat")) else {
                continue;
            };
            if let Some((pid, process)) = Process::read(&stat) {
                processes.insert(pid, process);
            }
        }
        Ok(Self::of(all, std::process::id(), &processes))
    }

    fn of(all: f64, own: u32, processes: &BTreeMap<u32, Process>) -> Self {
        let mut busy = Self::default();
        for (pid, process) in processes {
            let share = match process.name.as_str() {
                _ if *pid == own => &mut busy.coder_and_clients,
                _ if !descends(*pid, own, processes) => continue,
                "coder-operator" => &mut busy.operator,
                "kube-apiserver" | "etcd" => &mut busy.kubernetes,
                _ => continue,
            };
            *share += process.seconds;
        }
        busy.others = (all - busy.operator - busy.kubernetes - busy.coder_and_clients).max(0.0);
        busy
    }

    /// What came after `before`.
    pub(crate) fn after(&self, before: &Self) -> Self {
        Self {
            operator: self.operator - before.operator,
            kubernetes: self.kubernetes - before.kubernetes,
            coder_and_clients: self.coder_and_clients - before.coder_and_clients,
            others: (self.others - before.others).max(0.0),
        }
    }
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.1} s, {:.1} s, {:.1} s, {:.1} s",
            self.operator, self.kubernetes, self.coder_and_clients, self.others
        )
    }
}

struct Process {
    name: String,
    parent: u32,
    seconds: f64,
}

impl Process {
    /// From `/proc/PID/stat`, with its id.
    fn read(stat: &str) -> Option<(u32, Self)> {
        // The name, in parentheses, may hold anything.
        let (pid, rest) = stat.split_once(" (")?;
        let (name, rest) = rest.rsplit_once(") ")?;
        let words: Vec<&str> = rest.split_whitespace().collect();
        let number = |at: usize| words.get(at)?.parse::<f64>().ok();
        let process = Self {
            name: name.to_owned(),
            parent: words.get(1)?.parse().ok()?,
            seconds: (number(11)? + number(12)?) / TICKS_A_SECOND,
        };
        Some((pid.parse().ok()?, process))
    }
}

/// Whether this process, or what started it, was started by that one.
fn descends(pid: u32, from: u32, processes: &BTreeMap<u32, Process>) -> bool {
    let parent = |pid: &u32| processes.get(pid).map(|process| process.parent);
    std::iter::successors(parent(&pid), parent).any(|pid| pid == from)
}

/// What all processors did together.
fn machine(stat: &str) -> Option<f64> {
    let words = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<f64> = words.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    // user, nice, system, then idle and waiting for disks, then interrupts and what the host took for others.
    let busy = ticks
        .iter()
        .enumerate()
        .filter(|(at, _)| !matches!(at, 3 | 4) && *at < 8);
    Some(busy.map(|(_, ticks)| ticks).sum::<f64>() / TICKS_A_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, name: &str, parent: u32, ticks: u32) -> (u32, Process) {
        let stat = format!("{pid} ({name}) S {parent} 1 1 0 -1 4194560 9 9 0 0 {ticks} 100 7 7 20 0 1 0 5 6 7");
        Process::read(&stat).unwrap()
    }

    #[test]
    fn what_the_measurement_started_is_told_from_what_else_runs() {
        let processes = [
            process(10, "coder-operator-", 1, 100),
            process(11, "sh", 10, 0),
            process(12, "etcd", 11, 200),
            process(13, "kube-apiserver", 11, 300),
            process(14, "coder-operator", 11, 400),
            process(20, "etcd", 1, 50_000),
            process(21, "odd) name", 20, 0),
        ];
        let all = machine("cpu  2000 0 1000 900000 900 0 50 50 7 7\ncpu0 1 1 1\n").unwrap();
        let busy = Busy::of(all, 10, &processes.into());
        assert_eq!(busy.to_string(), "5.0 s, 7.0 s, 2.0 s, 17.0 s");
        assert_eq!(busy.after(&busy).to_string(), "0.0 s, 0.0 s, 0.0 s, 0.0 s");
    }

    #[test]
    fn the_time_of_this_machine_can_be_read() {
        let busy = Busy::so_far().unwrap();
        assert!(busy.others > 0.0, "{busy}");
    }
}

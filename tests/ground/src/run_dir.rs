//! The directory of one run: certificates, kubeconfig files, logs, etcd's data.
//!
//! It goes with the run. Two things may stay behind, and both are dealt with here: logs that are kept because a test
//! failed (for a day), and the remains of a run whose guards were killed too (found by the next run).

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, Once, PoisonError},
    time::{Duration, SystemTime},
};

use crate::{Error, Result, servers};

const PREFIX: &str = "coder-operator-ground-";
const LOCK: &str = "lock";
const KEEP: &str = "keep";
const KEPT_FOR: Duration = Duration::from_hours(24);

/// Directories of this process whose logs a panic should save.
static LIVE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A directory that only its user can read, locked for as long as its run lasts.
#[derive(Debug)]
pub(crate) struct RunDir {
    path: PathBuf,
    /// Held, not read: a directory whose lock can be taken belongs to nobody any more.
    _lock: File,
}

impl RunDir {
    /// Makes a new directory below the system's temporary directory, or takes `path`, which must be empty or absent.
    pub(crate) fn create(path: Option<&Path>) -> Result<Self> {
        let path = match path {
            Some(path) => {
                fs::create_dir_all(path).map_err(Error::io(format!("cannot create {}", path.display())))?;
                path.canonicalize()
                    .map_err(Error::io(format!("cannot find {}", path.display())))?
            }
            None => tempfile::Builder::new()
                .prefix(PREFIX)
                .tempdir()
                .map_err(Error::io("cannot create a temporary directory"))?
                .keep(),
        };
        let occupied = fs::read_dir(&path)
            .map_err(Error::io(format!("cannot read {}", path.display())))?
            .next()
            .is_some();
        if occupied {
            return Err(Error::Io {
                context: format!("{} is not empty", path.display()),
                source: std::io::ErrorKind::DirectoryNotEmpty.into(),
            });
        }
        let lock = File::create(path.join(LOCK)).map_err(Error::io("cannot create the lock file"))?;
        lock.lock().map_err(Error::io("cannot lock the run directory"))?;
        sweep(&path);
        save_logs_on_panic();
        LIVE.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
        Ok(Self { path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A path inside, as a command line argument.
    pub(crate) fn file(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }

    /// Writes a file that only its user can read.
    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> Result<()> {
        write(&self.path.join(name), contents)
    }

    /// Tells whoever tidies up to leave the logs.
    pub(crate) fn keep(&self) {
        keep(&self.path);
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        LIVE.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|path| *path != self.path);
        // Usually the owner's guard was first; it never ran if the start failed before the servers did.
        if !self.path.join(KEEP).exists() {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Writes a file that only its user can read.
pub(crate) fn write(path: &Path, contents: impl AsRef<[u8]>) -> Result<()> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(contents.as_ref()))
        .map_err(Error::io(format!("cannot write {}", path.display())))
}

fn keep(path: &Path) {
    let marker = path.join(KEEP);
    if path.exists() && !marker.exists() && File::create(&marker).is_ok() {
        #[allow(
            clippy::print_stderr,
            reason = "the test harness shows this with the test that failed"
        )]
        {
            eprintln!("the logs of the control plane are kept in {}", path.display());
        }
    }
}

/// A failing test panics. Whatever happens to the process afterwards, its logs are wanted.
fn save_logs_on_panic() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // `try_lock`: the panic may have come while the list was being changed.
            if let Ok(live) = LIVE.try_lock() {
                live.iter().for_each(|path| keep(path));
            }
            previous(info);
        }));
    });
}

/// Removes what earlier runs left behind, next to `own` and owned by the same user.
fn sweep(own: &Path) {
    let Some(parent) = own.parent() else { return };
    let (Ok(entries), Ok(owner)) = (fs::read_dir(parent), fs::metadata(own).map(|it| it.uid())) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.metadata().is_ok_and(|it| it.is_dir() && it.uid() == owner);
        if ours && entry.path() != own {
            sweep_one(&entry.path());
        }
    }
}

fn sweep_one(path: &Path) {
    // No lock file: the directory is just being made, or is no run directory.
    let Ok(lock) = File::open(path.join(LOCK)) else { return };
    if lock.try_lock().is_err() {
        return;
    }
    for server in servers::ALL {
        kill_leftover(path, server);
    }
    let kept = path.join(KEEP).metadata().and_then(|it| it.modified());
    let wanted = kept.is_ok_and(|since| SystemTime::now().duration_since(since).unwrap_or_default() < KEPT_FOR);
    if !wanted {
        let _ = fs::remove_dir_all(path);
    }
}

/// Kills the server whose process id is on record, if that process still is that server.
fn kill_leftover(path: &Path, server: &str) {
    let Ok(pid) = fs::read_to_string(path.join(format!("{server}.pid"))) else {
        return;
    };
    let pid = pid.trim();
    // All servers have the path of their run directory on their command line: a reused process id does not.
    let command_line = fs::read(format!("/proc/{pid}/cmdline")).or_else(|_| {
        Command::new("ps")
            .args(["-o", "command=", "-p", pid])
            .output()
            .map(|it| it.stdout)
    });
    let is_it = command_line.is_ok_and(|it| String::from_utf8_lossy(&it).contains(&*path.to_string_lossy()));
    if is_it {
        let _ = Command::new("sh")
            .args(["-c", "kill -9 \"$1\"", "kill", pid])
            .stderr(Stdio::null())
            .status();
    }
}

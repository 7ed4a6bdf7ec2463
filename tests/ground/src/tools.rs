//! The servers, and the tools that check what is delivered: built once from the Go modules pinned in `tests/tools/go.mod`
//! and in the modules beside it.
//!
//! `KUBEBUILDER_ASSETS` wins where it is set, for what setup-envtest puts there. Otherwise the first run compiles, which
//! takes minutes, and every later one finds the binary in `${XDG_CACHE_HOME:-~/.cache}/coder-operator/tools/<key>/`.
//!
//! The key is that of the one tool: its version, the Go release, the platform and how it is built. So a tool that is
//! added, or another one's new version, rebuilds nothing else. Indirect requirements are left out: they follow from the
//! tool's version. The source of a tool of our own is part of its key.

use std::{
    env,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{Error, Result};

const MODULE_DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tools");
const PROGRESS_EVERY: Duration = Duration::from_secs(30);

/// A program from a `go.mod` in `tests/tools`.
#[derive(Debug)]
pub struct Tool {
    /// The name of the binary.
    pub name: &'static str,
    /// The directory in `tests/tools` whose `go.mod` pins it; empty for that of the servers.
    pub pinned_in: &'static str,
    /// The Go package that is built.
    pub package: &'static str,
    /// The module whose version is the tool's version.
    pub module: &'static str,
    /// Whether it belongs to what `KUBEBUILDER_ASSETS` holds.
    pub is_asset: bool,
    /// How long the first build takes on two cores, for people who wait for it.
    pub takes: &'static str,
    /// Build tags.
    pub tags: &'static [&'static str],
    /// Additional linker flags, given the version.
    pub linker_flags: fn(version: &str) -> String,
}

/// The store.
pub static ETCD: Tool = Tool {
    name: "etcd",
    pinned_in: "",
    package: "go.etcd.io/etcd/server/v3",
    module: "go.etcd.io/etcd/server/v3",
    is_asset: true,
    takes: "about a minute",
    tags: &[],
    linker_flags: |_| String::new(),
};

/// The API server.
pub static KUBE_APISERVER: Tool = Tool {
    name: "kube-apiserver",
    pinned_in: "",
    package: "k8s.io/kubernetes/cmd/kube-apiserver",
    module: "k8s.io/kubernetes",
    is_asset: true,
    takes: "4 to 9 minutes",
    tags: &[],
    linker_flags: kubernetes_version,
};

/// The controllers. Most of it is compiled for the API server already.
pub static KUBE_CONTROLLER_MANAGER: Tool = Tool {
    name: "kube-controller-manager",
    pinned_in: "",
    package: "k8s.io/kubernetes/cmd/kube-controller-manager",
    module: "k8s.io/kubernetes",
    is_asset: false,
    takes: "1 to 2 minutes after kube-apiserver",
    tags: &[],
    linker_flags: kubernetes_version,
};

/// Installs the chart.
pub static HELM: Tool = Tool {
    name: "helm",
    pinned_in: "helm",
    package: "helm.sh/helm/v4/cmd/helm",
    module: "helm.sh/helm/v4",
    is_asset: false,
    takes: "2 to 4 minutes",
    tags: &[],
    linker_flags: |version| format!("-X helm.sh/helm/v4/internal/version.version={version}"),
};

/// Runs the unit tests of the chart's templates.
pub static HELM_UNITTEST: Tool = Tool {
    name: "helm-unittest",
    pinned_in: "helm",
    package: "github.com/helm-unittest/helm-unittest/cmd/helm-unittest",
    module: "github.com/helm-unittest/helm-unittest",
    is_asset: false,
    takes: "seconds after helm",
    tags: &[],
    linker_flags: |_| String::new(),
};

/// Says what Flux and Argo CD make of objects; its source is here.
pub static GITOPS: Tool = Tool {
    name: "gitops",
    pinned_in: "gitops",
    package: ".",
    module: "github.com/fluxcd/cli-utils",
    is_asset: false,
    takes: "half a minute",
    tags: &[],
    linker_flags: |_| String::new(),
};

/// Tests alerts. Without the discovery of targets in twenty clouds, which would be most of the build.
pub static PROMTOOL: Tool = Tool {
    name: "promtool",
    pinned_in: "prometheus",
    package: "github.com/prometheus/prometheus/cmd/promtool",
    module: "github.com/prometheus/prometheus",
    is_asset: false,
    takes: "2 to 6 minutes",
    tags: &["remove_all_sd"],
    linker_flags: |_| String::new(),
};

/// Checks workflows of GitHub.
pub static ACTIONLINT: Tool = Tool {
    name: "actionlint",
    pinned_in: "actionlint",
    package: "github.com/rhysd/actionlint/cmd/actionlint",
    module: "github.com/rhysd/actionlint",
    is_asset: false,
    takes: "seconds",
    tags: &[],
    linker_flags: |_| String::new(),
};

/// What checks the delivery.
pub static DELIVERY: [&Tool; 5] = [&HELM, &HELM_UNITTEST, &GITOPS, &PROMTOOL, &ACTIONLINT];

/// What a control plane needs.
pub static ALL: [&Tool; 3] = [&ETCD, &KUBE_APISERVER, &KUBE_CONTROLLER_MANAGER];

/// Kubernetes reports the version it was built from, which its own build scripts put in.
fn kubernetes_version(version: &str) -> String {
    let mut parts = version.trim_start_matches('v').split('.');
    let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    [
        ("gitVersion", version),
        ("gitMajor", major),
        ("gitMinor", minor),
        ("gitTreeState", "clean"),
    ]
    .map(|(name, value)| format!("-X k8s.io/component-base/version.{name}={value}"))
    .join(" ")
}

impl Tool {
    /// The path of the binary; builds it if there is none yet. Blocks.
    pub fn binary(&self) -> Result<PathBuf> {
        if let Some(assets) = env::var_os("KUBEBUILDER_ASSETS").filter(|it| self.is_asset && !it.is_empty()) {
            let path = PathBuf::from(assets).join(self.name);
            return if path.is_file() {
                Ok(path)
            } else {
                Err(Error::AssetMissing { path })
            };
        }
        let directory = cache_directory(self)?;
        let path = directory.join(self.name);
        if !path.is_file() {
            self.build_into(&directory, &path)?;
        }
        Ok(path)
    }

    /// The directory of the Go module that pins it.
    fn directory(&self) -> PathBuf {
        Path::new(MODULE_DIRECTORY).join(self.pinned_in)
    }

    /// The version pinned in `go.mod`, such as `v1.36.3`.
    pub fn version(&self) -> Result<String> {
        let text = read(&self.directory().join("go.mod"))?;
        let text = String::from_utf8_lossy(&text);
        text.lines()
            .find_map(|line| {
                let mut words = line.split_whitespace().skip_while(|it| *it == "require");
                (words.next() == Some(self.module)).then(|| words.next()).flatten()
            })
            .filter(|it| it.starts_with('v'))
            .map(str::to_owned)
            .ok_or_else(|| {
                Error::format(self.directory().join("go.mod").display().to_string())(format!(
                    "{} is not required there",
                    self.module
                ))
            })
    }

    fn build_into(&self, directory: &Path, path: &Path) -> Result<()> {
        fs::create_dir_all(directory).map_err(Error::io(format!("cannot create {}", directory.display())))?;
        let _lock = self.lock(directory)?;
        if path.is_file() {
            // Somebody else built it while we waited for the lock.
            return Ok(());
        }
        let version = self.version()?;
        // A name of its own: a compiler whose process was killed may still be writing to the previous one.
        let unfinished = format!("{}.unfinished-", self.name);
        remove_files(directory, &unfinished);
        let unfinished = directory.join(format!("{unfinished}{}", std::process::id()));
        let mut go = go(self);
        go.arg("build")
            .arg("-o")
            .arg(&unfinished)
            .args(self.build_arguments(&version));
        run(&mut go, self, &format!("{} {version}", self.name))?;
        fs::rename(&unfinished, path).map_err(Error::io(format!("cannot move {} into place", self.name)))
    }

    /// What `go build` is told, but for where the binary goes.
    fn build_arguments(&self, version: &str) -> Vec<String> {
        let mut arguments = vec!["-trimpath".to_owned(), "-buildvcs=false".to_owned()];
        if !self.tags.is_empty() {
            arguments.extend(["-tags".to_owned(), self.tags.join(",")]);
        }
        arguments.push("-ldflags".to_owned());
        arguments.push(format!("-s -w {}", (self.linker_flags)(version)));
        arguments.push(self.package.to_owned());
        arguments
    }

    /// One build at a time, across processes: the lock goes when the file is closed, by whatever means.
    fn lock(&self, directory: &Path) -> Result<File> {
        let lock = File::create(directory.join(format!("{}.lock", self.name)))
            .map_err(Error::io("cannot create the lock of the tools"))?;
        if lock.try_lock().is_err() {
            say(&format!("waiting for another process that is building {}", self.name));
            lock.lock().map_err(Error::io("cannot lock the tools"))?;
        }
        Ok(lock)
    }
}

/// The directory of the module that `tests/tools/DIRECTORY/go.mod` pins, for the files in it; fetched if need be. Blocks.
pub fn module(directory: &str, path: &str) -> Result<PathBuf> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Downloaded {
        dir: PathBuf,
    }
    let mut go = Command::new("go");
    go.current_dir(Path::new(MODULE_DIRECTORY).join(directory))
        .env("GOWORK", "off")
        .args(["mod", "download", "-json", path]);
    let output = go.output().map_err(Error::io("cannot run go"))?;
    if !output.status.success() {
        return Err(go_failed(&format!("go mod download {path}"), &output.stderr));
    }
    let downloaded: Downloaded = serde_json::from_slice(&output.stdout).map_err(Error::format("go mod download"))?;
    Ok(downloaded.dir)
}

/// A `go` command in the module of the tool, independent of the developer's workspace and C compiler.
fn go(tool: &Tool) -> Command {
    let mut go = Command::new("go");
    go.current_dir(tool.directory())
        .env("GOWORK", "off")
        .env("CGO_ENABLED", "0")
        .stdin(Stdio::null());
    go
}

/// Where the binary belongs that `go` would build now.
fn cache_directory(tool: &Tool) -> Result<PathBuf> {
    let go_is = go(tool)
        .args(["env", "GOVERSION", "GOOS", "GOARCH"])
        .output()
        .map_err(|error| missing_or_broken(tool, error))?;
    if !go_is.status.success() {
        return Err(go_failed("go env", &go_is.stderr));
    }
    let version = tool.version()?;
    let how = tool.build_arguments(&version).join(" ").into_bytes();
    let own = match tool.package {
        "." => read(&tool.directory().join("main.go"))?,
        _ => Vec::new(),
    };
    let cache = env::var_os("XDG_CACHE_HOME")
        .filter(|it| !it.is_empty())
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
        .unwrap_or_else(env::temp_dir);
    let key = format!(
        "{}-{version}-{:016x}",
        tool.name,
        fingerprint(&[go_is.stdout, how, own])
    );
    Ok(cache.join("coder-operator/tools").join(key))
}

/// FNV-1a, 64 bits: the standard library's hasher may change with the compiler, and nobody attacks this.
fn fingerprint(parts: &[Vec<u8>]) -> u64 {
    parts.iter().flatten().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Runs the build, with a line on stderr at the start, now and then, and at the end.
fn run(command: &mut Command, tool: &Tool, what: &str) -> Result<()> {
    let began = Instant::now();
    say(&format!("building {what} ({} the first time) ...", tool.takes));
    let mut output = tempfile::tempfile().map_err(Error::io("cannot create a temporary file"))?;
    let copy = output.try_clone().map_err(Error::io("cannot share a temporary file"))?;
    let mut child = command
        .stdout(Stdio::null())
        .stderr(copy)
        .spawn()
        .map_err(|error| missing_or_broken(tool, error))?;
    let mut reported = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(Error::io("cannot wait for go"))? {
            break status;
        }
        if reported.elapsed() >= PROGRESS_EVERY {
            reported = Instant::now();
            say(&format!("building {what}: {} s so far", began.elapsed().as_secs()));
        }
        thread::sleep(Duration::from_millis(100));
    };
    if status.success() {
        say(&format!("built {what} in {} s", began.elapsed().as_secs()));
        return Ok(());
    }
    let mut text = Vec::new();
    let _ = std::io::Seek::rewind(&mut output).and_then(|()| std::io::Read::read_to_end(&mut output, &mut text));
    Err(go_failed(&format!("go build {}", tool.package), &text))
}

fn missing_or_broken(tool: &Tool, error: std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::NotFound && Path::new(MODULE_DIRECTORY).is_dir() {
        Error::GoMissing { tool: tool.name }
    } else {
        Error::io("cannot run go")(error)
    }
}

fn go_failed(command: &str, stderr: &[u8]) -> Error {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().collect();
    let output = lines
        .iter()
        .skip(lines.len().saturating_sub(20))
        .copied()
        .collect::<Vec<_>>()
        .join("\n");
    Error::Go {
        command: command.to_owned(),
        directory: MODULE_DIRECTORY.into(),
        output,
    }
}

/// Removes the files whose names begin with `prefix`, as far as possible.
fn remove_files(directory: &Path, prefix: &str) {
    for entry in fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok) {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(Error::io(format!("cannot read {}", path.display())))
}

/// Not `eprintln!`: the test harness would swallow it, and a build of minutes without a word looks like a hang.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_has_a_version_in_the_module_file() {
        for tool in ALL.into_iter().chain(DELIVERY) {
            assert!(tool.version().unwrap().starts_with('v'), "{}", tool.name);
        }
    }

    #[test]
    fn kubernetes_is_told_its_version() {
        let flags = kubernetes_version("v1.36.3");
        for expected in ["gitVersion=v1.36.3", "gitMajor=1", "gitMinor=36"] {
            assert!(flags.contains(expected), "{flags}");
        }
    }

    #[test]
    fn the_key_changes_with_any_part() {
        assert_ne!(
            fingerprint(&[b"a".to_vec(), b"b".to_vec()]),
            fingerprint(&[b"a".to_vec(), b"c".to_vec()])
        );
    }
}

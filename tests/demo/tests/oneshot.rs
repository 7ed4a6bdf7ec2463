//! The demo from beginning to end, as `DEMO_ONESHOT=1 make demo` runs it.

#![cfg(test)]

use std::path::Path;
use std::process::{Command, Output};

/// Runs it against the simulated Coder; `CODER_URL` and its like in the environment are not for it.
fn demo(settings: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coder-operator-demo"));
    for name in [
        "CODER_URL",
        "CODER_TOKEN",
        "WRITE",
        "DEMO_EXAMPLES",
        "CODER_OPERATOR_BINARY",
    ] {
        command.env_remove(name);
    }
    command.env("DEMO_ONESHOT", "1").envs(settings.iter().copied());
    command.output().expect("the demo can be started")
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn it_shows_everything_ready_and_drift_corrected_and_leaves_nothing_behind() {
    let output = demo(&[]);
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    let mut rest = text.as_str();
    for landmark in [
        "(simulated",
        "as user coder-operator",
        "custom resources from",
        "CoderInstance",
        "All Ready after",
        "Coder now holds",
        "organization platform",
        "behind the operator's back",
        "set back",
        "event        DriftCorrected: ",
    ] {
        let Some((_, after)) = rest.split_once(landmark) else {
            panic!("no \"{landmark}\" in its place in\n{text}")
        };
        rest = after;
    }
    let directory = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("files in "))
        .expect("the directory is named");
    assert!(!Path::new(directory).exists(), "{directory} is still there");
}

#[test]
fn it_fails_when_something_does_not_become_ready() {
    let folder = std::env::temp_dir().join(format!("coder-operator-demo-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let manifests = r"
apiVersion: coder-operator.dev/v1alpha1
kind: CoderInstance
metadata: {name: default}
spec: {url: 'https://coder.example.com', tokenSecretRef: {name: token}}
---
apiVersion: coder-operator.dev/v1alpha1
kind: CoderGroup
metadata: {name: stray}
spec: {organization: nowhere}
";
    std::fs::write(folder.join("stray.yaml"), manifests).expect("a file");
    let output = demo(&[
        ("DEMO_EXAMPLES", folder.to_str().expect("a path")),
        ("DEMO_DEADLINE", "10"),
    ]);
    let _ = std::fs::remove_dir_all(&folder);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("not Ready after 10 s: CoderGroup stray (DependencyNotReady"),
        "{text}"
    );
}

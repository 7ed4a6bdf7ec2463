//! The workflows of GitHub: valid, with every action pinned by commit, and no more rights than each needs.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use test_ground::tools::ACTIONLINT;

fn workflows() -> Vec<(PathBuf, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/workflows");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths
        .map(|path| {
            let workflow = serde_yaml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            (path, workflow)
        })
        .collect()
}

#[test]
fn actionlint_finds_nothing_to_say() {
    let mut command = Command::new(ACTIONLINT.binary().unwrap());
    // These look into scripts, where they are installed.
    command.args(["-shellcheck=", "-pyflakes="]);
    let output = command.args(workflows().iter().map(|(path, _)| path)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn actions_are_pinned_by_commit_and_jobs_may_read_unless_they_say_more() {
    let mut pinned = 0;
    for (path, workflow) in workflows() {
        let place = path.display();
        assert_eq!(
            workflow["permissions"],
            serde_json::json!({ "contents": "read" }),
            "{place}"
        );
        let jobs = workflow["jobs"].as_object().unwrap().values();
        for step in jobs.flat_map(|job| job["steps"].as_array().unwrap()) {
            let Some(action) = step["uses"].as_str() else { continue };
            let (_, commit) = action.split_once('@').unwrap();
            assert!(
                commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit()),
                "{place}: {action}"
            );
            pinned += 1;
        }
    }
    assert!(pinned >= 5, "{pinned} actions");
}

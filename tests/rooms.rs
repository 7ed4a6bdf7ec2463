//! The house: rooms know only those below them, and what all kinds share names none of them.

#![cfg(test)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use coder_operator::api::Object;
use coder_operator::engine::Remote;
use coder_operator::kinds::Visitor;

/// From top to bottom. What stands in one line may know what stands in later ones, and its own room.
const ROOMS: &[&[&str]] = &[
    &["main"],
    &["cli"],
    &["rbac", "crds", "server"],
    &["instance"],
    &["kinds"],
    &["engine"],
    &["supervisor", "leader", "telemetry"],
    &["metrics"],
    &["lists"],
    &["mirror"],
    &["coder"],
    &["api"],
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// All source files, by room.
fn files() -> BTreeMap<String, Vec<PathBuf>> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, files);
            } else {
                files.push(path);
            }
        }
    }
    let mut all = Vec::new();
    walk(&source(), &mut all);
    let mut rooms: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for path in all {
        let inside = path.strip_prefix(source()).unwrap();
        let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
        let room = first.trim_end_matches(".rs").to_owned();
        rooms.entry(room).or_default().push(path);
    }
    rooms.remove("lib");
    rooms
}

fn level(room: &str) -> usize {
    ROOMS
        .iter()
        .position(|level| level.contains(&room))
        .unwrap_or_else(|| panic!("the room {room} has no place in the house: put it into ROOMS"))
}

/// The code of a file without its tests and comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("\n#[cfg(test)]\n").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The rooms that some code names: `crate::ROOM` and `crate::{ROOM, …}`.
fn named(code: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for after in code.split("crate::").skip(1) {
        let word = |text: &str| -> String {
            let text = text.trim_start();
            text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
        };
        match after.strip_prefix('{') {
            Some(list) => {
                let list = list.split(';').next().unwrap_or_default();
                let mut depth = 0;
                let mut start = true;
                for (at, letter) in list.char_indices() {
                    if depth == 0 && start {
                        rooms.push(word(list.get(at..).unwrap_or_default()));
                        start = false;
                    }
                    match letter {
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        _ => {}
                    }
                    if depth < 0 {
                        break;
                    }
                }
            }
            None => rooms.push(word(after)),
        }
    }
    rooms.retain(|room| !room.is_empty() && room != "GROUP");
    rooms
}

#[test]
fn rooms_import_downwards_only() {
    let files = files();
    let mut upwards = Vec::new();
    let mut looked = 0;
    for (room, paths) in &files {
        for path in paths {
            for other in named(&code(path)).into_iter().filter(|other| files.contains_key(other)) {
                looked += 1;
                if other != *room && level(&other) <= level(room) {
                    upwards.push(format!("{} names {other}", path.display()));
                }
            }
        }
    }
    assert!(upwards.is_empty(), "{upwards:#?}");
    assert!(looked > 300, "only {looked} imports were looked at");
}

#[test]
fn what_all_kinds_share_names_none_of_them() {
    struct Names(Vec<&'static str>);
    impl Visitor for Names {
        fn visit<R: Remote>(&mut self) {
            self.0.push(<R as Object>::KIND);
        }
    }
    let mut kinds = Names(Vec::new());
    coder_operator::kinds::visit(&mut kinds);
    let mut found = Vec::new();
    for room in [
        "engine", "mirror", "lists", "coder", "metrics", "rbac", "server", "leader",
    ] {
        for path in files().remove(room).unwrap() {
            let code = code(&path);
            let is_named = |kind: &str| {
                code.split(kind)
                    .skip(1)
                    .any(|rest| !rest.starts_with(char::is_alphanumeric))
            };
            let shown = kinds.0.iter().filter(|kind| is_named(kind));
            found.extend(shown.map(|kind| format!("{} names {kind}", path.display())));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

//! The recordings: what is where, and how the recorded server had been started.

use std::path::PathBuf;

use coder_sim::{Builder, Profile, Sim};
use serde_json::Value;

/// A recorded conversation with one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recording {
    Main,
    V2_16_1,
    PeopleMain,
    PeopleV2_16_1,
    Templates,
}

/// One file of a recording.
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) exchanges: Vec<Value>,
}

impl Recording {
    pub(crate) const fn directory(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::V2_16_1 => "v2.16.1",
            Self::PeopleMain => "people-main",
            Self::PeopleV2_16_1 => "people-v2.16.1",
            Self::Templates => "templates",
        }
    }

    /// A server nobody has used, started as the recorded one was.
    pub(crate) fn server(self) -> Builder {
        let profile = match self {
            Self::Main | Self::PeopleMain | Self::Templates => Profile::Main,
            Self::V2_16_1 | Self::PeopleV2_16_1 => Profile::V2_16_1,
        };
        let server = Sim::builder(profile).empty();
        if self.is_about_people() {
            return server
                .identity_provider()
                .configured("scim", true)
                .configured("connection_log", false);
        }
        server
    }

    pub(crate) const fn is_about_people(self) -> bool {
        matches!(self, Self::PeopleMain | Self::PeopleV2_16_1)
    }

    /// The parts in order.
    pub(crate) fn parts(self) -> Vec<Part> {
        let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("recordings")
            .join(self.directory());
        let files = std::fs::read_dir(directory).expect("the recordings are there");
        let mut paths: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
        paths.sort();
        let parts = paths.iter().map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let text = std::fs::read_to_string(path).expect("a readable recording");
            let exchanges = text
                .lines()
                .map(|line| serde_json::from_str(line).expect("a recorded exchange"))
                .collect();
            Part { name, exchanges }
        });
        parts.collect()
    }
}

/// The first text of this name anywhere inside.
pub(crate) fn find(value: &Value, name: &str) -> Option<String> {
    match value {
        Value::Object(object) => match object.get(name) {
            Some(Value::String(text)) => Some(text.clone()),
            _ => object.values().find_map(|value| find(value, name)),
        },
        Value::Array(values) => values.iter().find_map(|value| find(value, name)),
        _ => None,
    }
}

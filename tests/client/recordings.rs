//! The recorded conversations: see `tests/sim`.

use std::{fs, path::Path};

use serde::Deserialize;
use serde_json::Value;

/// The servers recorded: the oldest supported and a commit after v2.35.
pub(crate) const SERVERS: [&str; 2] = ["v2.16.1", "main"];

/// One request and its answer.
#[derive(Deserialize)]
pub(crate) struct Exchange {
    /// What is tried, in words.
    pub step: String,
    /// What was sent.
    pub request: Request,
    /// What came back.
    pub response: Response,
    /// The file it is in.
    #[serde(skip)]
    pub file: String,
}

/// What was sent.
#[derive(Deserialize)]
pub(crate) struct Request {
    /// `GET` and so on.
    pub method: String,
    /// With `/api/v2` and query.
    pub path: String,
    /// As JSON.
    #[serde(default)]
    pub body: Value,
}

/// What came back.
#[derive(Deserialize)]
pub(crate) struct Response {
    /// The status.
    pub status: u16,
    /// Those that were kept, lower-cased.
    #[serde(default)]
    pub headers: std::collections::BTreeMap<String, String>,
    /// JSON, a text (cut at 200 characters), or null for an empty one.
    pub body: Value,
}

impl Exchange {
    /// The answer's body as it was on the wire.
    pub(crate) fn body(&self) -> Vec<u8> {
        match &self.response.body {
            // An empty body is recorded as null, and so is `null`, which old servers send for an empty list.
            Value::Null if !self.is_json() => Vec::new(),
            Value::String(text) => text.clone().into_bytes(),
            body => serde_json::to_vec(body).unwrap(),
        }
    }

    /// Its media type says JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.header("content-type")
            .is_some_and(|value| value.starts_with("application/json"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers.get(name).map(String::as_str)
    }
}

/// The whole conversation with a server, in order.
pub(crate) fn of(server: &str) -> Vec<Exchange> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/sim/recordings")
        .join(server);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    files.sort();
    let mut exchanges = Vec::new();
    for path in files {
        for line in fs::read_to_string(&path).unwrap().lines() {
            let exchange: Exchange =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let file = path.file_stem().unwrap().to_string_lossy().into_owned();
            exchanges.push(Exchange { file, ..exchange });
        }
    }
    exchanges
}

//! What Flux and Argo CD make of objects, computed by their own libraries.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Error, Result, tools};

/// An object, and a Lua script of Argo CD's for it; empty for none.
#[derive(Debug, Serialize)]
pub struct Question {
    /// As the API server answers with it.
    pub object: Value,
    /// A health check, the discovery of actions, or an action.
    pub lua: String,
}

/// What was made of it.
#[derive(Debug, Deserialize)]
pub struct Verdict {
    /// The status by kstatus: `Current`, `InProgress`, `Failed`, `Terminating`.
    pub kstatus: String,
    /// Its words.
    pub message: String,
    /// What the script returned.
    pub lua: Value,
}

/// One verdict a question. Builds the tool if there is none yet. Blocks.
pub fn ask(questions: &[Question]) -> Result<Vec<Verdict>> {
    let mut child = Command::new(tools::GITOPS.binary()?)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(Error::io("cannot run gitops"))?;
    let text = serde_json::to_vec(questions).map_err(Error::format("questions"))?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(&text).map_err(Error::io("cannot write to gitops"))?;
    }
    let output = child.wait_with_output().map_err(Error::io("cannot wait for gitops"))?;
    if !output.status.success() {
        return Err(Error::format("gitops")(String::from_utf8_lossy(&output.stderr)));
    }
    serde_json::from_slice(&output.stdout).map_err(Error::format("gitops"))
}

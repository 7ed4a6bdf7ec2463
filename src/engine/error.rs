//! What can stop a pass, and what follows from it: one function, [`Error::disposition`], decides everything else.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::coder::{self, Class};
use crate::leader::gate::NotLeading;

/// The longest sentence of Kubernetes that goes into a condition, in characters.
const SENTENCE: usize = 600;

/// Why a pass did not end with Coder as declared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Coder refused a call or could not be reached.
    #[error("{0}")]
    Coder(#[from] coder::Error),
    /// A list that others waited for as well could not be read.
    #[error("{0}")]
    Fetch(#[from] Arc<coder::Error>),
    /// The Kubernetes API refused a call or could not be reached.
    #[error("the Kubernetes API: {}", sentence(.0))]
    Kubernetes(#[from] kube::Error),
    /// Something that this object needs is not there yet. Its arrival wakes the object.
    #[error("{message}")]
    Waiting {
        /// What for.
        reason: Reason,
        /// A stable sentence that names it.
        message: String,
    },
    /// Something in Coder must change first, and nothing may tell of it: tried again with backoff, and woken by what tells.
    #[error("{message}")]
    Retrying {
        /// What for.
        reason: Reason,
        /// A stable sentence that names it.
        message: String,
    },
    /// A human must change the spec, a Secret, a permission or the licence.
    #[error("{message}")]
    Terminal {
        /// What is wrong.
        reason: Reason,
        /// A stable sentence that names the field and the way out.
        message: String,
    },
    /// Coder refused the content of a request, and the kind knows more about the cause.
    #[error("{message}")]
    Explained {
        /// A stable sentence that names the field and the way out.
        message: String,
        /// What Coder said.
        source: coder::Error,
    },
    /// A deletion cannot be carried out; the message says how to end it without Coder.
    #[error("{0}; to let go without Coder, set deletionPolicy: Orphan")]
    Undeletable(Box<Error>),
    /// Coder accepts the changes but never shows them.
    #[error("Coder accepted the changes but still differs: {0}")]
    NotConverging(String),
    /// The object changed since this pass read it, or another process leads now: this pass has no say any more.
    #[error("the object changed while it was reconciled")]
    Superseded,
    /// What this pass needs is not known yet, in a process that just began to work: there is nothing to say. It wakes the
    /// object when it is.
    #[error("not everything is known yet")]
    Pending,
}

/// The word for a state: reason of a condition, reason of an event, label of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::EnumIter)]
pub enum Reason {
    /// Coder equals the spec.
    InSync,
    /// Observe mode: the object was read.
    Observed,
    /// Suspend mode.
    Suspended,
    /// Created in Coder.
    Created,
    /// Changed in Coder, because the spec changed.
    Updated,
    /// Taken over.
    Adopted,
    /// Deleted in Coder.
    Deleted,
    /// Let go without touching Coder.
    Orphaned,
    /// Something else changed it in Coder; it was set back.
    DriftCorrected,
    /// Something else changed it in Coder; Observe mode leaves it.
    DriftDetected,

    /// No `CoderInstance` of that name.
    InstanceNotFound,
    /// The `CoderInstance` is not ready.
    InstanceNotReady,
    /// A referenced object does not exist or is not ready.
    DependencyNotReady,
    /// A Secret, a `ConfigMap`, or a key of it is missing.
    SecretNotFound,
    /// The licence does not allow it.
    NotEntitled,
    /// The operator cannot list something in Kubernetes on which it depends.
    NotListed,

    /// The spec cannot be carried out.
    InvalidSpec,
    /// A Secret's content is no use.
    InvalidSecret,
    /// Coder holds one that the operator did not create.
    AlreadyExists,
    /// It must exist and does not.
    NotFound,
    /// Another custom resource has it.
    Conflict,
    /// A name of the spec leads to something else than before.
    NameMoved,
    /// Several in Coder could be meant.
    Ambiguous,
    /// The instance does not grant its use.
    AccessDenied,
    /// The token's user may not do it.
    Forbidden,
    /// The identity provider decides it.
    ManagedByIdp,
    /// The token is not accepted.
    Unauthorized,
    /// The server refused the content.
    Rejected,
    /// The server does not know the endpoint.
    Unsupported,
    /// Behind the URL is another deployment than before.
    DeploymentChanged,
    /// Behind the URL is a workspace proxy.
    WorkspaceProxyUrl,
    /// A Secret that is not ours is in the way.
    SecretConflict,
    /// Kubernetes does not take the Secret that is to be written.
    SecretRefused,
    /// The token does not see everything that it would have to compare.
    PartialVisibility,
    /// It is never deleted.
    DeletionRefused,
    /// Something still hangs on it.
    DependentsExist,

    /// No answer, or a failure of the server.
    Unreachable,
    /// Too many calls.
    RateLimited,
    /// Coder accepts the changes but never shows them.
    NotConverging,
    /// The Kubernetes API failed.
    KubernetesError,
    /// The pass has no say any more.
    Superseded,
}

impl Reason {
    /// The word itself.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Try again: after the time that the server asked for, or else with backoff. `Reconciling`.
    Transient(Option<Duration>),
    /// Do nothing until what is missing arrives, which wakes the object. `Reconciling`.
    Waiting,
    /// Do nothing until a human changes something. `Stalled`.
    Terminal,
    /// Say that it takes a human, `Stalled`, and try again with backoff all the same: when it is over, nothing wakes the
    /// object.
    Lasting,
    /// Forget this pass and start over from what is there now; say nothing.
    Superseded,
    /// Forget this pass; what it waits for wakes the object; say nothing.
    Pending,
}

impl Error {
    /// Waiting for something.
    pub fn waiting(reason: Reason, message: impl Into<String>) -> Self {
        Self::Waiting {
            reason,
            message: message.into(),
        }
    }

    /// A human must act.
    pub fn terminal(reason: Reason, message: impl Into<String>) -> Self {
        Self::Terminal {
            reason,
            message: message.into(),
        }
    }

    /// What follows from it.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Coder(error) | Self::Explained { source: error, .. } => of_coder(error),
            Self::Fetch(error) => of_coder(error),
            // A conflict says that the object was read too early.
            Self::Kubernetes(kube::Error::Api(status)) if status.code == 409 => Disposition::Superseded,
            // What is not valid does not become so by being sent again.
            Self::Kubernetes(kube::Error::Api(status)) if status.code == 422 => Disposition::Terminal,
            Self::Kubernetes(error) if NotLeading::is_cause_of(error) => Disposition::Superseded,
            Self::Kubernetes(_) | Self::NotConverging(_) | Self::Retrying { .. } => Disposition::Transient(None),
            Self::Undeletable(error) => error.disposition(),
            Self::Waiting { .. } => Disposition::Waiting,
            Self::Terminal { .. } => Disposition::Terminal,
            Self::Superseded => Disposition::Superseded,
            Self::Pending => Disposition::Pending,
        }
    }

    /// Whether the pass has nothing to say.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        matches!(self.disposition(), Disposition::Superseded | Disposition::Pending)
    }

    /// The word for it.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Coder(error) | Self::Explained { source: error, .. } => reason_of_coder(error.class()),
            Self::Fetch(error) => reason_of_coder(error.class()),
            Self::Undeletable(error) => error.reason(),
            Self::Kubernetes(kube::Error::Api(status)) if status.code == 422 => Reason::InvalidSpec,
            Self::Kubernetes(_) => Reason::KubernetesError,
            Self::Waiting { reason, .. } | Self::Retrying { reason, .. } | Self::Terminal { reason, .. } => *reason,
            Self::NotConverging(_) => Reason::NotConverging,
            Self::Superseded | Self::Pending => Reason::Superseded,
        }
    }

    /// Whether Coder may hold something else than before the pass that ended so, or than that pass knew.
    #[must_use]
    pub fn concerns_coder(&self) -> bool {
        match self {
            Self::NotConverging(_) | Self::Retrying { .. } => true,
            Self::Undeletable(error) => error.concerns_coder(),
            _ => self.coder().is_some(),
        }
    }

    /// Whether that was concluded from what Coder held, so that a fresh look could end in another way.
    #[must_use]
    pub fn may_be_outdated(&self) -> bool {
        match self {
            // A name that is taken was looked for already, and members who were not there are.
            Self::Coder(error) | Self::Explained { source: error, .. } => error.is_absent(),
            Self::Fetch(error) => !error.is_transient(),
            Self::Waiting { reason, .. } | Self::Terminal { reason, .. } => matches!(
                reason,
                Reason::AlreadyExists
                    | Reason::Ambiguous
                    | Reason::DependencyNotReady
                    | Reason::Forbidden
                    | Reason::NameMoved
                    | Reason::NotFound
                    | Reason::PartialVisibility
            ),
            _ => false,
        }
    }

    /// Whether Coder said that it is not there, or not to be seen.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.coder().is_some_and(coder::Error::is_absent)
    }

    /// The error of Coder in it, if there is one.
    #[must_use]
    pub fn coder(&self) -> Option<&coder::Error> {
        match self {
            Self::Coder(error) | Self::Explained { source: error, .. } => Some(error),
            Self::Fetch(error) => Some(error),
            Self::Undeletable(error) => error.coder(),
            _ => None,
        }
    }
}

/// What Kubernetes says, in its own words, of which it sometimes has very many.
pub fn sentence(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => {
            let mut words: String = status.message.chars().take(SENTENCE).collect();
            if words.len() < status.message.len() {
                words.push('…');
            }
            words
        }
        other => other.to_string(),
    }
}

fn of_coder(error: &coder::Error) -> Disposition {
    // Who does not lead has nothing to say.
    if matches!(error, coder::Error::Barred { .. }) {
        return Disposition::Superseded;
    }
    // One probe asks whether a dead server is back, not every object.
    if matches!(error, coder::Error::BreakerOpen { .. }) {
        return Disposition::Waiting;
    }
    match error.class() {
        // The instance learns of a licence and wakes everybody when its features change; what says that the identity provider
        // decides is read as well.
        Class::NotEntitled | Class::IdpManaged => Disposition::Waiting,
        Class::Forbidden | Class::Unsupported | Class::AlreadyExists | Class::Invalid => Disposition::Terminal,
        // What answers in Coder's place goes away unseen.
        Class::Protocol => Disposition::Lasting,
        Class::RateLimited | Class::Transient | Class::Gateway => Disposition::Transient(error.retry_after()),
        // The instance's own pass finds out about the token; until it has, this is tried again.
        Class::Unauthorized | Class::Absent | Class::AlreadyMember | Class::DependentsExist | Class::BypassRefused => {
            Disposition::Transient(None)
        }
    }
}

fn reason_of_coder(class: Class) -> Reason {
    match class {
        Class::Unauthorized => Reason::Unauthorized,
        Class::NotEntitled => Reason::NotEntitled,
        Class::Forbidden => Reason::Forbidden,
        Class::IdpManaged => Reason::ManagedByIdp,
        Class::Unsupported => Reason::Unsupported,
        Class::AlreadyExists | Class::AlreadyMember => Reason::AlreadyExists,
        Class::DependentsExist => Reason::DependentsExist,
        Class::Invalid => Reason::Rejected,
        Class::RateLimited => Reason::RateLimited,
        Class::Absent | Class::BypassRefused | Class::Gateway | Class::Protocol | Class::Transient => {
            Reason::Unreachable
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn kubernetes(code: u16) -> Error {
        kube::Error::Api(Box::new(Status::failure("said", "Because").with_code(code))).into()
    }

    #[test]
    fn what_kubernetes_finds_invalid_takes_a_human_and_what_changed_meanwhile_starts_over() {
        assert_eq!(kubernetes(422).disposition(), Disposition::Terminal);
        assert_eq!(kubernetes(422).reason(), Reason::InvalidSpec);
        assert_eq!(kubernetes(409).disposition(), Disposition::Superseded);
        assert_eq!(kubernetes(500).disposition(), Disposition::Transient(None));
    }
}

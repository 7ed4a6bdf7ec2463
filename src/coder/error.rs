//! The one error of this layer: which call, what happened, what it means.
//!
//! `Display` is one sentence that stays the same while the cause does (no request ids, no times, no token), so that
//! it can stand in a status without changing at every retry.

use std::{error::Error as StdError, fmt, io, time::Duration};

use tokio::time::Instant;

use super::{
    answer::{Answer, sanitise},
    class::Class,
    path::Method,
};

/// Which call: the method and the template of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The path template.
    pub template: &'static str,
}

impl Call {
    /// A call of that endpoint.
    #[must_use]
    pub fn new(method: Method, template: &'static str) -> Self {
        Self { method, template }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.template)
    }
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server answered with a status of 400 or more.
    #[error("{0}")]
    Answer(Box<Answer>),
    /// No connection: nothing was sent.
    #[error("cannot connect to the Coder server ({})", innermost(source))]
    Connect {
        /// Which call.
        call: Call,
        /// What reqwest says.
        source: reqwest::Error,
    },
    /// The server's certificate is not trusted, or TLS failed otherwise: nothing was sent.
    #[error("no trusted TLS connection to the Coder server ({})", innermost(source))]
    Tls {
        /// Which call.
        call: Call,
        /// What reqwest says.
        source: reqwest::Error,
    },
    /// Connected, but the answer did not arrive in time.
    #[error("the Coder server did not answer {call} in time")]
    Timeout {
        /// Which call.
        call: Call,
    },
    /// Not sent: the last calls of this path, or of this endpoint, did not end in time. One at a time tries it.
    #[error("the Coder server did not answer {call} in time lately; it is tried now and then")]
    Hanging {
        /// Which call.
        call: Call,
        /// When the next one may try.
        until: Instant,
    },
    /// A list takes longer than anybody waits for it. It goes on being read, and who wanted it is woken by it.
    #[error("the list of {list} is still being read")]
    StillReading {
        /// Its name.
        list: &'static str,
    },
    /// Something in front of Coder answered in its place, at a URL where Coder answered before: it says nothing of what
    /// was asked for.
    #[error("something in front of Coder answered {status} ({what}) to {call}{}", lasting(*class))]
    Gateway {
        /// Which call.
        call: Call,
        /// The status, possibly 200.
        status: u16,
        /// The media type, or where it redirects to.
        what: String,
        /// What it means: [`Class::Gateway`] while it may pass by itself.
        class: Class,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The connection ended before the answer did.
    #[error("the connection to the Coder server was lost during {call} ({})", innermost(source))]
    Cut {
        /// Which call.
        call: Call,
        /// What reqwest says.
        source: reqwest::Error,
    },
    /// The server redirects to another origin, redirects a write, or never stops redirecting.
    #[error("the server redirects {call} to {to}, which is not followed; set the URL it redirects to")]
    Redirect {
        /// Which call.
        call: Call,
        /// The origin it points to.
        to: String,
    },
    /// The answer is no JSON: the URL leads to something else than Coder's API, for example to its dashboard.
    #[error(
        "the answer {status} to {call} is {content_type}, not JSON: the URL does not lead to the API of a Coder server, or something in front of it answers"
    )]
    NotJson {
        /// Which call.
        call: Call,
        /// The status, possibly 200.
        status: u16,
        /// The media type, without parameters.
        content_type: String,
    },
    /// The answer is larger than this client accepts.
    #[error("the answer to {call} is larger than {limit} bytes")]
    TooLarge {
        /// Which call.
        call: Call,
        /// The bound.
        limit: usize,
    },
    /// The answer is JSON of a shape that this client does not know. The decoder's own error is not kept as a source:
    /// it quotes the answer, and the answer may hold a secret.
    #[error("the answer to {call} has an unknown shape: {reason}")]
    Decode {
        /// Which call.
        call: Call,
        /// What was expected, without the values found.
        reason: String,
    },
    /// The request cannot be written as JSON: a fault of this client.
    #[error("the request of {call} cannot be written")]
    Encode {
        /// Which call.
        call: Call,
        /// Why.
        source: serde_json::Error,
    },
    /// A list changed again and again while its pages were read.
    #[error("the list of {call} kept changing while it was read")]
    Torn {
        /// Which call.
        call: Call,
    },
    /// Not sent: this path answered 429 and its `Retry-After` has not passed.
    #[error("{call} waits for the server's rate limit")]
    CoolingDown {
        /// Which call.
        call: Call,
        /// When the path may be called again.
        until: Instant,
    },
    /// Not sent: the server failed repeatedly and is being probed.
    #[error("the Coder server is failing; waiting for it to answer again")]
    BreakerOpen {
        /// Which call.
        call: Call,
        /// When the next probe may be sent.
        until: Instant,
    },
    /// A write that this process may not send any more: another one leads by now. If it was on its way already, it ends as a
    /// crash would have ended it.
    #[error("{call} was not made: this process may not write now")]
    Barred {
        /// Which call.
        call: Call,
    },
    /// Not sent: a name that cannot stand in a path.
    #[error("cannot call {call}: {reason}")]
    InvalidPath {
        /// Which call.
        call: Call,
        /// What is wrong.
        reason: &'static str,
    },
    /// The client could not be built: URL, token, certificates.
    #[error("cannot set up a client: {reason}")]
    Setup {
        /// What is wrong.
        reason: &'static str,
        /// Why.
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
}

impl Error {
    /// What it means for whoever made the call.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Answer(answer) => answer.class,
            Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Timeout { .. }
            | Self::Hanging { .. }
            | Self::StillReading { .. }
            | Self::Cut { .. }
            | Self::Torn { .. }
            | Self::Barred { .. }
            | Self::BreakerOpen { .. } => Class::Transient,
            Self::Gateway { class, .. } => *class,
            Self::Redirect { .. } | Self::NotJson { .. } | Self::TooLarge { .. } | Self::Decode { .. } => {
                Class::Protocol
            }
            Self::CoolingDown { .. } => Class::RateLimited,
            Self::InvalidPath { .. } | Self::Encode { .. } | Self::Setup { .. } => Class::Invalid,
        }
    }

    /// Which call failed; none if there was no client yet.
    #[must_use]
    pub fn call(&self) -> Option<Call> {
        match self {
            Self::Answer(answer) => Some(answer.call),
            Self::Connect { call, .. }
            | Self::Tls { call, .. }
            | Self::Timeout { call }
            | Self::Hanging { call, .. }
            | Self::Gateway { call, .. }
            | Self::Cut { call, .. }
            | Self::Redirect { call, .. }
            | Self::NotJson { call, .. }
            | Self::TooLarge { call, .. }
            | Self::Decode { call, .. }
            | Self::Encode { call, .. }
            | Self::Torn { call }
            | Self::Barred { call }
            | Self::CoolingDown { call, .. }
            | Self::BreakerOpen { call, .. }
            | Self::InvalidPath { call, .. } => Some(*call),
            Self::StillReading { .. } | Self::Setup { .. } => None,
        }
    }

    /// The status, if the server answered with one that is an error or makes no sense.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Answer(answer) => Some(answer.status),
            Self::NotJson { status, .. } | Self::Gateway { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The server's refusal, with its texts.
    #[must_use]
    pub fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Answer(answer) => Some(answer),
            _ => None,
        }
    }

    /// How long to wait, where the server (or this client in its place) says so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answer(answer) => answer.retry_after,
            Self::Gateway { retry_after, .. } => *retry_after,
            Self::CoolingDown { until, .. } | Self::Hanging { until, .. } | Self::BreakerOpen { until, .. } => {
                Some(until.saturating_duration_since(Instant::now()))
            }
            _ => None,
        }
    }

    /// The licensed feature (its key in `/entitlements`) or the experiment that is missing.
    #[must_use]
    pub fn feature(&self) -> Option<&str> {
        self.answer()?.feature.as_deref()
    }

    /// Whether the call may have had its effect although it failed: it was sent, and no answer says otherwise.
    /// Always false for reads, and for a refusal (4xx) or a call that never left.
    #[must_use]
    pub fn outcome_unknown(&self) -> bool {
        if !self.call().is_some_and(|call| call.method.writes()) {
            return false;
        }
        match self {
            Self::Answer(answer) => answer.went_on || (answer.status >= 500 && answer.class == Class::Transient),
            Self::NotJson { status, .. } => *status < 300,
            Self::Gateway { status, class, .. } => *status < 300 || *class == Class::Transient,
            Self::Timeout { .. }
            | Self::Cut { .. }
            | Self::TooLarge { .. }
            | Self::Decode { .. }
            | Self::Barred { .. } => true,
            Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Redirect { .. }
            | Self::Encode { .. }
            | Self::Torn { .. }
            | Self::CoolingDown { .. }
            | Self::Hanging { .. }
            | Self::StillReading { .. }
            | Self::BreakerOpen { .. }
            | Self::InvalidPath { .. }
            | Self::Setup { .. } => false,
        }
    }

    /// Absent, **or not to be read by this token**: see [`Class::Absent`].
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.class() == Class::Absent
    }

    /// This server has no such route.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        self.class() == Class::Unsupported
    }

    /// What was to be made is there already: something of that name, or the membership.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        matches!(self.class(), Class::AlreadyExists | Class::AlreadyMember)
    }

    /// The user is a member already.
    #[must_use]
    pub fn is_already_member(&self) -> bool {
        self.class() == Class::AlreadyMember
    }

    /// A group's change names a user who is no member of its organization, be it to add or to remove (recording 04).
    #[must_use]
    pub fn is_not_a_member(&self) -> bool {
        self.answer()
            .is_some_and(|answer| answer.message.starts_with("User must be a member of organization "))
    }

    /// Worth trying again soon.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.class() == Class::Transient
    }

    /// From a failure of reqwest. The URL is taken off: it is not stable, and it is in the configuration.
    pub(super) fn from_transport(call: Call, error: reqwest::Error) -> Self {
        let source = error.without_url();
        if source.is_connect() {
            if is_tls(&source) {
                Self::Tls { call, source }
            } else {
                Self::Connect { call, source }
            }
        } else if source.is_timeout() {
            Self::Timeout { call }
        } else {
            Self::Cut { call, source }
        }
    }

    pub(super) fn from_decode(call: Call, error: &serde_json::Error) -> Self {
        Self::Decode {
            call,
            reason: unquoted(&error.to_string()),
        }
    }
}

/// What the sentence about a gateway adds when it takes a human.
fn lasting(class: Class) -> &'static str {
    if class == Class::Protocol {
        ", for minutes already: it must let the calls of the operator through"
    } else {
        ""
    }
}

/// The decoder's words without what it found in quotation marks, and without the position, which moves with the data.
fn unquoted(text: &str) -> String {
    let text = text.rsplit_once(" at line ").map_or(text, |(text, _)| text);
    let parts: Vec<&str> = text.split('"').collect();
    match parts.as_slice() {
        [first, .., last] => sanitise(&format!("{first}\"…\"{last}")),
        _ => sanitise(text),
    }
}

/// The last cause of the chain: `Connection refused`, `certificate not valid for name`, ….
fn innermost(error: &dyn StdError) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    sanitise(&cause.to_string())
}

/// Whether rustls is somewhere in the chain. An `io::Error` names as its source the source of what it wraps, and so
/// hides one link, which here is the one that counts.
fn is_tls(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<rustls::Error>() {
            return true;
        }
        cause = match error.downcast_ref::<io::Error>() {
            Some(io) => io.get_ref().map(|wrapped| wrapped as &(dyn StdError + 'static)),
            None => error.source(),
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::{super::RawAnswer, *};

    const POST: Call = Call {
        method: Method::Post,
        template: "/organizations/{organization}/groups",
    };

    fn json(status: u16, body: &str) -> Error {
        Error::from_answer(
            POST,
            &RawAnswer {
                status,
                content_type: Some("application/json; charset=utf-8"),
                body: body.as_bytes(),
                ..RawAnswer::default()
            },
        )
    }

    #[test]
    fn only_a_lost_write_has_an_unknown_outcome() {
        assert!(json(503, "").outcome_unknown());
        assert!(!json(403, r#"{"message":"Forbidden."}"#).outcome_unknown());
        let read = Call {
            method: Method::Get,
            ..POST
        };
        assert!(
            !Error::from_answer(
                read,
                &RawAnswer {
                    status: 503,
                    ..RawAnswer::default()
                }
            )
            .outcome_unknown()
        );
        assert!(
            !Error::BreakerOpen {
                call: POST,
                until: Instant::now()
            }
            .outcome_unknown()
        );
    }

    #[test]
    fn the_decoders_words_carry_no_values() {
        #[derive(Debug, Deserialize)]
        #[allow(dead_code)]
        struct Answer {
            proxy_token: u8,
        }
        let error = serde_json::from_str::<Answer>(r#"{"proxy_token":"top\"secret"}"#).unwrap_err();
        let error = Error::from_decode(POST, &error);
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        assert!(error.to_string().contains("expected u8"), "{error}");
        let error = serde_json::from_str::<Answer>("{}").unwrap_err();
        assert!(
            Error::from_decode(POST, &error)
                .to_string()
                .ends_with("missing field `proxy_token`")
        );
    }
}

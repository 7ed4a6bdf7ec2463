//! The one error of this layer: which call, what happened, what it means.
//!
//! `Display` is one sentence that stays the same while the cause does (no request ids, no times, no token), so that
//! it can stand in a status without changing at every retry.

use std::{error::Error as StdError, fmt, time::Duration};

use serde::Deserialize;
use tokio::time::Instant;

use super::{
    class::{Class, Refusal},
    path::Method,
    wire::null_default,
};

/// The longest text of the server that is kept, in characters.
const TEXT_LIMIT: usize = 256;

/// Coder's window, for a 429 that does not say how long.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_mins(1);

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
        /// What reqwest says.
        source: reqwest::Error,
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
        "the answer {status} to {call} is {content_type}, not JSON: the URL does not lead to the API of a Coder server"
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

/// A refusal of the server.
#[derive(Debug)]
pub struct Answer {
    /// Which call.
    pub call: Call,
    /// The status.
    pub status: u16,
    /// Coder's sentence, sanitised; may be empty.
    pub message: String,
    /// Coder's debug text, sanitised.
    pub detail: Option<String>,
    /// Field by field, what is wrong.
    pub validations: Vec<Validation>,
    /// How long the server asks to wait.
    pub retry_after: Option<Duration>,
    /// What it means.
    pub class: Class,
    /// The licensed feature or the experiment that is missing.
    pub feature: Option<String>,
    /// The handler went on writing after its error: v2.16.1 answers so when a change was made but may not be read
    /// by who made it (recording 14).
    pub went_on: bool,
}

/// What is wrong with one field of the request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Validation {
    /// The JSON name of the field.
    #[serde(default, deserialize_with = "null_default")]
    pub field: String,
    /// Why it is refused.
    #[serde(default, deserialize_with = "null_default")]
    pub detail: String,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The sentences of the rate limit count seconds.
        if self.class == Class::RateLimited {
            return write!(f, "Coder limits the rate of {}", self.call);
        }
        write!(f, "Coder answered {} to {}", self.status, self.call)?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        if let Some(detail) = &self.detail {
            write!(f, " ({detail})")?;
        }
        for Validation { field, detail } in &self.validations {
            write!(f, "; {field}: {detail}")?;
        }
        Ok(())
    }
}

/// An answer as it came, before it is understood.
#[derive(Clone, Copy, Debug, Default)]
pub struct RawAnswer<'a> {
    /// The status, 400 or more.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// `Retry-After`.
    pub retry_after: Option<&'a str>,
    /// `X-Coder-Build-Version` was there.
    pub from_coder: bool,
    /// The body, or the beginning of a large one.
    pub body: &'a [u8],
}

#[derive(Deserialize)]
struct Body {
    #[serde(default, deserialize_with = "null_default")]
    message: String,
    #[serde(default, deserialize_with = "null_default")]
    detail: String,
    #[serde(default, deserialize_with = "null_default")]
    validations: Vec<Validation>,
}

impl Error {
    /// Understands a refusal.
    #[must_use]
    pub fn from_answer(call: Call, raw: &RawAnswer<'_>) -> Self {
        let &RawAnswer {
            status,
            content_type,
            retry_after,
            from_coder,
            body,
        } = raw;
        // A handler may write its error and then the object as well: two JSON documents in one body.
        let mut documents = serde_json::Deserializer::from_slice(body).into_iter::<Body>();
        let parsed = documents.next().and_then(Result::ok).filter(|_| is_json(content_type));
        let went_on = parsed.is_some() && documents.next().is_some();
        let json = parsed.as_ref().is_some_and(|body| !body.message.is_empty());
        let Body {
            message,
            detail,
            validations,
        } = parsed.unwrap_or_else(|| Body {
            message: if media_type(content_type) == "text/plain" {
                String::from_utf8_lossy(body).into_owned()
            } else {
                String::new()
            },
            detail: String::new(),
            validations: Vec::new(),
        });
        let refusal = Refusal {
            status,
            message: &message,
            detail: &detail,
            json,
            from_coder,
        };
        let class = refusal.class();
        if class == Class::Protocol && !json {
            return Self::NotJson {
                call,
                status,
                content_type: sanitise(media_type(content_type)),
            };
        }
        let retry_after = retry_after
            .and_then(seconds)
            .or_else(|| (class == Class::RateLimited).then(|| seconds_in(&message).unwrap_or(DEFAULT_RETRY_AFTER)));
        Self::Answer(Box::new(Answer {
            call,
            status,
            class,
            feature: refusal.feature(),
            message: sanitise(&message),
            detail: Some(sanitise(&detail)).filter(|detail| !detail.is_empty()),
            validations: validations
                .into_iter()
                .take(16)
                .map(|Validation { field, detail }| Validation {
                    field: sanitise(&field),
                    detail: sanitise(&detail),
                })
                .collect(),
            retry_after,
            went_on,
        }))
    }

    /// What it means for whoever made the call.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Answer(answer) => answer.class,
            Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Timeout { .. }
            | Self::Cut { .. }
            | Self::Torn { .. }
            | Self::BreakerOpen { .. } => Class::Transient,
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
            | Self::Timeout { call, .. }
            | Self::Cut { call, .. }
            | Self::Redirect { call, .. }
            | Self::NotJson { call, .. }
            | Self::TooLarge { call, .. }
            | Self::Decode { call, .. }
            | Self::Encode { call, .. }
            | Self::Torn { call }
            | Self::CoolingDown { call, .. }
            | Self::BreakerOpen { call, .. }
            | Self::InvalidPath { call, .. } => Some(*call),
            Self::Setup { .. } => None,
        }
    }

    /// The status, if the server answered with one that is an error or makes no sense.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Answer(answer) => Some(answer.status),
            Self::NotJson { status, .. } => Some(*status),
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
            Self::CoolingDown { until, .. } | Self::BreakerOpen { until, .. } => {
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
            Self::Timeout { .. } | Self::Cut { .. } | Self::TooLarge { .. } | Self::Decode { .. } => true,
            Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Redirect { .. }
            | Self::Encode { .. }
            | Self::Torn { .. }
            | Self::CoolingDown { .. }
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

    /// Something of that name is there already.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        self.class() == Class::AlreadyExists
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
            Self::Timeout { call, source }
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

/// Control characters (and those that turn the direction of text) become spaces, the rest is cut at 256 characters.
#[must_use]
pub fn sanitise(text: &str) -> String {
    let clean = |c: char| {
        let turns =
            matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if c.is_control() || turns { ' ' } else { c }
    };
    let text = text.trim();
    let mut short: String = text.chars().map(clean).take(TEXT_LIMIT).collect();
    if text.chars().nth(TEXT_LIMIT).is_some() {
        short.pop();
        short.push('…');
    }
    short
}

/// `type/subtype`, lower-cased, without parameters; `nothing` if there is none.
fn media_type(content_type: Option<&str>) -> &str {
    let media_type = content_type
        .and_then(|value| value.split(';').next())
        .map_or("", str::trim);
    if media_type.is_empty() {
        "of no type"
    } else {
        media_type
    }
}

/// `application/json`, or a type built on it.
pub(super) fn is_json(content_type: Option<&str>) -> bool {
    let media_type = media_type(content_type).to_ascii_lowercase();
    media_type == "application/json" || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

pub(super) fn not_json(call: Call, status: u16, content_type: Option<&str>) -> Error {
    Error::NotJson {
        call,
        status,
        content_type: sanitise(media_type(content_type)),
    }
}

/// Seconds of a `Retry-After`, at most ten minutes: nobody's word stops the operator for a day. The form that is a
/// date is not understood (Coder does not use it).
fn seconds(value: &str) -> Option<Duration> {
    value
        .trim()
        .parse()
        .ok()
        .map(|seconds: u64| Duration::from_secs(seconds.min(600)))
}

/// The licence refresh says in words how long to wait: `… please wait 59 seconds to …` (recording 01).
fn seconds_in(message: &str) -> Option<Duration> {
    seconds(message.split_once("please wait ")?.1.split(' ').next()?)
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

/// Whether rustls is somewhere in the chain; `io::Error` hides what it wraps from `source()`.
fn is_tls(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if error.is::<rustls::Error>() || wrapped.is_some_and(<dyn StdError + Send + Sync>::is::<rustls::Error>) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_refusal_is_one_sentence() {
        let error = json(
            409,
            r#"{"message":"A group named \"a\" already exists.","validations":[{"field":"name","detail":"Group names must be unique"}]}"#,
        );
        assert_eq!(
            error.to_string(),
            "Coder answered 409 to POST /organizations/{organization}/groups: A group named \"a\" already exists.; name: Group names must be unique"
        );
        assert!(error.is_already_exists() && !error.outcome_unknown());
    }

    #[test]
    fn texts_of_the_server_are_cut_and_cleaned() {
        let error = json(
            400,
            &format!(r#"{{"message":"a\nb\u0007{}","detail":"\u202Egnp"}}"#, "x".repeat(1000)),
        );
        let answer = error.answer().unwrap();
        assert!(
            answer.message.starts_with("a b xx") && answer.message.ends_with('…'),
            "{}",
            answer.message
        );
        assert_eq!(answer.message.chars().count(), 256);
        assert_eq!(answer.detail.as_deref(), Some(" gnp"));
    }

    #[test]
    fn two_documents_in_one_body_say_that_the_change_was_made() {
        let error = json(
            500,
            "{\"message\":\"An internal server error occurred.\",\"detail\":\"unauthorized: rbac: forbidden\"}\n{\"id\":\"x\"}",
        );
        assert_eq!(error.class(), Class::Forbidden);
        assert!(error.outcome_unknown());
        let error = json(
            500,
            "{\"message\":\"An internal server error occurred.\",\"detail\":\"unauthorized: rbac: forbidden\"}\n",
        );
        assert!(!error.outcome_unknown());
    }

    #[test]
    fn a_wait_comes_from_the_header_the_sentence_or_the_servers_window() {
        let limited = |retry_after| {
            Error::from_answer(
                POST,
                &RawAnswer {
                    status: 429,
                    retry_after,
                    ..RawAnswer::default()
                },
            )
            .retry_after()
        };
        assert_eq!(limited(Some("7")), Some(Duration::from_secs(7)));
        assert_eq!(limited(Some("999999")), Some(Duration::from_mins(10)));
        assert_eq!(limited(None), Some(Duration::from_mins(1)));
        let refresh = json(
            400,
            r#"{"message":"Entitlements already recently refreshed, please wait 59 seconds to force a new refresh"}"#,
        );
        assert_eq!(refresh.retry_after(), Some(Duration::from_secs(59)));
        assert!(!refresh.to_string().contains("59"), "the sentence must not count down");
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

    #[test]
    fn a_plain_text_refusal_keeps_its_text() {
        let raw = RawAnswer {
            status: 428,
            content_type: Some("text/plain; charset=utf-8"),
            body: b"\"X-Coder-Bypass-Ratelimit\" provided but user is not owner\n",
            ..RawAnswer::default()
        };
        let error = Error::from_answer(POST, &raw);
        assert_eq!(error.class(), Class::BypassRefused);
        assert!(error.to_string().ends_with("provided but user is not owner"));
    }

    #[test]
    fn a_gateways_page_is_not_json() {
        for (status, class) in [
            (404, Class::Protocol),
            (403, Class::Protocol),
            (502, Class::Transient),
            (401, Class::Unauthorized),
        ] {
            let raw = RawAnswer {
                status,
                content_type: Some("text/html"),
                body: b"<html>",
                ..RawAnswer::default()
            };
            assert_eq!(Error::from_answer(POST, &raw).class(), class, "{status}");
        }
    }
}

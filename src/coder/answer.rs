//! A refusal of the server: what it said, bounded and cleaned, and what that means.

use std::{fmt, time::Duration};

use serde::Deserialize;

use super::{
    class::{Class, Refusal},
    error::{Call, Error},
    wire::null_default,
};

/// The longest text of the server that is kept, in characters.
const TEXT_LIMIT: usize = 256;

/// More validations than a request of ours has fields.
const MAX_VALIDATIONS: usize = 16;

/// The longest that anybody's word is heeded.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(10);

/// Coder's window, for a 429 that does not say how long.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_mins(1);

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
        if class == Class::Protocol && !is_json(content_type) {
            return not_json(call, status, content_type);
        }
        let retry_after = self::retry_after(class, retry_after, &message);
        Self::Answer(Box::new(Answer {
            call,
            status,
            class,
            feature: refusal.feature(),
            message: sanitise(&message),
            detail: Some(sanitise(&detail)).filter(|detail| !detail.is_empty()),
            validations: validations
                .into_iter()
                .take(MAX_VALIDATIONS)
                .map(|Validation { field, detail }| Validation {
                    field: sanitise(&field),
                    detail: sanitise(&detail),
                })
                .collect(),
            retry_after,
            went_on,
        }))
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

/// `type/subtype` without parameters; words for an error's sentence if there is none.
pub(super) fn media_type(content_type: Option<&str>) -> &str {
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

/// How long to wait, as `Retry-After` says, or the sentence; for a rate limit there is always an answer.
pub(super) fn retry_after(class: Class, header: Option<&str>, message: &str) -> Option<Duration> {
    header
        .and_then(|value| seconds(value).or_else(|| until(value)))
        // Now is no time to wait for.
        .map(|wait| wait.max(Duration::from_secs(1)))
        .or_else(|| (class == Class::RateLimited).then(|| seconds_in(message).unwrap_or(DEFAULT_RETRY_AFTER)))
}

/// Seconds, at most ten minutes: nobody's word stops the operator for a day.
fn seconds(value: &str) -> Option<Duration> {
    value
        .trim()
        .parse()
        .ok()
        .map(|seconds: u64| Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER))
}

/// The form that is a date: Coder does not use it, gateways do.
fn until(value: &str) -> Option<Duration> {
    let date = jiff::fmt::rfc2822::parse(value.trim()).ok()?.timestamp();
    let wait = date.duration_since(jiff::Timestamp::now());
    Some(Duration::try_from(wait).unwrap_or_default().min(LONGEST_RETRY_AFTER))
}

/// The licence refresh says in words how long to wait: `… please wait 59 seconds to …` (recording 01).
fn seconds_in(message: &str) -> Option<Duration> {
    seconds(message.split_once("please wait ")?.1.split(' ').next()?)
}

#[cfg(test)]
mod tests {
    use super::{super::path::Method, *};

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
            (401, Class::Protocol),
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

//! Where a call goes: a method, and a path made of a template and its segments.
//!
//! The template is what logs and metrics name, so that their labels stay few; the segments are percent-encoded one
//! by one, so that a name can never reach another endpoint (`../`, `?`, `#`, an empty segment).

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use strum::IntoStaticStr;
use url::form_urlencoded;

use super::error::{Call, Error};

/// RFC 3986's unreserved characters stay as they are; everything else is encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The HTTP methods Coder's API uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, IntoStaticStr)]
#[strum(serialize_all = "UPPERCASE")]
pub enum Method {
    /// Reads.
    Get,
    /// Creates, or triggers.
    Post,
    /// Replaces.
    Put,
    /// Changes what is sent.
    Patch,
    /// Deletes.
    Delete,
}

impl Method {
    /// The word on the wire, also the metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether the call can change anything on the server.
    #[must_use]
    pub fn writes(self) -> bool {
        self != Self::Get
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Method> for reqwest::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::GET,
            Method::Post => Self::POST,
            Method::Put => Self::PUT,
            Method::Patch => Self::PATCH,
            Method::Delete => Self::DELETE,
        }
    }
}

/// A path below `/api/v2`: a template with one `{placeholder}` a segment, the segments, and a query.
#[derive(Clone, Debug)]
pub(super) struct Path {
    template: &'static str,
    segments: Vec<String>,
    query: Vec<(&'static str, String)>,
    grows: bool,
}

impl Path {
    /// `template` starts with `/`; each `{placeholder}` is a whole segment.
    #[must_use]
    pub(super) fn new(template: &'static str) -> Self {
        Self {
            template,
            segments: Vec::new(),
            query: Vec::new(),
            grows: false,
        }
    }

    /// The value of the next placeholder.
    #[must_use]
    pub(super) fn segment(mut self, value: impl fmt::Display) -> Self {
        self.segments.push(value.to_string());
        self
    }

    /// A query parameter. Unknown ones make `/groups` answer 400: add none that the endpoint does not know.
    #[must_use]
    pub(super) fn query(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.query.push((key, value.to_string()));
        self
    }

    /// What it shows grows with the deployment, and so does the time that it takes.
    #[must_use]
    pub(super) fn growing(mut self) -> Self {
        self.grows = true;
        self
    }

    /// Whether what it shows grows with the deployment.
    pub(super) fn grows(&self) -> bool {
        self.grows
    }

    /// What names this endpoint in logs, metrics and errors.
    #[must_use]
    pub(super) fn template(&self) -> &'static str {
        self.template
    }

    /// The encoded path without its query: also what the server counts calls by.
    pub(super) fn encode(&self, method: Method) -> Result<String, Error> {
        let refuse = |reason| Error::InvalidPath {
            call: Call::new(method, self.template),
            reason,
        };
        let mut values = self.segments.iter();
        let mut path = String::with_capacity(self.template.len() + 36);
        for part in self.template.split('/').skip(1) {
            path.push('/');
            if !part.starts_with('{') {
                path.push_str(part);
                continue;
            }
            match values.next().map(String::as_str) {
                None => return Err(refuse("a segment is missing")),
                Some("") => return Err(refuse("a segment is empty")),
                // Encoding does not help here: URL parsers take `%2e%2e` for `..` as well.
                Some("." | "..") => return Err(refuse("a segment is a dot segment")),
                Some(value) => path.extend(utf8_percent_encode(value, ENCODED)),
            }
        }
        if values.next().is_some() {
            return Err(refuse("there are more segments than placeholders"));
        }
        Ok(path)
    }

    /// The encoded query, or none.
    pub(super) fn encode_query(&self) -> Option<String> {
        (!self.query.is_empty()).then(|| {
            form_urlencoded::Serializer::new(String::new())
                .extend_pairs(&self.query)
                .finish()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str) -> Result<String, Error> {
        Path::new("/organizations/{organization}/groups/{group}")
            .segment("alpha")
            .segment(name)
            .encode(Method::Get)
    }

    #[test]
    fn a_segment_stays_one_segment() {
        for (name, encoded) in [
            ("backend", "backend"),
            ("a b", "a%20b"),
            ("a/b", "a%2Fb"),
            ("../../users", "..%2F..%2Fusers"),
            ("x?y=z", "x%3Fy%3Dz"),
            ("x#y", "x%23y"),
            ("%2e%2e", "%252e%252e"),
            ("ä\r\n", "%C3%A4%0D%0A"),
            ("...", "..."),
        ] {
            let path = group(name).unwrap();
            assert_eq!(path, format!("/organizations/alpha/groups/{encoded}"));
            let url = url::Url::parse(&format!("https://coder.example.com{path}")).unwrap();
            assert_eq!(url.path(), path, "the URL parser must not see anything else");
        }
    }

    #[test]
    fn empty_and_dot_segments_are_refused() {
        for name in ["", ".", ".."] {
            assert!(matches!(group(name), Err(Error::InvalidPath { .. })), "{name:?}");
        }
    }

    #[test]
    fn segments_and_placeholders_must_match() {
        assert!(Path::new("/groups/{group}").encode(Method::Get).is_err());
        assert!(Path::new("/groups").segment("x").encode(Method::Get).is_err());
    }

    #[test]
    fn a_query_is_encoded() {
        let path = Path::new("/users").query("q", "a+b@example.com&x").query("limit", 10);
        assert_eq!(path.encode_query().unwrap(), "q=a%2Bb%40example.com%26x&limit=10");
        assert_eq!(Path::new("/users").encode_query(), None);
    }
}
